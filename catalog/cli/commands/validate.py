"""`catalog validate`: check a person's statement on a training."""

from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_rows

app = new_app()


@app.command(cls=Command)
def validate(
    claim: Annotated[
        Path,
        typer.Argument(
            metavar="CLAIM.yaml",
            help="States run, experiment, folder, time (and zone), config, metrics, variants.",
        ),
    ],
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Check a person's statement on a training, point by point.

    Exit code 0 only if every point holds. A time without a zone is tried as UTC and as the run's
    local time; the note says which reading fits. A metric may be off by half of its last digit
    unless it states a tolerance: `val/hmean: {value: 0.95, tolerance: 0.01}`.
    """
    verdicts = open_catalog(db, settings).validate(claim)
    print_rows(verdicts.rows(), form)
    if not verdicts.hold:
        raise typer.Exit(1)
