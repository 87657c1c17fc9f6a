from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.cli.main import COMMANDS, load
from catalog.query.named import list_queries
from catalog.schema.tables import TABLES, metadata
from catalog.schema.views import ORDER
from catalog.settings import all_settings
from docs.generate import pages

DOCS = Path(__file__).resolve().parents[1] / "docs"


def commands() -> list[tuple[str, Any]]:
    """Every command and every one below it, with its full name."""
    found = []
    for name in COMMANDS:
        command = load(name)
        found.append((name, command))
        found += [
            (f"{name} {below}", part) for below, part in getattr(command, "commands", {}).items()
        ]
    return found


@pytest.mark.parametrize("name", ["cli.md", "python.md", "schema.md"])
def test_a_page_is_as_new_as_the_code(name: str) -> None:
    made = pages()[DOCS / name]
    assert (DOCS / name).read_text(encoding="utf-8") == made, "run `make docs`"


def test_every_public_method_says_what_it_takes_and_gives() -> None:
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    for name, member in vars(Catalog).items():
        if name.startswith("_") or not callable(member):
            continue
        _, _, section = page.partition(f"### Catalog.{name}\n")
        section = section.partition("\n### ")[0]
        taken = [one for one in signature(member).parameters if one != "self"]
        assert f"{name}(" in section
        assert (member.__doc__ or "").partition("\n")[0] in section
        assert all(one in section for one in taken), name


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_and_option_has_help(name: str, command: Any) -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert f"# catalog {name}\n" in page
    assert command.help.strip()
    for parameter in command.params:
        assert parameter.help, f"{name}: {parameter.name}"
        assert parameter.help.strip().endswith((".", "]")), f"{name}: {parameter.help}"


def test_every_setting_is_described() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for setting in all_settings():
        assert setting.help.endswith(".")
        assert f"| `{setting.name}` |" in page


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__tablename__)
def test_every_table_and_column_is_described(table: Any) -> None:
    described = metadata.tables[table.__tablename__]
    assert described.comment
    for column in described.columns:
        assert column.comment, column.name
        assert column.comment.endswith("."), column.comment


def test_every_view_and_query_stands_on_the_page() -> None:
    page = (DOCS / "schema.md").read_text(encoding="utf-8")
    for name in ORDER:
        assert f"\n### {name}\n" in page
    for query in list_queries():
        assert query.name in page
