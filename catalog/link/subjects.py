"""What the rows say of checkpoints and of run folders, in the form in which they are compared."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from catalog.link.places import folder_of
from catalog.sources.hydra_commands import JobStart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from catalog.link.places import Place


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
    display_name: str | None = None
    """What its tracker shows it as."""
    has_its_times: bool = False
    """Its files kept the modification times that they were written with."""
    written_until: datetime | None = None
    """When the newest of its files was written, where they kept their times: of a run that was
    killed this is a later sign of life than its last row."""
    is_gone: bool = False
    """None of the files that told of it is there any more."""
    is_ended: bool = False
    """An exit is on record: its history is whole."""
    never_began: bool = False
    """W&B made the folder and began no run: `wandb.init` was called while another run was open."""
    reused: bool = False
    """A job folder that is the project itself (`hydra.run.dir: .`): each job works there, and
    `.hydra` is of the last one."""
    job_path: str | None = None
    """The Hydra output folder that it lies in, absolute."""
    arguments: Said | None = None
    job_start: JobStart = field(default_factory=JobStart)
    """How the Hydra job of this folder was started."""
    config: list[tuple[int, int]] = field(default_factory=list)
    """(config, file) in the order in which they are believed."""
    mentions: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    """By role."""

    project: str = field(init=False)
    """The folder of the project: above `wandb/`, or above the run directory itself."""

    @property
    def token(self) -> tuple[object, ...]:
        """Everything about it that evidence is made from, but for its metrics; plain values."""
        return (
            self.id, self.host, self.path, self.tracker, self.run_id, self.tracker_run_id,
            _text(self.stamp), _text(self.started_at), _text(self.ended_at), self.copy_of_latest,
            self.project_name, self.display_name, self.has_its_times, _text(self.written_until),
            self.is_gone, self.is_ended, self.never_began,
            self.reused, self.job_path, self.arguments and (*self.arguments,),
            astuple(self.job_start), self.config,
            [(role, [(*one,) for one in said]) for role, said in self.mentions.items()],
        )  # fmt: skip

    def __post_init__(self) -> None:
        parent = folder_of(self.path)
        while posixpath.basename(parent) in {"wandb", "logs", "results"}:
            parent = folder_of(parent)
        self.project = parent


@dataclass(eq=False, slots=True)
class Subject:
    """One checkpoint, as the linker sees it; what is derived from it is made once, with it."""

    id: int
    host: str
    path: str
    """Absolute."""
    directory: str
    """The folder that it lies in."""
    written_at: datetime | None
    framework: str | None
    epoch: int | None
    global_step: int | None
    monitor: str | None
    best_score: float | None
    own_score: float | None
    remembered: tuple[str, ...]
    """Folders and files that it remembers: `dirpath`, `best_model_path`, ..."""
    best_paths: tuple[str, ...]
    """The files that its run kept as the best ones."""
    config_id: int | None
    weights: str | None
    """Fingerprint, equal for equal weights."""
    architecture_id: int | None
    size: int | None
    """Bytes of the file; None for a directory."""
    md5: str | None
    """Base64, where files were hashed."""
    learning_rates: tuple[float, ...]
    """Of its optimizer's parameter groups, as 32-bit floats, each once."""
    scores: list[tuple[str, float]] = field(default_factory=list)
    stated_run_ids: list[Said] = field(default_factory=list)
    place: Place = field(init=False)
    surroundings: Surroundings = field(init=False)
    known_scores: tuple[float, ...] = ()
    """Its own score and the best of its run, as 32-bit floats, each once."""
    telling_scores: tuple[tuple[str, float], ...] = ()
    """Its other scores as 32-bit floats, without those that runs share by chance."""

    @property
    def token(self) -> tuple[object, ...]:
        """Everything about it that evidence is made from, but for the folders around it.

        Plain values.
        """
        return (
            self.path, self.host, _text(self.written_at), self.framework, self.epoch,
            self.global_step, self.monitor, self.best_score, self.own_score, self.remembered,
            self.config_id, self.best_paths, self.weights, self.architecture_id, self.size,
            self.md5, self.learning_rates, self.scores, [(*one,) for one in self.stated_run_ids],
        )  # fmt: skip

    @property
    def main_score(self) -> float | None:
        """Its own score or, where it states none, the best of its run so far."""
        return self.best_score if self.own_score is None else self.own_score

    @property
    def folders(self) -> Sequence[RunFolder]:
        """Run directories and job folders that it lies in, the nearest first."""
        return self.surroundings.folders

    @property
    def job(self) -> RunFolder | None:
        """The Hydra output folder that it lies in."""
        return self.surroundings.job

    @property
    def output(self) -> str:
        """The folder of its training: the job's, or the one that its `checkpoints/` lies in."""
        return self.surroundings.output

    @property
    def stamp(self) -> datetime | None:
        """Start as the nearest folder above it that is named by a time states it, zone-less."""
        return self.surroundings.stamp

    @property
    def stamp_in_utc(self) -> bool:
        """Whether that is UTC, not the writer's local time."""
        return self.surroundings.stamp_in_utc

    @property
    def stamped_folder(self) -> str | None:
        """That folder, absolute."""
        return self.surroundings.stamped_folder

    @property
    def remembered_folders(self) -> tuple[str, ...]:
        """The folders of the paths that it remembers, each once."""
        return self.place.remembered

    @property
    def names_above(self) -> frozenset[str]:
        """The names of all folders in its path and in those that it remembers."""
        return self.place.names_above


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What lies around all checkpoints of one folder."""

    folders: tuple[RunFolder, ...]
    """Run directories and job folders around it, the nearest first."""
    job: RunFolder | None
    output: str
    stamp: datetime | None
    stamp_in_utc: bool
    stamped_folder: str | None


def is_run(folder: RunFolder) -> bool:
    """Tell whether a checkpoint can be linked to it: W&B's record of a run.

    A job's output folder or a logger's `version_N` says where a checkpoint lies, which
    `checkpoint_directory` keeps; a sweep's config file tells of a run and is no folder of it.
    """
    return (
        folder.tracker == "wandb"
        and folder.run_id is not None
        and not folder.never_began
        and not folder.path.endswith((".yaml", ".yml"))
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
