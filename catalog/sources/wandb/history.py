"""History rows and summary updates of a `.wandb` stream: the hot path of reading one.

A row is a list of items {1 key, 2 nested_key (repeated), 16 value_json}. `key` was written up
to wandb 0.17, `nested_key` (one element `val/loss`, or several for a nested object) from 0.18;
summary updates use either. Rows are the bulk of a stream, so items are recognised by the bytes
of their key, and a value is only parsed if it is a number.
"""

from __future__ import annotations

import json

from catalog.sources.facts import Plain, Series
from catalog.sources.plain import to_plain
from catalog.sources.wandb.protobuf import Message, WireError, fields, varint
from catalog.sources.wandb.summary_file import numbers

MAX_POINTS = 5_000_000
"""Points of one stream that are kept; a run has seldom a tenth of that."""

_MAX_OBJECT = 256 * 1024
_NUMBER_STARTS = frozenset(b"-0123456789NI")
_BRACE = ord("{")
_UNDERSCORE = "_"

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


def key_path(encoded: bytes) -> list[str]:
    """Return the parts of an item's key: one for a plain key, several for a nested one.

    Raises:
        WireError: the bytes are no key fields.

    """
    message = Message(encoded)
    return message.texts(2) or message.texts(1)


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
    """The points of one metric so far."""

    __slots__ = ("steps", "times", "values")

    def __init__(self) -> None:
        self.steps: list[int | None] = []
        self.times: list[float | None] = []
        self.values: list[float] = []


class History:
    """Collects history rows as columns, one a metric."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._columns: dict[str, _Column] = {}
        self.points = 0
        self.rows = 0
        self.is_cut = False
        """Whether points were left out for being more than `MAX_POINTS`."""
        self.last_step: int | None = None
        self.last_timestamp: float | None = None

    def add(self, record: bytes, begin: int, end: int) -> None:
        """Take one `history` message: 1 item (repeated), 2 step {1 num}.

        Args:
            record: bytes that contain the message.
            begin: where it starts.
            end: where it stops.

        Raises:
            WireError: the message cannot be decoded; nothing of it is taken.

        """
        names = self._names
        row: list[tuple[str, float]] = []
        step: int | None = None
        stated_step: int | None = None
        timestamp: float | None = None
        position = begin
        while position < end:
            tag = record[position]
            position += 1
            if tag > 0x7F:
                tag, position = varint(record, position - 1)
            if tag & 7 != 2:
                raise WireError("a history record with other fields than messages")
            length, position = varint(record, position)
            stop = position + length
            if stop > end:
                raise WireError("a field is cut off")
            if tag == 0x0A:
                key, value = key_and_value(record, position, stop)
                name = names.get(key)
                if name is None:
                    name = names[key] = ".".join(key_path(key))
                number = number_of(value)
                if not name.startswith(_UNDERSCORE):
                    if number is not None:
                        row.append((name, number))
                    elif value[:1] == b"{":
                        row.extend(numbers(object_of(value), name))
                elif number is not None:
                    if name == "_step":
                        stated_step = _whole(number)
                    elif name == "_timestamp":
                        timestamp = number
            elif tag == 0x12:
                step = Message(record[position:stop]).integer(1)
            position = stop
        self._append(row, step if stated_step is None else stated_step, timestamp)

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
        self.rows += 1
        if step is not None:
            self.last_step = step
        if timestamp is not None:
            self.last_timestamp = timestamp
        if self.points + len(row) > MAX_POINTS:
            self.is_cut = True
            return
        self.points += len(row)
        columns = self._columns
        for name, number in row:
            column = columns.get(name)
            if column is None:
                column = columns[name] = _Column()
            column.steps.append(step)
            column.times.append(timestamp)
            column.values.append(number)

    def series(self) -> tuple[Series, ...]:
        """Return the columns as series, in order of first appearance, and forget them."""
        found: list[Series] = []
        while self._columns:
            name = next(iter(self._columns))
            column = self._columns.pop(name)
            found.append(
                Series(name, tuple(column.steps), tuple(column.values), tuple(column.times))
            )
        return tuple(found)


class LatestValues:
    """Collects summary updates: the last value of every key."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[str, ...]] = {}
        self._values: dict[tuple[str, ...], bytes] = {}

    def add(self, record: bytes, begin: int, end: int) -> None:
        """Take one `summary` message: 1 update (repeated), 2 remove (repeated).

        Raises:
            WireError: the message cannot be decoded.

        """
        position = begin
        while position < end:
            tag, position = varint(record, position)
            if tag & 7 != 2:
                raise WireError("a summary record with other fields than messages")
            length, position = varint(record, position)
            stop = position + length
            if stop > end:
                raise WireError("a field is cut off")
            if tag == 0x0A or tag == 0x12:
                key, value = key_and_value(record, position, stop)
                name = self._names.get(key)
                if name is None:
                    name = self._names[key] = tuple(key_path(key))
                if tag == 0x0A:
                    self._values[name] = value
                else:
                    self._values.pop(name, None)
            position = stop

    def summary(self) -> dict[str, Plain]:
        """Return the summary as `wandb-summary.json` would hold it: numbers and objects only."""
        document: dict[str, Plain] = {}
        for path, value in self._values.items():
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


def _whole(number: float) -> int | None:
    """Return a step as an integer; None for what is no step, such as NaN."""
    return int(number) if number == number and abs(number) < 2**63 else None
