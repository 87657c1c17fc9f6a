"""What the rows say of checkpoints and of run folders, in the form in which they are compared."""

from __future__ import annotations

import json
import posixpath
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, or_, select

from catalog.link.numbers import tells
from catalog.link.places import HOLDERS, Key, Place, artifact_run_id, folder_of
from catalog.schema.canonical import float32
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
from catalog.sources.plain import is_number
from catalog.sources.stamps import stamp_of_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row


KEPT_TIMES = timedelta(hours=1)
"""How long after its run's end the newest file of a folder is written: by a sync, at most."""


class Value(NamedTuple):
    """One flat config value as it is stored."""

    type: str
    text: str | None
    number: float | None


Flat = dict[str, Value]
"""A config by dotted key."""


class Said(NamedTuple):
    """Something a file says, with that file."""

    text: str
    file_id: int


@dataclass(slots=True)
class RunFolder:
    """One run directory, as the linker sees it."""

    id: int
    host: str
    path: str
    """Absolute."""
    tracker: str
    run_id: int | None
    tracker_run_id: str | None
    stamp: datetime | None
    """Start by the machine's local clock, zone-less."""
    started_at: datetime | None
    ended_at: datetime | None
    copy_of_latest: bool
    project_name: str | None = None
    """The tracker's name of the project."""
    has_its_times: bool = False
    """Its files kept the modification times that they were written with."""
    is_ended: bool = False
    """An exit is on record: its history is whole."""
    reused: bool = False
    """A job folder that is the project itself (`hydra.run.dir: .`): each job works there."""
    job_path: str | None = None
    """The Hydra output folder that it lies in, absolute."""
    arguments: Said | None = None
    overrides: Said | None = None
    config: list[tuple[int, int]] = field(default_factory=list)
    """(config, file) in the order in which they are believed."""
    mentions: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    """By role."""

    project: str = field(init=False)
    """The folder of the project: above `wandb/`, or above the run directory itself."""

    def __post_init__(self) -> None:
        parent = folder_of(self.path)
        while posixpath.basename(parent) in {"wandb", "logs", "results"}:
            parent = folder_of(parent)
        self.project = parent


@dataclass(eq=False)
class Subject:
    """One checkpoint, as the linker sees it; what is derived from it is made once."""

    id: int
    host: str
    path: str
    """Absolute."""
    written_at: datetime | None
    framework: str | None
    epoch: int | None
    global_step: int | None
    monitor: str | None
    best_score: float | None
    own_score: float | None
    remembered: tuple[str, ...]
    """Folders and files that it remembers: `dirpath`, `best_model_path`, ..."""
    config_id: int | None
    best_paths: tuple[str, ...] = ()
    """The files that its run kept as the best ones."""
    weights: str | None = None
    """Fingerprint, equal for equal weights."""
    architecture_id: int | None = None
    size: int | None = None
    """Bytes of the file; None for a directory."""
    md5: str | None = None
    """Base64, where files were hashed."""
    learning_rates: tuple[float, ...] = ()
    """Of its optimizer's parameter groups, as 32-bit floats, each once."""
    scores: list[tuple[str, float]] = field(default_factory=list)
    stated_run_ids: list[Said] = field(default_factory=list)
    folders: list[RunFolder] = field(default_factory=list)
    """Run directories and job folders that it lies in, the nearest first."""
    stamp: datetime | None = None
    """Start as the nearest folder above it that is named by a time states it, zone-less."""
    stamp_in_utc: bool = False
    stamped_folder: str | None = None
    """That folder, absolute."""
    keys: list[Key] | None = None
    """Kept by `key_folders`."""
    place: Place | None = None
    """Kept by `place_of`."""

    @cached_property
    def directory(self) -> str:
        """The folder that it lies in."""
        return posixpath.dirname(self.path)

    @cached_property
    def remembered_folders(self) -> tuple[str, ...]:
        """The folders of the paths that it remembers, each once."""
        return tuple(dict.fromkeys(map(folder_of, self.remembered)))

    @cached_property
    def known_scores(self) -> tuple[float, ...]:
        """Its own score and the best of its run, as 32-bit floats, each once."""
        known = (self.own_score, self.best_score)
        return tuple(dict.fromkeys(float32(score) for score in known if score is not None))

    @cached_property
    def telling_scores(self) -> tuple[tuple[str, float], ...]:
        """Its other scores as 32-bit floats, without those that runs share by chance."""
        scores = ((name, float32(score)) for name, score in self.scores if name != self.monitor)
        return tuple((name, score) for name, score in scores if tells(score))

    @cached_property
    def names_above(self) -> frozenset[str]:
        """The names of all folders in its path and in those that it remembers."""
        paths = (self.path, *self.remembered)
        names = {name for path in paths for name in path.split("/")[:-1]}
        artifact = artifact_run_id(self.directory)
        return frozenset(names if artifact is None else names | {artifact})

    @cached_property
    def job(self) -> RunFolder | None:
        """The Hydra output folder that it lies in."""
        return next((folder for folder in self.folders if folder.tracker == "hydra"), None)

    @property
    def token(self) -> tuple[object, ...]:
        """Everything about it that evidence is made from, but for the folders around it."""
        return (
            self.path, self.host, self.written_at, self.framework, self.epoch, self.global_step,
            self.monitor, self.best_score, self.own_score, self.remembered, self.config_id,
            self.best_paths, self.weights, self.architecture_id, self.size, self.md5,
            self.learning_rates, self.scores, self.stated_run_ids, self.stamp,
            self.stamp_in_utc, self.stamped_folder, [folder.id for folder in self.folders],
        )  # fmt: skip

    @property
    def main_score(self) -> float | None:
        """Its own score or, where it states none, the best of its run so far."""
        return self.best_score if self.own_score is None else self.own_score

    @cached_property
    def output(self) -> str:
        """The folder of its training: the job's, or the one that its `checkpoints/` lies in."""
        if self.job is not None:
            return self.job.path
        above = self.directory
        while posixpath.basename(above) in HOLDERS:
            above = posixpath.dirname(above)
        return above


