"""The texts that stored configs give under keys of some patterns, for the rules that link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import ConfigValue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection


def config_texts(
    connection: Connection, config_ids: Collection[int], patterns: Collection[str]
) -> Iterator[tuple[int, str, str]]:
    """Yield the text values of configs whose keys match a pattern.

    The patterns only narrow what the database returns; which key means what is for the caller.

    Args:
        connection: to the catalog.
        config_ids: the configs to search.
        patterns: of SQL's `LIKE`, without regard to case: `%wandb%`.

    Yields:
        The config's id, the key and the text (empty where none is stored), by id and key.
    """
    table = table_of(ConfigValue)
    for part in chunks(sorted(config_ids)):
        for config_id, key, text in fetched(
            connection,
            select(table.c.config_id, table.c.key, table.c.text)
            .where(
                table.c.config_id.in_(part),
                table.c.type == "str",
                or_(*(table.c.key.ilike(pattern) for pattern in patterns)),
            )
            .order_by(table.c.config_id, table.c.key),
        ):
            yield int(config_id), key, text or ""
