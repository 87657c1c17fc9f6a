"""`catalog db`: look after the database."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.conversion import Command, Group
from catalog.cli.options import DbOption, Format, FormatOption, new_app, open_catalog
from catalog.cli.output import print_rows
from catalog.query.rows import Rows

app = new_app(cls=Group, no_args_is_help=True)


@app.callback()
def db() -> None:
    """Look after the database: upgrade it, see its version, copy it."""


@app.command(cls=Command)
def upgrade(db: DbOption = None) -> None:
    """Bring the database to the newest schema.

    A SQLite file is copied beside itself first.
    """
    result = open_catalog(db).upgrade()
    if not result.pending:
        sys.stdout.write(f"The schema is {result.head} already; its views were made anew.\n")
        return
    sys.stdout.write(f"The schema went from {result.found} to {result.head}.\n")
    if result.copy is not None:
        sys.stdout.write(f"The file as it was: {result.copy}\n")


@app.command(cls=Command)
def status(form: FormatOption = Format.TABLE, db: DbOption = None) -> None:
    """Show the schema's version, and what an upgrade would do."""
    found = open_catalog(db).schema_status()
    print_rows(
        Rows(
            ("database", "schema", "newest", "pending"),
            [(found.database, found.found, found.head, ", ".join(found.pending))],
        ),
        form,
    )


@app.command(cls=Command)
def backup(
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="File to make; it must not exist yet.")
    ],
    db: DbOption = None,
) -> None:
    """Copy a SQLite catalog while others may use it."""
    sys.stdout.write(f"{open_catalog(db).backup(target)} is written.\n")
