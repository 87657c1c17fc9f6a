"""Evidence from the learning rate: the optimizer's in the file against the run's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.link.evidence.numbers import certainty, file_of
from catalog.link.evidence.observation import Observation
from catalog.link.numbers import tells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

SAME_RATE = 2.0
"""For a rate of many digits, which a schedule gives: any run with that schedule has it, whatever
its seed."""
PLAIN_RATE = 0.5
"""For a round one (0.001), which half of a project's runs may share."""
OTHER_RATE = -6.0
"""Against a run that never trained so fast, or at one other rate only. A rate between two rows of
its history says nothing: it is logged every so many steps."""
_ABOVE = 1.05
"""How far above the fastest row a rate may lie: the top of a warm-up falls between two rows."""


def learning_rate(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The learning rate of the file's optimizer against all rates that the run logged.

    Lightning's `LearningRateMonitor` logs `lr-Adam`, transformers `train/learning_rate`.
    """
    if folder.run_id is None or not subject.learning_rates:
        return
    slowest, fastest, points, metric = float("inf"), 0.0, 0, ""
    for name in context.rate_names():
        recorded = context.recorded(folder.run_id, name)
        for rate in subject.learning_rates:
            found = recorded.values.get(rate)
            if found is not None:
                yield Observation(
                    "learning-rate-recorded",
                    SAME_RATE if tells(rate) else PLAIN_RATE,
                    f"The run recorded {name} = {rate:.7g}, the rate of the file's optimizer.",
                    file_of(found, folder),
                )
                return
        if recorded.reached is not None:
            slowest, fastest = min(slowest, recorded.reached[0]), max(fastest, recorded.reached[1])
            points += recorded.points
            metric = name
    rate = max(subject.learning_rates)
    if points > 1 and (rate > fastest * _ABOVE or slowest == fastest):
        said = f"up to {fastest:.7g}" if slowest < fastest else f"of {fastest:.7g} only"
        yield Observation(
            "learning-rate-not-recorded",
            OTHER_RATE * certainty(folder, context, metric, subject),
            f"The rate of the file's optimizer is {rate:.7g}, the run recorded rates {said}.",
        )
