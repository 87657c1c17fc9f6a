"""The record framing of a `.wandb` file: LevelDB's log format with a header of its own.

Header, 7 bytes: `:W&B`, 0xBEE1 little-endian, version 0. Then blocks of 32,768 bytes counted
from the start of the file. In a block stand chunks: CRC-32 (zlib's, over type byte and data),
length (16 bits) and type (1 full, 2 first, 3 middle, 4 last), little-endian, then the data.
Fewer than 7 bytes left in a block are zero padding. The same in wandb 0.10 to 0.31.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

from catalog.sources.facts import Problem
from catalog.sources.growth import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = b":W&B\xe1\xbe\x00"
BLOCK = 32_768
CHUNK_HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
MAX_RECORD = 16 * 1024 * 1024
"""Longer records are skipped; the largest seen are artifact manifests of a few hundred kB."""

_unpack = struct.Struct("<IHB").unpack_from
_TYPE_CRC = [zlib.crc32(bytes([kind])) for kind in range(5)]


class Frames:
    """Iterates over the records of a stream; afterwards `problem` says how it ended.

    Reading stops at the first chunk that is cut off or damaged: whatever stood before is whole.
    Memory holds one block and one record.
    """

    def __init__(self, file: BinaryIO, begin: int = 0) -> None:
        """Take an open file.

        Args:
            file: it stands anywhere.
            begin: 0, or the `end` of an earlier reading, to go on there.

        """
        self._file = file
        self._begin = begin
        self.problem: Problem | None = None
        self.bytes_read = 0
        self.skipped = 0
        """Records that were longer than `MAX_RECORD`."""
        self.start = begin
        """Where the record that came last begins, to be read again by `record_at`."""
        self.end = begin
        """Where the last whole record ends."""
        self._block_end = 0

    def __iter__(self) -> Iterator[bytes]:
        offset = self._begin // BLOCK * BLOCK
        self._file.seek(offset)
        block = self._block(offset)
        position = self._begin - offset
        if not self._begin:
            if not self._opens(block):
                return
            position = len(HEADER)
        parts: list[bytes] = []
        size = 0
        in_record = False
        while block:
            length_of_block = len(block)
            while length_of_block - position >= CHUNK_HEADER:
                crc, length, kind = _unpack(block, position)
                begin = position + CHUNK_HEADER
                end = begin + length
                if end > length_of_block or not FULL <= kind <= LAST:
                    self._bad_chunk(crc, length, kind, length_of_block - begin)
                    return
                data = block[begin:end]
                if zlib.crc32(data, _TYPE_CRC[kind]) != crc:
                    self._damaged("a checksum is wrong")
                    return
                if in_record is (kind <= FIRST):
                    self._damaged(
                        "a record begins inside another"
                        if in_record
                        else "a record goes on that has not begun"
                    )
                    return
                if kind == FULL:  # nearly all are
                    self.start, self.end = offset + position, offset + end
                    position = end
                    yield data
                    continue
                if kind == FIRST:
                    self.start = offset + position
                    parts, size, in_record = [], 0, True
                size += length
                if size <= MAX_RECORD:
                    parts.append(data)
                position = end
                if kind == LAST:
                    in_record = False
                    self.end = offset + end
                    if size <= MAX_RECORD:
                        yield b"".join(parts)
                    else:
                        self.skipped += 1
                    parts = []
            if length_of_block < BLOCK:
                break
            position = 0
            offset += BLOCK
            block = self._block(offset)
        if in_record or (block and position < len(block)):
            self._truncated()

    def record_at(self, place: int) -> bytes | None:
        """Return the record that begins at the `start` of an earlier reading, None if none does."""
        parts: list[bytes] = []
        while True:
            room = BLOCK - place % BLOCK
            if room < CHUNK_HEADER:
                place += room
                continue
            self._file.seek(place)
            header = self._read(CHUNK_HEADER)
            if len(header) < CHUNK_HEADER:
                return None
            crc, length, kind = _unpack(header)
            data = self._read(length)
            if kind not in ((MIDDLE, LAST) if parts else (FULL, FIRST)):
                return None
            if len(data) < length or zlib.crc32(data, _TYPE_CRC[kind]) != crc:
                return None
            parts.append(data)
            if kind in (FULL, LAST):
                return b"".join(parts)
            place += CHUNK_HEADER + length

    def fingerprint(self, end: int) -> str | None:
        """Return what tells that a stream which was read up to `end` only grew since."""
        return fingerprint(self._file.seek, self._read, end)

    def _opens(self, block: bytes) -> bool:
        """Say whether the first block is that of a stream with anything in it; if not, why."""
        if not block:
            self.problem = Problem("empty-stream", "The W&B stream has 0 bytes: nothing was saved.")
        elif not block.startswith(HEADER):
            if HEADER.startswith(block):
                self._truncated()
            else:
                self.problem = Problem("damaged-stream", "The file has no W&B stream header.")
        elif len(block) == len(HEADER):
            self.problem = Problem(
                "empty-stream", "The W&B stream holds its header only: nothing was saved."
            )
        return self.problem is None

    def _block(self, offset: int) -> bytes:
        block = self._read(BLOCK)
        self._block_end = offset + len(block)
        return block

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.bytes_read += len(data)
        return data

    def _bad_chunk(self, crc: int, length: int, kind: int, room: int) -> None:
        """Tell what a chunk means that is longer than what is left of its block, or of no kind."""
        if length > room:
            if self._block_end % BLOCK:
                self._truncated()
            else:
                self._damaged("a chunk is longer than its block")
        # Zeros are what a crash leaves of a file that had been extended but not written.
        elif crc == length == kind == 0:
            self._truncated()
        else:
            self._damaged("a chunk has no known type")

    def _truncated(self) -> None:
        self.problem = Problem(
            "truncated-stream",
            f"The W&B stream is cut off near byte {self._block_end:,}: the run was killed, or "
            "the copy is incomplete. What stands before was read.",
        )

    def _damaged(self, what: str) -> None:
        self.problem = Problem(
            "damaged-stream",
            f"The W&B stream is damaged near byte {self._block_end:,} ({what}). What stands "
            "before was read.",
        )
