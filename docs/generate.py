"""Write the pages that are made from the code: `cli.md`, `python.md` and `schema.md`.

Run it by `make docs`; a test tells when a page is older than the code.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.cli.main import COMMANDS, load, main
from catalog.query.named import list_queries
from catalog.schema.tables import TABLES, metadata
from catalog.settings import all_settings
from docs.python_page import python_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column

HERE = Path(__file__).parent
MADE = "<!-- Made from the code by docs/generate.py; change the code, then run `make docs`. -->"


def cli_page() -> str:
    """Return the page of the command line."""
    return _text(_cli_lines())


def schema_page() -> str:
    """Return the page of tables, views and named queries."""
    return _text(_schema_lines())


def pages() -> dict[Path, str]:
    """Return every page that is made here, by its place."""
    return {
        HERE / "cli.md": cli_page(),
        HERE / "python.md": _text(python_lines(MADE)),
        HERE / "schema.md": schema_page(),
    }


def _cli_lines() -> Iterator[str]:
    yield from ("# The command line", "", MADE, "", *_paragraphs(main.__doc__))
    yield from ("", "| Command | What it does |", "| --- | --- |")
    for name, line in COMMANDS.items():
        yield f"| [`catalog {name}`](#catalog-{name}) | {line} |"
    yield from ("", "Exit codes: 0 all is well; 1 something that the message on stderr tells how")
    yield "to mend, such as a path, checkpoint or run that is not there, or rows where"
    yield "`--fail-if-any` wanted none; 2 wrong usage, such as a command, option, format, setting,"
    yield "query, view or parameter of a name that catalog does not know; 130 interrupted."
    for name in COMMANDS:
        command = load(name)
        yield from _command(f"catalog {name}", command, "##")
        for below, part in getattr(command, "commands", {}).items():
            yield from _command(f"catalog {name} {below}", part, "###")
    yield from ("", "## Settings", "", "Changed for one call by `--set NAME=VALUE`.", "")
    yield from ("| Setting | Default | What it does |", "| --- | --- | --- |")
    for setting in all_settings():
        default = setting.default
        written = ",".join(default) if isinstance(default, tuple) else str(default)
        yield f"| `{setting.name}` | `{written}` | {_cell(setting.help)} |"


def _command(path: str, command: Any, level: str) -> Iterator[str]:
    yield from ("", f"{level} {path}", "", *_paragraphs(command.help))
    rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        yield from ("", "| Argument or option | What it does |", "| --- | --- |", *rows)


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        names = f"`{name}`" if parameter.required else f"`[{name}]`"
        return f"| {names} | {_cell(parameter.help)} |"
    flag = parameter.is_flag
    value = "" if flag else f" {parameter.metavar or _choices(parameter)}"
    names = ", ".join([f"`{parameter.opts[0]}{value}`", *(f"`{o}`" for o in parameter.opts[1:])])
    default = parameter.default
    stated = "" if flag or default in (None, ()) else f" Default: `{default}`."
    stated = " Required." if parameter.required else stated
    return f"| {_cell(names)} | {_cell(parameter.help)}{stated} |"


def _choices(parameter: Any) -> str:
    choices = getattr(parameter.default, "__class__", None)
    members = getattr(choices, "__members__", None)
    return "|".join(member.value for member in members.values()) if members else "N"


def _schema_lines() -> Iterator[str]:
    yield from ("# The schema", "", MADE, "")
    yield "The views are the interface for analysts and are kept stable; tables may change with any"
    yield "release (`catalog db upgrade` brings them along). Times are UTC, ISO 8601."
    views = [query for query in list_queries() if query.kind == "view"]
    yield from ("", "## Views")
    for view in views:
        yield from ("", f"### {view.name}", "", view.comment.text, "")
        yield from _table(view.comment.columns.items())
    yield from ("", "## Tables")
    for table in TABLES:
        described = metadata.tables[str(table.__tablename__)]
        yield from ("", f"### {described.name} (table)", "", str(described.comment), "")
        yield from ("| Column | Type | What it holds |", "| --- | --- | --- |")
        for column in described.columns:
            yield f"| `{column.name}` | {_type(column)} | {_cell(column.comment)} |"
    yield from ("", "## Named queries", "", "`catalog query NAME` runs one.", "")
    yield from ("| Name | Parameters | What it answers |", "| --- | --- | --- |")
    for query in list_queries():
        if query.kind == "query":
            parameters = "; ".join(
                f"`{parameter.name}`{'' if parameter.required else ' (optional)'}: {parameter.help}"
                for parameter in query.comment.parameters
            )
            yield f"| `{query.name}` | {_cell(parameters)} | {_cell(query.comment.title)} |"


def _type(column: Column[Any]) -> str:
    kind = str(column.type).lower().replace("varchar", "text").replace("float", "real")
    keys = "".join(f", → `{key.column.table.name}`" for key in column.foreign_keys)
    return f"{kind}{', may be empty' if column.nullable else ''}{keys}"


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from ("| Column | What it holds |", "| --- | --- |")
    for text, group in groupby(rows, key=lambda row: row[1]):
        names = ", ".join(f"`{name}`" for name, _ in group)
        yield f"| {names} | {_cell(text)} |"


def _paragraphs(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").strip().splitlines()]


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path, page in pages().items():
        path.write_text(page, encoding="utf-8")
