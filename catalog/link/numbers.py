"""Numbers as trackers and checkpoints keep them."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65_536)
def tells(value: float) -> bool:
    """Tell whether a number has enough digits that two runs will not share it by chance."""
    return len(f"{abs(value):.7g}".replace(".", "").strip("0")) >= 5
