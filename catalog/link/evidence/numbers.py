"""Evidence from numbers: scores that a checkpoint keeps and a run recorded, steps, epochs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import ELSEWHERE, IMPOSSIBLE, STRONG, Observation
from catalog.link.numbers import RATE, tells
from catalog.schema.canonical import float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context, Recorded
    from catalog.link.subjects import RunFolder, Subject

PLAIN_NUMBER = 1.0
"""For an equal number that many runs share: 0.0, 1.0, 0.5, a rounded percentage."""
LAST_STEP = 3.0
"""For a checkpoint of the very step at which the run ended; runs of a sweep may share it."""
HERE = 0.5
"""More, where the value stands in this very folder of a run that was resumed."""
BEST = 2.0
"""For the best score so far beside the file's own one, which decides; against it as much: a
resumed run keeps the best of its first life."""
NOT_RECORDED = -8.0
"""Against a run that recorded the metric to its end and never this value."""
CUT_OFF = 0.3
"""What is left of that, and of a step beyond the end, where the run has no end on record: what a
killed run wrote last is lost."""
LOST = 0.05
"""The same where a whole folder of the run has no history: a life that left none."""
_JUDGED = ("eval_", "test_")
"""What a Trainer puts before the metrics of an evaluation."""
TIMING = re.compile(r"_(?:runtime|(?:samples|steps|tokens)_per_second)$")
"""Numbers that say how long something took: no second run of a command has the same."""
STEP_COUNTERS = ("trainer/global_step", "train/global_step", "global_step")
"""Metrics in which Lightning and transformers log how many steps were done."""


def best_score(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The file's own score, or the best of its run so far: the run logged it at that epoch."""
    if subject.monitor is None or folder.run_id is None:
        return
    metric, recorded = _monitored(subject.monitor, folder.run_id, context)
    if not recorded.values:
        return
    for place, score in enumerate(subject.known_scores):
        found = recorded.values.get(score)
        if found is not None:
            weight = STRONG if tells(score) else PLAIN_NUMBER
            yield Observation(
                "best-score-recorded" if place else "score-recorded",
                min(weight, BEST) if place else weight + (HERE if folder.id in found else 0.0),
                f"The run recorded {metric} = {score!r}, "
                f"the {'best ' if place else ''}score in the checkpoint.",
                file_of(found, folder),
            )
        elif recorded.points:
            # A run that went on from a checkpoint keeps the best score of its life before.
            went_on = subject.own_score is None and bool(context.inputs.of(folder))
            yield Observation(
                "best-score-not-recorded" if place else "score-not-recorded",
                -BEST
                if place or went_on
                else NOT_RECORDED * certainty(folder, context, metric, subject),
                f"Of the {metric} that the run recorded ({recorded.points}) none is {score!r}.",
                file_of(next(iter(recorded.values.values())), folder),
            )


