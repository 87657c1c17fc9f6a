"""The wire format of protobuf, walked without building messages and without recursion.

Rules: <https://protobuf.dev/programming-guides/encoding/>, as strict as the parser behind Python's
package (upb): a tag has 32 bits and a field number, a length ends inside its message, groups end
with their own number, and 100 levels are the most.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.sources.checkpoint.byte_source import ByteSource

_CHUNK: Final = 256 * 1024
_MAX_DEPTH: Final = 100
_MAX_LENGTH: Final = (1 << 31) - 1
_LONG_VARINT: Final = re.compile(rb"[\x80-\xff]{10}")
_CONTINUED: Final = bytes(range(128, 256))
MAX_FIELDS: Final = 2_000_000
"""Fields that are walked, some seconds of work; a large exported model has 500,000."""
MAX_PACKED: Final = 256 * 1024 * 1024
"""Bytes of packed numbers that are looked at."""


class WireError(Exception):
    """The bytes are no message of this kind; `missing` counts the bytes that a cut left out."""

    def __init__(self, reason: str, missing: int = 0) -> None:
        super().__init__(reason)
        self.missing = missing


class WireLimitError(Exception):
    """The message is larger than is walked here."""


class Field(NamedTuple):
    """What a schema says of a field number."""

    kind: str
    """`message`, `text` (also bytes), `number` (a varint), `four` and `eight` (bytes), `bulk`
    (bytes that are not looked at)."""
    message: str = ""
    """Name of the schema of a message."""
    repeated: bool = False
    """Whether numbers may be packed into one field."""


class Handler(Protocol):
    """Hears of what a walk finds."""

    def begin(self, schema: str, number: int, parent: Any) -> Any:
        """Hear that a message begins, and return what stands for it; None hears of no field."""

    def value(self, owner: Any, number: int, value: int | tuple[int, int]) -> None:
        """Hear of a number, or of the place (start, end) of a text or of bulk."""

    def packed(self, owner: Any, number: int, count: int, numbers: list[int]) -> None:
        """Hear of packed numbers: how many, and the first of them where they are varints."""


class _Frame(NamedTuple):
    schema: Mapping[int, Field]
    end: int
    owner: Any
    group: int = 0


def walk(
    source: ByteSource, schemas: Mapping[str, Mapping[int, Field]], top: str, handler: Handler
) -> None:
    """Walk a message that fills a file.

    Args:
        source: the file.
        schemas: of the messages, by name: fields by number.
        top: name of the file's schema.
        handler: hears of what is found.

    Raises:
        WireError: a parser refuses the bytes.
        WireLimitError: there is more than is walked here.
    """
    _Walk(source, schemas, handler).run(top)


class _Walk:
    def __init__(
        self, source: ByteSource, schemas: Mapping[str, Mapping[int, Field]], handler: Handler
    ) -> None:
        self._source = source
        self._schemas = schemas
        self._handler = handler
        self._block = b""
        self._base = 0
        self._at = 0
        self._packed_left = MAX_PACKED
        self._stack: list[_Frame] = []

    def run(self, top: str) -> None:
        owner = self._handler.begin(top, 0, None)
        self._stack = stack = [_Frame(self._schemas[top], self._source.size, owner)]
        left = MAX_FIELDS
        while stack:
            frame = stack[-1]
            if self._at >= frame.end:
                if frame.group:
                    raise WireError("a group in it has no end")
                stack.pop()
                continue
            left -= 1
            if left < 0:
                raise WireLimitError(f"it has more than {MAX_FIELDS:,} fields")
            self._field(frame)

    def _field(self, frame: _Frame) -> None:
        tag = self._varint(frame.end, 5)
        number, wire = tag >> 3, tag & 7
        if number == 0 or tag > 0xFFFFFFFF:
            raise WireError(f"there is no protobuf at byte {self._at:,}")
        field = frame.schema.get(number)
        if wire == 0:
            value = self._varint(frame.end, 10)
            if field is not None and frame.owner is not None and field.kind == "number":
                self._handler.value(frame.owner, number, value)
        elif wire == 2:
            self._delimited(frame, field, number)
        elif wire == 1 or wire == 5:
            self._at += 8 if wire == 1 else 4
            self._within(frame.end)
            if field is not None and field.kind == ("eight" if wire == 1 else "four"):
                self._handler.value(frame.owner, number, 0)
        elif wire == 3:
            self._push(_Frame({}, frame.end, None, number))
        elif wire == 4 and frame.group == number:
            self._stack.pop()
        else:
            raise WireError(f"there is no protobuf at byte {self._at:,}")

    def _delimited(self, frame: _Frame, field: Field | None, number: int) -> None:
        length = self._varint(frame.end, 10)
        start, end = self._at, self._at + length
        if length > _MAX_LENGTH:
            raise WireError(f"a length at byte {start:,} is beyond any message's")
        self._at = end
        self._within(frame.end)
        if field is None:
            return
        if field.kind == "message":
            owner = self._handler.begin(field.message, number, frame.owner)
            self._at = start
            self._push(_Frame(self._schemas[field.message], end, owner))
        elif field.kind in ("text", "bulk"):
            if frame.owner is None:
                return
            self._handler.value(frame.owner, number, (start, end))
        elif field.repeated:
            count, numbers = self._numbers(field.kind, start, end)
            self._handler.packed(frame.owner, number, count, numbers)

    def _numbers(self, kind: str, start: int, end: int) -> tuple[int, list[int]]:
        """Return how many packed numbers there are, and the first 100 varints."""
        if kind != "number":
            size = 4 if kind == "four" else 8
            if (end - start) % size:
                raise WireError(f"packed numbers at byte {start:,} are cut")
            return (end - start) // size, []
        self._packed_left -= end - start
        if self._packed_left < 0:
            raise WireLimitError("it has very many packed numbers")
        count = 0
        tail = b""
        for place in range(start, end, _CHUNK):
            block = self._source.read_at(place, min(_CHUNK, end - place))
            if _LONG_VARINT.search(tail + block):
                raise WireError(f"a number at byte {place:,} has no end")
            count += len(block.translate(None, _CONTINUED))
            tail = block[-10:]
        if tail and tail[-1] > 127:
            raise WireError(f"packed numbers at byte {start:,} are cut")
        numbers: list[int] = []
        self._at = start
        while self._at < end and len(numbers) < 100:
            numbers.append(self._varint(end, 10))
        self._at = end
        return count, numbers

    def _push(self, frame: _Frame) -> None:
        if len(self._stack) > _MAX_DEPTH:
            raise WireError(f"it is nested deeper than {_MAX_DEPTH} levels")
        self._stack.append(frame)

    def _within(self, end: int) -> None:
        """Raise where the position is behind the end of the message."""
        if self._at > end:
            missing = self._at - end if len(self._stack) == 1 else 0
            raise WireError(f"a field ends behind its message at byte {end:,}", missing)

    def _varint(self, end: int, most: int) -> int:
        block, at = self._block, self._at - self._base
        if 0 <= at < len(block) and self._at < end and block[at] < 128:  # most are of one byte
            self._at += 1
            return block[at]
        if not 0 <= at <= len(block) - 10:
            block = self._block = self._source.read_at(self._at, _CHUNK)
            self._base, at = self._at, 0
        stop = min(at + most, len(block), end - self._base)
        value = shift = 0
        for place in range(at, stop):
            byte = block[place]
            value |= (byte & 127) << shift
            if byte < 128:
                self._at = self._base + place + 1
                return value & 0xFFFFFFFFFFFFFFFF
            shift += 7
        if stop - at < most:
            missing = 1 if len(self._stack) == 1 else 0
            raise WireError(f"a number ends behind its message at byte {end:,}", missing)
        raise WireError(f"a number at byte {self._at:,} has no end")
