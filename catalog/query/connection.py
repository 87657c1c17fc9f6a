"""Open a catalog for reading: the contract of every reader, and which one a location needs.

A reader

- never writes: the database is opened read-only, and statements that would change
  anything are refused before they run;
- answers one statement at a time, each within `Settings.sql_time_limit` seconds;
- answers all of them from one state of the database, whatever others write meanwhile;
- takes `:name` placeholders with a mapping of values;
- raises nothing but `CatalogError`s whose texts can be shown to a user;
- belongs to the thread that opened it, and is closed by `close` or a `with` block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.query.rows import Rows, Stream
    from catalog.schema.location import Location
    from catalog.settings import Settings


class Reader(Protocol):
    """An open catalog that can be asked."""

    def run(
        self, sql: str, params: Mapping[str, Any] | None = None, *, row_limit: int | None = None
    ) -> Rows:
        """Answer one SELECT.

        Args:
            sql: one statement, with `:name` where a value goes.
            params: the values.
            row_limit: most rows to return; `Rows.truncated` says that there were more.
                None: no limit.

        Raises:
            QueryError: the statement is wrong, would write, or names what does not exist.
            QueryLimit: it ran out of its time.
            DatabaseError: the database cannot be read.
        """
        ...

    def stream(self, sql: str, params: Mapping[str, Any] | None = None) -> Stream:
        """Answer one SELECT with all its rows, one after another; see `run`.

        The time limit is that of what the database does, however slowly the rows are taken.
        Nothing else is asked before the last one is.

        Raises:
            QueryError: see `run`, also while rows are taken.
            QueryLimit: the same.
            DatabaseError: the same.
        """
        ...

    def limit_time(self, seconds: float) -> None:
        """Let each statement from now on take so many seconds, in place of the setting's."""
        ...

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def open_reader(location: Location, settings: Settings) -> Reader:
    """Open a catalog for reading, after a look at its schema version.

    Raises:
        DatabaseMissing: there is no such file.
        NotACatalog: a folder, another kind of file, or a database without a catalog.
        SchemaOlder: it needs an upgrade first.
        SchemaNewer: a newer catalog made it.
        DatabaseError: it cannot be opened.
    """
    if location.file is not None:
        from catalog.query.sqlite import SqliteReader

        return SqliteReader(location, location.file, settings)
    from catalog.query.postgresql import PostgresqlReader

    return PostgresqlReader(location, settings)
