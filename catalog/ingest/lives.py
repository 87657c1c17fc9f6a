"""The lives of a run, in their order: what a later one replaces of the history before it.

A run that goes on, after a crash or on purpose, writes another folder (W&B, Hugging Face) or
another file into the same one (TensorBoard). Its history is that of all its lives: a later one
replaces whatever an earlier one logged from the step on where the later one went on. What is told
here once is read by all: `run_directory.life` and `beginning`, the table `metric_cut`, and the view
`metric_life` that joins them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, func, select

from catalog.ingest.times import parse_utc
from catalog.schema.store import Store, chunks, fetched, table_of
from catalog.schema.tables import (
    File,
    MetricAxisPoint,
    MetricCut,
    MetricName,
    MetricPoint,
    MetricSeries,
    RunField,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from catalog.ingest.runs import Folder

_CLOCK = timedelta(seconds=1)
"""A folder that begins sooner than this before the last row of another lives beside it."""
_CUMULATIVE = frozenset({"transformers"})
"""Trackers each of whose folders tells all that was logged since the run's start."""
_COUNTER = re.compile(r"(?:^|[/.])(?:epoch|(?:global_)?step|iter|iteration)s?$", re.IGNORECASE)
"""Names of metrics that count what a training did."""
_EVENTS = "tensorboard"
"""Reader of files of which a folder may hold several lives."""


class _Series(NamedTuple):
    id: int
    run_directory_id: int
    file_id: int
    reader: str
    metric_name_id: int
    point_count: int
    first_step: int | None
    last_step: int | None
    metric: str
    lowest: float | None


def tell_lives(connection: Connection, folders: Sequence[Folder]) -> dict[int, int]:
    """Set `life` and `beginning` of each folder.

    Args:
        connection: in a transaction; the histories are written.
        folders: all of them, with their runs.

    Returns:
        For each series that a later life replaces the end of, the step from which it does.
    """
    runs: dict[int, list[Folder]] = defaultdict(list)
    for folder in folders:
        folder.life, folder.beginning = None, _stated_beginning(folder)
        # A sweep's config tells of a run that it was made for, and is no folder of its life.
        has_lived = folder.tracker in _CUMULATIVE or folder.started_at or folder.stamp
        is_own = folder.run_id is not None and folder.joined_by is None
        if is_own and has_lived and not folder.copy_of_latest:
            runs[int(folder.run_id or 0)].append(folder)
    several = {run: members for run, members in runs.items() if len(members) > 1}
    series = _series_of(connection, [one.id for members in several.values() for one in members])
    cuts: dict[int, int] = {}
    for members in several.values():
        _tell_lives_of_run(members, series, cuts)
    _tell_lives_of_files(connection, {one.id: one for one in folders}, cuts)
    return cuts


class _File(NamedTuple):
    """An event file of a folder that holds several."""

    id: int
    path: str
    said: dict[str, str]
    """Times in UTC, and other fields as they stand."""


def _tell_lives_of_files(
    connection: Connection, folders: Mapping[int, Folder], cuts: dict[int, int]
) -> None:
    """Take what later event files replace of earlier ones in the same folder.

    A writer that was given `purge_step` says so. Another process that begins, behind the end of
    the one before, at a step that was there already, does the same for each metric that it logs.
    """
    known = _event_files(connection)
    series: dict[int, list[_Series]] = defaultdict(list)
    for of_folder in _series_of(connection, sorted(known)).values():
        for one in of_folder:
            series[one.file_id].append(one)
    for number, files in known.items():
        files.sort(key=lambda one: (one.said.get("started_at", ""), one.path))
        for place, later in enumerate(files):
            purge = _whole(later.said.get("purge_step"))
            first = {one.metric_name_id: one.first_step for one in series[later.id]}
            found = []
            for earlier in files[:place]:
                goes_on = purge is None and _is_behind(later, earlier)
                for one in series[earlier.id]:
                    step = first.get(one.metric_name_id) if goes_on else purge
                    if step is not None and _reaches(one, step):
                        cuts[one.id] = min(step, cuts.get(one.id, step))
                        found.append(step)
            if found:
                folders[
                    number
                ].beginning = (
                    f"resumed at step {min(found)}, which replaces what was logged from there on"
                )


def _is_behind(later: _File, earlier: _File) -> bool:
    """Tell whether another process wrote a file after all that the earlier one tells."""
    start, end = later.said.get("started_at"), earlier.said.get("last_timestamp")
    processes = later.said.get("process"), earlier.said.get("process")
    if None in processes or processes[0] == processes[1] or start is None or end is None:
        return False
    return parse_utc(start) >= parse_utc(end)


