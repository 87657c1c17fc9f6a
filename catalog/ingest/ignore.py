"""What a tree wants to be left out: patterns as git has them in `.gitignore`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from catalog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


_CLASSES = re.compile(r"\\.|\[[!^]?\]?[^\]]*\]")
"""What may hold an opening bracket in a pattern: an escaped sign, or a whole class."""


def checked(patterns: Iterable[str]) -> None:
    """Refuse what is no pattern in a setting: whoever wrote it wants something left out.

    Raises:
        UsageError: names the first that git would not understand.
    """
    for pattern in patterns:
        if not _is_pattern(pattern):
            raise UsageError(
                f"ignore={pattern}: this is no pattern as git takes them in .gitignore; "
                "brackets must be closed, and nothing stands behind a backslash at the end."
            )


def _is_pattern(line: str) -> bool:
    if "[" in _CLASSES.sub("", line) and not line.startswith("#"):
        return False  # older versions of pathspec take it for the sign itself
    try:
        spec = GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    # What pathspec understands nothing of becomes a pattern that neither includes nor excludes.
    is_nothing = all(one.include is None for one in spec.patterns)
    return not is_nothing or not line.strip() or line.startswith("#")


class Ignored:
    """Patterns, each list of them with the folder that it speaks for.

    Args:
        levels: (folder below the root with a `/` at its end, or nothing for the root; patterns),
            the outermost first.
    """

    def __init__(self, levels: tuple[tuple[str, GitIgnoreSpec], ...] = ()) -> None:
        self._levels = levels

    def within(self, folder: str, lines: Iterable[str]) -> Ignored:
        """Return these patterns with those that a folder adds for what lies in it.

        Args:
            folder: below the root, `.` for the root itself.
            lines: of a `.catalogignore`; a line that is no pattern is passed over.
        """
        valid = [line for line in lines if _is_pattern(line)]
        prefix = "" if folder == "." else f"{folder}/"
        return Ignored((*self._levels, (prefix, GitIgnoreSpec.from_lines(valid))))

    def matches(self, path: str) -> bool:
        """Say whether a path below the root is left out; that of a folder ends with `/`.

        As in git the innermost list that says anything decides, and in it the last line.
        """
        for prefix, patterns in reversed(self._levels):
            include = patterns.check_file(path.removeprefix(prefix)).include
            if include is not None:
                return include
        return False
