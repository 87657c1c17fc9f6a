"""`catalog recover --explain`: which sources were looked at, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from catalog.query.rows import Rows
from catalog.recover.sources import Found, Source, Sources, check_prefer
from catalog.schema.store import table_of
from catalog.schema.tables import File, Migration, Root
from catalog.states import UNUSABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catalog.settings import Settings

COLUMNS = ("checkpoint", "place", "source", "file", "verdict", "note")


def explain(
    connection: Connection, settings: Settings, only: str | None, prefer: str | None
) -> Rows:
    """Return a row for each source of each unusable checkpoint, in the order of belief.

    The verdict is `used`, `agrees`, `differs` (the note names the values), `refused` (the note
    says why), or `none` where a checkpoint has no source at all. All values of a sidecar come
    from the one that is `used`.

    Args:
        connection: of a catalog at the newest schema.
        settings: `config_sections` says what is looked for.
        only: take only checkpoints whose path contains this text.
        prefer: the source that decides where sources disagree.

    Raises:
        UsageError: there is no such source to prefer.
    """
    check_prefer(prefer)
    table, files, roots = table_of(Migration), table_of(File), table_of(Root)
    sources = Sources(connection, settings)
    rows: list[tuple[Any, ...]] = []
    for row in connection.execute(
        select(table.c.checkpoint_id, table.c.reason_code, table.c.reason, files.c.path)
        .join(files, files.c.id == table.c.checkpoint_id)
        .join(roots, roots.c.id == files.c.root_id)
        .where(table.c.state.in_(UNUSABLE))
        .order_by(roots.c.path, files.c.path)
    ):
        if only is not None and only not in row.path:
            continue
        if (row.reason_code or "").startswith("checkpoint-"):
            rows.append((row.path, None, None, None, "none", row.reason))
            continue
        found = sources.find(int(row.checkpoint_id), prefer)
        for place, source in enumerate(found.looked_at, start=1):
            verdict, note = _verdict(source, found)
            stated = source.stated
            rows.append((row.path, place, stated.kind, stated.path, verdict, note))
        if found.source is None:
            rows.append((row.path, None, None, None, "none", found.reason))
    return Rows(COLUMNS, rows)


def _verdict(source: Source, found: Found) -> tuple[str, str]:
    if source is found.source:
        return "used", ""
    for disagreement in found.disagreements:
        if source is disagreement.other:
            return "differs", "; ".join(map(str, disagreement.differences))
    if not source.usable:
        return "refused", source.refusal
    return "agrees", ""
