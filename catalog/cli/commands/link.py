"""`catalog link`: a person's word on which run wrote a checkpoint."""

import sys
from typing import Annotated

import typer

from catalog.cli.conversion import Command, Group
from catalog.cli.options import DbOption, SetOption, new_app, open_catalog
from catalog.query.trace import Trace

app = new_app(cls=Group, no_args_is_help=True)

CheckpointArgument = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="As in `catalog trace`.")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="As in `catalog run`.")]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, for those who come later.", show_default=False)
]


@app.callback()
def link() -> None:
    """Say which run wrote a checkpoint, where you know better.

    What you say stands until you take it back: through every ingest, and where the file is moved.
    """


@app.command(cls=Command)
def pin(
    checkpoint: CheckpointArgument,
    run: RunArgument,
    reason: ReasonOption,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Say that this run wrote it."""
    _tell(open_catalog(db, settings).pin(checkpoint, run, reason))


@app.command(cls=Command)
def reject(
    checkpoint: CheckpointArgument,
    run: RunArgument,
    reason: ReasonOption,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Say that this run did not write it; evidence decides among the others."""
    _tell(open_catalog(db, settings).reject(checkpoint, run, reason))


@app.command(cls=Command)
def unpin(
    checkpoint: CheckpointArgument,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="Only what was said of this run; else of all.", show_default=False
        ),
    ] = None,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Take back what was pinned or rejected; evidence decides again."""
    _tell(open_catalog(db, settings).unpin(checkpoint, run))


def _tell(trace: Trace) -> None:
    row = trace.checkpoint
    verdict = "pinned" if row["decided_by"] == "person" else row["verdict"]
    to = f" to {row['run']}" if row["run"] else ""
    sys.stdout.write(f"{row['path']} is {verdict}{to}.\n")
