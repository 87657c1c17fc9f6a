"""The plainest of YAML, read line by line: block mappings and lists of scalars on one line.

Most configurations are written by a program and hold nothing else. What is taken here is a small
part of the language, in which YAML leaves no choice: printable ASCII, keys of letters and digits,
one space where one must stand, scalars that end with their line. For any other text, and wherever
a line does not stand exactly under an open block, there is no answer, and a YAML parser is asked.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.facts import Plain

MAX_LINES: Final = 4_000
MAX_DEPTH: Final = 40
"""So that no more values come of it than of any other YAML."""

# A plain scalar begins with what is no indicator. Neither `: ` nor ` #` stands in it, and it does
# not end as a key or in a blank.
_PLAIN: Final = r"(?:-(?=[\w.])|\?(?=[\w?])|[\w$()+./;<=^~\\])[!-~]*(?:(?<!:) +(?!#)[!-~]+)*(?<!:)"
_VALUE: Final = rf"""'[ -&(-~]*'|"[ !#-\[\]-~]*"|\{{\}}|\[\]|{_PLAIN}"""
_KEY: Final = r"""\w[\w./-]{0,99}|'[ -&(-~]{0,99}'|"[ !#-\[\]-~]{0,99}\""""
_LINES: Final = re.compile(
    rf"^( *)((?:- )*)(?:({_KEY}):(?: ({_VALUE}))?|({_VALUE}))$", re.ASCII | re.MULTILINE
)


def read_lines(text: str, scalar: Callable[[str], Plain]) -> dict[str, Plain] | list[Plain] | None:
    """Return what a text says, None where that is not plain to see.

    Args:
        text: of one document.
        scalar: returns the value of a plain scalar.
    """
    if "\n\n" in text:  # mostly a sign of text of several lines
        return None
    rows = _LINES.findall(text)
    lines = text.count("\n") + (not text.endswith("\n"))
    if not rows or len(rows) > MAX_LINES or len(rows) != lines:
        return None
    blocks = _Blocks(scalar)
    for spaces, dashes, key, value, item in rows:
        column = len(spaces)
        if item and not dashes:
            return None
        if dashes or blocks.awaits or column != blocks.column or blocks.pairs is None:
            for _ in range(len(dashes) >> 1):
                if not blocks.at(column, in_list=True):
                    return None
                column += 2
            if key and not blocks.at(column, in_list=False):
                return None
        if key:
            name = _value(key, scalar)
            blocks.key = name if isinstance(name, str) else json.dumps(name)
            blocks.awaits = True
        if value or item:
            blocks.put(_value(value or item, scalar))
    return blocks.end()


def _value(text: str, scalar: Callable[[str], Plain]) -> Plain:
    """Return a scalar, or an empty container."""
    first = text[0]
    if first == "'" or first == '"':
        return text[1:-1]
    if first == "{":
        return {}
    return [] if first == "[" else scalar(text)


class _Blocks:
    """The blocks that are open, and the place that the next value goes to.

    Args:
        scalar: returns the value of a plain scalar.
    """

    def __init__(self, scalar: Callable[[str], Plain]) -> None:
        self.column = -1
        """Of the innermost block."""
        self.pairs: dict[str, Plain] | None = None
        """The innermost block where it is a mapping."""
        self.key: str | None = None
        """Of that mapping: it has no value yet."""
        self.awaits = True
        """Whether a key, a dash or the document itself waits for what it holds."""
        self._items: list[Plain] | None = None
        self._outer: list[tuple[int, dict[str, Plain] | None, list[Plain] | None]] = []
        self._root: dict[str, Plain] | list[Plain] | None = None
        self._scalar = scalar

    def at(self, column: int, *, in_list: bool) -> bool:
        """Come to the block at a column, opening or closing some; False if there cannot be one."""
        if self.awaits:
            # A list may stand right under the key that holds it.
            beside = in_list and self.key is not None and column == self.column
            if column > self.column or beside:
                return self._open(column, in_list=in_list)
            if self.key is None:
                return False
            self.put(self._scalar(""))
        while self._outer and (
            self.column > column
            or (self.column == column and self._items is not None and not in_list)
        ):
            self.column, self.pairs, self._items = self._outer.pop()
        self.awaits = in_list
        return self.column == column and (self._items is not None) is in_list

    def _open(self, column: int, *, in_list: bool) -> bool:
        pairs: dict[str, Plain] | None = None if in_list else {}
        items: list[Plain] | None = [] if in_list else None
        content = items if pairs is None else pairs
        if self._root is None:
            self._root = content
        else:
            self.put(content)
            self._outer.append((self.column, self.pairs, self._items))
        self.column, self.pairs, self._items = column, pairs, items
        self.awaits = in_list
        return len(self._outer) < MAX_DEPTH

    def put(self, content: Plain) -> None:
        """Put a value where one is awaited."""
        if self._items is not None:
            self._items.append(content)
        elif self.pairs is not None and self.key is not None:
            self.pairs[self.key] = content
        self.key = None
        self.awaits = False

    def end(self) -> dict[str, Plain] | list[Plain] | None:
        """Return the document, which ends here."""
        if self.key is not None:
            self.put(self._scalar(""))
        return self._root
