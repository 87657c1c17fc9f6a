"""Where the catalog's database is: an option, an environment variable, or the working directory.

Nothing here imports SQLAlchemy: read commands on SQLite come this way.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from catalog.errors import DatabaseError, DatabaseMissing, NotACatalog

ENVIRONMENT = "CATALOG_DB"
DEFAULT = "catalog.db"


class Location(NamedTuple):
    """A database, named by a file (SQLite) or by a URL of SQLAlchemy's form."""

    url: str
    file: Path | None
    """The SQLite file; None for any other database."""

    shown: str
    """How to name it to a person, and in a command to type: the path, or the URL without a
    password, which the driver knows from $PGPASSWORD or ~/.pgpass."""

    def __repr__(self) -> str:
        """Return its name: a password stays out of tracebacks that show variables."""
        return f"Location({self.shown!r})"


def locate(db: str | os.PathLike[str] | None = None) -> Location:
    """Return the database to use: `db`, else `$CATALOG_DB`, else `catalog.db` in the working dir.

    Args:
        db: a path of a SQLite file, or a URL such as `postgresql+psycopg://user@host/name`.

    Raises:
        DatabaseError: a URL of a database that catalog does not know.
    """
    text = os.fspath(db) if db is not None else os.environ.get(ENVIRONMENT) or DEFAULT
    scheme, found, rest = text.partition("://")
    if not found:
        if "=" in text and _is_connection_string(text):
            raise DatabaseError(
                "What names the database looks like a connection string with a password; give a "
                "file path or a URL such as postgresql+psycopg://user@host/name."
            )
        return Location(f"sqlite:///{text}", Path(text), text)
    from catalog.passwords import address_of, hide_passwords

    dialect = scheme.partition("+")[0]
    if dialect == "sqlite":
        path = rest.removeprefix("/").partition("?")[0]
        if path in {"", ":memory:"}:
            raise DatabaseError(
                f"{hide_passwords(text)}: a catalog in memory would be gone at once; name a file, "
                "such as sqlite:///catalog.db."
            )
        if "@" in rest and not rest.startswith("/"):
            raise DatabaseError(
                f"{hide_passwords(text)}: SQLite has no users and no hosts; write sqlite:///FILE."
            )
        return Location(f"sqlite:///{path}", Path(path), path)
    if dialect in {"postgresql", "postgres"}:
        address = address_of(scheme if "+" in scheme else "postgresql+psycopg", rest)
        return Location(address.url, None, address.shown)
    raise DatabaseError(
        f"{hide_passwords(text)}: catalog keeps its tables in SQLite or PostgreSQL, not in "
        f"{dialect!r}; give a file path or a URL that begins with sqlite:/// or "
        "postgresql+psycopg://."
    )


def _is_connection_string(text: str) -> bool:
    from catalog.passwords import is_connection_string

    return is_connection_string(text)


def must_be_a_file(file: Path, shown: str) -> None:
    """Raise, with a sentence that names it, unless a database may be looked for there.

    Raises:
        DatabaseMissing: there is nothing.
        NotACatalog: a folder, or no regular file.
        DatabaseError: it cannot be looked at.
    """
    try:
        is_folder = file.is_dir()
        exists = file.exists()
    except OSError as error:
        said = error.strerror or error
        raise DatabaseError(
            f"{shown} cannot be opened ({said}): check that you may read it and its folder."
        ) from error
    except ValueError as error:
        raise DatabaseError(f"{shown!r} is no path of a file: {error}.") from error
    if is_folder:
        raise NotACatalog(f"{shown} is a folder; name the database file with --db.")
    if not exists:
        raise DatabaseMissing(
            f"There is no catalog at {shown}; make one with `catalog ingest PATH`, "
            "or name another with --db."
        )
    if not file.is_file():
        raise NotACatalog(f"{shown} is no regular file; name the database file with --db.")
