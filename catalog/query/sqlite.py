"""The reader for SQLite files: the standard library only, and safe for free SQL.

Four layers keep a statement from doing harm: the file is opened `mode=ro`, the
connection is `query_only`, an authorizer admits nothing but reading, and a progress
handler stops what takes too long.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from catalog import __version__
from catalog.errors import (
    DatabaseBusy,
    DatabaseError,
    NotACatalog,
    QueryError,
    QueryLimit,
)
from catalog.query.rows import Rows, Stream, unique_names
from catalog.schema.location import must_be_a_file
from catalog.schema.version import LAST_WORKED, VERSION_TABLE, check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from catalog.schema.location import Location
    from catalog.settings import Settings

_BATCH = 1_000
"""Rows of an export that are fetched at once."""
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_STEPS_BETWEEN_LOOKS = 2_000
"""Virtual machine steps between two looks at the clock: some tens of microseconds."""
_LONGEST_VALUE = 64 * 1024 * 1024
"""Bytes of one text: above any config, below what one function call can exhaust memory with."""
_BUSY_SECONDS = 5.0
_CACHE_KIB = 8 * 1024
"""Memory for pages: SQLite's own 2 MB make what is looked up in no order read pages twice. Far more
costs more than it saves: fresh memory is slower than a page that the system still holds."""
_REFUSED = ("not authorized", "cannot VACUUM")
"""Refusals that SQLite reports with the code of a mere error."""
_ONLY_READS = (
    "`catalog sql` only reads: give it one SELECT (or WITH ... SELECT). "
    "Writing, PRAGMA, ATTACH and extensions are refused."
)


class SqliteReader:
    """A reader (see `catalog.query.connection`) on one SQLite file."""

    def __init__(self, location: Location, file: Path, settings: Settings) -> None:
        self._shown = location.shown
        self._time_limit = settings.sql_time_limit
        self._deadline = float("inf")
        must_be_a_file(file, self._shown)
        self._connection, found = self._open(file)
        try:
            check(found, self._shown)
            self._see_own_views()
            self._guard()
        except BaseException:
            self.close()
            raise

    def run(
        self, sql: str, params: Mapping[str, Any] | None = None, *, row_limit: int | None = None
    ) -> Rows:
        """Answer one SELECT; see `catalog.query.connection.Reader.run`."""
        with self._within(self._time_limit):
            cursor, names = self._execute(sql, params)
            if row_limit is None:
                return Rows(names, cursor.fetchall())
            rows = cursor.fetchmany(row_limit + 1)
            cursor.close()
            return Rows(names, rows[:row_limit], truncated=len(rows) > row_limit)

    def stream(self, sql: str, params: Mapping[str, Any] | None = None) -> Stream:
        """Answer one SELECT row by row; see `catalog.query.connection.Reader.stream`."""
        began = time.monotonic()
        with self._within(self._time_limit):
            cursor, names = self._execute(sql, params)
        return Stream(names, self._batches(cursor, began + self._time_limit - time.monotonic()))

    def _batches(self, cursor: sqlite3.Cursor, left: float) -> Iterator[tuple[Any, ...]]:
        """Fetch rows for as many seconds as are left; those of who takes them do not count."""
        while True:
            began = time.monotonic()
            with self._within(left):
                rows = cursor.fetchmany(_BATCH)
            left -= time.monotonic() - began
            yield from rows
            if len(rows) < _BATCH:
                cursor.close()
                return
            if left <= 0:
                raise self._too_long()

    def _execute(
        self, sql: str, params: Mapping[str, Any] | None
    ) -> tuple[sqlite3.Cursor, tuple[str, ...]]:
        cursor = self._connection.execute(sql, params or {})
        if cursor.description is None:
            raise QueryError("There is no statement to run; write a SELECT.")
        return cursor, unique_names(column[0] for column in cursor.description)

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Let the database work for so long, and turn its exceptions to sentences."""
        self._deadline = time.monotonic() + seconds
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(error) from error
        except UnicodeEncodeError as error:
            raise QueryError(
                "What was asked for is not UTF-8, and the catalog holds nothing that is not: files "
                "of such names are in `catalog query --problems`."
            ) from error
        except (sqlite3.Warning, ValueError, OverflowError) as error:
            # Two statements at once, a NUL, an integer over 64 bits.
            raise QueryError(f"This cannot be run: {error}.") from error
        finally:
            self._deadline = float("inf")

    def limit_time(self, seconds: float) -> None:
        """See `catalog.query.connection.Reader.limit_time`."""
        self._time_limit = seconds

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, file: Path) -> tuple[sqlite3.Connection, str | None]:
        uri = f"file:{_quoted(str(file.absolute()))}?mode=ro"
        try:
            return _connect(uri)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in {
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            }:
                raise self._explain(error) from error
            log = file.with_name(f"{file.name}-wal")
            if log.exists() and log.stat().st_size:
                raise DatabaseError(
                    f"{self._shown} cannot be read: its write-ahead log holds changes, and its "
                    "folder is read-only. Copy both files elsewhere and name the copy with --db."
                ) from error
        except sqlite3.Error as error:
            raise self._explain(error) from error
        try:
            # Reading a write-ahead log needs a -shm file beside it, which a read-only folder
            # refuses; without a log nobody writes, and the file can be taken as it is.
            return _connect(f"{uri}&immutable=1")
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _see_own_views(self) -> None:
        """Put this program's views in place of those that another version left in the file.

        A command that writes makes them anew; one that reads has them for as long as it reads, in
        the part of SQLite's that is a connection's own.
        """
        connection = self._connection
        try:
            row = connection.execute(LAST_WORKED).fetchone()
            if row is None or row[0] == __version__:
                return
            from catalog.schema.views import ORDER, view_text

            connection.execute("PRAGMA temp_store = MEMORY")
            for name in ORDER:
                connection.execute(f"CREATE TEMP VIEW {name} AS\n{view_text(name)}")
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _guard(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        # One snapshot for all answers: the numbers of a report agree while an ingest writes.
        connection.execute("BEGIN")
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(self._is_late, _STEPS_BETWEEN_LOOKS)

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _too_long(self) -> QueryLimit:
        return QueryLimit(
            f"The query took longer than {self._time_limit:g} s and was stopped; narrow it, "
            "or allow more with --set sql_time_limit=SECONDS."
        )

    def _explain(self, error: sqlite3.Error) -> DatabaseError | QueryError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            if not self._is_late():
                # Ctrl-C reaches Python inside the progress handler, where SQLite swallows it.
                raise KeyboardInterrupt from error
            return self._too_long()
        if code == sqlite3.SQLITE_NOTADB:
            return NotACatalog(f"{self._shown} is no SQLite database; name another file with --db.")
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return DatabaseBusy(
                f"{self._shown} is held by another process; wait for it to end, then try again."
            )
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR}:
            return DatabaseError(
                f"{self._shown} is damaged ({error}); restore a backup, or make it anew with "
                "`catalog ingest PATH --db NEW`."
            )
        if code == sqlite3.SQLITE_CANTOPEN:
            return DatabaseError(
                f"{self._shown} cannot be opened: check that you may read it and its folder."
            )
        if code in {sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY} or str(error).startswith(
            _REFUSED
        ):
            return QueryError(_ONLY_READS)
        return QueryError(
            f"The database did not understand the query: {str(error).rstrip('.')}. "
            "`catalog query` lists the views; docs/schema.md describes their columns."
        )


def _connect(uri: str) -> tuple[sqlite3.Connection, str | None]:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        return connection, _version(connection)
    except BaseException:
        connection.close()
        raise


def _quoted(path: str) -> str:
    """Write out what has a meaning in the names of SQLite's URIs; urllib would take a while."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _version(connection: sqlite3.Connection) -> str | None:
    try:
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return None  # there is no such table
    return None if row is None else str(row[0])


def _authorize(action: int, _first: object, second: object, *_more: object) -> int:
    if action not in _READING or second == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
