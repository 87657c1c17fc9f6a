"""Evidence from a training's folder that is called after its project and the second."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from catalog.link.evidence.clocks import delay
from catalog.link.evidence.observation import Observation
from catalog.link.limits import CLOCK_SLACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

PROJECT_AND_SECOND = 4.5
"""For `PROJECT_<unix seconds>` of the run's project and start, beside what the clocks say: two
runs of a project seldom start in the same seconds, and where they do both have it."""
_WITHIN = 10.0
"""Seconds that a program takes from its start, whose second it writes, to that of its run."""
_SECONDS = re.compile(r"(.+?)[_.-]1\d{9}")


def project_and_second(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """The folder bears the project's name and the second in which the run started."""
    if not subject.stamp_in_utc or subject.stamped_folder is None or not folder.project_name:
        return
    name = posixpath.basename(subject.stamped_folder)
    match = _SECONDS.fullmatch(name)
    seconds = delay(subject, folder)
    if match is None or seconds is None or not -CLOCK_SLACK <= seconds <= _WITHIN:
        return
    if match[1].lower() == folder.project_name.lower():
        yield Observation(
            "project-and-second",
            PROJECT_AND_SECOND,
            f"The folder is called {name}: the run's project, and the second of its start.",
        )
