"""Run folders and checkpoints, loaded from their rows."""

from __future__ import annotations

import json
import posixpath
from collections import defaultdict
from dataclasses import fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, func, or_, select

from catalog.link.inside import add_ids_inside
from catalog.link.numbers import tells
from catalog.link.places import HOLDERS, Places, folder_of
from catalog.link.subjects import Flat, RunFolder, Said, Subject, Surroundings, Value
from catalog.schema.canonical import float32
from catalog.schema.hosts import host_labels
from catalog.schema.job_folders import shared_job_folders
from catalog.schema.remembered import whole
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import (
    Checkpoint,
    CheckpointScore,
    ConfigValue,
    File,
    Mention,
    Root,
    Run,
    RunConfig,
    RunDirectory,
    RunField,
)
from catalog.sources.hydra_commands import JobStart
from catalog.sources.plain import is_number
from catalog.sources.stamps import stamp_of_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from catalog.sources.stamps import Stamp


_JOB_FIELDS = tuple(field.name for field in fields(JobStart))
"""Run fields that say how a Hydra job was started."""
_OTHER_FIELDS = ("args", "exit_code", "never_began")
KEPT_TIMES = timedelta(hours=1)
"""How long after its run's end the newest file of a folder is written: by a sync, at most."""


def load_folders(connection: Connection) -> list[RunFolder]:
    """Return every run directory and job folder."""
    table, roots, runs = table_of(RunDirectory), table_of(Root), table_of(Run)
    labels = host_labels(connection)
    folders: dict[int, RunFolder] = {}
    for (
        number, root_id, root, path, tracker, run_id, tracker_run_id, stamp, in_utc, started_at,
        ended_at, copy_of_latest, project_name, display_name,
    ) in fetched(
        connection,
        select(
            table.c.id,
            roots.c.id,
            roots.c.path,
            table.c.path,
            table.c.tracker,
            table.c.run_id,
            table.c.tracker_run_id,
            table.c.stamp,
            table.c.stamp_in_utc,
            table.c.started_at,
            table.c.ended_at,
            table.c.copy_of_latest,
            runs.c.project,
            runs.c.display_name,
        )
        .join(roots, roots.c.id == table.c.root_id)
        .outerjoin(runs, runs.c.id == table.c.run_id)
        .order_by(roots.c.host, roots.c.path, table.c.path),
    ):  # fmt: skip
        folders[number] = RunFolder(
            id=number,
            host=labels[root_id],
            path=_join(root, path),
            tracker=tracker,
            run_id=run_id,
            tracker_run_id=tracker_run_id,
            stamp=datetime.fromisoformat(stamp) if stamp and not in_utc else None,
            started_at=_moment(started_at),
            ended_at=_moment(ended_at),
            copy_of_latest=bool(copy_of_latest),
            project_name=project_name,
            display_name=display_name,
        )
    _add_fields(connection, folders)
    _add_configs(connection, folders)
    _add_mentions(connection, folders)
    _add_times(connection, folders)
    _add_jobs(folders)
    for number in shared_job_folders(connection):
        folders[number].reused = True
    return list(folders.values())


def _add_times(connection: Connection, folders: dict[int, RunFolder]) -> None:
    fields, files = table_of(RunField), table_of(File)
    rows = fetched(
        connection,
        select(
            fields.c.run_directory_id,
            func.max(files.c.modified_at),
            func.max(case((files.c.missing_ingest_id.is_(None), 1), else_=0)),
            func.count(fields.c.file_id.distinct()),
        )
        .join(files, files.c.id == fields.c.file_id)
        .group_by(fields.c.run_directory_id),
    )
    for number, text, is_there, count in rows:
        folder, newest = folders[int(number)], _moment(text)
        folder.is_gone = not is_there
        # A run that began left more than the log of the call.
        folder.never_began = folder.never_began and count == 1
        if newest is not None and folder.started_at is not None and folder.ended_at is not None:
            span = (folder.started_at - KEPT_TIMES, folder.ended_at + KEPT_TIMES)
            folder.has_its_times = span[0] <= newest <= span[1]
            if folder.has_its_times and not folder.is_ended:
                folder.written_until = newest


