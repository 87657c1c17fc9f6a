"""Make one tree of two that were kept under different host names and are the same on disk.

What people said, what recoveries wrote and what hashing found out of either is kept. What can be
read or computed again is not moved: of two rows of one file the fresher one stays.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, insert, or_, select, update

from catalog.ingest.removal import remove_files, telling_tables
from catalog.schema.dependents import delete_with_dependents
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import (
    Checkpoint,
    CheckpointMove,
    File,
    Lineage,
    LinkBasis,
    LinkDecision,
    Problem,
    RecoveryFile,
    Root,
    RootHost,
    RunDirectory,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy import Connection


class _Row(NamedTuple):
    """A file as one of the trees has it."""

    number: int
    is_present: bool
    identity: tuple[int, int, int]
    read_ingest_id: int

    def is_fresher(self, other: _Row) -> bool:
        """Say whether this row is nearer to what is on disk now than another of the same file."""
        if self.is_present != other.is_present:
            return self.is_present
        return self.identity != other.identity and self.read_ingest_id > other.read_ingest_id


def merge_roots(connection: Connection, kept: int, other: int) -> None:
    """Make one root of two that have the same path; the other one's number is gone then.

    Args:
        connection: in a transaction; runs and links have to be judged anew afterwards.
        kept: number of the root that stays, with its host.
        other: number of the root whose rows it takes over.
    """
    ours, theirs = _files(connection, kept), _files(connection, other)
    follow: dict[int, int] = {}
    for path, row in theirs.items():
        if (own := ours.get(path)) is None:
            continue
        stays, goes = (row, own) if row.is_fresher(own) else (own, row)
        follow[goes.number] = stays.number
    _let_follow(connection, follow)
    _forget_bases(connection, (kept, other))
    _merge_directories(connection, kept, other)
    remove_files(connection, follow.keys())
    _drop_problems(connection, other)
    for model in (File, RunDirectory, Problem, RecoveryFile):
        table = table_of(model)
        connection.execute(update(table).where(table.c.root_id == other).values(root_id=kept))
    _merge_names(connection, kept, other)
    delete_with_dependents(connection, Root, [other])


def drop_overlap(connection: Connection, outer: tuple[int, Path], inner: tuple[int, Path]) -> None:
    """Leave a folder to the tree that it is, where one around it was kept with the same files.

    A file that only the outer tree knows is forgotten if it is on disk, where the inner one reads
    it, and if nobody said anything of it.

    Args:
        connection: in a transaction; runs and links have to be judged anew afterwards.
        outer: number and path of the tree around.
        inner: the same of the tree inside it.
    """
    below = inner[1].relative_to(outer[1]).as_posix()
    ours = _files(connection, inner[0])
    theirs = {
        path[len(below) + 1 :]: row
        for path, row in _files(connection, outer[0]).items()
        if path.startswith(f"{below}/")
    }
    if not theirs:
        return
    follow = {row.number: ours[path].number for path, row in theirs.items() if path in ours}
    alone = {
        row.number
        for path, row in theirs.items()
        if path not in ours and os.path.lexists(inner[1] / path)
    }
    _let_follow(connection, follow)
    table = table_of(RecoveryFile)
    moved = select(table.c.id, table.c.path).where(table.c.root_id == outer[0])
    for number, path in connection.execute(moved).all():
        if path.startswith(f"{below}/"):
            values = {"root_id": inner[0], "path": path[len(below) + 1 :]}
            connection.execute(update(table).where(table.c.id == number).values(values))
    _forget_bases(connection, (outer[0], inner[0]))
    _keep_apart(connection, outer[0], inner[0], below)
    remove_files(connection, follow.keys() | (alone - _spoken_of(connection)))


def _files(connection: Connection, root: int) -> dict[str, _Row]:
    table = table_of(File)
    query = select(
        table.c.path,
        table.c.id,
        table.c.state,
        table.c.size,
        table.c.mtime_ns,
        table.c.inode,
        table.c.read_ingest_id,
    ).where(table.c.root_id == root)
    return {
        path: _Row(int(number), state == "present", (size, mtime_ns, inode), int(read))
        for path, number, state, size, mtime_ns, inode, read in fetched(connection, query)
    }


def _let_follow(connection: Connection, follow: Mapping[int, int]) -> None:
    """Give what people and recoveries said of some files to the rows that stay of them."""
    _decisions(connection, follow)
    _moves(connection, follow)
    table = table_of(RecoveryFile)
    for name in ("checkpoint_id", "source_file_id"):
        for number in _those_of(connection, table.c[name], follow):
            values = {name: follow[number]}
            connection.execute(update(table).where(table.c[name] == number).values(values))
    _sums(connection, follow)


def _decisions(connection: Connection, follow: Mapping[int, int]) -> None:
    """Keep a person's word of either row; of two words on one run the later one."""
    table = table_of(LinkDecision)
    said: dict[int, dict[str, Any]] = defaultdict(dict)
    for row in connection.execute(select(table)):
        said[int(row.checkpoint_id)][row.run_identity] = row
    for before in said.keys() & follow.keys():
        now = follow[before]
        for identity, row in said[before].items():
            other = said[now].get(identity) if now in said else None
            if other is not None and other.decided_at >= row.decided_at:
                continue
            if other is not None:
                connection.execute(delete(table).where(table.c.id == other.id))
            connection.execute(update(table).where(table.c.id == row.id).values(checkpoint_id=now))


