"""Numbers as trackers and checkpoints keep them."""

from __future__ import annotations

import re
from functools import lru_cache

RATE = re.compile(r"(?:^|[/_.-])(?:lr|learning_rate)(?:$|[/_.-])")
"""Names of learning rates: all runs with one schedule have the same."""


@lru_cache(maxsize=65_536)
def tells(value: float) -> bool:
    """Tell whether a number has enough digits that two runs will not share it by chance."""
    return len(f"{abs(value):.7g}".replace(".", "").strip("0")) >= 5
