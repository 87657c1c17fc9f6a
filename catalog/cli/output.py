"""Print rows in the format that was asked for: to people a table, to programs raw values."""

from __future__ import annotations

import csv
import json
import math
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from catalog.cli.options import Format
from catalog.errors import QueryLimit
from catalog.query.rows import Rows, Stream
from catalog.query.values import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

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
    else:
        print_stream(Stream(rows.columns, iter(rows.rows)), form)
    if rows.truncated:
        sys.stdout.flush()
        sys.stderr.write(f"catalog: {_cut(len(rows.rows), rows.total)}. {more}\n")


def print_stream(stream: Stream, form: Format, most: int | None = None) -> int:
    """Print rows as they come, for a program, and return how many they were.

    Args:
        stream: what a query gives.
        form: how to print it; no table, whose columns are as wide as their longest values.
        most: rows after which it is an error that there are more.

    Raises:
        QueryLimit: there are more, or it takes too long; what was printed before is not all.
    """
    columns, count = stream.columns, 0

    def taken() -> Iterator[tuple[Any, ...]]:
        nonlocal count
        for row in stream.rows:
            if count == most:
                sys.stdout.flush()
                raise QueryLimit(
                    f"Only the first {counted(count, 'row')} are written, and there are more; "
                    "allow them with --set sql_row_limit=N."
                )
            count += 1
            yield row

    if form is Format.JSON:
        _print_members(dict(zip(columns, row, strict=True)) for row in taken())
    elif form is Format.NDJSON:
        for row in taken():
            sys.stdout.write(_json(dict(zip(columns, row, strict=True))) + "\n")
    elif form is Format.MD:
        from catalog.report.tables import markdown_lines

        sys.stdout.writelines(markdown_lines(columns, taken()))
    else:
        writer = csv.writer(_Lines(), delimiter="," if form is Format.CSV else "\t")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in taken())
    return count


def _cut(shown: int, total: int | None) -> str:
    if shown == 0:
        return "there are rows, but the limit is 0"
    if total is None:
        are = "row is shown" if shown == 1 else f"{shown} rows are shown"
        return f"only the first {are}; there are more"
    return f"only the first {shown} of {total} rows {'is' if shown == 1 else 'are'} shown"


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
    if isinstance(value, list):
        _print_members(value)
    else:
        sys.stdout.write(_json(value, indent=2) + "\n")


def _print_members(members: Iterable[Any]) -> None:
    separator = "[\n"
    for member in members:
        sys.stdout.write(separator + _json(member))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


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
