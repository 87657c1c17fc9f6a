"""Histories, summaries and definitions of metrics through the database and back."""

from __future__ import annotations

import json
import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.schema.canonical import canonical
from catalog.settings import Settings
from catalog.sources.secrets import redact
from catalog.sources.wandb.values import as_logged
from tests.support import wandb_files as w
from tests.support.event_files import write_scalars

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUN = "a1b2c3d4"
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**53), 2**53).map(float)
)
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0."), min_size=1, max_size=12
).filter(lambda name: not name.startswith("_"))


def ingested(place: str | Path, root: Path, **options: Any) -> Catalog:
    catalog = Catalog(str(place), Settings.of(options))
    catalog.ingest([root])
    return catalog


def write(root: Path, records: Sequence[bytes]) -> None:
    path = root / "wandb" / f"run-20251018_023219-{RUN}" / f"run-{RUN}.wandb"
    w.write_stream(path, [w.run(RUN, started=1_760_722_339.0), *records])


def history(catalog: Catalog, metric: str) -> list[tuple[Any, ...]]:
    return [row[:4] for row in catalog.query("history", {"run": RUN, "metric": metric}).rows]


def number(value: float | None, special: str | None) -> float | None:
    return float(special) if special else value


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.dictionaries(NAMES, NUMBERS, max_size=3), min_size=1, max_size=6),
    st.booleans(),
)
def test_any_history_comes_back_from_the_database(
    tmp_path_factory: pytest.TempPathFactory,
    _prepared: Path,  # noqa: PT019 - it is copied
    rows: list[dict[str, float]],
    nested: bool,
) -> None:
    root = tmp_path_factory.mktemp("any")
    shutil.copy(_prepared, root / "c.db")
    write(root, [w.history({**row, "_step": n}, nested=nested) for n, row in enumerate(rows)])
    catalog = ingested(root / "c.db", root / "wandb")
    got: dict[str, list[tuple[int, str]]] = {}
    for name, step, value, special in catalog.sql(
        "SELECT n.name, a.step, p.value, p.special FROM metric_point p "
        "JOIN metric_series s ON s.id = p.series_id JOIN metric_name n ON n.id = s.metric_name_id "
        "JOIN metric_axis_point a ON a.axis_id = s.axis_id AND a.position = p.position "
        "ORDER BY n.name, p.position"
    ).rows:
        got.setdefault(name, []).append((step, repr(number(value, special))))
    wanted: dict[str, list[tuple[int, str]]] = {}
    for step, row in enumerate(rows):
        for name, value in row.items():
            # SQLite keeps no negative zero; adding 0 makes it the zero that it equals.
            wanted.setdefault(name, []).append((step, repr(value + 0.0)))
    assert got == wanted


def test_values_times_and_specials_on_both_databases(tmp_path: Path, database: str) -> None:
    values = [0.1, math.nan, math.inf, -math.inf, 5e-324]
    write(
        tmp_path,
        [
            w.history({"loss": value, "_step": step, "_timestamp": 1760722340.5 + step})
            for step, value in enumerate(values)
        ],
    )
    catalog = ingested(database, tmp_path / "wandb")
    assert history(catalog, "loss") == [
        (0, 0.1, None, 1760722340.5),
        (1, None, "nan", 1760722341.5),
        (2, None, "inf", 1760722342.5),
        (3, None, "-inf", 1760722343.5),
        (4, 5e-324, None, 1760722344.5),
    ]


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_no_point_is_lost_between_statements(tmp_path: Path, count: int) -> None:
    write(tmp_path, [w.history({"loss": float(n), "_step": n * 10}) for n in range(count)])
    catalog = ingested(tmp_path / "c.db", tmp_path / "wandb")
    assert [row[:2] for row in history(catalog, "loss")] == [
        (n * 10, float(n)) for n in range(count)
    ]


def test_what_is_logged_together_shares_its_steps(tmp_path: Path) -> None:
    rows = [{"loss": 1.0, "acc": 0.5, "_step": n} for n in range(10)]
    write(tmp_path, [w.history(row) for row in [*rows, {"val": 0.25, "_step": 10}]])
    catalog = ingested(tmp_path / "c.db", tmp_path / "wandb")
    counts = "SELECT COUNT(*) FROM metric_axis UNION ALL SELECT COUNT(*) FROM metric_axis_point"
    assert [count for (count,) in catalog.sql(counts).rows] == [2, 11]


@pytest.mark.parametrize(
    ("keep", "points"),
    [
        ("full", [(0, 3.0), (1, 1.0), (2, 2.0)]),
        ("last", [(2, 2.0)]),
        ("none", []),
    ],
)
def test_how_much_of_a_history_is_kept_is_a_setting(
    tmp_path: Path, keep: str, points: list[tuple[int, float]]
) -> None:
    write(tmp_path, [w.history({"loss": v, "_step": n}) for n, v in enumerate([3.0, 1.0, 2.0])])
    catalog = ingested(tmp_path / "c.db", tmp_path / "wandb", history=keep)
    assert [row[:2] for row in history(catalog, "loss")] == points
    (metric,) = catalog.query("metrics", {"run": RUN}).dicts()
    # What a series says as a whole does not depend on how much of it is kept.
    assert (metric["points"], metric["lowest"], metric["highest"], metric["final"]) == (
        3, 1.0, 3.0, 2.0,
    )  # fmt: skip
    assert (metric["first_step"], metric["last_step"]) == (0, 2)


