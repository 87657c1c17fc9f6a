"""Histories and summaries of runs to rows: the bulk of what a catalog holds.

A run of 50,000 steps has hundreds of thousands of points, so they go to the driver as tuples and
past the ORM and SQLAlchemy's parameter handling. Metrics that were logged together share one
axis: step and time are stored once a row of history, not once a value.
"""

from __future__ import annotations

import math
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, update

from catalog.ingest.repeats import copy_axis, lend
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
    from collections.abc import Container, Iterable, Sequence

    from sqlmodel import SQLModel

    from catalog.sources.facts import Facts, Series

_POINT = ("series_id", "position", "value", "special")
_AXIS_POINT = ("axis_id", "position", "step", "time")


class _Axis(NamedTuple):
    number: int
    steps: Sequence[int | None]
    times: Sequence[float | None]
    first: int = 0
    """Position of the first of them: those before stand already."""


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
        self._series: list[tuple[int, Sequence[float], int]] = []
        """Number, values, and the position of the first of them."""
        self._ends: dict[int, tuple[int | None, int | None]] = {}
        """Least and greatest step of an axis, of which most have several series."""
        self._grown: list[dict[str, Any]] = []
        """What is new of known series."""
        self._copied: list[tuple[int, int, int]] = []
        """(old, new, how many of its first points) of axes that are copied."""

    def forget(self, files: Sequence[int], *, but_series: Container[int] = ()) -> None:
        """Delete what these files told before, of some of them all but the histories."""
        told_anew = [number for number in files if number not in but_series]
        lend(self._store, told_anew)
        for model, points, column in (
            (MetricSeries, MetricPoint, "series_id"),
            (MetricAxis, MetricAxisPoint, "axis_id"),
        ):
            table = table_of(model)
            for part in chunks(told_anew):
                old = self._store.connection.execute(
                    select(table.c.id).where(table.c.file_id.in_(part))
                )
                self._store.delete(points, column, [int(one) for one in old.scalars()])
            self._store.delete(model, "file_id", told_anew)
        self._store.delete(MetricSummary, "file_id", files)
        self._store.delete(MetricDefinition, "file_id", files)

    def add(self, file_id: int, directory: int, said: Facts) -> None:
        """Remember what one file tells of the metrics of its run directory."""
        place = {"run_directory_id": directory, "file_id": file_id}
        axes: dict[tuple[int, int], int | None] = {}
        self._ends.clear()
        for series in self._without_known(file_id, said.series) if said.continues else said.series:
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
        for old, new, count_of in self._copied:
            copy_axis(self._store.connection, old, new, count_of)
        table = table_of(MetricSeries)
        for row in self._grown:
            number = row.pop("id")
            self._store.connection.execute(update(table).where(table.c.id == number).values(row))
        # All series of a batch go in together: most have fewer points than a statement has rows.
        self._store.insert_rows(
            MetricAxisPoint,
            _AXIS_POINT,
            chain.from_iterable(
                zip(repeat(axis.number), count(axis.first), axis.steps, axis.times, strict=False)
                for axis in self._axes
            ),
        )
        self._store.insert_rows(
            MetricPoint,
            _POINT,
            chain.from_iterable(_points(*one) for one in self._series),
        )
        self._axes.clear()
        self._series.clear()
        self._grown.clear()
        self._copied.clear()

    def _without_known(self, file_id: int, told: Sequence[Series]) -> list[Series]:
        """Add what is told of series that stand already to them; return the others.

        Series of one axis that were logged apart since get one each: they share it no more.
        """
        table, names = table_of(MetricSeries), table_of(MetricName)
        more = {clean(one.name): one for one in told}
        axes: dict[int, dict[tuple[int, int] | None, list[tuple[Any, Series | None]]]] = {}
        for row in self._store.connection.execute(
            select(table, names.c.name)
            .join(names, names.c.id == table.c.metric_name_id)
            .where(table.c.file_id == file_id)
            .order_by(table.c.id)
        ).mappings():
            one = more.pop(row["name"], None)
            which = None if one is None else (id(one.steps), id(one.times))
            axes.setdefault(row["axis_id"], {}).setdefault(which, []).append((row, one))
        for axis, groups in axes.items():
            for place, members in enumerate(groups.values()):
                (row, one), length = members[0], members[0][0]["point_count"]
                number = axis
                if place:
                    number = self._store.number(MetricAxis)
                    self._store.add(MetricAxis, {"id": number, "file_id": file_id})
                    self._copied.append((axis, number, length))
                if one is not None:
                    self._axes.append(_Axis(number, _steps(one.steps), one.times, length))
                for row, one in members:
                    grown = {} if one is None else self._grow(row, one)
                    if grown or place:
                        self._grown.append({"id": row["id"], "axis_id": number, **grown})
        return list(more.values())

    def _grow(self, row: Any, more: Series) -> dict[str, Any]:
        """Take the new points of a known series; return what changes in its row."""
        new = self._told(more)
        self._series.append((row["id"], more.values, row["point_count"]))
        return {
            "point_count": row["point_count"] + new["point_count"],
            "first_step": _least(row["first_step"], new["first_step"]),
            "last_step": _greatest(row["last_step"], new["last_step"]),
            "lowest": _least(row["lowest"], new["lowest"]),
            "highest": _greatest(row["highest"], new["highest"]),
            "final": row["final"] if new["final"] is None else new["final"],
            "finite_count": (row["finite_count"] or 0) + new["finite_count"],
            "special": new["special"],
            "special_from": (
                row["special_from"]
                if row["special"] and not new["finite_count"]
                else new["special_from"]
            ),
        }

    def _told(self, series: Series) -> dict[str, Any]:
        """Return what a series says as a whole."""
        ends = self._ends.get(id(series.steps))
        if ends is None:
            steps = [step for step in _steps(series.steps) if step is not None]
            ends = min(steps, default=None), max(steps, default=None)
            self._ends[id(series.steps)] = ends
        finite, odd, odd_from = series.values, None, None
        if not _all_finite(finite):
            finite = tuple(filter(math.isfinite, finite))
            odd = special(series.values[-1])[1]
            odd_from = _steps((_diverged_from(series),))[0]
        return {
            "point_count": len(series.values),
            "first_step": ends[0],
            "last_step": ends[1],
            "lowest": min(finite, default=None),
            "highest": max(finite, default=None),
            "final": finite[-1] if finite else None,
            "finite_count": len(finite),
            "special": odd,
            "special_from": odd_from,
        }

    def _axis(self, file_id: int, series: Series) -> int | None:
        steps = _steps(self._kept(series.steps))
        times = self._kept(series.times)
        if all(step is None for step in steps) and all(time is None for time in times):
            return None
        number = self._store.number(MetricAxis)
        self._store.add(MetricAxis, {"id": number, "file_id": file_id})
        self._axes.append(_Axis(number, steps, times))
        return number

    def _add_series(self, place: dict[str, Any], series: Series, axis: int | None) -> None:
        row = {"axis_id": axis, **self._told(series)}
        number = self._add(MetricSeries, place, series.name, row)
        self._series.append((number, self._kept(series.values), 0))

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


def _diverged_from(series: Series) -> int | None:
    """Return the step of the first point behind the last finite one, None where there is none."""
    place = len(series.values)
    while place and not math.isfinite(series.values[place - 1]):
        place -= 1
    return series.steps[place] if place < len(series.values) else None


def _points(number: int, values: Sequence[float], first: int) -> Iterable[tuple[Any, ...]]:
    if _all_finite(values):
        return zip(repeat(number), count(first), values, repeat(None), strict=False)
    return ((number, place, *special(value)) for place, value in enumerate(values, first))


def _all_finite(values: Sequence[float]) -> bool:
    # A sum with NaN or an infinity in it is not finite; one that only overflows is looked at again.
    return math.isfinite(sum(values)) or all(map(math.isfinite, values))


def _steps(steps: Sequence[int | None]) -> list[int | None]:
    """Return steps as a column of 64 bits holds them."""
    return [step if step is not None and -(2**63) <= step < 2**63 else None for step in steps]


def _least(*values: Any) -> Any:
    return min((value for value in values if value is not None), default=None)


def _greatest(*values: Any) -> Any:
    return max((value for value in values if value is not None), default=None)
