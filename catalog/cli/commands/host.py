"""`catalog host`: the names of machines under which trees are kept."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.conversion import Command, Group
from catalog.cli.options import DbOption, Format, FormatOption, new_app, open_catalog
from catalog.cli.output import print_rows
from catalog.query.values import counted, visible

app = new_app(cls=Group, no_args_is_help=True)


@app.callback()
def host() -> None:
    """Show which machines saw which trees, and give one another name.

    A tree that the catalog knows under another host name is the same tree where known files are
    found at the same paths with equal sizes, times and inodes. A copy has other inodes and is
    another tree; so is, to `catalog`, one on a network disk that gives each machine its own.
    `catalog host move` is how a person says that it is one. In containers a name that stays, with
    --host or CATALOG_HOST, is simplest.
    """


@app.command("list", cls=Command)
def list_hosts(form: FormatOption = Format.TABLE, db: DbOption = None) -> None:
    """List all names under which each tree was seen, and when."""
    print_rows(open_catalog(db).query("hosts"), form)


@app.command(cls=Command)
def move(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name until now.")],
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW", help="The name from now on; it may be one that is known already."
        ),
    ],
    path: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Only this tree; else all of them.", show_default=False),
    ] = None,
    db: DbOption = None,
) -> None:
    """Give the trees of a host to another name.

    What NEW knows at the same path is made one tree with it: of a file that both know one stays,
    with what people and recoveries said of either. No file on disk is looked at or changed.
    """
    moved = open_catalog(db).move_host(old, new, root=path)
    for root in moved.roots:
        sys.stdout.write(f"{visible(root)} is a tree of {visible(new)} now.\n")
    if moved.merged:
        sys.stdout.write(
            f"Joined with what {visible(new)} knew already: {counted(moved.merged, 'tree')}.\n"
        )
