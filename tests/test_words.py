"""What docs and comments name is there: kinds of evidence, codes, states, queries, columns."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import catalog
from catalog.cli.main import COMMANDS, load
from catalog.query.named import list_queries
from catalog.schema.tables import metadata
from catalog.schema.views import ORDER, view_text
from catalog.settings import all_settings

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = Path(catalog.__file__).parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/architecture.md",
    "docs/linking.md",
    "docs/recovery.md",
    "docs/performance.md",
)
"""Written by hand; the other pages are made from the comments below."""

ABBREVIATED = re.compile(r"`(-[a-z][a-z-]*|[a-z][a-z-]*-)`")
"""The end or the beginning of words that a line lists."""
WORD = re.compile(r"`([a-z][a-z0-9]*(?:[-_][a-z0-9]+)+)`")
OF_OTHERS = frozenset({
    "checkpoint-100", "latest-run", "save_total_limit", "save_hyperparameters", "search_runs",
    "define_metric", "wandb_id", "wandb_run_path", "wandb_url",
    # Of the example project and of others that figures are of.
    "best-v1", "best-v2", "pan_decoder", "kth_value", "cleval_metrics",
})  # fmt: skip
"""Names of other tools, and of projects."""


@cache
def known() -> frozenset[str]:
    """Return every word that the program itself has: its texts, names, columns and options."""
    words: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # A text is a word, or words of SQL; a sentence about one proves nothing.
                words |= {node.value} | set(re.findall(r"(?<=')[a-z][a-z0-9_-]*(?=')", node.value))
            elif isinstance(node, ast.Name):
                words.add(node.id)
            elif isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.arg | ast.keyword) and node.arg:
                words.add(node.arg)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                words.add(node.name)
        words.add(file.stem)
    for file in PACKAGE.rglob("*.sql"):
        statement = re.sub("--.*", "", file.read_text())
        words |= set(re.findall(r"[a-z][a-z0-9_]*", statement))
        words |= set(re.findall(r"(?<=')[a-z][a-z0-9-]*(?=')", statement))
    for table in metadata.tables.values():
        words |= {table.name, *(column.name for column in table.columns)}
    words |= {query.name for query in list_queries()} | set(ORDER)
    words |= {setting.name for setting in all_settings()}
    return frozenset(words)


@cache
def patterns() -> frozenset[str]:
    """Return the words that the program puts together of others: `f"checkpoint-{status}"`."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "([a-z][a-z-]*)"
                    for part in node.values
                ]
                if len(parts) == 2 and re.fullmatch(
                    r"-[a-z-]+|[a-z-]+-", min(map(str, parts), key=len)
                ):
                    found.add("".join(map(str, parts)))
    return frozenset(found)


def is_word(text: str) -> bool:
    """Say whether the program has a word, or makes it of two that it has."""
    matches = (re.fullmatch(pattern, text) for pattern in patterns())
    return text in known() or any(match[1] in known() for match in matches if match)


@cache
def texts() -> dict[str, str]:
    """Return every text that describes something to a user, by where it is."""
    found = {page: (REPOSITORY / page).read_text() for page in PAGES}
    for table in metadata.tables.values():
        found[table.name] = table.comment or ""
        found |= {f"{table.name}.{column.name}": column.comment or "" for column in table.columns}
    for name in ORDER:
        found[f"view {name}"] = comment_of(view_text(name))
    for query in list_queries():
        if query.kind == "query":
            path = PACKAGE / "query" / "named" / f"{query.name}.sql"
            found[f"query {query.name}"] = comment_of(path.read_text())
    found |= {f"setting {setting.name}": setting.help for setting in all_settings()}
    for name in COMMANDS:
        command: Any = load(name)
        for one in (command, *getattr(command, "commands", {}).values()):
            helps = [one.help or "", *(parameter.help or "" for parameter in one.params)]
            found[f"command {name} {one.name}"] = "\n".join(helps)
    return found


def comment_of(sql: str) -> str:
    return "\n".join(line for line in sql.splitlines() if line.startswith("--"))


def test_every_word_of_the_program_is_one() -> None:
    wrong = set()
    for place, text in texts().items():
        words = set(WORD.findall(text)) - OF_OTHERS
        wrong |= {(place, word) for word in words if not is_word(word)}
        for part in ABBREVIATED.findall(text):
            meant = str.endswith if part.startswith("-") else str.startswith
            if not any(meant(word, part) for word in known() | patterns()):
                wrong.add((place, part))
    assert wrong == set()


def test_every_command_that_is_named_can_be_run() -> None:
    for place, text in texts().items():
        for command, rest in re.findall(r"catalog ([a-z]+)((?: [^`\n|]*)?)", code_of(text)):
            assert command in COMMANDS, (place, command)
            assert_options_exist(place, command, rest)


def assert_options_exist(place: str, command: str, rest: str) -> None:
    names = {query.name for query in list_queries()} | {"NAME"}
    found: Any = load(command)
    options = [part.partition("=")[0] for part in rest.split("#")[0].split()]
    if below := getattr(found, "commands", None):
        assert not options or options[0] in below, (place, rest)
        found = below[options[0]] if options else found
    allowed = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
    for option in options:
        if option.startswith("-") and option not in {"--help", "-h"}:
            assert option in allowed, (place, f"catalog {command} {option}")
    if command == "query" and options and not options[0].startswith("-"):
        assert options[0] in names, (place, options[0])


def code_of(text: str) -> str:
    """Return what is code in a text: between backticks, and lines of a console."""
    return "\n".join(
        re.findall(r"`(catalog [^`\n]+)`", text) + re.findall(r"(?m)^\$ (catalog .*)", text)
    )


def test_a_kind_that_nothing_gives_is_found() -> None:
    assert "best-score-recorded" in known()
    assert is_word("job-config-differ")
    assert not is_word("best-score-in-history")
