"""What weighing needs beyond the two sides: configs, metrics, settings, the other folders."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import func, select

from catalog.link.numbers import RATE
from catalog.schema.canonical import floats32
from catalog.schema.store import chunks, fetched_bare, table_of
from catalog.schema.tables import (
    ArchitectureTensor,
    File,
    MetricName,
    MetricPoint,
    MetricSeries,
    MetricSummary,
    RunDirectory,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from catalog.link.evidence import Weigher
    from catalog.link.evidence.configs import Compared
    from catalog.link.evidence.observation import Observation
    from catalog.link.inputs import Inputs
    from catalog.link.loading import Configs
    from catalog.link.names import Names
    from catalog.link.neighbours import Neighbours
    from catalog.link.subjects import RunFolder, Said
    from catalog.settings import Settings


class Recorded(NamedTuple):
    """The values that a run recorded of one metric."""

    values: dict[float, dict[int, int]]
    """Value as a 32-bit float: the file it stands in, by run directory."""
    points: int
    """Points of its history; 0 where only a summary or a part of it is known."""
    reached: tuple[float, float] | None
    """The least and the greatest value."""
    folders: frozenset[int]
    """The run directories that any value stands in."""


class _Reading:
    """What is read of one run's metric, row by row, in the order in which files are believed."""

    def __init__(self) -> None:
        self._values: dict[float, dict[int, int]] = {}
        self._folders: set[int] = set()
        self._count = self._missing = 0

    def add(self, values: Iterable[float | None], folder: int, file_id: int) -> None:
        """Take the values of one file; of several files that state one the first counts."""
        where = {folder: file_id}  # one dict serves many values and is never changed
        told = dict.fromkeys(floats32([one for one in values if one is not None]), where)
        if told:
            self._folders.add(folder)
        if not self._values:
            self._values = told
            return
        for value in told:
            before = self._values.get(value)
            if before is None:
                self._values[value] = where
            elif folder not in before:
                self._values[value] = before | where

    def took(self, kept: int, in_file: int) -> None:
        """Count the points of one series: those kept, and all that its file held."""
        self._count += kept
        self._missing += max(0, in_file - kept)

    def done(self) -> Recorded:
        """Return it all; of a history that is kept in part, what is not there says nothing."""
        values = self._values
        return Recorded(
            values,
            0 if self._missing else self._count,
            (min(values), max(values)) if values else None,
            frozenset(self._folders),
        )


class Stated(NamedTuple):
    """The folders and names in a config."""

    outputs: list[tuple[str, float]]
    """Folders that a run writes to, with what each can tell."""
    inputs: list[str]
    """Folders that checkpoints are read from."""
    names: list[tuple[str, str]]
    """What can be the name of a training, with its key."""


_Key = tuple[int, str]
Kept: TypeAlias = "list[tuple[Observation, ...] | Weigher]"
"""What kinds of evidence saw of a place and a run folder; themselves where more counts."""
_PLACES = 64
"""Places of which evidence is kept at a time."""
_MOST_RECORDED = 10_000
_MOST_CONFIGS = 4_000
"""Metrics of runs, and configs, that are kept at a time; a catalog may hold a million of them."""
_NAMES_AT_ONCE = 100
"""Metrics in one query: with a chunk of runs they are below the limit of every SQLite."""
_NOTHING = Recorded({}, 0, None, frozenset())


