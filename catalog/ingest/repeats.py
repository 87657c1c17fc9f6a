"""Histories that several files repeat are stored once.

Each `checkpoint-N/trainer_state.json` of the Hugging Face Trainer holds all that was logged up to
its own step. A series that another one begins with keeps its row (count, extremes, last value)
and points to the longer one, `metric_series.points_of`; its points go. Before the longer one is
forgotten they come back (`lend`), so that no order of reading loses any.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, func, insert, literal, or_, select, update

from catalog.schema.store import Store, chunks, table_of
from catalog.schema.tables import (
    File,
    MetricAxis,
    MetricAxisPoint,
    MetricPoint,
    MetricSeries,
    RunDirectory,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

_READER = "trainer-state"


def store_once(connection: Connection) -> None:
    """Drop the points of series that a longer one of the same run begins with."""
    store = Store(connection)
    emptied: dict[int, list[int]] = {}
    same_axes: dict[tuple[int, int, int], bool] = {}
    for _, group in groupby(_series(connection), lambda row: (row.run_id, row.metric_name_id)):
        holders: list[Any] = []
        for row in group:
            if row.points_of is not None:
                continue
            holder = next(
                (one for one in holders if _begins(connection, one, row, same_axes)), None
            )
            if holder is None:
                holders.append(row)
                continue
            _point_to(connection, row, holder)
            store.delete(MetricPoint, "series_id", [row.id])
            emptied.setdefault(row.file_id, []).append(row.axis_id)
    for file_id, axes in emptied.items():
        table = table_of(MetricSeries)
        used = set(
            connection.execute(select(table.c.axis_id).where(table.c.file_id == file_id)).scalars()
        )
        gone = sorted(set(axes) - used)
        store.delete(MetricAxisPoint, "axis_id", gone)
        store.delete(MetricAxis, "id", gone)


def lend(store: Store, files: Collection[int]) -> None:
    """Give the series of other files the points that are only kept with those of `files`."""
    connection = store.connection
    table = table_of(MetricSeries)
    lent: list[Any] = []
    for part in chunks(sorted(files)):
        holders = select(table.c.id).where(table.c.file_id.in_(part))
        lent += connection.execute(
            select(table).where(table.c.points_of.in_(holders), table.c.file_id.not_in(files))
        ).all()
    axes: dict[tuple[int, int, int], int] = {}
    for row in lent:
        length = row.point_count
        _copy(connection, MetricPoint, "series_id", row.points_of, row.id, length)
        which = row.file_id, row.axis_id, length
        if which not in axes:
            axes[which] = number = store.number(MetricAxis)
            connection.execute(insert(table_of(MetricAxis)).values(id=number, file_id=row.file_id))
            _copy(connection, MetricAxisPoint, "axis_id", row.axis_id, number, length)
        connection.execute(
            update(table).where(table.c.id == row.id).values(points_of=None, axis_id=axes[which])
        )


def copy_axis(connection: Connection, old: int, new: int, length: int) -> None:
    """Give a new axis the first points of another one."""
    _copy(connection, MetricAxisPoint, "axis_id", old, new, length)


def _series(connection: Connection) -> Sequence[Any]:
    """Return the series of all trainings, longest first by run and metric."""
    series, folders, files = table_of(MetricSeries), table_of(RunDirectory), table_of(File)
    return connection.execute(
        select(
            series.c.id,
            series.c.file_id,
            series.c.metric_name_id,
            series.c.axis_id,
            series.c.point_count,
            series.c.points_of,
            folders.c.run_id,
        )
        .join(files, files.c.id == series.c.file_id)
        .join(folders, folders.c.id == series.c.run_directory_id)
        .where(
            files.c.reader == _READER, folders.c.run_id.is_not(None), series.c.axis_id.is_not(None)
        )
        .order_by(
            folders.c.run_id, series.c.metric_name_id, series.c.point_count.desc(), series.c.id
        )
    ).all()


def _begins(
    connection: Connection, holder: Any, row: Any, same_axes: dict[tuple[int, int, int], bool]
) -> bool:
    """Say whether a series begins with all that another one holds."""
    which = holder.axis_id, row.axis_id, row.point_count
    if which not in same_axes:
        same_axes[which] = _same(connection, MetricAxisPoint, "axis_id", *which)
    return same_axes[which] and _same(
        connection, MetricPoint, "series_id", holder.id, row.id, row.point_count
    )


def _same(
    connection: Connection, model: Any, key: str, longer: int, shorter: int, count: int
) -> bool:
    table = table_of(model)
    one, other = table.alias(), table.alias()
    values = [column.name for column in table.c if column.name not in (key, "position")]
    differs = or_(other.c[key].is_(None), *(one.c[n].is_distinct_from(other.c[n]) for n in values))
    both = one.outerjoin(other, and_(other.c[key] == longer, other.c.position == one.c.position))
    wrong = select(literal(1)).select_from(both).where(one.c[key] == shorter, differs).limit(1)
    kept = select(func.count()).select_from(table).where(table.c[key] == shorter)
    # A history of which only the last points were kept has nothing to share.
    return (
        connection.execute(kept).scalar_one() == count and connection.execute(wrong).first() is None
    )


def _point_to(connection: Connection, row: Any, holder: Any) -> None:
    table = table_of(MetricSeries)
    connection.execute(
        update(table)
        .where(or_(table.c.id == row.id, table.c.points_of == row.id))
        .values(points_of=holder.id, axis_id=holder.axis_id)
    )


def _copy(connection: Connection, model: Any, key: str, old: int, new: int, length: int) -> None:
    table = table_of(model)
    columns = [column for column in table.c if column.name != key]
    connection.execute(
        insert(table).from_select(
            [key, *(column.name for column in columns)],
            select(literal(new, Integer), *columns).where(
                table.c[key] == old, table.c.position < length
            ),
        )
    )
