from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources import metrics_csv
from tests.support.reading import codes, items, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Facts

LIGHTNING = "epoch,train/loss,step,val/f1\n0,5.5,0,\n0,,1,nan\n0,3.5,1,\n"


def table(root: Path, path: str, content: str, beside: str = "") -> Facts:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)
    if beside:
        (target.parent / beside).mkdir()
    return read_tree(root)[path]


def points(facts: Facts) -> dict[str, list[tuple[int | None, float]]]:
    return {s.name: list(zip(s.steps, s.values, strict=True)) for s in facts.series}


def test_lightnings_table_has_blanks_and_nan(tmp_path: Path) -> None:
    facts = table(tmp_path, "logs/version_0/metrics.csv", LIGHTNING)
    got = points(facts)
    assert got["train/loss"] == [(0, 5.5), (1, 3.5)]
    assert got["epoch"] == [(0, 0.0), (1, 0.0), (1, 0.0)]
    assert repr(got["val/f1"]) == "[(1, nan)]"
    assert "step" not in got
    assert facts.run_directory is not None
    assert facts.run_directory.path == "logs/version_0"
    assert facts.run_directory.tracker == "lightning"


def test_ultralytics_table_is_padded(tmp_path: Path) -> None:
    text = (
        "      epoch,   train/box_loss, metrics/mAP_0.5:0.95\n"
        "   0,   0.1396,  0.0008\n   1, 0.13, 0.001\n"
    )
    facts = table(tmp_path, "runs/exp/results.csv", text, beside="weights")
    assert points(facts) == {
        "train/box_loss": [(0, 0.1396), (1, 0.13)],
        "metrics/mAP_0.5:0.95": [(0, 0.0008), (1, 0.001)],
    }
    assert facts.run_directory is not None
    assert facts.run_directory.tracker == "ultralytics"


def test_a_table_in_a_hydra_job_belongs_to_the_job(tmp_path: Path) -> None:
    facts = table(tmp_path, "out_20251018_023219/metrics.csv", LIGHTNING, beside=".hydra")
    assert facts.run_directory is not None
    assert facts.run_directory.tracker == "hydra"
    assert facts.run_directory.stamp == "2025-10-18T02:32:19"


def test_tables_elsewhere_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(LIGHTNING)
    (tmp_path / "results.csv").write_text("epoch,a\n1,2\n")
    assert list(items(tmp_path)) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty-file"),
        ("a,b\n1,2\n", "unreadable-table"),
        ("step,a\n1,2,3\n1,x\n", "malformed-row"),
        ("step,a\n1," + "x" * 200_000, "unreadable-table"),
        ("step," * 6000, "too-large"),
    ],
)
def test_broken_tables_are_problems(tmp_path: Path, content: str, code: str) -> None:
    assert codes(table(tmp_path, "version_1/metrics.csv", content)) == [code]


def test_points_beyond_the_limit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_csv, "MAX_POINTS", 10)
    facts = table(tmp_path, "version_1/metrics.csv", "step,a\n" + "1,2\n" * 50)
    assert len(facts.series[0].values) == 11
    assert codes(facts) == ["history-cut"]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.floats()), max_size=20))
def test_any_numbers_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float | None]]
) -> None:
    text = "step,a\n" + "".join(
        f"{step},{'' if value is None else repr(value)}\n" for step, value in rows
    )
    facts = table(tmp_path_factory.mktemp("csv"), "version_1/metrics.csv", text)
    expected = [(step, value) for step, value in rows if value is not None]
    assert repr(points(facts).get("a", [])) == repr(expected)
    assert facts.problems == ()
