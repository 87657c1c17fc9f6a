"""From which checkpoints runs started: what they name and do not write themselves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.sources.formats.registry import names_a_checkpoint, stem_of, suffixes
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.trainer_files import write_safetensors
from tests.support.trees import START
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


OWN = "outputs/det_20251018_023217"


@pytest.mark.parametrize(
    ("key", "path", "starts_from_it"),
    [
        ("save_path", "weights/final.pth", False),
        ("checkpoint", f"{OWN}/checkpoints/best.pth", False),
        ("checkpoint", "ckpts/x7k2m9qa/best.pth", False),
        ("model_file", "ckpts/20251018_023219/best.pth", False),
        ("checkpoint", "outputs/other_20251017_010101/best.pth", True),
        ("resume", "outputs/other_20251017_010101/best.pth", True),
        ("model.pretrained", "weights/final.pth", True),
    ],
)
def test_a_run_does_not_start_from_what_it_writes(
    tmp_path: Path, key: str, path: str, starts_from_it: bool
) -> None:
    write_run_directory(
        tmp_path / "tree" / "wandb",
        "x7k2m9qa",
        started=START,
        config={"output_dir": OWN, key: path},
        rows=[{"loss": 0.5}],
    )
    assert [row["named"] for row in lineage(tmp_path)] == [path] * starts_from_it


@pytest.mark.parametrize(("seconds", "starts_from_it"), [(-60, True), (2, False)])
def test_a_file_written_while_the_run_lived_is_its_own(
    tmp_path: Path, seconds: int, starts_from_it: bool
) -> None:
    tree = tmp_path / "tree"
    file = write_checkpoint(tree / "Data" / "x13.pth")
    os.utime(file, (START + seconds, START + seconds))
    write_run_directory(
        tree / "wandb",
        "x7k2m9qa",
        started=START,
        config={"checkpoint": "Data/x13.pth"},
        rows=[{"loss": 1 / (n + 1), "_timestamp": START + n} for n in range(5)],
    )
    assert [row["parent"] for row in lineage(tmp_path)] == ["Data/x13.pth"] * starts_from_it


def test_a_test_of_its_own_best_file_after_training_is_no_start(tmp_path: Path) -> None:
    """Lightning says the same of a file that it restores and of one that it tests."""
    own, other = f"{OWN}/checkpoints/best.ckpt", "outputs/other_20251017_010101/last.ckpt"
    write_run_directory(
        tmp_path / "tree" / "wandb",
        "x7k2m9qa",
        started=START,
        config={"output_dir": OWN},
        rows=[{"loss": 0.5}],
        output_lines=[
            f"Restoring states from the checkpoint path at {other}",
            f"Restored all states from the checkpoint at {other}",
            f"Restoring states from the checkpoint path at {own}",
            f"Loaded model weights from the checkpoint at {own}",
        ],
    )
    assert [row["named"] for row in lineage(tmp_path)] == [other]


def write_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", {"h.0.weight": [4, 4]})
    config = {"model_type": "qwen2", "architectures": ["Q"], "vocab_size": 8}
    (folder / "config.json").write_text(json.dumps(config))


def write_adapter(folder: Path, base: str) -> None:
    folder.mkdir(parents=True)
    shapes = {"base_model.model.h.0.lora_A.weight": [2, 4]}
    write_safetensors(folder / "adapter_model.safetensors", shapes)
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "r": 2}
    (folder / "adapter_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("base", "place", "found"),
    [
        ("/home/u/cases/38b/base", "38b/base", True),
        ("base", "38b/run/base", True),
        ("../base", "38b/base", True),
        ("meta-llama/Llama-2-7b", "38b/models/Llama-2-7b", True),
        ("/home/other/base", "38b/base", False),
    ],
)
def test_an_adapter_comes_from_its_base_and_a_missing_one_is_named(
    tmp_path: Path, base: str, place: str, found: bool
) -> None:
    tree = tmp_path / "tree"
    write_model(tree / place)
    write_adapter(tree / "38b" / "run" / "checkpoint-20", base)
    (row,) = lineage(tmp_path)
    assert (row["named_as"], row["named"]) == ("base-model", base)
    assert row["parent"] == (place if found else None)
    catalog = Catalog(tmp_path / "catalog.db")
    (parent,) = catalog.lineage("38b/run/checkpoint-20").parents
    assert (parent.path, parent.state) == ((place, "present") if found else (base, "unknown"))
    if found:
        (child,) = catalog.lineage(place).children
        assert child.path == "38b/run/checkpoint-20"
