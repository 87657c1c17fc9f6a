from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from catalog.cli.main import COMMANDS, app, load
from catalog.settings import all_settings
from tests.support.rows import BEST, GOOD, LAST, LONE, RUN, TWINS, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def db(empty_db: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATALOG_DB", str(empty_db))
    return fill(empty_db)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def rows(*arguments: str) -> list[dict[str, Any]]:
    result = call(*arguments, "-f", "json")
    assert result.exit_code == 0, result.stderr
    listed: list[dict[str, Any]] = json.loads(result.stdout)
    return listed


def refused(*arguments: str, code: int = 1) -> str:
    """Return the one line on stderr of a command that must fail."""
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = result.stderr.splitlines()
    assert line.startswith("catalog: ")
    assert line.endswith((".", "?"))
    return str(line)


def test_help_lists_every_command_without_cutting_its_line() -> None:
    shown = call("--help").stdout
    for name, line in COMMANDS.items():
        assert f"{name:<8}  {line}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_line_of_a_command_s_help_is_its_line_in_the_list(name: str) -> None:
    assert load(name).help.splitlines()[0] == COMMANDS[name]


def test_version() -> None:
    assert call("--version").stdout.startswith("catalog 0.")


def test_a_mistyped_command_is_wrong_usage_and_near_ones_are_named() -> None:
    result = call("quer")
    assert result.exit_code == 2
    assert "'query'" in result.stderr


def test_query_without_a_name_lists_queries_and_views() -> None:
    listed = {row["name"]: row["kind"] for row in rows("query")}
    assert listed["unusable"] == "query"
    assert listed["checkpoint_trace"] == "view"


@pytest.mark.parametrize(
    "flag", ["unusable", "usable", "migration-status", "ambiguous", "problems"]
)
def test_a_flag_asks_the_query_of_its_name(db: Path, flag: str) -> None:
    assert rows("query", f"--{flag}") == rows("query", flag) != []


def test_query_takes_parameters_and_a_limit(db: Path) -> None:
    assert [row["metric"] for row in rows("query", "metrics", "-p", f"run={RUN}")] == [
        "train/loss",
        "val/hmean",
    ]
    result = call("query", "--unusable", "--limit", "1", "-f", "ndjson")
    assert json.loads(result.stdout)["path"] == TWINS
    assert (
        result.stderr
        == "catalog: only the first 1 of 4 rows is shown. Raise --limit to see more.\n"
    )
    result = call("query", "--unusable", "--limit", "2", "-f", "ndjson")
    assert (
        result.stderr
        == "catalog: only the first 2 of 4 rows are shown. Raise --limit to see more.\n"
    )


def test_a_limit_of_nothing_does_not_say_that_there_is_nothing(db: Path) -> None:
    for form in ("table", "csv"):
        result = call("query", "--unusable", "--limit", "0", "-f", form, "--fail-if-any")
        assert result.stderr == (
            "catalog: there are rows, but the limit is 0. Raise --limit to see more.\n"
        )
        assert result.exit_code == 1
    none = call("query", "unusable", "-p", "path=nosuch", "--limit", "0", "--fail-if-any")
    assert (none.exit_code, none.stderr) == (0, "No rows.\n")


def test_fail_if_any_tells_a_script(db: Path) -> None:
    found = call("query", "--unusable", "--fail-if-any", "-f", "csv")
    assert (found.exit_code, len(found.stdout.splitlines())) == (1, 5)
    none = call("query", "unusable", "-p", "path=nosuch", "--fail-if-any")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "No rows.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["metrics", "-p", f"run={RUN[:-1]}x"], f"No run fits '{RUN[:-1]}x'. Near it: {RUN}."),
        (["config", "--run", "nosuch"], "No run fits 'nosuch'. `catalog query runs` lists"),
        (["evidence", "-p", "checkpoint=nosuch"], "No checkpoint fits 'nosuch'."),
        (
            ["metrics", "-p", f"run={RUN}", "-p", "metric=val/hmaen"],
            "No run recorded a metric 'val/hmaen'. Near it: val/hmean.",
        ),
        (
            ["history", "--run", RUN, "-p", "metric=nosuch"],
            "No run recorded a metric 'nosuch'. `catalog query metrics -p run=RUN` lists",
        ),
        (["config", "-p", "key=model.nmae"], "No config states a key 'model.nmae'. Near it: model"),
    ],
)
def test_a_name_that_is_not_there_is_told_where_no_rows_are(
    db: Path, arguments: list[str], said: str
) -> None:
    result = call("query", *arguments, "-f", "csv")
    assert result.exit_code == 0
    assert said in result.stderr
    there = call("query", "config", "-p", f"run={RUN}", "-p", "file=nosuch")
    assert there.stderr == "No rows.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "--usable", "--unusable"], "One question at a time"),
        (["query", "runs", "--unusable"], "One question at a time"),
        (["query", "-p", "run=x"], "need the name"),
        (["query", "metrics", "-p", "run"], "KEY=VALUE"),
        (["query", "metrics"], "needs -p run=VALUE"),
        (["query", "runs", "-p", "nosuch=1"], "no parameter 'nosuch'"),
        (["sql", "SELECT 1", "--set", "sql_time=1"], "did you mean sql_time_limit"),
        (["sql", "SELECT 1", "--set", "nosuch=1"], "`catalog settings` lists them all"),
        (["sql", "SELECT 1", "--set", "sql_row_limit=many"], "a whole number"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(db: Path, arguments: list[str], said: str) -> None:
    assert said in refused(*arguments, code=2)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("code", "commands"),
    [
        (2, ("nosuch", "query nosuch", "query --nosuch", "query runs -p nosuch=1",
             "query -f nosuch", "status --by nosuch", "query runs --set nosuch=1",
             "settings --keep nosuch=1")),
        (1, ("trace nosuch", "run nosuch", "diff nosuch nosuch.ckpt", "link unpin nosuch",
             "recover --undo 9", "ingest nosuch", "inspect nosuch", "status --db nosuch.db",
             "query checkpoints --fail-if-any")),
        (0, ("status", "query metrics --run nosuch", "query decisions --fail-if-any")),
    ],
)  # fmt: skip
def test_what_catalog_does_not_know_is_wrong_usage_and_what_it_does_not_hold_is_not(
    code: int, commands: tuple[str, ...]
) -> None:
    for command in commands:
        assert call(*command.split()).exit_code == code, command


