"""Sums of checkpoint files, taken only when asked for and kept while a file is unchanged.

SHA-256, and MD5 as the artifacts of W&B state it: base64 (`wandb/sdk/lib/hashutil.py`).

It is the one part of an ingest that reads checkpoints whole. A directory whose weights nothing else
tells apart has a SHA-256 of its weight files; a symbolic link has the sums of its target, a file of
its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, or_, select, update

from catalog.errors import SourceError
from catalog.schema.engine import writing
from catalog.schema.store import table_of
from catalog.schema.tables import Checkpoint, File, Root
from catalog.sources.checkpoint.sums import sum_of_weights
from catalog.sources.paths import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from catalog.ingest.pipeline import Progress
    from catalog.schema.location import Location

_BLOCK = 1024 * 1024
_BATCH = 20
"""Files hashed between two transactions: what was done is kept if somebody stops it."""


class _Sums(NamedTuple):
    sha256: str
    md5: str | None
    """Of a file; no artifact states one of a directory."""


def hash_checkpoints(
    engine: Engine, location: Location, folders: Sequence[Path], host: str, progress: Progress
) -> int:
    """Hash the checkpoints below folders that have no sum yet; return how many were.

    A file that cannot be read, or that changed since the ingest read it, gets none.

    Args:
        engine: of a catalog at the newest schema.
        location: where that is, for messages.
        folders: absolute paths.
        host: name of this machine, for a file of another one is not at hand.
        progress: called with (stage, done, total).
    """
    due = _due(engine, folders, host)
    progress("hash", 0, len(due))
    hashed = 0
    known: dict[tuple[int, int, int], _Sums | None] = {}  # by inode, size and time
    table = table_of(File)
    for start in range(0, len(due), _BATCH):
        sums = {}
        batch = due[start : start + _BATCH]
        for done, (number, path, size, mtime_ns, inode) in enumerate(batch, start + 1):
            # Hard links share an inode: what they name is read once.
            same = (inode, size, mtime_ns)
            if inode == 0:
                found = _sum_of_directory(path)
            elif same in known:
                found = known[same]
            else:
                found = known[same] = _sums(path, size, mtime_ns)
            if found is not None:
                sums[number] = found
            progress("hash", done, len(due))
        with writing(engine, location) as connection:
            for number, value in sums.items():
                connection.execute(
                    update(table)
                    .where(table.c.id == number)
                    .values(sha256=value.sha256, md5=value.md5)
                )
        hashed += len(sums)
    return hashed


def _due(
    engine: Engine, folders: Sequence[Path], host: str
) -> list[tuple[int, Path, int, int, int]]:
    file, root, checkpoint = table_of(File), table_of(Root), table_of(Checkpoint)
    query = (
        select(file.c.id, root.c.path, file.c.path, file.c.size, file.c.mtime_ns, file.c.inode)
        .join(root, root.c.id == file.c.root_id)
        .join(checkpoint, checkpoint.c.id == file.c.id)
        .where(
            file.c.state == "present",
            or_(
                and_(file.c.inode != 0, or_(file.c.sha256.is_(None), file.c.md5.is_(None))),
                # A directory has no inode of its own; few formats of its files keep no sums.
                and_(
                    file.c.inode == 0,
                    file.c.sha256.is_(None),
                    checkpoint.c.weights_fingerprint.is_(None),
                ),
            ),
            file.c.is_link.is_(False),
            root.c.host == host,
        )
        .order_by(root.c.path, file.c.path)
    )
    with engine.connect() as connection:
        rows = [
            (int(number), Path(top, path), int(size), int(mtime_ns), int(inode))
            for number, top, path, size, mtime_ns, inode in connection.execute(query)
        ]
    return [row for row in rows if any(row[1].is_relative_to(folder) for folder in folders)]


def _sum_of_directory(path: Path) -> _Sums | None:
    """Return the sum of a directory's weights; the next ingest sees if it changed meanwhile."""
    if not path.is_dir():
        return None  # files that share a name's beginning, such as TensorFlow's
    try:
        found = sum_of_weights(path)
    except SourceError:
        return None
    return None if found is None else _Sums(found, None)


def _sums(path: Path, size: int, mtime_ns: int) -> _Sums | None:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                sha256.update(block)
                md5.update(block)
            status = os.fstat(file.fileno())
    except OSError:
        return None
    if (status.st_size, status.st_mtime_ns) != (size, mtime_ns):
        return None
    return _Sums(sha256.hexdigest(), base64.b64encode(md5.digest()).decode())
