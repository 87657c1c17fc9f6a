"""Print rows in the format that was asked for: to people a table, to programs raw values."""

from __future__ import annotations

import csv
import json
import math
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from catalog.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from catalog.query.rows import Rows

    class Page(Protocol):
        """What can be given whole to a program."""

        def to_dict(self) -> dict[str, Any]:
            """Return all of it, as JSON has it."""


def print_rows(rows: Rows, form: Format, *, more: str = "") -> None:
    """Print rows to stdout; if they were cut off, say so on stderr.

    Args:
        rows: what a query gave.
        form: how to print it.
        more: what to do to see the rest.
    """
    if form is Format.TABLE:
        from catalog.cli.table import print_table

        print_table(rows)
    elif form is Format.JSON:
        print_json(rows.dicts())
    elif form is Format.NDJSON:
        for row in rows.dicts():
            sys.stdout.write(_json(row) + "\n")
    elif form is Format.MD:
        from catalog.report.tables import markdown_table

        sys.stdout.write(markdown_table(rows))
    else:
        writer = csv.writer(_Lines(), delimiter="," if form is Format.CSV else "\t")
        writer.writerow(rows.columns)
        writer.writerows([_cell(value) for value in row] for row in rows.rows)
    if rows.truncated:
        sys.stdout.flush()
        sys.stderr.write(f"catalog: {_cut(len(rows.rows))}. {more}\n")


def _cut(shown: int) -> str:
    if shown == 0:
        return "there are rows, but the limit is 0"
    return f"only the first {'row is' if shown == 1 else f'{shown} rows are'} shown"


def print_page(page: Page, rows: Callable[[], Rows], form: Format, draw: str) -> None:
    """Print what is drawn for people, whole as JSON, and in the other formats as rows.

    Args:
        page: what was found.
        rows: what stands for it where rows are asked for.
        form: how to print it.
        draw: `module:function` that draws it; imported where it is needed.
    """
    if form is Format.TABLE:
        module, _, function = draw.partition(":")
        getattr(import_module(f"catalog.cli.{module}"), function)(page)
    elif form is Format.JSON:
        print_json(page.to_dict())
    else:
        print_rows(rows(), form)


class _Lines:
    """Ends lines with a newline alone; the csv module quotes all line ends only if told CRLF."""

    def write(self, line: str) -> None:
        sys.stdout.write(line.removesuffix("\r\n") + "\n")


def print_json(value: Any) -> None:
    """Print one JSON document; a list gets a line for each of its members."""
    if isinstance(value, list) and value:
        sys.stdout.write("[")
        for number, member in enumerate(value):
            sys.stdout.write(("," if number else "") + "\n" + _json(member))
        sys.stdout.write("\n]\n")
    else:
        sys.stdout.write(_json(value, indent=2) + "\n")


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return _cell(value)


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such numbers; the catalog's own columns call them so, too.
        return str(value)
    return value
