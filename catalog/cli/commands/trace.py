"""`catalog trace`: where one checkpoint came from."""

from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import (
    DbOption,
    Format,
    FormatOption,
    HostOption,
    SetOption,
    new_app,
    open_catalog,
)
from catalog.cli.output import print_page
from catalog.errors import UsageError

app = new_app()


@app.command(cls=Command)
def trace(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Its path, a part of the path that no other has, or six or more digits of its "
            "weights' fingerprint or SHA-256; HOST:/PATH where several hosts have it."
        ),
    ],
    why_not: Annotated[
        str | None,
        typer.Option(
            "--why-not",
            metavar="RUN",
            help="Show what speaks for and against this run, and why it is not the one.",
            show_default=False,
        ),
    ] = None,
    lineage: Annotated[
        bool,
        typer.Option("--lineage", help="Show the checkpoints it came from, and those from it."),
    ] = False,
    form: FormatOption = Format.TABLE,
    host: HostOption = None,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Show where one checkpoint came from, and how that is known.

    A tree for people; json gives everything, the other formats give the evidence as rows.
    """
    if why_not is not None and lineage:
        raise UsageError("Either --why-not or --lineage: one question at a time.")
    catalog = open_catalog(db, settings, host)
    if why_not is not None:
        explanation = catalog.why_not(checkpoint, why_not)
        print_page(explanation, explanation.rows, form, "link_trees:draw_explanation")
    elif lineage:
        family = catalog.lineage(checkpoint)
        print_page(family, family.rows, form, "link_trees:draw_family")
    else:
        found = catalog.trace(checkpoint)
        print_page(found, found.evidence, form, "trace_tree:draw")
