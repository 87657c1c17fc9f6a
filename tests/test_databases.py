"""One behaviour suite for every database that catalog claims: SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import Catalog
from catalog.errors import QueryError
from catalog.schema.views import ORDER


@pytest.fixture
def catalog(ocr_database: str) -> Catalog:
    return Catalog(ocr_database)


def test_the_example_gives_the_same_answers(catalog: Catalog, ocr_db: Path) -> None:
    sqlite = Catalog(ocr_db)
    for name in ("migration-status", "unusable", "ambiguous", "data-sources", "runs"):
        assert catalog.query(name).columns == sqlite.query(name).columns
        assert catalog.query(name).dicts() == sqlite.query(name).dicts(), name


@pytest.mark.parametrize("view", ORDER)
def test_every_view_answers(view: str, catalog: Catalog) -> None:
    assert catalog.sql(f"SELECT COUNT(*) AS n FROM {view}").dicts()[0]["n"] >= 0


def test_links_are_the_same(catalog: Catalog, ocr_db: Path) -> None:
    links = "SELECT path, run, verdict, score FROM checkpoint_trace ORDER BY path"
    assert catalog.sql(links).dicts() == Catalog(ocr_db).sql(links).dicts()


def test_a_second_ingest_opens_no_file(catalog: Catalog, ocr_project: Path) -> None:
    again = catalog.ingest([ocr_project])
    assert (again.read, again.missing) == (0, 0)
    assert again.unchanged == again.seen > 0


def test_sql_cannot_write(catalog: Catalog) -> None:
    with pytest.raises(QueryError):
        catalog.sql("DELETE FROM problem")
    with pytest.raises(QueryError):
        catalog.sql("CREATE TABLE mine (id INTEGER)")


def test_recovery_and_progress(database: str, project: Path) -> None:
    catalog = Catalog(database)
    catalog.ingest([project])
    result = catalog.recover()
    assert [file.action for file in result.files] == ["written"] * 18
    last = catalog.progress().dicts()[-1]
    assert (last["usable"], last["migrated"], last["recoverable"]) == (42, 18, 0)
