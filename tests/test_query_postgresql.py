"""On PostgreSQL reading is the same as on SQLite: answers, refusals and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from catalog.errors import DatabaseError, NotACatalog, QueryError, QueryLimit
from catalog.query.connection import Reader, open_reader
from catalog.query.named import list_queries, resolve
from catalog.query.trace import trace
from catalog.report.markdown import report
from catalog.schema.location import locate
from catalog.schema.upgrade import open_for_writing
from catalog.settings import Settings
from tests.support.rows import BEST, FINGERPRINT, LAST, RUN, TWINS, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgresql import Cluster

VALUES = {"run": RUN, "metric": "val/hmean", "checkpoint": BEST}


@pytest.fixture(scope="module")
def cluster(_cluster: Cluster) -> Cluster:
    return _cluster


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> str:
    made = cluster.new_database()
    open_for_writing(locate(made)).dispose()
    return fill(made)


@pytest.fixture
def reader(url: str) -> Iterator[Reader]:
    with open_reader(locate(url), Settings(sql_time_limit=0.5)) as open_one:
        yield open_one


def test_every_query_gives_the_rows_that_sqlite_gives(reader: Reader, empty_db: Path) -> None:
    with open_reader(locate(fill(empty_db)), Settings()) as other:
        for query in list_queries():
            wanted = {
                parameter.name: VALUES[parameter.name]
                for parameter in query.comment.parameters
                if parameter.required
            }
            given, expected = (one.run(*resolve(query.name, wanted)) for one in (reader, other))
            assert given.columns == expected.columns
            # Rows that tie, and text, may be ordered by the database's own rules.
            assert sorted(map(repr, given.rows)) == sorted(map(repr, expected.rows)), query.name


def test_a_trace_and_a_report_are_the_same(reader: Reader, empty_db: Path) -> None:
    with open_reader(locate(fill(empty_db)), Settings()) as other:
        for text in (BEST, LAST, TWINS, "한글"):
            assert trace(reader, text).to_dict() == trace(other, text).to_dict()
        lines = report(reader, now="now").splitlines()
        assert sorted(lines) == sorted(report(other, now="now").splitlines())
    with pytest.raises(QueryError, match="2 checkpoints fit"):
        trace(reader, FINGERPRINT)


NO_READING = (
    "INSERT INTO root VALUES (9, 'h', '/', '')",
    "WITH x AS (DELETE FROM checkpoint_score RETURNING 1) SELECT * FROM x",
    "DROP TABLE checkpoint_score",
    "SELECT 1; DELETE FROM checkpoint_score",
    "SELECT 1; COMMIT; DROP TABLE checkpoint_score; SELECT 1",
    "COMMIT",
    "CREATE TABLE t (a INTEGER)",
    "SELECT nosuch FROM root",
    "SELEC 1",
    "",
)


def test_what_is_no_reading_is_refused_and_the_next_query_works(reader: Reader) -> None:
    for sql in NO_READING:
        with pytest.raises(QueryError):
            reader.run(sql)
        assert reader.run("SELECT COUNT(*) FROM checkpoint_score").rows == [(1,)], sql


def test_limits_hold(reader: Reader) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
    with pytest.raises(QueryLimit, match="sql_time_limit"):
        reader.run(endless.format("COUNT(*)"))
    rows = reader.run(endless.format("i"), row_limit=3)
    assert (list(rows.rows), rows.truncated) == ([(1,), (2,), (3,)], True)


def test_a_stream_is_whole_or_an_error(reader: Reader) -> None:
    stream = reader.stream("SELECT i FROM generate_series(1, 12345) AS s(i)")
    assert stream.columns == ("i",)
    assert [i for (i,) in stream.rows] == list(range(1, 12346))
    reader.limit_time(0.3)
    endless = reader.stream(
        "SELECT i, pg_sleep(0.0002) AS s FROM generate_series(1, 123456) AS s(i)"
    )
    with pytest.raises(QueryLimit, match=r"longer than 0\.3 s"):
        for _ in endless.rows:
            pass
    assert reader.run("SELECT 1 AS x").rows == [(1,)]


def test_a_colon_in_a_text_is_no_placeholder(reader: Reader) -> None:
    assert reader.run("SELECT ' :a 100%' AS a").rows == [(" :a 100%",)]


def test_a_database_without_a_catalog_is_told(cluster: Cluster, url: str) -> None:
    with pytest.raises(NotACatalog, match="no table catalog_schema"):
        open_reader(locate(cluster.new_database()), Settings())
    with pytest.raises(DatabaseError, match="cannot be read"):
        open_reader(locate(url.replace("catalog_test", "nosuch")), Settings())
