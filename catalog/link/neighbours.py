"""What lies around a checkpoint: folders of other trainings, files of other trainings."""

from __future__ import annotations

import bisect
import posixpath
import re
from collections import defaultdict
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from catalog.link.limits import CLOCK_SLACK
from catalog.link.places import HOLDERS, folder_of
from catalog.link.subjects import is_run
from catalog.link.texts import texts
from catalog.link.twins import Twins

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from catalog.link.inputs import Inputs
    from catalog.link.places import Place
    from catalog.link.subjects import RunFolder, Subject

_VERSION = re.compile(r"-v\d+$")
_LOOKED_AT = 50
"""Files of one name in one folder that are compared with each other."""


class _Place(NamedTuple):
    """A training's folder that bears a stamp."""

    stamp: datetime
    path: str
    host: str


class _Runs:
    """Which runs belong to a checkpoint by its stamp, or by what they name as their input.

    Apart from `Neighbours`, which the indexes that ask for it need not hold: what holds each other
    is let go only by the garbage collector.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self.of_input: dict[str, set[int]] = defaultdict(set)
        """Runs by the tail of a folder of which they name a file."""
        self._went_on_from: dict[Place, set[int]] = {}

    def went_on_from(self, subject: Subject) -> set[int]:
        """Return the runs that name a file of the checkpoint's training as their input."""
        place = subject.place
        found = self._went_on_from.get(place)
        if found is None:
            found = set()
            if self.of_input:
                for folder in (place.directory, *place.remembered):
                    found |= self.of_input.get(_folder_tail(folder), set())
            self._went_on_from[place] = found
        return found

    def fit(self, subject: Subject, folder: RunFolder) -> bool:
        """Tell whether a run started right after the checkpoint's stamp, or went on from it."""
        return (
            subject.stamp is not None
            and not subject.stamp_in_utc
            and (
                self._started_after(subject.stamp, folder)
                or folder.run_id in self.went_on_from(subject)
            )
        )

    def _started_after(self, stamp: datetime, folder: RunFolder) -> bool:
        if folder.stamp is None:
            return False
        seconds = (folder.stamp - stamp).total_seconds()
        return -CLOCK_SLACK <= seconds <= self._tolerance


