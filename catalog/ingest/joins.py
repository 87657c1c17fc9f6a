"""One training that several tools recorded is one run: which folders tell of the same one.

A W&B run may lie in a Hydra job's folder, with TensorBoard files beside it and a Lightning
`version_N`. Folders are joined by what they hold, never by clocks alone, and only where the
evidence points at one run and from that run at one folder; everything else stays a run of its
own tracker. The evidence, from the strongest:

- `inside-job`: the folder lies in the output folder that Hydra made for one job;
- `job-named`: the run's config names the output folder as Hydra wrote it down;
- `same-log`: the job's log and the run's output share lines with millisecond stamps;
- `same-command`: the job's overrides are the run's arguments, and the run started next;
- `same-metrics`: the same metric runs between the same extremes, to all digits of 32 bits.

The same tree may be there twice, as where a backup was ingested: then a folder is joined to the run
of its own tree, and what lies in the other tree does not count against that.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from catalog.schema.canonical import common_metric, float32
from catalog.schema.job_folders import shared_job_folders
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import (
    ConfigValue,
    Mention,
    MetricName,
    MetricSeries,
    RunConfig,
)
from catalog.sources.hydra_commands import JobStart, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from catalog.ingest.runs import Folder

_JOB, _TRACKED = "hydra", "wandb"
_WITHIN = timedelta(seconds=120)
"""How long after its job's start a tracked run starts, where only the command ties them."""
_SHARED_LINES = 2
_OUTPUT_KEYS = ("output_dir", "paths.output_dir", "path.output_dir", "hydra.runtime.output_dir")
_COUNTERS = re.compile(r"epoch|step|(?:^|[/_.-])lr(?:$|[/_.-])|learning_rate")
"""Metrics that are alike in all runs of a project."""


@dataclass(frozen=True, slots=True)
class Join:
    """That a folder tells of a run of another tracker, and how that is known."""

    identity: str
    kind: str
    detail: str


class _Pair(NamedTuple):
    job: Folder
    run: Folder
    detail: str


def join_folders(
    connection: Connection, folders: Iterable[Folder], identities: Mapping[int, str]
) -> dict[int, Join]:
    """Return the joins of folders, by the folder's number.

    Args:
        connection: to a catalog with all rows of the folders.
        folders: all of them, with their times told.
        identities: of each folder that is a run of its own tracker.

    """
    shared = shared_job_folders(connection)
    free = [
        one
        for one in folders
        if one.id in identities and not one.kept_apart and one.id not in shared
    ]
    jobs = [one for one in free if one.tracker == _JOB]
    runs = [one for one in free if one.tracker == _TRACKED and not one.copy_of_latest]
    others = [one for one in free if one.tracker not in {_JOB, _TRACKED}]
    joins = _jobs_to_runs(connection, jobs, runs, identities)
    if not others:
        return _settled(joins, {one.id: identities[one.id] for one in free})
    holders = _Holders(jobs)
    series = _Extremes(connection, identities)
    series.join(others, runs, joins)
    _insides_to_jobs(others, holders, identities, joins)
    left = [one for one in others if one.tracker == "tensorboard" and one.id not in joins]
    series.join(left, [one for one in others if one.tracker != "tensorboard"], joins)
    return _settled(joins, {one.id: identities[one.id] for one in free})


def _jobs_to_runs(
    connection: Connection,
    jobs: list[Folder],
    runs: list[Folder],
    identities: Mapping[int, str],
) -> dict[int, Join]:
    joins: dict[int, Join] = {}
    undecided: set[int] = set()
    for kind, find in (
        ("inside-job", _inside),
        ("job-named", _named),
        ("same-log", _same_log),
        ("same-command", _same_command),
    ):
        left = [job for job in jobs if job.id not in joins and job.id not in undecided]
        by_job: dict[int, list[_Pair]] = defaultdict(list)
        by_run: dict[int, list[Folder]] = defaultdict(list)
        for pair in find(connection, left, runs):
            by_job[pair.job.id].append(pair)
            by_run[pair.run.id].append(pair.job)
        for number, found in by_job.items():
            job = found[0].job
            near = {run.id for run in _of_its_tree(job, [pair.run for pair in found])}
            kept = [pair for pair in found if pair.run.id in near]
            wanted = {identities[pair.run.id] for pair in kept}
            rivals = {
                rival.id for pair in kept for rival in _rivals(job, pair.run, by_run[pair.run.id])
            }
            if len(wanted) == 1 and rivals == {number}:
                joins[number] = Join(wanted.pop(), kind, kept[0].detail)
            else:
                undecided.add(number)
    return joins


def _of_its_tree(folder: Folder, runs: list[Folder]) -> list[Folder]:
    """Return the runs in a folder's own tree, if all others are the same ones in copies of it."""
    near = [run for run in runs if run.root_id == folder.root_id]
    if near and {_name(run) for run in runs} == {_name(run) for run in near}:
        return near
    return runs


