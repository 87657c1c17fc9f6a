"""`catalog sql`: free SQL, reading only."""

from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_rows

app = new_app()


@app.command(cls=Command)
def sql(
    statement: Annotated[
        str, typer.Argument(metavar="SELECT", help="One SELECT statement, quoted for the shell.")
    ],
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Run one SELECT of your own.

    The database is opened read-only, and what takes too long or gives too many rows is cut
    off (settings sql_time_limit and sql_row_limit). `catalog query` lists the views to ask.
    """
    print_rows(
        open_catalog(db, settings).sql(statement),
        form,
        more="Raise --set sql_row_limit=N to see more.",
    )