def load_folders(connection: Connection) -> list[RunFolder]:
    """Return every run directory and job folder."""
    table, roots, runs = table_of(RunDirectory), table_of(Root), table_of(Run)
    folders = {
        int(row.id): RunFolder(
            id=int(row.id),
            host=row.host,
            path=_join(row.root, row.path),
            tracker=row.tracker,
            run_id=row.run_id,
            tracker_run_id=row.tracker_run_id,
            stamp=datetime.fromisoformat(row.stamp) if row.stamp and not row.stamp_in_utc else None,
            started_at=_moment(row.started_at),
            ended_at=_moment(row.ended_at),
            copy_of_latest=bool(row.copy_of_latest),
            project_name=row.project_name,
        )
        for row in fetched(
            connection,
            select(
                table.c.id,
                roots.c.host,
                roots.c.path.label("root"),
                table.c.path,
                table.c.tracker,
                table.c.run_id,
                table.c.tracker_run_id,
                table.c.stamp,
                table.c.stamp_in_utc,
                table.c.started_at,
                table.c.ended_at,
                table.c.copy_of_latest,
                runs.c.project.label("project_name"),
            )
            .join(roots, roots.c.id == table.c.root_id)
            .outerjoin(runs, runs.c.id == table.c.run_id)
            .order_by(roots.c.host, roots.c.path, table.c.path),
        )
    }
    _add_fields(connection, folders)
    _add_configs(connection, folders)
    _add_mentions(connection, folders)
    _add_times(connection, folders)
    _add_jobs(folders)
    return list(folders.values())


def _add_times(connection: Connection, folders: dict[int, RunFolder]) -> None:
    fields, files = table_of(RunField), table_of(File)
    rows = fetched(
        connection,
        select(fields.c.run_directory_id, func.max(files.c.modified_at))
        .join(files, files.c.id == fields.c.file_id)
        .group_by(fields.c.run_directory_id),
    )
    for number, text in rows:
        folder, newest = folders[int(number)], _moment(text)
        if newest is not None and folder.started_at is not None and folder.ended_at is not None:
            span = (folder.started_at - KEPT_TIMES, folder.ended_at + KEPT_TIMES)
            folder.has_its_times = span[0] <= newest <= span[1]


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
        .where(table.c.name.in_(("args", "overrides", "exit_code", "output_dir", "cwd")))
        .order_by(table.c.rank, files.c.path, table.c.id),
    )
    folders_said: dict[int, dict[str, str]] = defaultdict(dict)
    for number, name, value, file_id in rows:
        folder = folders[int(number)]
        said = Said(value, int(file_id))
        if name == "args" and folder.arguments is None:
            folder.arguments = said
        elif name == "overrides" and folder.overrides is None:
            folder.overrides = said
        elif name == "exit_code":
            folder.is_ended = True
        elif name in {"output_dir", "cwd"}:
            folders_said[int(number)].setdefault(name, value)
    for number, places in folders_said.items():
        folders[number].reused = len(places) > 1 and len(set(places.values())) == 1


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


