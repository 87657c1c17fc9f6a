"""`catalog sql`: free SQL, reading only."""

from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import (
    PAGE,
    DbOption,
    Format,
    FormatOption,
    LimitOption,
    SetOption,
    new_app,
    open_catalog,
)
from catalog.cli.output import print_rows, print_stream
from catalog.settings import default_of

app = new_app()


@app.command(cls=Command)
def sql(
    statement: Annotated[
        str, typer.Argument(metavar="SELECT", help="One SELECT statement, quoted for the shell.")
    ],
    limit: LimitOption = None,
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Run one SELECT of your own.

    The database is opened read-only. What takes too long (setting sql_time_limit) ends with an
    error and exit code 1, also where rows were written before: with code 0 an export is whole.
    `catalog query` lists the views to ask.
    """
    catalog = open_catalog(db, settings)
    most = catalog.settings.sql_row_limit
    is_bounded = most != default_of("sql_row_limit")
    if limit is None and form is not Format.TABLE:
        with catalog.stream_sql(statement) as stream:
            print_stream(stream, form, most if is_bounded else None)
        return
    if limit is None:
        limit = most if is_bounded else PAGE
    print_rows(catalog.sql(statement, limit=limit), form, more="Raise --limit to see more.")
