"""Rows in bulk: numbers handed out by the one writer, inserts gathered table by table."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnDefault, delete, func, insert, select, text

from catalog.schema.tables import TABLES, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Table
    from sqlmodel import SQLModel

CHUNK = 500
"""Numbers in one IN list: below the limit of every SQLite."""

_WRITER_LOCK = 0x636174616C6F67
"""PostgreSQL's advisory lock for "I am the writer"; SQLite has BEGIN IMMEDIATE."""


def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table of a model."""
    return metadata.tables[str(model.__tablename__)]


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a list into pieces that fit into one IN list."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


class Store:
    """Rows of one transaction, written table by table when `flush` is called.

    Only one writer is in a transaction at a time (BEGIN IMMEDIATE, or an advisory lock), so
    that it may hand out primary keys itself and insert children beside their parents in bulk.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._next: dict[str, int] = {}
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})

    def number(self, model: type[SQLModel]) -> int:
        """Return a primary key that no row of the table has."""
        table = table_of(model)
        if table.name not in self._next:
            highest = self.connection.execute(select(func.max(table.c.id))).scalar()
            self._next[table.name] = int(highest or 0) + 1
        number = self._next[table.name]
        self._next[table.name] = number + 1
        return number

    def add(self, model: type[SQLModel], row: dict[str, Any]) -> None:
        """Remember one row; every row of a table must have the same columns."""
        self._rows.setdefault(str(model.__tablename__), []).append(row)

    def flush(self) -> None:
        """Insert everything remembered, parents before children."""
        for model in TABLES:
            rows = self._rows.pop(str(model.__tablename__), None)
            if rows:
                self._insert(model, rows)

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
        columns = ", ".join(f'"{name}"' for name in (*names, *rest))
        values = map(itemgetter(*names), rows)
        defaults = tuple(rest.values())
        self.connection.exec_driver_sql(
            f'INSERT INTO "{model.__tablename__}" ({columns}) '  # noqa: S608 - names of ours
            f"VALUES ({', '.join('?' * (len(names) + len(rest)))})",
            [(*value, *defaults) for value in values] if rest else list(values),
        )

    def delete(self, model: type[SQLModel], column: str, values: Sequence[int]) -> None:
        """Delete the rows whose column is one of the values."""
        table = table_of(model)
        for part in chunks(values):
            self.connection.execute(delete(table).where(table.c[column].in_(part)))
