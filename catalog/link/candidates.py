"""Which runs to weigh for a checkpoint: found by indexes, never all of them."""

from __future__ import annotations

import bisect
import posixpath
from collections import defaultdict
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.link.evidence.artifacts import parsed
from catalog.link.limits import CLOCK_SLACK
from catalog.link.names import names_of_file, names_of_place
from catalog.link.places import folder_of
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import MetricSeries, MetricSummary

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable

    from sqlalchemy import Connection

    from catalog.link.names import Names
    from catalog.link.subjects import RunFolder, Subject
    from catalog.settings import Settings

NEIGHBOURS = 40
"""Runs of the checkpoint's own project are all weighed if there are no more than this."""


_PLACES = 64
"""Places whose runs are kept at a time."""


class Finder:
    """Indexes over all run folders; `find` returns those that something speaks for."""

    def __init__(
        self,
        connection: Connection,
        folders: Iterable[RunFolder],
        subjects: Collection[Subject],
        names: Names,
        settings: Settings,
    ) -> None:
        self._tolerance = timedelta(seconds=settings.link_tolerance)
        self._names = names
        self._by_number: dict[int, RunFolder] = {}
        self._by_id: dict[str, list[RunFolder]] = defaultdict(list)
        self._by_run: dict[int, list[RunFolder]] = defaultdict(list)
        self._by_line: dict[str, list[RunFolder]] = defaultdict(list)
        self._by_named: dict[str, list[RunFolder]] = defaultdict(list)
        self._by_place: dict[str, list[RunFolder]] = defaultdict(list)
        self._by_digest: dict[str, list[RunFolder]] = defaultdict(list)
        self._of_place: dict[object, _Kept] = {}
        self.by_project: dict[str, list[RunFolder]] = defaultdict(list)
        jobs = {subject.job.path for subject in subjects if subject.job is not None}
        stamped: list[tuple[datetime, int]] = []
        started: list[tuple[datetime, int]] = []
        for folder in folders:
            self._by_number[folder.id] = folder
            self.by_project[folder.project].append(folder)
            if folder.tracker_run_id is not None:
                self._by_id[folder.tracker_run_id].append(folder)
            if folder.run_id is not None:
                self._by_run[folder.run_id].append(folder)
            if folder.stamp is not None:
                stamped.append((folder.stamp, folder.id))
            if folder.started_at is not None:
                started.append((folder.started_at.replace(tzinfo=None), folder.id))
            for said in folder.mentions.get("log-line", ()):
                self._by_line[said.text].append(folder)
            for said in folder.mentions.get("artifact-checkpoint", ()):
                logged = parsed(said.text)
                if logged is not None:
                    self._by_digest[logged.digest].append(folder)
            for role in ("output-dir", "checkpoint-path", "logging-dir", "saved-file"):
                for said in folder.mentions.get(role, ()):
                    for name in said.text.split("/"):
                        self._by_named[name].append(folder)
            for above in _above(folder.path):
                if above in jobs:
                    self._by_place[above].append(folder)
        self._stamped = sorted(stamped)
        self._started = sorted(started)
        self._by_value = _by_value(
            connection, {score for subject in subjects for score in subject.known_scores}
        )

    def find(self, subject: Subject) -> list[RunFolder]:
        """Return the run folders to weigh, in order of their paths.

        It is one and the same list for all checkpoints of one place that no score of their own
        suggests a further run for.
        """
        # Where it lies, what it is called by, and nothing else, decides on all but the scores.
        stated = subject.stated_run_ids
        place = (subject.place, *stated) if stated else subject.place
        kept = self._of_place.get(place)
        if kept is None:
            if len(self._of_place) >= _PLACES:  # checkpoints come in order of their paths
                self._of_place.clear()
            kept = self._of_place[place] = _Kept(self._find_by_place(subject))
        more = {folder.id: folder for folder in self._by_score(subject, kept.numbers)}
        for plain in names_of_file(subject.path):
            for folder in self._named(plain):
                if folder.id not in kept.numbers:
                    more[folder.id] = folder
        if subject.md5 is not None:
            for folder in self._by_digest.get(subject.md5, ()):
                if folder.id not in kept.numbers:
                    more[folder.id] = folder
        return sorted((*kept.folders, *more.values()), key=_order) if more else kept.folders

    def _find_by_place(self, subject: Subject) -> list[RunFolder]:
        found: dict[int, RunFolder] = {}

        def take(folders: Iterable[RunFolder]) -> None:
            for folder in folders:
                found[folder.id] = folder

        take(above for above in subject.folders if above.id in self._by_number)
        for name in subject.names_above:
            take(self._by_id.get(name, ()))
        for said in subject.stated_run_ids:
            for name in said.text.split("/"):
                take(self._by_id.get(name, ()))
        job = subject.job
        if job is not None:
            take(self._by_place.get(job.path, ()))
            for said in job.mentions.get("log-line", ()):
                take(self._by_line.get(said.text, ()))
        for key in subject.place.keys:
            for tail in key:
                take(self._by_named.get(tail.rpartition("/")[2], ()))
        for plain in names_of_place(subject.place):
            take(self._named(plain))
        take(self._in_time(subject))
        for above in _above(subject.path):
            neighbours = self.by_project.get(above, ())
            if 0 < len(neighbours) <= NEIGHBOURS:
                take(neighbours)
            if neighbours:
                break
        return sorted(found.values(), key=_order)

    def original(self, folder: RunFolder) -> RunFolder:
        """Return the folder that a copy of W&B's latest run repeats, where it is there.

        Of a folder that is gone, the place where it was moved to: the same run, start and name.
        """
        if folder.run_id is None or not (folder.copy_of_latest or folder.is_gone):
            return folder
        name = posixpath.basename(folder.path)
        for other in self._by_run[folder.run_id]:
            if other.started_at != folder.started_at or other.copy_of_latest or other is folder:
                continue
            if folder.copy_of_latest or (
                not other.is_gone and posixpath.basename(other.path) == name
            ):
                return other
        return folder

    def _named(self, plain: str) -> list[RunFolder]:
        """Return the runs that are called so; a name that hundreds share finds nobody."""
        found = self._names.folders(plain)
        return found if len(found) <= NEIGHBOURS else []

    def _in_time(self, subject: Subject) -> Iterable[RunFolder]:
        if subject.stamp is None:
            return
        index = self._started if subject.stamp_in_utc else self._stamped
        start = subject.stamp - timedelta(seconds=CLOCK_SLACK)
        place = bisect.bisect_left(index, (start, 0))
        while place < len(index) and index[place][0] <= subject.stamp + self._tolerance:
            yield self._by_number[index[place][1]]
            place += 1

    def _by_score(self, subject: Subject, known: Container[int]) -> Iterable[RunFolder]:
        """Yield the run folders that recorded a checkpoint's score, but for those known."""
        for score in subject.known_scores:
            numbers = self._by_value.get(score, ())
            # A score that hundreds of runs share (0.0, 1.0) finds nobody.
            if len(numbers) <= NEIGHBOURS:
                for number in numbers:
                    if number not in known and number in self._by_number:
                        yield self._by_number[number]


class _Kept:
    """The run folders to weigh for the checkpoints of a place, whatever their scores."""

    def __init__(self, folders: list[RunFolder]) -> None:
        self.folders = folders
        self.numbers = {folder.id for folder in folders}


_order = attrgetter("host", "path")


def _by_value(connection: Connection, scores: set[float]) -> dict[float, set[int]]:
    """Return the run directories whose best, worst or summary value of any metric is a score."""
    series, summaries = table_of(MetricSeries), table_of(MetricSummary)
    found: dict[float, set[int]] = defaultdict(set)
    for part in chunks(sorted(scores)):
        for column, folder in (
            (series.c.lowest, series.c.run_directory_id),
            (series.c.highest, series.c.run_directory_id),
            (summaries.c.value, summaries.c.run_directory_id),
        ):
            for value, number in fetched(
                connection,
                select(column, folder).where(column.in_(part)).distinct(),
            ):
                found[float(value)].add(int(number))
    return found


def _above(path: str) -> Iterable[str]:
    """Yield the folders above a path, the nearest first, but for the root."""
    above = folder_of(path)
    while len(above) > 1:
        yield above
        above = folder_of(above)
