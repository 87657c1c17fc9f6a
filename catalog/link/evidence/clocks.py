"""Evidence from clocks: stamps in names, the time a file was written. Alone it never decides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import CONTRADICTION, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

NEAR = 2.5
"""For a run that starts right after the folder's stamp; falls to `WITHIN` at the tolerance."""
WITHIN = 1.0
LATER = -1.0
"""Against a run that starts later than the tolerance: later jobs of a sweep do."""
EARLIER = -6.0
"""Against a run that started before the folder it is said to have written to was named.
W&B starts after Hydra, whose name the folder bears; but a resumed run may use an old folder."""
DURING = 1.5
"""For a file written while the run lived."""
CLOCK_KINDS = frozenset(
    {
        "stamps-fit",
        "run-before-folder",
        "run-after-folder",
        "written-before-run",
        "written-during-run",
    }
)
"""Every kind of observation that rests on clocks."""
CLOCK_SLACK = 1.0
"""Seconds by which two clocks of one process may seem out of order: both are cut to seconds."""
WRITE_SLACK = 60.0
"""Seconds after a run's last sign of life in which it may still have written a file."""


def stamps(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The stamp in the checkpoint's folder against the run's start, both local time.

    A run starts at or after the stamp (measured: "at or after, within 60 s" is right for 165
    of 199 files, "nearest" for 89).
    """
    seconds = delay(subject, folder)
    if seconds is None:
        return
    tolerance = context.settings.link_tolerance
    said = f"The folder is stamped {subject.stamp:%Y-%m-%d %H:%M:%S}, the run started "
    if seconds < -CLOCK_SLACK:
        yield Observation("run-before-folder", EARLIER, f"{said}{-seconds:.0f} s earlier.")
    elif seconds <= tolerance:
        share = max(seconds, 0.0) / tolerance if tolerance else 0.0
        after = f"{seconds:.0f} s after it" if seconds > 0 else "in the same second"
        yield Observation("stamps-fit", NEAR - (NEAR - WITHIN) * share, f"{said}{after}.")
    else:
        yield Observation("run-after-folder", LATER, f"{said}{seconds:.0f} s later.")


def written_during_run(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """The file's modification time against the run's span, both UTC.

    Later than the end says nothing: copying a tree makes all its files new.
    """
    if subject.written_at is None or folder.started_at is None:
        return
    if subject.written_at < folder.started_at - timedelta(seconds=CLOCK_SLACK):
        yield Observation(
            "written-before-run",
            CONTRADICTION,
            f"The file was written at {subject.written_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"before the run started ({folder.started_at:%Y-%m-%d %H:%M:%S}).",
        )
    elif folder.ended_at is not None and subject.written_at <= folder.ended_at + timedelta(
        seconds=WRITE_SLACK
    ):
        yield Observation(
            "written-during-run",
            DURING,
            f"The file was written at {subject.written_at:%Y-%m-%d %H:%M:%S} UTC, "
            "while the run lived.",
        )


def delay(subject: Subject, folder: RunFolder) -> float | None:
    """Return the seconds from the folder's stamp to the run's start, None if unknown."""
    if subject.stamp is None:
        return None
    if subject.stamp_in_utc:
        if folder.started_at is None:
            return None
        return (folder.started_at.replace(tzinfo=None) - subject.stamp).total_seconds()
    if folder.stamp is None:
        return None
    return (folder.stamp - subject.stamp).total_seconds()
