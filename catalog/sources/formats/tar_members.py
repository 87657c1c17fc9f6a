"""What is in a tar archive: its headers are walked, nothing is unpacked.

Format: POSIX ustar and pax, and GNU's long names (`Lib/tarfile.py` of Python reads the same).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.sources.checkpoint.byte_source import ByteSource

BLOCK: Final = 512
MAX_MEMBERS: Final = 2_000
_MAX_NAME: Final = 65_536
_PAX_PATH: Final = re.compile(rb"^\d+ path=([^\n]*)\n", re.MULTILINE)
_PAX_SIZE: Final = re.compile(rb"^\d+ size=(\d{1,18})\n", re.MULTILINE)


class Member(NamedTuple):
    """One file in an archive."""

    name: str
    """Without `./` before it."""
    offset: int
    size: int
    """As its header claims; it may be more than there is."""


def is_tar(head: bytes) -> bool:
    """Say whether a file's first 512 bytes are the header of a tar archive, by their sum."""
    if len(head) < BLOCK or not head.strip(b"\0"):
        return False
    stated = _number(head[148:156])
    return stated == sum(head[:148]) + 8 * 32 + sum(head[156:BLOCK])


def members(source: ByteSource) -> Iterator[Member]:
    """Yield the files of an archive, at most `MAX_MEMBERS` of them; it ends at what is no header.

    Args:
        source: the archive, not compressed.
    """
    position = 0
    long_name: str | None = None
    long_size: int | None = None
    for _ in range(MAX_MEMBERS):
        header = source.read_at(position, BLOCK)
        if not is_tar(header):
            return
        size = _number(header[124:136])
        kind = header[156:157]
        if size is None:
            return
        start = position + BLOCK
        if kind in (b"x", b"L"):
            extra = source.read_at(start, min(size, _MAX_NAME))
            if kind == b"L":
                long_name = extra.rstrip(b"\0").decode("utf-8", "replace")
            else:
                path, length = _PAX_PATH.search(extra), _PAX_SIZE.search(extra)
                long_name = path[1].decode("utf-8", "replace") if path else long_name
                long_size = int(length[1]) if length else long_size
        elif kind != b"g":
            size = size if long_size is None else long_size
            if kind in (b"0", b"\0", b"7"):
                yield Member((long_name or _name(header)).removeprefix("./"), start, size)
            long_name = long_size = None
        position = start + size + -size % BLOCK


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:262] == b"ustar" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _number(field: bytes) -> int | None:
    """Return a number of a header: octal text, or binary where its first bit is set."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.strip(b"\0 ")
    return int(text, 8) if re.fullmatch(rb"[0-7]{0,12}", text) and text else None
