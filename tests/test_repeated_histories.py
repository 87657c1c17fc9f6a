"""What every checkpoint of a Trainer repeats is stored once, and no point is ever lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

Log = list[dict[str, Any]]


def log(until: int, *, scale: float = 1.0) -> Log:
    """Rows of a training; every fifth step is evaluated as well."""
    rows: Log = []
    for step in range(1, until + 1):
        value = scale / step if step > 1 else 1.0
        rows.append({"step": step, "loss": value, "grad_norm": value / 2})
        if step % 5 == 0:
            rows.append({"step": step, "eval_loss": value * 3})
    return rows


def write(root: Path, folder: str, rows: Log) -> None:
    path = root / folder / "trainer_state.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"max_steps": 100, "log_history": rows}))


def expected(rows: Log, metric: str) -> list[tuple[int, float]]:
    return [(row["step"], row[metric]) for row in rows if metric in row]


def history(catalog: Catalog, run: str, metric: str) -> list[tuple[int, float]]:
    rows = catalog.query("history", {"run": run, "metric": metric}).rows
    return [(row[0], row[1]) for row in rows]


def stored(db: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        (points,) = connection.execute("SELECT COUNT(*) FROM metric_point").fetchone()
        (places,) = connection.execute("SELECT COUNT(*) FROM metric_axis_point").fetchone()
        return points, places


def distinct(logs: Sequence[Log]) -> int:
    """Points of the longest log, of which all others are beginnings."""
    return sum(len(row) - 1 for row in max(logs, key=len))


@pytest.mark.parametrize("order", [(10, 20, 30), (30, 20, 10), (20, 30, 10)])
def test_checkpoints_of_one_training_store_its_history_once(
    tmp_path: Path, empty_db: Path, order: tuple[int, ...]
) -> None:
    catalog = Catalog(empty_db)
    for until in order:  # each is ingested before the next is there
        write(tmp_path / "tree", f"out/checkpoint-{until}", log(until))
        catalog.ingest([tmp_path / "tree"])
    assert stored(empty_db) == (distinct([log(30)]), 30 + 6)
    for until in order:
        for metric in ("loss", "grad_norm", "eval_loss"):
            found = history(catalog, f"out/checkpoint-{until}", metric)
            assert found == expected(log(until), metric)
    (run,) = catalog.query("runs").dicts()
    assert history(catalog, run["run"], "loss") == expected(log(30), "loss")
    rows = catalog.query("run_metrics").dicts()
    points = {row["run_directory"]: row["points"] for row in rows if row["metric"] == "loss"}
    assert points == {"out/checkpoint-30": 30}  # one history, told by the last checkpoint
    page = catalog.run(run["run"])
    assert len(next(one["values"] for one in page.curves if one["metric"] == "loss")) == 30


def test_a_changed_file_takes_no_points_from_those_that_repeat_it(
    tmp_path: Path, empty_db: Path
) -> None:
    catalog = Catalog(empty_db)
    for until in (10, 20, 30):
        write(tmp_path / "tree", f"out/checkpoint-{until}", log(until))
    catalog.ingest([tmp_path / "tree"])
    write(tmp_path / "tree", "out/checkpoint-30", log(30, scale=2.0))
    catalog.ingest([tmp_path / "tree"])
    for until, scale in ((10, 1.0), (20, 1.0), (30, 2.0)):
        found = history(catalog, f"out/checkpoint-{until}", "loss")
        assert found == expected(log(until, scale=scale), "loss")
    assert stored(empty_db)[0] == distinct([log(20)]) + distinct([log(30)])


def test_of_checkpoints_that_are_gone_nothing_is_lost(tmp_path: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    for until in (10, 20):
        write(tmp_path / "tree", f"out/checkpoint-{until}", log(until))
    catalog.ingest([tmp_path / "tree"])
    shutil.rmtree(tmp_path / "tree" / "out" / "checkpoint-20")
    catalog.ingest([tmp_path / "tree"])
    assert history(catalog, "out/checkpoint-10", "loss") == expected(log(10), "loss")
    assert history(catalog, "out/checkpoint-20", "loss") == expected(log(20), "loss")


@pytest.mark.parametrize("keep", ["last", "none"])
def test_histories_that_are_not_kept_have_nothing_to_share(
    tmp_path: Path, empty_db: Path, keep: str
) -> None:
    for until in (10, 20):
        write(tmp_path / "tree", f"out/checkpoint-{until}", log(until))
    catalog = Catalog(empty_db, Settings.of({"history": keep}))
    catalog.ingest([tmp_path / "tree"])
    assert catalog.sql("SELECT COUNT(*) FROM metric_series WHERE points_of > 0").rows == [(0,)]
    assert stored(empty_db)[0] == (6 if keep == "last" else 0)


_states = st.tuples(
    st.sampled_from([f"out/checkpoint-{number}" for number in range(4)]),
    st.integers(0, 12),
    st.sampled_from([1.0, 2.0]),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(_states, min_size=1, max_size=3), min_size=1, max_size=4))
def test_whatever_is_rewritten_each_folder_tells_its_own_history(
    tmp_path_factory: pytest.TempPathFactory,
    _prepared: Path,  # noqa: PT019 - it is copied
    ingests: list[list[tuple[str, int, float]]],
) -> None:
    folder = tmp_path_factory.mktemp("trainer")
    db = Path(shutil.copy(_prepared, folder / "c.db"))
    catalog = Catalog(db)
    current: dict[str, Log] = {}
    for states in ingests:
        for place, until, scale in states:
            current[place] = log(until, scale=scale)
            write(folder / "tree", place, current[place])
        catalog.ingest([folder / "tree"])
        for place, rows in current.items():
            for metric in ("loss", "eval_loss"):
                assert history(catalog, place, metric) == expected(rows, metric)
        longest: dict[float, Log] = {}
        for rows in current.values():
            for row in rows[1:2]:
                longest[row["loss"]] = max(longest.get(row["loss"], []), rows, key=len)
        if longest:
            assert stored(db)[0] == sum(distinct([rows]) for rows in longest.values())


def test_either_database_stores_once_and_gives_back(tmp_path: Path, database: str) -> None:
    catalog = Catalog(database)
    for until in (10, 20):
        write(tmp_path / "tree", f"out/checkpoint-{until}", log(until))
        catalog.ingest([tmp_path / "tree"])
    assert catalog.sql("SELECT COUNT(*) FROM metric_point").rows == [(distinct([log(20)]),)]
    write(tmp_path / "tree", "out/checkpoint-20", log(20, scale=2.0))
    catalog.ingest([tmp_path / "tree"])
    assert history(catalog, "out/checkpoint-10", "loss") == expected(log(10), "loss")
    assert history(catalog, "out/checkpoint-20", "loss") == expected(log(20, scale=2.0), "loss")
