"""What weighing needs beyond the two sides: configs, metrics, settings, the other folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from catalog.ingest.store import table_of
from catalog.link.numbers import float32
from catalog.schema.tables import (
    File,
    MetricName,
    MetricPoint,
    MetricSeries,
    MetricSummary,
    RunDirectory,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catalog.link.inputs import Inputs
    from catalog.link.neighbours import Neighbours
    from catalog.link.subjects import Configs, RunFolder, Said
    from catalog.settings import Settings


class Recorded(NamedTuple):
    """The values that a run recorded of one metric."""

    values: dict[float, dict[int, int]]
    """Value as a 32-bit float: the file it stands in, by run directory."""
    points: int
    """Points of its history; 0 where only a summary or a part of it is known."""


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
    named: dict[int, list[tuple[Said, float]]] = field(default_factory=dict)
    """What run folders name as their output; kept by `paths`."""
    _recorded: dict[tuple[int, str], Recorded] = field(default_factory=dict)

    def recorded(self, run_id: int, metric: str) -> Recorded:
        """Return what all folders of a run recorded under a metric's name."""
        key = (run_id, metric)
        if key not in self._recorded:
            self._recorded[key] = self._read(run_id, metric)
        return self._recorded[key]

    def reached(self, run_id: int, metric: str) -> tuple[float, float] | None:
        """Return the least and the greatest value of a counter (`epoch`, `trainer/global_step`)."""
        values = self.recorded(run_id, metric).values
        return (min(values), max(values)) if values else None

    def has_whole_history(self, run_id: int, metric: str) -> bool:
        """Tell whether every folder of a run recorded a metric: none lost its stream."""
        recorded = {
            folder for files in self.recorded(run_id, metric).values.values() for folder in files
        }
        return self.places.folders_of(run_id) <= recorded

    def _read(self, run_id: int, metric: str) -> Recorded:
        names, folders = table_of(MetricName), table_of(RunDirectory)
        points, series = table_of(MetricPoint), table_of(MetricSeries)
        summaries, files = table_of(MetricSummary), table_of(File)
        values: dict[float, dict[int, int]] = {}
        # What was joined to the run by evidence (a Trainer's own log) cannot be evidence again.
        own = folders.c.joined_by.is_(None)

        def add(value: float | None, folder: int, file_id: int) -> None:
            if value is not None:
                values.setdefault(float32(value), {}).setdefault(int(folder), int(file_id))

        count = missing = 0
        for number, folder, file_id, in_file, *ends in self.connection.execute(
            select(
                series.c.id,
                series.c.run_directory_id,
                series.c.file_id,
                series.c.point_count,
                series.c.lowest,
                series.c.highest,
            )
            .join(names, names.c.id == series.c.metric_name_id)
            .join(folders, folders.c.id == series.c.run_directory_id)
            .join(files, files.c.id == series.c.file_id)
            .where(folders.c.run_id == run_id, names.c.name == metric, own)
            .order_by(files.c.path, series.c.id)
        ).all():
            kept = (
                self.connection.execute(
                    select(points.c.value)
                    .where(points.c.series_id == number)
                    .order_by(points.c.position)
                )
                .scalars()
                .all()
            )
            count += len(kept)
            missing += max(0, int(in_file) - len(kept))
            for value in (*kept, *ends):
                add(value, folder, file_id)
        for value, folder, file_id in self.connection.execute(
            select(summaries.c.value, summaries.c.run_directory_id, summaries.c.file_id)
            .join(names, names.c.id == summaries.c.metric_name_id)
            .join(folders, folders.c.id == summaries.c.run_directory_id)
            .join(files, files.c.id == summaries.c.file_id)
            .where(folders.c.run_id == run_id, names.c.name == metric, own)
            .order_by(files.c.path, summaries.c.id)
        ):
            add(value, folder, file_id)
        # Of a history that the catalog keeps only a part of, what is not there says nothing.
        return Recorded(values, 0 if missing else count)
