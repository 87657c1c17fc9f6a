"""Gather what the files of a run's folders say into one row a run.

Everything is made from rows that the readers left, so that the result is the same in
whatever order, and in however many ingests, the files were read. Only rows that differ
from what stands there are written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import starmap
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, select, update

from catalog.errors import NotFound
from catalog.ingest.identities import follow_identities, identities_by_id
from catalog.ingest.joins import join_folders
from catalog.ingest.lives import tell_lives, write_cuts
from catalog.ingest.repeats import store_once
from catalog.ingest.times import local_to_utc, parse_utc, utc_text, zone_between
from catalog.schema.store import Store, fetched, table_of
from catalog.schema.tables import File, Link, LinkEvidence, Run, RunDirectory, RunField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

RUN_TRACKERS = frozenset(
    {
        "wandb",
        "lightning",
        "hydra",
        "tensorboard",
        "transformers",
        "ultralytics",
        "dvclive",
        "mlflow",
        "trackio",
    }
)
"""What makes folders that are runs. A job of Hydra is one as well until a tracker's record of the
same training is found (`catalog.ingest.joins`); a sweep's folder is of many runs and so of none."""

COLUMNS = {
    "entity": "entity",
    "project": "project",
    "display_name": "display_name",
    "group": "group_name",
    "job_type": "job_type",
    "sweep_id": "sweep_id",
    "tags": "tags",
    "notes": "notes",
    "host": "host",
    "program": "program",
    "args": "arguments",
    "git_remote": "git_remote",
    "git_commit": "git_commit",
    "python_version": "python_version",
    "cli_version": "tracker_version",
    "packages": "packages",
}
"""Field that a reader names: column of `run`."""

_FILE_SLACK = timedelta(minutes=1)
"""By how much a clock, a rounded run time and a file that is written late may differ."""
INTERRUPTED = 255
"""W&B's exit code after Ctrl-C: of 142 such runs with a log, every one holds KeyboardInterrupt."""


@dataclass(slots=True)
class Folder:
    """A run directory with what its files say."""

    id: int
    root_id: int
    path: str
    tracker: str
    tracker_run_id: str | None
    stamp: str | None
    stamp_in_utc: bool
    copy_of_latest: bool
    started_at: str | None
    ended_at: str | None
    zone: str | None
    zone_basis: str | None
    run_id: int | None
    joined_by: str | None
    join_detail: str | None
    kept_apart: bool
    life: int | None
    beginning: str | None
    newest_file: str | None = None
    """When the newest of the files that tell of it was written, UTC."""
    fields: dict[str, tuple[int, str, str | None, str | None]] = field(default_factory=dict)
    """Name: (rank, value, utc, basis) of the source to believe."""

    def value(self, name: str) -> str | None:
        """Return the value of a field, if any file says it."""
        found = self.fields.get(name)
        return found[1] if found else None

    def when(self, name: str) -> str | None:
        """Return a field that is a time, in UTC, if any file says it."""
        found = self.fields.get(name)
        return found[2] if found else None


def gather_runs(connection: Connection) -> None:
    """Bring `run`, and what `run_directory` derives, in line with what the files say."""
    folders = _folders(connection)
    _tell_times(folders)
    _adopt_copies(folders)
    own = _identities(folders)
    joins = join_folders(connection, folders, own)
    groups: dict[str, list[Folder]] = defaultdict(list)
    former: dict[int, int | None] = {}
    for folder in folders:
        join = joins.get(folder.id)
        former[folder.id], folder.run_id = folder.run_id, None
        folder.joined_by = join.kind if join else None
        folder.join_detail = join.detail if join else None
        if join or folder.id in own:
            groups[join.identity if join else own[folder.id]].append(folder)
    table = table_of(Run)
    names = table.columns.keys()
    before: dict[str, dict[str, Any]] = {}
    for values in fetched(connection, select(table)):
        row = dict(zip(names, values, strict=True))
        before[row["identity"]] = row
    follow_identities(connection, groups, before, former)
    store = Store(connection)
    for identity in sorted(groups):
        members = sorted(
            groups[identity],
            key=lambda one: (
                one.joined_by is not None,
                one.copy_of_latest,
                one.started_at or "",
                one.stamp or "",
                one.path,
            ),
        )
        row = _run(identity, members)
        old = before.pop(identity, None)
        if old is None:
            number = store.number(Run)
            store.add(Run, {"id": number, **row})
        else:
            number = int(old.pop("id"))
            if old != row:
                connection.execute(update(table).where(table.c.id == number).values(row))
        for folder in members:
            folder.run_id = number
    store.flush()
    cuts = tell_lives(connection, folders)
    _write_folders(connection, folders)
    _drop(connection, [int(old["id"]) for old in before.values()])
    store_once(connection)
    write_cuts(connection, cuts)


