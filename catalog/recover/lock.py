"""One recovery at a time on one catalog: another would take its journal for a dead one's."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text

from catalog.errors import DatabaseBusy, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from catalog.schema.location import Location

_POSTGRESQL_LOCK = 0x7265636F766572


@contextmanager
def only_recovery(engine: Engine, location: Location) -> Iterator[None]:
    """Hold the catalog's recovery lock; the system frees it if the process dies.

    Raises:
        DatabaseBusy: another process recovers or undoes on this catalog.
        DatabaseError: the lock's file cannot be made beside the catalog.
    """
    if location.file is not None:
        with _file_lock(location.file.with_name(f"{location.file.name}-recovery"), location):
            yield
        return
    unlocked = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with unlocked as connection:
        lock = {"lock": _POSTGRESQL_LOCK}
        if not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), lock).scalar():
            raise _busy(location)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), lock)


@contextmanager
def _file_lock(path: Path, location: Location) -> Iterator[None]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DatabaseError(
            f"{path}: this file, which keeps a second recovery away, cannot be made "
            f"({error.strerror}); give yourself permission to write to {path.parent}, or copy the "
            "catalog to a folder of your own (`catalog db backup`) and name the copy with --db."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(location) from None
        if not _is_open_file(path, handle):
            raise _busy(location)  # its last holder removed it a moment ago
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _is_open_file(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _busy(location: Location) -> DatabaseBusy:
    return DatabaseBusy(
        f"Another recovery is at work on {location.shown}; wait for it to end, then try again."
    )
