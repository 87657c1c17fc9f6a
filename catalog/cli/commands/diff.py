"""`catalog diff`: what two checkpoints, or some runs, do not have in common."""

import sys
from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_rows

app = new_app()

_SIDE = "A checkpoint on disk, or one of the catalog by a part of its path; or a run."


@app.command(cls=Command)
def diff(
    left: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    right: Annotated[str, typer.Argument(metavar="B", help=_SIDE)],
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", help="Further runs.", show_default=False),
    ] = None,
    fail_if_any: Annotated[
        bool, typer.Option("--fail-if-any", help="Exit with 1 if anything differs.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Read the weights of both, whatever the files state of them."
        ),
    ] = False,
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Show what differs between two checkpoints, or between runs.

    Of checkpoints facts, hyper-parameters and tensors are compared, of runs facts, configs and
    final metrics; only differing keys are printed. Weights are told apart by their fingerprint, as
    the files state it, and with --verify by their bytes. Where there is none (safetensors, HDF5,
    Hugging Face folders, weights that are not understood) the files on disk are read whole; what
    is damaged, not at hand, or not told apart from the rest of a file is `not compared`.
    The database is needed only for what is not on disk.
    """
    rows = open_catalog(db, settings).diff(left, right, *(more or ()), verify=verify)
    if form is Format.TABLE and not rows.rows:
        sys.stderr.write(f"Nothing differs. {rows.note or ''}".rstrip() + "\n")
        return
    print_rows(rows, form)
    if rows.note:
        sys.stdout.flush()
        sys.stderr.write(f"catalog: {rows.note}\n")
    if fail_if_any and rows.rows:
        raise typer.Exit(1)
