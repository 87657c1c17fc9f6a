"""Checkpoints and jobs of other trainings that look the same, and what tells them apart.

A hundred trainings of one config are a hundred twins of each other, so that nothing here goes
through all of them for each: what scores and stamps tell apart is looked up.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from catalog.link.limits import CLOCK_SLACK
from catalog.link.numbers import tells
from catalog.schema.canonical import float32
from catalog.sources.hydra_commands import command_key, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from catalog.link.subjects import RunFolder, Subject

_Command = tuple[int, str | None]
_Job = tuple[str, str]
_Numbers = tuple[float, float | None, int | None, int | None]
_T = TypeVar("_T")


class Twins:
    """Indexes over checkpoints by their numbers and over jobs by their config.

    Args:
        subjects: all checkpoints.
        jobs: the job folders inside which no run lies: a job with a run of its own is no twin.
        fits: tells whether a run belongs to a checkpoint's stamp.
        tolerance: seconds that a run may start after the stamp of its training's folder.
    """

    def __init__(
        self,
        subjects: Iterable[Subject],
        jobs: Iterable[RunFolder],
        fits: Callable[[Subject, RunFolder], bool],
        tolerance: float,
    ) -> None:
        self._fits = fits
        self._tolerance = tolerance
        self._numbers: dict[int, _Numbers] = {}
        self._same_numbers: dict[_Numbers, list[Subject]] = defaultdict(list)
        self._checkpoints: dict[_Numbers, _Checkpoints] = {}
        self._of_job: dict[_Job, list[Subject]] = defaultdict(list)
        self._same_command: dict[_Command, list[RunFolder]] = defaultdict(list)
        self._jobs: dict[_Command, _Jobs] = {}
        for subject in subjects:
            numbers = _numbers(subject)
            if numbers is not None:
                self._numbers[subject.id] = numbers
                self._same_numbers[numbers].append(subject)
            if subject.job is not None:
                self._of_job[subject.host, subject.job.path].append(subject)
        for job in jobs:
            command = _command(job)
            if command is not None:
                self._same_command[command].append(job)

    def has_checkpoint(self, subject: Subject) -> bool:
        """Tell whether another checkpoint has the same scores and step."""
        numbers = self._numbers.get(subject.id)
        return numbers is not None and len(self._same_numbers[numbers]) > 1

    def checkpoint(self, subject: Subject, folder: RunFolder) -> Subject | None:
        """Return a checkpoint elsewhere, of another training, with the same scores and step.

        A copy is none: it remembers the same places. Nor is one whose folder's stamp does not fit
        the run where the checkpoint's does.
        """
        if not self.has_checkpoint(subject):
            return None
        numbers = self._numbers[subject.id]
        alike = self._checkpoints.get(numbers)
        if alike is None:
            alike = _Checkpoints(self._same_numbers[numbers], self._tolerance)
            self._checkpoints[numbers] = alike
        if self._fits(subject, folder):
            others = alike.by_stamp.near(folder.stamp)
        else:
            others = alike.but_copies(subject)
        return next((other for other in others if _two_trainings(subject, other)), None)

    def has_job(self, subject: Subject) -> bool:
        """Tell whether another job has the config of the checkpoint's job."""
        return any(self._others(subject))

    def job(self, subject: Subject, folder: RunFolder) -> str | None:
        """Return the folder of another job with the config of the checkpoint's job.

        One inside which a run lies is none: it has its own. Nor is one that reached another
        score in the same epoch, nor one whose stamp does not fit the run where that of the
        checkpoint does, nor one that another command started than the run's.
        """
        if not self.has_job(subject):
            return None
        command = _command(subject.job) if subject.job is not None else None
        if command is None:
            return None
        alike = self._jobs.get(command)
        if alike is None:
            alike = _Jobs(self._same_command[command], self._of_job, self._tolerance)
            self._jobs[command] = alike
        fits = self._fits(subject, folder)
        own = subject.job.path if subject.job is not None else None
        for some in alike.not_told_apart(subject):
            for other in some.near(folder.stamp) if fits else some.all:
                if other.path != own and not _is_other_command(folder, other):
                    return other.path
        return None

    def _others(self, subject: Subject) -> Iterator[RunFolder]:
        command = None if subject.job is None else _command(subject.job)
        if subject.job is not None and command is not None:
            for other in self._same_command.get(command, ()):
                if other.path != subject.job.path:
                    yield other


