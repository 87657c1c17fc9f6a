"""Real trees and trees of known truth: no traceback, no wrong link, no lost problem."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from catalog import Catalog

pytestmark = pytest.mark.shared

TREES = (
    "IFT-for-English-Telugu-Translation",
    "Tensorflow-Revision",
    "TicTacToe",
    "Yolov4-DOTA",
    "connect-four-tensorflow",
    "dtu_mlops23_project",
    "end-to-end-ml",
    "gait_modeling",
    "latent_space_alignment",
    "mess-plus",
    "mlops_nlp",
    "mnist_hydra_project",
    "vime",
)


@pytest.fixture(scope="module")
def truth_db(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    tree = folder / "tree"
    script = shared / "groundtruth" / "restore_mtimes.py"
    subprocess.run([sys.executable, str(script), str(tree)], check=True)
    Catalog(folder / "catalog.db").ingest([tree])
    return folder / "catalog.db"


def traced(db: Path) -> dict[str, dict[str, object]]:
    return {row["path"]: row for row in Catalog(db).query("checkpoint_trace").dicts()}


def test_links_on_trees_of_known_truth(shared: Path, truth_db: Path) -> None:
    rows = traced(truth_db)
    seen: Counter[str] = Counter()
    with (shared / "groundtruth" / "truth.csv").open(newline="") as file:
        for truth in csv.DictReader(file):
            # A part of a folder checkpoint is traced with its whole.
            row = rows.get(truth["path"]) or rows[truth["path"].rpartition("/")[0]]
            if row["verdict"] == "linked":
                assert row["run"] == truth["wandb_run_id"], truth["path"]
                assert row["run_directory"] == truth["wandb_run_dir"], truth["path"]
            seen[f"{truth['expected_status']} said {row['verdict']}"] += 1
    assert seen["unlinked said linked"] == seen["ambiguous said linked"] == 0
    assert seen == {
        "linked said linked": 92,
        "unlinked said unlinked": 19,
        "ambiguous said ambiguous": 8,
    }


def test_what_the_truth_states_of_checkpoints(shared: Path, truth_db: Path) -> None:
    rows = traced(truth_db)
    compared = 0
    with (shared / "groundtruth" / "truth.csv").open(newline="") as file:
        for truth in csv.DictReader(file):
            row = rows.get(truth["path"])
            if row is None:
                continue
            assert (row["state"] == "usable") == (truth["usable"] == "yes"), truth["path"]
            for stated, ours in (
                ("epoch", "epoch"),
                ("global_step", "global_step"),
                ("best_model_score", "best_score"),
                ("own_score", "own_score"),
                ("n_params", "parameter_count"),
            ):
                if truth[stated]:
                    assert row[ours] == float(truth[stated]), (truth["path"], stated)
                    compared += 1
            assert (row["monitor"] or "") == truth["monitor"]
    assert compared > 300


@pytest.mark.parametrize("name", TREES)
def test_real_trees(shared: Path, name: str, tmp_path: Path) -> None:
    db = tmp_path / "catalog.db"
    done = subprocess.run(
        [sys.executable, "-m", "catalog", "ingest", str(shared / "corpus" / name), "--db", str(db)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    problems = Catalog(db).query("problems").dicts()
    assert not [one for one in problems if one["code"] == "reader-failed"]
    rows = traced(db)
    links = json.loads((shared / "corpus" / "links.json").read_text())[name]
    for link in links.get("checkpoints", []):
        path = link["checkpoint"]
        row = rows.get(path) or rows.get(path.rpartition("/")[0])
        if row is not None and row["verdict"] == "linked":
            assert row["run_directory"] == link["run"], path
