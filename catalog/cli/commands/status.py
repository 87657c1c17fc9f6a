"""`catalog status`: how far the migration is."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_rows
from catalog.query.rows import Rows
from catalog.query.values import counted, human_size, shown
from catalog.states import BY_NAME, STATES, UNUSABLE

if TYPE_CHECKING:
    from rich.console import Console

app = new_app()

_BAR = 60
_BURN_DOWN = 40
_BESIDE_BURN_DOWN = 30
"""Columns for the time before a bar and the number after it."""
_MOMENTS = 15


class Group(StrEnum):
    """What checkpoints are grouped by."""

    ROOT = "root"
    EXPERIMENT = "experiment"
    AGE = "age"
    SIZE = "size"


@app.command(cls=Command)
def status(
    by: Annotated[
        Group | None,
        typer.Option(
            "--by",
            metavar="root|experiment|age|size",
            help="Count by this.",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Show how many checkpoints are in which state, now and before.

    In the formats for programs it gives the states now; `catalog query migration-progress`
    gives what came before, `catalog query unusable-reasons` what is left to do.
    """
    catalog = open_catalog(db, settings)
    if by is not None:
        print_rows(catalog.status_by(by.value), form)
        return
    states = catalog.status()
    if form is not Format.TABLE:
        print_rows(states, form)
        return
    from rich.console import Console

    console = Console(highlight=False)
    _draw(console, states)
    (standing,) = catalog.query("ingest-summary").dicts()
    if doubted := standing["doubted"]:
        console.print(
            f"{counted(doubted, 'usable checkpoint')} with a doubt, which `catalog query --usable` "
            "tells.",
            soft_wrap=True,
        )
    _draw_progress(console, catalog.progress())
    left = catalog.query("unusable-reasons")
    if left.rows:
        console.print("\nWhat is left, and what it needs:", highlight=False)
        print_rows(left, form)


def _draw(console: "Console", states: Rows) -> None:
    from rich.text import Text

    rows = states.dicts()
    width = min(_BAR, max(console.width - len(rows), 1))
    # A state's own part: those of its kinds have a colour of their own.
    parts = {row["state"]: row["checkpoints"] for row in rows}
    for row in rows:
        if row["part_of"]:
            parts[row["part_of"]] -= row["checkpoints"]
    total = sum(parts.values())
    bar = Text()
    for state, count in parts.items():
        # At least one cell for a state that has any checkpoint at all.
        cells = max(1, round(width * count / total)) if count else 0
        bar.append("█" * cells, style=BY_NAME[state].colour)
    if total:
        console.print(bar)
    for row in _rows_to_show(rows):
        line = Text("■ ", style=BY_NAME[row["state"]].colour)
        counts = f"{row['checkpoints']:>8}  {human_size(row['bytes']):>10}"
        line.append(f"{BY_NAME[row['state']].label:<18}{counts}", style="default")
        console.print(line)
    bytes_of = {row["state"]: row["bytes"] for row in rows}
    unusable = sum(bytes_of[state] for state in UNUSABLE)
    recoverable, ambiguous = bytes_of["recoverable"], bytes_of["ambiguous config"]
    waiting = f", {human_size(ambiguous)} once a person decides" if ambiguous else ""
    console.print(
        f"\nUnusable: {human_size(unusable)}, of which {human_size(recoverable)} can be "
        f"recovered{waiting} and {human_size(unusable - recoverable - ambiguous)} cannot with what "
        "is on disk.",
        soft_wrap=True,
    )


def _rows_to_show(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the states of which there is any, and those that are not rare."""
    return [row for row in rows if row["checkpoints"] or not BY_NAME[row["state"]].is_rare]


def _draw_progress(console: "Console", progress: Rows) -> None:
    """Show what is left over time: bars on a terminal, all numbers elsewhere."""
    from rich.text import Text

    if not progress.rows:
        return
    sys.stdout.write("\n")
    if not sys.stdout.isatty():
        print_rows(_without_rare(progress), Format.TABLE)
        return
    rows = _moments(progress.dicts())
    most = max(row["unusable"] for row in rows) or 1
    width = min(_BURN_DOWN, max(console.width - _BESIDE_BURN_DOWN, 1))
    console.print("Unusable over time:")
    for row in rows:
        line = Text(f"{shown('finished_at', row['finished_at'] or 'unfinished'):<21} ")
        for state in (one for one in reversed(STATES) if one.is_unusable):
            cells = -(-width * row[state.column] // most) if row[state.column] else 0
            line.append("█" * cells, style=state.colour)
        line.append(f" {row['unusable']}", style="bold")
        line.append(f"  {row['cause']}", style="dim")
        console.print(line, overflow="ellipsis", no_wrap=True)
    hidden = len(progress.rows) - len(rows)
    if hidden:
        console.print(
            f"{counted(hidden, 'more ingest')} in `catalog query migration-progress`.", style="dim"
        )


def _without_rare(progress: Rows) -> Rows:
    """Return the progress without the columns of rare states that no checkpoint was in."""
    rows = progress.dicts()
    rare = {state.column for state in STATES if state.is_rare}
    columns = [
        name for name in progress.columns if name not in rare or any(row[name] for row in rows)
    ]
    return Rows(tuple(columns), [tuple(row[name] for name in columns) for row in rows])


def _moments(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ingests that changed something, and the last one: the newest few."""
    told = [row for row in rows[:-1] if row["changed"]] + rows[-1:]
    return told[-_MOMENTS:]