def test_definitions_tell_the_axis_and_what_is_better(tmp_path: Path) -> None:
    loss = w.field(12, w.field(1, "loss") + w.field(4, "epoch") + w.field(8, 1))
    score = w.field(
        12, w.field(1, "score") + w.field(7, w.field(2, 1) + w.field(4, 1)) + w.field(8, 2)
    )
    glob = w.field(12, w.field(2, "val/*") + w.field(4, "epoch"))
    rows = [
        {"loss": v, "score": v, "epoch": n, "val/acc": v, "_step": n}
        for n, v in enumerate([3.0, 1.0, 2.0])
    ]
    write(tmp_path, [glob, loss, score, *map(w.history, rows)])
    catalog = ingested(tmp_path / "c.db", tmp_path / "wandb")
    found = {row["metric"]: row for row in catalog.query("metrics", {"run": RUN}).dicts()}
    assert (found["loss"]["step_metric"], found["loss"]["best"]) == ("epoch", 1.0)
    assert (found["score"]["step_metric"], found["score"]["best"]) == (None, 3.0)
    assert (found["epoch"]["best"], found["epoch"]["step_metric"]) == (None, None)
    assert found["val/acc"]["step_metric"] == "epoch"
    summaries = catalog.sql("SELECT summary FROM metric_definition WHERE goal = 'max'").rows
    assert summaries == [("max,best",)]


def test_definitions_of_one_metric_add_up_until_one_overwrites(tmp_path: Path) -> None:
    def define(name: str, *parts: bytes) -> bytes:
        return w.field(12, w.field(1, name) + b"".join(parts))

    least, greatest = (w.field(7, w.field(number, 1)) for number in (1, 2))
    by_epoch, lower, anew = w.field(4, "epoch"), w.field(8, 1), w.field(9, w.field(1, 1))
    definitions = [
        *(define("a", part) for part in (greatest, by_epoch, lower, least, b"")),
        *(define("b", part) for part in (greatest + by_epoch, least + anew)),
        *(define("c", part) for part in (greatest, anew)),
    ]
    write(tmp_path, [*definitions, w.history({"a": 1, "b": 1, "c": 1}, step=0)])
    catalog = ingested(tmp_path / "c.db", tmp_path / "wandb")
    found = catalog.sql(
        "SELECT n.name, d.step_metric, d.goal, d.summary FROM metric_definition d "
        "JOIN metric_name n ON n.id = d.metric_name_id ORDER BY n.name"
    )
    assert found.rows == [("a", "epoch", "min", "min,max"), ("b", None, None, "min")]


def test_a_history_that_two_files_tell_is_counted_once(tmp_path: Path) -> None:
    folder = tmp_path / "tree" / "lightning_logs" / "version_0"
    write_scalars(folder, {"loss": [3.0, 1.0, 2.0]})
    (folder / "metrics.csv").write_text("step,loss\n0,3.0\n1,1.0\n")
    (folder / "hparams.yaml").write_text("lr: 1\n")
    catalog = ingested(tmp_path / "c.db", tmp_path / "tree")
    (metric,) = catalog.query("metrics", {"run": "lightning_logs/version_0"}).dicts()
    assert (metric["metric"], metric["points"], metric["final"]) == ("loss", 3, 2.0)
    (viewed,) = catalog.query("run_metrics").dicts()
    assert metric.pop("source_state") == "present"
    assert {key: viewed[key] for key in metric} == metric


def test_a_stream_that_grows_is_read_again_without_a_trace_of_before(tmp_path: Path) -> None:
    rows = [w.history({"loss": float(n), "_step": n}) for n in range(5)]
    seen = []
    catalog = Catalog(tmp_path / "c.db")
    for until in (1, 3, 5):
        write(tmp_path, rows[:until])
        catalog.ingest([tmp_path / "wandb"])
        seen.append([row[0] for row in history(catalog, "loss")])
    assert seen == [[0], [0, 1, 2], [0, 1, 2, 3, 4]]
    leftovers = (
        "SELECT (SELECT COUNT(*) FROM metric_point), (SELECT COUNT(*) FROM metric_axis_point), "
        "(SELECT COUNT(*) FROM metric_axis), (SELECT COUNT(*) FROM metric_series)"
    )
    assert catalog.sql(leftovers).rows == [(5, 5, 1, 1)]


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        NAMES,
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(),
                      st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)  # fmt: skip
def test_any_config_comes_back_as_its_document(
    tmp_path_factory: pytest.TempPathFactory,
    _prepared: Path,  # noqa: PT019 - it is copied
    config: dict[str, Any],
) -> None:
    root = tmp_path_factory.mktemp("config")
    shutil.copy(_prepared, root / "c.db")
    write(root, [w.config(config)])
    catalog = ingested(root / "c.db", root / "wandb")
    documents = catalog.sql("SELECT document FROM config").rows
    # What readers do to values on purpose is not what this is about.
    wanted = redact(as_logged(json.loads(json.dumps(config))))[0]
    assert documents == ([(canonical(wanted),)] if wanted else [])
