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

    def __init__(self, file: BinaryIO) -> None:
        """Take an open file that stands at its start."""
        self._file = file
        self.problem: Problem | None = None
        self.bytes_read = 0
        self.skipped = 0
        """Records that were longer than `MAX_RECORD`."""

    def __iter__(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        size = 0
        in_record = False
        for kind, data in self._chunks():
            if kind in (FULL, FIRST):
                if in_record:
                    self._damaged("a record begins inside another")
                    return
                if kind == FULL:
                    yield data
                    continue
                parts, size, in_record = [data], len(data), True
                continue
            if not in_record:
                self._damaged("a record goes on that has not begun")
                return
            size += len(data)
            if size <= MAX_RECORD:
                parts.append(data)
            if kind == LAST:
                in_record = False
                if size <= MAX_RECORD:
                    yield b"".join(parts)
                else:
                    self.skipped += 1
                parts = []
        if in_record and self.problem is None:
            self._truncated()

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        block = self._block()
        if not block:
            self.problem = Problem("empty-stream", "The W&B stream has 0 bytes: nothing was saved.")
            return
        if not block.startswith(HEADER):
            if HEADER.startswith(block):
                self._truncated()
            else:
                self.problem = Problem("damaged-stream", "The file has no W&B stream header.")
            return
        if len(block) == len(HEADER):
            self.problem = Problem(
                "empty-stream", "The W&B stream holds its header only: nothing was saved."
            )
            return
        position = len(HEADER)
        while block:
            length_of_block = len(block)
            while length_of_block - position >= CHUNK_HEADER:
                crc, length, kind = _unpack(block, position)
                begin = position + CHUNK_HEADER
                end = begin + length
                if end > length_of_block:
                    if length_of_block < BLOCK:
                        self._truncated()
                    else:
                        self._damaged("a chunk is longer than its block")
                    return
                data = block[begin:end]
                if not FULL <= kind <= LAST:
                    self._bad_chunk(crc, length, kind)
                    return
                if zlib.crc32(data, _TYPE_CRC[kind]) != crc:
                    self._damaged("a checksum is wrong")
                    return
                yield kind, data
                position = end
            if length_of_block < BLOCK:
                if position < length_of_block:
                    self._truncated()
                return
            position = 0
            block = self._block()

    def _block(self) -> bytes:
        block = self._file.read(BLOCK)
        self.bytes_read += len(block)
        return block

    def _bad_chunk(self, crc: int, length: int, kind: int) -> None:
        # Zeros are what a crash leaves of a file that had been extended but not written.
        if crc == length == kind == 0:
            self._truncated()
        else:
            self._damaged("a chunk has no known type")

    def _truncated(self) -> None:
        self.problem = Problem(
            "truncated-stream",
            f"The W&B stream is cut off near byte {self.bytes_read:,}: the run was killed, or "
            "the copy is incomplete. What stands before was read.",
        )

    def _damaged(self, what: str) -> None:
        self.problem = Problem(
            "damaged-stream",
            f"The W&B stream is damaged near byte {self.bytes_read:,} ({what}). What stands "
            "before was read.",
        )
