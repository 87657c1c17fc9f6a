"""What weighing needs beyond the two sides: configs, metrics, settings, the other folders."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from catalog.ingest.store import table_of
from catalog.schema.tables import MetricName, MetricPoint, MetricSeries, MetricSummary, RunDirectory

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catalog.link.subjects import Configs, RunFolder
    from catalog.settings import Settings


class Recorded(NamedTuple):
    """The values that a run recorded of one metric."""

    values: dict[float, dict[int, int]]
    """Value as a 32-bit float: the file it stands in, by run directory."""
    points: int
    """Points of its history; 0 where only a summary is known."""


@dataclass(slots=True)
class Context:
    """Shared by all evidence of one linking."""

    connection: Connection
    settings: Settings
    configs: Configs
    projects: dict[str, list[RunFolder]]
    """Run folders by the project folder that they belong to."""
    _recorded: dict[tuple[int, str], Recorded] = field(default_factory=dict)
    _last_steps: dict[tuple[int, str], int | None] = field(default_factory=dict)

    def recorded(self, run_id: int, metric: str) -> Recorded:
        """Return what all folders of a run recorded under a metric's name."""
        key = (run_id, metric)
        if key not in self._recorded:
            self._recorded[key] = self._read(run_id, metric)
        return self._recorded[key]

    def last_step(self, run_id: int, metric: str) -> int | None:
        """Return the greatest value of a counter metric (`epoch`, `trainer/global_step`)."""
        key = (run_id, metric)
        if key not in self._last_steps:
            values = self.recorded(run_id, metric).values
            self._last_steps[key] = int(max(values)) if values else None
        return self._last_steps[key]

    def _read(self, run_id: int, metric: str) -> Recorded:
        names, folders = table_of(MetricName), table_of(RunDirectory)
        points, series = table_of(MetricPoint), table_of(MetricSeries)
        summaries = table_of(MetricSummary)
        values: dict[float, dict[int, int]] = {}
        count = 0
        for value, folder, file_id in self.connection.execute(
            select(points.c.value, series.c.run_directory_id, series.c.file_id)
            .join(series, series.c.id == points.c.series_id)
            .join(names, names.c.id == series.c.metric_name_id)
            .join(folders, folders.c.id == series.c.run_directory_id)
            .where(folders.c.run_id == run_id, names.c.name == metric)
        ):
            count += 1
            if value is not None:
                values.setdefault(float32(value), {}).setdefault(int(folder), int(file_id))
        for value, folder, file_id in self.connection.execute(
            select(summaries.c.value, summaries.c.run_directory_id, summaries.c.file_id)
            .join(names, names.c.id == summaries.c.metric_name_id)
            .join(folders, folders.c.id == summaries.c.run_directory_id)
            .where(folders.c.run_id == run_id, names.c.name == metric)
        ):
            if value is not None:
                values.setdefault(float32(value), {}).setdefault(int(folder), int(file_id))
        return Recorded(values, count)


def float32(value: float) -> float:
    """Return the nearest 32-bit float: trackers widen what a checkpoint keeps in 32 bits."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return value
