"""The document that is written, and the figures at its head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Page:
    """The lines of the document."""

    lines: list[str] = field(default_factory=list)

    def text(self, *lines: str) -> None:
        """Add a paragraph."""
        self.lines += [*lines, ""]

    def table(self, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Add a table, its first column of words and the others of numbers."""
        marks = ["---", *["---:"] * (len(head) - 1)]
        self.text(*(f"| {' | '.join(row)} |" for row in (head, tuple(marks), *rows)))


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was wanted, and what it came to."""

    name: str
    wanted: str
    found: str
    met: bool
    why: str = ""
    """What stands in the way, where it is not met: a sentence."""

    @property
    def row(self) -> tuple[str, ...]:
        """Return its line in the table."""
        return self.name, self.wanted, self.found, "met" if self.met else "**not met**"