def _add_jobs(folders: dict[int, RunFolder]) -> None:
    jobs = {(one.host, one.path) for one in folders.values() if one.tracker == "hydra"}
    for folder in folders.values():
        above = folder_of(folder.path)
        while above != folder_of(above):
            if (folder.host, above) in jobs:
                folder.job_path = above
                break
            above = folder_of(above)


def _add_fields(connection: Connection, folders: dict[int, RunFolder]) -> None:
    table, files = table_of(RunField), table_of(File)
    rows = fetched(
        connection,
        select(table.c.run_directory_id, table.c.name, table.c.value, table.c.file_id)
        .join(files, files.c.id == table.c.file_id)
        .where(table.c.name.in_((*_JOB_FIELDS, *_OTHER_FIELDS)))
        .order_by(table.c.rank, files.c.path, table.c.position),
    )
    stated: dict[int, dict[str, str]] = defaultdict(dict)
    for number, name, value, file_id in rows:
        folder = folders[int(number)]
        said = Said(value, int(file_id))
        if name == "args" and folder.arguments is None:
            folder.arguments = said
        elif name == "exit_code":
            folder.is_ended = True
        elif name == "never_began":
            folder.never_began = True
        elif name != "args":
            stated[int(number)].setdefault(name, value)
    for number, known in stated.items():
        folders[number].job_start = JobStart(**known)


def _add_configs(connection: Connection, folders: dict[int, RunFolder]) -> None:
    table, files = table_of(RunConfig), table_of(File)
    rows = fetched(
        connection,
        select(table.c.run_directory_id, table.c.config_id, table.c.file_id)
        .join(files, files.c.id == table.c.file_id)
        .where(table.c.kind != "hydra-overrides")
        .order_by(table.c.rank, files.c.path),
    )
    for number, config_id, file_id in rows:
        folders[int(number)].config.append((int(config_id), int(file_id)))


def _add_mentions(connection: Connection, folders: dict[int, RunFolder]) -> None:
    table, files = table_of(Mention), table_of(File)
    # Of log lines, the bulk of all mentions, only those that two folders share say anything.
    shared = (
        select(table.c.text)
        .where(table.c.role == "log-line")
        .group_by(table.c.text)
        .having(func.count(table.c.run_directory_id.distinct()) > 1)
    )
    rows = fetched(
        connection,
        select(table.c.run_directory_id, table.c.role, table.c.text, table.c.file_id)
        .join(files, files.c.id == table.c.file_id)
        .where(
            table.c.run_directory_id.is_not(None),
            or_(table.c.role != "log-line", table.c.text.in_(shared)),
        )
        .order_by(files.c.path, table.c.id),
    )
    for number, role, text, file_id in rows:
        folders[int(number)].mentions[role].append(Said(text, int(file_id)))


def load_subjects(connection: Connection, folders: Iterable[RunFolder]) -> list[Subject]:
    """Return every checkpoint that is known, with what lies around it."""
    subjects = _read_subjects(connection)
    scores = table_of(CheckpointScore)
    for number, name, value in fetched(
        connection,
        select(scores.c.checkpoint_id, scores.c.name, scores.c.value)
        .where(scores.c.value.is_not(None))
        .order_by(scores.c.id),
    ):
        subjects[number].scores.append((name, float(value)))
    folders = list(folders)
    _add_remembered(connection, subjects)
    _add_stated_ids(connection, subjects)
    add_ids_inside(connection, subjects, folders)
    surroundings = _Surroundings(folders)
    places = Places()
    for subject in subjects.values():
        subject.surroundings = surroundings.of(subject.host, subject.directory)
        subject.place = places.of(subject.host, subject.path, subject.remembered, subject.config_id)
        if subject.best_paths and not _keeps_its_name(subject):
            subject.own_score = None
        subject.known_scores = _known_scores(subject.own_score, subject.best_score)
        if subject.scores:
            subject.telling_scores = _telling_scores(subject)
    return list(subjects.values())


