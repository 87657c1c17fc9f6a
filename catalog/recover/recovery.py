"""`catalog recover`: plan the missing sidecars, journal them, write them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select

from catalog.errors import RecoveryError
from catalog.recover.content import PROVENANCE_SUFFIX, Shape, json_bytes, sha256
from catalog.recover.files import check_inside, folder_time, why, write_new
from catalog.recover.journal import open_batch, set_state
from catalog.recover.policy import sidecar_stem
from catalog.recover.provenance import Provenance
from catalog.recover.sources import Source, Sources, check_prefer
from catalog.schema.engine import explained, writing
from catalog.schema.hosts import known_roots
from catalog.schema.store import table_of
from catalog.schema.tables import File, Migration, Root
from catalog.states import ABSENT, OTHER, UNUSABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
    content: str = ""
    """What the sidecar holds or would hold."""


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """A whole recovery."""

    batch: int | None
    """Its number; None for a dry run, or where there was nothing to write."""
    files: tuple[RecoveredFile, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What recovery would do about one checkpoint."""

    checkpoint_id: int
    root_id: int
    root: Path
    seen: tuple[int, int]
    """Size and modification time of the checkpoint when it was ingested; of a folder none."""
    shown: RecoveredFile
    source: Source | None = None
    document: dict[str, Any] | None = None
    run: str | None = None
    content: bytes = b""
    provenance: bytes = b""

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint lies."""
        return self.root / self.shown.checkpoint

    @property
    def folder(self) -> Path:
        """The folder that the checkpoint lies in."""
        return self.checkpoint.parent


def plan(
    connection: Connection,
    settings: Settings,
    host: str,
    only: str | None = None,
    prefer: str | None = None,
) -> list[Planned]:
    """Return what recovery would do about every unusable checkpoint; nothing is written.

    Args:
        connection: of a catalog at the newest schema.
        settings: what the sidecar holds, and where inference looks for it.
        host: name of this machine; trees of others are out of reach.
        only: take only checkpoints whose path contains this text.
        prefer: the source that decides where sources disagree.

    Raises:
        UsageError: settings that contradict each other, or no such source to prefer.
    """
    check_prefer(prefer)
    shape = Shape.of(settings)
    table, files, roots = table_of(Migration), table_of(File), table_of(Root)
    sources = Sources(connection, settings)
    at_hand = {*known_roots(connection, host).values()}
    planned: list[Planned] = []
    for row in connection.execute(
        select(
            table.c.checkpoint_id,
            table.c.state,
            table.c.reason_code,
            table.c.reason,
            files.c.path,
            files.c.size,
            files.c.mtime_ns,
            roots.c.id.label("root_id"),
            roots.c.path.label("root"),
            roots.c.host,
        )
        .join(files, files.c.id == table.c.checkpoint_id)
        .join(roots, roots.c.id == files.c.root_id)
        .where(table.c.state.in_(UNUSABLE))
        .order_by(roots.c.path, files.c.path)
    ):
        if only is not None and only not in row.path:
            continue
        shown = RecoveredFile(row.path, None, "skipped", None, row.reason or "")
        seen = (int(row.size), int(row.mtime_ns))
        one = Planned(int(row.checkpoint_id), int(row.root_id), Path(row.root), seen, shown)
        if not (row.reason_code or "").startswith("checkpoint-"):
            one = _with_content(one, sources, shape, prefer)
        if one.shown.action == "write" and one.root_id not in at_hand:
            note = (
                f"The tree is on {row.host}; run `catalog recover` there, or `catalog ingest "
                f"{row.root}` where it is mounted here as well."
            )
            one = replace(one, shown=replace(one.shown, action="skipped", note=note))
        planned.append(one)
    return _without_clashes(planned, _stems(connection))


def _with_content(one: Planned, sources: Sources, shape: Shape, prefer: str | None) -> Planned:
    found = sources.find(one.checkpoint_id, prefer)
    if found.source is None:
        return replace(one, shown=replace(one.shown, note=found.reason or one.shown.note))
    source = found.source
    document = {**sources.document(source.stated.config_id), **source.sections}
    content = shape.sidecar(document, None)
    cut = "the whole config" if shape.shape == "whole" else " and ".join(shape.sections)
    note = f"{cut} as its run recorded it ({source.stated.kind})"
    shown = RecoveredFile(
        one.shown.checkpoint,
        f"{sidecar_stem(one.shown.checkpoint)}{shape.suffix}",
        "write",
        source.stated.path,
        note,
        content.decode("utf-8", "replace"),
    )
    run = sources.run_of(one.checkpoint_id)
    return replace(one, shown=shown, source=source, document=document, content=content, run=run)


def _stems(connection: Connection) -> dict[tuple[int, str], list[int]]:
    """Return the checkpoints that share a sidecar's name, by root and stem."""
    files, states = table_of(File), table_of(Migration)
    found: dict[tuple[int, str], list[int]] = defaultdict(list)
    for number, root, path in connection.execute(
        select(files.c.id, files.c.root_id, files.c.path)
        .join(states, states.c.checkpoint_id == files.c.id)
        .where(states.c.state.not_in(ABSENT + OTHER))
    ):
        found[int(root), sidecar_stem(path)].append(int(number))
    return found


