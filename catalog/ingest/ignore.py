"""What a tree wants to be left out: patterns as git has them in `.gitignore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        valid = []
        for line in lines:
            try:
                GitIgnoreSpec.from_lines([line])
            except ValueError:
                continue
            valid.append(line)
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
