"""What a run's id tells: everything where a tracker drew it, little where it may be a word."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.sources.run_ids import is_drawn
from tests.support.linking import traced
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.trainer_files import write_safetensors
from tests.support.trees import Training
from tests.support.wandb_files import write_run_directory

WORDS = ("resnet50", "finetune", "baseline", "yolov8n1", "20251018", "3dresnet", "fold1of5")


def write_checkpoint(path: Path, **parts: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = lightning_checkpoint(state_dict={"w": scalar(1.0)}, epoch=0)
    write_torch_zip(path, content | parts)
    return path


def runs(catalog: Catalog) -> list[str]:
    return sorted(row["identity"] for row in catalog.sql("SELECT identity FROM run").dicts())


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_not_taken_for_an_id_that_was_drawn(word: str) -> None:
    assert not is_drawn(word)


def test_most_ids_that_are_drawn_are_told_from_words() -> None:
    rng = random.Random(1)
    signs = "abcdefghijklmnopqrstuvwxyz0123456789"
    ids = ["".join(rng.choices(signs, k=8)) for _ in range(2_000)]
    assert sum(map(is_drawn, ids)) > 0.75 * len(ids)
    assert is_drawn("0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize("word", WORDS)
def test_a_folder_named_by_a_word_is_not_of_another_project_s_run(
    tmp_path: Path, word: str
) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "detector" / "wandb", word, config={"a": 1}, rows=[{"loss": 0.5}])
    write_checkpoint(tree / "tagger" / word / "checkpoints" / "best.ckpt")
    assert traced(tmp_path, "best.ckpt")[0] == "unlinked"


def test_a_word_in_its_project_s_own_folder_is_the_run(tmp_path: Path) -> None:
    """Lightning's layout, beside the run's own folder."""
    tree = tmp_path / "tree"
    write_run_directory(tree / "wandb", "finetune", project="ocr", rows=[{"loss": 0.5}])
    write_checkpoint(tree / "ocr" / "finetune" / "checkpoints" / "best.ckpt")
    verdict, run, kinds = traced(tmp_path, "best.ckpt")
    assert (verdict, run) == ("linked", "finetune")
    assert kinds["run-id-in-path"] == 6.0


@pytest.mark.parametrize("word", ["baseline", "resnet50"])
def test_two_projects_runs_of_one_word_are_two_runs(tmp_path: Path, word: str) -> None:
    for name, stamp in (("detector", "20251018_023219"), ("tagger", "20251101_101500")):
        write_run_directory(tmp_path / "tree" / name / "wandb", word, stamp=stamp)
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tmp_path / "tree"])
    assert len(runs(catalog)) == 2


@pytest.mark.parametrize("run_id", ["baseline", "x7k2m9qa"])
def test_one_id_in_two_projects_of_the_tracker_is_two_runs(tmp_path: Path, run_id: str) -> None:
    tree = tmp_path / "tree"
    for project, stamp in (("det", "20251018_023219"), ("tag", "20251101_101500")):
        write_run_directory(tree / "wandb", run_id, stamp=stamp, project=project)
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    found = runs(catalog)
    assert len(found) == 2
    assert f"team/det/{run_id}" in found[0]
    assert f"team/tag/{run_id}" in found[1]
    assert catalog.run(found[0]).run["project"] == "det"


def test_a_folder_that_states_no_project_is_of_the_run_of_its_drawn_id(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "wandb", "x7k2m9qa")
    lost = write_run_directory(tree / "wandb", "x7k2m9qa", stamp="20251019_023219", stream=False)
    (lost / "files" / "wandb-metadata.json").unlink()
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    assert runs(catalog) == ["wandb:team/ocr/x7k2m9qa"]


def test_a_run_keeps_its_number_and_its_pins_when_its_project_becomes_known(
    tmp_path: Path,
) -> None:
    """As catalogs of before do, whose identities hold the id alone."""
    tree = tmp_path / "tree"
    Training(name="first", run_id="x7k2m9qa").write(tree)
    Training(name="nobody", run_id=None, begin=1200, scores=(0.3456789,)).write(tree)
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    catalog.pin("nobody-", "x7k2m9qa", "I was there.")
    number = catalog.sql("SELECT id FROM run WHERE tracker = 'wandb'").rows[0][0]
    write(tmp_path, "UPDATE run SET identity = 'wandb:x7k2m9qa' WHERE tracker = 'wandb'")
    write(tmp_path, "UPDATE link_decision SET run_identity = 'wandb:x7k2m9qa'")
    write(tmp_path, "UPDATE ingest SET catalog_version = '0.4.0'")
    catalog.ingest([tree])
    (row,) = catalog.sql("SELECT id, identity FROM run WHERE tracker = 'wandb'").rows
    assert row == (number, "wandb:team/ocr/x7k2m9qa")
    assert catalog.trace("nobody-").checkpoint["decided_by"] == "person"
    # So does what was said of a run whose folders were gone then.
    write(tmp_path, "UPDATE link_decision SET run_identity = 'wandb:x7k2m9qa'")
    write(tmp_path, "UPDATE ingest SET catalog_version = '0.4.0'")
    catalog.ingest([tree])
    assert catalog.trace("nobody-").checkpoint["decided_by"] == "person"


def write(tmp_path: Path, statement: str) -> None:
    connection = sqlite3.connect(tmp_path / "catalog.db")
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "content",
    [
        {"wandb_run_id": "x7k2m9qa"},
        {"wandb_id": "x7k2m9qa"},
        {"run_id": "x7k2m9qa"},
        {"config": {"wandb_run_id": "x7k2m9qa"}},
        {"args": {"wandb": {"run_id": "x7k2m9qa"}}},
        {"wandb": {"id": "x7k2m9qa", "name": "fluent-surf-3"}},
        {"hyper_parameters": {"wandb_run_id": "x7k2m9qa"}},
        {"wandb_run_path": "team/ocr/x7k2m9qa"},
        {"wandb_url": "https://wandb.ai/team/ocr/runs/x7k2m9qa"},
    ],
)
def test_an_id_inside_a_checkpoint_names_its_run(tmp_path: Path, content: dict[str, Any]) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "wandb", "x7k2m9qa", rows=[{"loss": 0.5}])
    write_run_directory(tree / "wandb", "e5f6g7h8", stamp="20251018_024219", rows=[{"loss": 0.4}])
    (tree / "weights").mkdir()
    write_torch_zip(tree / "weights" / "final.pt", {"model": {"w": scalar(1.0)}, **content})
    verdict, run, kinds = traced(tmp_path, "final.pt")
    assert (verdict, run) == ("linked", "x7k2m9qa")
    assert kinds["run-id-stated"] == 20.0


def test_an_id_in_the_metadata_of_safetensors_names_its_run(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "wandb", "x7k2m9qa", rows=[{"loss": 0.5}])
    (tree / "weights").mkdir()
    path = tree / "weights" / "model.safetensors"
    write_safetensors(path, {"w": [2, 2]}, wandb_run_id="x7k2m9qa")
    assert traced(tmp_path, "model.safetensors")[:2] == ("linked", "x7k2m9qa")


@pytest.mark.parametrize(
    "content",
    [
        {"parent_run_id": "x7k2m9qa"},
        {"parent": {"wandb_run_id": "x7k2m9qa"}},
        {"resume": {"wandb_run_id": "x7k2m9qa"}},
        {"mlflow_run_id": "x7k2m9qa"},
        {"run_id": "e5f6g7h8"},
        {"wandb_run_path": "team/seg/x7k2m9qa"},
    ],
)
def test_the_id_of_another_run_inside_is_none_of_its_own(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "wandb", "x7k2m9qa", rows=[{"loss": 0.5}])
    (tree / "weights").mkdir()
    write_torch_zip(tree / "weights" / "final.pt", {"model": {"w": scalar(1.0)}, **content})
    assert traced(tmp_path, "final.pt")[0] == "unlinked"


def test_a_word_inside_a_checkpoint_is_proof_in_its_own_project_only(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "detector" / "wandb", "baseline", rows=[{"loss": 0.5}])
    content = {"model": {"w": scalar(1.0)}, "wandb_run_id": "baseline"}
    for place in ("detector", "tagger"):
        (tree / place / "weights").mkdir(parents=True)
        write_torch_zip(tree / place / "weights" / "final.pt", content)
    assert traced(tmp_path, "detector/weights")[:2] == ("linked", "baseline")
    assert traced(tmp_path, "tagger/weights")[0] == "unlinked"
