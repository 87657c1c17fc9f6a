"""History rows and summary updates of a `.wandb` stream: the hot path of reading one.

A row is a list of items {1 key, 2 nested_key (repeated), 16 value_json}. `key` was written up
to wandb 0.17, `nested_key` (one element `val/loss`, or several for a nested object) from 0.18;
summary updates use either. Rows are the bulk of a stream, so items are recognised by the bytes
of their key, and a value is only parsed if it is a number.
"""

from __future__ import annotations

import json
import re
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from catalog.sources.facts import Plain, Series
from catalog.sources.plain import is_number, to_plain
from catalog.sources.wandb.protobuf import Message, WireError, fields, varint
from catalog.sources.wandb.summary_file import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

_Number = TypeVar("_Number", int, float)

MAX_POINTS = 5_000_000
"""Points of one stream that are kept; a run has seldom a tenth of that."""

_MAX_OBJECT = 256 * 1024
_NUMBER_STARTS = frozenset(b"-0123456789NI")
_UNDERSCORE = "_"

# A record as W&B writes most of them: `num`, then one message that is items of one short key and
# one short number, in a history row followed by `step`. Bytes of numbers are no tags, so that an
# item ends where its number does. Anything else, and every key not seen before, is decoded.
_NUM = rb"(?:\x08[\x80-\xff]*[\x00-\x7f])?"
_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"
_SHORT_NUMBER = rb"\x82\x01[\x01-\x7f]([-+.0-9eENaInfity]+)"
_ITEM = re.compile(rb"\n[\x00-\x7f]([\n\x12][\x01-\x7f][^\x82]+)" + _SHORT_NUMBER, re.DOTALL)
_NESTED_ITEM = re.compile(rb"\n[\x00-\x7f](\x12[\x01-\x7f][^\x82]+)" + _SHORT_NUMBER, re.DOTALL)
_ITEMS, _NESTED_ITEMS = (
    b"((?:" + one.pattern.replace(b"(", b"(?:") + b")+)" for one in (_ITEM, _NESTED_ITEM)
)
_STEP = rb"(?:\x12[\x00-\x0b]((?:\x08[\x80-\xff]*[\x00-\x7f])?))?"
_ROW = re.compile(_NUM + rb"\x12" + _LENGTH + _ITEMS + _STEP, re.DOTALL)
_SUMMARY = re.compile(_NUM + rb"\x1a", re.DOTALL)
_SUMMARY_FIELD = 3
_UPDATE = re.compile(_NUM + rb"\x1a" + _LENGTH + _NESTED_ITEMS, re.DOTALL)
_NOTHING = re.compile(rb"(?!)")
_LONGEST_STEP = 11
"""Bytes of a step: a tag and the longest varint."""
_MAX_WAITING = 4_096
_MAX_KNOWN = 200
"""Keys in one expression; runs with more summary keys are rare and only slower."""


@lru_cache(maxsize=64)
def _update_of(keys: frozenset[bytes]) -> re.Pattern[bytes]:
    """Return an expression for a summary update that sets none but these keys, to numbers.

    To compile it takes longer than to look at a short stream, and many runs have the same keys.
    """
    number = _SHORT_NUMBER.replace(b"(", b"(?:")
    known = b"|".join(re.escape(key) for key in keys)
    items = rb"(?:\n[\x00-\x7f](?:" + known + b")" + number + b")+"
    return re.compile(_NUM + rb"\x1a" + _LENGTH + items, re.DOTALL)


_ROWS_BEFORE = 200
"""Rows of the same keys that are met, in whatever stream, before an expression is made for them."""
_MAX_LAYOUTS = 512
_rows_met: dict[tuple[bytes, ...], int] = {}


