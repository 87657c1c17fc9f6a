"""TensorBoard event files: scalars and the hparams plugin, without tensorflow.

A file is a TFRecord: length (uint64, little-endian), masked CRC-32C of it, payload, masked CRC-32C
of the payload. A payload is one `Event` (`tensorflow/core/util/event.proto`): 1 wall_time, 2 step,
5 summary {1 value {1 tag, 2 simple_value, 8 tensor, 9 metadata {1 plugin_data {1 name, 2
content}}}}. torch's and Lightning's writers use `simple_value`, tensorflow 2 a scalar `tensor`.
The file name is `events.out.tfevents.SECONDS.HOST.PID.N`: start in UTC, and machine.

Of the checksums that of the length is verified, by which records are found; one of the payload
would cost more than everything else in Python.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from catalog.sources.facts import Config, Facts, Item, Listing, Plain, Problem, RunField, Series
from catalog.sources.paths import is_file, item_of, open_regular, split
from catalog.sources.places import place_of
from catalog.sources.plain import clean
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redaction_problem
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb.protobuf import Message, WireError, varint

if TYPE_CHECKING:
    from pathlib import Path

NAME = "tensorboard"
VERSION = 1
RANK = 50
"""After everything that a tracker says of its own run."""

MAX_RECORD = 16 * 1024 * 1024
"""Longer events are images, graphs and embeddings: they are skipped."""
MAX_POINTS = 5_000_000

_FILE = re.compile(
    r"(?:.+\.)?events\.out\.tfevents(?:\.(\d{9,11})\.(.+?)(?:\.(\d+)\.(\d+))?(?:\.v2)?)?"
)
_SESSION = re.compile(r"\d{10}(?:\.\d+)?")
"""Folder that torch's `add_hparams` makes below the run's: seconds since 1970."""
_HEADER = struct.Struct("<QI")
_USUAL = re.compile(
    rb"\x09(.{8})(?:\x10([\x80-\xff]*[\x00-\x7f]))?\x2a.\x0a.\x0a(.)(.+)\x15(.{4})", re.DOTALL
)
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_TENSOR_TYPES = {1: (_FLOAT, 5), 2: (_DOUBLE, 6)}
"""DT_FLOAT and DT_DOUBLE: how one number is packed, and the field of unpacked values."""


def recognise(listing: Listing) -> list[Item]:
    """Return every event file."""
    return [
        item_of(NAME, listing, entry, run_directory=listing.path)
        for entry in listing.entries
        if is_file(entry) and _FILE.fullmatch(entry.name)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one event file, up to its end or the first damage.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    above, session = split(folder)
    place = place_of(root, above if _SESSION.fullmatch(session) else folder, NAME)
    events = _Events()
    with open_regular(root / item.path) as file:
        problems = events.read(file)
    match = _FILE.fullmatch(name)
    fields: list[RunField] = []
    if match and match[1]:
        fields += moment_field("started_at", moment_of_epoch(int(match[1]), match[1]), RANK)
        fields += field_of("host", match[2], RANK)
    if events.last_time is not None:
        fields += moment_field("last_timestamp", moment_of_epoch(events.last_time), RANK)
    hparams, secrets = redact(events.hparams)
    return Facts(
        run_directory=place,
        fields=tuple(fields),
        configs=(Config("tensorboard-hparams", hparams, RANK),) if hparams else (),
        series=events.series(),
        problems=(*problems, *redaction_problem(secrets)),
    )


class _Events:
    """What the events of one file add up to."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[list[int | None], list[float], list[float | None]]] = {}
        self._by_tag: dict[bytes, str] = {}
        self._scalar_tags: set[str] = set()
        self.hparams: dict[str, Plain] = {}
        self.last_time: float | None = None
        self._points = 0
        self._malformed = 0

    def read(self, file: BinaryIO) -> list[Problem]:
        """Take the whole file; what was wrong with it is returned."""
        records = 0
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size:
                return [_truncated(), *self._complaints()]
            length, checksum = _HEADER.unpack(header)
            if _masked_crc32c(header[:8]) != checksum:
                return [_damaged(records), *self._complaints()]
            if length > MAX_RECORD:
                file.seek(length + 4, 1)
                continue
            payload = file.read(length + 4)
            if len(payload) < length + 4:
                return [_truncated(), *self._complaints()]
            records += 1
            self._take(payload[:-4])
            if self._points >= MAX_POINTS:
                cut = f"Only the first {MAX_POINTS:,} points of the event file were read."
                return [Problem("history-cut", cut), *self._complaints()]
        if not records:
            return [Problem("empty-file", "The event file holds no events.")]
        return self._complaints()

    def _complaints(self) -> list[Problem]:
        if not self._malformed:
            return []
        return [
            Problem(
                "malformed-record",
                f"{self._malformed:,} events could not be decoded and were left out.",
            )
        ]

    def _take(self, payload: bytes) -> None:
        usual = _USUAL.fullmatch(payload)
        if usual and usual[3][0] == len(usual[4]):
            tag = self._by_tag.get(usual[4])
            if tag is None:
                tag = self._by_tag[usual[4]] = clean(usual[4].decode("utf-8", "replace"))
            step = varint(usual[2], 0)[0] if usual[2] else 0
            self._point(tag, step, _FLOAT.unpack(usual[5])[0], _DOUBLE.unpack(usual[1])[0])
            return
        try:
            event = Message(payload)
            summary = event.message(5)
            for value in summary.messages(1):
                self._value(event, value)
        except WireError:
            self._malformed += 1
            return
        self.last_time = _double(event, 1) or self.last_time

    def _value(self, event: Message, value: Message) -> None:
        tag = value.text(1)
        plugin = value.message(9).message(1)
        if plugin.text(1) == "hparams":
            self._session(plugin)
            return
        if plugin.text(1) == "scalars":
            # Only the first event of a tag says that its tensor is a scalar.
            self._scalar_tags.add(tag)
        number: float | None = None
        if 2 in value:
            number = _FLOAT.unpack((value.integer(2) & 0xFFFFFFFF).to_bytes(4, "little"))[0]
        elif tag in self._scalar_tags:
            number = _scalar(value.message(8))
        if number is not None and tag:
            self._point(tag, event.integer(2), number, _double(event, 1))

    def _session(self, plugin: Message) -> None:
        """Take the hyper-parameters of `session_start_info`.

        `session_end_info` is no sign of an end: torch and Lightning write its SUCCESS at once.
        """
        for entry in Message(plugin.all_bytes(2)[-1] if 2 in plugin else b"").messages(3):
            for pair in entry.messages(1):
                self.hparams[pair.text(1)] = _plain(pair.message(2))

    def _point(self, tag: str, step: int, number: float, time: float | None) -> None:
        column = self._columns.get(tag)
        if column is None:
            column = self._columns[tag] = ([], [], [])
        column[0].append(step if step < 2**63 else None)
        column[1].append(number)
        column[2].append(time)
        self._points += 1
        if time is not None:
            self.last_time = time

    def series(self) -> tuple[Series, ...]:
        """Return the scalars, in order of first appearance."""
        return tuple(
            Series(tag, tuple(steps), tuple(values), tuple(times))
            for tag, (steps, values, times) in self._columns.items()
        )