def test_an_unknown_query_is_met_with_near_ones(db: Path) -> None:
    assert "did you mean unusable" in refused("query", "unusabel", code=2)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO root VALUES (1)",
        "WITH x AS (SELECT 1) DELETE FROM run",
        "PRAGMA user_version = 1",
    ],
)
def test_sql_only_reads(db: Path, sql: str) -> None:
    assert "only reads" in refused("sql", sql)


def test_sql_is_limited_by_settings(db: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
    cut = call("sql", endless.format("i"), "--set", "sql_row_limit=2", "-f", "csv")
    assert cut.stdout == "i\n1\n2\n"
    assert "--set sql_row_limit" in cut.stderr
    assert cut.exit_code == 1
    assert "--set sql_time_limit" in refused(
        "sql", endless.format("COUNT(*)"), "--set", "sql_time_limit=0.05"
    )


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "tsv", "md"])
def test_an_export_is_whole_or_an_error(db: Path, form: str) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n{}) SELECT i FROM n"
    whole = call("sql", counting.format(" WHERE i < 12345"), "-f", form)
    assert (whole.exit_code, whole.stderr) == (0, "")
    assert whole.stdout.count("\n") - {"json": 2, "ndjson": 0, "md": 2}.get(form, 1) == 12345
    late = call("sql", counting.format(""), "-f", form, "--set", "sql_time_limit=0.2")
    assert late.exit_code == 1
    assert late.stderr.startswith("catalog: The query took longer than 0.2 s and was stopped;")
    bounded = call("sql", counting.format(""), "-f", form, "--set", "sql_row_limit=3")
    assert bounded.exit_code == 1
    assert "Only the first 3 rows are written, and there are more" in bounded.stderr