class Neighbours:
    """Indexes over all checkpoints, job folders and run folders."""

    def __init__(
        self,
        subjects: Collection[Subject],
        folders: Iterable[RunFolder],
        inputs: Inputs,
        tolerance: float,
    ) -> None:
        self._runs = _Runs(tolerance)
        self._same_stem: dict[tuple[str, str, str], list[Subject]] = defaultdict(list)
        self._stems: dict[int, tuple[str, str, str]] = {}
        self._remembered_in: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._overrides: dict[tuple[str, str], list[str]] = {}
        self._rivals: dict[int, list[Subject]] = {}
        places: set[_Place] = set()
        known: set[object] = set()
        for subject in subjects:
            stem = self._stems[subject.id] = _stem(subject)
            self._same_stem[stem].append(subject)
            host, around, place = subject.host, subject.surroundings, subject.place
            if place in known:
                continue
            known.add(place)
            if place.remembered:
                self._remembered_in[host, place.directory].update(place.remembered)
            if around.stamp is not None and not around.stamp_in_utc and around.stamped_folder:
                places.add(_Place(around.stamp, around.stamped_folder, host))
        self._runs_in_job: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._folders_of_run: dict[int, set[int]] = defaultdict(set)
        self._runs_of_project: dict[tuple[str, str], set[int]] = defaultdict(set)
        jobs: list[RunFolder] = []
        for folder in folders:
            if folder.tracker == "hydra":
                if folder.stamp is not None:
                    places.add(_Place(folder.stamp, folder.path, folder.host))
                if folder.overrides is not None:
                    self._overrides[folder.host, folder.path] = sorted(
                        texts(folder.overrides.text) or []
                    )
                jobs.append(folder)
            elif is_run(folder) and folder.run_id is not None:
                for said in inputs.of(folder):
                    tail = _folder_tail(posixpath.dirname(said.path))
                    self._runs.of_input[tail].add(folder.run_id)
                if not folder.copy_of_latest:
                    self._folders_of_run[folder.run_id].add(folder.id)
                self._runs_of_project[folder.host, folder.project].add(folder.run_id)
                if folder.job_path is not None:
                    self._runs_in_job[folder.host, folder.job_path].add(folder.run_id)
        self._places_in: dict[tuple[str, str], list[_Place]] = defaultdict(list)
        for stamped in sorted(places):
            if (stamped.host, stamped.path) not in self._runs_in_job:
                self._add_place(stamped)
        free = (job for job in jobs if (job.host, job.path) not in self._runs_in_job)
        self.twins = Twins(subjects, free, self._runs.fit, tolerance)

    def _add_place(self, place: _Place) -> None:
        """Note a training's folder under each project around it."""
        above = folder_of(place.path)
        while above != folder_of(above):
            if (place.host, above) in self._runs_of_project:
                self._places_in[place.host, above].append(place)
            above = folder_of(above)

    def is_shared(self, job: RunFolder) -> bool:
        """Tell whether more than one run worked, or may have worked, in a job's folder."""
        return job.reused or len(self._runs_in_job.get((job.host, job.path), ())) > 1

    def is_project(self, folder: RunFolder) -> bool:
        """Tell whether a run's project folder holds more runs than this one."""
        return len(self._runs_of_project.get((folder.host, folder.project), ())) > 1

    def remembered_in(self, host: str, folder: str) -> set[str]:
        """Return the folders that the checkpoints directly in a folder remember lying in."""
        return self._remembered_in.get((host, folder), set())

    def folders_of(self, run_id: int) -> set[int]:
        """Return the numbers of a run's own folders."""
        return self._folders_of_run.get(run_id, set())

    def went_on_from(self, subject: Subject) -> set[int]:
        """Return the runs that name a file of the checkpoint's training as their input."""
        return self._runs.went_on_from(subject)

    def between(self, subject: Subject, folder: RunFolder) -> str | None:
        """Return another training's folder, made after the checkpoint's and before the run.

        One that a run of its own lies in, or whose overrides are not the run's arguments, is
        none.
        """
        if subject.stamp is None or folder.stamp is None:
            return None
        given = texts(folder.arguments.text) if folder.arguments is not None else None
        places = self._places_in.get((folder.host, folder.project), ())
        start = bisect.bisect_left(places, (subject.stamp + timedelta(seconds=1),))
        for number in range(start, len(places)):
            place = places[number]
            if place.stamp > folder.stamp:
                return None
            overrides = self._overrides.get((place.host, place.path))
            if given is None or overrides is None or sorted(given) == overrides:
                return place.path
        return None

    def rivals(self, subject: Subject) -> list[Subject]:
        """Return the files beside a checkpoint that another training wrote under the same name.

        `best` and `best-v1`, where each says that its run kept one best file, and which: a run
        that keeps one deletes the one before.
        """
        found = self._rivals.get(subject.id)
        if found is None:
            found = self._rivals[subject.id] = self._find_rivals(subject)
        return found

    def _find_rivals(self, subject: Subject) -> list[Subject]:
        alike = self._same_stem[self._stems[subject.id]]
        if len(alike) == 1 or not _kept_one(subject):
            return []
        return [
            other
            for other in alike[:_LOOKED_AT]
            if other is not subject
            and _kept_one(other)
            and (other.best_paths != subject.best_paths or _two_last(subject, other))
        ]

    def has_alike(self, subject: Subject) -> bool:
        """Tell whether another checkpoint has its numbers, or its name and another's life."""
        return self.twins.has_checkpoint(subject) or bool(self.rivals(subject))


@lru_cache(maxsize=4_096)
def _folder_tail(folder: str) -> str:
    """Return the last names of a folder, without `checkpoints/`."""
    names = [name for name in folder.split("/") if name not in HOLDERS]
    return "/".join(names[-2:])


def _two_last(one: Subject, other: Subject) -> bool:
    """Tell whether two files are `last` and `last-v1` of different best scores.

    A training overwrites its own; a version is added for what lies there from another one.
    """
    return _stem(one)[2] == "last" and one.best_score != other.best_score


def _kept_one(subject: Subject) -> bool:
    return len(subject.best_paths) == 1


def _stem(subject: Subject) -> tuple[str, str, str]:
    directory = subject.directory
    name = subject.path[len(directory.rstrip("/")) + 1 :]
    return (subject.host, directory, _unversioned(name))


@lru_cache(maxsize=65_536)
def _unversioned(name: str) -> str:
    stem = posixpath.splitext(name)[0]
    return _VERSION.sub("", stem) if "-v" in stem else stem