@dataclass(slots=True)
class Context:
    """Shared by all evidence of one linking."""

    connection: Connection
    settings: Settings
    configs: Configs
    projects: dict[str, list[RunFolder]]
    """Run folders by the project folder that they belong to."""
    places: Neighbours
    inputs: Inputs
    called: Names
    named: dict[int, list[tuple[Said, float]]] = field(default_factory=dict)
    """What run folders name as their output; kept by `paths`."""
    read_from: dict[int, tuple[Said, ...]] = field(default_factory=dict)
    """What run folders name as a place that they read from; kept by `paths`."""
    names: dict[int, list[tuple[str, str, int]]] = field(default_factory=dict)
    """(name, key, file) of what run folders are called; kept by `paths`."""
    stated: dict[int, Stated] = field(default_factory=dict)
    """Folders and names in configs; kept by `paths`."""
    own_projects: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """The project around a folder of a host; kept by `paths`."""
    compared: dict[tuple[int, int], Compared] = field(default_factory=dict)
    """Two configs against each other; kept by `configs`."""
    counted: dict[tuple[int, bool, bool], list[tuple[str, Recorded]]] = field(default_factory=dict)
    """What runs recorded of the counters of epochs and steps; kept by `numbers`."""
    _recorded: dict[_Key, Recorded] = field(default_factory=dict)
    _metrics: dict[str, int] = field(default_factory=dict)
    """Numbers of all metric names."""
    sized: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Configs that name sizes, as documents; kept by `architecture`."""
    contradictions: dict[tuple[int, int], str] = field(default_factory=dict)
    """What a config and an architecture contradict each other in; kept by `architecture`."""
    _shapes: dict[int, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    _rates: tuple[str, ...] | None = None
    _longest: dict[int, int] | None = None
    """Points of the longest series, by run directory."""
    _of_place: dict[object, dict[int, Kept]] = field(default_factory=dict)

    def of_place(self, place: object) -> dict[int, Kept]:
        """Return, by run folder, what is known of the checkpoints of a place; to be added to."""
        kept = self._of_place.get(place)
        if kept is None:
            if len(self._of_place) >= _PLACES:  # checkpoints come in order of their paths
                self._of_place.clear()
            kept = self._of_place[place] = {}
        return kept

    def let_go(self) -> None:
        """Forget what can be read again, where it has become much."""
        if len(self._recorded) > _MOST_RECORDED:
            self._recorded.clear()
            self.counted.clear()
        if len(self.configs) > _MOST_CONFIGS:
            self.configs.clear()
            self.compared.clear()

    def recorded(self, run_id: int, metric: str) -> Recorded:
        """Return what all folders of a run recorded under a metric's name."""
        key = (run_id, metric)
        if key not in self._recorded:
            self.load_recorded((run_id,), (metric,))
        return self._recorded[key]

    def reached(self, run_id: int, metric: str) -> tuple[float, float] | None:
        """Return the least and the greatest value of a counter (`epoch`, `trainer/global_step`)."""
        return self.recorded(run_id, metric).reached

    def has_whole_history(self, run_id: int, metric: str) -> bool:
        """Tell whether every folder of a run recorded a metric: none lost its stream."""
        return self.places.folders_of(run_id) <= self.recorded(run_id, metric).folders

    def shapes(self, architecture_id: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of an architecture's tensors by name."""
        if architecture_id not in self._shapes:
            table = table_of(ArchitectureTensor)
            rows = self.connection.execute(
                select(table.c.name, table.c.shape).where(
                    table.c.architecture_id == architecture_id
                )
            )
            self._shapes[architecture_id] = {name: tuple(json.loads(shape)) for name, shape in rows}
        return self._shapes[architecture_id]

    def rate_names(self) -> tuple[str, ...]:
        """Return the names of all metrics that are learning rates."""
        if self._rates is None:
            self._rates = tuple(sorted(filter(RATE.search, self._metric_numbers())))
        return self._rates

    def longest_history(self, run_id: int) -> int | None:
        """Return the points of a run's longest series; None if only a part of it has a history."""
        if self._longest is None:
            table = table_of(MetricSeries)
            rows = self.connection.execute(
                select(table.c.run_directory_id, func.max(table.c.point_count)).group_by(
                    table.c.run_directory_id
                )
            )
            self._longest = {int(folder): int(points) for folder, points in rows}
        found = [self._longest.get(folder, 0) for folder in self.places.folders_of(run_id)]
        return None if 0 in found and any(found) else max(found, default=None)

    def load_recorded(self, run_ids: Iterable[int], metrics: Iterable[str]) -> None:
        """Read what runs recorded of metrics, many at once, as far as it is not there yet."""
        names = sorted(metrics)
        wanted = {key for key in product(run_ids, names) if key not in self._recorded}
        known = self._metric_numbers()
        for part in chunks(sorted({run_id for run_id, _metric in wanted})):
            found: dict[_Key, _Reading] = {}
            for start in range(0, len(names), _NAMES_AT_ONCE):
                some = names[start : start + _NAMES_AT_ONCE]
                numbers = {known[name]: name for name in some if name in known}
                if numbers:
                    found |= self._read(part, numbers)
            for key in wanted.intersection(product(part, names)):
                self._recorded[key] = found[key].done() if key in found else _NOTHING

    def _metric_numbers(self) -> dict[str, int]:
        if not self._metrics:
            table = table_of(MetricName)
            rows = self.connection.execute(select(table.c.name, table.c.id))
            self._metrics = {name: int(number) for name, number in rows}
        return self._metrics

    def _read(self, run_ids: Sequence[int], metrics: dict[int, str]) -> dict[_Key, _Reading]:
        folders, files = table_of(RunDirectory), table_of(File)
        series, summaries = table_of(MetricSeries), table_of(MetricSummary)
        found: dict[_Key, _Reading] = defaultdict(_Reading)
        # What was joined to the run by evidence (a Trainer's own log) cannot be evidence again.
        own = folders.c.run_id.in_(run_ids) & folders.c.joined_by.is_(None)
        rows = self.connection.execute(
            select(
                func.coalesce(series.c.points_of, series.c.id),
                series.c.metric_name_id,
                folders.c.run_id,
                series.c.run_directory_id,
                series.c.file_id,
                series.c.point_count,
                series.c.lowest,
                series.c.highest,
            )
            .join(folders, folders.c.id == series.c.run_directory_id)
            .join(files, files.c.id == series.c.file_id)
            .where(own, series.c.metric_name_id.in_(list(metrics)))
            .order_by(files.c.path, series.c.id)
        ).all()
        points = self._points([row[0] for row in rows])
        for number, metric, run_id, folder, file_id, in_file, *ends in rows:
            kept = points.get(number, [])[:in_file]  # of a longer series that begins alike
            reading = found[run_id, metrics[metric]]
            reading.took(len(kept), in_file)
            reading.add((*kept, *ends), folder, file_id)
        for metric, run_id, value, folder, file_id in self.connection.execute(
            select(
                summaries.c.metric_name_id,
                folders.c.run_id,
                summaries.c.value,
                summaries.c.run_directory_id,
                summaries.c.file_id,
            )
            .join(folders, folders.c.id == summaries.c.run_directory_id)
            .join(files, files.c.id == summaries.c.file_id)
            .where(own, summaries.c.metric_name_id.in_(list(metrics)))
            .order_by(files.c.path, summaries.c.id)
        ):
            found[run_id, metrics[metric]].add((value,), folder, file_id)
        return found

    def _points(self, numbers: Sequence[int]) -> dict[int, list[float | None]]:
        """Return the kept values of series, in their order."""
        table = table_of(MetricPoint)
        found: dict[int, list[float | None]] = {}
        for part in chunks(sorted(set(numbers))):
            inside = table.c.series_id.in_(part)
            counts = self.connection.execute(
                select(table.c.series_id, func.count())
                .where(inside)
                .group_by(table.c.series_id)
                .order_by(table.c.series_id)
            ).all()
            query = select(table.c.value).where(inside)
            query = query.order_by(table.c.series_id, table.c.position)
            values = [value for (value,) in fetched_bare(self.connection, query)]
            end = 0
            for number, count in counts:
                start, end = end, end + count
                found[number] = values[start:end]
        return found
