"""Values as people read them: sizes, times, numbers, and text that cannot harm a terminal."""

from __future__ import annotations

import re
import time
from typing import Any

_SIZES = {
    "size",
    "bytes",
    "spare_bytes",
    "stated_spare_bytes",
    "unusable_bytes",
    "tensor_bytes",
    "true_size",
    "bytes_read",
}
_TIME = r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d+Z"
_SINCE_2001, _SINCE_2286 = 1e9, 1e10
"""Seconds since 1970, as histories keep the time of a point."""
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"


def shown(column: str, value: Any) -> str:
    """Return a value of a column for a table.

    Args:
        column: its name; sizes, and times in seconds, are told by it.
        value: None becomes the empty text.
    """
    if value is None:
        return ""
    if isinstance(value, str):  # most values; one call less for each
        if "Z" in value and "T" in value:
            value = re.sub(_TIME, r"\1 \2Z", value)
        return value if value.isprintable() else visible(value)
    if isinstance(value, int) and column in _SIZES:
        return human_size(value)
    if isinstance(value, float):
        if column == "time" and _SINCE_2001 <= value < _SINCE_2286:
            return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(value))
        return f"{value:.6g}"
    return visible(str(value))


def human_size(count: int) -> str:
    """Return bytes in decimal units, as disks and `unusable.csv`-like lists count them."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def gone_text(state: str | None) -> str:
    """Return what stands behind the name of a file that is not there, or not looked at, any more.

    Args:
        state: present, gone or left out; None where no file is named.
    """
    return f" ({state})" if state not in (None, "present") else ""


def counted(count: int, noun: str) -> str:
    """Return `1 checkpoint`, `2 checkpoints`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def visible(text: str) -> str:
    """Return a text with control and direction characters written out, so that none acts."""
    if text.isprintable():
        return text
    return re.sub(_CONTROL, lambda found: found[0].encode("unicode_escape").decode(), text)
