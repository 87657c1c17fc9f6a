"""Moved and renamed checkpoints: a missing file and a new one with the same weights are one."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select

from catalog.schema.store import Store, fetched, table_of
from catalog.schema.tables import Checkpoint, CheckpointMove, File

if TYPE_CHECKING:
    from sqlalchemy import Connection


def follow_moves(connection: Connection) -> dict[int, int]:
    """Write which new checkpoints are missing ones found again; nothing known is forgotten.

    The new file came into the catalog when the old one was found missing, or later, and has its
    weights and its size. Of several the one of the same name is taken, then in order of path.

    Args:
        connection: in a transaction.

    Returns:
        The checkpoint that a missing one is now, by number.
    """
    moves = known_moves(connection)
    gone, new = _unexplained(connection, moves)
    store = Store(connection)
    for weights, missing in gone.items():
        free = new.get(weights, [])
        for name_counts in (True, False):
            for old in list(missing):
                found = next((one for one in free if _is_it(old, one, name_counts)), None)
                if found is not None:
                    moves[int(old.id)] = int(found.id)
                    store.add(
                        CheckpointMove,
                        {"checkpoint_id": int(found.id), "moved_from_id": int(old.id)},
                    )
                    free.remove(found)
                    missing.remove(old)
    store.flush()
    return moves


def known_moves(connection: Connection) -> dict[int, int]:
    """Return the checkpoint that a missing one is now, as far as that was found before."""
    table = table_of(CheckpointMove)
    return {
        int(before): int(now)
        for now, before in fetched(connection, select(table.c.checkpoint_id, table.c.moved_from_id))
    }


_Group: TypeAlias = dict[tuple[str, int], list[Any]]


def _unexplained(connection: Connection, moves: dict[int, int]) -> tuple[_Group, _Group]:
    """Return the missing checkpoints that nobody found yet, and those that may be found ones."""
    table, files = table_of(Checkpoint), table_of(File)
    columns = (
        files.c.id,
        files.c.path,
        files.c.size,
        files.c.state,
        files.c.first_ingest_id,
        files.c.missing_ingest_id,
        table.c.weights_fingerprint,
    )
    gone: _Group = defaultdict(list)
    new: _Group = defaultdict(list)
    missing = connection.execute(
        select(*columns)
        .join(files, files.c.id == table.c.id)
        .where(files.c.state == "missing", table.c.weights_fingerprint.is_not(None))
        .order_by(files.c.path, files.c.id)
    ).all()
    for row in missing:
        if int(row.id) not in moves:
            gone[row.weights_fingerprint, int(row.size)].append(row)
    if gone:
        taken = set(moves.values())
        first = min(int(row.missing_ingest_id) for rows in gone.values() for row in rows)
        for row in fetched(
            connection,
            select(*columns)
            .join(files, files.c.id == table.c.id)
            .where(files.c.state == "present", files.c.first_ingest_id >= first)
            .order_by(files.c.path, files.c.id),
        ):
            if int(row.id) not in taken:
                new[row.weights_fingerprint, int(row.size)].append(row)
    return gone, new


def _is_it(old: Any, new: Any, name_counts: bool) -> bool:
    return int(new.first_ingest_id) >= int(old.missing_ingest_id) and (
        not name_counts or posixpath.basename(old.path) == posixpath.basename(new.path)
    )