def _moves(connection: Connection, follow: Mapping[int, int]) -> None:
    table = table_of(CheckpointMove)
    rows = [(int(now), int(before)) for now, before in connection.execute(select(table))]
    if not any(now in follow or before in follow for now, before in rows):
        return
    connection.execute(delete(table))
    nows: set[int] = set()
    befores: set[int] = set()
    for now, before in rows:
        moved = follow.get(now, now), follow.get(before, before)
        # Both trees may have seen one move.
        if moved[0] != moved[1] and moved[0] not in nows and moved[1] not in befores:
            nows.add(moved[0])
            befores.add(moved[1])
            connection.execute(insert(table).values(checkpoint_id=moved[0], moved_from_id=moved[1]))


def _sums(connection: Connection, follow: Mapping[int, int]) -> None:
    """Keep what was hashed under either name, where the file is as it was then."""
    problems = table_of(Problem)
    for model, columns in ((File, ("sha256", "md5")), (Checkpoint, ("weights_sha256", "damage"))):
        table, files = table_of(model), table_of(File)
        states: dict[int, tuple[Any, ...]] = {}
        for part in chunks(sorted({*follow, *follow.values()})):
            query = select(
                table.c.id,
                files.c.size,
                files.c.mtime_ns,
                files.c.inode,
                *(table.c[name] for name in columns),
            ).where(files.c.id == table.c.id, table.c.id.in_(part))
            states.update((int(number), tuple(rest)) for number, *rest in connection.execute(query))
        for before, now in follow.items():
            if before not in states or now not in states or states[before][:3] != states[now][:3]:
                continue
            values = {
                name: found
                for name, found, own in zip(
                    columns, states[before][3:], states[now][3:], strict=True
                )
                if found is not None and own is None
            }
            if values:
                connection.execute(update(table).where(table.c.id == now).values(values))
            if "damage" in values:
                told = problems.c.message == values["damage"]
                connection.execute(
                    update(problems).where(problems.c.file_id == before, told).values(file_id=now)
                )


def _those_of(connection: Connection, column: Any, follow: Mapping[int, int]) -> list[int]:
    return [
        int(number)
        for number in connection.execute(select(column).distinct()).scalars()
        if int(number) in follow
    ]


def _spoken_of(connection: Connection) -> set[int]:
    """Return the files of which a person or a recovery's journal says something."""
    written = table_of(RecoveryFile)
    columns = (
        table_of(LinkDecision).c.checkpoint_id,
        written.c.checkpoint_id,
        written.c.source_file_id,
    )
    return {int(one) for column in columns for one in connection.execute(select(column)).scalars()}


def _forget_bases(connection: Connection, roots: Iterable[int]) -> None:
    """Have all links of some trees weighed again: the folders that they rest on are others."""
    table, files = table_of(LinkBasis), table_of(File)
    inside = select(files.c.id).where(files.c.root_id.in_(tuple(roots)))
    connection.execute(delete(table).where(table.c.checkpoint_id.in_(inside)))


def _merge_directories(connection: Connection, kept: int, other: int) -> None:
    """Let files tell of the run directories that stay; those of the other root go."""
    _keep_apart(connection, other, kept, ".")
    table = table_of(RunDirectory)
    mine, its = table.alias(), table.alias()
    both = its.join(mine, (mine.c.path == its.c.path) & (mine.c.root_id == kept))
    pairs = select(its.c.id).select_from(both).where(its.c.root_id == other)
    for told in telling_tables():
        if told is not table_of(Lineage):  # which is computed anew
            column = told.c.run_directory_id
            stays = select(mine.c.id).select_from(both).where(its.c.id == column).scalar_subquery()
            connection.execute(update(told).where(column.in_(pairs)).values(run_directory_id=stays))
    delete_with_dependents(connection, RunDirectory, connection.execute(pairs).scalars().all())


def _keep_apart(connection: Connection, before: int, now: int, below: str) -> None:
    """Let a person's word that a folder tells of another run hold in the root that stays."""
    table = table_of(RunDirectory)
    prefix = "" if below == "." else f"{below}/"
    said = select(table.c.path).where(table.c.root_id == before, table.c.kept_apart)
    for path in connection.execute(said).scalars().all():
        if path.startswith(prefix):
            connection.execute(
                update(table)
                .where(table.c.root_id == now, table.c.path == path[len(prefix) :])
                .values(kept_apart=True)
            )


def _drop_problems(connection: Connection, other: int) -> None:
    """Delete the other root's problems of no file: the next scan meets them again."""
    table = table_of(Problem)
    connection.execute(delete(table).where(table.c.root_id == other, table.c.file_id.is_(None)))


def _merge_names(connection: Connection, kept: int, other: int) -> None:
    names, roots = table_of(RootHost), table_of(Root)
    known = select(names.c.host).where(names.c.root_id == kept)
    connection.execute(
        update(names)
        .where(names.c.root_id == other, names.c.host.not_in(known))
        .values(root_id=kept)
    )
    first = select(roots.c.added_at).where(or_(roots.c.id == kept, roots.c.id == other))
    added_at = min(connection.execute(first).scalars())
    connection.execute(update(roots).where(roots.c.id == kept).values(added_at=added_at))
