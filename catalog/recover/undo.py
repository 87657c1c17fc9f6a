"""`catalog recover --undo`: take back what a recovery wrote, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from catalog.errors import NotFound
from catalog.recover.content import sha256_of
from catalog.recover.files import folder_time, why
from catalog.recover.journal import Entry, entries, remove, reopen_batch, set_state
from catalog.schema.engine import writing
from catalog.schema.store import table_of
from catalog.schema.tables import Recovery

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from catalog.schema.location import Location


_ELSEWHERE = (
    "Its tree is on another host (`catalog host list`); undo it there, or ingest the tree where it "
    "is mounted here as well."
)


@dataclass(frozen=True, slots=True)
class UndoneFile:
    """One file that a recovery wrote, and what the undo did about it."""

    path: str
    """Below its root."""
    action: Literal["removed", "kept"]
    note: str = ""


@dataclass(frozen=True, slots=True)
class UndoResult:
    """A whole undo."""

    batch: int
    files: tuple[UndoneFile, ...]
    folders: tuple[Path, ...]
    """Those in which something was removed, and that are still there."""


def undo(engine: Engine, location: Location, host: str, batch: int) -> UndoResult:
    """Remove the files of a batch that are as they were written; keep the others, by name.

    A sidecar and its provenance stay together: if one was changed, both are kept. A folder that
    nobody else changed gets back the modification time that it had before.

    Raises:
        NotFound: there is no such batch.
    """
    table = table_of(Recovery)
    with writing(engine, location) as connection:
        if connection.execute(select(table.c.id).where(table.c.id == batch)).scalar() is None:
            raise NotFound(f"There is no recovery {batch}; `catalog query recovered` lists them.")
        written = entries(connection, None, recovery_id=batch, state="written")
        at_hand = {one.number for one in entries(connection, host, recovery_id=batch)}
    kept = {one.number: _ELSEWHERE for one in written if one.number not in at_hand}
    for one in written:
        if one.number in kept:
            continue
        said = _changed(one)
        if said:
            partners = [o for o in written if o.checkpoint_id == one.checkpoint_id]
            kept |= {other.number: kept.get(other.number, said) for other in partners}
    done: list[Path] = []
    for folder in dict.fromkeys(one.file.parent for one in written):
        due = [one for one in written if one.file.parent == folder and one.number not in kept]
        if not due:
            continue
        said = _remove(engine, location, folder, due)
        if said:
            kept |= {one.number: said for one in due}
        else:
            done += [folder] if folder.is_dir() else []
    return UndoResult(
        batch,
        tuple(
            UndoneFile(one.path, "kept", kept[one.number])
            if one.number in kept
            else UndoneFile(one.path, "removed")
            for one in written
        ),
        tuple(done),
    )


def _changed(one: Entry) -> str:
    if not os.path.lexists(one.file):
        return ""  # gone already, which is what the undo wants
    if one.file.is_symlink() or sha256_of(one.file) != one.sha256:
        return f"{one.file} was changed since it was written and is left as it is."
    return ""


def _remove(engine: Engine, location: Location, folder: Path, due: list[Entry]) -> str:
    """Remove files of one folder; return what stood in the way."""
    lasts = [o.folder_mtime_after_ns for o in due if o.folder_mtime_after_ns is not None]
    alone = bool(lasts) and folder_time(folder) == max(lasts)
    before = due[0].folder_mtime_ns if alone else None
    numbers = [one.number for one in due]
    with writing(engine, location) as connection:
        reopen_batch(connection, due[0].batch)
        set_state(connection, numbers, "removing", folder_mtime_ns=before)
    try:
        remove(engine, location, [replace(one, folder_mtime_ns=before) for one in due])
    except OSError as error:
        with writing(engine, location) as connection:
            set_state(connection, numbers, "written")
        return f"{folder}: {why(error)}"
    return ""
