"""`catalog forget`: take a place out of the catalog."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, new_app, open_catalog
from catalog.errors import UsageError
from catalog.query.values import counted, visible

if TYPE_CHECKING:
    from catalog.forget import Extent

app = new_app()


@app.command(cls=Command)
def forget(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A tree, a folder or a file; it need not be there any more."
        ),
    ],
    missing: Annotated[
        bool, typer.Option("--missing", help="Only files that were gone at the last ingest.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be forgotten, and forget nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The host whose place it is; it may be gone. `catalog host list` names them all. "
            "[default: this one, or the only other that knows the place]",
            show_default=False,
        ),
    ] = None,
    db: DbOption = None,
) -> None:
    """Take what lies in a place out of the catalog.

    Nothing on disk is touched: an ingest that comes by reads it again. What is gone from disk
    cannot be read again, nor comes back what people said of it; `catalog db backup` keeps a copy.
    """
    catalog = open_catalog(db, None)
    extent = catalog.forget(path, host=host, missing_only=missing, dry_run=True)
    sys.stdout.write(f"{visible(str(path))} of host {visible(extent.host)}: {_told(extent)}.\n")
    if dry_run:
        sys.stdout.write("Nothing was forgotten; leave out --dry-run to forget it.\n")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nothing was forgotten: say --yes where nobody can be asked.")
        sys.stdout.flush()
        if not typer.confirm("Forget it?", err=True):
            sys.stdout.write("Nothing was forgotten.\n")
            return
    catalog.forget(path, host=extent.host, missing_only=missing)
    sys.stdout.write("Forgotten.\n")


def _told(extent: "Extent") -> str:
    told = [
        f"{counted(extent.files, 'file')} in the catalog",
        f"{counted(extent.checkpoints, 'checkpoint')} among them",
    ]
    if extent.run_directories:
        told.append(f"{counted(extent.run_directories, 'run folder')}")
    if extent.gone:
        told.append(f"{extent.gone} gone from disk, which cannot be read again")
    if extent.decisions:
        told.append(f"{counted(extent.decisions, 'decision')} of people")
    if extent.recovered:
        told.append(
            f"{counted(extent.recovered, 'file')} written by recoveries, which can then neither be "
            "verified nor undone"
        )
    return ", ".join(told)
