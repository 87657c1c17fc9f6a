"""The `.wandb` stream: LevelDB's log framing around protobuf records, written by hand.

Field numbers are those of `wandb_internal.proto`; the checksum is plain CRC-32 over the chunk's
type and data, and the seven bytes of the file's header belong to its first block.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

from ocr_maker.go_text import go_json

HEADER = bytes.fromhex("3a 57 26 42 e1 be 00")
BLOCK = 32_768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def _varint(number: int) -> bytes:
    """Return an unsigned number in protobuf's base 128."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def number_field(number: int, value: int) -> bytes:
    """Return an integer field; like protobuf 3, nothing for 0."""
    return _varint(number << 3) + _varint(value) if value else b""


def bytes_field(number: int, value: bytes | str) -> bytes:
    """Return a text or message field."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def timestamp(seconds: float) -> bytes:
    """Return a `google.protobuf.Timestamp`."""
    whole = int(seconds)
    return number_field(1, whole) + number_field(2, round((seconds - whole) * 1e6) * 1000)


def items(field: int, values: dict[str, Any], *, nested: bool) -> bytes:
    """Return key and JSON value pairs.

    Args:
        field: 1 for `history.item` and for the `update` of config and summary.
        values: what to write, floats as Go prints them.
        nested: `nested_key` in place of `key`.
    """
    return b"".join(
        bytes_field(field, bytes_field(2 if nested else 1, key) + bytes_field(16, go_json(value)))
        for key, value in values.items()
    )


class Stream:
    """Collects records and frames them.

    Each record gets its running number in front, as the writer does.
    """

    def __init__(self) -> None:
        self._data = bytearray(HEADER)
        self._count = 0

    def add(self, field: int, message: bytes) -> None:
        """Append one `Record` whose `record_type` is that field.

        Args:
            field: 2 history, 3 summary, 5 config, 13 output_raw, 17 run, 18 exit, 21 header,
                26 environment, ...
            message: the encoded message.
        """
        self._count += 1
        record = number_field(1, self._count) + bytes_field(field, message)
        kind = FIRST
        while True:
            room = BLOCK - len(self._data) % BLOCK
            if room < 7:
                self._data += bytes(room)
                room = BLOCK
            chunk, record = record[: room - 7], record[room - 7 :]
            if not record:
                kind = FULL if kind == FIRST else LAST
            checksum = zlib.crc32(chunk, zlib.crc32(bytes([kind])))
            self._data += struct.pack("<IHB", checksum, len(chunk), kind) + chunk
            if not record:
                return
            kind = MIDDLE

    def content(self) -> bytes:
        """Return the file's bytes so far."""
        return bytes(self._data)