class _ByStamp(Generic[_T]):
    """Things that bear a stamp or none, those looked up that a run's start does not tell apart."""

    def __init__(self, items: Sequence[tuple[datetime | None, _T]], tolerance: float) -> None:
        self.all = [item for _stamp, item in items]
        self._unstamped = [item for stamp, item in items if stamp is None]
        self._stamped = sorted(
            ((stamp, place) for place, (stamp, _item) in enumerate(items) if stamp is not None),
        )
        self._tolerance = timedelta(seconds=tolerance)

    def near(self, start: datetime | None) -> Iterator[_T]:
        """Yield what bears no stamp, and what a run that started then may belong to as well."""
        yield from self._unstamped
        if start is None:
            return
        place = bisect.bisect_left(self._stamped, (start - self._tolerance, 0))
        last = start + timedelta(seconds=CLOCK_SLACK)
        while place < len(self._stamped) and self._stamped[place][0] <= last:
            yield self.all[self._stamped[place][1]]
            place += 1


class _Checkpoints:
    """Checkpoints with the same numbers."""

    def __init__(self, alike: Iterable[Subject], tolerance: float) -> None:
        alike = list(alike)
        self.by_stamp = _ByStamp(
            [(None if one.stamp_in_utc else one.stamp, one) for one in alike], tolerance
        )
        self._copies: dict[frozenset[str], list[Subject]] = defaultdict(list)
        for one in alike:
            self._copies[frozenset(one.remembered)].append(one)

    def but_copies(self, subject: Subject) -> Iterator[Subject]:
        """Yield those that remember none of the places that a checkpoint remembers."""
        for remembered, copies in self._copies.items():
            if remembered.isdisjoint(subject.remembered):
                yield from copies


class _Jobs:
    """Jobs of one config and the scores that they reached."""

    def __init__(
        self, jobs: Sequence[RunFolder], of_job: Mapping[_Job, list[Subject]], tolerance: float
    ) -> None:
        self._jobs = jobs
        self._tolerance = tolerance
        self._every = self._index(jobs)
        self._of_epoch: dict[int | None, tuple[_ByStamp[RunFolder], _OfScore]] = {}
        self._scores: dict[int | None, dict[int, set[float]]] = defaultdict(dict)
        for place, job in enumerate(jobs):
            for one in of_job.get((job.host, job.path), ()):
                if one.own_score is not None:
                    reached = self._scores[one.epoch].setdefault(place, set())
                    reached.add(float32(one.own_score))

    def not_told_apart(self, subject: Subject) -> Iterator[_ByStamp[RunFolder]]:
        """Yield the jobs that reached no other score than the checkpoint's in its epoch."""
        if subject.own_score is None or subject.epoch not in self._scores:
            yield self._every
            return
        if subject.epoch not in self._of_epoch:
            self._of_epoch[subject.epoch] = self._divide(self._scores[subject.epoch])
        reached_none, reached = self._of_epoch[subject.epoch]
        yield reached_none
        same = reached.get(float32(subject.own_score))
        if same is not None:
            yield same

    def _divide(self, reached: Mapping[int, set[float]]) -> tuple[_ByStamp[RunFolder], _OfScore]:
        none = [job for place, job in enumerate(self._jobs) if place not in reached]
        of_score: dict[float, list[RunFolder]] = defaultdict(list)
        for place, scores in reached.items():
            if len(scores) == 1:
                of_score[next(iter(scores))].append(self._jobs[place])
        return self._index(none), {score: self._index(jobs) for score, jobs in of_score.items()}

    def _index(self, jobs: Iterable[RunFolder]) -> _ByStamp[RunFolder]:
        return _ByStamp([(job.stamp, job) for job in jobs], self._tolerance)


_OfScore = dict[float, _ByStamp["RunFolder"]]


def _is_other_command(folder: RunFolder, job: RunFolder) -> bool:
    given = folder.arguments
    return given is not None and compare(given.text, job.job_start).verdict == "different"


def _command(job: RunFolder) -> _Command | None:
    if not job.config:
        return None
    return (job.config[0][0], command_key(job.job_start.overrides))


def _numbers(subject: Subject) -> _Numbers | None:
    own = subject.main_score
    if own is None or not tells(own):
        return None
    known = subject.known_scores
    best = None if subject.best_score is None else known[-1]
    return (known[0], best, subject.epoch, subject.global_step)


def _two_trainings(one: Subject, other: Subject) -> bool:
    if one.directory == other.directory:
        return False
    return one.output != other.output and set(one.remembered).isdisjoint(other.remembered)
