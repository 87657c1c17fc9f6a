"""`catalog report`: the whole state of things as a page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, SetOption, new_app, open_catalog
from catalog.errors import SourceError

app = new_app()


@app.command(cls=Command)
def report(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write [default: standard output].",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        int,
        typer.Option("--rows", min=1, help="Most rows of one table; the counts are of everything."),
    ] = 200,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Write the whole state of things as a Markdown page.

    Every number on it is the result of a query, which stands beside it.
    """
    text = open_catalog(db, settings).report(rows=rows)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        if output.is_file() and _begins(output, b"SQLite format 3\0"):
            raise SourceError(f"{output} is a database; name another file with --output.")
        output.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        said = error.strerror or error
        raise SourceError(
            f"{output} cannot be written ({said}); name another file with --output."
        ) from error
    sys.stderr.write(f"{output} is written.\n")


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
