"""The comment at the top of an SQL file: what it answers, and its columns or parameters.

It begins with a description, whose first sentence is the title. Lines of the form
`-- :param run (optional): what goes there` (or `(default 10)`) tell of parameters; behind an
empty comment line, `-- column, another: what they hold` tells of columns, and a line that is
indented by two more blanks goes on with the one before.
"""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import NamedTuple

# Texts, compiled where a line calls for it: most questions are asked without that.
_PARAMETER = r":param (?P<name>\w+)(?: \((?P<how>[^)]*)\))?: (?P<what>.*)"
_COLUMNS = r"(?P<names>[a-z]\w*(?:, [a-z]\w*)*): (?P<what>.*)"


class Parameter(NamedTuple):
    """One value that a query takes."""

    name: str
    help: str
    required: bool
    default: str | None


class Comment(NamedTuple):
    """What an SQL file says about itself."""

    text: str
    """The whole description."""
    columns: dict[str, str]
    parameters: tuple[Parameter, ...]

    @property
    def title(self) -> str:
        """The first sentence."""
        return re.split(r"(?<=\.)\s", self.text, maxsplit=1)[0]


def without_comment(sql: str) -> str:
    """Return the statement below the comment, in which nothing looks like a placeholder."""
    lines = sql.splitlines(keepends=True)
    return "".join(dropwhile(lambda line: line.startswith("--"), lines))


def read_comment(sql: str) -> Comment:
    """Read the comment lines at the top of an SQL file."""
    prose: list[str] = []
    columns: dict[str, str] = {}
    parameters: list[Parameter] = []
    names: list[str] = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        said = line.removeprefix("--")
        if said.startswith("   ") and names:
            for name in names:
                columns[name] += f" {said.strip()}"
        elif ":param " in said and (found := re.fullmatch(_PARAMETER, said.strip())):
            parameters.append(_parameter(found))
        elif "" in prose and (found := re.fullmatch(_COLUMNS, said.strip())):
            names = found["names"].split(", ")
            columns.update(dict.fromkeys(names, found["what"]))
        else:
            prose.append(said.strip())
    return Comment(" ".join(filter(None, prose)), columns, tuple(parameters))


def _parameter(found: re.Match[str]) -> Parameter:
    how = found["how"] or ""
    default = how.removeprefix("default ") if how.startswith("default ") else None
    return Parameter(found["name"], found["what"], required=not how, default=default)
