"""Which trees a machine has seen: one disk may be mounted by several, or by one of many names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from catalog.schema.store import table_of
from catalog.schema.tables import Root, RootHost

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


def seen_by(host: str) -> ColumnElement[bool]:
    """Return the condition on `root` that a machine of this name has seen the tree."""
    roots, names = table_of(Root), table_of(RootHost)
    return or_(
        roots.c.host == host,
        roots.c.id.in_(select(names.c.root_id).where(names.c.host == host)),
    )


def known_roots(connection: Connection, host: str, *, last: bool = False) -> dict[Path, int]:
    """Return the numbers of a machine's roots by their paths, in the order of their numbers.

    Args:
        connection: of a catalog at the newest schema.
        host: name of the machine.
        last: only those that nobody saw under another name since.
    """
    table = table_of(Root)
    condition = table.c.host == host if last else seen_by(host)
    rows = connection.execute(
        select(table.c.path, table.c.id).where(condition).order_by(table.c.id)
    )
    return {Path(path): int(number) for path, number in rows}


def host_labels(connection: Connection) -> dict[int, str]:
    """Return a label of each root: equal for those that one machine saw last.

    It is the number of the first of them, and so stays as it is where all of them are seen by a
    machine of another name.
    """
    table = table_of(Root)
    first: dict[str, str] = {}
    return {
        int(number): first.setdefault(host, str(number))
        for number, host in connection.execute(
            select(table.c.id, table.c.host).order_by(table.c.id)
        )
    }
