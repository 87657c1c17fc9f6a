"""What a score must reach; kept apart from the arithmetic, for what only shows a verdict."""

from __future__ import annotations

from typing import Final

POSSIBLE: Final = 4.5
"""Score from which several runs that fit equally well are named as ambiguous."""
THRESHOLD: Final = 6.0
"""Score from which a run counts as found."""
CONTENT: Final = 4.0
"""How much of that must come from content. Clocks alone never decide: on trees of known truth
"the next run after the stamp" was wrong for 1 file in 20."""
LEAD: Final = 3.0
"""By how much the best must lead the next run. Two that are closer are ambiguous."""

CLOCK_SLACK = 1.0
"""Seconds by which two clocks of one process may seem out of order: both are cut to seconds."""
WRITE_SLACK = 60.0
"""Seconds after a run's last sign of life in which it may still have written a file."""
