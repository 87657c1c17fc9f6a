"""Evidence from how long an evaluation took: the one number that a repeated command changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.link.evidence.numbers import TIMING, certainty, file_of, metric_names
from catalog.link.evidence.observation import IMPOSSIBLE, STRONG, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

SAME_TIMING = STRONG + 2.0
"""For `eval_samples_per_second` and the like, all digits of it: seeds fix losses and scores, not
how long a machine took. Five digits or more are asked for."""


def timings(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """What the Trainer measured at the checkpoint's step (`eval_runtime`) against the history.

    transformers' `speed_metrics` rounds to 3 or 4 decimals, the same for its own log and W&B's.
    """
    if folder.run_id is None:
        return
    missed: Observation | None = None
    for name, value in subject.telling_scores:
        if not TIMING.search(name):
            continue
        for metric in metric_names(name):
            recorded = context.recorded(folder.run_id, metric)
            found = recorded.values.get(value)
            if found is not None:
                yield Observation(
                    "timing-recorded",
                    SAME_TIMING,
                    f"The run recorded {metric} = {value:.7g}, which no other run would repeat.",
                    file_of(found, folder),
                )
                return
            if recorded.points and missed is None:
                missed = Observation(
                    "timing-not-recorded",
                    IMPOSSIBLE * certainty(folder, context, metric, subject),
                    f"The run recorded {recorded.points} values of {metric}, "
                    f"none of them {value:.7g}.",
                    file_of(next(iter(recorded.values.values())), folder),
                )
    if missed is not None:
        yield missed
