"""What every query gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Rows(NamedTuple):
    """A table of plain values: None, int, float, str (and bytes, where a query makes some)."""

    columns: tuple[str, ...]
    """Names, each of them once."""
    rows: Sequence[tuple[Any, ...]]
    truncated: bool = False
    """True where a limit cut the rows off: there are more."""
    note: str | None = None
    """A sentence on what the rows rest on, where a person should know it."""
    total: int | None = None
    """How many there are, where a limit cut the rows off and they were counted."""

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as a mapping from column to value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Stream(NamedTuple):
    """Rows that are fetched as they are taken, once: as many as there are, in little memory."""

    columns: tuple[str, ...]
    """Names, each of them once."""
    rows: Iterator[tuple[Any, ...]]
    """Taking one raises what `Reader.run` raises, also after others were given."""


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names with `_2`, `_3`, ... behind those that came before (`SELECT a, a`)."""
    taken: dict[str, None] = {}
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken[candidate] = None
    return tuple(taken)
