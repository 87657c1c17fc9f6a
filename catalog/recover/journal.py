"""The journal of recoveries: rows that are on disk before a file is touched.

A row is `planned`, then `written` or `failed`; an undo makes it `removing`, then `removed`. Each
step is a commit of its own, so that after a kill at any moment the row and the disk together tell
what happened. `settle` brings them in line: files are published whole and provenance goes before
its sidecar, hence a sidecar that is there is complete, and one that is not never was.
"""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from catalog import __version__
from catalog.recover.content import sha256_of
from catalog.recover.files import (
    flush_folder,
    folder_time,
    set_folder_time,
    temporary_name,
)
from catalog.schema.engine import writing
from catalog.schema.hosts import seen_by
from catalog.schema.store import Store, chunks, table_of
from catalog.schema.tables import Recovery, RecoveryFile, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Engine

    from catalog.schema.location import Location

log = logging.getLogger(__name__)

INTERRUPTED = "Interrupted before it was written."


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the journal."""

    number: int
    batch: int
    checkpoint_id: int
    kind: str
    root: Path
    path: str
    sha256: str
    state: str
    token: str
    folder_mtime_ns: int | None
    folder_mtime_after_ns: int | None

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.root / self.path


def open_batch(
    engine: Engine, location: Location, files: Sequence[dict[str, Any]], now: str
) -> tuple[int, str, list[int]]:
    """Write a new batch with its planned files; it is on disk when this returns.

    Args:
        engine: a durable one: a journal that is lost with the power is none.
        location: the database, for messages.
        files: rows of `recovery_file` without `id`, `recovery_id`, `state` and `note`.
        now: UTC text.

    Returns:
        The batch, the token of its temporary files, and the numbers of the rows.
    """
    token = secrets.token_hex(4)
    with writing(engine, location) as connection:
        store = Store(connection)
        batch = store.number(Recovery)
        connection.execute(
            insert(table_of(Recovery)).values(
                id=batch,
                status="running",
                started_at=now,
                finished_at=None,
                catalog_version=__version__,
                token=token,
            )
        )
        numbers = [store.number(RecoveryFile) for _ in files]
        for number, row in zip(numbers, files, strict=True):
            store.add(
                RecoveryFile,
                {
                    **row,
                    "id": number,
                    "recovery_id": batch,
                    "state": "planned",
                    "note": None,
                    "folder_mtime_after_ns": None,
                },
            )
        store.flush()
    return batch, token, numbers


def close_batch(engine: Engine, location: Location, batch: int, now: str) -> None:
    """Note that all files of a batch are dealt with, and that their folders were looked at."""
    table = table_of(Recovery)
    with writing(engine, location) as connection:
        connection.execute(
            update(table).where(table.c.id == batch).values(status="finished", finished_at=now)
        )


def reopen_batch(connection: Connection, batch: int) -> None:
    """Note that files of a batch are being removed."""
    table = table_of(Recovery)
    connection.execute(update(table).where(table.c.id == batch).values(status="running"))


def set_state(connection: Connection, numbers: Iterable[int], state: str, **values: Any) -> None:
    """Give rows of the journal a new state."""
    table = table_of(RecoveryFile)
    for part in chunks(list(numbers)):
        connection.execute(update(table).where(table.c.id.in_(part)).values(state=state, **values))


def entries(connection: Connection, host: str | None, **wanted: Any) -> list[Entry]:
    """Return rows of the journal whose trees this host has seen, in their order.

    Args:
        connection: of a catalog at the newest schema.
        host: name of this machine; None for the trees of all.
        wanted: columns of `recovery_file` and the values they must have.
    """
    table, roots, batches = table_of(RecoveryFile), table_of(Root), table_of(Recovery)
    query = (
        select(
            table,
            roots.c.path.label("root"),
            batches.c.token,
        )
        .join(roots, roots.c.id == table.c.root_id)
        .join(batches, batches.c.id == table.c.recovery_id)
        .where(
            *(() if host is None else (seen_by(host),)),
            *(table.c[name] == value for name, value in wanted.items()),
        )
        .order_by(table.c.id)
    )
    return [
        Entry(
            int(row.id),
            int(row.recovery_id),
            int(row.checkpoint_id),
            row.kind,
            Path(row.root),
            row.path,
            row.sha256,
            row.state,
            row.token or "",
            row.folder_mtime_ns,
            row.folder_mtime_after_ns,
        )
        for row in connection.execute(query)
    ]


def settle(
    engine: Engine, location: Location, host: str, look: Callable[[Sequence[Path], str, int], None]
) -> None:
    """Complete what a killed recovery or undo left open, and have its folders looked at.

    Args:
        engine: a durable one.
        location: the database, for messages.
        host: name of this machine; journals of others stay as they are.
        look: ingests folders for a cause and a batch and closes the batch.
    """
    table = table_of(Recovery)
    with writing(engine, location) as connection:
        batches = connection.execute(
            select(table.c.id).where(table.c.status == "running").order_by(table.c.id)
        ).scalars()
        running = {int(batch): entries(connection, host, recovery_id=batch) for batch in batches}
    for batch, files in running.items():
        if not files:
            continue
        _settle_planned(engine, location, [one for one in files if one.state == "planned"])
        removing = [one for one in files if one.state == "removing"]
        for folder in dict.fromkeys(one.file.parent for one in removing):
            remove(engine, location, [one for one in removing if one.file.parent == folder])
        folders = sorted({one.file.parent for one in files})
        look([one for one in folders if one.is_dir()], f"recovery {batch}, interrupted", batch)


def tidy(engine: Engine, location: Location, host: str) -> list[Path]:
    """Remove provenance of sidecars that somebody removed: it would stand in a new one's way.

    What is no more as it was written is left.

    Returns:
        The folders of those sidecars: what the catalog knows of them is old.
    """
    with writing(engine, location) as connection:
        written = entries(connection, host, state="written")
    there = {
        (one.batch, one.checkpoint_id)
        for one in written
        if one.kind == "sidecar" and os.path.lexists(one.file)
    }
    orphans = [
        one
        for one in written
        # A folder that is not there may lie on a disk that is not mounted just now.
        if (one.batch, one.checkpoint_id) not in there and one.file.parent.is_dir()
    ]
    for one in orphans:
        if one.kind == "provenance" and sha256_of(one.file) == one.sha256:
            _discard(one.file)
    if orphans:
        with writing(engine, location) as connection:
            set_state(
                connection,
                (one.number for one in orphans),
                "removed",
                note="Somebody removed the sidecar.",
            )
    return sorted({one.file.parent for one in orphans})


def _settle_planned(engine: Engine, location: Location, files: Sequence[Entry]) -> None:
    for one in files:
        _discard(temporary_name(one.file, one.token))
    for checkpoint in dict.fromkeys(one.checkpoint_id for one in files):
        mine = [one for one in files if one.checkpoint_id == checkpoint]
        there = {one.number: sha256_of(one.file) == one.sha256 for one in mine}
        complete = all(there[one.number] for one in mine if one.kind == "sidecar")
        for one in mine:
            written = there[one.number]
            if written and not complete:
                _discard(one.file)
            with writing(engine, location) as connection:
                if written and complete:
                    after = folder_time(one.file.parent)
                    set_state(connection, [one.number], "written", folder_mtime_after_ns=after)
                else:
                    set_state(connection, [one.number], "failed", note=INTERRUPTED)


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s is a leftover and cannot be removed: %s", path, error.strerror)


def remove(engine: Engine, location: Location, files: Sequence[Entry]) -> None:
    """Remove files of one folder that stand as `removing` in the journal.

    Raises:
        OSError: the folder cannot be written; the journal stays as it is.
    """
    folder = files[0].file.parent
    for one in files:
        if sha256_of(one.file) == one.sha256:
            one.file.unlink()
    if folder.is_dir():
        flush_folder(folder)
        before = next((o.folder_mtime_ns for o in files if o.folder_mtime_ns is not None), None)
        if before is not None:
            set_folder_time(folder, before)
    with writing(engine, location) as connection:
        set_state(connection, (one.number for one in files), "removed")
