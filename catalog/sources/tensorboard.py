"""TensorBoard event files: scalars and the hparams plugin, without tensorflow.

A file is a TFRecord: length (uint64, little-endian), masked CRC-32C of it, payload, masked CRC-32C
of the payload. A payload is one `Event` (`tensorflow/core/util/event.proto`): 1 wall_time, 2 step,
5 summary {1 value {1 tag, 2 simple_value, 8 tensor, 9 metadata {1 plugin_data {1 name, 2
content}}}}. torch's and Lightning's writers use `simple_value`, tensorflow 2 a scalar `tensor`.
The file name is `events.out.tfevents.SECONDS.HOST.PID.N` and a suffix: start in UTC, and machine.
An event that says 7 session_log {1 status} START drops all that was logged before from its step on
(`purge_step` of the writers): TensorBoard shows it no more, whichever file of the folder it is in.

Both checksums are verified: a wrong one of a length ends the reading, since no later record can be
found; a wrong one of a payload costs that event. Of long payloads only those that told something
are looked at: images and graphs are not kept.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from catalog.sources.crc32c import crc32c, crc32c_of_each
from catalog.sources.facts import (
    Config,
    Facts,
    Item,
    Listing,
    Plain,
    Problem,
    RunDirectory,
    RunField,
    Series,
)
from catalog.sources.growth import MAX_BOOKMARK, fingerprint
from catalog.sources.paths import is_file, item_of, join, open_regular, split
from catalog.sources.places import place_of
from catalog.sources.plain import clean
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redaction_problem
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb.protobuf import Message, WireError, varint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "tensorboard"
VERSION = 3
RANK = 50
"""After everything that a tracker says of its own run."""

MAX_RECORD = 16 * 1024 * 1024
"""Longer events are images, graphs and embeddings: they are skipped."""
MAX_POINTS = 5_000_000

_BATCH, _BATCH_BYTES = 4_096, 4 * 1024 * 1024
"""Events that are verified together."""
_LONG = 4_096

_FILE = re.compile(r"(?:.+\.)?events\.out\.tfevents(?:\.(\d{9,11})\.(.+))?")
_WRITER = re.compile(r"((?:\d+\.){3}\d+|.+?)\.(\d+)\.(\d+)(?!\d).*")
"""Host, process and number of the writer; behind them stands what `filename_suffix` said."""
_HEAD = 64 * 1024
"""Bytes of a file that are looked at to tell where it begins."""
_BESIDE = 60
"""Seconds within which the processes of one training begin to write."""
_MOST_FILES = 1_000
_START = 1
"""`SessionLog.SessionStatus`."""
_SESSION = re.compile(r"\d{10}(?:\.\d+)?")
"""Folder that torch's `add_hparams` makes below the run's: seconds since 1970."""
_HEADER, _CHECKSUM = struct.Struct("<QI"), struct.Struct("<I")
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

    With a bookmark, only what came since is read, and the few events that hold hyper-parameters.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    above, session = split(folder)
    first = None
    if _SESSION.fullmatch(session):
        place = place_of(root, above, NAME)
    else:
        place = place_of(root, folder, NAME)
        if place.tracker == NAME and (first := _training(root / folder, name)):
            place = RunDirectory(join(folder, first), NAME)
    with open_regular(root / item.path) as file:
        events = _begin(file, item.bookmark, first)
        problems = events.read(file)
        if events.purges_known:
            events = _Events()
            problems = events.read(file)
        series = events.series()
        bookmark = _bookmark(file, events, series, first)
    match = _FILE.fullmatch(name)
    fields: list[RunField] = []
    if match and match[1]:
        fields += moment_field("started_at", moment_of_epoch(int(match[1]), match[1]), RANK)
        writer = _WRITER.fullmatch(match[2])
        fields += field_of("host", writer[1] if writer else match[2].removesuffix(".v2"), RANK)
        if writer:
            fields += field_of("process", f"{writer[1]}.{writer[2]}", RANK)
    fields += field_of("purge_step", events.purge_step, RANK)
    if events.last_time is not None:
        fields += moment_field("last_timestamp", moment_of_epoch(events.last_time), RANK)
    hparams, secrets = redact(events.hparams)
    return Facts(
        run_directory=place,
        fields=tuple(fields),
        configs=(Config("tensorboard-hparams", hparams, RANK),) if hparams else (),
        series=series,
        problems=(*problems, *redaction_problem(secrets)),
        bookmark=bookmark,
        continues=events.continues,
    )


class _Writer(NamedTuple):
    """What the name of an event file says of who wrote it."""

    name: str
    started: int
    process: str


def _writer(name: str) -> _Writer | None:
    match = _FILE.fullmatch(name)
    writer = _WRITER.fullmatch(match[2]) if match and match[1] else None
    if match is None or writer is None:
        return None
    return _Writer(name, int(match[1]), f"{writer[1]}.{writer[2]}")


def _training(folder: Path, name: str) -> str | None:
    """Return the first file of a file's training where another one wrote into the folder before.

    Another process is another training if it began at no later a step than the one before, though
    not beside it, and told TensorBoard to drop nothing. Only files that were begun before count:
    what came later changes nothing.
    """
    own = _writer(name)
    if own is None:
        return None
    names = [one for one in map(_writer, os.listdir(folder)) if one is not None]
    before = sorted(
        (one for one in names if (one.started, one.name) <= (own.started, own.name)),
        key=lambda one: (one.started, one.name),
    )
    if len({one.process for one in before}) == 1:
        return None
    first = before[0]
    processes = {first.process}
    for one in before[1:_MOST_FILES]:
        if one.process not in processes and one.started - first.started > _BESIDE:
            step, purges = _first_step(folder / one.name)
            known, _ = _first_step(folder / first.name)
            if not purges and step is not None and known is not None and step <= known:
                first, processes = one, set()
        processes.add(one.process)
    return None if first == before[0] else first.name


def _first_step(path: Path) -> tuple[int | None, bool]:
    """Return the least step that an event file begins with, and whether it drops earlier ones."""
    events = _Events()
    try:
        with open_regular(path) as file:
            events.read(io.BytesIO(file.read(_HEAD)))
    except OSError:
        return None, False
    steps = [steps[0] for steps, _, _ in events.columns() if steps[0] is not None]
    return min(steps, default=None), events.purge_step is not None


def _begin(file: BinaryIO, bookmark: str | None, first: str | None) -> _Events:
    """Return events that go on at a bookmark, or begin where it is of other bytes or training."""
    if bookmark is not None:
        said = json.loads(bookmark)
        is_known = said["version"] == VERSION and said["first"] == first
        if is_known and said["fingerprint"] == fingerprint(file.seek, file.read, said["end"]):
            events = _Events()
            if events.go_on(file, said):
                return events
    return _Events()


def _bookmark(
    file: BinaryIO, events: _Events, series: tuple[Series, ...], first: str | None
) -> str | None:
    """Return what the next reading needs to go on; None where it is to begin anew.

    Hyper-parameters are not kept, for they may hold secrets: their events are read again.
    """
    have_places = all(
        any(place is not None for place in (*one.steps, *one.times)) for one in series
    )
    proof = fingerprint(file.seek, file.read, events.end)
    if proof is None or not events.end or events.is_cut or not have_places:
        return None
    said = {"version": VERSION, "first": first, "fingerprint": proof, **events.state()}
    text = json.dumps(said, separators=(",", ":"))
    return text if len(text) <= MAX_BOOKMARK else None


class _Events:
    """What the events of one file add up to."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[list[int | None], list[float], list[float | None]]] = {}
        self._by_tag: dict[bytes, str] = {}
        self._scalar_tags: set[str] = set()
        self.hparams: dict[str, Plain] = {}
        self.purge_step: int | None = None
        """Least step from which on what was logged before is dropped."""
        self.purges_known = False
        """Whether that drops points of an earlier reading."""
        self.last_time: float | None = None
        self._points = 0
        self._malformed = 0
        self._damaged = 0
        self._records = 0
        self._waiting: list[tuple[int, bytes]] = []
        """Places of events, and payloads with the four bytes of their checksum behind them."""
        self._waiting_bytes = 0
        self._place = 0
        """Where the event at hand begins."""
        self._telling: dict[int, None] = {}
        """Places of the events that hold hyper-parameters."""
        self._only_told_again = False
        self.end = 0
        """Where the last whole event ends."""
        self.continues = False
        """Whether the points of an earlier reading are left out."""

    @property
    def is_cut(self) -> bool:
        """Whether there are more points than are kept."""
        return self._points >= MAX_POINTS

    def state(self) -> dict[str, Plain]:
        """Return, as JSON can say it, all that later events build on."""
        return {
            "end": self.end,
            "records": self._records,
            "points": self._points,
            "malformed": self._malformed,
            "damaged": self._damaged,
            "last_time": self.last_time,
            "purge_step": self.purge_step,
            "scalar_tags": [*sorted(self._scalar_tags)],
            "telling": [*self._telling],
        }

    def go_on(self, file: BinaryIO, said: Any) -> bool:
        """Come to where `state` was made; False if an event that is needed is there no more."""
        self._only_told_again = True
        for place in said["telling"]:
            file.seek(place)
            head = file.read(_HEADER.size)
            length = _HEADER.unpack(head)[0] if len(head) == _HEADER.size else MAX_RECORD + 1
            whole = file.read(length + 4) if length <= MAX_RECORD else b""
            if len(whole) < length + 4:
                return False
            payload = whole[:-4]
            if _masked(crc32c(payload)) != _CHECKSUM.unpack(whole[-4:])[0]:
                return False
            self._place = place
            self._take(payload)
        self._only_told_again = False
        self.end = said["end"]
        self._records = said["records"]
        self._points = said["points"]
        self._malformed = said["malformed"]
        self._damaged = said["damaged"]
        self.last_time = said["last_time"]
        self.purge_step = said["purge_step"]
        self._scalar_tags = set(said["scalar_tags"])
        self.continues = True
        return True

    def read(self, file: BinaryIO) -> list[Problem]:
        """Take the file from where the last event ended; what was wrong with it is returned."""
        problem = self._read_records(file)
        self._settle()
        if self.is_cut:
            cut = f"Only the first {MAX_POINTS:,} points of the event file were read."
            problem = Problem("history-cut", cut)
        elif problem is None and not self._records:
            problem = Problem("empty-file", "The event file holds no events.")
        return [*([problem] if problem else []), *self._complaints()]

    def _read_records(self, file: BinaryIO) -> Problem | None:
        """Take the records; what ended the reading before the end is returned."""
        file.seek(self.end)
        lengths: dict[bytes, int] = {}  # by frame head, of which most repeat
        while head := file.read(_HEADER.size):
            length = lengths.get(head)
            if length is None:
                if len(head) < _HEADER.size:
                    return _truncated()
                length, checksum = _HEADER.unpack(head)
                if _masked(crc32c(head[:8])) != checksum:
                    return _damaged(self._records)
                lengths[head] = length
            place = self.end
            if length > MAX_RECORD:
                self.end = file.seek(length + 4, 1)
                continue
            payload = file.read(length + 4)
            if len(payload) < length + 4:
                return _truncated()
            self._records += 1
            self.end = place + _HEADER.size + length + 4
            self._waiting.append((place, payload))
            self._waiting_bytes += length
            if len(self._waiting) >= _BATCH or self._waiting_bytes >= _BATCH_BYTES:
                self._settle()
                if self.is_cut:
                    break
        return None

    def _settle(self) -> None:
        """Take the waiting events whose checksum is right."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        payloads = [whole[:-4] for _, whole in waiting]
        short = [one for one in payloads if len(one) <= _LONG]
        sums = iter(crc32c_of_each(short))
        for payload, (place, whole) in zip(payloads, waiting, strict=True):
            stated = _CHECKSUM.unpack_from(whole, len(payload))[0]
            if len(payload) <= _LONG:
                intact = _masked(next(sums)) == stated
            else:
                intact = not self._tells(payload) or _masked(crc32c(payload)) == stated
            if not intact:
                self._damaged += 1
            elif self._points < MAX_POINTS:
                self._place = place
                self._take(payload)

    def _tells(self, payload: bytes) -> bool:
        """Say whether anything of an event is kept."""
        alone = _Events()
        alone._scalar_tags |= self._scalar_tags
        alone._take(payload)
        return bool(alone._columns or alone.hparams)

    def _complaints(self) -> list[Problem]:
        problems = []
        if self._damaged:
            problems.append(
                Problem(
                    "damaged-record",
                    f"The checksums of {self._damaged:,} events are wrong; they were left out.",
                )
            )
        if self._malformed:
            problems.append(
                Problem(
                    "malformed-record",
                    f"{self._malformed:,} events could not be decoded and were left out.",
                )
            )
        return problems

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
            if event.message(7).integer(1) == _START:
                self._purge(event.integer(2))
        except WireError:
            self._malformed += 1
            return
        self.last_time = event.double(1) or self.last_time

    def _purge(self, step: int) -> None:
        """Drop the points that were logged before at a step or later."""
        known = self.purge_step
        self.purge_step = step if known is None else min(known, step)
        self.purges_known |= self.continues
        for tag, column in [*self._columns.items()]:
            left = [place for place, one in enumerate(column[0]) if one is None or one < step]
            if not left:
                del self._columns[tag]
            elif len(left) < len(column[0]):
                steps, values, times = column
                self._columns[tag] = (
                    [steps[place] for place in left],
                    [values[place] for place in left],
                    [times[place] for place in left],
                )

    def _value(self, event: Message, value: Message) -> None:
        tag = value.text(1)
        plugin = value.message(9).message(1)
        if plugin.text(1) == "hparams":
            self._telling[self._place] = None
            self._session(plugin)
            return
        if self._only_told_again:
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
            self._point(tag, event.integer(2), number, event.double(1))

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

    def columns(self) -> Iterable[tuple[list[int | None], list[float], list[float | None]]]:
        """Return steps, values and times of each scalar."""
        return self._columns.values()

    def series(self) -> tuple[Series, ...]:
        """Return the scalars, in order of first appearance."""
        return tuple(
            Series(tag, tuple(steps), tuple(values), tuple(times))
            for tag, (steps, values, times) in self._columns.items()
        )


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
        number = value.double(2)
        return int(number) if number is not None and number.is_integer() else number
    if 3 in value:
        return value.text(3)
    return bool(value.integer(4)) if 4 in value else None


def _masked(crc: int) -> int:
    """Return a sum as TFRecord keeps it."""
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
