"""The settings that a catalog keeps, read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from catalog.query.connection import open_reader
from catalog.settings import Settings

if TYPE_CHECKING:
    from catalog.query.connection import Reader
    from catalog.schema.location import Location
    from catalog.settings import Value

_NAMES = frozenset(Settings._fields)


def kept_settings(location: Location) -> dict[str, Value]:
    """Return the settings that a catalog keeps; none where there is no catalog yet.

    A name that this version does not know was kept by another one, and is left out.

    Raises:
        DatabaseError: there is a database, and it cannot be read, or is no catalog.
    """
    if location.file is not None and not location.file.exists():
        return {}
    with open_reader(location, Settings()) as reader:
        return kept_in(reader)


def kept_in(reader: Reader) -> dict[str, Value]:
    """Return the settings that an open catalog keeps; see `kept_settings`."""
    rows = reader.run("SELECT name, value FROM setting").rows
    return {name: _value(text) for name, text in rows if name in _NAMES}


def _value(text: str) -> Value:
    value = json.loads(text)
    return tuple(value) if isinstance(value, list) else value
