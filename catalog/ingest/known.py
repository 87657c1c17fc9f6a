"""What the catalog remembers of the files of a tree, held in a few bytes each.

A million files are known by a 64-bit sum each of path, reader, size, time and inode. Two files
of equal sums would have to be in one tree, and one of them changed, for a change to be missed:
for a million files that is one chance in ten million million.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from catalog.schema.store import fetched_bare, table_of
from catalog.schema.tables import File
from catalog.sources import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from catalog.ingest.roots import Scope
    from catalog.sources.facts import Item


class Left(NamedTuple):
    """A known file, and in which way it was absent before."""

    number: int
    path: str
    is_gone: bool
    is_left_out: bool


class Known:
    """The files of one scope that an earlier ingest read."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._scope = scope
        self._versions = {name: one.VERSION for name, one in registry.readers().items()}
        self._present: set[int] = set()
        self._missing: dict[int, int] = {}
        for key, number, _path, state, _found_gone in self._rows(connection):
            if state == "present":
                self._present.add(key)
            else:
                self._missing[key] = number

    def take(self, item: Item) -> int | None:
        """Tell of a found item whether it is as it was; each can be taken once.

        Returns:
            None if it is new or changed, else 0, or its number if it was missing until now.
        """
        version = self._versions[item.reader]
        key = hash((item.path, item.reader, version, item.size, item.mtime_ns, item.inode))
        if key in self._present:
            self._present.remove(key)
            return 0
        return self._missing.pop(key, None)

    def left(self, connection: Connection) -> Iterator[Left]:
        """Yield the files that have not been taken, whether they were present before or not.

        Args:
            connection: which sees what was written since, so that changed files, whose rows are
                others now, do not count.
        """
        for state, keys in (("present", self._present), ("missing", self._missing)):
            if keys:
                for key, number, path, _state, found_gone in self._rows(connection, state):
                    if key in keys:
                        is_absent = state == "missing"
                        yield Left(
                            number,
                            path,
                            is_gone=is_absent and found_gone is not None,
                            is_left_out=is_absent and found_gone is None,
                        )

    def _rows(
        self, connection: Connection, only: str | None = None
    ) -> Iterator[tuple[int, int, str, str, int | None]]:
        """Yield (sum, number, path, state, ingest that found it gone) of each file in the scope."""
        table = table_of(File)
        query = select(
            table.c.path,
            table.c.reader,
            table.c.reader_version,
            table.c.size,
            table.c.mtime_ns,
            table.c.inode,
            table.c.id,
            table.c.state,
            table.c.missing_ingest_id,
        ).where(table.c.root_id == self._scope.root_id)
        if only is not None:
            query = query.where(table.c.state == only)
        prefix = "" if self._scope.below == "." else f"{self._scope.below}/"
        if prefix:
            query = query.where(table.c.path.startswith(prefix, autoescape=True))
        rows = fetched_bare(connection, query)
        for path, reader, version, size, mtime_ns, inode, number, state, found_gone in rows:
            # LIKE does not tell a from A on SQLite.
            if not prefix or path.startswith(prefix):
                key = hash((path, reader, version, size, mtime_ns, inode))
                yield key, number, path, state, found_gone