def _event_files(connection: Connection) -> dict[int, list[_File]]:
    """Return the event files of each run directory that holds several."""
    table, files = table_of(RunField), table_of(File)
    named = table.c.name.in_(("started_at", "last_timestamp", "process", "purge_step"))
    held = (
        select(table.c.run_directory_id)
        .join(files, files.c.id == table.c.file_id)
        .where(files.c.reader == _EVENTS)
        .group_by(table.c.run_directory_id)
        .having(func.count(table.c.file_id.distinct()) > 1)
    )
    found: dict[tuple[int, int], _File] = {}
    for number, file_id, path, name, value, utc in fetched(
        connection,
        select(
            table.c.run_directory_id,
            table.c.file_id,
            files.c.path,
            table.c.name,
            table.c.value,
            table.c.utc,
        )
        .join(files, files.c.id == table.c.file_id)
        .where(files.c.reader == _EVENTS, named, table.c.run_directory_id.in_(held)),
    ):
        one = found.setdefault((number, file_id), _File(file_id, path, {}))
        one.said[name] = utc or value
    of_folder: dict[int, list[_File]] = defaultdict(list)
    for (number, _), one in found.items():
        of_folder[number].append(one)
    return of_folder


def _stated_beginning(folder: Folder) -> str | None:
    """Return how a folder's files say that it began, if they say anything."""
    source, step = folder.value("branch_run"), folder.value("branch_step")
    if source is not None:
        at = "" if step is None else f" step {step}"
        if source == folder.tracker_run_id:
            return f"rewound from{at or ' an earlier step'}"
        return f"forked from {source}{' at' + at if at else ''}"
    if folder.value("resumed") is not None:
        start = _whole(folder.value("starting_step"))
        return "resumed" if start is None else f"resumed at step {start}"
    return None


def _tell_lives_of_run(
    members: list[Folder], series: Mapping[int, list[_Series]], cuts: dict[int, int]
) -> None:
    lives = _in_order(members, series)
    if len(lives) < 2:
        return
    starts = [_start(folder, series[folder.id]) for folder in lives]
    for place, folder in enumerate(lives):
        folder.life = place + 1
        before = [one for earlier in lives[:place] for one in series[earlier.id]]
        if before and _counts_anew(series[folder.id], before, starts[place]):
            folder.beginning = f"resumed; its steps count from {starts[place]} again"
            starts[place] = None
        elif place and folder.tracker not in _CUMULATIVE:
            folder.beginning = _beginning(folder, starts[place], before)
    for place, folder in enumerate(lives):
        later = [start for start in starts[place + 1 :] if start is not None]
        if later:
            cut = min(later)
            cuts.update({one.id: cut for one in series[folder.id] if _reaches(one, cut)})


def _counts_anew(later: list[_Series], before: list[_Series], start: int | None) -> bool:
    """Tell whether a life went on though its steps begin where those of the first one began.

    Without a server the tracker counts its steps from 0 again; epochs and steps that the training
    logged itself tell that it did not begin anew.
    """
    first = min((one.first_step for one in before if one.first_step is not None), default=None)
    if start is None or first is None or start > first:
        return False
    began: dict[str, float] = {}
    for one in before:
        if one.lowest is not None and _COUNTER.search(one.metric):
            began[one.metric] = min(one.lowest, began.get(one.metric, one.lowest))
    went_on = [
        one.lowest > began[one.metric]
        for one in later
        if one.lowest is not None and one.metric in began
    ]
    return bool(went_on) and all(went_on)


def _reaches(series: _Series, step: int) -> bool:
    return series.last_step is not None and series.last_step >= step


def _beginning(folder: Folder, start: int | None, before: Sequence[_Series]) -> str:
    """Return how a later life began."""
    stated = folder.beginning or ""
    if stated.startswith("rewound"):
        return stated
    if start is None:
        return "resumed"
    steps = [one.first_step for one in before if one.first_step is not None]
    if not steps:
        return stated or "resumed; nothing was logged before"
    if start <= min(steps):
        return f"began anew at step {start}, which replaces all that was logged before"
    if any(_reaches(one, start) for one in before):
        return f"resumed at step {start}, which replaces what was logged from there on"
    return f"resumed at step {start}"


def _in_order(members: list[Folder], series: Mapping[int, list[_Series]]) -> list[Folder]:
    """Return the folders that follow one another; copies, and what ran beside, are left out."""
    first: dict[object, Folder] = {}
    for folder in members:
        key = folder.path if folder.tracker in _CUMULATIVE else folder.started_at or folder.stamp
        which = (key or folder.path, folder.tracker)
        known = first.get(which)
        if known is None or _size(folder, series) > _size(known, series):
            first[which] = folder
    if any(folder.tracker in _CUMULATIVE for folder in first.values()):
        return sorted(first.values(), key=lambda one: (_last_step(series[one.id]), one.path))
    lives: list[Folder] = []
    end: str | None = None
    for folder in sorted(
        first.values(), key=lambda one: (one.started_at or "", one.stamp or "", one.path)
    ):
        if end and folder.started_at and parse_utc(folder.started_at) + _CLOCK < parse_utc(end):
            continue  # several processes under one id
        lives.append(folder)
        end = max(filter(None, (end, folder.when("last_timestamp"))), default=None)
    return lives