@lru_cache(maxsize=64)
def _row_of(keys: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Return an expression for a row of just these keys; its groups are the numbers and `step`.

    It takes only what is a number beyond doubt, so that all of a column can be made at once.
    """
    number = rb"\x82\x01[\x01-\x7f](-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|NaN|-?Infinity)"
    items = (rb"\n[\x00-\x7f]" + re.escape(key) + number for key in keys)
    return re.compile(_NUM + rb"\x12" + _LENGTH + b"".join(items) + _STEP, re.DOTALL)


Item = tuple[bytes, bytes]
"""(encoded key fields, value_json) of one history or summary item."""


def key_and_value(data: bytes, begin: int, end: int) -> Item:
    """Return the encoded key and the JSON value of an item.

    Args:
        data: bytes that contain the item.
        begin: where the item starts.
        end: where it stops.

    Raises:
        WireError: the item cannot be decoded.

    """
    # The usual item, told by four bytes: one short key, then one short value_json (tag 82 01).
    if end - begin > 5:
        first_tag = data[begin]
        key_end = begin + 2 + data[begin + 1]
        if (
            (first_tag == 0x12 or first_tag == 0x0A)
            and data[begin + 1] < 0x80
            and key_end + 3 <= end
            and data[key_end] == 0x82
            and data[key_end + 1] == 0x01
            and key_end + 3 + data[key_end + 2] == end
        ):
            return data[begin:key_end], data[key_end + 3 : end]
    key = bytearray()
    value = b""
    for number, part in fields(data, begin, end):
        if isinstance(part, bytes):
            if number == 16:
                value = part
            elif number in (1, 2):
                key += bytes((number << 3 | 2,)) + _encoded_length(len(part)) + part
    return bytes(key), value


def _encoded_length(length: int) -> bytes:
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def key_path(encoded: bytes) -> tuple[str, ...]:
    """Return the parts of an item's key: one for a plain key, several for a nested one.

    Raises:
        WireError: the bytes are no key fields.

    """
    return _short_path(encoded) if len(encoded) <= _SHORT_KEY else _path(encoded)


def _path(encoded: bytes) -> tuple[str, ...]:
    message = Message(encoded)
    return tuple(message.texts(2) or message.texts(1))


_SHORT_KEY = 128
_short_path = lru_cache(maxsize=1_024)(_path)


def number_of(value: bytes) -> float | None:
    """Return a JSON number, NaN or infinity as a float; None for any other JSON."""
    if not value or value[0] not in _NUMBER_STARTS:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def object_of(value: bytes) -> dict[str, Plain]:
    """Return a JSON object of metrics; empty for any other JSON, for histograms and media."""
    if value[:1] != b"{" or len(value) > _MAX_OBJECT or b'"_type"' in value:
        return {}
    try:
        decoded = to_plain(json.loads(value))
    except (ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


class _Column:
    """The points of one metric so far: their values, and the rows that they stand in."""

    __slots__ = ("name", "rows", "values")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = array("q")
        self.values: list[float] = []


class _Rows:
    """Rows of the same keys that wait.

    Args:
        keys: encoded, in the order in which they stand.
        targets: a column or the name of one of W&B's own values for each.
    """

    __slots__ = ("keys", "matches", "points", "targets", "waiting")

    def __init__(self, keys: tuple[bytes, ...], targets: Sequence[_Column | str | None]) -> None:
        self.keys = keys
        self.targets = targets
        self.points = sum(isinstance(target, _Column) for target in targets)
        """In each row."""
        met = _rows_met.get(keys, 0)
        self.matches = _row_of(keys).fullmatch if met >= _ROWS_BEFORE else None
        self.waiting: list[tuple[bytes | Any, ...]] = []
        """The numbers of each as text, and what stands in its step, encoded, or None."""


class History:
    """Collects history rows as columns, one a metric; steps and times are kept once a row."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._by_key: dict[bytes, _Column | str] = {}
        """Encoded key: its column, or the name of one of W&B's own values."""
        self._steps: list[int | None] = []
        self._times: list[float | None] = []
        self.points = 0
        self.is_cut = False
        """Whether points were left out for being more than `MAX_POINTS`."""
        self._last_step: int | None = None
        self._last_timestamp: float | None = None
        self._names_before: tuple[str, ...] = ()
        self._rows = _Rows((), [])

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics with any point, also in the part of the stream that was read before."""
        self._settle()
        now = [name for name, column in self._columns.items() if column.rows]
        return tuple(dict.fromkeys((*self._names_before, *now)))

    @property
    def last_step(self) -> int | None:
        """Step of the last row that has one."""
        self._settle()
        return self._last_step

    @property
    def last_timestamp(self) -> float | None:
        """Time of the last row that has one, in seconds since 1970 UTC."""
        self._settle()
        return self._last_timestamp

    @property
    def all_have_places(self) -> bool:
        """Whether each metric has a step or a time somewhere: without, none can be added to."""
        self._settle()
        return all(
            any(self._steps[row] is not None or self._times[row] is not None for row in column.rows)
            for column in self._columns.values()
            if column.rows
        )

    def state(self) -> dict[str, Plain]:
        """Return all that later rows build on; the points themselves are not needed."""
        self._settle()
        return {
            "points": self.points,
            "step": self.last_step,
            "timestamp": self.last_timestamp,
            "names": [*self.names],
        }

    def go_on(self, state: Any) -> None:
        """Take over what `state` returned: only later rows are collected."""
        self.points = state["points"]
        self._last_step = state["step"]
        self._last_timestamp = state["timestamp"]
        self._names_before = tuple(state["names"])

    def add_usual(self, record: bytes) -> bool:
        """Take a whole record that is one row of numbers, if it is; say whether it was taken.

        Two regular expressions do the work that a decoder would do byte by byte. Rows of the same
        keys, one behind the other, wait to be turned into columns in one step.
        """
        rows = self._rows
        shape = rows.matches(record) if rows.matches else None
        if shape is not None:
            row = shape.groups()
        else:
            shape = _ROW.fullmatch(record)
            if shape is None:
                return False
            keys, texts = zip(*_ITEM.findall(record, shape.start(1), shape.end(1)), strict=True)
            row = (*texts, shape[2])
            try:
                for text in texts:
                    float(text)
            except ValueError:
                return False
            if keys != rows.keys:
                targets = [self._by_key.get(key) for key in keys]
                if None in targets:
                    return False
                self._settle()
                rows = self._rows = _Rows(keys, targets)
        if (row[-1] and len(row[-1]) > _LONGEST_STEP) or self.points + len(row) > MAX_POINTS + 1:
            return False
        self.points += rows.points
        rows.waiting.append(row)
        if len(rows.waiting) >= _MAX_WAITING:
            self._settle()
        return True

    def _settle(self) -> None:
        """Turn the rows that wait into columns."""
        rows = self._rows
        if not rows.waiting:
            return
        self._rows = _Rows((), [])
        if len(rows.keys) <= _MAX_KNOWN:
            if len(_rows_met) >= _MAX_LAYOUTS:
                _rows_met.clear()
            _rows_met[rows.keys] = _rows_met.get(rows.keys, 0) + len(rows.waiting)
        places = range(len(self._steps), len(self._steps) + len(rows.waiting))
        steps: list[int | None] = [None] * len(places)
        times: list[float | None] = [None] * len(places)
        *columns, stated_steps = zip(*rows.waiting, strict=True)
        for target, texts in zip(rows.targets, columns, strict=True):
            values = map(float, texts)
            if isinstance(target, _Column):
                target.rows.extend(places)
                target.values.extend(values)
            elif target == "_step":
                steps = list(map(_whole, values))
            elif target == "_timestamp":
                times = list(values)
        for place, stated in enumerate(stated_steps):
            if stated and steps[place] is None:
                steps[place] = Message(stated).integer(1)
        self._steps += steps
        self._times += times
        self._last_step = _last(steps, self._last_step)
        self._last_timestamp = _last(times, self._last_timestamp)

    def add(self, record: bytes, begin: int, end: int) -> None:
        """Take one `history` message: 1 item (repeated), 2 step {1 num}.

        Args:
            record: bytes that contain the message.
            begin: where it starts.
            end: where it stops.

        Raises:
            WireError: the message cannot be decoded; nothing of it is taken.

        """
        self._settle()
        row: list[tuple[str, float]] = []
        keys: list[tuple[bytes, str]] = []
        step: int | None = None
        stated_step: int | None = None
        timestamp: float | None = None
        position = begin
        while position < end:
            tag, position = varint(record, position)
            if tag & 7 != 2:
                raise WireError("a history record with other fields than messages")
            length, position = varint(record, position)
            stop = position + length
            if stop > end:
                raise WireError("a field is cut off")
            if tag == 0x0A:
                key, value = key_and_value(record, position, stop)
                name = ".".join(key_path(key))
                number = number_of(value)
                if not name.startswith(_UNDERSCORE):
                    if number is not None:
                        row.append((name, number))
                        keys.append((key, name))
                    elif value[:1] == b"{":
                        row.extend(numbers(object_of(value), name))
                elif number is not None:
                    self._by_key[key] = name
                    if name == "_step":
                        stated_step = _whole(number)
                    elif name == "_timestamp":
                        timestamp = number
            elif tag == 0x12:
                step = Message(record[position:stop]).integer(1)
            position = stop
        self._append(row, step if stated_step is None else stated_step, timestamp)
        for key, name in keys:
            self._by_key[key] = self._column(name)

    def add_row(self, row: dict[str, Plain]) -> None:
        """Take one row of `wandb-history.jsonl`, the form of history up to wandb 0.9."""
        step, timestamp = row.get("_step"), row.get("_timestamp")
        self._append(
            list(numbers(row)),
            _whole(step) if isinstance(step, (int, float)) else None,
            float(timestamp) if isinstance(timestamp, (int, float)) else None,
        )

    def _append(
        self, row: list[tuple[str, float]], step: int | None, timestamp: float | None
    ) -> None:
        if self.points + len(row) > MAX_POINTS:
            self.is_cut = True
            row = []
        self.points += len(row)
        place = len(self._steps)
        for name, number in row:
            column = self._column(name)
            column.rows.append(place)
            column.values.append(number)
        self._end_row(step, timestamp)

    def _column(self, name: str) -> _Column:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _Column(name)
        return column

    def _end_row(self, step: int | None, timestamp: float | None) -> None:
        if step is not None:
            self._last_step = step
        if timestamp is not None:
            self._last_timestamp = timestamp
        self._steps.append(step)
        self._times.append(timestamp)

    def series(self) -> tuple[Series, ...]:
        """Return the columns as series, in order of first appearance, and forget them.

        Metrics that stand in the same rows share the objects with their steps and times.
        """
        self._settle()
        axes: dict[bytes, tuple[tuple[int | None, ...], tuple[float | None, ...]]] = {}
        found: list[Series] = []
        while self._columns:
            column = self._columns.pop(next(iter(self._columns)))
            if not column.rows:
                continue
            places = column.rows.tobytes()
            if places not in axes:
                axes[places] = (
                    tuple(map(self._steps.__getitem__, column.rows)),
                    tuple(map(self._times.__getitem__, column.rows)),
                )
            steps, times = axes[places]
            found.append(Series(column.name, steps, tuple(column.values), times))
        self._by_key.clear()
        self._rows = _Rows((), [])
        return tuple(found)


class LatestValues:
    """Collects summary updates: the last value of every key."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[str, ...]] = {}
        self._values: dict[tuple[str, ...], bytes] = {}
        self.malformed = 0
        """Records that could not be decoded and were left out."""
        self._waiting: list[bytes] = []
        """Records that are looked at later, from the last one back: most say nothing new then."""

    def add_usual(self, record: bytes) -> bool:
        """Take a whole record if it begins as a summary update does; say whether it was taken."""
        if _SUMMARY.match(record) is None:
            return False
        self._wait(record)
        return True

    def add(self, message: bytes) -> None:
        """Take one `summary` message that stood in a record of another form."""
        self._wait(b"\x1a" + _encoded_length(len(message)) + message)

    def _wait(self, record: bytes) -> None:
        self._waiting.append(record)
        if len(self._waiting) >= _MAX_WAITING:
            self._settle()

    def _decode(self, message: bytes) -> None:
        """Take one `summary` message: 1 update (repeated), 2 remove (repeated)."""
        for number, part in fields(message):
            if not isinstance(part, bytes):
                raise WireError("a summary record with other fields than messages")
            key, value = key_and_value(part, 0, len(part))
            name = self._name(key)
            if number == 1:
                self._values[name] = value
            elif number == 2:
                self._values.pop(name, None)

    def _name(self, key: bytes) -> tuple[str, ...]:
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = key_path(key)
        return name

    def _settle(self) -> None:
        """Take the waiting records, each run of usual ones from its end."""
        waiting, self._waiting = self._waiting, []
        newest: dict[bytes, bytes] = {}
        known = _NOTHING
        unusual: list[tuple[bytes, dict[bytes, bytes]]] = []
        for record in reversed(waiting):
            if known.fullmatch(record):
                continue
            shape = _UPDATE.fullmatch(record)
            if shape is None:
                unusual.append((record, newest))
                newest, known = {}, _NOTHING
                continue
            for key, value in _NESTED_ITEM.findall(record, shape.start(1), shape.end(1)):
                newest.setdefault(key, value)
            if len(newest) <= _MAX_KNOWN:
                known = _update_of(frozenset(newest))
        self._take(newest)
        for record, newer in reversed(unusual):
            try:
                for number, part in fields(record):
                    if number == _SUMMARY_FIELD and isinstance(part, bytes):
                        self._decode(part)
            except WireError:
                self.malformed += 1
            self._take(newer)

    def _take(self, items: dict[bytes, bytes]) -> None:
        for key, value in items.items():
            try:
                name = self._name(key)
            except WireError:
                self.malformed += 1  # its record has a valid sum: a writer's fault, not the disk's
                continue
            self._values[name] = value

    def state(self) -> list[Plain]:
        """Return [path, JSON] of each key, with everything but numbers left out of the JSON."""
        self._settle()
        found: list[Plain] = []
        for path, value in sorted(self._values.items()):
            kept = value if number_of(value) is not None else _numbers_only(value)
            found.append([[*path], kept.decode()])
        return found

    def go_on(self, state: Any) -> None:
        """Take over what `state` returned."""
        self._values = {tuple(path): value.encode() for path, value in state}

    def summary(self) -> dict[str, Plain]:
        """Return the summary as `wandb-summary.json` would hold it: numbers and objects only."""
        self._settle()
        document: dict[str, Plain] = {}
        # By name: the order in which keys came depends on where the waiting records were settled.
        for path, value in sorted(self._values.items()):
            number = number_of(value)
            decoded: Plain = object_of(value) if number is None else number
            if decoded == {} or not path:
                continue
            target = document
            for part in path[:-1]:
                inner = target.get(part)
                if not isinstance(inner, dict):
                    inner = target[part] = {}
                target = inner
            target[path[-1]] = decoded
        return document


def _numbers_only(value: bytes) -> bytes:
    """Return a JSON object with null for whatever is no number: text may hold what is secret."""

    def bare(part: Plain) -> Plain:
        if isinstance(part, dict):
            return {key: bare(inner) for key, inner in part.items()}
        return part if is_number(part) else None

    decoded = object_of(value)
    return json.dumps(bare(decoded)).encode() if decoded else b"null"


def _last(values: Sequence[_Number | None], before: _Number | None) -> _Number | None:
    """Return the last value that is one, the one before where none is."""
    return next((value for value in reversed(values) if value is not None), before)


def _whole(number: float) -> int | None:
    """Return a step as an integer; None for what is no step, such as NaN."""
    return int(number) if number == number and abs(number) < 2**63 else None