def load_subjects(connection: Connection, folders: list[RunFolder]) -> list[Subject]:
    """Return every checkpoint that is present, with the folders that it lies in."""
    table, files, roots = table_of(Checkpoint), table_of(File), table_of(Root)
    rows = fetched(
        connection,
        select(
            *(table.c[name] for name in _COLUMNS),
            files.c.path,
            files.c.modified_at,
            files.c.size,
            files.c.inode,
            files.c.md5,
            roots.c.host,
            roots.c.path.label("root"),
        )
        .join(files, files.c.id == table.c.id)
        .join(roots, roots.c.id == files.c.root_id)
        .order_by(roots.c.host, roots.c.path, files.c.path),
    )
    subjects = {int(row.id): _subject(row) for row in rows}
    scores = table_of(CheckpointScore)
    for number, name, value in fetched(
        connection,
        select(scores.c.checkpoint_id, scores.c.name, scores.c.value)
        .where(scores.c.value.is_not(None))
        .order_by(scores.c.id),
    ):
        subjects[int(number)].scores.append((name, float(value)))
    _add_remembered(connection, subjects)
    _add_stated_ids(connection, subjects)
    places = {(folder.host, folder.path): folder for folder in folders}
    beside: dict[tuple[str, str], Subject] = {}
    for subject in subjects.values():
        other = beside.setdefault((subject.host, subject.directory), subject)
        if other is subject:
            _place(subject, places)
        else:
            subject.folders = other.folders
            subject.stamp, subject.stamp_in_utc = other.stamp, other.stamp_in_utc
            subject.stamped_folder = other.stamped_folder
        if subject.best_paths and not _keeps_its_name(subject):
            subject.own_score = None
    return list(subjects.values())


_COLUMNS = (
    "id", "framework", "epoch", "global_step", "monitor", "best_score", "own_score", "best_path",
    "last_path", "directory", "best_k", "config_id", "architecture_id", "weights_fingerprint",
    "learning_rates",
)  # fmt: skip


def _subject(row: Row[*tuple[Any, ...]]) -> Subject:
    folder = row.directory
    best_k = _best_files(row.best_k, folder) if row.best_k else ()
    files = (whole(path, folder) for path in (row.best_path, row.last_path) if path)
    remembered = (folder, *files, *best_k)
    return Subject(
        id=int(row.id),
        host=row.host,
        path=_join(row.root, row.path),
        written_at=_moment(row.modified_at),
        framework=row.framework,
        epoch=row.epoch,
        global_step=row.global_step,
        monitor=row.monitor,
        best_score=row.best_score,
        own_score=row.own_score,
        remembered=tuple(dict.fromkeys(path for path in remembered if path)),
        config_id=row.config_id,
        best_paths=best_k,
        weights=row.weights_fingerprint,
        architecture_id=row.architecture_id,
        size=row.size if row.inode else None,  # a directory has no inode
        md5=row.md5,
        learning_rates=_rates(row.learning_rates) if row.learning_rates else (),
    )


@lru_cache(maxsize=4_096)
def _best_files(listed: str, folder: str | None) -> tuple[str, ...]:
    """Return the paths in a `best_k`; the checkpoints of one training share it."""
    return tuple(whole(path, folder) for path, _score in json.loads(listed))


@lru_cache(maxsize=4_096)
def _rates(listed: str) -> tuple[float, ...]:
    rates = json.loads(listed)  # NaN and infinities stand there as objects
    return tuple(dict.fromkeys(float32(rate) for rate in rates if is_number(rate) and rate))


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
    own = subject.path.split("/")[-2:]
    return any(path.split("/")[-2:] == own for path in subject.remembered)


def _place(subject: Subject, places: dict[tuple[str, str], RunFolder]) -> None:
    above = subject.directory
    stamp = stamp_of_path(above)
    if stamp is not None:
        subject.stamp = datetime.fromisoformat(stamp.text)
        subject.stamp_in_utc = stamp.in_utc
    while True:
        folder = places.get((subject.host, above))
        if folder is not None:
            subject.folders.append(folder)
        if stamp is not None and stamp_of_path(above) == stamp:
            subject.stamped_folder = above
        parent = folder_of(above)
        if parent == above:
            return
        above = parent


class Configs:
    """Flat configs by number, loaded when first asked for, or many at once before."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loaded: dict[int, Flat] = {}

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


def is_run(folder: RunFolder) -> bool:
    """Tell whether a checkpoint can be linked to it: W&B's record of a run.

    A job's output folder or a logger's `version_N` says where a checkpoint lies, which
    `checkpoint_directory` keeps; a sweep's config file tells of a run and is no folder of it.
    """
    return (
        folder.tracker == "wandb"
        and folder.run_id is not None
        and not folder.path.endswith((".yaml", ".yml"))
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _join(root: str, path: str) -> str:
    return root if path == "." else f"{root.rstrip('/')}/{path}"