def keep_apart(connection: Connection, run: int, folder: str, *, apart: bool) -> None:
    """Keep a folder out of the run that evidence joined it to, or let evidence decide again.

    Args:
        connection: in a transaction.
        run: the run that it is to leave, or to come back to.
        folder: path of the run directory below its root.
        apart: False to undo.

    Raises:
        NotFound: no folder of that path was joined to the run, or is kept apart.
    """
    table = table_of(RunDirectory)
    roots = select(table.c.root_id).where(table.c.run_id == run)
    condition = (table.c.path == folder) & table.c.root_id.in_(roots)
    if apart:
        condition &= (table.c.run_id == run) & table.c.joined_by.is_not(None)
    else:
        condition &= table.c.kept_apart
    found = connection.execute(select(table.c.id).where(condition)).scalars().all()
    if not found:
        said = "was joined to this run" if apart else "is kept apart"
        raise NotFound(f"No folder {folder!r} {said}; `catalog query run-directories` lists them.")
    connection.execute(update(table).where(table.c.id.in_(found)).values(kept_apart=apart))
    gather_runs(connection)


def _folders(connection: Connection) -> list[Folder]:
    table = table_of(RunDirectory)
    names = [name for name in Folder.__slots__ if name not in {"fields", "newest_file"}]
    rows = fetched(connection, select(*(table.c[name] for name in names)).order_by(table.c.id))
    folders = {folder.id: folder for folder in starmap(Folder, rows)}
    fields = table_of(RunField)
    files = table_of(File)
    said_of_them = fetched(
        connection,
        select(
            fields.c.run_directory_id,
            fields.c.name,
            fields.c.rank,
            fields.c.value,
            fields.c.utc,
            fields.c.basis,
        )
        .join(files, files.c.id == fields.c.file_id)
        .order_by(fields.c.rank, files.c.path, fields.c.position),
    )
    for number, name, rank, value, utc, basis in said_of_them:
        said = folders[number].fields
        known = said.get(name)
        if known is None:
            said[name] = (rank, value, utc, basis)
        elif name == "last_timestamp" and known[0] == rank and (utc or "") > (known[2] or ""):
            # Of several event files of one folder, the one that went on longest.
            said[name] = (rank, value, utc, basis)
    newest = (
        select(fields.c.run_directory_id, func.max(files.c.modified_at))
        .join(files, files.c.id == fields.c.file_id)
        .group_by(fields.c.run_directory_id)
    )
    for number, modified_at in fetched(connection, newest):
        folders[number].newest_file = modified_at
    return list(folders.values())


def _tell_times(folders: Iterable[Folder]) -> None:
    """Tell each folder's zone and start in UTC, from itself or from its neighbours."""
    zones: dict[int, list[tuple[str, str]]] = defaultdict(list)
    waiting: list[Folder] = []
    for folder in folders:
        stated = folder.when("started_at")
        folder.started_at = folder.ended_at = folder.zone = folder.zone_basis = None
        if stated is not None:
            folder.started_at = stated
            # Only a tracker that makes the folder itself states and stamps one and the same start.
            if folder.stamp is not None and not folder.stamp_in_utc and folder.tracker == "wandb":
                folder.zone, folder.zone_basis = _zone(folder, folder.stamp, stated)
                if folder.zone:
                    zones[folder.root_id].append((folder.stamp, folder.zone))
        elif folder.stamp is not None and folder.stamp_in_utc:
            folder.zone, folder.zone_basis = "+00:00", "stated"
            folder.started_at = local_to_utc(folder.stamp, folder.zone)
        elif folder.stamp is not None:
            waiting.append(folder)
    clocks = {root: _Clock(told) for root, told in zones.items()}
    for folder in waiting:
        clock = clocks.get(folder.root_id)
        zone = clock.zone_at(str(folder.stamp)) if clock else None
        if zone is not None:
            folder.zone, folder.zone_basis = zone, "inferred"
            folder.started_at = local_to_utc(str(folder.stamp), zone)
    for folder in folders:
        folder.ended_at = _ended(folder)[0]