def _without_clashes(
    planned: Sequence[Planned], stems: dict[tuple[int, str], list[int]]
) -> list[Planned]:
    """Refuse a sidecar that another checkpoint of the same stem would take for its own."""
    contents = {one.checkpoint_id: one.content for one in planned}
    written: set[tuple[int, str]] = set()
    kept: list[Planned] = []
    for one in planned:
        place = (one.root_id, sidecar_stem(one.shown.checkpoint))
        others = [other for other in stems.get(place, ()) if other != one.checkpoint_id]
        note = ""
        if one.shown.action == "write" and others:
            if any(contents.get(other) != one.content for other in others):
                note = (
                    "Another checkpoint of the same name would take the sidecar for its own, and "
                    "it is not known to have the same config; rename one of them."
                )
            elif place in written:
                note = "The same sidecar serves another checkpoint of this name, too."
        if note:
            kept.append(replace(one, shown=replace(one.shown, action="skipped", note=note)))
            continue
        if one.shown.action == "write":
            written.add(place)
        kept.append(one)
    return kept


def recover(
    engine: Engine,
    location: Location,
    planned: Sequence[Planned],
    settings: Settings,
    clock: Callable[[], str],
    look: Callable[[Sequence[Path], str, int], None],
) -> RecoveryResult:
    """Write the planned sidecars; the journal is in the database before a file is touched.

    The engine must be a durable one: a journal that is lost with the power is none.
    A file that cannot be written is `failed` with a note, and the others go on.

    Args:
        engine: of the catalog.
        location: the database, for messages.
        planned: by `plan`.
        settings: those it was planned with.
        clock: gives the present as UTC text.
        look: ingests folders for a cause and a batch, and closes the batch.
    """
    shape = Shape.of(settings)
    due = [one for one in planned if one.shown.action == "write"]
    if not due:
        return _result(None, planned, {})
    done: dict[int, RecoveredFile] = {}
    with explained(location), engine.connect() as connection:
        due = _with_provenance(due, Provenance(connection, shape, clock()), shape, done)
    if not due:
        return _result(None, planned, done)
    rows = [row for one in due for row in _rows(one)]
    batch, token, numbers = open_batch(engine, location, rows, clock())
    times = {one.folder: folder_time(one.folder) for one in due}
    remaining = iter(numbers)
    for one in due:
        mine = [next(remaining) for _ in _rows(one)]
        disturbed = folder_time(one.folder) != times[one.folder]
        shown = _write(one, token)
        times[one.folder] = folder_time(one.folder)
        done[one.checkpoint_id] = shown
        values: dict[str, Any] = {"note": shown.note if shown.action == "failed" else None}
        values["folder_mtime_after_ns"] = times[one.folder]
        if disturbed:
            values["folder_mtime_ns"] = None
        state = "written" if shown.action == "written" else "failed"
        with writing(engine, location) as connection:
            set_state(connection, mine, state, **values)
    look(sorted(folder for folder in times if folder.is_dir()), f"recovery {batch}", batch)
    return _result(batch, planned, done)