def _size(folder: Folder, series: Mapping[int, list[_Series]]) -> int:
    return sum(one.point_count for one in series[folder.id])


def _last_step(series: Iterable[_Series]) -> int:
    return max((one.last_step for one in series if one.last_step is not None), default=-1)


def _start(folder: Folder, series: Iterable[_Series]) -> int | None:
    """Return the step at which a life went on, None where nothing tells."""
    source = folder.value("branch_run")
    if source is not None and source == folder.tracker_run_id:
        step = _whole(folder.value("branch_step"))
        if step is not None:
            return step + 1
    steps = [one.first_step for one in series if one.first_step is not None]
    return min(steps, default=_whole(folder.value("starting_step")))


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _series_of(connection: Connection, folders: Sequence[int]) -> dict[int, list[_Series]]:
    """Return the series of folders by folder, in the order of their files."""
    table, files, names = table_of(MetricSeries), table_of(File), table_of(MetricName)
    found: dict[int, list[_Series]] = defaultdict(list)
    for part in chunks(sorted(folders)):
        for row in fetched(
            connection,
            select(
                table.c.id,
                table.c.run_directory_id,
                table.c.file_id,
                files.c.reader,
                table.c.metric_name_id,
                table.c.point_count,
                table.c.first_step,
                table.c.last_step,
                names.c.name,
                table.c.lowest,
            )
            .join(files, files.c.id == table.c.file_id)
            .join(names, names.c.id == table.c.metric_name_id)
            .where(table.c.run_directory_id.in_(part))
            .order_by(files.c.path, table.c.id),
        ):
            one = _Series(*row)
            found[one.run_directory_id].append(one)
    return found


def write_cuts(connection: Connection, cuts: Mapping[int, int]) -> None:
    """Write what counts of each series that a later life replaces the end of.

    Args:
        connection: in a transaction; what several files repeat is stored once already.
        cuts: for each series the step from which it is replaced.
    """
    table = table_of(MetricCut)
    series, points, axis = (table_of(one) for one in (MetricSeries, MetricPoint, MetricAxisPoint))
    connection.execute(delete(table))
    store = Store(connection)
    for part in chunks(sorted(cuts)):
        for row in connection.execute(
            select(
                series.c.id,
                series.c.first_step,
                series.c.point_count,
                series.c.axis_id,
            ).where(series.c.id.in_(part), series.c.points_of.is_(None))
        ).all():
            cut = cuts[int(row.id)]
            left: dict[str, Any] = {"point_count": 0, "finite_count": 0}
            if row.first_step < cut:
                kept = connection.execute(
                    select(axis.c.step, points.c.value, points.c.special)
                    .join(
                        axis,
                        and_(axis.c.axis_id == row.axis_id, axis.c.position == points.c.position),
                    )
                    .where(points.c.series_id == row.id, points.c.position < row.point_count)
                    .order_by(points.c.position)
                ).all()
                left = _left(kept, cut) if len(kept) == row.point_count else {}
            store.add(
                MetricCut, {**_UNKNOWN, **left, "series_id": int(row.id), "replaced_from": cut}
            )
    store.flush()


_UNKNOWN: dict[str, Any] = dict.fromkeys(
    (
        "point_count",
        "first_step",
        "last_step",
        "lowest",
        "highest",
        "final",
        "finite_count",
        "special",
        "special_from",
    )
)


def _left(points: Iterable[Sequence[Any]], cut: int) -> dict[str, Any]:
    """Return what (step, value, special) below a step add up to."""
    counted = [point for point in points if point[0] is None or point[0] < cut]
    finite = [value for _, value, _ in counted if value is not None]
    steps = [step for step, _, _ in counted if step is not None]
    place = len(counted)
    while place and counted[place - 1][1] is None:
        place -= 1
    return {
        "point_count": len(counted),
        "first_step": min(steps, default=None),
        "last_step": max(steps, default=None),
        "lowest": min(finite, default=None),
        "highest": max(finite, default=None),
        "final": finite[-1] if finite else None,
        "finite_count": len(finite),
        "special": counted[-1][2] if counted else None,
        "special_from": counted[place][0] if place < len(counted) else None,
    }
