"""GGUF files (llama.cpp) by their header: what the model is, and each tensor's type and place.

Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. A file is readable where its
header is what `gguf_init_from_file` (`ggml/src/gguf.cpp`) and `gguf.GGUFReader` (gguf-py) accept,
and no tensor ends behind the file. Byte order is told by the version: 2 or 3, in one of both.
"""

from __future__ import annotations

import math
import struct
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint.tensors import element_count
from catalog.sources.facts import Checkpoint, Facts, Tensor
from catalog.sources.formats.format import Format
from catalog.sources.plain import clean
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.facts import CheckpointStatus, Plain

MAX_HEADER: Final = 128 * 1024 * 1024
"""A tokenizer of 250,000 words has 10 MB."""
MAX_TENSORS: Final = 150_000
MAX_PAIRS: Final = 20_000
MAX_ARRAY: Final = 64
"""Elements of an array that are kept; the words of a tokenizer are 100,000 and more."""
MAX_TEXT: Final = 65_536
"""Bytes of a text that is kept: a chat template has 10,000."""
MAX_KEPT: Final = 2 * 1024 * 1024
"""Bytes of all texts that are kept."""
_MAX_LEFT_OUT: Final = 200
"""Keys of values that are not kept, and are named."""
_MAX_STRINGS: Final = 4_000_000
"""Texts of arrays that are passed over, each by its length."""
_BLOCK: Final = 256 * 1024
_MAX_NAME: Final = 64
"""`GGML_MAX_NAME`, its end mark included."""
_MAX_DIMENSIONS: Final = 4

_SCALARS: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
"""Types of values by their numbers, as `struct` has them."""
_STRING: Final = 8
_ARRAY: Final = 9
_UINT32: Final = 4

_TYPES: Final = {
    0: ("float32", 1, 4), 1: ("float16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20),
    6: ("q5_0", 32, 22), 7: ("q5_1", 32, 24), 8: ("q8_0", 32, 34), 9: ("q8_1", 32, 36),
    10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110), 12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210), 15: ("q8_k", 256, 292), 16: ("iq2_xxs", 256, 66),
    17: ("iq2_xs", 256, 74), 18: ("iq3_xxs", 256, 98), 19: ("iq1_s", 256, 50),
    20: ("iq4_nl", 32, 18), 21: ("iq3_s", 256, 110), 22: ("iq2_s", 256, 82),
    23: ("iq4_xs", 256, 136), 24: ("int8", 1, 1), 25: ("int16", 1, 2), 26: ("int32", 1, 4),
    27: ("int64", 1, 8), 28: ("float64", 1, 8), 29: ("iq1_m", 256, 56), 30: ("bfloat16", 1, 2),
    34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66), 39: ("mxfp4", 32, 17), 40: ("nvfp4", 64, 36),
    41: ("q1_0", 128, 18),
}  # fmt: skip
"""Name, numbers in a block and bytes of a block by type (`GGMLQuantizationType` of gguf-py)."""
_REMOVED: Final = frozenset({4, 5, 31, 32, 33, 36, 37, 38})
"""Types that llama.cpp reads no more."""
_LAST_TYPE: Final = 63
"""A higher number than this is no type that a later version has added."""


class _GgufError(Exception):
    """What is wrong with a header."""

    def __init__(self, status: CheckpointStatus, reason: str) -> None:
        super().__init__(reason)
        self.status: CheckpointStatus = status
        self.reason = reason


class _Info(NamedTuple):
    """What the header says of one tensor."""

    name: str
    kind: int
    shape: tuple[int, ...]
    """As the file has it: the innermost dimension first."""
    offset: int


class _Cursor:
    """Reads a header from its begin to its end, in blocks."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._block = b""
        self._start = 0
        self.position = 4
        self.order = "<"

    @property
    def left(self) -> int:
        """Bytes of the file from here on."""
        return self._source.size - self.position

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        begin = self.position - self._start
        if begin < 0 or begin + length > len(self._block):
            if self.position > MAX_HEADER:
                raise _GgufError("recognised", f"its header is longer than {MAX_HEADER:,} bytes")
            self._require(length)
            self._block = self._source.read_at(self.position, max(length, _BLOCK))
            self._start, begin = self.position, 0
        self.position += length
        return self._block[begin : begin + length]

    def skip(self, length: int) -> None:
        """Pass over the next bytes."""
        self._require(length)
        self.position += length

    def _require(self, length: int) -> None:
        if length > self.left:
            missing = length - self.left
            raise _GgufError("truncated", f"at least {missing:,} bytes of its header are missing")

    def number(self, form: str) -> Any:
        """Return the next number, `form` as `struct` has it."""
        form = self.order + form
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, limit: int) -> str | None:
        """Return a text, None for one that is longer than the limit and was passed over."""
        length = self.number("Q")
        if length > limit:
            self.skip(length)
            return None
        return self.take(length).decode("utf-8", "replace")

    def name(self) -> str | None:
        """Return a key or a tensor's name, None for one that is longer than any text kept."""
        length = self.number("Q")
        if length > MAX_TEXT:
            self.skip(length)
            return None
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise _GgufError("unreadable", "a name in its header is no UTF-8") from None

    def skip_texts(self, count: int) -> None:
        """Pass over texts, of which only the lengths are looked at."""
        unpack = struct.Struct(self.order + "Q").unpack_from
        while count > 0:
            # As many as lie in one block, whose first length `take` brings.
            self.skip(int.from_bytes(self.take(8), "little" if self.order == "<" else "big"))
            count -= 1
            at, block = self.position - self._start, self._block
            last = len(block) - 8
            while count > 0 and at <= last:
                at += 8 + unpack(block, at)[0]
                count -= 1
            self.position = self._start + at
            self._require(0)


