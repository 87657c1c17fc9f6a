"""Create a catalog, bring an older one up to date, copy one safely."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from catalog import __version__
from catalog.errors import DatabaseError
from catalog.schema.engine import explained, open_engine
from catalog.schema.location import must_be_a_file
from catalog.schema.version import HEAD, LAST_WORKED, REVISIONS, VERSION_TABLE, check
from catalog.schema.views import make_views

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from catalog.schema.location import Location


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """What version a database has and what an upgrade would do."""

    database: str
    found: str | None
    head: str
    pending: tuple[str, ...]


def migrations_directory() -> Path:
    """Return the folder of Alembic revisions, in the wheel or in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def schema_status(location: Location) -> SchemaStatus:
    """Return the schema's version; nothing is written.

    Raises:
        DatabaseMissing: no such file.
        NotACatalog: it is something else.
        SchemaNewer: a newer catalog made it.
    """
    _must_exist(location)
    engine = open_engine(location, reading=True)
    try:
        with explained(location), engine.connect() as connection:
            found = _found(connection)
    finally:
        engine.dispose()
    if found not in REVISIONS:
        check(found, location.shown)
    pending = REVISIONS[REVISIONS.index(str(found)) + 1 :]
    return SchemaStatus(location.shown, found, HEAD, pending)


def open_for_writing(location: Location) -> Engine:
    """Return an engine on a catalog at the newest schema, made if there is none yet.

    Raises:
        NotACatalog: the database holds other tables and no catalog.
        SchemaOlder: the catalog needs an upgrade first.
        SchemaNewer: a newer catalog made it.
    """
    engine = open_engine(location)
    try:
        with explained(location):
            with engine.connect() as connection:
                found = _found(connection)
                empty = not inspect(connection).get_table_names()
            if found is None and empty:
                _keep_write_ahead_log(engine)
                _run_revisions(engine)
            else:
                check(found, location.shown)
                _renew_views(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_existing(location: Location, *, durable: bool = False, reading: bool = False) -> Engine:
    """Return an engine on a catalog that must be there already.

    Args:
        location: the database.
        durable: see `open_engine`.
        reading: see `open_engine`.

    Raises:
        DatabaseMissing: no such file.
        NotACatalog: it is something else.
        SchemaOlder: the catalog needs an upgrade first.
        SchemaNewer: a newer catalog made it.
    """
    _must_exist(location)
    engine = open_engine(location, durable=durable, reading=reading)
    try:
        with explained(location):
            with engine.connect() as connection:
                check(_found(connection), location.shown)
            if not reading:
                _renew_views(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def upgrade(location: Location) -> tuple[SchemaStatus, Path | None]:
    """Bring a catalog to the newest schema and make its views anew.

    Args:
        location: an existing catalog; a SQLite file is copied beside itself first.

    Returns:
        The status before, and the copy (None where nothing was pending or no file is).
    """
    status = schema_status(location)
    copy: Path | None = None
    if status.pending and location.file is not None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        copy = backup(
            location, location.file.with_name(f"{location.file.name}.{status.found}.{stamp}.bak")
        )
    engine = open_engine(location)
    try:
        with explained(location):
            _run_revisions(engine)
    finally:
        engine.dispose()
    return status, copy


def backup(location: Location, target: Path) -> Path:
    """Copy a SQLite catalog to `target` while others may read or write it.

    Raises:
        DatabaseError: the target exists, cannot be written, or the catalog is no file.
    """
    _must_exist(location)
    if location.file is None:
        raise DatabaseError(
            f"{location.shown}: only SQLite files are backed up by catalog; use pg_dump."
        )
    if target.exists():
        raise DatabaseError(f"{target} exists already; name another file for the backup.")
    try:
        with (
            closing(
                sqlite3.connect(f"file:{quote(str(location.file))}?mode=ro", uri=True)
            ) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise DatabaseError(
            f"{location.shown} could not be copied to {target}: {_reason(error)}."
        ) from error
    return target


def _reason(error: sqlite3.Error) -> str:
    """Return why a copy failed, in a user's words where SQLite's say little."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
        return "the folder does not exist, or you may not write there; name another place"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; free some of it, or name another place"
    return str(error)


def _must_exist(location: Location) -> None:
    if location.file is not None:
        must_be_a_file(location.file, location.shown)


def _found(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return None if version is None else str(version)


def _renew_views(engine: Engine) -> None:
    """Make the views anew where another version of catalog did the last ingest.

    Views hold no data and a release may change them without a revision of the tables.
    """
    with engine.connect() as connection:
        if connection.execute(text(LAST_WORKED)).scalar() in (None, __version__):
            return
    try:
        with engine.begin() as connection:
            make_views(connection)
    except DBAPIError:
        if engine.dialect.name == "sqlite":
            raise
        # Somebody's own views are built on ours, which stay; `catalog db upgrade` tells it.


def _keep_write_ahead_log(engine: Engine) -> None:
    """Let readers go on while an ingest writes; SQLite keeps this in the file."""
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()


def _run_revisions(engine: Engine) -> None:
    # Imported here, for an ingest into a catalog that is up to date needs none of it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        make_views(connection)
