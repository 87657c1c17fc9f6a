"""`trainer_state.json`: its log is the history of a training of the Hugging Face Trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from tests.support.reading import read_tree

LOG: list[dict[str, Any]] = [
    {"step": 1, "epoch": 0.5, "loss": 0.75, "grad_norm": 1.5},
    {"step": 2, "epoch": 1.0, "loss": 0.5, "grad_norm": 1.25},
    {"step": 2, "epoch": 1.0, "eval_loss": 0.625},
    {"step": 3, "epoch": 1.5, "loss": 0.25, "grad_norm": 1.0},
    {"step": 4, "epoch": 2.0, "loss": 0.125, "grad_norm": 0.5},
    {"step": 4, "epoch": 2.0, "eval_loss": 0.5},
]


def write_state(
    folder: Path, *, until: int, max_steps: int = 4, log: list[dict[str, Any]] | None = None
) -> None:
    folder.mkdir(parents=True)
    rows = [row for row in (LOG if log is None else log) if row["step"] <= until]
    state = {
        "global_step": until, "max_steps": max_steps, "epoch": until / 2, "num_train_epochs": 2,
        "log_history": rows, "best_model_checkpoint": "out/checkpoint-4", "best_metric": 0.5,
    }  # fmt: skip
    (folder / "trainer_state.json").write_text(json.dumps(state))


def test_the_log_is_read_as_metrics_by_step(tmp_path: Path) -> None:
    write_state(tmp_path / "out" / "checkpoint-4", until=4)
    facts = read_tree(tmp_path)["out/checkpoint-4/trainer_state.json"]
    series = {one.name: dict(zip(one.steps, one.values, strict=True)) for one in facts.series}
    assert series["loss"] == {1: 0.75, 2: 0.5, 3: 0.25, 4: 0.125}
    assert series["eval_loss"] == {2: 0.625, 4: 0.5}


def test_checkpoints_of_one_training_are_one_run_and_others_are_others(tmp_path: Path) -> None:
    write_state(tmp_path / "out" / "checkpoint-2", until=2)
    write_state(tmp_path / "out" / "checkpoint-4", until=4)
    write_state(tmp_path / "out" / "checkpoint-3", until=3, max_steps=9)
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tmp_path / "out"])
    found = catalog.query("runs").dicts()
    assert {row["tracker"] for row in found} == {"transformers"}
    assert sorted(row["directories"] for row in found) == [1, 2]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty-file"),
        ("[1]", "not-a-mapping"),
        ('{"log_history": [', "unreadable-json"),
    ],
)
def test_what_is_no_state_is_a_problem(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "trainer_state.json").write_text(text)
    (facts,) = read_tree(tmp_path).values()
    assert [problem.code for problem in facts.problems] == [code]


@pytest.mark.parametrize("log", [None, 3, {}, [3, None, {"step": "x", "loss": True}]])
def test_a_log_of_another_form_gives_no_metrics(tmp_path: Path, log: object) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    (facts,) = read_tree(tmp_path).values()
    assert facts.series == ()


@pytest.mark.shared
def test_trainings_of_a_real_folder_are_told_apart(shared: Path, tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([shared / "corpus" / "mess-plus"])
    rows = catalog.sql(
        "SELECT d.path, u.id AS run FROM run_directory d JOIN run u ON u.id = d.run_id "
        "WHERE d.tracker = 'transformers' AND d.path LIKE 'data_logs/distillbert/%'"
    ).dicts()
    run = {row["path"].rpartition("-")[2]: row["run"] for row in rows}
    assert run["500"] == run["1000"]
    assert run["1500"] == run["1689"]
    assert run["500"] != run["1500"]
