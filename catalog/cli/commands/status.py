"""`catalog status`: how far the migration is."""

import sys

from catalog.cli.conversion import Command
from catalog.cli.options import DbOption, Format, FormatOption, SetOption, new_app, open_catalog
from catalog.cli.output import print_rows
from catalog.query.rows import Rows
from catalog.query.values import human_size

app = new_app()

_COLOURS = {
    "usable": "green",
    "migrated": "cyan",
    "recoverable": "yellow",
    "unrecoverable": "red",
    "missing": "bright_black",
}
_BAR = 60


@app.command(cls=Command)
def status(
    form: FormatOption = Format.TABLE,
    db: DbOption = None,
    settings: SetOption = None,
) -> None:
    """Show how many checkpoints are in which state, now and before.

    In the formats for programs it gives the states now; `catalog query migration-progress`
    gives what came before.
    """
    catalog = open_catalog(db, settings)
    states = catalog.status()
    if form is not Format.TABLE:
        print_rows(states, form)
        return
    _draw(states)
    progress = catalog.progress()
    if progress.rows:
        sys.stdout.write("\n")
        print_rows(progress, form)


def _draw(states: Rows) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    rows = states.dicts()
    total = sum(row["checkpoints"] for row in rows)
    bar = Text()
    for row in rows:
        # At least one cell for a state that has any checkpoint at all.
        cells = max(1, round(_BAR * row["checkpoints"] / total)) if row["checkpoints"] else 0
        bar.append("█" * cells, style=_COLOURS.get(row["state"], ""))
    if total:
        console.print(bar)
    for row in rows:
        line = Text("■ ", style=_COLOURS.get(row["state"], ""))
        line.append(
            f"{row['state']:<14}{row['checkpoints']:>8}  {human_size(row['bytes']):>10}",
            style="default",
        )
        console.print(line)
