"""Evidence from clocks: stamps in names, the time a file was written. Alone it never decides."""

from __future__ import annotations

import posixpath
from datetime import timedelta
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import IMPOSSIBLE, Observation
from catalog.link.limits import CLOCK_SLACK, WRITE_SLACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

NEAR = 2.5
"""For a run that starts right after the folder's stamp; falls to `WITHIN` at the tolerance."""
WITHIN = 1.0
LATER_IN_SWEEP = -1.0
"""Against a run that starts later than the tolerance where jobs of a sweep share one stamp."""
LATER = -4.0
"""The same where each job has a folder with its own stamp: only a resumed run starts so late."""
AFTER_END = -4.0
"""Against a run that had ended when the file was written, where its own files kept their times. A
copy that was made without its times looks so as well."""
EARLIER = -6.0
"""Against a run that started before the folder it is said to have written to was named.
W&B starts after Hydra, whose name the folder bears; but a resumed run may use an old folder."""
NEARER = -4.0
"""Against a run that started after another training's folder was made: takes back what the stamps
say for it, and doubts what a repeated command brings about."""
DURING = 1.5
"""For a file written while the run lived."""
SOON_AFTER = 0.5
"""For a file written within `WRITE_SLACK` after the run's last sign of life."""
_SLACK = timedelta(seconds=CLOCK_SLACK)
CLOCK_KINDS = frozenset(
    {
        "stamps-fit",
        "run-before-folder",
        "run-after-folder",
        "written-before-run",
        "written-during-run",
        "written-at-end",
        "written-after-run",
        "nearer-folder",
    }
)
"""Every kind of observation that rests on clocks."""
_WRITE_SLACK = timedelta(seconds=WRITE_SLACK)


def stamps(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The stamp in the checkpoint's folder against the run's start, both local time.

    A run starts at or after the stamp (measured: "at or after, within 60 s" is right for 165
    of 199 files, "nearest" for 89).
    """
    seconds = delay(subject, folder)
    if seconds is None:
        return
    tolerance = context.settings.link_tolerance
    # The jobs of a sweep share its stamp: it does not tell the first from the others.
    sweep = posixpath.dirname(subject.output) == subject.stamped_folder
    said = f"The folder is stamped {subject.stamp:%Y-%m-%d %H:%M:%S}, the run started "
    if seconds < -CLOCK_SLACK:
        if context.places.works_on(folder, subject.job):
            return  # the run of an earlier job, which was not finished
        yield Observation("run-before-folder", EARLIER, f"{said}{duration(-seconds)} earlier.")
    elif seconds <= tolerance:
        share = 1.0 if sweep or not tolerance else max(seconds, 0.0) / tolerance
        after = f"{duration(seconds)} after it" if seconds > 0 else "in the same second"
        yield Observation("stamps-fit", NEAR - (NEAR - WITHIN) * share, f"{said}{after}.")
    elif folder.run_id not in context.places.went_on_from(subject):
        weight = LATER_IN_SWEEP if sweep else LATER
        yield Observation("run-after-folder", weight, f"{said}{duration(seconds)} later.")


def nearer_folder(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Another training's folder was made between this one and the run's start: rather its own."""
    seconds = delay(subject, folder)
    tolerance = context.settings.link_tolerance
    if seconds is None or not 0 <= seconds <= tolerance or subject.stamp_in_utc:
        return
    other = context.places.between(subject, folder)
    if other is not None:
        yield Observation(
            "nearer-folder",
            NEARER,
            f"{other} was made after this folder and before the run started.",
        )


def written_during_run(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """The file's modification time against the run's span, both UTC.

    Later than the end says something only where the run's own files kept their times: copying a
    tree makes all its files new.
    """
    written_at, ended_at = subject.written_at, folder.ended_at
    if written_at is None or folder.started_at is None:
        return
    if written_at < folder.started_at - _SLACK:
        yield Observation(
            "written-before-run",
            IMPOSSIBLE,
            f"The file was written at {_text(written_at)} UTC, "
            f"before the run started ({_text(folder.started_at)}).",
        )
    elif ended_at is None:
        return
    elif written_at <= ended_at:
        yield Observation(
            "written-during-run",
            DURING,
            f"The file was written at {_text(written_at)} UTC, while the run lived.",
        )
    elif written_at <= ended_at + _WRITE_SLACK:
        # The last row is logged before the last file is saved; the clocks of both may differ.
        yield Observation(
            "written-at-end",
            DURING if written_at <= ended_at + _SLACK else SOON_AFTER,
            f"The file was written at {_text(written_at)} UTC, "
            f"{_span(written_at - ended_at)} after the run's last sign of life "
            f"({_text(ended_at)}).",
        )
    elif folder.has_its_times and written_at > _bound(folder, ended_at) + _WRITE_SLACK:
        yield Observation(
            "written-after-run",
            AFTER_END,
            f"The file was written at {_text(written_at)} UTC, "
            f"{_span(written_at - ended_at)} after the run's last sign of life "
            f"({_text(ended_at)}).",
        )


def _bound(folder: RunFolder, ended_at: datetime) -> datetime:
    """Return the latest moment at which a run is known to have lived."""
    until = folder.written_until
    return ended_at if until is None else max(until, ended_at)


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    return "less than 1 s" if seconds < 1 else duration(seconds)


def duration(seconds: float) -> str:
    """Return a span of time as people say it: `45 s`, `12 min`, `2 h 5 min`, `3 days`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24):,} days"


def _text(moment: datetime) -> str:
    return moment.isoformat(" ")[: len("YYYY-MM-DD HH:MM:SS")]


def lived_then(subject: Subject, folder: RunFolder) -> bool:
    """Tell whether the run lived when the file was last written, as far as both are known."""
    return (
        subject.written_at is not None
        and folder.started_at is not None
        and folder.ended_at is not None
        and folder.started_at - _SLACK <= subject.written_at <= folder.ended_at + _WRITE_SLACK
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
