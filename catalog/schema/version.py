"""The versions of the schema, and the sentence for a database that has another one.

Nothing here imports Alembic: read commands compare one text with `HEAD`, and a test
holds this list to the revisions in `migrations/`.
"""

from __future__ import annotations

import shlex

from catalog.errors import NotACatalog, SchemaNewer, SchemaOlder

REVISIONS = ("0.1.0", "0.2.0", "0.3.0", "0.5.0")
"""Every revision that was ever released, in order; each is named after its release."""

HEAD = REVISIONS[-1]
LAST_WORKED = "SELECT catalog_version FROM ingest ORDER BY id DESC LIMIT 1"
"""Asks which version of catalog worked last on a database: its views are of that one."""
VERSION_TABLE = "catalog_schema"
"""Alembic's table under a name of our own, so that catalog can share a database."""


def check(found: str | None, shown: str) -> None:
    """Raise unless a database of version `found` can be read by this catalog.

    Args:
        found: what the version table says; None if there is none.
        shown: how to name the database to a person.

    Raises:
        NotACatalog: there is no version table.
        SchemaOlder: an upgrade is due.
        SchemaNewer: a newer catalog made it.
    """
    if found == HEAD:
        return
    if found is None:
        raise NotACatalog(
            f"{shown} is a database, but no catalog: it has no table {VERSION_TABLE}. "
            "Name another file with --db, or make a catalog with `catalog ingest PATH`."
        )
    if found in REVISIONS:
        raise SchemaOlder(
            f"{shown} has schema {found}, this catalog needs {HEAD}. "
            f"Run `catalog db upgrade --db {shlex.quote(shown)}`; it copies the file first."
        )
    raise SchemaNewer(
        f"{shown} has schema {found}, which is newer than this catalog ({HEAD}). "
        "Upgrade catalog (`pip install --upgrade catalog`), or name another file with --db."
    )
