"""The state of every checkpoint, and a row for every change of it."""

from __future__ import annotations

import posixpath
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sqlalchemy import and_, select, true

from catalog.recover.affected import CONFIG_READERS
from catalog.recover.doubts import Written, is_later
from catalog.recover.policy import (
    Fault,
    empty,
    fault_of,
    own_places,
    refused_objects,
    shared_places,
    sidecar_stem,
)
from catalog.recover.sources import Sources
from catalog.schema.store import CHUNK, Store, chunks, fetched, table_of
from catalog.schema.tables import (
    Checkpoint,
    File,
    Migration,
    MigrationEvent,
    Problem,
    RecoveryFile,
    Root,
    RunConfig,
    Sidecar,
)
from catalog.sources.formats.registry import self_contained

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
    "damaged": "Find a whole copy by its name: `catalog query checkpoints -p path=NAME`.",
}
"""Status of a checkpoint that cannot be read, or `damaged` where its bytes are: what to try."""

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
    """The state of one checkpoint as the columns of `migration`; see `catalog.states`."""

    state: str
    reason_code: str | None = None
    reason: str | None = None
    remedy: str | None = None
    config_file_id: int | None = None
    config_kind: str | None = None
    source_file_id: int | None = None
    source_kind: str | None = None
    doubt: str | None = None


class _Config(NamedTuple):
    """A config somewhere below a root."""

    file_id: int
    kind: str
    config_id: int | None
    """None if nothing could be read of it."""
    written: Written
    size: int


class _Known(NamedTuple):
    """A checkpoint as far as its state rests on its own row."""

    id: int
    host: str
    path: str
    """Absolute."""
    format: str
    status: str
    reason: str | None
    damage: str | None
    """What a look at its bytes found."""
    written: Written
    is_missing: bool
    is_left_out: bool
    """Missing, for no ingest looks at it any more; the file is there."""

    @property
    def is_judged_by_config(self) -> bool:
        """Whether its state rests on more than its own row."""
        return not self.is_missing and self.damage is None and self.status not in _TOLD


_TOLD = frozenset({*_DAMAGE, "foreign"})
"""Statuses that say all there is to a state."""


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
            table.c.damage,
            files.c.root_id,
            files.c.mtime_ns,
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
    damage: str | None,
    root_id: int,
    mtime_ns: int,
    state: str,
    found_gone: int | None,
) -> _Known:
    whole = f"{root.rstrip('/')}/{path}"
    written = Written(int(root_id), path, int(mtime_ns))
    is_missing = state == "missing"
    is_left_out = is_missing and found_gone is None
    return _Known(
        number, host, whole, format_, status, reason, damage, written, is_missing, is_left_out
    )


_Near: TypeAlias = "list[tuple[Place, _Config]]"
"""Configs where inference looks, in its order."""


