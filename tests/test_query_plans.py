"""How the work of a question grows with the catalog: steps of SQLite's machine, not seconds."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.make_catalog import multiply
from catalog.query.connection import open_reader
from catalog.query.named import list_queries, resolve
from catalog.query.trace import trace
from catalog.schema.location import locate
from catalog.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 20
SMALL, LARGE = 4, 16
"""Copies of the example project in the two catalogs that are compared."""

FLAT = {
    "checkpoints",
    "checkpoint_file",
    "checkpoint_in_run",
    "checkpoint_trace",
    "config",
    "config_flat",
    "evidence-at-risk",
    "migration-events",
    "open_problems",
    "recoverable",
    "run_config_chosen",
    "run_metrics",
    "run_overview",
    "runs",
    "unusable",
    "unusable-linked",
    "unusable_checkpoints",
    "usable",
}
"""Questions whose first page takes as long on a large catalog as on a small one. The others add
things up or sort: they may grow as the catalog does, but no faster."""

WALKED = {
    # One pass over an index that holds what is counted; no row of a table is read for it.
    "data-sources": {"ix_file_reader_state_size"},
    "data_sources": {"ix_file_reader_state_size"},
    "ingest-summary": {"ix_migration_state", "ix_link_linked", "ix_link_ambiguous"},
    "migration-progress": {"ix_migration_event_ingest_id", "ingest"},
    "migration_progress": {"ix_migration_event_ingest_id", "ingest"},
    "migration-status": {"ix_migration_state"},
    "migration_status": {"ix_migration_state"},
    "overview": {"ix_migration_state", "ix_link_ambiguous", "ix_run_started_at", "ingest"},
    "roots": {"ix_migration_state"},
    "hosts": {"sqlite_autoindex_root_host_1"},  # a few rows for each tree
    # A list of tensors stands for all checkpoints that have the same.
    "checkpoint_dtypes": {"sqlite_autoindex_architecture_tensor_1"},
    # All names of all checkpoints.
    "checkpoint_globals": {"ix_checkpoint_global_set_id"},
    # Ambiguous links have an index of their own, which holds nothing else.
    "ambiguous": {"ix_link_ambiguous"},
    "ambiguous_links": {"ix_link_ambiguous"},
    "unusable-ambiguous": {"ix_link_ambiguous"},
    # A run may be named in four ways: runs and folders are looked through, and no row below.
    "metrics": {"run", "run_directory"},
    # By folder: the series of each are looked up.
    "metric_life": {"run_directory"},
    "run-directories": {"run", "run_directory"},
    # All that there is of something of which there is little, in an order of its own.
    "decisions": {"sqlite_autoindex_link_decision_1"},
    "ingests": {"ingest"},
    "lineage": {"lineage"},
    "moves": {"checkpoint_move"},
    "recovered": {"recovery_file"},
    "recovered-files": {"recovery_file"},
}
"""Tables and indexes that a question which is not flat goes through from end to end, and why."""
SMALL_ONES = {"problem", "root", "sqlite_autoindex_root_1"}

CASES = [query.name for query in list_queries()]


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory, _ocr_ingested: Path) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("catalogs")
    made = {}
    for copies in (SMALL, LARGE):
        made[copies] = Path(shutil.copy(_ocr_ingested, folder / f"{copies}.db"))
        multiply(made[copies], copies)
    return made


def parameters(db: Path) -> dict[str, str]:
    """A value for each parameter that a question may need: of the last copy."""
    with closing(sqlite3.connect(db)) as connection:
        (run, directory) = connection.execute(
            "SELECT u.tracker_run_id, d.path FROM run u JOIN run_directory d ON d.run_id = u.id "
            "WHERE u.tracker_run_id IS NOT NULL ORDER BY u.id DESC LIMIT 1"
        ).fetchone()
        (path,) = connection.execute(
            "SELECT f.path FROM file f JOIN checkpoint c ON c.id = f.id ORDER BY f.id DESC LIMIT 1"
        ).fetchone()
    assert directory
    return {"run": run, "metric": "val/hmean", "checkpoint": path}


def walked(connection: sqlite3.Connection, sql: str, values: Mapping[str, str | None]) -> set[str]:
    """Return the tables and indexes that a statement goes through from their first entry on."""
    names = dict(
        connection.execute("SELECT rootpage, name FROM sqlite_master WHERE rootpage > 0").fetchall()
    )
    opened: dict[int, str] = {}
    found = set()
    for _, operation, cursor, page, *_ in connection.execute(f"EXPLAIN {sql}", values):
        if operation in {"OpenRead", "ReopenIdx"} and page in names:
            opened[cursor] = names[page]
        elif operation in {"Rewind", "Last", "Count"} and cursor in opened:
            found.add(opened[cursor])
    return found


def steps(db: Path, name: str) -> int:
    """Hundreds of steps until the first page of a question is there."""
    query = next(query for query in list_queries() if query.name == name)
    known = parameters(db)
    given = {one.name: known.get(one.name, "x") for one in query.comment.parameters if one.required}
    sql, values = resolve(name, given)
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with closing(sqlite3.connect(db)) as connection:
        connection.set_progress_handler(step, 100)
        connection.execute(sql, values).fetchmany(PAGE)
    return count


@pytest.mark.parametrize("name", CASES)
def test_a_question_grows_no_faster_than_the_catalog(catalogs: dict[int, Path], name: str) -> None:
    small, large = (steps(catalogs[copies], name) for copies in (SMALL, LARGE))
    growth = 1.3 if name in FLAT else 1.2 * LARGE / SMALL
    # Some steps come with any statement.
    assert large <= growth * small + 20


def test_the_lists_of_questions_are_right() -> None:
    assert set(CASES) >= FLAT | WALKED.keys()
    assert not FLAT & WALKED.keys()


@pytest.mark.parametrize("name", [name for name in CASES if name not in FLAT])
def test_what_a_question_goes_through_is_known(catalogs: dict[int, Path], name: str) -> None:
    query = next(query for query in list_queries() if query.name == name)
    sql, values = resolve(name, {one.name: "x" for one in query.comment.parameters if one.required})
    with closing(sqlite3.connect(catalogs[SMALL])) as connection:
        assert walked(connection, sql, values) - SMALL_ONES <= WALKED.get(name, set())


def test_a_trace_looks_things_up(
    catalogs: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = catalogs[LARGE]
    asked: list[tuple[str, dict[str, object]]] = []
    with open_reader(locate(db), Settings()) as reader:
        real = reader.run

        def run(sql: str, params: dict[str, object], **options: int) -> object:
            asked.append((sql, params))
            return real(sql, params, **options)

        monkeypatch.setattr(reader, "run", run)
        found = trace(reader, parameters(db)["checkpoint"])
    assert found.checkpoint["path"] == parameters(db)["checkpoint"]
    scans = set()
    with closing(sqlite3.connect(db)) as connection:
        for sql, params in asked:
            for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params):
                scans |= set(re.findall(r"^SCAN (\w+)", line))
    # Roots are few, and `r` stands for nothing else.
    assert scans <= {"r", "root"}
