"""`catalog settings`: what --set takes, and what the catalog keeps."""

import sys
from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, new_app, open_catalog
from catalog.cli.output import print_rows
from catalog.query.rows import Rows
from catalog.settings import Value, all_settings, parse_values

app = new_app()


@app.command(cls=Command)
def settings(
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Keep a setting in the catalog, for every command from now on.",
            show_default=False,
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Let a kept setting have its default again.", show_default=False
        ),
    ] = None,
    db: DbOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List the settings, and keep them in the catalog.

    --set on a command changes one for that call; --keep here changes it for the catalog, and
    links and states are judged by it at once. Lists are written with commas:
    --keep config_sections=model,data.
    """
    catalog = open_catalog(db)
    if keep or forget:
        catalog.keep_settings(parse_values(keep or ()), forget=forget or ())
        sys.stderr.write(
            "Links and states are judged by it; what an ingest reads and leaves out follows with "
            "the next `catalog ingest`.\n"
        )
    kept = catalog.kept_settings()
    rows = [
        (
            setting.name,
            _text(kept.get(setting.name, setting.default)),
            "kept" if setting.name in kept else "default",
            _text(setting.default),
            setting.help,
        )
        for setting in all_settings()
    ]
    print_rows(Rows(("name", "value", "source", "default", "help"), rows), form)


def _text(value: Value) -> int | float | str:
    return ",".join(value) if isinstance(value, tuple) else value
