from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import (
    CatalogError,
    DatabaseBusy,
    DatabaseError,
    DatabaseMissing,
    NotACatalog,
    QueryError,
    QueryLimit,
    SchemaNewer,
)
from catalog.query.connection import Reader, open_reader
from catalog.query.rows import unique_names
from catalog.schema.location import locate
from catalog.settings import Settings
from tests.support.rows import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
WRITES = [
    "INSERT INTO root VALUES (9, 'h', '/', '')",
    "UPDATE checkpoint SET epoch = 1",
    "DELETE FROM checkpoint",
    "WITH x AS (SELECT 1) DELETE FROM checkpoint",
    "DROP TABLE checkpoint",
    "DROP VIEW checkpoint_trace",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE VIEW v AS SELECT 1",
    "ALTER TABLE root RENAME TO r",
    "ATTACH DATABASE ':memory:' AS other",
    "ATTACH DATABASE '/tmp/never-made.db' AS other",
    "DETACH DATABASE main",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = OFF",
    "PRAGMA journal_mode = DELETE",
    "SELECT * FROM pragma_table_info('root')",
    "SELECT load_extension('evil')",
    "VACUUM INTO '/tmp/never-made.db'",
    "REINDEX",
    "ANALYZE",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "SAVEPOINT s",
]


WORDS = [*"*()'\";,:1", "--", "SELECT", "FROM", "root", ":a", "AS", "WITH", "DELETE", "PRAGMA"]


def reader(db: Path, **changed: float) -> Reader:
    return open_reader(locate(db), Settings.of(changed))


def dump(db: Path) -> list[str]:
    with closing(sqlite3.connect(db)) as connection:
        return list(connection.iterdump())


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory, _prepared: Path) -> Path:
    return fill(Path(shutil.copy(_prepared, tmp_path_factory.mktemp("readable") / "catalog.db")))


def test_rows_come_with_their_names(readable: Path) -> None:
    with reader(readable) as open_one:
        rows = open_one.run("SELECT id, path FROM root WHERE host = :host", {"host": "lab"})
    assert rows.columns == ("id", "path")
    assert rows.dicts() == [{"id": 1, "path": "/data/ocr"}]
    assert not rows.truncated


@pytest.mark.parametrize("sql", WRITES)
def test_whatever_is_no_reading_is_refused_and_changes_nothing(readable: Path, sql: str) -> None:
    before = dump(readable)
    with reader(readable) as open_one:
        with pytest.raises(QueryError, match="only reads"):
            open_one.run(sql)
        # The refusal leaves a connection that still answers.
        assert open_one.run("SELECT 1").rows == [(1,)]
    assert dump(readable) == before
    assert not Path("/tmp/never-made.db").exists()


def test_the_engine_refuses_writes_even_without_the_authorizer(readable: Path) -> None:
    with reader(readable) as open_one:
        connection = open_one._connection  # type: ignore[attr-defined]
        connection.set_authorizer(None)
        with pytest.raises(QueryError, match="only reads"):
            open_one.run("DELETE FROM checkpoint_score")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT nosuch FROM root", "no such column"),
        ("SELECT * FROM nowhere", "no such table"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("", "no statement"),
        ("-- only a comment", "no statement"),
        ("SELECT :a", "binding"),
        ("SELECT '\0'", "null character"),
        ("SELECT '\ud800'", "not UTF-8"),
        ("SELECT zeroblob(2000000000)", "too big"),
    ],
)
def test_a_wrong_statement_is_explained(readable: Path, sql: str, said: str) -> None:
    with reader(readable) as open_one, pytest.raises(QueryError, match=said):
        open_one.run(sql)


def test_what_takes_too_long_is_stopped(readable: Path) -> None:
    with reader(readable, sql_time_limit=0.05) as open_one:
        with pytest.raises(QueryLimit, match="sql_time_limit"):
            open_one.run(ENDLESS)
        assert open_one.run("SELECT 1").rows == [(1,)]


def test_an_interruption_is_not_taken_for_the_time_limit(readable: Path) -> None:
    with reader(readable) as open_one:
        connection = open_one._connection  # type: ignore[attr-defined]
        # What SQLite does when Ctrl-C raises inside the handler: it stops the statement.
        connection.set_progress_handler(lambda: 1, 1_000)
        with pytest.raises(KeyboardInterrupt):
            open_one.run(ENDLESS)


@pytest.mark.parametrize(
    ("limit", "count", "cut"), [(5, 5, True), (13, 10, False), (10, 10, False)]
)
def test_rows_beyond_the_limit_are_cut_and_that_is_said(
    readable: Path, limit: int, count: int, cut: bool
) -> None:
    with reader(readable) as open_one:
        rows = open_one.run("SELECT id FROM file", row_limit=limit)
    assert (len(rows.rows), rows.truncated) == (count, cut)


def test_an_endless_statement_gives_its_first_rows(readable: Path) -> None:
    endless = ENDLESS.replace("COUNT(*)", "i")
    with reader(readable) as open_one:
        rows = open_one.run(endless, row_limit=3)
    assert (rows.rows, rows.truncated) == ([(1,), (2,), (3,)], True)


