"""Which checkpoints an ingest may have brought to another state: the others are not looked at.

A state rests on the checkpoint itself, on the configs where inference looks for one, on its links,
and on the sidecars of other checkpoints of its run, its job or its weights. So a change can reach
one step beyond what changed, and what decides there lies one step further.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, or_, select

from catalog.recover.doubts import below
from catalog.schema.job_folders import shared_job_folders
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import (
    Checkpoint,
    CheckpointDirectory,
    File,
    Link,
    Migration,
    Root,
    RunDirectory,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection

CONFIG_READERS = ("sidecar", "hydra")
"""Readers of the files that inference may find as a config."""
_MOST_FOLDERS = 1_000
"""Where configs changed in more folders than this, looking at all checkpoints is quicker."""
_BY_OTHERS = ("sources-disagree", "run-config-incomplete", "config-contradicts-weights")
"""Reasons that may rest on the sidecar of a checkpoint that had the same weights once."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The checkpoints to judge, and those that must be known for it."""

    judged: frozenset[int]
    known: frozenset[int]


class _Changed(NamedTuple):
    id: int
    host: str
    folder: str
    """Absolute."""
    reader: str
    is_checkpoint: bool
    is_new: bool


def affected(
    connection: Connection,
    ingest_id: int,
    weighed: Iterable[int],
    runs: Iterable[int],
    jobs: Iterable[int],
) -> Scope | None:
    """Return the checkpoints whose state may be another than before an ingest.

    Args:
        connection: the database, after linking.
        ingest_id: the ingest; the one before it judged all that stood there then.
        weighed: checkpoints whose links were weighed again.
        runs: the runs that those were linked to before.
        jobs: the job folders that checkpoints lay in before and do no more.

    Returns:
        None where so much changed that all are to be judged.
    """
    changed = list(_changed(connection, ingest_id))
    folders = {(one.host, one.folder) for one in changed if one.reader in CONFIG_READERS}
    if len(folders) > _MOST_FOLDERS:
        return None
    first = {*weighed, *(one.id for one in changed if one.is_checkpoint)}
    for host, folder in folders:
        first |= _below(connection, host, folder)
    first |= _doubtful(connection, {(one.host, one.folder) for one in changed} - folders)
    if any((one.reader or "").startswith(("hydra", "wandb")) for one in changed):
        first |= _of_shared_folders(connection)
    if any(one.is_checkpoint and not one.is_new for one in changed):
        # It may have had other weights, and with them others that took its sidecar.
        table = table_of(Migration)
        first |= _numbers(
            connection,
            table.c.checkpoint_id,
            or_(table.c.source_kind == "equal-weights", table.c.reason_code.in_(_BY_OTHERS)),
        )
    judged = _near(connection, first, set(runs), set(jobs))
    return Scope(frozenset(judged), frozenset(_near(connection, judged, set(), set())))


def _changed(connection: Connection, ingest_id: int) -> Iterator[_Changed]:
    files, roots, table = table_of(File), table_of(Root), table_of(Checkpoint)
    for row in fetched(
        connection,
        select(
            files.c.id,
            files.c.path,
            files.c.reader,
            files.c.first_ingest_id,
            roots.c.host,
            roots.c.path.label("root"),
            table.c.id.label("checkpoint"),
        )
        .join(roots, roots.c.id == files.c.root_id)
        .outerjoin(table, table.c.id == files.c.id)
        .where(or_(files.c.read_ingest_id == ingest_id, files.c.missing_ingest_id == ingest_id)),
    ):
        folder = posixpath.dirname(posixpath.join(row.root, row.path))
        if posixpath.basename(folder) == ".hydra":
            folder = posixpath.dirname(folder)
        yield _Changed(
            int(row.id),
            row.host,
            folder,
            row.reader,
            row.checkpoint is not None,
            int(row.first_ingest_id) == ingest_id,
        )


