"""The record framing of a `.wandb` file: LevelDB's log format with a header of its own.

Header, 7 bytes: `:W&B`, 0xBEE1 little-endian, version 0. Then blocks of 32,768 bytes counted
from the start of the file. In a block stand chunks: CRC-32 (zlib's, over type byte and data),
length (16 bits) and type (1 full, 2 first, 3 middle, 4 last), little-endian, then the data.
Fewer than 7 bytes left in a block are zero padding. The same in wandb 0.10 to 0.31.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

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

MAX_LOST = 64 * 1024 * 1024
"""Bytes without a whole record after which no more is looked for."""

_NO_HEADER = "the header is not that of a W&B stream"
_unpack = struct.Struct("<IHB").unpack_from
_TYPE_CRC = [zlib.crc32(bytes([kind])) for kind in range(5)]


class _Loss(NamedTuple):
    """Where reading came upon what is no record, and what it is."""

    block_end: int
    what: str | None
    """None where it is what a cut file ends with."""


class Frames:
    """Iterates over the records of a stream; afterwards `problems` says what was wrong with it.

    Each block is framed anew: behind what is damaged, reading goes on with the next block, at the
    first record that begins there. Memory holds one block and one record.
    """

    def __init__(self, file: BinaryIO, begin: int = 0) -> None:
        """Take an open file.

        Args:
            file: it stands anywhere.
            begin: 0, or the `end` of an earlier reading, to go on there.

        """
        self._file = file
        self._begin = begin
        self.problems: list[Problem] = []
        self.bytes_read = 0
        self.skipped = 0
        """Records that were longer than `MAX_RECORD`."""
        self.gaps = 0
        """Places where records are lost and others stand behind: no reading can go on from them."""
        self.start = begin
        """Where the record that came last begins, to be read again by `record_at`."""
        self.end = begin
        """Where the last whole record ends."""
        self._block_end = 0
        self._loss: _Loss | None = None
        """What was come upon since the last whole record."""
        self._first_gap = ""
        self._lost_bytes = 0

    @property
    def problem(self) -> Problem | None:
        """The first problem, None where there is none."""
        return self.problems[0] if self.problems else None

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
        given_up = False
        while block and not given_up:
            length_of_block = len(block)
            while length_of_block - position >= CHUNK_HEADER:
                crc, length, kind = _unpack(block, position)
                begin = position + CHUNK_HEADER
                end = begin + length
                if end > length_of_block or not FULL <= kind <= LAST:
                    self._bad_chunk(crc, length, kind, length_of_block - begin)
                    position, parts, in_record = length_of_block, [], False
                    break
                data = block[begin:end]
                if zlib.crc32(data, _TYPE_CRC[kind]) != crc:
                    self._lose("a checksum is wrong")
                    position, parts, in_record = length_of_block, [], False
                    break
                if in_record is (kind <= FIRST):
                    self._lose(
                        "a record begins inside another"
                        if in_record
                        else "a record goes on that has not begun"
                    )
                    parts, in_record = [], False
                    if kind > FIRST:
                        position = end
                        continue
                if kind == FULL:  # nearly all are
                    if self._loss is not None:
                        self._note_gap(offset + position)
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
                    if self._loss is not None:
                        self._note_gap(self.start)
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
            given_up = self._loss is not None and offset - self._loss.block_end > MAX_LOST
            block = self._block(offset)
        if in_record or (block and position < len(block)):
            self._loss = self._loss or _Loss(self._block_end, None)
        self._tell()

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
            empty = "The W&B stream has 0 bytes: nothing was saved."
            self.problems.append(Problem("empty-stream", empty))
        elif not block.startswith(HEADER):
            self._loss = _Loss(self._block_end, _NO_HEADER)
            if HEADER.startswith(block):
                self._loss = _Loss(self._block_end, None)
                self._tell()
        elif len(block) == len(HEADER):
            empty = "The W&B stream holds its header only: nothing was saved."
            self.problems.append(Problem("empty-stream", empty))
        return not self.problems

    def _block(self, offset: int) -> bytes:
        block = self._read(BLOCK)
        self._block_end = offset + len(block)
        return block

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.bytes_read += len(data)
        return data

    def _bad_chunk(self, crc: int, length: int, kind: int, room: int) -> None:
        """Note what a chunk means that is longer than what is left of its block, or of no kind."""
        if length > room:
            self._lose("a chunk is longer than its block" if self._is_whole else None)
        # Zeros are what a crash leaves of a file that had been extended but not written.
        elif crc == length == kind == 0:
            self._lose(None)
        else:
            self._lose("a chunk has no known type")

    @property
    def _is_whole(self) -> bool:
        return self._block_end % BLOCK == 0

    def _lose(self, what: str | None) -> None:
        if self._loss is None:
            self._loss = _Loss(self._block_end, what)

    def _note_gap(self, begin: int) -> None:
        """A record begins behind what was lost."""
        loss, self._loss = self._loss, None
        if loss is None:
            return
        self.gaps += 1
        self._lost_bytes += begin - self.end
        if self.gaps == 1:
            what = loss.what or "zeros stand where records were"
            self._first_gap = f"near byte {loss.block_end:,} ({what})"

    def _tell(self) -> None:
        """Say what was wrong, once all is read."""
        if self.gaps:
            places = "" if self.gaps == 1 else f" and at {self.gaps - 1:,} more places"
            self.problems.append(
                Problem(
                    "damaged-stream",
                    f"The W&B stream is damaged {self._first_gap}{places}: the records of "
                    f"{self._lost_bytes:,} bytes are lost. What is before and behind was read.",
                )
            )
        if self._loss is None:
            return
        near, what = self._loss
        if what is None:
            self.problems.append(
                Problem(
                    "truncated-stream",
                    f"The W&B stream is cut off near byte {near:,}: the run was killed, or "
                    "the copy is incomplete. What stands before was read.",
                )
            )
        elif what == _NO_HEADER:
            self.problems.append(Problem("damaged-stream", "The file has no W&B stream header."))
        else:
            self.problems.append(
                Problem(
                    "damaged-stream",
                    f"The W&B stream is damaged near byte {near:,} ({what}). What stands "
                    "before was read.",
                )
            )
