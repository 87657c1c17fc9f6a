"""Inference on what was recovered: the model is rebuilt from the sidecar; skipped without torch."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.recovery import catalog_of, only
from tests.support.trees import Training

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

if TYPE_CHECKING:
    from pathlib import Path

MODEL: dict[str, Any] = {
    "layers": [4, 8, 2],
    "activation": "relu",
    "norm": {"eps": 1e-05, "elementwise_affine": True},
}


def build(layers: list[int], activation: str, norm: dict[str, Any]) -> Any:
    """Build the model of the team's inference code."""
    parts: list[Any] = []
    for width, following in pairwise(layers):
        parts += [torch.nn.Linear(width, following), torch.nn.LayerNorm(following, **norm)]
    return torch.nn.Sequential(*parts, {"relu": torch.nn.ReLU}[activation]())


def load(checkpoint: Path) -> Any:
    """Read the sidecar and the weights in the seed's way."""
    config = json.loads(checkpoint.with_suffix(".config.json").read_text())
    model = build(**config["model"])
    saved = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(saved["state_dict"], strict=True)
    return model


def test_a_model_is_rebuilt_from_the_sidecar_and_takes_its_weights_strictly(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    training = Training(config={"model": MODEL, "lr": 0.001}, named=True)
    checkpoint = training.write(root)
    when = checkpoint.stat().st_mtime
    torch.manual_seed(7)
    trained = build(**MODEL)
    score = torch.tensor(max(training.scores))
    folder = f"/home/team/project/outputs/{checkpoint.parents[1].name}/checkpoints"
    saved = {
        "epoch": 1,
        "global_step": 400,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": trained.state_dict(),
        "callbacks": {
            "ModelCheckpoint{'monitor': 'val/hmean', 'mode': 'max'}": {
                "monitor": "val/hmean",
                "best_model_score": score,
                "best_model_path": f"{folder}/best.ckpt",
                "current_score": score,
                "dirpath": folder,
                "best_k_models": {f"{folder}/best.ckpt": score},
            }
        },
    }
    torch.save(saved, checkpoint)
    os.utime(checkpoint, (when, when))
    with pytest.raises(FileNotFoundError):
        load(checkpoint)
    assert only(catalog_of(root).recover().files).action == "written"
    assert torch.equal(load(checkpoint)(torch.ones(1, 4)), trained(torch.ones(1, 4)))
