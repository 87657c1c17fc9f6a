"""`catalog trace`: where one checkpoint came from."""

from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_json, print_rows

app = new_app()


@app.command(cls=Command)
def trace(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Its path, a part of the path that no other has, or six or more digits of its "
            "weights' fingerprint."
        ),
    ],
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Show where one checkpoint came from, and how that is known.

    A tree for people; json gives everything, the other formats give the evidence as rows.
    """
    found = open_catalog(db, settings).trace(checkpoint)
    if form is Format.TABLE:
        from catalog.cli.trace_tree import draw

        draw(found)
    elif form is Format.JSON:
        print_json(found.to_dict())
    else:
        print_rows(found.evidence(), form)
