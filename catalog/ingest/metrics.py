"""Histories and summaries of runs to rows: the bulk of what a catalog holds.

A run of 50,000 steps has hundreds of thousands of points, so they go to the driver as tuples and
past the ORM and SQLAlchemy's parameter handling. Metrics that were logged together share one
axis: step and time are stored once a row of history, not once a value.
"""

from __future__ import annotations

import math
from itertools import chain, count, islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import insert, select

from catalog.schema.canonical import clean, special
from catalog.schema.store import Store, chunks, table_of
from catalog.schema.tables import (
    MetricAxis,
    MetricAxisPoint,
    MetricDefinition,
    MetricName,
    MetricPoint,
    MetricSeries,
    MetricSummary,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlmodel import SQLModel

    from catalog.sources.facts import Facts, Series

_ROWS_AT_ONCE = 10_000
"""Rows handed to the driver together."""
_ROWS_A_STATEMENT = 100
"""Rows of one INSERT on SQLite, whose oldest limit is 999 values a statement."""

_POINT = ("series_id", "position", "value", "special")
_AXIS_POINT = ("axis_id", "position", "step", "time")


class _Axis(NamedTuple):
    number: int
    steps: Sequence[int | None]
    times: Sequence[float | None]


class MetricWriter:
    """Writes what files tell of metrics, in the transaction of a `Store`.

    Args:
        store: hands out numbers and writes parents.
        history: `full`; `last` keeps the last point of each series; `none` keeps none. What a
            series says as a whole (count, extremes, last value) is kept in any case.
    """

    def __init__(self, store: Store, history: str = "full") -> None:
        self._store = store
        self._history = history
        self._names: dict[str, int] = {}
        self._axes: list[_Axis] = []
        self._series: list[tuple[int, Sequence[float]]] = []

    def forget(self, files: Sequence[int]) -> None:
        """Delete what these files told before."""
        for model, points, column in (
            (MetricSeries, MetricPoint, "series_id"),
            (MetricAxis, MetricAxisPoint, "axis_id"),
        ):
            table = table_of(model)
            for part in chunks(files):
                old = self._store.connection.execute(
                    select(table.c.id).where(table.c.file_id.in_(part))
                )
                self._store.delete(points, column, [int(one) for one in old.scalars()])
            self._store.delete(model, "file_id", files)
        self._store.delete(MetricSummary, "file_id", files)
        self._store.delete(MetricDefinition, "file_id", files)

    def add(self, file_id: int, directory: int, said: Facts) -> None:
        """Remember what one file tells of the metrics of its run directory."""
        place = {"run_directory_id": directory, "file_id": file_id}
        axes: dict[tuple[int, int], int | None] = {}
        for series in said.series:
            # Readers let series that share an axis share its objects.
            which = (id(series.steps), id(series.times))
            if which not in axes:
                axes[which] = self._axis(file_id, series)
            self._add_series(place, series, axes[which])
        for summary in said.summaries:
            value, odd = special(summary.value)
            row = {"value": value, "special": odd}
            self._add(MetricSummary, place, summary.name, row)
        for one in said.definitions:
            row = {
                "step_metric": one.step_metric and clean(one.step_metric),
                "goal": one.goal,
                "summary": one.summary and clean(one.summary),
            }
            self._add(MetricDefinition, place, one.name, row)

    def flush(self) -> None:
        """Insert the points; the rows that they refer to must have been written."""
        # All series of a batch go in together: most have fewer points than a statement has rows.
        self._insert(
            MetricAxisPoint,
            _AXIS_POINT,
            chain.from_iterable(
                zip(repeat(axis.number), count(), axis.steps, axis.times, strict=False)
                for axis in self._axes
            ),
        )
        self._insert(
            MetricPoint,
            _POINT,
            chain.from_iterable(_points(number, values) for number, values in self._series),
        )
        self._axes.clear()
        self._series.clear()

    def _axis(self, file_id: int, series: Series) -> int | None:
        steps = [
            step if step is not None and -(2**63) <= step < 2**63 else None
            for step in self._kept(series.steps)
        ]
        times = self._kept(series.times)
        if all(step is None for step in steps) and all(time is None for time in times):
            return None
        number = self._store.number(MetricAxis)
        self._store.add(MetricAxis, {"id": number, "file_id": file_id})
        self._axes.append(_Axis(number, steps, times))
        return number

    def _add_series(self, place: dict[str, Any], series: Series, axis: int | None) -> None:
        finite = [value for value in series.values if math.isfinite(value)]
        steps = [step for step in series.steps if step is not None and -(2**63) <= step < 2**63]
        number = self._add(
            MetricSeries,
            place,
            series.name,
            {
                "axis_id": axis,
                "point_count": len(series.values),
                "first_step": min(steps, default=None),
                "last_step": max(steps, default=None),
                "lowest": min(finite, default=None),
                "highest": max(finite, default=None),
                "final": finite[-1] if finite else None,
            },
        )
        self._series.append((number, self._kept(series.values)))

    def _kept(self, values: Sequence[Any]) -> Sequence[Any]:
        if self._history == "full":
            return values
        return values[-1:] if self._history == "last" else ()

    def _add(
        self, model: type[SQLModel], place: dict[str, Any], metric: str, row: dict[str, Any]
    ) -> int:
        number = self._store.number(model)
        self._store.add(model, {"id": number, **place, "metric_name_id": self._name(metric), **row})
        return number

    def _name(self, text: str) -> int:
        name = clean(text)
        number = self._names.get(name)
        if number is None:
            table = table_of(MetricName)
            found = self._store.connection.execute(
                select(table.c.id).where(table.c.name == name)
            ).scalar()
            if found is None:
                number = self._store.number(MetricName)
                self._store.add(MetricName, {"id": number, "name": name})
            else:
                number = int(found)
            self._names[name] = number
        return number

    def _insert(
        self, model: type[SQLModel], columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        connection = self._store.connection
        table = table_of(model)
        if connection.dialect.name != "sqlite":
            for part in _parts(iter(rows), _ROWS_AT_ONCE):
                connection.execute(
                    insert(table), [dict(zip(columns, row, strict=True)) for row in part]
                )
            return
        # Many rows a statement: what SQLite does once a statement (the list of a CHECK, the
        # journal's savepoint) takes longer than the row itself.
        head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES "  # noqa: S608 - names from above
        marks = f"({', '.join('?' * len(columns))})"
        for part in _parts(iter(rows), _ROWS_AT_ONCE):
            whole = len(part) - len(part) % _ROWS_A_STATEMENT
            flat = [
                tuple(chain.from_iterable(part[begin : begin + _ROWS_A_STATEMENT]))
                for begin in range(0, whole, _ROWS_A_STATEMENT)
            ]
            if flat:
                connection.exec_driver_sql(head + ", ".join([marks] * _ROWS_A_STATEMENT), flat)
            if whole < len(part):
                connection.exec_driver_sql(head + marks, part[whole:])


def _parts(rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while part := list(islice(rows, size)):
        yield part


def _points(number: int, values: Sequence[float]) -> Iterable[tuple[Any, ...]]:
    if all(map(math.isfinite, values)):
        return zip(repeat(number), count(), values, repeat(None), strict=False)
    return ((number, place, *special(value)) for place, value in enumerate(values))