def test_a_reader_sees_one_state_while_others_write(empty_db: Path) -> None:
    fill(empty_db)
    with reader(empty_db) as open_one, closing(sqlite3.connect(empty_db)) as writer:
        before = open_one.run("SELECT COUNT(*) FROM root").rows
        writer.execute("INSERT INTO root VALUES (2, 'lab', '/elsewhere', '')")
        writer.commit()
        assert open_one.run("SELECT COUNT(*) FROM root").rows == before
    with reader(empty_db) as again:
        assert again.run("SELECT COUNT(*) FROM root").rows == [(2,)]


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing, match="catalog ingest"):
        reader(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_folder_is_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(NotACatalog, match="is a folder"):
        reader(tmp_path)


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NotACatalog, match="no regular file"):
        reader(tmp_path / "fifo")


@pytest.mark.parametrize(
    "content", [b"not a database " * 100, b"\0" * 4096, b"SQLite format 3\0xx"]
)
def test_another_kind_of_file_is_no_catalog(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(NotACatalog, match="--db"):
        reader(path)


def test_an_empty_file_and_another_database_are_no_catalogs(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    for name in ("empty.db", "other.db"):
        with pytest.raises(NotACatalog, match="no table catalog_schema"):
            reader(tmp_path / name)


def test_a_newer_catalog_is_told_from_a_strange_one(empty_db: Path) -> None:
    with closing(sqlite3.connect(empty_db)) as connection:
        connection.execute("UPDATE catalog_schema SET version_num = '99.0.0'")
        connection.commit()
    with pytest.raises(SchemaNewer, match=r"99\.0\.0"):
        reader(empty_db)


def test_a_damaged_catalog_is_told(readable: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(readable, tmp_path / "damaged.db"))
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(CatalogError), reader(path) as open_one:
        open_one.run("SELECT * FROM checkpoint_trace")


def test_a_locked_catalog_is_told(empty_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.query.sqlite._BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(empty_db, isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode = DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusy, match="another process"):
            reader(empty_db)


@pytest.mark.parametrize(
    "name", ["a b.db", "what?.db", "50%41.db", "#1.db", "한글.db", "a&mode=rw.db", "caf\udce9.db"]
)
def test_any_file_name_can_be_opened(readable: Path, tmp_path: Path, name: str) -> None:
    path = Path(shutil.copy(readable, tmp_path / name))
    with reader(path) as open_one:
        assert open_one.run("SELECT COUNT(*) FROM root").rows == [(1,)]


@contextmanager
def without_rights() -> Iterator[None]:
    """Go on as a user to whom read-only is read-only (root passes everywhere)."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that every user can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() != tmp_path.owner() or folder == Path(gettempdir()):
            break
        folder.chmod(0o755)
    return tmp_path


def test_a_catalog_in_a_read_only_folder_can_be_read(readable: Path, open_folder: Path) -> None:
    folder = open_folder / "read-only"
    folder.mkdir()
    db = Path(shutil.copy(readable, folder / "catalog.db"))
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for beside in folder.glob("catalog.db-*"):
        beside.unlink()
    db.chmod(0o444)
    folder.chmod(0o555)
    with without_rights(), reader(db) as open_one:
        assert open_one.run("SELECT COUNT(*) FROM root").rows == [(1,)]
    assert [path.name for path in folder.iterdir()] == ["catalog.db"]
    folder.chmod(0o755)


def test_changes_in_a_log_that_cannot_be_read_are_not_overlooked(
    readable: Path, open_folder: Path
) -> None:
    folder = open_folder / "busy"
    folder.mkdir()
    db = Path(shutil.copy(readable, folder / "catalog.db"))
    (folder / "catalog.db-wal").write_bytes(b"\x37\x7f\x06\x82" + b"\0" * 4000)
    db.chmod(0o444)
    folder.chmod(0o555)
    with without_rights(), pytest.raises(DatabaseError, match="write-ahead log"):
        reader(db)
    folder.chmod(0o755)


def test_a_file_without_read_permission_is_told(readable: Path, open_folder: Path) -> None:
    db = Path(shutil.copy(readable, open_folder / "private.db"))
    db.chmod(0o000)
    with without_rights(), pytest.raises(DatabaseError, match="cannot be opened"):
        reader(db)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(WORDS),
            max_size=12,
        ).map(" ".join),
    )
)
def test_any_text_gives_rows_or_a_sentence(readable: Path, text: str) -> None:
    with reader(readable, sql_time_limit=1.0) as open_one:
        try:
            rows = open_one.run(text, row_limit=10)
        except (QueryError, DatabaseError):
            return
    assert all(len(row) == len(rows.columns) for row in rows.rows)
    assert len(set(rows.columns)) == len(rows.columns)


@given(st.lists(st.sampled_from(["a", "b", "a_2", "a_3"]), max_size=8))
def test_names_become_unique_and_first_ones_stay(names: list[str]) -> None:
    made = unique_names(names)
    assert len(set(made)) == len(made) == len(names)
    for position, name in enumerate(names):
        if name not in made[:position]:
            assert made[position] == name
