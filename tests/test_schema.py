"""The database: made, upgraded, backed up, and held to its own rules."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from catalog import Catalog, __version__
from catalog.errors import (
    CatalogError,
    DatabaseError,
    DatabaseMissing,
    QueryError,
    SchemaNewer,
    SchemaOlder,
)
from catalog.query.named import list_queries
from catalog.schema import version
from catalog.schema.engine import open_engine, writing
from catalog.schema.location import locate
from catalog.schema.tables import TABLES, metadata
from catalog.schema.upgrade import migrations_directory, open_for_writing
from catalog.schema.views import ORDER


def set_version(db: Path, text: str) -> None:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute(f"UPDATE {version.VERSION_TABLE} SET version_num = ?", (text,))
        connection.commit()


def test_the_list_of_versions_is_the_list_of_revisions() -> None:
    script = ScriptDirectory(str(migrations_directory()))
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(revisions)) == version.REVISIONS


def test_revisions_and_models_agree(database: str) -> None:
    engine = open_for_writing(locate(database))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": version.VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_every_table_and_column_is_described() -> None:
    for model in TABLES:
        table = metadata.tables[str(model.__tablename__)]
        assert table.comment, table.name
        for column in table.columns:
            assert column.comment, f"{table.name}.{column.name}"


def test_every_constraint_has_a_name_of_the_convention(empty_db: Path) -> None:
    with closing(sqlite3.connect(empty_db)) as connection:
        for name, sql in connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
        ):
            if name != version.VERSION_TABLE:
                for word in ("CHECK (", "FOREIGN KEY", "UNIQUE ("):
                    lines = [line for line in sql.splitlines() if word in line]
                    assert all("CONSTRAINT" in line for line in lines), (name, lines)


def test_enumerations_and_foreign_keys_are_enforced(empty_db: Path) -> None:
    location = locate(empty_db)
    engine = open_engine(location)
    bad = (
        """INSERT INTO ingest (status, cause, started_at, catalog_version, paths, settings,
               files_seen, files_read, files_unchanged, files_missing, problems)
           VALUES ('perhaps', '', '', '', '[]', '{}', 0, 0, 0, 0, 0)""",
        "INSERT INTO checkpoint (id, format, status) VALUES (77, 'torch-zip', 'readable')",
    )
    for sql in bad:
        with pytest.raises(CatalogError), writing(engine, location) as connection:
            connection.exec_driver_sql(sql)
    engine.dispose()


def test_the_journal_is_a_write_ahead_log(empty_db: Path) -> None:
    with closing(sqlite3.connect(empty_db)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_views_are_made_again_by_an_upgrade(empty_db: Path) -> None:
    with closing(sqlite3.connect(empty_db)) as connection:
        connection.execute("DROP VIEW checkpoint_trace")
        connection.commit()
    Catalog(empty_db).upgrade()
    with closing(sqlite3.connect(empty_db)) as connection:
        views = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        assert {name for (name,) in views} == set(ORDER)


@pytest.mark.parametrize(("wrote_last", "renewed"), [("0.0.9", True), (__version__, False)])
def test_views_are_made_again_where_another_version_wrote_last(
    ocr_db: Path, tmp_path: Path, wrote_last: str, renewed: bool
) -> None:
    with closing(sqlite3.connect(ocr_db)) as connection:
        connection.execute("UPDATE ingest SET catalog_version = ?", (wrote_last,))
        connection.execute("DROP VIEW data_sources")
        connection.execute("CREATE VIEW data_sources AS SELECT 1 AS old")
        connection.commit()
    (tmp_path / "empty").mkdir()
    Catalog(ocr_db).ingest([tmp_path / "empty"])
    assert (Catalog(ocr_db).sql("SELECT * FROM data_sources").columns == ("old",)) is not renewed


def test_an_older_schema_says_which_command_to_run_and_is_copied_before(
    ocr_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "REVISIONS", ("0.0.9", *version.REVISIONS))
    monkeypatch.setattr("catalog.schema.upgrade.REVISIONS", version.REVISIONS)
    set_version(ocr_db, "0.0.9")
    catalog = Catalog(ocr_db)
    with pytest.raises(SchemaOlder, match="catalog db upgrade"):
        catalog.query("unusable")
    with pytest.raises(SchemaOlder, match="catalog db upgrade"):
        catalog.ingest([ocr_db.parent])
    assert catalog.schema_status().pending == version.REVISIONS[1:]
    # The first revision cannot run on a database that has its tables: the copy must survive that.
    monkeypatch.setattr("catalog.schema.upgrade._run_revisions", lambda _engine: None)
    result = catalog.upgrade()
    assert result.copy is not None
    with closing(sqlite3.connect(result.copy)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM checkpoint").fetchone() == (42,)


def test_a_newer_schema_says_to_upgrade_catalog(empty_db: Path) -> None:
    set_version(empty_db, "9.9.9")
    catalog = Catalog(empty_db)
    calls: tuple[Callable[[], object], ...] = (
        lambda: catalog.query("unusable"),
        catalog.upgrade,
        catalog.recover,
    )
    for call in calls:
        with pytest.raises(SchemaNewer, match="pip install --upgrade catalog"):
            call()


def test_what_is_no_catalog_is_not_touched(tmp_path: Path) -> None:
    text, other, folder = tmp_path / "notes.txt", tmp_path / "other.db", tmp_path / "folder"
    text.write_text("not a database, but long enough to be taken for a header " * 20)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    folder.mkdir()
    before = {path: path.read_bytes() for path in (text, other)}
    for path in (text, other, folder):
        catalog = Catalog(path)
        calls: tuple[Callable[[], object], ...] = (
            partial(catalog.query, "unusable"),
            partial(catalog.ingest, [folder]),
            catalog.recover,
            catalog.upgrade,
        )
        for call in calls:
            with pytest.raises(DatabaseError):
                call()
    assert {path: path.read_bytes() for path in before} == before


def test_a_missing_database_is_made_by_ingest_only(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    catalog = Catalog(path)
    calls: tuple[Callable[[], object], ...] = (
        lambda: catalog.query("unusable"),
        catalog.recover,
        catalog.upgrade,
    )
    for call in calls:
        with pytest.raises(DatabaseMissing, match="catalog ingest"):
            call()
    assert not path.exists()


def test_backup_is_whole_and_never_overwrites(ocr_db: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    Catalog(ocr_db).backup(target)
    assert Catalog(target).status() == Catalog(ocr_db).status()
    with pytest.raises(DatabaseError, match="exists already"):
        Catalog(ocr_db).backup(target)
    with pytest.raises(DatabaseError, match="name another place"):
        Catalog(ocr_db).backup(tmp_path / "no such folder" / "copy.db")


def test_where_the_database_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate().file == Path("catalog.db")
    monkeypatch.setenv("CATALOG_DB", "elsewhere.db")
    assert locate().file == Path("elsewhere.db")
    assert locate("given.db").file == Path("given.db")
    assert locate("sqlite:////tmp/x.db").file == Path("/tmp/x.db")
    server = locate("postgresql://me:secret@host/name")
    assert server.url == "postgresql+psycopg://me:secret@host/name"
    assert "secret" not in server.shown
    with pytest.raises(DatabaseError, match="SQLite or PostgreSQL"):
        locate("mysql://host/name")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "released").glob("*.db")), ids=lambda path: path.stem
)
def test_every_released_schema_can_be_upgraded(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "catalog.db"))
    with closing(sqlite3.connect(copy)) as connection:  # a view of somebody who works with it
        connection.execute("CREATE VIEW mine AS SELECT COUNT(value) AS points FROM metric_point")
        connection.commit()
    kept = ("file", "checkpoint", "run_field", "config_value", "metric_point", "link_evidence")
    before = _rows_of(copy, *kept, "mine")
    Catalog(copy).upgrade()
    assert _rows_of(copy, *kept, "mine") == before
    catalog = Catalog(copy)
    assert catalog.schema_status().pending == ()
    assert catalog.query("unusable").columns
    catalog.ingest([tmp_path])


def test_a_catalog_of_the_release_before_is_read_as_it_is(tmp_path: Path) -> None:
    """Its tables are the same, its views are older: reading needs no upgrade."""
    released = Path(__file__).parent / "released" / f"{version.HEAD}.db"
    copy = Path(shutil.copy(released, tmp_path / "catalog.db"))
    before = copy.read_bytes()
    catalog = Catalog(copy)
    for query in list_queries():
        if not any(parameter.required for parameter in query.comment.parameters):
            assert catalog.query(query.name).columns
    assert catalog.report()
    paths = [row["path"] for row in catalog.query("checkpoints").dicts()]
    assert [catalog.trace(path).checkpoint["path"] for path in paths] == paths
    assert [catalog.run(row["run"]).run for row in catalog.query("runs").dicts()]
    assert catalog.sql("SELECT safety FROM checkpoint_trace").rows
    assert copy.read_bytes() == before


@pytest.mark.parametrize("ocr_database", ["postgresql"], indirect=True)
def test_a_server_s_old_views_are_told_of(ocr_database: str) -> None:
    engine = open_engine(locate(ocr_database))
    with writing(engine, locate(ocr_database)) as connection:
        connection.exec_driver_sql("UPDATE ingest SET catalog_version = '0.3.0'")
        connection.exec_driver_sql("DROP VIEW checkpoint_in_run")
    engine.dispose()
    with pytest.raises(QueryError, match=r"are those of catalog 0\.3\.0: .*`catalog db upgrade"):
        Catalog(ocr_database).trace(first_path(ocr_database))
    Catalog(ocr_database).upgrade()
    assert Catalog(ocr_database).trace(first_path(ocr_database)).checkpoint


def first_path(database: str) -> str:
    return str(Catalog(database).query("checkpoints", limit=1).rows[0][0])


def _rows_of(db: Path, *names: str) -> dict[str, object]:
    """How many rows each table has, and what a view says."""
    with closing(sqlite3.connect(db)) as connection:
        return {
            name: connection.execute(
                f"SELECT * FROM {name}" if name == "mine" else f"SELECT COUNT(*) FROM {name}"
            ).fetchall()
            for name in names
        }


def test_looking_waits_for_no_writer(ocr_db: Path) -> None:
    catalog = Catalog(ocr_db)
    with closing(sqlite3.connect(ocr_db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM problem")
        assert catalog.schema_status().pending == ()
        assert len(catalog.recover(dry_run=True).files) == 18
        assert catalog.explain_recovery().rows
        assert len(catalog.query("problems").rows) == 2
        writer.execute("ROLLBACK")
