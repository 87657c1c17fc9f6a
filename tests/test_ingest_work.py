"""How much an ingest does: counted, not timed. And what becomes of workers that die."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.cli.progress import showing
from catalog.ingest import pipeline, workers
from catalog.ingest.stages import Stages
from catalog.ingest.watch import changes
from catalog.settings import Settings
from catalog.sources import registry
from catalog.sources.facts import Facts, Item
from tests.support.database import facts
from tests.support.trees import Training

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for number in range(6):
        training = Training(
            f"exp{number}",
            f"run0000{number}",
            scores=(0.25, 0.5 + number / 1000),
            begin=number * 600,
            named=True,
        )
        checkpoint = training.write(root)
        if number < 3:
            checkpoint.with_suffix(".config.json").write_text('{"model": {"name": "pan"}}')
    return root


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "WORTH_A_POOL", 1)
    monkeypatch.setattr(pipeline, "BATCH", 3)
    monkeypatch.setattr(pipeline, "WRITTEN", 3)


def written(db: Path, act: Callable[[], object]) -> dict[str, int]:
    """The rows that something inserts, changes or deletes, by table."""
    with closing(sqlite3.connect(db)) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        connection.execute("CREATE TABLE work (name TEXT)")
        for table in tables:
            for event in ("INSERT", "UPDATE", "DELETE"):
                connection.execute(
                    f"CREATE TRIGGER work_{table}_{event} AFTER {event} ON {table} "
                    f"BEGIN INSERT INTO work VALUES ('{table}'); END"
                )
        connection.commit()
        act()
        counts = dict(connection.execute("SELECT name, COUNT(*) FROM work GROUP BY name"))
        for table in tables:
            for event in ("INSERT", "UPDATE", "DELETE"):
                connection.execute(f"DROP TRIGGER work_{table}_{event}")
        connection.execute("DROP TABLE work")
        connection.commit()
    return counts


def test_nothing_new_is_no_file_opened_and_no_row_written(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    monkeypatch.setattr(registry, "read", None)  # to call it would raise
    judged: list[str] = []
    for name in (
        "catalog.ingest.runs.gather_runs",
        "catalog.link.linker.link_checkpoints",
        "catalog.recover.assess.assess",
    ):
        monkeypatch.setattr(name, lambda *_: judged.append("judged"))
    # One row tells when this host last saw the tree.
    work = written(empty_db, lambda: catalog.ingest([tree]))
    assert set(work) == {"ingest", "root_host"}
    assert work["root_host"] == 1
    assert judged == []


def test_one_changed_file_is_the_work_of_one_file(tree: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    changed = next(tree.glob("wandb/*run00004/files/wandb-summary.json"))
    changed.write_text('{"val/hmean": 0.1, "new": 1}')
    before = catalog.sql(
        "SELECT COUNT(*) FROM metric_summary s JOIN file f ON f.id = s.file_id "
        "WHERE f.path LIKE '%run00004/files/wandb-summary.json'"
    ).rows[0][0]
    counts = written(empty_db, lambda: catalog.ingest([tree]))
    assert counts["file"] == 1
    assert counts["metric_summary"] == before + 2  # its old values go, two come
    assert counts.get("checkpoint", 0) == 0
    # Only the checkpoint of that run is judged otherwise.
    assert counts.get("link", 0) <= 2


def test_other_settings_judge_again_without_reading(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Catalog(empty_db).ingest([tree]).unusable == 3
    monkeypatch.setattr(registry, "read", None)
    other = Settings.parse(["config_sections=no_such_section"])
    assert Catalog(empty_db, other).ingest([tree]).unusable == 6
    assert Catalog(empty_db).ingest([tree]).unusable == 3


def test_an_ingest_that_ended_before_linking_is_completed(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("catalog.link.linker.link_checkpoints", stop)
        with pytest.raises(KeyboardInterrupt):
            Catalog(empty_db).ingest([tree])
    summary = Catalog(empty_db).ingest([tree])
    assert (summary.read, summary.linked) == (0, 6)


def test_a_persons_word_after_a_kill_does_not_pass_for_a_whole_ingest(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    Training("late", "run00009", scores=(0.25, 0.75), begin=90_000, named=True).write(tree)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("catalog.ingest.runs.gather_runs", stop)
        with pytest.raises(KeyboardInterrupt):
            catalog.ingest([tree])
    catalog.reject("exp0", "run00000", "It was another one.")
    summary = catalog.ingest([tree])
    assert (summary.read, summary.linked) == (0, 6)  # one was rejected, one came
    assert catalog.trace("late").checkpoint["run"] == "run00009"


def test_workers_come_to_the_same_rows(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = tmp_path / "alone.db", tmp_path / "together.db"
    Catalog(alone).ingest([tree])
    monkeypatch.setattr(pipeline, "WORTH_A_POOL", 1)
    monkeypatch.setattr(pipeline, "BATCH", 3)
    monkeypatch.setattr(pipeline, "WRITTEN", 3)
    monkeypatch.setattr(workers.Workers, "possible", True)
    Catalog(together).ingest([tree])
    assert facts(alone) == facts(together)


@pytest.mark.usefixtures("small_batches")
def test_an_executor_of_ones_own(tree: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone.db", tmp_path / "together.db"
    Catalog(alone).ingest([tree])
    with ThreadPoolExecutor(2) as executor:
        Catalog(together).ingest([tree], executor=executor)
        assert executor.submit(int, "1").result() == 1  # it is not shut down
    assert facts(alone) == facts(together)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("asked", [1, 3])
def test_as_many_processes_read_as_were_asked_for(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    started = []
    real = ProcessPoolExecutor

    def counted(count: int, *rest: Any, **options: Any) -> ProcessPoolExecutor:
        started.append(count)
        return real(count, *rest, **options)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", counted)
    monkeypatch.setattr("threading.active_count", lambda: 1)  # those of the test runner are idle
    summary = Catalog(empty_db).ingest([tree], jobs=asked)
    assert summary.linked == 6
    assert started == ([asked] if asked > 1 and sys.platform == "linux" else [])


def test_a_small_tree_starts_no_process(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    assert Catalog(empty_db).ingest([tree]).linked == 6


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("given", [False, True])
def test_a_worker_that_dies_costs_one_file(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    real = registry.read

    def read(root: Path, item: Item) -> Facts:
        if item.path.endswith("run00002/files/config.yaml"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(root, item)

    monkeypatch.setattr(registry, "read", read)  # the workers are forked and have it
    monkeypatch.setattr(workers.Workers, "possible", True)
    executor = ProcessPoolExecutor(2) if given else None
    catalog = Catalog(empty_db)
    summary = catalog.ingest([tree], executor=executor)
    if executor is not None:
        executor.shutdown()
    assert (summary.problems, summary.linked) == (1, 6)
    (problem,) = catalog.query("problems").dicts()
    assert problem["code"] == "worker-died"
    assert problem["path"].endswith("run00002/files/config.yaml")
    monkeypatch.setattr(registry, "read", real)
    again = catalog.ingest([tree])
    assert (again.read, again.problems) == (1, 0)


class _Lossy:
    """An executor as a cluster's: one task in three is lost with an error of its own."""

    def __init__(self) -> None:
        self._count = 0

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._count += 1
        if self._count % 3 == 0:
            future.set_exception(ConnectionError("the machine went away"))
        else:
            future.set_result(function(*arguments))
        return future