class _Clock:
    """What the folders of one tree that state their UTC tell of the machine's clock.

    Args:
        told: (stamp, zone) of each.
    """

    def __init__(self, told: list[tuple[str, str]]) -> None:
        self._told = sorted(told)
        zones = {zone for _, zone in told}
        self._only = zones.pop() if len(zones) == 1 else None

    def zone_at(self, stamp: str) -> str | None:
        """Return the zone of a folder that states none.

        Either all neighbours agree on it, or, where the clock changed in between (daylight
        saving), those that started last before it and first after it do.
        """
        if self._only is not None:
            return self._only
        place = bisect_left(self._told, (stamp, ""))
        if 0 < place < len(self._told) and self._told[place - 1][1] == self._told[place][1]:
            return self._told[place][1]
        return None


def _zone(folder: Folder, stamp: str, stated: str) -> tuple[str | None, str | None]:
    offset = folder.value("utc_offset")
    if offset is not None:
        return offset, "stated"
    zone = zone_between(stamp, stated)
    return zone, "inferred" if zone else None


def _adopt_copies(folders: list[Folder]) -> None:
    """Give a copy of W&B's latest run, which names no id, the id of the run it repeats."""
    known: dict[tuple[int, str, str | None], Folder] = {
        (folder.root_id, folder.path.rpartition("/")[0], folder.started_at): folder
        for folder in folders
        if folder.tracker_run_id is not None and folder.started_at is not None
    }
    for folder in folders:
        if folder.copy_of_latest and folder.tracker_run_id is None:
            twin = known.get((folder.root_id, folder.path.rpartition("/")[0], folder.started_at))
            if twin is not None and twin.value("host") == folder.value("host"):
                folder.tracker_run_id = twin.tracker_run_id


def _identities(folders: Iterable[Folder]) -> dict[int, str]:
    """Return what makes each folder one of a run, but for those that are of no run."""
    runs = [folder for folder in folders if folder.tracker in RUN_TRACKERS]
    found = identities_by_id(runs)
    for folder in runs:
        if folder.tracker == "transformers" and (output := folder.value("output")):
            # Each of its checkpoints tells of the training so far.
            training = folder.value("training")
            found[folder.id] = f"transformers:{folder.root_id}:{output}:{training}"
        else:
            found.setdefault(folder.id, f"{folder.tracker}:{folder.root_id}:{folder.path}")
    return found


def _run(identity: str, members: list[Folder]) -> dict[str, Any]:
    first = members[0]
    row: dict[str, Any] = {
        "identity": identity,
        "tracker": first.tracker,
        "tracker_run_id": first.tracker_run_id,
    }
    for name, column in COLUMNS.items():
        row[column] = _best(members, name)
    # What joined folders say of the machine and the program fills gaps; when it ran and how it
    # ended, only its own tracker tells.
    named = [folder for folder in members if folder.joined_by is None]
    row |= _start(named)
    row |= _end(named)
    return row


def _best(members: list[Folder], name: str) -> str | None:
    if len(members) == 1:
        only = members[0].fields.get(name)
        return None if only is None else only[1]
    said = [
        (folder.joined_by is not None, folder.fields[name][0], place, folder.fields[name][1])
        for place, folder in enumerate(members)
        if name in folder.fields
    ]
    return min(said)[3] if said else None


def _start(members: list[Folder]) -> dict[str, Any]:
    timed = [folder for folder in members if folder.started_at is not None]
    if not timed:
        stamped = next((folder for folder in members if folder.stamp), None)
        return {
            "started_at": None,
            "started_raw": stamped.stamp if stamped else None,
            "started_zone": None,
            "started_basis": None,
        }
    folder = min(timed, key=lambda one: str(one.started_at))
    stated = folder.fields.get("started_at")
    return {
        "started_at": folder.started_at,
        "started_raw": stated[1] if stated else folder.stamp,
        "started_zone": folder.zone,
        "started_basis": (stated[3] or "stated") if stated else folder.zone_basis,
    }


def _end(members: list[Folder]) -> dict[str, Any]:
    """Tell how and when a run ended from the last of its folders that says so."""
    last = members[-1] if not members[-1].copy_of_latest else members[0]
    for folder in reversed(members):
        if not folder.copy_of_latest:
            last = folder
            break
    state, basis = _state(last)
    if last.value("lifecycle") == "deleted":
        basis += "; deleted at its tracker"
    ended, ended_basis = _ended(last)
    return {"state": state, "state_basis": basis, "ended_at": ended, "ended_basis": ended_basis}


