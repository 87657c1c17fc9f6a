"""The settings that a catalog keeps, written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert

from catalog.schema.store import table_of
from catalog.schema.tables import KeptSetting
from catalog.settings import default_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from catalog.settings import Value


def keep(connection: Connection, values: Mapping[str, Value], now: str) -> None:
    """Keep settings, each in place of the value that it had.

    Args:
        connection: inside a transaction.
        values: the settings, checked.
        now: the present, UTC.

    Raises:
        UsageError: no such setting.
    """
    forget(connection, values)
    rows = [
        {"name": name, "value": json.dumps(value), "kept_at": now} for name, value in values.items()
    ]
    if rows:
        connection.execute(insert(table_of(KeptSetting)), rows)


def forget(connection: Connection, names: Iterable[str]) -> None:
    """Let settings have their defaults again; one that was not kept has it already.

    Raises:
        UsageError: no such setting.
    """
    table = table_of(KeptSetting)
    for name in names:
        default_of(name)
        connection.execute(delete(table).where(table.c.name == name))
