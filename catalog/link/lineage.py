"""Which checkpoints runs and models started from: what they name, found among the known files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.schema.store import Store, fetched, table_of
from catalog.schema.tables import Lineage, Mention

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from catalog.link.inputs import Inputs
    from catalog.link.parents import Parents
    from catalog.link.subjects import RunFolder, Subject

_Row = tuple[int | None, str, str, int | None, int]
"""Folder of the run, path, how it is named, the checkpoint meant, the file that names it."""
BASE_MODEL = "base-model"
"""Role of a mention, and how such a row is named."""
FORK = "forked-from"
"""The same of a run that another one was forked from."""


def write_lineage(
    connection: Connection,
    folders: Iterable[RunFolder],
    subjects: Iterable[Subject],
    inputs: Inputs,
    moves: Mapping[int, int],
) -> None:
    """Bring `lineage` in line with what runs, jobs and checkpoints name.

    Args:
        connection: in a transaction.
        folders: every run directory and job folder.
        subjects: every checkpoint.
        inputs: what the folders name.
        moves: the checkpoint that a missing one is now.
    """
    table = table_of(Lineage)
    before = {
        (row.run_directory_id, row.path, row.named_as, row.parent_id, row.file_id): int(row.id)
        for row in fetched(connection, select(table))
    }
    store = Store(connection)
    for folder_id, path, named_as, parent, file_id in (
        *_of_runs(folders, inputs),
        *_of_checkpoints(connection, subjects, inputs.parents),
    ):
        while parent is not None and parent in moves:
            parent = moves[parent]
        if before.pop((folder_id, path, named_as, parent, file_id), None) is None:
            store.add(
                Lineage,
                {
                    "id": store.number(Lineage),
                    "run_directory_id": folder_id,
                    "path": path,
                    "named_as": named_as,
                    "parent_id": parent,
                    "file_id": file_id,
                },
            )
    store.delete(Lineage, "id", list(before.values()))
    store.flush()


def _of_runs(folders: Iterable[RunFolder], inputs: Inputs) -> Iterator[_Row]:
    """Yield what runs and jobs name, but for the files that they wrote."""
    for folder in folders:
        for named in inputs.of(folder):
            if not inputs.outputs.may_have_written(folder, named):
                parent = inputs.parents.find(named.path, folder)
                yield folder.id, named.path, named.named_as, parent, named.file_id
        for fork in folder.mentions.get(FORK, ()):  # it names no file of the other run
            yield folder.id, fork.text, FORK, None, fork.file_id


def _of_checkpoints(
    connection: Connection, subjects: Iterable[Subject], parents: Parents
) -> Iterator[_Row]:
    """Yield the models that adapters and pipelines name as what they were made from."""
    table = table_of(Mention)
    rows = list(
        fetched(
            connection,
            select(table.c.file_id, table.c.text)
            .where(table.c.role == BASE_MODEL)
            .order_by(table.c.id),
        )
    )
    by_number = {subject.id: subject for subject in subjects} if rows else {}
    for number, path in dict.fromkeys(map(tuple, rows)):
        subject = by_number.get(int(number))
        if subject is not None:
            yield None, path, BASE_MODEL, parents.base_of(subject, path), subject.id
