"""Evidence from numbers: scores that a checkpoint keeps and a run recorded, steps, epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.link.evidence.context import float32
from catalog.link.evidence.observation import STRONG, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

PLAIN_NUMBER = 1.5
"""For an equal number that many runs share: 0.0, 1.0, 0.5, a rounded percentage."""
HERE = 0.5
"""More, where the value stands in this very folder of a run that was resumed."""
NOT_RECORDED = -5.0
"""Against a run that recorded the metric and never this value. No proof: what a killed run
wrote last is lost, and a resumed one may keep the best of its first life."""
STEP_COUNTERS = ("trainer/global_step", "train/global_step", "global_step")
"""Metrics in which Lightning and transformers log how many steps were done."""
BEYOND_END = -4.0
"""Against a run whose counter ended well before the checkpoint's."""


def best_score(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Lightning keeps the best score of the run so far; the run logged it at that epoch."""
    if subject.monitor is None or folder.run_id is None:
        return
    recorded = context.recorded(folder.run_id, subject.monitor)
    if not recorded.values:
        return
    scores = [score for score in (subject.own_score, subject.best_score) if score is not None]
    for score in dict.fromkeys(float32(score) for score in scores):
        found = recorded.values.get(score)
        if found is not None:
            yield Observation(
                "score-recorded",
                (STRONG if tells(score) else PLAIN_NUMBER) + (HERE if folder.id in found else 0),
                f"The run recorded {subject.monitor} = {score!r}, the score in the checkpoint.",
                _file(found, folder),
            )
        elif recorded.points:
            yield Observation(
                "score-not-recorded",
                NOT_RECORDED,
                f"The run recorded {recorded.points} values of {subject.monitor}, "
                f"none of them {score!r}.",
                _file(next(iter(recorded.values.values())), folder),
            )


def own_scores(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Metrics inside the checkpoint (`log_history`, `cleval_metrics`) as the run recorded them."""
    if folder.run_id is None:
        return
    equal: list[tuple[str, float, dict[int, int]]] = []
    for name, score in subject.scores:
        value = float32(score)
        if not tells(value) or name == subject.monitor:
            continue
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
            _file(found, folder),
        )


def step_reached(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """A run cannot have written a checkpoint of an epoch that it never reached."""
    if folder.run_id is None:
        return
    last = context.last_step(folder.run_id, "epoch")
    # Frameworks count from 0 or 1, and log an epoch before or after it ends.
    if subject.epoch is not None and last is not None and subject.epoch > last + 1:
        yield Observation(
            "epoch-never-reached",
            BEYOND_END,
            f"The checkpoint is of epoch {subject.epoch}, the run recorded epochs up to {last}.",
        )
        return
    for name in STEP_COUNTERS:
        last = context.last_step(folder.run_id, name)
        if subject.global_step is None or last is None:
            continue
        # Steps are logged every so many steps, so a run ends some steps after its last row.
        if subject.global_step > last * 1.05 + 50:
            yield Observation(
                "step-never-reached",
                BEYOND_END,
                f"The checkpoint is of step {subject.global_step}, "
                f"the run recorded steps up to {last}.",
            )
        return


def _file(found: dict[int, int], folder: RunFolder) -> int:
    """Return the file that a value stands in: this folder's, else another of the same run."""
    return found.get(folder.id) or next(iter(found.values()))


def tells(value: float) -> bool:
    """Tell whether a number has enough digits that two runs will not share it by chance."""
    return len(f"{abs(value):.7g}".replace(".", "").strip("0")) >= 5


def metric_names(name: str) -> tuple[str, ...]:
    """Return the names under which W&B may know a trainer's metric.

    The Trainer's `log_history` has `loss` and `eval_loss`, its W&B callback logs `train/loss`
    and `eval/loss` (transformers' `rewrite_logs`).
    """
    for prefix in ("eval", "test"):
        if name.startswith(f"{prefix}_"):
            return (name, f"{prefix}/{name.removeprefix(f'{prefix}_')}")
    return (name, f"train/{name}", f"val/{name}")