def _read_subjects(connection: Connection) -> dict[int, Subject]:
    table, files, roots = table_of(Checkpoint), table_of(File), table_of(Root)
    labels = host_labels(connection)
    subjects: dict[int, Subject] = {}
    for (
        number, framework, epoch, global_step, monitor, best_score, own_score, best_path, last_path,
        directory, best_k, config_id, architecture_id, weights, rates, path, modified_at, size,
        inode, md5, root_id, root,
    ) in fetched(
        connection,
        select(
            *(table.c[name] for name in _COLUMNS),
            files.c.path,
            files.c.modified_at,
            files.c.size,
            files.c.inode,
            files.c.md5,
            roots.c.id,
            roots.c.path,
        )
        .join(files, files.c.id == table.c.id)
        .join(roots, roots.c.id == files.c.root_id)
        .order_by(roots.c.host, roots.c.path, files.c.path),
    ):  # fmt: skip
        remembered, best_paths = _remembered(directory, best_path, last_path, best_k)
        path = _join(root, path)
        subjects[number] = Subject(
            number,
            labels[root_id],
            path,
            folder_of(path),
            datetime.fromisoformat(modified_at) if modified_at else None,
            framework,
            epoch,
            global_step,
            monitor,
            best_score,
            own_score,
            remembered,
            best_paths,
            config_id,
            weights,
            architecture_id,
            size if inode else None,  # a directory has no inode
            md5,
            _rates(rates) if rates else (),
        )
    return subjects


_COLUMNS = (
    "id", "framework", "epoch", "global_step", "monitor", "best_score", "own_score", "best_path",
    "last_path", "directory", "best_k", "config_id", "architecture_id", "weights_fingerprint",
    "learning_rates",
)  # fmt: skip


