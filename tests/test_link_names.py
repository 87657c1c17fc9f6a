"""A name that one run alone has, and one training's folder or file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.linking import traced
from tests.support.torch_files import scalar, write_torch_zip
from tests.support.wandb_files import write_run_directory


def write_weights(path: Path, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch_zip(path, {"state_dict": {"w": scalar(1.0)}, **more})
    return path


def write_run(tree: Path, run_id: str = "x7k2m9qa", **parts: Any) -> None:
    write_run_directory(tree / "wandb", run_id, rows=[{"loss": 0.5}], **parts)


@pytest.mark.parametrize(
    ("parts", "file"),
    [
        ({"args": ["--exp_name", "det_r18_v3"]}, "det_r18_v3/best.pth"),
        ({"args": ["--exp-name=det_r18_v3"]}, "weights/det_r18_v3.pth.tar"),
        ({"args": ["--name", "det_r18_v3"]}, "runs/det_r18_v3/weights/best.pt"),
        ({"args": ["--run_name=det_r18_v3"]}, "det_r18_v3/checkpoints/last.ckpt"),
        ({"args": ["--experiment", "det-r18-v3"]}, "out/det-r18-v3/model.pth"),
        ({"args": ["+exp=det_r18_v3"]}, "det_r18_v3/model.pth"),
        ({"config": {"exp_name": "det_r18_v3"}}, "weights/det_r18_v3_best.pth"),
        ({"display_name": "det r18 v3"}, "weights/det_r18_v3.pth"),
        ({"display_name": "2025-10-18_02-32-17"}, "outputs/2025-10-18/02-32-17/best.pth"),
        ({"display_name": "x 13", "config": {"checkpoint": "Data/x13.pth"}}, "Data/x13.pth"),
    ],
)
def test_a_name_that_one_run_has_tells_its_files(
    tmp_path: Path, parts: dict[str, Any], file: str
) -> None:
    tree = tmp_path / "tree"
    write_weights(tree / file)
    write_weights(tree / "other_7" / "best.pth", epoch=3)
    write_run(tree, **parts)
    write_run(tree, "e5f6g7h8", args=["--exp_name", "seg_r50_v1"], stamp="20251019_023219")
    verdict, run, kinds = traced(tmp_path, file)
    assert (verdict, run) == ("linked", "x7k2m9qa")
    assert kinds["name-stated"] == 6.0
    assert traced(tmp_path, "other_7/")[0] == "unlinked"


def test_a_name_that_two_runs_have_tells_neither(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_weights(tree / "det_r18_v3" / "best.pth")
    for run_id, stamp in (("x7k2m9qa", "20251018_023219"), ("e5f6g7h8", "20251019_023219")):
        write_run(tree, run_id, args=["--exp_name", "det_r18_v3"], stamp=stamp)
    assert traced(tmp_path, "best.pth")[0] != "linked"


def test_a_name_that_two_folders_have_tells_neither(tmp_path: Path) -> None:
    """One of them is of a training that nobody tracked."""
    tree = tmp_path / "tree"
    for place in ("first", "second"):
        write_weights(tree / place / "det_r18_v3" / "checkpoints" / "best.pth")
    write_run(tree, args=["--exp_name", "det_r18_v3"])
    assert traced(tmp_path, "first/")[0] == "unlinked"


def test_a_name_in_another_project_does_not_tell(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_weights(tree / "tagger" / "det_r18_v3" / "best.pth")
    write_run(tree / "detector", args=["--exp_name", "det_r18_v3"])
    write_run(tree / "tagger", "e5f6g7h8", stamp="20251019_023219")
    assert traced(tmp_path, "best.pth")[0] == "unlinked"


@pytest.mark.parametrize(
    "option",
    ["--resume", "--model.name", "--dataset", "--load_run", "--parent-run", "--base_exp_name"],
)
def test_what_names_no_training_does_not_tell(tmp_path: Path, option: str) -> None:
    tree = tmp_path / "tree"
    write_weights(tree / "det_r18_v3" / "best.pth")
    write_run(tree, args=[option, "det_r18_v3"])
    assert traced(tmp_path, "best.pth")[0] == "unlinked"
