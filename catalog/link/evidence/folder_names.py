"""Evidence from what a training's folder is called: after its run, or its project and the second.

Paths that a run states are in `paths`; here only the folder's own name speaks.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from catalog.link.evidence.clocks import delay
from catalog.link.evidence.observation import Observation
from catalog.link.limits import CLOCK_SLACK
from catalog.link.places import tells_training

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

CALLED = 6.5
"""For the only run whose display name is the folder's name."""
PROJECT_AND_SECOND = 4.5
"""For `PROJECT_<unix seconds>` of the run's project and start, beside what the clocks say: two
runs of a project seldom start in the same seconds, and where they do both have it."""
_WITHIN = 10.0
"""Seconds that a program takes from its start, whose second it writes, to that of its run."""
_SHORTEST = 5
"""Letters of a name that is no mere word."""
_SECONDS = re.compile(r"(.+?)[_.-]1\d{9}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def display_name(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The folder bears the run's display name, which no other run has."""
    name = folder.display_name
    if name and name in folder_names(subject.output) and context.places.is_only_called(folder):
        yield Observation(
            "display-name",
            CALLED,
            f"The run is called {name}, as the checkpoint's folder, and no other run is.",
        )


def may_be_called(subject: Subject, folder: RunFolder, _context: Context) -> bool:
    """Tell whether a run has a name that its training's folder can have."""
    return bool(folder.display_name) and folder.display_name in folder_names(subject.output)


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


@lru_cache(maxsize=4_096)
def folder_names(output: str) -> frozenset[str]:
    """Return what a run may be called after a training's folder: its name, or Hydra's DAY/TIME."""
    above, name = posixpath.split(output)
    day = posixpath.basename(above)
    if _DAY.fullmatch(day):
        return frozenset(f"{day}{sign}{name}" for sign in "/_- ")
    return frozenset([name] if len(name) >= _SHORTEST and tells_training(name) else [])