class _Configs:
    """The config files that are present, by host and absolute path; looked up when asked for."""

    def __init__(self, connection: Connection, *, whole: bool) -> None:
        self._connection = connection
        self._found: dict[tuple[str, str], _Config] = {}
        self._unread: dict[int, tuple[str, str]] = {}
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

    def unread(self, config: _Config, path: str) -> Fault:
        """Say why nothing was read of a config: it is empty, or a problem tells it."""
        if config.file_id not in self._unread:
            table = table_of(Problem)
            told = self._connection.execute(
                select(table.c.code, table.c.message)
                .where(table.c.file_id == config.file_id, table.c.resolved_ingest_id.is_(None))
                .order_by(table.c.id)
            ).first()
            self._unread[config.file_id] = (told.code, told.message) if told else ("empty-file", "")
        code, message = self._unread[config.file_id]
        if code == "empty-file":
            return empty(path)
        if code == "too-large":
            reason = f"{path} ({config.size:,} bytes) is too large to be read as a config."
            return Fault("config-too-large", f"{reason} {message}")
        return Fault("config-unreadable", f"{path} cannot be read as a config. {message}")

    def _load(self, condition: ColumnElement[bool]) -> None:
        files, roots = table_of(File), table_of(Root)
        beside, of_runs = table_of(Sidecar), table_of(RunConfig)
        for row in fetched(
            self._connection,
            select(
                files.c.id,
                files.c.root_id,
                files.c.path,
                files.c.mtime_ns,
                files.c.size,
                files.c.reader,
                roots.c.host,
                roots.c.path.label("root"),
                beside.c.kind,
                beside.c.config_id,
                of_runs.c.kind.label("job_kind"),
                of_runs.c.config_id.label("job_config_id"),
            )
            .join(roots, roots.c.id == files.c.root_id)
            .outerjoin(beside, beside.c.id == files.c.id)
            .outerjoin(of_runs, of_runs.c.file_id == files.c.id)
            .where(condition, files.c.state == "present", files.c.reader.in_(CONFIG_READERS))
            .order_by(files.c.id),
        ):
            self._found[row.host, f"{row.root.rstrip('/')}/{row.path}"] = _Config(
                int(row.id),
                row.kind or row.job_kind or row.reader,
                row.config_id or row.job_config_id,
                Written(int(row.root_id), row.path, int(row.mtime_ns)),
                int(row.size),
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
        looked_for = [one for one in some if one.is_judged_by_config]
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
                "left out",
                "left-out",
                "It is there, and left out now by .catalogignore, the setting `ignore` or a "
                "pyvenv.cfg above it.",
                "If it shall count, take the pattern away, then ingest again.",
            )
        if one.is_missing:
            return State(
                "missing", "file-missing", "The file is gone.", "Restore it, then ingest again."
            )
        if one.status == "foreign":
            return State(
                "not a model", "not-a-checkpoint", _sentence(one.reason or "It is other data")
            )
        if one.damage is not None or one.status in _DAMAGE:
            status = one.status if one.status in _DAMAGE else "damaged"
            return State(
                "damaged",
                f"checkpoint-{status}",
                _sentence(one.damage or one.reason or f"The checkpoint is {status}"),
                _DAMAGE[status],
            )
        found, fault = self._config(one)
        if one.status == "recognised":
            state = (
                State("unchecked") if found is None else self._with_config("unchecked", one, *found)
            )
            return state._replace(reason_code="content-not-read", reason=_not_read(one.reason))
        if found is not None:
            config = found[1]
            is_ours = config.file_id in self._written
            return self._with_config("migrated" if is_ours else "usable", one, *found)
        if one.format in self_contained():
            return State("usable", config_kind="inside")
        return self._without_config(one, fault)

    def _config(self, one: _Known) -> tuple[tuple[Place, _Config] | None, Fault | None]:
        """Return the config that inference finds, or why the first that is there does not count."""
        sources = self._sources
        first: Fault | None = None
        for place, config in self._near[one.id]:
            if config.config_id is None:
                first = first or self._configs.unread(config, place.path)
                continue
            fault = fault_of(sources.document(config.config_id), place, self._settings)
            if fault is not None:
                first = first or fault
                continue
            contradiction = sources.contradiction(one.id, config.config_id)
            if contradiction:
                # Inference stops at the first config that it finds: what is behind is no help.
                reason = f"{place.path} contradicts the weights: {contradiction}"
                return None, Fault("config-contradicts-weights", reason)
            return (place, config), None
        return None, first

    def _with_config(self, state: str, one: _Known, place: Place, config: _Config) -> State:
        return State(
            state,
            config_file_id=config.file_id,
            config_kind=config.kind,
            doubt=" ".join(self._doubt(one, place, config)) or None,
        )

    def _doubt(self, one: _Known, place: Place, config: _Config) -> Iterator[str]:
        """Yield what speaks against the config that inference finds, as sentences."""
        if config.config_id is None:
            return
        sources = self._sources
        if place.is_shared:
            is_younger = is_later(config.written, one.written)
            sign = sources.last_job(config.written)
            difference: str | None = ""
            if is_younger or sign:
                difference = sources.compared(one.id, config.config_id, config.file_id)
            if is_younger and difference:
                yield f"{place.path} was written after the checkpoint, and differs: {difference}."
            elif difference != "" and (
                # Where nothing states the config a second time, only the order of files can tell.
                sign or (is_younger and (sign := sources.later_job(one.written, config.written)))
            ):
                yield sign
        objects = refused_objects(sources.document(config.config_id))
        if objects:
            more = f" and {len(objects) - 1} more" if len(objects) > 1 else ""
            yield (
                f"{place.path} holds Python objects that safe loading refuses: {objects[0]}{more}."
            )

    def _without_config(self, one: _Known, fault: Fault | None) -> State:
        settings, sources = self._settings, self._sources
        code, reason = fault or _no_config(one.id, sources)
        found = sources.find(one.id)
        if found.source is not None:
            taken = f"{sidecar_stem(one.path)}{settings.sidecar_suffixes[0]}"
            remedy = "Run `catalog recover`."
            if self._configs.get(one.host, taken) is not None:
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
        state = "ambiguous config" if found.code in _AMBIGUOUS else "unrecoverable"
        remedy = _NO_SOURCE[found.code]
        if code in _FIRST:
            # The most likely cause, and what mends it.
            remedy = f"{_FIRST[code]} Else: {remedy[:1].lower()}{remedy[1:]}"
        return State(state, found.code, f"{reason} {found.reason}", remedy)


_AMBIGUOUS = frozenset({"ambiguous-run", "sources-disagree"})
"""Why several runs or sources would give different configs."""
_FIRST = {
    # Where it is so for all: another project's inference is meant.
    "config-without-section": "If your inference needs other sections, or none: `catalog settings "
    "--keep config_sections=NAME,...` (`config_sections=` for none).",
    "config-too-large": "Put the section that is needed into a smaller config beside the "
    "checkpoint.",
    "config-section-refused": "Write the section as plain values into a config beside the "
    "checkpoint.",
}
"""What is wrong with the config that is there: what to try first."""


def _no_config(checkpoint_id: int, sources: Sources) -> tuple[str, str]:
    if sources.unsafe_hyper_parameters(checkpoint_id):
        return (
            "config-in-unsafe-pickle",
            "Its only config is in its own pickle, which safe loading refuses.",
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


def _not_read(reason: str | None) -> str:
    """Return the sentence for what is only recognised; readers may end theirs with it."""
    stated = (reason or _NOT_READ).rstrip(".")
    detail = stated.removesuffix(_NOT_READ)
    if detail == stated:
        return _sentence(stated)
    detail = detail.rstrip("; ")
    return f"Its content is not read: {detail}." if detail else "Its content is not read."


_NOT_READ = "its content is not read"


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def _is_of_recovery(known: State | None, state: State) -> bool:
    """A recovery makes a checkpoint migrated; its undo takes that back."""
    return state.state == "migrated" or (known is not None and known.state == "migrated")
