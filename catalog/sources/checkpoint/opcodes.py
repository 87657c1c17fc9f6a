"""Where the plain values stand in a pickle: texts and numbers that are pushed as they are written.

Only opcodes that torch's pickles are made of are known here; of a pickle with any other, nothing
is said. None of them takes anything off the stack without using it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT: Final = 0x58
FRACTION: Final = 0x47
INTEGERS: Final = {0x4B: 1, 0x4D: 2, 0x4A: 4}
"""Bytes that stand behind BININT1, BININT2 and BININT; each writer takes the shortest."""

_U4: Final = struct.Struct("<I").unpack_from
_FIXED: Final = {
    **dict.fromkeys(b"(tR)NQ}]usaeb.\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94", 0),
    **dict.fromkeys(b"hq\x80", 1),
    **dict.fromkeys(b"jr", 4),
    0x95: 8,
    FRACTION: 8,
    **INTEGERS,
}
"""Opcodes by the bytes that stand behind them."""
_SIZED: Final = {TEXT: 4, 0x42: 4, 0x43: 1, 0x8A: 1, 0x8C: 1}
"""Opcodes by the bytes of the length that stands behind them, before what it is the length of."""
_GLOBAL: Final = 0x63
_VALUES: Final = frozenset({TEXT, FRACTION, *INTEGERS})


def values_of(data: bytes, rows: Iterable[tuple[int, int]]) -> list[int]:
    """Return where the opcodes of plain values begin, nowhere if there is an unknown opcode.

    Args:
        data: a pickle that was read, up to its end.
        rows: (begin, end) of stretches that are left out.
    """
    places = []
    skipped = dict(rows)
    position, end = 0, len(data)
    try:
        while position < end:
            if position in skipped:
                position = skipped[position]
                continue
            code = data[position]
            if code in _VALUES:
                places.append(position)
            width = _FIXED.get(code)
            if width is not None:
                position += 1 + width
            elif code in _SIZED:
                width = _SIZED[code]
                length = int.from_bytes(data[position + 1 : position + 1 + width], "little")
                position += 1 + width + length
            elif code == _GLOBAL:
                position = data.index(b"\n", data.index(b"\n", position) + 1) + 1
            else:
                return []
    except ValueError:
        return []
    return places if position == end else []


def end_of(data: bytes, position: int) -> int:
    """Return where a value ends that begins at a position, -1 where none stands there whole."""
    if position >= len(data):
        return -1
    code = data[position]
    if code == TEXT:
        if position + 5 > len(data):
            return -1
        end = position + 5 + int(_U4(data, position + 1)[0])
    elif code == FRACTION:
        end = position + 9
    elif code in INTEGERS:
        end = position + 1 + INTEGERS[code]
    else:
        return -1
    return end if end <= len(data) else -1
