"""Tables for people: drawn by rich on a terminal, plain and never cut elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from catalog.query.values import shown

if TYPE_CHECKING:
    from catalog.query.rows import Rows

_FOLDED = 28
"""Characters to which a long column may be squeezed before rows are written one under another."""
_GAP = "  "
_FRAME = 3
"""Characters that rich puts between two columns."""


def print_table(rows: Rows) -> None:
    """Print rows to stdout; without rows one line on stderr says so."""
    if not rows.rows:
        if not rows.truncated:
            sys.stderr.write("No rows.\n")
        return
    columns = list(zip(*rows.rows, strict=True))
    cells = list(map(_shown, rows.columns, columns))
    numeric = [
        all(value is None or isinstance(value, int | float) for value in column)
        for column in columns
    ]
    if sys.stdout.isatty():
        _draw(rows, list(zip(*cells, strict=True)), numeric)
    else:
        _write(rows.columns, cells, numeric)


def _shown(name: str, values: tuple[Any, ...]) -> list[str]:
    """Return the values of a column as they are shown; each text, and many repeat, is made once."""
    texts = {value: shown(name, value) for value in set(values) if isinstance(value, str)}
    return [texts[value] if value in texts else shown(name, value) for value in values]


def _write(columns: tuple[str, ...], cells: list[list[str]], numeric: list[bool]) -> None:
    padded = []
    for name, texts, right in zip(columns, cells, numeric, strict=True):
        column = [name, *texts]
        plain = all(map(str.isascii, column))
        width = max(map(len if plain else _width, column))
        lines = [name, "-" * width, *texts]
        if not plain:
            padded.append([_padded(text, width, right) for text in lines])
        elif right:
            padded.append([text.rjust(width) for text in lines])
        else:
            padded.append([text.ljust(width) for text in lines])
    sys.stdout.writelines([f"{_GAP.join(line).rstrip()}\n" for line in zip(*padded, strict=True)])


def _padded(text: str, width: int, right: bool) -> str:
    width -= _width(text) - len(text)
    return text.rjust(width) if right else text.ljust(width)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        for character in text
    )


def _draw(rows: Rows, cells: list[tuple[str, ...]], numeric: list[bool]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    columns = rows.columns
    widths = [max(map(_width, column)) for column in zip(columns, *cells, strict=True)]
    if sum(min(width, _FOLDED) + _FRAME for width in widths) > console.width:
        _draw_records(columns, cells, rows.total if rows.truncated else len(cells))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column, width, right in zip(columns, widths, numeric, strict=True):
        table.add_column(
            Text(column),
            justify="right" if right else "left",
            overflow="fold",
            min_width=min(width, _FOLDED),
            no_wrap=width <= _FOLDED,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _draw_records(
    columns: tuple[str, ...], cells: list[tuple[str, ...]], total: int | None
) -> None:
    """Write the columns under one another, where they do not fit beside one another.

    Args:
        columns: their names.
        cells: the texts of each row.
        total: how many rows there are, also where some are not shown; None if nobody knows.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for number, row in enumerate(cells, start=1):
        of_all = "" if total is None else f" of {total}"
        console.print(Text(f"{number}{of_all}", style="bold"))
        record = Table.grid(padding=(0, 2, 0, 0))
        record.add_column(style="dim", no_wrap=True)
        record.add_column(overflow="fold")
        for column, cell in zip(columns, row, strict=True):
            if cell:
                record.add_row(f"  {column}", Text(cell))
        console.print(record)
