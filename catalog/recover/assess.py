"""The state of every checkpoint, and a row for every change of it."""

from __future__ import annotations

import posixpath
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sqlalchemy import and_, select, true

from catalog.recover.affected import CONFIG_READERS
from catalog.recover.policy import missing_sections, own_places, shared_places, sidecar_stem
from catalog.recover.sources import Sources
from catalog.schema.store import CHUNK, Store, chunks, fetched, table_of
from catalog.schema.tables import (
    Checkpoint,
    File,
    Migration,
    MigrationEvent,
    RecoveryFile,
    Root,
    RunConfig,
    Sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from catalog.recover.affected import Scope
    from catalog.recover.policy import Place
    from catalog.settings import Settings

_DAMAGE = {
    "truncated": "Find a whole copy by its name: `catalog query checkpoints -p path=NAME`.",
    "empty": "Find another copy, or train again.",
    "pointer": "Fetch the file that the pointer stands for: `git lfs pull`.",
    "unreadable": "Check permissions and disk, then ingest again.",
}
"""Status of a checkpoint that cannot be read: what to try."""

_NO_SOURCE = {
    "ambiguous-run": "Look at the candidates with `catalog query --ambiguous`.",
    "no-run": "Ingest the folder where the runs lie, or look for a copy of the config.",
    "run-without-config": "Look for the config in version control at the run's commit.",
    "run-config-incomplete": "Complete the config by hand and put it beside the checkpoint.",
    "sources-disagree": "Look with `catalog recover --explain`, decide with `--prefer SOURCE`.",
    "config-contradicts-weights": "Look for the config in version control at the run's commit.",
}
"""Why no config can be recovered: what to try."""


class State(NamedTuple):
    """The state of one checkpoint as the columns of `migration`."""

    state: str
    reason_code: str | None = None
    reason: str | None = None
    remedy: str | None = None
    config_file_id: int | None = None
    config_kind: str | None = None
    source_file_id: int | None = None
    source_kind: str | None = None


class _Config(NamedTuple):
    """A config that lies somewhere below a root."""

    file_id: int
    kind: str
    config_id: int | None
    """None if the file could not be read."""


class _Known(NamedTuple):
    """A checkpoint as far as its state rests on its own row."""

    id: int
    host: str
    path: str
    """Absolute."""
    format: str
    status: str
    reason: str | None
    is_missing: bool
    is_left_out: bool
    """Missing, for no ingest looks at it any more; the file is there."""


def assess(
    connection: Connection,
    settings: Settings,
    ingest_id: int,
    now: str,
    recovery_id: int | None = None,
    scope: Scope | None = None,
) -> int:
    """Judge checkpoints' states anew and write what changed, with an event each.

    Args:
        connection: in a transaction.
        settings: the policy of what counts as usable.
        ingest_id: the ingest that sees the changes.
        now: UTC text of the events.
        recovery_id: the recovery that brought the changes about, if one did.
        scope: the checkpoints to judge, where the others cannot have changed; else all.

    Returns:
        How many were judged.
    """
    judge = _Judge(connection, settings, scope)
    now_states: dict[int, State] = {}
    for some in _checkpoints(connection, scope):
        judge.prepare(some)
        for one in some:
            if one.status != "foreign":  # other data under a checkpoint's name: nothing to migrate
                now_states[one.id] = judge.state(one)
    _write(connection, now_states, ingest_id, now, recovery_id, scope)
    return len(now_states)


def _checkpoints(connection: Connection, scope: Scope | None) -> Iterator[list[_Known]]:
    files, roots, table = table_of(File), table_of(Root), table_of(Checkpoint)
    query = (
        select(
            table.c.id,
            roots.c.host,
            roots.c.path,
            files.c.path,
            table.c.format,
            table.c.status,
            table.c.reason,
            files.c.state,
            files.c.missing_ingest_id,
        )
        .join(files, files.c.id == table.c.id)
        .join(roots, roots.c.id == files.c.root_id)
        .order_by(table.c.id)
    )
    if scope is None:
        for rows in connection.execute(query).partitions(CHUNK):
            yield list(starmap(_known, rows))
        return
    for part in chunks(sorted(scope.judged)):
        yield list(starmap(_known, connection.execute(query.where(table.c.id.in_(part)))))


def _known(
    number: int,
    host: str,
    root: str,
    path: str,
    format_: str,
    status: str,
    reason: str | None,
    state: str,
    found_gone: int | None,
) -> _Known:
    whole = f"{root.rstrip('/')}/{path}"
    is_missing = state == "missing"
    is_left_out = is_missing and found_gone is None
    return _Known(number, host, whole, format_, status, reason, is_missing, is_left_out)


_Near: TypeAlias = "list[tuple[Place, _Config]]"
"""Configs where inference looks, in its order."""


class _Configs:
    """The config files that are present, by host and absolute path; looked up when asked for."""

    def __init__(self, connection: Connection, *, whole: bool) -> None:
        self._connection = connection
        self._found: dict[tuple[str, str], _Config] = {}
        self._asked: set[tuple[str, str]] | None = None if whole else set()
        roots = table_of(Root)
        self._roots = [
            (int(number), host, path.rstrip("/"))
            for number, host, path in connection.execute(
                select(roots.c.id, roots.c.host, roots.c.path)
            )
        ]
        if whole:
            self._load(true())

    def look_up(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Find which of some paths are configs, in few queries."""
        if self._asked is None:
            return
        new = set(wanted) - self._asked
        self._asked |= new
        files = table_of(File)
        for number, host, root in self._roots:
            inside = [path[len(root) + 1 :] for at, path in new if at == host and _in(path, root)]
            for part in chunks(sorted(inside)):
                self._load(and_(files.c.root_id == number, files.c.path.in_(part)))

    def get(self, host: str, path: str) -> _Config | None:
        """Return the config at a path that was looked up."""
        return self._found.get((host, path))

    def _load(self, condition: ColumnElement[bool]) -> None:
        files, roots = table_of(File), table_of(Root)
        beside, of_runs = table_of(Sidecar), table_of(RunConfig)
        for number, host, root, path, reader, kind, config, job_kind, job_config in fetched(
            self._connection,
            select(
                files.c.id,
                roots.c.host,
                roots.c.path,
                files.c.path,
                files.c.reader,
                beside.c.kind,
                beside.c.config_id,
                of_runs.c.kind,
                of_runs.c.config_id,
            )
            .join(roots, roots.c.id == files.c.root_id)
            .outerjoin(beside, beside.c.id == files.c.id)
            .outerjoin(of_runs, of_runs.c.file_id == files.c.id)
            .where(condition, files.c.state == "present", files.c.reader.in_(CONFIG_READERS))
            .order_by(files.c.id),
        ):
            self._found[host, f"{root.rstrip('/')}/{path}"] = _Config(
                int(number), kind or job_kind or reader, config or job_config
            )


def _in(path: str, root: str) -> bool:
    return path.startswith(f"{root}/")


def _written_by_us(connection: Connection) -> set[int]:
    """Return the files that a recovery wrote."""
    table, files = table_of(RecoveryFile), table_of(File)
    return {
        int(number)
        for number in connection.execute(
            select(files.c.id)
            .join(table, (table.c.root_id == files.c.root_id) & (table.c.path == files.c.path))
            .where(table.c.state == "written", table.c.kind == "sidecar")
        ).scalars()
    }


class _Judge:
    """Says of each checkpoint whether it can be used."""

    def __init__(self, connection: Connection, settings: Settings, scope: Scope | None) -> None:
        self._settings = settings
        self._configs = _Configs(connection, whole=scope is None)
        self._sources = Sources(connection, settings, None if scope is None else scope.known)
        self._written = _written_by_us(connection)
        self._shared: dict[tuple[str, str], _Near] = {}
        self._near: dict[int, _Near] = {}

    def prepare(self, some: Sequence[_Known]) -> None:
        """Find the configs near some checkpoints and load all documents that decide on them."""
        settings = self._settings
        looked_for = [one for one in some if not one.is_missing and one.status not in _DAMAGE]
        own = {one.id: list(own_places(one.path, one.format, settings)) for one in looked_for}
        above = {(one.host, posixpath.dirname(one.path)) for one in looked_for}
        shared = {
            (host, folder): list(shared_places(folder, settings))
            for host, folder in above - self._shared.keys()
        }
        self._configs.look_up((one.host, place.path) for one in looked_for for place in own[one.id])
        self._configs.look_up(
            (host, place.path) for (host, _), places in shared.items() for place in places
        )
        for (host, folder), places in shared.items():
            self._shared[host, folder] = self._found(host, places)
        self._near = {}
        for one in looked_for:
            beside = self._shared[one.host, posixpath.dirname(one.path)]
            near = self._found(one.host, own[one.id])
            self._near[one.id] = near + beside if near else beside
        found = [config.config_id for near in self._near.values() for _place, config in near]
        self._sources.load_documents(
            [config_id for config_id in found if config_id is not None],
            [number for number, near in self._near.items() if not near],
        )

    def _found(self, host: str, places: Iterable[Place]) -> _Near:
        return [
            (place, config)
            for place in places
            if (config := self._configs.get(host, place.path)) is not None
        ]

    def state(self, one: _Known) -> State:
        """Return the state of one of the checkpoints that were prepared."""
        if one.is_left_out:
            return State(
                "missing",
                "left-out",
                "It is there, and left out now by .catalogignore, the setting `ignore` or a "
                "pyvenv.cfg above it.",
                "If it shall count, take the pattern away, then ingest again.",
            )
        if one.is_missing:
            return State(
                "missing", "file-missing", "The file is gone.", "Restore it, then ingest again."
            )
        if one.status in _DAMAGE:
            return State(
                "unrecoverable",
                f"checkpoint-{one.status}",
                _sentence(one.reason or f"The checkpoint is {one.status}"),
                _DAMAGE[one.status],
            )
        return self._usability(one.id, one.host, one.path)

    def _usability(self, checkpoint_id: int, host: str, path: str) -> State:
        settings, sources = self._settings, self._sources
        near: tuple[str, str] | None = None
        for place, config in self._near[checkpoint_id]:
            if config.config_id is None:
                near = near or ("config-unreadable", f"{place.path} cannot be read as a config.")
                continue
            document = sources.document(config.config_id)
            lacking = missing_sections(document.keys(), settings) if place.needs_sections else []
            if lacking:
                near = near or (
                    "config-without-section",
                    f"{place.path} has no section {lacking[0]!r}.",
                )
                continue
            contradiction = sources.contradiction(checkpoint_id, config.config_id)
            if contradiction:
                # Inference stops at the first config that it finds: what lies behind is no help.
                reason = f"{place.path} contradicts the weights: {contradiction}"
                near = ("config-contradicts-weights", reason)
                break
            return State(
                "migrated" if config.file_id in self._written else "usable",
                config_file_id=config.file_id,
                config_kind=config.kind,
            )
        code, reason = near or _no_config(checkpoint_id, sources)
        found = sources.find(checkpoint_id)
        if found.source is not None:
            taken = f"{sidecar_stem(path)}{settings.sidecar_suffixes[0]}"
            remedy = "Run `catalog recover`."
            if self._configs.get(host, taken) is not None:
                remedy = f"Move {taken} out of the way, ingest again, then run `catalog recover`."
            stated = found.source.stated
            return State(
                "recoverable",
                code,
                reason,
                remedy,
                source_file_id=stated.file_id,
                source_kind=stated.kind,
            )
        remedy = _NO_SOURCE[found.code]
        if code == "config-without-section":
            # The most likely cause where it is so for all: another project's inference is meant.
            remedy = f"{_OTHER_SECTIONS} Else: {remedy[:1].lower()}{remedy[1:]}"
        return State("unrecoverable", found.code, f"{reason} {found.reason}", remedy)


_OTHER_SECTIONS = (
    "If your inference needs other sections, or none: `catalog settings --keep "
    "config_sections=NAME,...` (`config_sections=` for none)."
)


def _no_config(checkpoint_id: int, sources: Sources) -> tuple[str, str]:
    if sources.unsafe_hyper_parameters(checkpoint_id):
        return (
            "config-in-unsafe-pickle",
            "Its only config lies in its own pickle, which safe loading refuses.",
        )
    return "no-config", "No config lies where inference looks for one."


def _write(
    connection: Connection,
    states: dict[int, State],
    ingest_id: int,
    now: str,
    recovery_id: int | None,
    scope: Scope | None,
) -> None:
    table = table_of(Migration)
    query = select(table.c.checkpoint_id, *(table.c[name] for name in State._fields))
    queries = (
        [query]
        if scope is None
        else [query.where(table.c.checkpoint_id.in_(one)) for one in chunks(sorted(scope.judged))]
    )
    before = {
        number: State(*state) for one in queries for number, *state in fetched(connection, one)
    }
    for number, known in before.items():
        if number not in states and known.state != "missing":
            states[number] = State(
                "missing", "not-a-checkpoint", "Other data stands in its place now."
            )
    store = Store(connection)
    stale: list[int] = []
    rows: list[tuple[object, ...]] = []
    events: list[tuple[object, ...]] = []
    for number, state in states.items():
        old = before.get(number)
        if old == state:
            continue
        if old is not None:
            stale.append(number)
        rows.append((number, *state))
        if old is None or old.state != state.state:
            events.append(
                (
                    store.number(MigrationEvent),
                    number,
                    now,
                    old.state if old else None,
                    state.state,
                    state.reason,
                    ingest_id,
                    recovery_id if _is_of_recovery(old, state) else None,
                )
            )
    store.delete(Migration, "checkpoint_id", stale)
    store.insert_rows(Migration, ("checkpoint_id", *State._fields), rows)
    store.insert_rows(MigrationEvent, _EVENT, events)


_EVENT = (
    "id", "checkpoint_id", "at", "from_state", "to_state", "reason", "ingest_id", "recovery_id",
)  # fmt: skip


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def _is_of_recovery(known: State | None, state: State) -> bool:
    """A recovery makes a checkpoint migrated; its undo takes that back."""
    return state.state == "migrated" or (known is not None and known.state == "migrated")
