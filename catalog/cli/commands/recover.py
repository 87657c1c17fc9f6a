"""`catalog recover`: give unusable checkpoints their configs back."""

import sys
from typing import Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_rows
from catalog.query.rows import Rows

app = new_app()


@app.command(cls=Command)
def recover(
    part: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH-PART",
            help="Only checkpoints whose path holds this.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Write the configs that unusable checkpoints lack.

    Nothing is guessed: a config is cut from what the checkpoint's run states. No existing file
    is overwritten, unless an earlier recovery wrote it and it is unchanged.
    """
    recovery = open_catalog(db, settings).recover(dry_run=dry_run, only=part)
    files = recovery.files
    print_rows(
        Rows(
            ("checkpoint", "action", "sidecar", "source", "note"),
            [
                (file.checkpoint, file.action, file.sidecar, file.source, file.note)
                for file in files
            ],
        ),
        form,
    )
    sys.stdout.flush()
    counts = dict.fromkeys(_SAID, 0)
    for file in files:
        counts[file.action] += 1
    said = ", ".join(f"{count} {_SAID[action]}" for action, count in counts.items() if count)
    sys.stderr.write(f"{said or 'Nothing to recover'}.{_next(dry_run, counts)}\n")
    if counts["failed"]:
        raise typer.Exit(1)


_SAID = {
    "write": "to be written",
    "written": "written",
    "skipped": "skipped",
    "failed": "failed",
}


def _next(dry_run: bool, counts: dict[str, int]) -> str:
    if dry_run and counts["write"]:
        return " Nothing was written; leave out --dry-run to write."
    if counts["written"]:
        return " `catalog status` shows where things stand now."
    return ""
