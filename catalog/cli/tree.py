"""Trees for people: drawn by rich on a terminal, plain and never cut elsewhere.

rich takes longer to load than most commands take; what goes to a file or a pipe does without it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.tree import Tree

_UNCUT = 100_000


class Branch:
    """A line of a tree in parts that may look different, and the lines below it."""

    def __init__(self, text: str = "", style: str = "") -> None:
        """Begin with a text; its style is that of the whole line, where a part has none."""
        self._style = style
        self._parts = [(text, "")] if text else []
        self._branches: list[Branch] = []

    def append(self, text: str, style: str = "") -> None:
        """Go on with the line."""
        self._parts.append((text, style))

    def add(self, branch: Branch) -> Branch:
        """Put a line below this one and return it."""
        self._branches.append(branch)
        return branch

    def lines(self, first: str = "", others: str = "") -> Iterator[str]:
        """Yield this line and all below it, without styles.

        Args:
            first: what stands before the line.
            others: what stands before those below it.
        """
        head, *more = "".join(text for text, _style in self._parts).split("\n")
        yield first + head
        for line in more:
            yield others + line
        for number, branch in enumerate(self._branches, start=1):
            is_last = number == len(self._branches)
            yield from branch.lines(
                f"{others}{'└── ' if is_last else '├── '}",
                f"{others}{'    ' if is_last else '│   '}",
            )

    def drawn(self, guide_style: str, below: Tree | None = None) -> Tree:
        """Return the tree as rich draws it.

        Args:
            guide_style: how the guides look.
            below: the line of rich's tree that this one belongs to; None for the first.
        """
        from rich.text import Text
        from rich.tree import Tree

        text = Text(style=self._style)
        for part, style in self._parts:
            text.append(part, style)
        tree = Tree(text, guide_style=guide_style) if below is None else below.add(text)
        for branch in self._branches:
            branch.drawn(guide_style, tree)
        return tree


def print_tree(tree: Branch, *, guide_style: str = "") -> None:
    """Print a tree to stdout; lines are cut nowhere, and folded only on a terminal."""
    terminal = sys.stdout.isatty()
    if not terminal and not os.environ.get("FORCE_COLOR"):
        sys.stdout.writelines(f"{line}\n" for line in tree.lines())
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if terminal else _UNCUT)
    console.print(tree.drawn(guide_style))
