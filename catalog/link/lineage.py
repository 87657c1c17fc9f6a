"""Which checkpoints runs started from: what they name, found among the files that are known."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.schema.store import Store, fetched, table_of
from catalog.schema.tables import Lineage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from catalog.link.inputs import Inputs
    from catalog.link.subjects import RunFolder

_Row = tuple[str, str, int | None, int]


def write_lineage(
    connection: Connection,
    folders: Iterable[RunFolder],
    inputs: Inputs,
    moves: Mapping[int, int],
) -> None:
    """Bring `lineage` in line with what runs and jobs name.

    Args:
        connection: in a transaction.
        folders: every run directory and job folder.
        inputs: what the folders name.
        moves: the checkpoint that a missing one is now.
    """
    table = table_of(Lineage)
    before: dict[int, dict[_Row, int]] = defaultdict(dict)
    for row in fetched(connection, select(table)):
        before[int(row.run_directory_id)][row.path, row.named_as, row.parent_id, row.file_id] = int(
            row.id
        )
    store = Store(connection)
    for folder in folders:
        old = before.pop(folder.id, {})
        for named in inputs.of(folder):
            if inputs.outputs.may_have_written(folder, named):
                continue
            parent = inputs.parents.find(named.path, folder)
            while parent is not None and parent in moves:
                parent = moves[parent]
            if old.pop((named.path, named.named_as, parent, named.file_id), None) is None:
                store.add(
                    Lineage,
                    {
                        "id": store.number(Lineage),
                        "run_directory_id": folder.id,
                        "path": named.path,
                        "named_as": named.named_as,
                        "parent_id": parent,
                        "file_id": named.file_id,
                    },
                )
        if old:
            before[folder.id] = old
    store.delete(Lineage, "id", [number for rows in before.values() for number in rows.values()])
    store.flush()
