"""Moved and renamed checkpoints: a missing file and a new one with the same weights are one.

A move is never forgotten. It counts as long as the file is not back at its old place: then both
are there, and the later one is a copy; and as long as the bytes, once somebody reads those of both
(`ingest --hash`), do not show that the weights differ.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import or_, select

from catalog.schema.store import Store, fetched, table_of
from catalog.schema.tables import Checkpoint, CheckpointMove, File

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection


def follow_moves(connection: Connection) -> dict[int, int]:
    """Write which new checkpoints are missing ones found again; nothing known is forgotten.

    The new file states the old one's weights, and has its size; where the bytes of both were read,
    they are equal too. It came into the catalog when the old one was
    found missing, or later; or it lies in another tree, bears the same name and time, and came
    after the old one: a tree may be read at its new place before anybody looks at the old one.
    Of several the one of the same name is taken, then the one whose folders are most alike, then
    in order of path.

    Args:
        connection: in a transaction.

    Returns:
        As `known_moves`.
    """
    explained, taken = set(), set()
    for now, before in _moves(connection, are_refuted_too=True):
        explained.add(before)
        taken.add(now)
    gone, new = _unexplained(connection, explained, taken)
    store = Store(connection)
    for weights, missing in gone.items():
        free = new.get(weights, [])
        for name_counts in (True, False):
            for old in list(missing):
                fits = [one for one in free if _is_it(old, one, name_counts)]
                if fits:
                    found = max(fits, key=lambda one: _alike(old.path, one.path))
                    store.add(
                        CheckpointMove,
                        {"checkpoint_id": int(found.id), "moved_from_id": int(old.id)},
                    )
                    free.remove(found)
                    missing.remove(old)
    store.flush()
    return known_moves(connection)


def known_moves(connection: Connection) -> dict[int, int]:
    """Return the checkpoint that a missing one is now, as far as that was found."""
    files = table_of(File)
    gone = files.c.missing_ingest_id.is_not(None)
    return {before: now for now, before in _moves(connection, gone)}


def same_files(connection: Connection) -> dict[int, list[int]]:
    """Return, for each checkpoint that was ever moved, itself at each of its places, in order."""
    places: dict[int, list[int]] = {}
    for now, before in _moves(connection):
        both = [*places.get(before, (before,)), *places.get(now, (now,))]
        places |= dict.fromkeys(both, both)
    return places


def _moves(
    connection: Connection,
    condition: ColumnElement[bool] | None = None,
    *,
    are_refuted_too: bool = False,
) -> list[tuple[int, int]]:
    """Return (place now, place before) of moves.

    Args:
        connection: the database.
        condition: on the file of the place before.
        are_refuted_too: with those of which the bytes show that the weights differ.
    """
    table, files = table_of(CheckpointMove), table_of(File)
    query = select(table.c.checkpoint_id, table.c.moved_from_id).order_by(table.c.checkpoint_id)
    if not are_refuted_too:
        new, old = table_of(Checkpoint).alias(), table_of(Checkpoint).alias()
        query = (
            query.join(new, new.c.id == table.c.checkpoint_id)
            .join(old, old.c.id == table.c.moved_from_id)
            .where(
                or_(
                    new.c.weights_sha256.is_(None),
                    old.c.weights_sha256.is_(None),
                    new.c.weights_sha256 == old.c.weights_sha256,
                )
            )
        )
    if condition is not None:
        query = query.join(files, files.c.id == table.c.moved_from_id).where(condition)
    return [(int(now), int(before)) for now, before in fetched(connection, query)]


_Group: TypeAlias = dict[tuple[str, int], list[Any]]


def _unexplained(
    connection: Connection, explained: Collection[int], taken: Collection[int]
) -> tuple[_Group, _Group]:
    """Return the missing checkpoints that nobody found yet, and those that may be found ones."""
    table, files = table_of(Checkpoint), table_of(File)
    columns = (
        files.c.id,
        files.c.root_id,
        files.c.path,
        files.c.size,
        files.c.mtime_ns,
        files.c.state,
        files.c.first_ingest_id,
        files.c.missing_ingest_id,
        table.c.weights_fingerprint,
        table.c.weights_sha256,
    )
    is_gone = files.c.missing_ingest_id.is_not(None) & table.c.weights_fingerprint.is_not(None)
    gone: _Group = defaultdict(list)
    new: _Group = defaultdict(list)
    missing = connection.execute(
        select(*columns)
        .join(files, files.c.id == table.c.id)
        .where(is_gone)
        .order_by(files.c.path, files.c.id)
    ).all()
    for row in missing:
        if int(row.id) not in explained:
            gone[row.weights_fingerprint, int(row.size)].append(row)
    if gone:
        wanted = select(table.c.weights_fingerprint).join(files, files.c.id == table.c.id)
        first = min(int(row.first_ingest_id) for rows in gone.values() for row in rows)
        for row in fetched(
            connection,
            select(*columns)
            .join(files, files.c.id == table.c.id)
            .where(
                files.c.state == "present",
                files.c.first_ingest_id > first,
                table.c.weights_fingerprint.in_(wanted.where(is_gone)),
            )
            .order_by(files.c.path, files.c.id),
        ):
            if int(row.id) not in taken:
                new[row.weights_fingerprint, int(row.size)].append(row)
    return gone, new


def _is_it(old: Any, new: Any, name_counts: bool) -> bool:
    both = {old.weights_sha256, new.weights_sha256} - {None}
    if len(both) > 1:
        return False  # their bytes are known, whatever both state
    is_named_alike = posixpath.basename(old.path) == posixpath.basename(new.path)
    if int(new.first_ingest_id) >= int(old.missing_ingest_id):
        return is_named_alike or not name_counts
    return (
        is_named_alike
        and old.root_id != new.root_id
        and old.mtime_ns == new.mtime_ns
        and int(new.first_ingest_id) > int(old.first_ingest_id)
    )


def _alike(one: str, other: str) -> int:
    """Return how many names at the end of two paths are the same."""
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