@pytest.mark.usefixtures("small_batches")
def test_what_a_cluster_loses_is_read_here(tree: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone.db", tmp_path / "together.db"
    Catalog(alone).ingest([tree])
    Catalog(together).ingest([tree], executor=_Lossy())  # type: ignore[arg-type]
    assert facts(alone) == facts(together)


_INTERRUPTED = """
import os, signal, sys
from catalog import Catalog
from catalog.ingest import pipeline, workers
pipeline.WORTH_A_POOL, pipeline.BATCH, workers.Workers.possible = 1, 3, True
pipeline.WRITTEN = 3
def progress(stage, count, total):
    if stage == "read" and count:
        os.killpg(0, signal.SIGINT)  # as a terminal does: to the workers, too
Catalog(sys.argv[1]).ingest([sys.argv[2]], progress=progress)
"""


def test_an_interruption_ends_the_workers_and_keeps_what_was_done(
    tree: Path, empty_db: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, str(empty_db), str(tree)],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=60,
    )
    assert done.stderr.count("Traceback") == 1  # the parent's alone
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    kept = Catalog(empty_db).sql("SELECT COUNT(*) AS n FROM file").dicts()[0]["n"]
    assert kept > 0
    summary = Catalog(empty_db).ingest([tree])
    assert summary.unchanged == kept
    assert summary.linked == 6


