"""From which checkpoints runs started: what they name and do not write themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.sources.formats.registry import names_a_checkpoint, stem_of, suffixes
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.wandb_files import write_run_directory


def write_checkpoint(path: Path, weight: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch_zip(path, lightning_checkpoint(state_dict={"w": scalar(weight)}, epoch=3))
    return path


def lineage(tmp_path: Path) -> list[dict[str, Any]]:
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tmp_path / "tree"])
    return catalog.query("lineage").dicts()


@pytest.mark.parametrize("suffix", [*suffixes(), "/pytorch_model.bin"])
def test_an_input_of_any_format_is_recognised(tmp_path: Path, suffix: str) -> None:
    tree = tmp_path / "tree"
    name = f"model_best{suffix}"
    write_checkpoint(tree / "outputs" / "exp_r50_1" / name)
    write_run_directory(
        tree / "wandb",
        "e5e5e5e5",
        config={"checkpoint": f"/data/proj/outputs/exp_r50_1/{name}"},
        rows=[{"top1": 0.5}],
    )
    (row,) = lineage(tmp_path)
    assert row["named"] == f"/data/proj/outputs/exp_r50_1/{name}"


def test_data_is_no_checkpoint_by_its_name() -> None:
    assert not names_a_checkpoint("data/train.bin")
    assert names_a_checkpoint("/x/BERT/pytorch_model.bin")
    assert names_a_checkpoint("C:\\x\\Model.PTH")


def test_the_stem_of_a_name_goes_without_all_of_its_ending() -> None:
    assert stem_of("a/model_best.pth.tar") == "a/model_best"
    assert stem_of("epoch=4-val/loss=2.9.ckpt") == "epoch=4-val/loss=2.9"
