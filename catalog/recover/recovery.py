"""`catalog recover`: plan the missing sidecars, journal them, write them."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert, select, update

from catalog import __version__
from catalog.errors import RecoveryError
from catalog.ingest.store import Store, table_of
from catalog.recover.files import check_inside, write_new
from catalog.recover.policy import sidecar_stem
from catalog.recover.sources import Source, Sources
from catalog.schema.engine import writing
from catalog.schema.tables import File, Migration, Recovery, RecoveryFile, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from catalog.schema.location import Location
    from catalog.settings import Settings

Action = Literal["write", "written", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class RecoveredFile:
    """One unusable checkpoint, and what recovery does or did about it."""

    checkpoint: str
    """Path below its root."""
    sidecar: str | None
    action: Action
    """`write` in a dry run; `written`, `skipped` or `failed` (see the note) after a real one."""
    source: str | None
    """The file that states the config."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """A whole recovery."""

    batch: int | None
    """Its number; None for a dry run, or where there was nothing to write."""
    files: tuple[RecoveredFile, ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    checkpoint_id: int
    root_id: int
    root: Path
    shown: RecoveredFile
    source: Source | None = None
    content: bytes = b""

    @property
    def folder(self) -> Path:
        """The folder that the checkpoint lies in."""
        return (self.root / self.shown.checkpoint).parent


def plan(
    connection: Connection, settings: Settings, host: str, only: str | None = None
) -> list[_Planned]:
    """Return what recovery would do about every unusable checkpoint; nothing is written.

    Args:
        connection: of a catalog at the newest schema.
        settings: `config_sections` says what the sidecar holds.
        host: name of this machine; trees of others are out of reach.
        only: take only checkpoints whose path contains this text.
    """
    table, files, roots = table_of(Migration), table_of(File), table_of(Root)
    sources = Sources(connection, settings)
    planned: list[_Planned] = []
    for row in connection.execute(
        select(
            table.c.checkpoint_id,
            table.c.state,
            table.c.reason,
            files.c.path,
            roots.c.id.label("root_id"),
            roots.c.path.label("root"),
            roots.c.host,
        )
        .join(files, files.c.id == table.c.checkpoint_id)
        .join(roots, roots.c.id == files.c.root_id)
        .where(table.c.state.in_(("recoverable", "unrecoverable")))
        .order_by(roots.c.path, files.c.path)
    ):
        if only is not None and only not in row.path:
            continue
        shown = RecoveredFile(row.path, None, "skipped", None, row.reason or "")
        one = _Planned(int(row.checkpoint_id), int(row.root_id), Path(row.root), shown)
        if row.state == "recoverable":
            one = _with_content(one, sources, settings)
            if row.host != host:
                note = f"The tree lies on {row.host}; run `catalog recover` there."
                one = replace(one, shown=replace(one.shown, action="skipped", note=note))
        planned.append(one)
    return planned


def recover(
    engine: Engine,
    location: Location,
    planned: Sequence[_Planned],
    clock: Callable[[], str],
) -> RecoveryResult:
    """Write the planned sidecars; the journal is in the database before a file is touched.

    The engine must be a durable one: a journal that is lost with the power is none.
    A file that cannot be written is `failed` with a note, and the others go on.
    """
    due = [one for one in planned if one.shown.action == "write"]
    if not due:
        return RecoveryResult(None, tuple(one.shown for one in planned))
    batch, numbers = _journal(engine, location, due, clock())
    done: dict[int, RecoveredFile] = {}
    for one, number in zip(due, numbers, strict=True):
        shown = _write(one)
        done[one.checkpoint_id] = shown
        state = "written" if shown.action == "written" else "failed"
        with writing(engine, location) as connection:
            _set(connection, number, state, shown.note or None)
    with writing(engine, location) as connection:
        table = table_of(Recovery)
        connection.execute(
            update(table).where(table.c.id == batch).values(status="finished", finished_at=clock())
        )
    return RecoveryResult(batch, tuple(done.get(one.checkpoint_id, one.shown) for one in planned))


def settle_journal(engine: Engine, location: Location, now: str) -> None:
    """Close what a killed recovery left open: each file was written whole, or it was not."""
    journal, roots, batches = table_of(RecoveryFile), table_of(Root), table_of(Recovery)
    with writing(engine, location) as connection:
        rows = connection.execute(
            select(journal.c.id, journal.c.path, journal.c.sha256, roots.c.path)
            .join(roots, roots.c.id == journal.c.root_id)
            .where(journal.c.state == "planned")
        ).all()
        for number, path, sha256, root in rows:
            if _sha256(Path(root) / path) == sha256:
                _set(connection, int(number), "written", None)
            else:
                _set(connection, int(number), "failed", "Interrupted before it was written.")
        connection.execute(
            update(batches)
            .where(batches.c.status == "running")
            .values(status="finished", finished_at=now)
        )


def _with_content(one: _Planned, sources: Sources, settings: Settings) -> _Planned:
    source = sources.find(one.checkpoint_id).source
    if source is None:  # the state rows are older than the links
        return one
    document = sources.document(source.config_id)
    sections: dict[str, Any] = {name: document[name] for name in settings.config_sections}
    content = json.dumps(sections, indent=2, ensure_ascii=False) + "\n"
    sidecar = f"{sidecar_stem(one.shown.checkpoint)}{settings.sidecar_suffixes[0]}"
    shown = RecoveredFile(
        one.shown.checkpoint,
        sidecar,
        "write",
        source.path,
        f"{' and '.join(settings.config_sections)} as its run recorded it ({source.kind})",
    )
    return replace(one, shown=shown, source=source, content=content.encode())


def _journal(
    engine: Engine, location: Location, due: Sequence[_Planned], now: str
) -> tuple[int, list[int]]:
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
            )
        )
        numbers: list[int] = []
        for one in due:
            if one.source is None:
                raise RecoveryError(f"{one.shown.checkpoint} was planned without a source.")
            number = store.number(RecoveryFile)
            numbers.append(number)
            store.add(
                RecoveryFile,
                {
                    "id": number,
                    "recovery_id": batch,
                    "checkpoint_id": one.checkpoint_id,
                    "root_id": one.root_id,
                    "path": one.shown.sidecar,
                    "source_file_id": one.source.file_id,
                    "config_id": one.source.config_id,
                    "sha256": hashlib.sha256(one.content).hexdigest(),
                    "state": "planned",
                    "note": None,
                },
            )
        store.flush()
    return batch, numbers


def _write(one: _Planned) -> RecoveredFile:
    path = one.root / str(one.shown.sidecar)
    try:
        check_inside(path, one.root)
        write_new(path, one.content, like=one.root / one.shown.checkpoint)
    except RecoveryError as error:
        return replace(one.shown, action="failed", note=str(error))
    except FileExistsError:
        note = f"{path} exists already and is left as it is; ingest again to see what it holds."
        return replace(one.shown, action="failed", note=note)
    except FileNotFoundError:
        note = f"{one.root / one.shown.checkpoint} is gone; ingest again."
        return replace(one.shown, action="failed", note=note)
    except OSError as error:
        return replace(one.shown, action="failed", note=f"{path}: {_why(error)}")
    return replace(one.shown, action="written")


def _why(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run it again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "the folder cannot be written; give yourself permission and run it again."
    return f"it could not be written ({error.strerror})."


def _set(connection: Connection, number: int, state: str, note: str | None) -> None:
    table = table_of(RecoveryFile)
    connection.execute(update(table).where(table.c.id == number).values(state=state, note=note))


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