@lru_cache(maxsize=4_096)
def _remembered(
    folder: str | None, best_path: str | None, last_path: str | None, best_k: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths that a checkpoint remembers, and those of the best files among them.

    The checkpoints of one training share them.
    """
    best = [whole(path, folder) for path, _score in json.loads(best_k)] if best_k else []
    files = [whole(path, folder) for path in (best_path, last_path) if path]
    remembered = (folder, *files, *best)
    return tuple(dict.fromkeys(path for path in remembered if path)), tuple(best)


@lru_cache(maxsize=4_096)
def _rates(listed: str) -> tuple[float, ...]:
    rates = json.loads(listed)  # NaN and infinities stand there as objects
    return tuple(dict.fromkeys(float32(rate) for rate in rates if is_number(rate) and rate))


def _known_scores(own: float | None, best: float | None) -> tuple[float, ...]:
    if own is None or best is None or own == best:
        only = best if own is None else own
        return () if only is None else (float32(only),)
    return tuple(dict.fromkeys((float32(own), float32(best))))


def _telling_scores(subject: Subject) -> tuple[tuple[str, float], ...]:
    scores = ((name, float32(score)) for name, score in subject.scores if name != subject.monitor)
    return tuple((name, score) for name, score in scores if tells(score))


def _add_remembered(connection: Connection, subjects: dict[int, Subject]) -> None:
    table = table_of(Mention)
    rows = fetched(
        connection,
        select(table.c.file_id, table.c.text)
        .where(
            table.c.run_directory_id.is_(None),
            table.c.role.in_(("output-dir", "checkpoint-path", "logging-dir")),
        )
        .order_by(table.c.id),
    )
    for number, text in rows:
        subject = subjects.get(int(number))
        if subject is not None and text not in subject.remembered:
            subject.remembered = (*subject.remembered, text)


def _add_stated_ids(connection: Connection, subjects: dict[int, Subject]) -> None:
    """A `.metadata` sidecar names the run of the checkpoint that it lies beside."""
    table, files, roots = table_of(Mention), table_of(File), table_of(Root)
    rows = fetched(
        connection,
        select(table.c.file_id, table.c.text, files.c.path, roots.c.path.label("root"))
        .join(files, files.c.id == table.c.file_id)
        .join(roots, roots.c.id == files.c.root_id)
        .where(table.c.run_directory_id.is_(None), table.c.role == "run-id")
        .order_by(files.c.path, table.c.id),
    )
    beside: dict[str, list[Said]] = defaultdict(list)
    for number, text, path, root in rows:
        subject = subjects.get(int(number))
        if subject is not None:
            subject.stated_run_ids.append(Said(text, int(number)))
        stem = _join(root, path)
        for suffix in (".metadata.json", ".metadata.yaml", ".metadata.yml"):
            if stem.endswith(suffix):
                beside[stem.removesuffix(suffix)].append(Said(text, int(number)))
    if beside:
        for subject in subjects.values():
            subject.stated_run_ids += beside.get(posixpath.splitext(subject.path)[0], [])


def _keeps_its_name(subject: Subject) -> bool:
    """Tell whether a file lies in a folder and under a name that it remembers.

    Lightning lists scores by path: a copy of `last.ckpt` that is called `best.ckpt` now is not the
    file of that name in the list.
    """
    own = "/".join(subject.path.split("/")[-2:])
    inside = f"/{own}"
    return any(path == own or path.endswith(inside) for path in subject.remembered)


class _Above(NamedTuple):
    """A folder and those above it."""

    found: tuple[RunFolder, ...]
    """Run directories and job folders, the nearest first."""
    stamped: dict[Stamp, str]
    """The outermost folder that bears each stamp."""


_NOTHING = _Above((), {})


class _Surroundings:
    """What lies around folders; of those above them it is made once."""

    def __init__(self, folders: Iterable[RunFolder]) -> None:
        self._folders = {(folder.host, folder.path): folder for folder in folders}
        self._above: dict[tuple[str, str], _Above] = {}
        self._around: dict[tuple[str, str], Surroundings] = {}

    def of(self, host: str, directory: str) -> Surroundings:
        """Return what lies around the checkpoints of a folder."""
        around = self._around.get((host, directory))
        if around is None:
            found, stamped = self._look(host, directory)
            job = next((folder for folder in found if folder.tracker == "hydra"), None)
            output = directory if job is None else job.path
            if job is None:
                while posixpath.basename(output) in HOLDERS:
                    output = posixpath.dirname(output)
            stamp = stamp_of_path(directory)
            around = self._around[host, directory] = Surroundings(
                found,
                job,
                output,
                None if stamp is None else datetime.fromisoformat(stamp.text),
                stamp is not None and stamp.in_utc,
                None if stamp is None else stamped[stamp],
            )
        return around

    def _look(self, host: str, directory: str) -> _Above:
        waiting: list[str] = []
        above = directory
        while (known := self._above.get((host, above))) is None:
            waiting.append(above)
            parent = folder_of(above)
            if parent == above:
                known = _NOTHING
                break
            above = parent
        for path in reversed(waiting):
            found, stamped = known
            folder, stamp = self._folders.get((host, path)), stamp_of_path(path)
            known = self._above[host, path] = _Above(
                found if folder is None else (folder, *found),
                stamped if stamp is None or stamp in stamped else {**stamped, stamp: path},
            )
        return known


class Configs:
    """Flat configs by number, loaded when first asked for, or many at once before."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loaded: dict[int, Flat] = {}

    def __len__(self) -> int:
        return len(self._loaded)

    def clear(self) -> None:
        """Forget all that was loaded; what is asked for is loaded again."""
        self._loaded.clear()

    def flat(self, config_id: int) -> Flat:
        """Return a config by dotted key."""
        if config_id not in self._loaded:
            self.load((config_id,))
        return self._loaded[config_id]

    def load(self, config_ids: Iterable[int]) -> None:
        """Load those that are not there yet."""
        table = table_of(ConfigValue)
        for part in chunks(sorted(set(config_ids) - self._loaded.keys())):
            self._loaded |= {number: {} for number in part}
            for number, key, *value in fetched(
                self._connection,
                select(table.c.config_id, table.c.key, table.c.type, table.c.text, table.c.number)
                .where(table.c.config_id.in_(part))
                .order_by(table.c.config_id, table.c.key),
            ):
                self._loaded[number][key] = Value(*value)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _join(root: str, path: str) -> str:
    return root if path == "." else f"{root.rstrip('/')}/{path}"
