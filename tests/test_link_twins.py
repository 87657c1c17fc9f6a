"""Twins are looked up, and are those that going through everything would find."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.link import twins as module
from catalog.link.twins import Twins
from catalog.sources.hydra_commands import JobStart

BEGIN = datetime.fromisoformat("2025-10-18T00:00:00")
TOLERANCE = 120.0
SCORES = (0.9123456789, 0.8123456789)


def job_of(number: int, minutes: int | None) -> Any:
    return SimpleNamespace(
        host="h",
        path=f"/jobs/{number}",
        config=[(1, 1)],
        job_start=JobStart(),
        stamp=None if minutes is None else BEGIN + timedelta(minutes=minutes),
    )


def checkpoint_of(number: int, job: Any, score: float | None, copy_of: int) -> Any:
    return SimpleNamespace(
        id=number, host="h", job=job, stamp=job.stamp, stamp_in_utc=False, epoch=1, global_step=5,
        own_score=score, best_score=score, main_score=score,
        known_scores=() if score is None else (score,),
        remembered=(f"/made/{copy_of}",), directory=f"{job.path}/checkpoints", output=job.path,
    )  # fmt: skip


def is_near(stamp: datetime | None, run: Any) -> bool:
    return stamp is not None and -1.0 <= (run.stamp - stamp).total_seconds() <= TOLERANCE


def fits(subject: Any, run: Any) -> bool:
    return is_near(subject.stamp, run)


def told_by_stamps(subject: Any, stamp: datetime | None, run: Any) -> bool:
    return stamp is not None and fits(subject, run) and not is_near(stamp, run)


described = st.lists(
    st.tuples(
        st.none() | st.integers(0, 6), st.none() | st.sampled_from(SCORES), st.integers(0, 3)
    ),
    min_size=2,
    max_size=8,
)


@settings(deadline=None, max_examples=150)
@given(described, st.integers(0, 6))
def test_a_twin_is_found_where_one_is(trainings: Any, minutes: int) -> None:
    jobs = [job_of(number, begin) for number, (begin, _score, _copy) in enumerate(trainings)]
    subjects = [
        checkpoint_of(number, jobs[number], score, copy)
        for number, (_begin, score, copy) in enumerate(trainings)
    ]
    run: Any = SimpleNamespace(stamp=BEGIN + timedelta(minutes=minutes, seconds=3), arguments=None)
    twins = Twins(subjects, jobs, fits, TOLERANCE)
    for subject in subjects:
        alike = [
            other
            for other in subjects
            if subject.own_score is not None
            and other.own_score == subject.own_score
            and other.output != subject.output
            and set(other.remembered).isdisjoint(subject.remembered)
            and not told_by_stamps(subject, other.stamp, run)
        ]
        found = twins.checkpoint(subject, run)
        assert found in alike if alike else found is None
        same = [
            other.job.path
            for other in subjects
            if other is not subject
            and (
                None in (subject.own_score, other.own_score) or subject.own_score == other.own_score
            )
            and not told_by_stamps(subject, other.stamp, run)
        ]
        place = twins.job(subject, run)
        assert place in same if same else place is None


def test_twice_the_trainings_of_one_config_are_twice_the_work(monkeypatch: Any) -> None:
    looked: Counter[int] = Counter()

    def near(self: Any, start: datetime | None) -> Any:
        for one in original(self, start):
            looked[count] += 1
            yield one

    original = module._ByStamp.near
    monkeypatch.setattr(module._ByStamp, "near", near)
    for count in (50, 100):
        jobs = [job_of(number, 10 * number) for number in range(count)]
        subjects = [checkpoint_of(one, job, SCORES[0], one) for one, job in enumerate(jobs)]
        twins = Twins(subjects, jobs, fits, TOLERANCE)
        for subject in subjects:
            run: Any = SimpleNamespace(stamp=subject.stamp + timedelta(seconds=3), arguments=None)
            assert twins.checkpoint(subject, run) is None, "stamps tell them apart"
            assert twins.job(subject, run) is None
    assert looked[50] == 100, "each finds itself, once among files and once among jobs"
    assert looked[100] == 200
