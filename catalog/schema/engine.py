"""SQLAlchemy engines for writing, with SQLite set up as a catalog needs it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from catalog.errors import DatabaseBusy, DatabaseError, NotACatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from catalog.schema.location import Location

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another one before it gives up."""


def open_engine(location: Location, *, durable: bool = False, reading: bool = False) -> Engine:
    """Return an engine for writing, or for looking at what writing would do.

    Args:
        location: the database.
        durable: every commit is on disk before the next statement. Without it the last
            commits may be lost with the power (never in part), and an ingest reads again.
        reading: nothing can be written with it, and it waits for no writer.

    On SQLite: foreign keys are enforced, and every transaction begins IMMEDIATE, so that two
    writers queue up instead of failing half-way.

    Raises:
        DatabaseError: the driver that the URL needs is not installed.
    """
    try:
        engine = create_engine(location.url)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"{location.shown}: its driver is not installed ({error}); "
            "try `pip install 'catalog[postgresql]'`."
        ) from error
    except (ArgumentError, ValueError):
        # What SQLAlchemy says of it may hold what was taken for a port.
        raise no_url(location) from None
    if location.file is not None:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin if reading else _begin_immediate)
        if reading:
            event.listen(engine, "connect", _only_read)
        if durable:
            event.listen(engine, "connect", _make_durable)
    return engine


def no_url(location: Location) -> DatabaseError:
    """Return the error of a URL that cannot be taken apart."""
    return DatabaseError(
        f"{location.shown} is no URL of a database; write it as "
        "postgresql+psycopg://user@host:port/name."
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: SQLAlchemy's "begin" below does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _make_durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _only_read(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def writing(engine: Engine, location: Location) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back on any exception.

    Raises:
        DatabaseBusy: another process kept the database locked for `BUSY_TIMEOUT_MS`.
        DatabaseError: the database refused (read-only file, full disk, damage, ...).
    """
    with explained(location), engine.begin() as connection:
        yield connection


@contextmanager
def explained(location: Location) -> Iterator[None]:
    """Turn the driver's exceptions to sentences for a user."""
    try:
        yield
    except DBAPIError as error:
        raise _explain(error, location) from error


def _explain(error: DBAPIError, location: Location) -> DatabaseError:
    said = str(error.orig)
    shown = location.shown
    if "database is locked" in said:
        return DatabaseBusy(
            f"{shown} is being written by another process; wait for it to end, then try again."
        )
    if "not a database" in said:
        return NotACatalog(f"{shown} is no SQLite database; name another file with --db.")
    if "readonly" in said:
        return DatabaseError(f"{shown} cannot be written: give yourself write permission on it.")
    if "malformed" in said:
        return DatabaseError(
            f"{shown} is damaged ({said}); restore a backup, or make it anew with "
            "`catalog ingest PATH --db NEW`."
        )
    if "unable to open" in said:
        if location.file is not None and location.file.is_dir():
            return NotACatalog(f"{shown} is a folder; name the database file with --db.")
        return DatabaseError(
            f"{shown} cannot be opened: check that its folder exists and can be written."
        )
    if "full" in said:
        return DatabaseError(
            f"{shown}: the disk is full. What was written before is kept; free some space "
            "and run the command again."
        )
    return DatabaseError(f"{shown}: the database refused: {said}.")
