"""Files that still grow: each reading goes on where the one before ended.

A bookmark is only as good as the rows that were written with it. It is kept beside them, in the
same transaction, and looked at again before rows are added to: another process may have read the
file in the meantime.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.ingest.reading import read_item
from catalog.schema.store import chunks, table_of
from catalog.schema.tables import File, FileBookmark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from catalog.ingest.reading import Reading
    from catalog.sources.facts import Item


class Bookmarks:
    """The bookmarks of one tree."""

    def __init__(self, engine: Engine, root_id: int, *, usable: bool) -> None:
        """Look up which files have one.

        Args:
            engine: of the catalog.
            root_id: the tree.
            usable: whether whole histories are kept; to others nothing can be added.

        """
        self._engine = engine
        self._files: dict[str, int] = {}
        if usable:
            files, marks = table_of(File), table_of(FileBookmark)
            with engine.connect() as connection:
                rows = connection.execute(
                    select(files.c.path, files.c.id)
                    .join(marks, marks.c.file_id == files.c.id)
                    .where(files.c.root_id == root_id)
                )
                self._files = {path: int(number) for path, number in rows}

    def put_into(self, batch: list[Item]) -> list[Item]:
        """Return the items that are read next, with their bookmarks."""
        wanted = {item.path: self._files[item.path] for item in batch if item.path in self._files}
        if not wanted:
            return batch
        with self._engine.connect() as connection:
            states = _states(connection, list(wanted.values()))
        return [
            replace(item, bookmark=states.get(wanted[item.path])) if item.path in wanted else item
            for item in batch
        ]

    def checked(
        self, connection: Connection, root: Path, readings: Sequence[tuple[Item, Reading]]
    ) -> list[tuple[Item, Reading]]:
        """Return readings that what stands can be added to; others are read anew, as a whole.

        Args:
            connection: in the transaction that writes them.
            root: of the tree.
            readings: what was read of each item.

        """
        numbers = [self._files[item.path] for item, said in readings if said.facts.continues]
        states = _states(connection, numbers)
        checked: list[tuple[Item, Reading]] = []
        for item, reading in readings:
            if reading.facts.continues and states.get(self._files[item.path]) != item.bookmark:
                whole = replace(item, bookmark=None)
                checked.append((whole, read_item(root, whole)))
            else:
                checked.append((item, reading))
        return checked


def _states(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    table = table_of(FileBookmark)
    return {
        int(number): state
        for part in chunks(numbers)
        for number, state in connection.execute(
            select(table.c.file_id, table.c.state).where(table.c.file_id.in_(part))
        )
    }
