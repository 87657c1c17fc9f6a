"""What a start costs, told by the modules it loads; and what a shell sees of the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.rows import BEST, fill

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {
    "alembic",
    "numpy",
    "pydantic",
    "rich",
    "sqlalchemy",
    "sqlmodel",
    "torch",
    "wandb",
    "yaml",
}
LOADED = """
import json, sys
from catalog.cli.main import run
try:
    run()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def loaded(*arguments: str, db: Path | None = None) -> set[str]:
    """Return the top-level modules that a command has loaded when it ends well."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **({"CATALOG_DB": str(db)} if db else {})},
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def shell(command: str, db: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "bash",
            "-c",
            f"{command.replace('catalog', f'{sys.executable} -m catalog')}",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CATALOG_DB": str(db)},
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["query", "--help"], ["settings"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded(*arguments) & (HEAVY | {"sqlite3"}) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["query"],
        ["query", "--unusable"],
        ["query", "metrics", "-p", "run=tit2247i", "-f", "json"],
        ["sql", "SELECT 1", "-f", "csv"],
        ["trace", BEST, "-f", "json"],
        ["status", "-f", "md"],
        ["status", "--by", "experiment", "-f", "csv"],
        ["report"],
    ],
    ids=" ".join,
)
def test_reading_loads_no_database_library_and_no_drawing(
    empty_db: Path, arguments: list[str]
) -> None:
    assert loaded(*arguments, db=fill(empty_db)) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["trace", BEST], ["status"]], ids=" ".join)
def test_drawing_loads_rich_alone(empty_db: Path, arguments: list[str]) -> None:
    assert loaded(*arguments, db=fill(empty_db)) & HEAVY == {"rich"}


def test_a_closed_pipe_ends_quietly(empty_db: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    for form in ("table", "csv", "json", "ndjson", "md"):
        done = shell(f"catalog sql '{endless} LIMIT 9999' -f {form} | head -1", empty_db)
        assert (len(done.stdout.splitlines()), done.stderr) == (1, ""), form
    small = shell("catalog sql 'SELECT 1' | true", empty_db)
    assert (small.stdout, small.stderr) == ("", "")


def test_an_interrupted_query_is_one_line_and_130(empty_db: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    process = subprocess.Popen(
        [
            sys.executable,
            "-X",
            "importtime",
            "-m",
            "catalog",
            "sql",
            endless,
            "--set",
            "sql_time_limit=60",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CATALOG_DB": str(empty_db)},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith("catalog.query.sqlite\n"):
            break
    time.sleep(0.3)  # the statement begins right after this import
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    lines = [line for line in said.splitlines() if not line.startswith("import time:")]
    assert lines == ["catalog: interrupted; what was written before is kept."]
    assert process.returncode == 130


def test_exit_codes_as_a_shell_sees_them(empty_db: Path) -> None:
    assert shell("catalog status", empty_db).returncode == 0
    assert shell("catalog query nosuch", empty_db).returncode == 1
    assert shell("catalog query --nosuch", empty_db).returncode == 2
    assert shell("catalog query checkpoints --fail-if-any", empty_db).returncode == 0
    assert shell("catalog query checkpoints --fail-if-any", fill(empty_db)).returncode == 1


def test_output_is_utf_8_whatever_the_locale(empty_db: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "catalog", "sql", "SELECT char(54620, 233) AS a", "-f", "json"],
        capture_output=True,
        check=True,
        env={**environment, "CATALOG_DB": str(empty_db)},
    )
    assert json.loads(done.stdout.decode("utf-8")) == [{"a": "한é"}]


def test_a_stream_that_the_caller_closed_is_no_traceback(empty_db: Path) -> None:
    closed = shell("catalog query checkpoints -f csv >&-", fill(empty_db))
    assert (closed.returncode, closed.stderr) == (0, "")
    assert shell("catalog query nosuch 2>&-", empty_db).returncode == 1
