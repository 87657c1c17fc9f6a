"""`catalog run`: one run on one page."""

from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_page
from catalog.errors import UsageError

app = new_app()


@app.command(cls=Command)
def run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Its id, one of its folders or a part of one, or its display name.",
        ),
    ],
    apart: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Take this folder out of the run it was joined to, from now on.",
            show_default=False,
        ),
    ] = None,
    rejoin: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Undo --apart: let evidence decide about this folder again.",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Show one run: where, when, how it ended, what it reached.

    A page for people; json gives everything, the other formats give the metrics as rows. Folders
    of other tools (a Hydra job, TensorBoard files) that tell of the same training belong to the
    run with the evidence for it; --apart and --rejoin are for a person who knows better. Its
    config is compared with runs of the same project: of its name in the tracker, and of one
    repository, or of one folder where no repository is named.
    """
    if apart and rejoin:
        raise UsageError("Either --apart or --rejoin: one folder at a time.")
    catalog = open_catalog(db, settings)
    if folder := apart or rejoin:
        catalog.keep_apart(name, folder, apart=apart is not None)
    page = catalog.run(name)
    print_page(page, page.rows, form, "run_page:draw")