class _Pairs:
    """The keys and values of a header, as far as they are kept."""

    def __init__(self) -> None:
        self.kept: dict[str, Plain] = {}
        self.left_out: list[str] = []
        self.alignment = 32
        self._texts = 0
        self._strings = 0

    def read(self, cursor: _Cursor, count: int) -> None:
        seen: set[str] = set()
        for _ in range(count):
            key = cursor.name()
            if not key or key in seen:
                what = f"the key {clean(key)[:80]!r} twice" if key else "a key that is none"
                raise _GgufError("unreadable", f"its header has {what}")
            seen.add(key)
            kind = cursor.number("I")
            value = self._array(cursor) if kind == _ARRAY else self._value(cursor, kind)
            self._align(key, kind, value)
            self._keep(key, value)

    def _align(self, key: str, kind: int, value: Plain) -> None:
        if key != "general.alignment":
            return
        good = kind == _UINT32 and isinstance(value, int) and value.bit_count() == 1
        if not good or not isinstance(value, int):
            raise _GgufError("unreadable", "its alignment is no power of two")
        self.alignment = value

    def _keep(self, key: str, value: Plain) -> None:
        if value is None or self._texts > MAX_KEPT:
            self.left_out.append(clean(key)[:200])
            return
        self._texts += len(key) + (len(str(value)) if isinstance(value, str | list) else 8)
        self.kept[clean(key)] = value

    def _value(self, cursor: _Cursor, kind: int) -> Plain:
        if kind == _STRING:
            text = cursor.text(MAX_TEXT)
            return None if text is None else clean(text)
        form = _SCALARS.get(kind)
        if form is None:
            raise _GgufError("unreadable", f"its header has a value of the unknown type {kind}")
        value: Plain = _number(cursor.number(form), form)
        return value

    def _array(self, cursor: _Cursor) -> Plain:
        """Return an array, None for a long one, which is passed over."""
        kind = cursor.number("I")
        count = cursor.number("Q")
        if kind not in _SCALARS and kind != _STRING:
            reason = f"its header has an array of the unknown type {kind}"
            raise _GgufError("unreadable", reason)
        if count <= MAX_ARRAY:
            values = [self._value(cursor, kind) for _ in range(count)]
            return None if None in values else values
        if kind in _SCALARS:
            cursor.skip(count * struct.calcsize(_SCALARS[kind]))
            return None
        self._strings += count
        if count * 8 > cursor.left:
            raise _GgufError("truncated", f"a part of an array of {count:,} texts is missing")
        if self._strings > _MAX_STRINGS:
            raise _GgufError("recognised", f"its header has more than {_MAX_STRINGS:,} texts")
        cursor.skip_texts(count)
        return None


def _number(value: float, form: str) -> float:
    """Return a number as it was written: 1e-05 in four bytes is 9.999999747378752e-06 in eight."""
    if form != "f" or not math.isfinite(value):
        return value
    short = float(f"{value:.7g}")
    return short if struct.pack("f", short) == struct.pack("f", value) else value


def _begins(head: bytes, _size: int) -> bool:
    return head.startswith(b"GGUF")


def _read(source: ByteSource, _own_path: str) -> Facts:
    """Read the header of a GGUF file; it never raises for what the file holds."""
    pairs = _Pairs()
    cursor = _Cursor(source)
    tensors: tuple[Tensor, ...] = ()
    status: CheckpointStatus = "readable"
    reason: str | None = None
    stored = 0
    try:
        infos = _header(cursor, pairs)
        tensors = tuple(_tensor(info) for info in infos)
        stored = sum(_size(info) for info in infos)
        status, reason = _judged(cursor, pairs, infos)
    except _GgufError as error:
        status, reason = error.status, error.reason
    document, redacted = redact(pairs.kept)
    statements = _statements(cursor, pairs)
    checkpoint = Checkpoint(
        "gguf",
        status,
        reason,
        framework="gguf",
        hyper_parameters=document or None,
        tensors=tensors,
        parameter_count=element_count(tensor.shape for tensor in tensors) if tensors else None,
        tensor_bytes=stored if tensors else None,
        weights_doubt="A GGUF file states no sums of its weights.",
        safety="plain",
        statements=statements or None,
        bytes_read=source.bytes_read,
    )
    return Facts(checkpoint, problems=redaction_problem(redacted) if status == "readable" else ())


