"""Delete rows with all that hang on them, as the foreign keys of the tables say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from catalog.schema.store import chunks, table_of
from catalog.schema.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Column, Connection, Table
    from sqlmodel import SQLModel


def delete_with_dependents(
    connection: Connection, model: type[SQLModel], numbers: Collection[int]
) -> None:
    """Delete rows by their numbers, and every row that cannot stand without them.

    A column that may be empty is emptied instead, and its row stays.

    Args:
        connection: in a transaction.
        model: the table of the rows.
        numbers: their primary keys.
    """
    doomed: dict[Table, set[int]] = defaultdict(set)
    doomed[table_of(model)] |= set(numbers)
    for table in metadata.sorted_tables:  # what is referred to comes before what refers to it
        for column, gone in _referring(table, doomed):
            if not column.nullable and _has_dependents(table):
                (own,) = table.primary_key
                for part in chunks(sorted(gone)):
                    doomed[table].update(
                        connection.execute(select(own).where(column.in_(part))).scalars()
                    )
    for table in reversed(metadata.sorted_tables):
        for column, gone in _referring(table, doomed):
            for part in chunks(sorted(gone)):
                condition = column.in_(part)
                if column.nullable:
                    connection.execute(update(table).where(condition).values({column: None}))
                else:
                    connection.execute(delete(table).where(condition))
        for part in chunks(sorted(doomed.get(table, ()))):
            (own,) = table.primary_key
            connection.execute(delete(table).where(own.in_(part)))


def delete_unreferred(connection: Connection, model: type[SQLModel]) -> None:
    """Delete the rows of a table that nothing refers to any more, with their parts.

    Args:
        connection: in a transaction.
        model: a table of contents that are stored once, such as configs.
    """
    table = table_of(model)
    (own,) = table.primary_key
    # What is part of a content (`config_value`) is keyed by its number, and holds nothing.
    holders = [
        column
        for other in metadata.sorted_tables
        for column in other.columns
        if column.references(own) and not column.primary_key
    ]
    used = (own.not_in(select(column).where(column.is_not(None))) for column in holders)
    found = connection.execute(select(own).where(*used)).scalars().all()
    delete_with_dependents(connection, model, found)


def _referring(table: Table, doomed: dict[Table, set[int]]) -> list[tuple[Column[int], set[int]]]:
    """Return the columns that refer to rows that are to go, with the numbers of these."""
    return [
        (key.parent, doomed[key.column.table])
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
        if doomed.get(key.column.table)
    ]


def _has_dependents(table: Table) -> bool:
    (*own,) = table.primary_key
    return len(own) == 1 and any(
        key.column is own[0] for other in metadata.sorted_tables for key in other.foreign_keys
    )