def test_every_second_belongs_to_one_stage() -> None:
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    stages = Stages(lambda: next(now))
    with stages.stage("outer"):
        with stages.stage("inner"):
            pass
        with stages.stage("inner"):
            pass
    assert stages.seconds == {"outer": 1.0 + 3.0 + 5.0, "inner": 2.0 + 4.0}


def test_the_summary_tells_the_stages(tree: Path, empty_db: Path) -> None:
    done = Catalog(empty_db).ingest([tree])
    assert set(done.stages) == {
        "known", "scan", "read", "write", "mark", "gather", "link", "assess",
    }  # fmt: skip
    assert sum(done.stages.values()) <= done.seconds


def test_watching_without_events_looks_at_all(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.ingest.watch.find_spec", lambda _name: None)
    assert next(changes([tree], interval=0)) == [tree]


def test_watching_by_events_looks_where_something_changed(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Training("late", "runlate1", begin=9000, named=True)

    class Events:
        """Stands for watchfiles, which the tests do not need."""

        @staticmethod
        def watch(*_paths: Path, **_options: object) -> Any:
            path = new.write(tree)
            stream = next(tree.glob("wandb/*runlate1/*.wandb"))
            yield {(1, str(path)), (1, str(stream)), (3, str(tree / "gone/deep/file"))}

    monkeypatch.setattr("catalog.ingest.watch.find_spec", lambda _name: object())
    monkeypatch.setattr("catalog.ingest.watch.import_module", lambda _name: Events)
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    (done,) = catalog.watch([tree])
    assert done.linked == 7


def test_the_command_watches_and_tells_what_came(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Training("late", "runlate1", begin=9000, named=True)

    def changes(paths: list[Path]) -> Any:
        yield paths  # nothing happened: nothing is said
        late.write(tree)
        yield paths

    monkeypatch.setattr("catalog.ingest.watch.changes", changes)
    shown = CliRunner().invoke(app, ["ingest", str(tree), "--db", str(empty_db), "--watch"])
    assert shown.exit_code == 0, shown.output
    said = [line for line in shown.stdout.splitlines() if line.startswith("Ingest ")]
    assert [line.partition(":")[0] for line in said] == ["Ingest 1", "Ingest 3"]
    assert "7 checkpoints" in shown.stdout


def test_the_command_tells_where_the_time_went(tree: Path, empty_db: Path) -> None:
    shown = CliRunner().invoke(app, ["ingest", str(tree), "--db", str(empty_db), "--profile"])
    table = re.findall(r"^(\w+) +([\d.]+) s +(\d+)%$", shown.stdout, re.MULTILINE)
    assert [stage for stage, *_ in table][-3:] == ["link", "assess", "other"]
    assert 95 <= sum(int(share) for *_, share in table) <= 105


def test_progress_on_a_terminal_leaves_room_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    before = threading.active_count()
    with showing(quiet=False) as progress:
        assert progress is not None
        progress("read", 1, 2)
        assert threading.active_count() == before  # one more, and no process could be forked