def _result(
    batch: int | None, planned: Sequence[Planned], done: dict[int, RecoveredFile]
) -> RecoveryResult:
    return RecoveryResult(batch, tuple(done.get(one.checkpoint_id, one.shown) for one in planned))


def _with_provenance(
    due: Sequence[Planned], provenance: Provenance, shape: Shape, failed: dict[int, RecoveredFile]
) -> list[Planned]:
    """Add to each what is written beside or inside its sidecar; `failed` takes the others."""
    ready: list[Planned] = []
    for one in due:
        if one.source is None or one.document is None:
            raise RecoveryError(f"{one.checkpoint} was planned without a source.")
        try:
            said = provenance.of(one.checkpoint_id, one.checkpoint.name, one.source)
        except RecoveryError as error:
            failed[one.checkpoint_id] = replace(one.shown, action="failed", note=str(error))
            continue
        if shape.provenance == "inside":
            ready.append(replace(one, content=shape.sidecar(one.document, said)))
        else:
            name = Path(str(one.shown.sidecar)).name
            said["sidecar"] = {"file": name, "sha256": sha256(one.content)}
            ready.append(replace(one, provenance=json_bytes(said)))
    return ready


def _rows(one: Planned) -> Iterable[dict[str, Any]]:
    """Yield the journal rows of one checkpoint: provenance first, as it is written."""
    stated = one.source.stated if one.source else None
    for kind, path, content in _files(one):
        yield {
            "checkpoint_id": one.checkpoint_id,
            "root_id": one.root_id,
            "kind": kind,
            "path": path,
            "run": one.run,
            "source_kind": stated.kind if stated else None,
            "source_file_id": stated.file_id if stated else None,
            "config_id": stated.config_id if stated else None,
            "sha256": sha256(content),
            "folder_mtime_ns": folder_time(one.folder),
        }


def _files(one: Planned) -> Iterable[tuple[str, str, bytes]]:
    if one.provenance:
        path = f"{sidecar_stem(one.shown.checkpoint)}{PROVENANCE_SUFFIX}"
        yield "provenance", path, one.provenance
    yield "sidecar", str(one.shown.sidecar), one.content


def _write(one: Planned, token: str) -> RecoveredFile:
    """Write the files of one checkpoint, all of them or none."""
    published: list[Path] = []
    path = one.root / str(one.shown.sidecar)
    try:
        _check_unchanged(one)
        for _, name, content in _files(one):
            path = one.root / name
            check_inside(path, one.root)
            write_new(path, content, one.checkpoint, token)
            published.append(path)
    except RecoveryError as error:
        note = str(error)
    except FileExistsError:
        note = f"{path} exists already and is left as it is; ingest again to see what it holds."
    except FileNotFoundError:
        note = f"{one.checkpoint} is gone; ingest again."
    except OSError as error:
        note = f"{path}: {why(error)}"
    else:
        return replace(one.shown, action="written", content=one.content.decode("utf-8", "replace"))
    for written in published:
        written.unlink(missing_ok=True)
    return replace(one.shown, action="failed", note=note)


def _check_unchanged(one: Planned) -> None:
    """Refuse to give a config to a file that is not the one that was linked.

    Raises:
        RecoveryError: it changed since the ingest.
        OSError: the checkpoint is gone.
    """
    status = one.checkpoint.stat()
    is_file = not one.checkpoint.is_dir()
    if is_file and (status.st_size, status.st_mtime_ns) != one.seen:
        raise RecoveryError(f"{one.checkpoint} changed since it was ingested; ingest again.")