def _rivals(folder: Folder, run: Folder, folders: Iterable[Folder]) -> list[Folder]:
    """Return which of some folders count where a folder is to be the only one of a run."""
    if folder.root_id != run.root_id:
        return list(folders)
    return [one for one in folders if one.root_id == run.root_id]


def _name(run: Folder) -> tuple[str | None, str]:
    """Return what a run is called in each copy of its tree."""
    if run.tracker_run_id is not None:
        return None, run.tracker_run_id
    return run.stamp, run.path.rpartition("/")[2]


class _Holders:
    """Finds the job folder that a folder lies in."""

    def __init__(self, jobs: Iterable[Folder]) -> None:
        self._jobs = {(job.root_id, job.path): job for job in jobs}

    def of(self, folder: Folder) -> Folder | None:
        """Return the innermost job folder around a folder, if there is one."""
        path = folder.path
        while "/" in path:
            path = path.rpartition("/")[0]
            if (folder.root_id, path) in self._jobs:
                return self._jobs[folder.root_id, path]
        return None


def _inside(_: Connection, jobs: list[Folder], runs: list[Folder]) -> Iterator[_Pair]:
    holders = _Holders(jobs)
    for run in runs:
        job = holders.of(run)
        if job is not None and _is_of_one_job(job):
            yield _Pair(job, run, f"{run.path} lies in the job's output folder.")


def _is_of_one_job(folder: Folder) -> bool:
    """Say whether it is known that a job made a folder for itself, by its name or in its words."""
    start, output = folder.value("cwd"), folder.value("output_dir")
    is_apart = start is not None and output is not None and start.rstrip("/") != output.rstrip("/")
    return bool(folder.stamp) or is_apart or folder.value("job_num") is not None


def _named(connection: Connection, jobs: list[Folder], runs: list[Folder]) -> Iterator[_Pair]:
    by_output: dict[str, list[Folder]] = defaultdict(list)
    for job in jobs:
        if output := job.value("output_dir"):
            by_output[output.rstrip("/")].append(job)
    by_number = {run.id: run for run in runs}
    values, configs = table_of(ConfigValue), table_of(RunConfig)
    for number, key, text in fetched(
        connection,
        select(configs.c.run_directory_id, values.c.key, values.c.text)
        .join(values, values.c.config_id == configs.c.config_id)
        .where(values.c.key.in_(_OUTPUT_KEYS), values.c.type == "str")
        .distinct(),
    ):
        for job in by_output.get(str(text).rstrip("/"), ()):
            if number in by_number:
                yield _Pair(job, by_number[number], f"The run's config has {key} = {text}.")


def _same_log(connection: Connection, jobs: list[Folder], runs: list[Folder]) -> Iterator[_Pair]:
    by_number = {one.id: one for one in (*jobs, *runs)}
    ours, theirs = table_of(Mention).alias(), table_of(Mention).alias()
    for part in chunks([job.id for job in jobs]):
        for job, run, lines in connection.execute(
            select(
                ours.c.run_directory_id,
                theirs.c.run_directory_id,
                func.count(ours.c.text.distinct()),
            )
            .join(theirs, (theirs.c.role == ours.c.role) & (theirs.c.text == ours.c.text))
            .where(
                ours.c.role == "log-line",
                ours.c.run_directory_id.in_(part),
                theirs.c.run_directory_id != ours.c.run_directory_id,
            )
            .group_by(ours.c.run_directory_id, theirs.c.run_directory_id)
        ):
            other = by_number.get(run)
            if lines >= _SHARED_LINES and other is not None and other.tracker == _TRACKED:
                detail = f"The job's log and the run's output share {lines} stamped lines."
                yield _Pair(by_number[job], other, detail)


def _same_command(_: Connection, jobs: list[Folder], runs: list[Folder]) -> Iterator[_Pair]:
    """Pair jobs with the runs of their command that started soon after them.

    One job of a sweep is none: the others were given the same command.
    """
    stamped: dict[int, list[tuple[datetime, int, Folder]]] = defaultdict(list)
    for job in jobs:
        if job.stamp and job.value("overrides"):
            stamped[job.root_id].append((datetime.fromisoformat(job.stamp), job.id, job))
    for started in stamped.values():
        started.sort(key=lambda one: one[:2])
    for run in runs:
        arguments = run.value("args")
        if not run.stamp or run.stamp_in_utc or arguments is None:
            continue
        # Both stamps are the local time of one machine.
        start = datetime.fromisoformat(run.stamp)
        near = stamped.get(run.root_id, [])
        for place in range(bisect_left(near, (start - _WITHIN,)), len(near)):
            moment, _number, job = near[place]
            if moment > start:
                break
            compared = compare(arguments, _started(job))
            if compared.verdict == "equal":
                detail = (
                    f"The run has the job's command, {' '.join(compared.agreeing)}, and started "
                    f"{(start - moment).total_seconds():.0f} s after it."
                )
                yield _Pair(job, run, detail)