def test_a_table_for_people_says_that_it_is_cut(db: Path) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    cut = call("sql", counting)
    assert (cut.exit_code, cut.stdout.splitlines()[-1].strip()) == (0, "200")
    assert cut.stderr == (
        "catalog: only the first 200 rows are shown; there are more. Raise --limit to see more.\n"
    )
    assert call("sql", counting, "--limit", "7").stdout.splitlines()[-1].strip() == "7"


def test_an_export_takes_no_more_memory_for_more_rows(empty_db: Path) -> None:
    code = (
        "import resource, sys; from catalog.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    wide = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
        "SELECT i, hex(zeroblob(500)) AS text FROM n"
    )
    peaks = []
    for count in (100, 200_000):
        done = subprocess.run(
            [sys.executable, "-c", code, "sql", wide.format(count), "-f", "json"],
            env={**os.environ, "CATALOG_DB": str(empty_db)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        peaks.append(int(done.stderr.split()[-1]))
    assert peaks[1] < peaks[0] + 20_000  # kB; the rows are 200 MB


def test_a_syntax_error_is_told_in_the_database_s_words(db: Path) -> None:
    assert 'near "FORM": syntax error' in refused("sql", "SELECT * FORM root")


READING = [
    ["query", "--unusable"],
    ["query", "overview"],
    ["sql", "SELECT 1"],
    ["trace", "x"],
    ["status"],
    ["report"],
    ["recover", "--dry-run"],
    ["db", "status"],
    ["db", "upgrade"],
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "none.db"
    assert "There is no catalog at" in refused(*arguments, "--db", str(path))
    assert not path.exists()


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_what_is_no_catalog_is_told(tmp_path: Path, arguments: list[str]) -> None:
    assert "is a folder" in refused(*arguments, "--db", str(tmp_path))
    (tmp_path / "text.db").write_text("just a text, and long enough to be looked at" * 50)
    assert "no SQLite database" in refused(*arguments, "--db", str(tmp_path / "text.db"))


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_newer_catalog_is_told(db: Path, arguments: list[str]) -> None:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("UPDATE catalog_schema SET version_num = '99.0.0'")
        connection.commit()
    assert "newer than this catalog" in refused(*arguments)


def test_an_unknown_kind_of_database_is_told() -> None:
    assert "SQLite or PostgreSQL" in refused("status", "--db", "mysql://localhost/x")


def test_a_value_that_is_no_choice_is_met_with_the_choices(db: Path) -> None:
    result = call("status", "--by", "moon")
    assert result.exit_code == 2
    # The oldest typer that is allowed puts quotes around each choice.
    said = result.stderr.replace("'", "")
    assert "moon is not one of root, experiment, age, size." in said
    assert "Value error" not in result.stderr


def test_an_ingest_into_a_folder_or_a_damaged_database_is_told(db: Path, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    tree = str(tmp_path / "tree")
    assert "is a folder" in refused("ingest", tree, "--db", tree)
    content = db.read_bytes()
    (tmp_path / "short.db").write_bytes(content[: len(content) // 2])
    assert "is damaged" in refused("ingest", tree, "--db", str(tmp_path / "short.db"))


def test_ingest_of_what_is_not_there_is_told(tmp_path: Path) -> None:
    said = refused("ingest", str(tmp_path / "none"), "--db", str(tmp_path / "new.db"))
    assert str(tmp_path / "none") in said


def test_an_ingest_that_finds_nothing_says_what_it_looks_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["ingest", str(tmp_path), "--db", str(tmp_path / "new.db")])
    assert done.exit_code == 0
    assert "Nothing was recognised there. An ingest looks for checkpoints (.ckpt" in done.stdout
    assert "Next: `catalog ingest PATH" in done.stdout


def test_trace_draws_a_tree(db: Path) -> None:
    shown = call("trace", BEST).stdout
    lines = [line.lstrip("│├└─ ") for line in shown.splitlines()]
    assert lines[0] == BEST
    assert lines[1].startswith("202.3 MB, written 2025-10-17 19:29:34Z, torch-zip, lightning 2.4.0")
    assert "use  recoverable  No config lies where inference looks." in lines
    assert any(line.startswith(f"+12.5  ocr-team2/receipt/{RUN}") for line in lines)
    assert any(line.startswith("+9.5  best-score-recorded") for line in lines)
    assert f"in  wandb/run-20251018_023219-{RUN}/run-{RUN}.wandb" in lines
    assert "its run  val/hmean 0.952, train/loss nan" in lines
    assert "git  2c6f1f1" in lines


def test_a_tree_lets_no_control_character_through(db: Path) -> None:
    shown = call("trace", TWINS).stdout
    assert "\x1b" not in shown
    assert r"it's \x1b[31mred" in shown


def test_trace_gives_programs_everything(db: Path) -> None:
    found = json.loads(call("trace", BEST, "-f", "json").stdout)
    assert found["checkpoint"]["path"] == BEST
    assert found["candidates"][0]["evidence"][0]["weight"] == 9.5
    evidence = call("trace", BEST, "-f", "csv").stdout.splitlines()
    assert evidence[0] == "run,verdict,score,kind,weight,detail,file,file_state"
    assert len(evidence) == 4


def test_trace_of_what_is_unclear_names_the_choices(db: Path) -> None:
    assert call("trace", "best.ckpt").stderr.splitlines()[1:3] == [f"  {GOOD}", f"  {BEST}"]
    assert "No checkpoint fits" in refused("trace", "nosuch")


def test_status_shows_states_and_progress(db: Path) -> None:
    shown = call("status").stdout
    assert "recoverable              2    404.6 MB" in shown
    assert "recovery 1" in shown
    assert {row["state"]: row["checkpoints"] for row in rows("status")} == {
        "usable": 1,
        "migrated": 0,
        "unchecked": 0,
        "recoverable": 2,
        "ambiguous config": 1,
        "unrecoverable": 0,
        "damaged": 1,
        "not a model": 0,
        "missing": 1,
        "left out": 0,
        "trashed": 0,
    }
    assert "ambiguous config         1      5.0 kB" in shown
    assert "trashed" not in shown.partition("Unusable")[0]


def test_status_of_an_empty_catalog(empty_db: Path) -> None:
    assert "usable                   0         0 B" in call("status", "--db", str(empty_db)).stdout


def test_report_goes_to_a_file(db: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    result = call("report", "-o", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.read_text(encoding="utf-8").startswith("# Checkpoint Trace Report\n")
    assert "Is a directory" in refused("report", "-o", str(tmp_path))
    assert "No such file" in refused("report", "-o", str(tmp_path / "none" / "x.md"))


def test_db_status_upgrade_and_backup(db: Path, tmp_path: Path) -> None:
    (found,) = rows("db", "status")
    assert (found["database"], found["pending"]) == (str(db), "")
    assert "already" in call("db", "upgrade").stdout
    target = tmp_path / "copy.db"
    assert call("db", "backup", str(target)).exit_code == 0
    assert len(rows("query", "checkpoints", "--db", str(target))) == 6
    assert "exists already" in refused("db", "backup", str(target))


def test_settings_are_listed_with_their_defaults() -> None:
    listed = {row["name"]: row for row in rows("settings")}
    assert list(listed) == [setting.name for setting in all_settings()]
    assert listed["sql_row_limit"]["default"] == 10_000


class FakeCatalog:
    """Stands for the library where a test is about what the command line makes of it."""

    asked: dict[str, Any]

    def recover(self, **asked: Any) -> SimpleNamespace:
        self.asked = asked
        return SimpleNamespace(batch=None, files=self.files)

    def ingest(
        self, paths: list[Path], *, progress: Any, hashes: bool, jobs: int | None
    ) -> SimpleNamespace:
        self.asked = {"paths": paths, "hashes": hashes, "jobs": jobs}
        if progress is not None:
            for done in range(51):
                progress("read", done, 50)
        return self.summary

    files: tuple[SimpleNamespace, ...] = ()
    summary = SimpleNamespace(
        ingest_id=3,
        seen=50,
        read=40,
        unchanged=10,
        missing=1,
        problems=2,
        checkpoints=9,
        usable=5,
        unchecked=0,
        unusable=4,
        not_a_model=0,
        trashed_checkpoints=0,
        doubted=0,
        migrated=0,
        missing_checkpoints=0,
        left_out_checkpoints=0,
        newly_left_out=0,
        lost=(),
        elsewhere=(),
        linked=7,
        ambiguous=1,
        unlinked=1,
        unread={},
        seconds=0.25,
    )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCatalog:
    catalog = FakeCatalog()
    for command in ("recover", "ingest"):
        monkeypatch.setattr(
            f"catalog.cli.commands.{command}.open_catalog", lambda *_arguments: catalog
        )
    return catalog


def recovered(action: str) -> SimpleNamespace:
    return SimpleNamespace(
        checkpoint=LAST, sidecar="last.config.json", action=action, source="config.yaml", note=""
    )


def test_recover_shows_each_file_and_sums_up(fake: FakeCatalog) -> None:
    fake.files = (recovered("write"), recovered("skipped"))
    result = call("recover", "--dry-run", "outputs", "-f", "json")
    assert fake.asked == {"dry_run": True, "only": "outputs", "prefer": None}
    assert [row["action"] for row in json.loads(result.stdout)] == ["write", "skipped"]
    assert result.stderr.startswith("1 to be written, 1 skipped. Nothing was written;")
    assert result.exit_code == 0


def test_a_dry_run_that_would_write_nothing_says_so(fake: FakeCatalog) -> None:
    fake.files = (recovered("skipped"),)
    result = call("recover", "--dry-run")
    assert result.stderr == "1 skipped. Nothing was written, and nothing would be.\n"
    assert call("recover").stderr == "1 skipped.\n"


def test_recover_fails_if_a_file_failed(fake: FakeCatalog) -> None:
    fake.files = (recovered("written"), recovered("failed"))
    result = call("recover")
    assert result.exit_code == 1
    assert result.stderr.startswith("1 written, 1 failed.")


def test_ingest_sums_up_and_says_what_is_next(fake: FakeCatalog) -> None:
    result = call("ingest", "a", "b", "-j", "3")
    assert [str(path) for path in fake.asked["paths"]] == ["a", "b"]
    assert fake.asked["jobs"] == 3
    assert "50 files recognised in 0.2 s (40 read, 10 unchanged, 1 newly missing)" in result.stdout
    assert "9 checkpoints: 5 usable, 4 not; 7 linked" in result.stdout
    assert "`catalog query --unusable`, `catalog recover --dry-run`" in result.stdout
    assert result.stderr.splitlines() == ["read: 50 of 50"]


def test_a_quiet_ingest_says_nothing(fake: FakeCatalog) -> None:
    result = call("ingest", "--quiet")
    assert [str(path) for path in fake.asked["paths"]] == ["."]
    assert (result.stdout, result.stderr) == ("", "")


def test_an_interruption_is_one_line(fake: FakeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fake, "ingest", interrupt)
    assert "interrupted" in refused("ingest", code=130)


def test_lone_files_are_found_by_non_ascii_names(db: Path) -> None:
    assert call("trace", "한글").stdout.startswith(LONE)


def test_a_catalog_of_any_name_can_be_copied(db: Path, tmp_path: Path) -> None:
    odd = db.rename(tmp_path / "50%41 or #1?.db")
    target = tmp_path / "copy.db"
    assert call("db", "backup", str(target), "--db", str(odd)).exit_code == 0
    assert len(rows("query", "checkpoints", "--db", str(target))) == 6
