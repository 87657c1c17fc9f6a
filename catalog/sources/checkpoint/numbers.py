"""The few numbers that are read from a checkpoint: scores in one-element tensors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.inert import TensorStub
from catalog.sources.checkpoint.plain import numpy_scalar
from catalog.sources.checkpoint.tensors import ITEM_SIZES, shape_of
from catalog.sources.plain import to_float

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_READS: Final = 2_000
"""`save_top_k=-1` lists every file of a run; a few thousand reads are a few milliseconds."""

_CODES: Final = {
    "float32": "f", "float64": "d", "float16": "e", "int64": "q", "int32": "i", "int16": "h",
    "int8": "b", "uint8": "B",
}  # fmt: skip


class Numbers:
    """Gives the number in a value of a checkpoint, reading it from the file where it must.

    Args:
        read: returns bytes of a storage: (key, offset, length) -> bytes, fewer at its end.
        big_endian: the order of bytes in the file.
    """

    def __init__(
        self, read: Callable[[str, int, int], bytes] | None = None, *, big_endian: bool = False
    ) -> None:
        self._read = read
        self.big_endian = big_endian
        self._order = ">" if big_endian else "<"
        self._known: dict[tuple[str, int], float | None] = {}

    def __call__(self, value: object) -> float | None:
        """Return the number as a float; None for anything that is no single number."""
        if isinstance(value, TensorStub):
            return self._of_tensor(value)
        if isinstance(value, bool):
            return None
        if isinstance(value, (int, float)):
            return to_float(value)
        known = numpy_scalar(value)
        return None if known is None or isinstance(known, bool) else to_float(known)

    def _of_tensor(self, stub: TensorStub) -> float | None:
        storage, dtype, offset = stub.storage, stub.dtype, stub.offset
        if self._read is None or storage is None or dtype is None:
            return None
        shape = shape_of(stub)
        if shape is None or any(size != 1 for size in shape):
            return None
        if type(offset) is not int or not 0 <= offset < 1 << 48:
            return None
        place = (storage.key, offset)
        if place not in self._known:
            if len(self._known) >= MAX_READS:
                return None
            width = ITEM_SIZES.get(dtype, 0)
            raw = self._read(storage.key, offset * width, width)
            self._known[place] = self._decode(dtype, raw) if len(raw) == width else None
        return self._known[place]

    def _decode(self, dtype: str, raw: bytes) -> float | None:
        if dtype == "bfloat16":
            # A bfloat16 is the upper half of a float32.
            raw = raw + b"\0\0" if self._order == ">" else b"\0\0" + raw
            dtype = "float32"
        code = _CODES.get(dtype)
        return None if code is None else float(struct.unpack(self._order + code, raw)[0])
