"""A decoder for the protobuf wire format, as far as W&B's records need it.

Format: https://protobuf.dev/programming-guides/encoding/. Fields that nobody asks for are
skipped without being decoded.
"""

from __future__ import annotations

import struct

from catalog.sources.plain import clean

_DOUBLE = struct.Struct("<d")
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | bytes


class WireError(ValueError):
    """Bytes that are no protobuf message."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, position after it) of the varint at a position.

    Raises:
        WireError: it is cut off or longer than ten bytes.

    """
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise WireError("bad varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def fields(data: bytes, begin: int = 0, end: int | None = None) -> list[tuple[int, Value]]:
    """Return (field number, value) of a message, in order; lengths are checked.

    Varints and fixed fields come as unsigned integers, everything else as bytes.

    Args:
        data: bytes that contain the message.
        begin: where it starts.
        end: where it stops; None for the end of the data.

    Raises:
        WireError: the message cannot be decoded.

    """
    size = len(data)
    stop = size if end is None else end
    found: list[tuple[int, Value]] = []
    position = begin
    while position < stop:
        # Most tags and lengths are a single byte.
        if position < size and (tag := data[position]) < 0x80:
            position += 1
        else:
            tag, position = varint(data, position)
        wire = tag & 7
        value: Value
        if wire == VARINT:
            value, position = varint(data, position)
        else:
            if wire == BYTES:
                if position < size and (length := data[position]) < 0x80:
                    position += 1
                else:
                    length, position = varint(data, position)
            elif wire == FIXED64:
                length = 8
            elif wire == FIXED32:
                length = 4
            else:
                raise WireError(f"wire type {wire}")
            if position + length > stop:
                raise WireError("a field is cut off")
            value = data[position : position + length]
            position += length
            if wire != BYTES:
                value = int.from_bytes(value, "little")
        found.append((tag >> 3, value))
    if position != stop:
        raise WireError("a field is cut off")
    return found


class Message:
    """The fields of one message by number; what is missing or of another kind is empty."""

    def __init__(self, data: bytes) -> None:
        """Decode a message.

        Raises:
            WireError: the bytes are none.

        """
        self._values: dict[int, list[Value]] = {}
        values = self._values
        for number, value in fields(data):
            if number in values:
                values[number].append(value)
            else:
                values[number] = [value]

    def __contains__(self, number: int) -> bool:
        return number in self._values

    def all_bytes(self, number: int) -> list[bytes]:
        """Return every value of a repeated field."""
        values = self._values.get(number)
        return [value for value in values if isinstance(value, bytes)] if values else []

    def texts(self, number: int) -> list[str]:
        """Return every text of a repeated field; bad UTF-8 is replaced."""
        return [clean(value.decode("utf-8", "replace")) for value in self.all_bytes(number)]

    def text(self, number: int) -> str:
        """Return a text field, empty where it is missing."""
        value = self._last_bytes(number)
        return clean(value.decode("utf-8", "replace")) if value else ""

    def _last_bytes(self, number: int) -> bytes:
        for value in reversed(self._values.get(number, ())):
            if isinstance(value, bytes):
                return value
        return b""

    def integer(self, number: int) -> int:
        """Return an integer field as a signed 64-bit number, 0 where it is missing."""
        value = self._values.get(number, [0])[-1]
        if not isinstance(value, int):
            return 0
        value &= 0xFFFF_FFFF_FFFF_FFFF
        return value - (1 << 64) if value >> 63 else value

    def double(self, number: int) -> float | None:
        """Return a field of 64 bits as the floating-point number that it is, None if missing."""
        if number not in self._values:
            return None
        bits = self.integer(number) & 0xFFFF_FFFF_FFFF_FFFF
        return float(_DOUBLE.unpack(bits.to_bytes(8, "little"))[0])

    def message(self, number: int) -> Message:
        """Return a message field, an empty message where it is missing.

        Raises:
            WireError: the bytes are no message.

        """
        return Message(self._last_bytes(number))

    def messages(self, number: int) -> list[Message]:
        """Return every message of a repeated field.

        Raises:
            WireError: one of them is none.

        """
        return [Message(value) for value in self.all_bytes(number)]
