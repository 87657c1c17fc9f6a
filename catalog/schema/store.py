"""Rows in bulk: numbers handed out by the one writer, inserts gathered table by table."""

from __future__ import annotations

from functools import cache
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import ColumnDefault, delete, func, insert, select, text

from catalog.schema.tables import TABLES, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Row, Select, Table
    from sqlmodel import SQLModel

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]

CHUNK = 500
"""Numbers in one IN list: below the limit of every SQLite."""

_AT_ONCE = 10_000
"""Rows that are fetched, or handed to the driver, at a time."""

_ROWS_A_STATEMENT = 100
_VALUES_A_STATEMENT = 999
"""Rows and values of one INSERT on SQLite: the latter is the limit of its oldest versions."""

_WRITER_LOCK = 0x636174616C6F67
"""PostgreSQL's advisory lock for "I am the writer"; SQLite has BEGIN IMMEDIATE."""


@cache
def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table of a model."""
    return metadata.tables[str(model.__tablename__)]


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a list into pieces that fit into one IN list."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def fetched(connection: Connection, query: Select[*tuple[Any, ...]]) -> Iterator[AnyRow]:
    """Yield the rows of a query, many at a time: one by one they take three times as long."""
    for part in connection.execute(query).partitions(_AT_ONCE):
        yield from part


def fetched_bare(
    connection: Connection, query: Select[*tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query as the driver has them, in two thirds of the time of `fetched`.

    Nothing is converted: on SQLite a truth value is a number.
    """
    if connection.dialect.name == "sqlite":
        cursor = connection.execute(query).cursor
        while part := cursor.fetchmany(_AT_ONCE):
            yield from part
        return
    # Fetched from the server a piece at a time.
    found = connection.execute(query, execution_options={"yield_per": _AT_ONCE})
    for rows in found.partitions():
        yield from rows


class Store:
    """Rows of one transaction, written table by table when `flush` is called.

    Only one writer is in a transaction at a time (BEGIN IMMEDIATE, or an advisory lock), so
    that it may hand out primary keys itself and insert children beside their parents in bulk.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: dict[type[SQLModel], list[dict[str, Any]]] = {}
        self._bare: dict[type[SQLModel], tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {}
        self._next: dict[type[SQLModel], int] = {}
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})

    def number(self, model: type[SQLModel]) -> int:
        """Return a primary key that no row of the table has."""
        number = self._next.get(model)
        if number is None:
            table = table_of(model)
            number = int(self.connection.execute(select(func.max(table.c.id))).scalar() or 0) + 1
        self._next[model] = number + 1
        return number

    def add(self, model: type[SQLModel], row: dict[str, Any]) -> None:
        """Remember one row; every row of a table must have the same columns."""
        rows = self._rows.get(model)
        if rows is None:
            rows = self._rows[model] = []
        rows.append(row)

    def extend(
        self, model: type[SQLModel], columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Remember rows of a table that has many, as `insert_rows` takes them."""
        _columns, bare = self._bare.setdefault(model, (columns, []))
        bare.extend(rows)

    def flush(self) -> None:
        """Insert everything remembered, parents before children."""
        for model in TABLES:
            rows = self._rows.pop(model, None)
            if rows:
                self._insert(model, rows)
            if model in self._bare:
                self.insert_rows(model, *self._bare.pop(model))

    def _insert(self, model: type[SQLModel], rows: list[dict[str, Any]]) -> None:
        if self.connection.dialect.name != "sqlite" or len(rows[0]) == 1:
            self.connection.execute(insert(table_of(model)), rows)
            return
        # SQLite takes Python's values as they are: going past SQLAlchemy's handling of each
        # parameter halves the time.
        names = tuple(rows[0])
        rest = {
            column.name: column.default.arg
            for column in table_of(model).c
            if column.name not in names
            and isinstance(column.default, ColumnDefault)
            and column.default.is_scalar
        }
        values = map(itemgetter(*names), rows)
        defaults = tuple(rest.values())
        self.insert_rows(
            model, (*names, *rest), [(*value, *defaults) for value in values] if rest else values
        )

    def insert_rows(
        self, model: type[SQLModel], columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Insert rows now, past SQLAlchemy's handling of parameters where SQLite takes them.

        Args:
            model: whose parents have been written.
            columns: all of the table's.
            rows: their values.
        """
        connection, table, flow = self.connection, table_of(model), iter(rows)
        if connection.dialect.name != "sqlite":
            while part := list(islice(flow, _AT_ONCE)):
                connection.execute(
                    insert(table), [dict(zip(columns, row, strict=True)) for row in part]
                )
            return
        # Many rows a statement: what SQLite does once a statement (the list of a CHECK, the
        # journal's savepoint) takes longer than the row itself.
        quoted = ", ".join(f'"{name}"' for name in columns)
        head = f'INSERT INTO "{table.name}" ({quoted}) VALUES '  # noqa: S608 - names of ours
        marks = f"({', '.join('?' * len(columns))})"
        count = min(_ROWS_A_STATEMENT, _VALUES_A_STATEMENT // len(columns))
        while part := list(islice(flow, _AT_ONCE)):
            whole = len(part) - len(part) % count
            many = [
                tuple(chain.from_iterable(part[begin : begin + count]))
                for begin in range(0, whole, count)
            ]
            if many:
                connection.exec_driver_sql(head + ", ".join([marks] * count), many)
            if whole < len(part):
                connection.exec_driver_sql(head + marks, part[whole:])

    def delete(self, model: type[SQLModel], column: str, values: Sequence[int]) -> None:
        """Delete the rows whose column is one of the values."""
        table = table_of(model)
        for part in chunks(values):
            self.connection.execute(delete(table).where(table.c[column].in_(part)))
