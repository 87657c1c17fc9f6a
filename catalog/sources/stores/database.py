"""SQLite files of trackers, opened so that nothing in them runs for long and nothing is written."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from catalog.sources.facts import Problem
from catalog.sources.paths import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_ROWS = 5_000_000
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_STEPS = 100_000
_MAX_CALLS = 20_000
"""Two billion steps of SQLite's machine: minutes, where a real database takes seconds."""


class NotReadable(Exception):
    """A database that is refused; `problem` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message)


@contextmanager
def opened(path: Path) -> Iterator[Tables]:
    """Open a tracker's database for reading.

    It is opened as immutable, so that SQLite makes no file beside it; what still waits in a
    write-ahead log is then not seen, and `Tables.problems` says so.

    Raises:
        NotReadable: it is no SQLite database, is damaged, or takes too long.
        OSError: it cannot be opened.

    """
    with open_regular(path) as file:
        header = file.read(_HEADER_BYTES)
        if not header.startswith(_MAGIC):
            raise NotReadable("foreign-file", "The file is no SQLite database.")
        if file.seek(0, 2) < _stated_size(header):
            # SQLite itself takes what is missing for empty pages and finds nothing wrong.
            raise NotReadable(
                "truncated-database",
                "The SQLite database is cut off; copy it again from where it came from.",
            )
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
    calls = 0

    def count() -> int:
        nonlocal calls
        calls += 1
        return calls > _MAX_CALLS

    try:
        connection.set_progress_handler(count, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        waiting = path.with_name(f"{path.name}-wal")
        is_behind = waiting.is_file() and waiting.stat().st_size > 0
        yield Tables(connection, is_behind=is_behind)
    except sqlite3.Error as error:
        raise NotReadable(
            "unreadable-database", f"The SQLite database cannot be read: {error}."
        ) from error
    except UnicodeDecodeError as error:
        # The driver cannot make its own message of damage that quotes the damaged bytes.
        raise NotReadable(
            "unreadable-database", "The SQLite database cannot be read: its schema is damaged."
        ) from error
    finally:
        connection.close()


def _stated_size(header: bytes) -> int:
    """Return the bytes that a database has by its own header: page size times pages.

    https://www.sqlite.org/fileformat.html: page size at 16 (1 stands for 65,536), pages at 28.
    """
    size = int.from_bytes(header[16:18], "big")
    return (65_536 if size == 1 else size) * int.from_bytes(header[28:32], "big")


class Tables:
    """The tables of an open database; views are not looked at."""

    def __init__(self, connection: sqlite3.Connection, *, is_behind: bool) -> None:
        self._connection = connection
        self.problems: tuple[Problem, ...] = ()
        if is_behind:
            self.problems = (
                Problem(
                    "wal-not-read",
                    "The database has a write-ahead log beside it that was not read: its newest "
                    "rows are missing here until its tracker has closed it. Ingest again then.",
                ),
            )

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table, none if there is no such table."""
        kind = self._connection.execute(
            "SELECT type FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
        if kind is None or kind[0] != "table":
            return frozenset()
        rows = self._connection.execute(f"PRAGMA table_info({table})")
        return frozenset(str(row[1]) for row in rows)

    def rows(self, table: str, columns: tuple[str, ...], order: str) -> Iterator[tuple[Any, ...]]:
        """Yield rows of a table, at most `MAX_ROWS`; a column that it lacks is None."""
        present = self.columns(table)
        if not present:
            return
        listed = ", ".join(f'"{name}"' if name in present else "NULL" for name in columns)
        yield from self._connection.execute(
            f'SELECT {listed} FROM "{table}" ORDER BY {order} LIMIT {MAX_ROWS}'  # noqa: S608 - constants of the readers
        )