def _doubtful(connection: Connection, folders: Collection[tuple[str, str]]) -> set[int]:
    """Return the checkpoints below folders whose config is younger than they are.

    What is new beside them (another checkpoint, an event file) may tell of a later job.
    """
    files, states, configs = table_of(File), table_of(Migration), table_of(File).alias()
    query = (
        select(states.c.checkpoint_id)
        .join(files, files.c.id == states.c.checkpoint_id)
        .join(configs, configs.c.id == states.c.config_file_id)
        .where(configs.c.mtime_ns > files.c.mtime_ns)
    )
    if len(folders) > _MOST_FOLDERS:
        return {int(number) for number in connection.execute(query).scalars()}
    found: set[int] = set()
    for host, folder in folders:
        for inside in _inside(connection, host, folder):
            found |= set(connection.execute(query.where(inside)).scalars())
    return found


def _of_shared_folders(connection: Connection) -> set[int]:
    """Return the checkpoints whose config is of a folder in which several jobs may have worked."""
    table, states, files = table_of(RunDirectory), table_of(Migration), table_of(File)
    found: set[int] = set()
    for part in chunks(sorted(shared_job_folders(connection))):
        rows = connection.execute(
            select(table.c.root_id, table.c.path).where(table.c.id.in_(part))
        ).all()
        for root_id, path in rows:
            config = posixpath.normpath(posixpath.join(path, ".hydra", "config.yaml"))
            found |= _numbers(
                connection,
                states.c.checkpoint_id,
                and_(
                    states.c.config_file_id == files.c.id,
                    files.c.root_id == root_id,
                    files.c.path == config,
                ),
            )
    return found


def _below(connection: Connection, host: str, folder: str) -> set[int]:
    """Return the checkpoints below a folder, in whichever trees."""
    files, table = table_of(File), table_of(Checkpoint)
    found: set[int] = set()
    for inside in _inside(connection, host, folder):
        found |= _numbers(connection, table.c.id, and_(table.c.id == files.c.id, inside))
    return found


def _inside(connection: Connection, host: str, folder: str) -> Iterator[ColumnElement[bool]]:
    """Yield, for each tree that a folder is in or above, the condition that a file is below it."""
    files, roots = table_of(File), table_of(Root)
    for number, root in connection.execute(
        select(roots.c.id, roots.c.path).where(roots.c.host == host)
    ).all():
        inside = files.c.root_id == number
        start = root.rstrip("/")
        if folder.startswith(f"{start}/"):
            inside &= below(connection, files.c.path, folder[len(start) + 1 :])
        elif folder.rstrip("/") != start and not root.startswith(f"{folder.rstrip('/')}/"):
            continue
        yield inside


def _near(
    connection: Connection, checkpoints: Collection[int], runs: set[int], jobs: set[int]
) -> set[int]:
    """Return checkpoints with those that share their run, their job or their weights."""
    table, links, inside = table_of(Checkpoint), table_of(Link), table_of(CheckpointDirectory)
    linked, in_job = links.c.verdict == "linked", inside.c.tracker == "hydra"
    found = set(checkpoints)
    sums = (table.c.weights_fingerprint, table.c.weights_sha256)
    weights: dict[int, set[str]] = {0: set(), 1: set()}
    for part in chunks(sorted(found)):
        runs |= _numbers(connection, links.c.run_id, linked & links.c.checkpoint_id.in_(part))
        jobs |= _numbers(
            connection, inside.c.run_directory_id, in_job & inside.c.checkpoint_id.in_(part)
        )
        for row in connection.execute(select(*sums).where(table.c.id.in_(part))):
            for place, value in enumerate(row):
                if value is not None:
                    weights[place].add(value)
    for part in chunks(sorted(runs)):
        found |= _numbers(connection, links.c.checkpoint_id, linked & links.c.run_id.in_(part))
    for part in chunks(sorted(jobs)):
        found |= _numbers(
            connection, inside.c.checkpoint_id, in_job & inside.c.run_directory_id.in_(part)
        )
    for place, column in enumerate(sums):
        for part in chunks(sorted(weights[place])):
            found |= _numbers(connection, table.c.id, column.in_(part))
    return found


def _numbers(
    connection: Connection, column: ColumnElement[int], condition: ColumnElement[bool]
) -> set[int]:
    return {int(number) for number in connection.execute(select(column).where(condition)).scalars()}
