"""The reader of checkpoints on real trees."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from catalog.sources.checkpoint import reader
from tests.support.checkpoint_reading import items

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Checkpoint

pytestmark = pytest.mark.shared


def _checkpoints(root: Path) -> dict[str, Checkpoint]:
    found = {path: reader.read(root, item).checkpoint for path, item in items(root).items()}
    assert all(found.values())
    return {path: one for path, one in found.items() if one is not None}


def _number(text: str) -> float | None:
    return float(text) if text else None


def test_every_value_of_lightning_files_equals_the_truth(shared: Path) -> None:
    root = shared / "groundtruth"
    found = _checkpoints(root)
    with (root / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = [row for row in csv.DictReader(file) if row["lightning_version"]]
    assert len(truth) == 68
    for row in truth:
        one = found[row["path"]]
        stated = (one.framework_version, one.epoch, one.global_step, one.monitor or "")
        assert stated == (
            row["lightning_version"],
            int(row["epoch"]),
            int(row["global_step"]),
            row["monitor"],
        )
        assert (len(one.tensors), one.parameter_count) == (
            int(row["n_tensors"]),
            int(row["n_params"]),
        )
        assert one.best_score == _number(row["best_model_score"])
        assert one.own_score == _number(row["own_score"])
        assert (one.hyper_parameters is not None) == bool(row["hparams"])


def test_trainer_folders_equal_the_truth(shared: Path) -> None:
    root = shared / "groundtruth"
    found = _checkpoints(root)
    with (root / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].endswith(".safetensors")]
    assert len(rows) == 12
    for row in rows:
        one = found[row["path"].removesuffix("/model.safetensors")]
        assert (len(one.tensors), one.parameter_count) == (
            int(row["n_tensors"]),
            int(row["n_params"]),
        )
        if one.format == "hf-trainer":
            assert (one.global_step, one.monitor) == (int(row["global_step"]), row["monitor"])
            assert one.best_score == _number(row["best_model_score"])


def test_equal_weights_have_equal_fingerprints(shared: Path) -> None:
    root = shared / "groundtruth"
    found = _checkpoints(root)
    digests: dict[str, set[str | None]] = {}
    with (root / "truth.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["lightning_version"]:
                digests.setdefault(row["sha256"], set()).add(found[row["path"]].weights_fingerprint)
    assert all(len(same) == 1 and None not in same for same in digests.values())


def test_corpus_is_read_without_a_hole(shared: Path) -> None:
    found = _checkpoints(shared / "corpus")
    statuses = {one.format: one.status for one in found.values()}
    assert len(found) == 56
    assert statuses == {
        "hf-adapter": "pointer",
        "git-lfs-pointer": "pointer",
        "hf-trainer": "truncated",
        "keras-h5": "recognised",
        "sb3-zip": "readable",
        "tf-checkpoint": "recognised",
        "tf-saved-model": "recognised",
        "torch-zip": "readable",
    }
    lightning = [one for one in found.values() if one.framework == "lightning"]
    assert len(lightning) == 9
    assert all(one.tensors and one.epoch is not None for one in lightning)
