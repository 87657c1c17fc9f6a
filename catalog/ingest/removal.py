"""Take the rows of files out of the catalog, with all that nothing else states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.ingest.metrics import MetricWriter
from catalog.schema.dependents import delete_unreferred, delete_with_dependents
from catalog.schema.store import Store, chunks
from catalog.schema.tables import (
    Architecture,
    Config,
    File,
    GlobalSet,
    MetricName,
    Problem,
    Root,
    RunDirectory,
    metadata,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection, Table


def remove_files(
    connection: Connection,
    files: Collection[int],
    directories: Collection[int] = (),
    *,
    problems: Collection[int] = (),
    roots: Collection[int] = (),
) -> None:
    """Delete the rows of files, and the run directories of which no other file tells anything.

    Args:
        connection: in a transaction; runs and links have to be judged anew afterwards.
        files: their numbers.
        directories: run directories that are in the same place; those that the files tell of are
            added.
        problems: of the place, which belong to no file.
        roots: trees of which nothing is left.
    """
    store = Store(connection)
    numbers = sorted(files)
    of_files = {*directories, *_directories_of(connection, numbers)}
    store.delete(Problem, "id", sorted(problems))
    store.delete(Problem, "file_id", numbers)
    # Series of other files may hold their points in these: they get them back.
    MetricWriter(store, "full").forget(numbers)
    delete_with_dependents(connection, File, numbers)
    delete_with_dependents(connection, RunDirectory, _told_of_no_more(connection, of_files))
    delete_with_dependents(connection, Root, roots)
    for model in (Config, Architecture, GlobalSet, MetricName):
        delete_unreferred(connection, model)


def telling_tables() -> Iterator[Table]:
    """Yield the tables in which a file tells something of a run directory."""
    for table in metadata.sorted_tables:
        if {"file_id", "run_directory_id"} <= set(table.columns.keys()):
            yield table


def _directories_of(connection: Connection, files: list[int]) -> set[int]:
    found: set[int] = set()
    for table in telling_tables():
        column = table.c.run_directory_id
        for part in chunks(files):
            said = select(column).where(table.c.file_id.in_(part), column.is_not(None)).distinct()
            found.update(connection.execute(said).scalars())
    return found


def _told_of_no_more(connection: Connection, directories: Collection[int]) -> set[int]:
    """Return the run directories of which no file tells anything any more."""
    left = set(directories)
    for table in telling_tables():
        column = table.c.run_directory_id
        for part in chunks(sorted(left)):
            left.difference_update(
                connection.execute(select(column).where(column.in_(part)).distinct()).scalars()
            )
    return left
