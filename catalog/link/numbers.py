"""Numbers as trackers and checkpoints keep them."""

from __future__ import annotations

import struct
from functools import lru_cache

_FLOAT = struct.Struct("<f")


def float32(value: float) -> float:
    """Return the nearest 32-bit float: trackers widen what a checkpoint keeps in 32 bits."""
    try:
        return float(_FLOAT.unpack(_FLOAT.pack(value))[0])
    except OverflowError:
        return value


@lru_cache(maxsize=65_536)
def tells(value: float) -> bool:
    """Tell whether a number has enough digits that two runs will not share it by chance."""
    return len(f"{abs(value):.7g}".replace(".", "").strip("0")) >= 5
