"""Telling whether a file only grew since an earlier reading ended at some place of it."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BOOKMARK = 1024 * 1024
"""Characters of a bookmark; what would need more is read from its start each time."""
_HEAD, _TAIL = 4_096, 32_768


def fingerprint(seek: Callable[[int], int], read: Callable[[int], bytes], end: int) -> str | None:
    """Return a digest of a file's first bytes and of those that lead to `end`.

    A file that only grew keeps it; another one has other times and numbers in its records. None
    where the file has fewer bytes.

    Args:
        seek: goes to a place of the file.
        read: returns as many of the next bytes as there are.
        end: where the earlier reading ended.

    """
    seek(0)
    head = read(min(end, _HEAD))
    begin = seek(max(0, end - _TAIL))
    tail = read(end - begin)
    return None if begin + len(tail) < end else blake2b(head + tail, digest_size=16).hexdigest()
