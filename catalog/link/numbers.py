"""Numbers as trackers and checkpoints keep them."""

from __future__ import annotations

import struct


def float32(value: float) -> float:
    """Return the nearest 32-bit float: trackers widen what a checkpoint keeps in 32 bits."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return value


def tells(value: float) -> bool:
    """Tell whether a number has enough digits that two runs will not share it by chance."""
    return len(f"{abs(value):.7g}".replace(".", "").strip("0")) >= 5
