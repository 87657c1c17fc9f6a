"""One observation, and the weights that all kinds share."""

from __future__ import annotations

from typing import NamedTuple

CERTAIN = 20.0
"""The files say it themselves: an id, or a place that only one run can have made."""
STRONG = 8.0
"""Equality that chance does not bring about: all digits of a score, lines with milliseconds."""
FAIR = 4.0
"""Equality that a repeated command brings about as well: arguments, hyper-parameters."""
CONTRADICTION = -8.0
"""Two statements that cannot both be true of one run."""
IMPOSSIBLE = -20.0
"""What no run can have done: write before it began, or save a step that it never reached."""
ELSEWHERE = -6.0
"""Signs that the run belongs to another place: more than all that a repeated command brings about
can outweigh, less than a name or an id."""
REPEATABLE_KINDS = frozenset(
    {
        "score-recorded",
        "best-score-recorded",
        "metrics-recorded",
        "step-recorded",
        "learning-rate-recorded",
        "artifact-logged",
        "hyper-parameters-equal",
        "arguments-equal",
        "job-config-equal",
    }
)
"""Every kind that a run with the same command, seed and data shows as well."""

PLACE_KINDS = frozenset(
    {"same-job-folder", "folder-named", "name-stated", "log-lines-shared", "file-saved"}
)
"""Every kind that says the run worked in the folder; they follow from one another."""


class Observation(NamedTuple):
    """Something that speaks for a link (weight above 0) or against it."""

    kind: str
    weight: float
    detail: str
    """A sentence with the values that were compared."""
    run_file_id: int | None = None
    """The file on the run's side that it was read from."""
    shared: float = 0.0
    """What was taken off the weight because other runs show the same."""