def _ended(folder: Folder) -> tuple[str | None, str | None]:
    """Return the latest sign of life of a folder's run, and what it is.

    No run time says more than the run's own files: these were written last when it ended, and a
    copy makes them newer, never older.
    """
    stated = folder.when("ended_at")
    if stated is not None:
        return stated, "its record states the end"
    row, counted = folder.when("last_timestamp"), _counted(folder)
    signs = [] if row is None else [(row, "time of the last logged row")]
    heartbeat = folder.when("heartbeat")
    # Newer clients write it once, at the start: that is no sign of an end.
    if heartbeat and folder.started_at:
        lasted = parse_utc(heartbeat) - parse_utc(folder.started_at)
        if lasted > _FILE_SLACK:
            signs.append((heartbeat, "its last heartbeat"))
    if counted is not None:
        newest = folder.newest_file
        beyond = newest is not None and parse_utc(counted[0]) > parse_utc(newest) + _FILE_SLACK
        if not beyond:
            signs.append(counted)
        elif newest is not None and newest > max(
            one for one in (row, folder.started_at, "") if one is not None
        ):
            signs.append(
                (newest, "time of the newest of its files, which its run time goes beyond")
            )
    return max(signs, default=(None, None))


def _counted(folder: Folder) -> tuple[str, str] | None:
    """Return the end as the recorded run time has it.

    Where the last row says by its own time that the run time counts from another moment than the
    start, as it does over the folders of a resumed run, it is counted from there.
    """
    runtime = _seconds(folder.value("runtime"))
    if runtime is None or folder.started_at is None:
        return None
    row, row_runtime = folder.when("last_timestamp"), _seconds(folder.value("row_runtime"))
    if row is not None and row_runtime is not None:
        if row_runtime >= runtime:
            return None  # it counts to that row only
        left = timedelta(seconds=runtime - row_runtime)
        counts_from = parse_utc(row) - timedelta(seconds=row_runtime)
        if abs(counts_from - parse_utc(folder.started_at)) > _FILE_SLACK:
            return utc_text(parse_utc(row) + left), "last logged row plus the run time behind it"
    # The run time of a resumed run counts from its first start.
    if folder.value("resumed") is not None:
        return None
    end = parse_utc(folder.started_at) + timedelta(seconds=runtime)
    return utc_text(end), "start plus the recorded run time"


def _state(folder: Folder) -> tuple[str, str]:
    code = folder.value("exit_code")
    if code is not None:
        basis = f"exit code {code}"
        if code == "0":
            return "finished", basis
        if folder.value("preempting") is not None:
            return "interrupted", f"preempted, {basis}"
        return ("interrupted" if code == str(INTERRUPTED) else "failed"), basis
    stated = folder.value("state")
    # From 0.10 on the metadata say "running" for ever: they are written once, at the start.
    if stated in {"finished", "failed"}:
        return stated, f"its metadata say {stated}"
    if stated == "killed":
        return "interrupted", "its metadata say killed"
    if folder.value("preempting") is not None:
        return "interrupted", "preempted"
    ending = folder.value("log_ending")
    if ending == "KeyboardInterrupt":
        return "interrupted", "its log ends with KeyboardInterrupt"
    if ending is not None:
        return "failed", f"its log ends with {ending}"
    return "unknown", "no file tells how it ended"


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 10**9 else None


def _write_folders(connection: Connection, folders: Iterable[Folder]) -> None:
    table = table_of(RunDirectory)
    derived = (
        "started_at",
        "ended_at",
        "zone",
        "zone_basis",
        "run_id",
        "joined_by",
        "join_detail",
        "life",
        "beginning",
    )
    before: Mapping[int, tuple[Any, ...]] = {
        number: tuple(rest)
        for number, *rest in fetched(
            connection, select(table.c.id, *(table.c[name] for name in derived))
        )
    }
    changed = [
        {"number": folder.id, **{name: getattr(folder, name) for name in derived}}
        for folder in folders
        if before[folder.id] != tuple(getattr(folder, name) for name in derived)
    ]
    if changed:
        connection.execute(
            update(table)
            .where(table.c.id == bindparam("number"))
            .values({name: bindparam(name) for name in derived}),
            changed,
        )


def _drop(connection: Connection, runs: list[int]) -> None:
    """Delete runs that no folder tells of any more, as when a folder's id became known."""
    for run in runs:
        links = select(table_of(Link).c.id).where(table_of(Link).c.run_id == run)
        connection.execute(
            delete(table_of(LinkEvidence)).where(table_of(LinkEvidence).c.link_id.in_(links))
        )
        connection.execute(delete(table_of(Link)).where(table_of(Link).c.run_id == run))
        connection.execute(delete(table_of(Run)).where(table_of(Run).c.id == run))