def _started(folder: Folder) -> JobStart:
    """Return how the job of a folder was started."""
    return JobStart(*(folder.value(field.name) for field in fields(JobStart)))


def _insides_to_jobs(
    others: list[Folder],
    holders: _Holders,
    identities: Mapping[int, str],
    joins: dict[int, Join],
) -> None:
    """Join what other tools wrote into a job's folder, where it is the only one of its tool."""
    inside: dict[tuple[int, str], list[Folder]] = defaultdict(list)
    by_number: dict[int, Folder] = {}
    for folder in others:
        job = holders.of(folder)
        if job is not None:
            inside[job.id, folder.tracker].append(folder)
            by_number[job.id] = job
    for (number, _), found in inside.items():
        if len({identities[folder.id] for folder in found}) > 1:
            continue
        job = by_number[number]
        for folder in found:
            if folder.id in joins:
                # What ties it to a run ties the job that it lies in.
                known = joins[folder.id]
                detail = f"{folder.path} lies in it. {known.detail}"
                joins.setdefault(number, Join(known.identity, known.kind, detail))
            else:
                detail = f"It lies in the output folder {job.path} of one job."
                joins[folder.id] = Join(identities[number], "inside-job", detail)


class _Extremes:
    """Metric histories by name and extremes."""

    def __init__(self, connection: Connection, identities: Mapping[int, str]) -> None:
        self._identities = identities
        self._keys: dict[int, set[tuple[str, float, float]]] = defaultdict(set)
        series, names = table_of(MetricSeries), table_of(MetricName)
        for number, name, lowest, highest in fetched(
            connection,
            select(series.c.run_directory_id, names.c.name, series.c.lowest, series.c.highest)
            .join(names, names.c.id == series.c.metric_name_id)
            .where(series.c.point_count > 2, series.c.lowest < series.c.highest),
        ):
            if not _COUNTERS.search(name):
                key = (common_metric(name), float32(lowest), float32(highest))
                self._keys[int(number)].add(key)

    def join(self, folders: list[Folder], runs: list[Folder], joins: dict[int, Join]) -> None:
        """Join folders to the one run that recorded the same, if that run fits no other folder."""
        recorded: dict[tuple[str, float, float], set[int]] = defaultdict(set)
        by_number = {run.id: run for run in runs}
        for run in runs:
            for key in self._keys.get(run.id, ()):
                recorded[key].add(run.id)
        told: dict[tuple[str, tuple[str, float, float]], list[Folder]] = defaultdict(list)
        for folder in folders:
            for key in self._keys.get(folder.id, ()):
                told[folder.tracker, key].append(folder)
        for folder in folders:
            fits: dict[str, list[str]] = defaultdict(list)
            target = None
            for key in sorted(self._keys.get(folder.id, ())):
                found: dict[str, bool] = {}
                for run in _of_its_tree(
                    folder,
                    [
                        by_number[number]
                        for number in sorted(recorded.get(key, ()))
                        if _overlap(folder, by_number[number])
                    ],
                ):
                    rivals = _rivals(folder, run, told[folder.tracker, key])
                    is_only = len({self._identities[one.id] for one in rivals}) == 1
                    identity = self._identities[run.id]
                    found[identity] = found.get(identity, True) and is_only
                for identity, is_only in found.items():
                    fits[identity].append(key[0] if is_only else "")
            if len(fits) == 1:
                ((target, names),) = fits.items()
            if target is not None and all(names):
                shown = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
                detail = f"Its {shown} ran between the same extremes, to all digits."
                joins[folder.id] = Join(target, "same-metrics", detail)


def _overlap(one: Folder, other: Folder) -> bool:
    """Say whether two folders can tell of one time, as far as their times are known."""
    return not (
        (one.started_at and other.ended_at and _later(one.started_at, other.ended_at))
        or (other.started_at and one.ended_at and _later(other.started_at, one.ended_at))
    )


def _later(start: str, end: str) -> bool:
    return datetime.fromisoformat(start) > datetime.fromisoformat(end) + _WITHIN


def _settled(joins: dict[int, Join], identities: Mapping[int, str]) -> dict[int, Join]:
    """Let all folders of one run follow the join of any, and follow joins to a run that stands."""
    targets: dict[str, dict[str, Join]] = defaultdict(dict)
    for number, join in joins.items():
        targets[identities[number]].setdefault(join.identity, join)
    moved = {own: next(iter(found.values())) for own, found in targets.items() if len(found) == 1}
    settled = {}
    for number, own in identities.items():
        first = joins.get(number) or moved.get(own)
        if first is None:
            continue
        identity, seen = first.identity, {own}
        while identity in moved and identity not in seen:
            seen.add(identity)
            identity = moved[identity].identity
        if identity != own:
            settled[number] = Join(identity, first.kind, first.detail)
    return settled