def _double(message: Message, number: int) -> float | None:
    if number not in message:
        return None
    bits = message.integer(number) & 0xFFFF_FFFF_FFFF_FFFF
    return float(_DOUBLE.unpack(bits.to_bytes(8, "little"))[0])


def _scalar(tensor: Message) -> float | None:
    """Return the one number of a tensor: 1 dtype, 4 tensor_content, 5/6 float or double values."""
    if tensor.integer(1) not in _TENSOR_TYPES:
        return None
    packing, number = _TENSOR_TYPES[tensor.integer(1)]
    for data in (*tensor.all_bytes(4), *tensor.all_bytes(number)):
        if len(data) == packing.size:
            return float(packing.unpack(data)[0])
    if number in tensor:
        data = (tensor.integer(number) & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
        return float(packing.unpack_from(data)[0])
    return None


def _plain(value: Message) -> Plain:
    """Return a `google.protobuf.Value`: 2 number, 3 string, 4 bool; anything else is None."""
    if 2 in value:
        number = _double(value, 2)
        return int(number) if number is not None and number.is_integer() else number
    if 3 in value:
        return value.text(3)
    return bool(value.integer(4)) if 4 in value else None


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ 0x82F63B78 if byte & 1 else byte >> 1
        table.append(byte)
    return tuple(table)


def _masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes, masked as TFRecord wants it."""
    table = _crc_table()
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFF_FFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


def _truncated() -> Problem:
    return Problem(
        "truncated-stream",
        "The event file is cut off: the writer was killed, or the copy is incomplete. What stands "
        "before was read.",
    )


def _damaged(records: int) -> Problem:
    return Problem(
        "damaged-stream",
        f"The event file is damaged after {records:,} events (a checksum is wrong). What stands "
        "before was read.",
    )
