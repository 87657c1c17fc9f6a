"""Making `RunField`s from values of any kind, leaving out what says nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from catalog.sources.facts import Moment, Plain, RunField
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_TEXT = 64 * 1024


def field_of(name: str, value: Plain, rank: int) -> Iterator[RunField]:
    """Yield the field, or nothing for None, empty text and empty containers.

    Lists and objects become JSON, booleans `true` and `false`; text is cut at 64 kB.
    """
    if value is None or value == "" or value == [] or value == {}:
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    yield RunField(name, clean(text)[:_MAX_TEXT], rank)


def moment_field(name: str, moment: Moment | None, rank: int) -> Iterator[RunField]:
    """Yield a field that is a time: its value is the UTC form, or the raw text without one."""
    if moment is not None:
        yield RunField(name, moment.utc or moment.raw, rank, moment)
