"""`catalog inspect`: what one checkpoint on disk says, without a catalog."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import Format, FormatOption, new_app
from catalog.cli.output import print_json, print_rows
from catalog.errors import SourceError
from catalog.query.rows import Rows
from catalog.query.values import shown

app = new_app()


@app.command(cls=Command)
def inspect(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A checkpoint: a file, or a directory of parts.")
    ],
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Its tensors: name, type, shape, bytes.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what one checkpoint on disk says, without a catalog.

    Nothing is loaded or executed; kilobytes are read. `safety` is the verdict on its pickle:
    plain, unknown (names that are not on the list) or dangerous. Exit code 1 if it is no
    checkpoint or a broken one.
    """
    from catalog.query.inspect import inspect as read

    found = read(path)
    if form is Format.JSON:
        print_json(found.to_dict(tensors=tensors))
    elif tensors:
        print_rows(found.tensor_rows(), form)
    elif form is Format.TABLE:
        # Sizes and times as in every other table, which knows them by their columns' names.
        rows = found.rows()
        print_rows(
            Rows(rows.columns, [(name, shown(name, value)) for name, value in rows.rows]), form
        )
    else:
        print_rows(found.rows(), form)
    if found.verdict is not None:
        sys.stdout.flush()
        raise SourceError(found.verdict)
