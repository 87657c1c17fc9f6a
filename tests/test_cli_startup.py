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
        ["query", "--unusable", "--limit", "1"],
        ["query", "metrics", "-p", "run=tit2247i", "-f", "json"],
        ["sql", "SELECT 1", "-f", "csv"],
        ["trace", BEST],
        ["trace", BEST, "-f", "json"],
        ["trace", BEST, "--lineage"],
        ["run", "tit2247i"],
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
def test_drawing_loads_rich_alone(
    empty_db: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a tree in a pipe is plain otherwise
    assert loaded(*arguments, db=fill(empty_db)) & HEAVY == {"rich"}


UNUSED = {
    "csv",
    "difflib",
    "ipaddress",
    "json",
    "random",
    "subprocess",
    "tempfile",
    "urllib.parse",
}
"""What typer and pathlib import, and what of our own only some forms of output need."""
if sys.version_info >= (3, 12):
    UNUSED.add("platform")  # before, uuid looks at the platform when it is imported
RAN = """
import sys
from types import ModuleType
from catalog.cli.main import run
try:
    run()
finally:
    ran = [name for name, module in sys.modules.items() if type(module) is ModuleType]
    print(*ran, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["query", "--unusable"], ["trace", BEST]], ids=" ".join
)
def test_what_is_not_used_of_the_standard_library_does_not_run(
    empty_db: Path, arguments: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAN, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CATALOG_DB": str(fill(empty_db))},
    )
    ran = set(done.stderr.splitlines()[-1].split())
    assert ran & UNUSED == set()
    assert "typer" in ran
    # The words of a help page are looked up; those of an error that does not come are not.
    assert ("gettext" in ran) == ("--help" in arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["quer"], 2, "Did you mean 'query'?"),
        (["query", "unusabel"], 2, "did you mean unusable"),
        (["query", "usable", "-f", "csv"], 0, "path,size"),
        (["query", "usable", "-f", "json"], 0, '"path": '),
        (["query", "usable", "--set", "sql_time_limt=1"], 2, "did you mean sql_time_limit?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_waited_is_there_when_it_is_used(
    empty_db: Path, arguments: list[str], code: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "catalog", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CATALOG_DB": str(fill(empty_db))},
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_a_waiting_module_is_the_module_once_it_is_used() -> None:
    code = (
        "import sys; sys.modules.pop('colorsys', None)\n"
        "from catalog.cli.lazy import wait_for_use\n"
        "wait_for_use(('colorsys',))\n"
        "import threading, types, colorsys\n"
        "assert type(colorsys) is not types.ModuleType\n"
        "said = []\n"
        "look = lambda: said.append(colorsys.rgb_to_hsv(1, 1, 1))\n"
        "threads = [threading.Thread(target=look) for _ in range(8)]\n"
        "[one.start() for one in threads]; [one.join() for one in threads]\n"
        "assert said == [(0.0, 0.0, 1)] * 8, said\n"
        "assert type(colorsys) is types.ModuleType and not hasattr(colorsys, 'nosuch')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_waiting_module_of_a_package_is_found_there() -> None:
    code = (
        "from catalog.cli.lazy import wait_for_use\n"
        "wait_for_use(('urllib.parse',))\n"
        "import urllib.parse, pathlib\n"
        "assert urllib.parse.quote('a b') == 'a%20b'\n"
        "assert pathlib.Path('/a b').as_uri() == 'file:///a%20b'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_closed_pipe_ends_quietly(empty_db: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    for form in ("table", "csv", "json", "ndjson", "md"):
        # A table that is cut says so, which is another line.
        whole = "--limit 9999" if form == "table" else ""
        done = shell(f"catalog sql '{endless} LIMIT 9999' -f {form} {whole} | head -1", empty_db)
        assert (len(done.stdout.splitlines()), done.stderr) == (1, ""), form
    small = shell("catalog sql 'SELECT 1' | true", empty_db)
    assert (small.stdout, small.stderr) == ("", "")


def test_a_closed_pipe_is_no_exit_code_of_ours(empty_db: Path) -> None:
    # More than a pipe holds, so that its writer meets the end of its reader.
    wide = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(zeroblob(99))"
    )
    query = f"catalog sql '{wide} FROM n LIMIT 9999' -f csv"
    sql = f"{query} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    assert shell(sql, empty_db).returncode == 128 + signal.SIGPIPE


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
    assert shell("catalog query nosuch", empty_db).returncode == 2
    assert shell("catalog trace nosuch", empty_db).returncode == 1
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
    assert shell("catalog query nosuch 2>&-", empty_db).returncode == 2
