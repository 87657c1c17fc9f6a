"""Alembic's entry: runs the revisions on the connection that catalog hands over.

For a developer's own `alembic` commands, name the database with `-x db=PATH_OR_URL`.
"""

from __future__ import annotations

from alembic import context

from catalog.schema.engine import open_engine
from catalog.schema.location import locate
from catalog.schema.tables import metadata
from catalog.schema.version import VERSION_TABLE


def run(connection: object) -> None:
    """Run the pending revisions."""
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,  # SQLite cannot alter a table in place
        include_object=lambda _object, _name, kind, *_rest: kind != "view",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = open_engine(locate(context.get_x_argument(as_dictionary=True).get("db")))
    with engine.begin() as own:
        run(own)