def _header(cursor: _Cursor, pairs: _Pairs) -> list[_Info]:
    version = cursor.number("I")
    if version & 0xFFFF == 0:
        cursor.order = ">"
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version == 1:
        reason = "it is of GGUF version 1, which llama.cpp reads no more; convert the model again"
        raise _GgufError("unreadable", reason)
    if version not in (2, 3):
        if 3 < version < 32:
            raise _GgufError("recognised", f"it is of GGUF version {version}, not known here")
        raise _GgufError("unreadable", f"its header claims version {version:,}")
    count, pair_count = cursor.number("Q"), cursor.number("Q")
    for number, least, most, what in (
        (pair_count, 13, MAX_PAIRS, "values"),
        (count, 24, MAX_TENSORS, "tensors"),
    ):
        if number > most:
            room = number * least <= cursor.left
            reason = f"its header claims {number:,} {what}"
            raise _GgufError("recognised" if room else "unreadable", reason)
    pairs.read(cursor, pair_count)
    return _infos(cursor, count)


def _infos(cursor: _Cursor, count: int) -> list[_Info]:
    infos = []
    seen: set[str] = set()
    for _ in range(count):
        name = cursor.name()
        shown = clean(name or "")[:80]
        if name is None or len(name.encode()) >= _MAX_NAME:
            raise _GgufError("unreadable", f"the name of the tensor {shown!r} is too long")
        if name in seen:
            raise _GgufError("unreadable", f"it has the tensor {shown!r} twice")
        seen.add(name)
        dimensions = cursor.number("I")
        if dimensions > _MAX_DIMENSIONS:
            reason = f"the tensor {shown!r} has {dimensions:,} dimensions"
            raise _GgufError("unreadable", reason)
        shape = tuple(cursor.number("Q") for _ in range(dimensions))
        kind, offset = cursor.number("I"), cursor.number("Q")
        infos.append(_checked(_Info(name, kind, shape, offset), shown))
    return infos


def _checked(info: _Info, shown: str) -> _Info:
    if info.kind not in _TYPES:
        is_later = info.kind not in _REMOVED and info.kind <= _LAST_TYPE
        reason = f"the tensor {shown!r} is of type {info.kind}, not known here"
        raise _GgufError("recognised" if is_later else "unreadable", reason)
    if prod(info.shape) >= 1 << 63 or any(size >= 1 << 63 for size in info.shape):
        raise _GgufError("unreadable", f"the tensor {shown!r} is larger than any can be")
    block = _TYPES[info.kind][1]
    if (info.shape and info.shape[0] % block) or (not info.shape and block > 1):
        reason = f"a row of the tensor {shown!r} is no multiple of {block} numbers"
        raise _GgufError("unreadable", reason)
    return info


def _judged(
    cursor: _Cursor, pairs: _Pairs, infos: list[_Info]
) -> tuple[CheckpointStatus, str | None]:
    """Return status and reason of a file whose header is whole."""
    start = cursor.position + -cursor.position % pairs.alignment
    expected = 0
    for info in infos:
        if info.offset != expected:
            reason = f"the tensor {clean(info.name)[:80]!r} is at another place than the loader's"
            return "unreadable", reason
        expected += _size(info) + -_size(info) % pairs.alignment
    if infos:
        end = start + infos[-1].offset + _size(infos[-1])
        missing = end - (cursor.position + cursor.left)
        if missing > 0:
            return "truncated", f"{missing:,} of {end:,} bytes are missing"
    kind = pairs.kept.get("general.type")
    if kind == "imatrix":
        return "foreign", "it is an importance matrix for quantization, no model"
    if not infos:
        return "foreign", "it holds no tensor: a vocabulary, no model"
    parts = pairs.kept.get("split.count")
    if isinstance(parts, int) and parts > 1:
        reason = f"one of the {parts:,} files of a split model; the others are not looked at"
        return "recognised", reason
    return "readable", None


def _size(info: _Info) -> int:
    _, block, size = _TYPES[info.kind]
    return prod(info.shape) // block * size


def _tensor(info: _Info) -> Tensor:
    return Tensor(clean(info.name), _TYPES[info.kind][0], tuple(reversed(info.shape)))


def _statements(cursor: _Cursor, pairs: _Pairs) -> dict[str, Plain]:
    statements: dict[str, Plain] = {}
    if cursor.order == ">":
        statements["byte_order"] = "big"
    if pairs.left_out:
        statements["left_out"] = [*pairs.left_out[:_MAX_LEFT_OUT]]
    return statements


FORMAT: Final = Format(
    "gguf",
    suffixes=(".gguf",),
    begins=_begins,
    read=_read,
    is_strict=True,
    carries_config=True,
    precedence=30,
)
