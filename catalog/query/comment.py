"""The comment at the top of an SQL file: what it answers, and its columns or parameters.

It begins with a description, whose first sentence is the title. Lines of the form
`-- :param run (optional): what goes there` (or `(default 10)`) tell of parameters; behind an
empty comment line, `-- column, another: what they hold` tells of columns, and a line that is
indented by two more blanks goes on with the one before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import dropwhile

_PARAMETER = re.compile(r":param (?P<name>\w+)(?: \((?P<how>[^)]*)\))?: (?P<what>.*)")
_COLUMNS = re.compile(r"(?P<names>[a-z]\w*(?:, [a-z]\w*)*): (?P<what>.*)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a query takes."""

    name: str
    help: str
    required: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class Comment:
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
        elif found := _PARAMETER.fullmatch(said.strip()):
            parameters.append(_parameter(found))
        elif (found := _COLUMNS.fullmatch(said.strip())) and "" in prose:
            names = found["names"].split(", ")
            columns.update(dict.fromkeys(names, found["what"]))
        else:
            prose.append(said.strip())
    return Comment(" ".join(filter(None, prose)), columns, tuple(parameters))


def _parameter(found: re.Match[str]) -> Parameter:
    how = found["how"] or ""
    default = how.removeprefix("default ") if how.startswith("default ") else None
    return Parameter(found["name"], found["what"], required=not how, default=default)
