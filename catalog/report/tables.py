"""Markdown tables from rows; nothing in a cell can end it or act as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ACTIVE = re.compile(r"([\\|`*_\[\]<>~#&])")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def markdown_lines(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield a table's lines as the rows come; a value that is None is an empty cell."""
    yield _line(map(escape, columns)) + "\n"
    yield "|" + " --- |" * len(columns) + "\n"
    for row in rows:
        yield _line(map(escape, row)) + "\n"


def escape(value: Any) -> str:
    """Return a value as text in which no character has a meaning to Markdown."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.hex()
    return _ACTIVE.sub(r"\\\1", _BREAKS.sub(" ", str(value)))


def code(value: Any) -> str:
    """Return a value as a code span that can stand in a table."""
    if value is None or value == "":
        return ""
    text = _BREAKS.sub(" ", str(value)).replace("|", "\\|")
    # A span ends at a run of as many backticks as began it.
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
