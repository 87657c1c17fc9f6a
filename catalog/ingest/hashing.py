"""Checkpoints read whole, only when asked for: the sums of their bytes, and what is damaged.

Of each file SHA-256 and MD5, as the artifacts of W&B state it; of the weights in it a SHA-256 of
their own, by which two checkpoints are known to be equal; and whether the bytes fit what the file
states of them. All of it is kept while the file is unchanged. A damaged one is read again each
time, for a disk may have erred.

A symbolic link has the weights of its target, a file of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, or_, select, update

from catalog.errors import SourceError
from catalog.ingest.wholes import verified_sum
from catalog.ingest.write import DAMAGED
from catalog.schema.canonical import clean
from catalog.schema.engine import writing
from catalog.schema.store import CHUNK, Store, fetched, table_of
from catalog.schema.tables import Checkpoint, File, Problem, Root
from catalog.sources.checkpoint.sums import Verified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from catalog.ingest.pipeline import Progress
    from catalog.schema.location import Location

_BATCH = 20
"""Files read between two transactions: what was done is kept if somebody stops it."""
_WITH_WEIGHTS = ("readable", "recognised")
"""Statuses of checkpoints whose weights are compared with others."""

_Same = tuple[int, int, int]
"""Inode, size and time: names of one file agree in them; so may files on two disks."""


class _Due(NamedTuple):
    number: int
    root_id: int
    path: str
    place: Path
    size: int
    mtime_ns: int
    inode: int
    is_link: bool
    has_weights: bool
    damage: str | None
    """As it is known so far."""


def hash_checkpoints(
    engine: Engine,
    location: Location,
    folders: Sequence[Path],
    host: str,
    progress: Progress,
    ingest_id: int,
) -> int:
    """Read the checkpoints below folders whose bytes nobody looked at; return how many are news.

    A file that cannot be read, or that changed since the ingest read it, keeps what it had.

    Args:
        engine: of a catalog at the newest schema.
        location: where that is, for messages.
        folders: absolute paths.
        host: name of this machine, for a file of another one is not at hand.
        progress: called with (stage, done, total).
        ingest_id: the ingest that this belongs to.
    """
    due = _due(engine, folders, host)
    progress("hash", 0, len(due))
    news = 0
    known = _Known(_stored(engine, due, host))
    for start in range(0, len(due), _BATCH):
        found: list[tuple[_Due, Verified]] = []
        for done, one in enumerate(due[start : start + _BATCH], start + 1):
            sums = known.sums_of(one)
            if sums is not None:
                found.append((one, sums))
            progress("hash", done, len(due))
        with writing(engine, location) as connection:
            store = Store(connection)
            for one, sums in found:
                _write(store, one, sums, ingest_id)
            store.flush()
        news += sum(_is_news(one, sums) for one, sums in found)
    return news


def _due(engine: Engine, folders: Sequence[Path], host: str) -> list[_Due]:
    file, root, checkpoint = table_of(File), table_of(Root), table_of(Checkpoint)
    has_weights = checkpoint.c.status.in_(_WITH_WEIGHTS)
    query = (
        select(
            file.c.id,
            file.c.root_id,
            file.c.path,
            root.c.path,
            file.c.size,
            file.c.mtime_ns,
            file.c.inode,
            file.c.is_link,
            has_weights,
            checkpoint.c.damage,
        )
        .join(root, root.c.id == file.c.root_id)
        .join(checkpoint, checkpoint.c.id == file.c.id)
        .where(
            file.c.state == "present",
            or_(
                # A directory has no inode of its own, and no sum of all that is in it.
                and_(
                    file.c.inode != 0,
                    file.c.is_link.is_(False),
                    or_(file.c.sha256.is_(None), file.c.md5.is_(None)),
                ),
                and_(has_weights, checkpoint.c.weights_sha256.is_(None)),
                checkpoint.c.damage.is_not(None),
            ),
            root.c.host == host,
        )
        .order_by(file.c.is_link, root.c.path, file.c.path)
    )
    with engine.connect() as connection:
        rows = [
            _Due(
                int(number), int(root_id), path, Path(top, path), int(size), int(mtime_ns),
                int(inode), bool(is_link), bool(weights), damage,
            )
            for number, root_id, path, top, size, mtime_ns, inode, is_link, weights, damage
            in connection.execute(query)
        ]  # fmt: skip
    return [row for row in rows if any(row.place.is_relative_to(folder) for folder in folders)]


def _stored(
    engine: Engine, due: Sequence[_Due], host: str
) -> dict[_Same, list[tuple[Path, Verified]]]:
    """Return what is stored of files that may be those that are due, under other names."""
    file, root, checkpoint = table_of(File), table_of(Root), table_of(Checkpoint)
    wanted = {(one.inode, one.size, one.mtime_ns) for one in due if one.inode}
    known: dict[_Same, list[tuple[Path, Verified]]] = {}
    if not wanted:
        return known
    query = (
        select(
            file.c.inode,
            file.c.size,
            file.c.mtime_ns,
            root.c.path,
            file.c.path,
            file.c.sha256,
            file.c.md5,
            checkpoint.c.weights_sha256,
        )
        .join(checkpoint, checkpoint.c.id == file.c.id)
        .join(root, root.c.id == file.c.root_id)
        .where(
            root.c.host == host,
            file.c.state == "present",
            file.c.sha256.is_not(None),
            file.c.md5.is_not(None),
            checkpoint.c.weights_sha256.is_not(None),
        )
    )
    inodes = sorted({inode for inode, _, _ in wanted})
    if len(inodes) <= CHUNK:
        query = query.where(file.c.inode.in_(inodes))
    with engine.connect() as connection:
        for inode, size, mtime_ns, top, path, sha256, md5, weights in fetched(connection, query):
            same = (int(inode), int(size), int(mtime_ns))
            if same in wanted:
                sums = Verified(sha256, md5, weights, None, "weights")
                known.setdefault(same, []).append((Path(top, path), sums))
    return known


class _Known:
    """Sums by file: what has several names is read once, and two disks are told apart.

    Args:
        stored: what the catalog has of files by inode, size and time, and where they are.
    """

    def __init__(self, stored: dict[_Same, list[tuple[Path, Verified]]]) -> None:
        self._stored = stored
        self._read: dict[tuple[int, int, int, int], Verified | None] = {}

    def sums_of(self, one: _Due) -> Verified | None:
        """Return the sums of a checkpoint, None where they cannot be taken."""
        # A folder, files that share a name's beginning, or a model with its weights beside it.
        if one.inode == 0 or one.place.suffix.lower() == ".onnx":
            return _read(one)
        try:
            status = one.place.stat()
        except OSError:
            return None
        same = (status.st_dev, status.st_ino, one.size, one.mtime_ns)
        if same not in self._read:
            stored = self._stored_of(one, status)
            self._read[same] = _read(one) if stored is None else stored
        return self._read[same]

    def _stored_of(self, one: _Due, status: os.stat_result) -> Verified | None:
        if (status.st_size, status.st_mtime_ns) != (one.size, one.mtime_ns):
            return None
        for place, sums in self._stored.get((one.inode, one.size, one.mtime_ns), ()):
            try:
                if os.path.samestat(place.stat(), status):
                    return sums
            except OSError:
                continue
        return None


def _read(one: _Due) -> Verified | None:
    """Read a checkpoint whole, None where that cannot be done or it is not what was ingested."""
    try:
        found = verified_sum(one.place)
    except SourceError:
        return None
    if found.damage is not None:
        found = found._replace(damage=clean(found.damage))
    if one.inode == 0:
        return found  # the next ingest sees if it changed meanwhile
    if (found.size, found.mtime_ns) != (one.size, one.mtime_ns):
        return None
    return found


def _is_news(one: _Due, sums: Verified) -> bool:
    if sums.damage != one.damage:
        return True
    return sums.damage is None and (sums.sha256 or sums.weights_sha256) is not None


def _write(store: Store, one: _Due, sums: Verified, ingest_id: int) -> None:
    connection = store.connection
    files, checkpoints = table_of(File), table_of(Checkpoint)
    if one.inode == 0:
        # Of a folder it is what its weights are found by.
        connection.execute(
            update(files).where(files.c.id == one.number).values(sha256=sums.weights_sha256)
        )
    elif not one.is_link:
        connection.execute(
            update(files).where(files.c.id == one.number).values(sha256=sums.sha256, md5=sums.md5)
        )
    connection.execute(
        update(checkpoints)
        .where(checkpoints.c.id == one.number)
        .values(weights_sha256=sums.weights_sha256 if one.has_weights else None, damage=sums.damage)
    )
    _write_problem(store, one, sums.damage, ingest_id)


def _write_problem(store: Store, one: _Due, damage: str | None, ingest_id: int) -> None:
    """Keep the problem of a damaged file open, and close that of one that is whole after all."""
    problems = table_of(Problem)
    if damage == one.damage:
        return
    store.connection.execute(
        update(problems)
        .where(
            problems.c.file_id == one.number,
            problems.c.code == DAMAGED,
            problems.c.resolved_ingest_id.is_(None),
        )
        .values(resolved_ingest_id=ingest_id)
    )
    if damage is not None:
        store.add(
            Problem,
            {
                "id": store.number(Problem),
                "root_id": one.root_id,
                "file_id": one.number,
                "path": one.path,
                "code": DAMAGED,
                "message": damage,
                "first_ingest_id": ingest_id,
                "resolved_ingest_id": None,
            },
        )
