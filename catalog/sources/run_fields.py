"""Making `RunField`s from values of any kind, leaving out what says nothing."""

from __future__ import annotations

import json

from catalog.sources.facts import Moment, Plain, RunField
from catalog.sources.plain import clean

_MAX_TEXT = 64 * 1024


def field_of(name: str, value: Plain, rank: int) -> tuple[RunField, ...]:
    """Return the field, or nothing for None, empty text and empty containers.

    Lists and objects become JSON, booleans `true` and `false`; text is cut at 64 kB.
    """
    if value is None or value == "" or value == [] or value == {}:
        return ()
    text = value if isinstance(value, str) else _dumps(value)
    return (RunField(name, clean(text)[:_MAX_TEXT], rank),)


_dumps = json.JSONEncoder(ensure_ascii=False).encode


def moment_field(name: str, moment: Moment | None, rank: int) -> tuple[RunField, ...]:
    """Return a field that is a time: its value is the UTC form, or the raw text without one."""
    if moment is None:
        return ()
    return (RunField(name, moment.utc or moment.raw, rank, moment),)
