"""One observation, and the weights that all kinds share."""

from __future__ import annotations

from dataclasses import dataclass

CERTAIN = 20.0
"""The files say it themselves: an id, or a place that only one run can have made."""
STRONG = 8.0
"""Equality that chance does not bring about: all digits of a score, lines with milliseconds."""
FAIR = 5.0
"""Equality that a repeated command brings about as well: arguments, hyper-parameters."""
CONTRADICTION = -8.0
"""Two statements that cannot both be true of one run."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something that speaks for a link (weight above 0) or against it."""

    kind: str
    weight: float
    detail: str
    """A sentence with the values that were compared."""
    run_file_id: int | None = None
    """The file on the run's side that it was read from."""