def twin_file(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Another training saved the very same numbers: one of the two is not this run's."""
    if folder.run_id is None:
        return
    twin = context.places.twins.checkpoint(subject, folder)
    if twin is not None:
        yield Observation(
            "twin-checkpoint",
            ELSEWHERE,
            f"{twin.path} states the same scores, epoch and step and is of another training: "
            "the same command was run twice.",
        )
    if subject.monitor is None:
        return
    values = _monitored(subject.monitor, folder.run_id, context)[1].values
    for other in context.places.rivals(subject):
        if values and other.best_paths == subject.best_paths:
            continue  # two lives of a resumed run leave two last files as well
        # A run that left no history may have written either.
        fits = other.config_id == subject.config_id and not values
        if fits or (other.main_score is not None and float32(other.main_score) in values):
            yield Observation(
                "twin-beside",
                ELSEWHERE,
                f"{other.path} lies beside it, is of another training, and fits this run as well.",
            )
            return


def own_scores(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Metrics inside the checkpoint (`log_history`, `cleval_metrics`) as the run recorded them."""
    if folder.run_id is None:
        return
    equal: list[tuple[str, float, dict[int, int]]] = []
    for name, value in subject.telling_scores:
        if TIMING.search(name) or RATE.search(name):
            continue  # these have weights of their own
        for metric in metric_names(name):
            found = context.recorded(folder.run_id, metric).values.get(value)
            if found is not None:
                equal.append((metric, value, found))
                break
    if equal:
        metric, value, found = equal[0]
        more = f" and {len(equal) - 1} more" if len(equal) > 1 else ""
        yield Observation(
            "metrics-recorded",
            STRONG if len(equal) > 1 else STRONG / 2,
            f"The run recorded {metric} = {value!r}{more}, as the checkpoint keeps it.",
            file_of(found, folder),
        )


def step_reached(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """A run cannot have written a checkpoint of an epoch that it never reached, or began after."""
    if folder.run_id is None:
        return
    found: Observation | None = None
    stated = (subject.epoch is not None, subject.global_step is not None)
    for counter, recorded in _counted((folder.run_id, *stated), context):
        # Frameworks count from 0 or 1, and log an epoch before or after it ends. Steps are logged
        # every so many steps, so a run ends some steps after its last row.
        is_epoch = counter == "epoch"
        own, slack = (subject.epoch, 1.0) if is_epoch else (subject.global_step, 50.0)
        if own is None or recorded.reached is None:
            continue
        first, last = recorded.reached
        if own > last * (1.0 if is_epoch else 1.05) + slack:
            others_went_on = bool(context.places.went_on_from(subject) - {folder.run_id})
            yield Observation(
                "step-never-reached",
                IMPOSSIBLE * certainty(folder, context, counter, others_went_on=others_went_on),
                f"The checkpoint is of {counter} {own}, the run recorded it up to {last:g}.",
            )
            return
        if own < first - slack and context.has_whole_history(folder.run_id, counter):
            # A summary alone tells where a run ended, not where it began.
            has_rows = context.longest_history(folder.run_id) != 0
            yield Observation(
                "step-before-run",
                IMPOSSIBLE if has_rows else IMPOSSIBLE * LOST,
                f"The checkpoint is of {counter} {own}, the run began at {first:g}.",
            )
            return
        if not is_epoch and last <= own <= last + 1:
            # Lightning logs the step before the one that it saves.
            said = f"The run recorded {counter} up to {last:g}, where the checkpoint was saved."
            found = Observation("step-recorded", LAST_STEP, said)
        elif found is None and own in recorded.values:
            said = f"The run recorded {counter} {own}, the checkpoint's."
            found = Observation("step-recorded", PLAIN_NUMBER, said)
    if found is not None:
        yield found


def _counted(asked: tuple[int, bool, bool], context: Context) -> list[tuple[str, Recorded]]:
    """Return what a run recorded of the counters of epochs and steps, as far as it did.

    Args:
        asked: the run; whether of epochs; whether of steps.
        context: keeps it.
    """
    counted = context.counted.get(asked)
    if counted is None:
        run_id, epochs, steps = asked
        names = (*(("epoch",) if epochs else ()), *(STEP_COUNTERS if steps else ()))
        both = ((name, context.recorded(run_id, name)) for name in names)
        counted = context.counted[asked] = [one for one in both if one[1].reached]
    return counted


def _monitored(monitor: str, run_id: int, context: Context) -> tuple[str, Recorded]:
    """Return what a run recorded of the metric by which files are kept, and under which name."""
    names = _names_of_monitor(monitor)
    for name in names:
        recorded = context.recorded(run_id, name)
        if recorded.values:
            return name, recorded
    return monitor, context.recorded(run_id, monitor)


def _names_of_monitor(monitor: str) -> tuple[str, ...]:
    """Return the monitor's name, and W&B's for it where it is a Trainer's."""
    return metric_names(monitor) if monitor.startswith(_JUDGED) else (monitor,)


def certainty(
    folder: RunFolder,
    context: Context,
    metric: str,
    subject: Subject | None = None,
    *,
    others_went_on: bool = False,
) -> float:
    """Return how much weight it has that a run did not record something.

    All, where it ended and no folder of it lost its stream; where another run went on; or where it
    recorded later steps than the checkpoint's: what a killed run loses is its end.
    """
    if not context.has_whole_history(folder.run_id or 0, metric):
        return LOST
    if folder.is_ended or others_went_on:
        return 1.0
    return 1.0 if subject is not None and _went_past(subject, folder, context) else CUT_OFF


def _went_past(subject: Subject, folder: RunFolder, context: Context) -> bool:
    """Tell whether a run recorded a later epoch or step than a checkpoint's."""
    for counter, own in (
        ("epoch", subject.epoch),
        *((name, subject.global_step) for name in STEP_COUNTERS),
    ):
        reached = None if own is None else context.reached(folder.run_id or 0, counter)
        if own is not None and reached is not None:
            return own < reached[1]
    return False


def file_of(found: dict[int, int], folder: RunFolder) -> int:
    """Return the file that a value stands in: this folder's, else another of the same run."""
    return found.get(folder.id) or next(iter(found.values()))


def metrics_of(subject: Subject, rates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all metrics that a checkpoint is compared with.

    Args:
        subject: the checkpoint.
        rates: the names of all learning rates.
    """
    return _metrics(
        subject.monitor,
        subject.epoch is not None,
        subject.global_step is not None,
        tuple([name for name, _value in subject.telling_scores]),
        rates if subject.learning_rates else (),
    )


@lru_cache(maxsize=1_024)
def _metrics(
    monitor: str | None,
    has_epoch: bool,
    has_step: bool,
    scores: tuple[str, ...],
    rates: tuple[str, ...],
) -> tuple[str, ...]:
    names = [] if monitor is None else list(_names_of_monitor(monitor))
    if has_epoch:
        names.append("epoch")
    if has_step:
        names += STEP_COUNTERS
    for name in scores:
        names += metric_names(name)
    return (*names, *rates)


@lru_cache(maxsize=4_096)
def metric_names(name: str) -> tuple[str, ...]:
    """Return the names under which W&B may know a trainer's metric.

    The Trainer's `log_history` has `loss` and `eval_loss`, its W&B callback logs `train/loss`
    and `eval/loss` (transformers' `rewrite_logs`).
    """
    for prefix in _JUDGED:
        if name.startswith(prefix):
            return (name, f"{prefix[:-1]}/{name.removeprefix(prefix)}")
    return (name, f"train/{name}", f"val/{name}")
