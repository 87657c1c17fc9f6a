"""What a training's folder is called after decides, where one run only is called so."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import Catalog
from tests.support.linking import traced
from tests.support.torch_files import lightning_checkpoint, write_torch_zip
from tests.support.trees import START
from tests.support.wandb_files import write_hydra_directory, write_run_directory

STAMP = "20251018_023219"


def checkpoint(folder: Path) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    content = lightning_checkpoint(epoch=1)
    write_torch_zip(folder / "checkpoints" / "best.ckpt", content)


def run(tree: Path, run_id: str, **options: object) -> None:
    write_run_directory(tree / "wandb", run_id, **({"stamp": STAMP} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("multirun/det_r18_a", "det_r18_a"),
        ("outputs/2025-10-17/09-11-12", "2025-10-17_09-11-12"),
        ("outputs/2025-10-17/09-11-12", "2025-10-17/09-11-12"),
    ],
)
def test_a_run_that_is_called_like_the_job_s_folder_wrote_there(
    tmp_path: Path, folder: str, name: str
) -> None:
    tree = tmp_path / "tree"
    checkpoint(tree / folder)
    write_hydra_directory(tree / folder, {"lr": 1})
    (tree / folder / ".hydra" / "config.yaml").unlink()
    # The clocks say nothing: the stamps are of other days.
    run(tree, "a1b2c3d4", display_name=name, stamp="20251017_091113", started=START - 62466)
    run(tree, "b2c3d4e5", display_name="other_name")
    assert traced(tmp_path, "best.ckpt")[:2] == ("linked", "a1b2c3d4")


def test_a_name_that_two_runs_have_decides_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    checkpoint(tree / "multirun" / "det_r18_a")
    run(tree, "a1b2c3d4", display_name="det_r18_a")
    run(tree, "b2c3d4e5", display_name="det_r18_a")
    assert traced(tmp_path, "best.ckpt")[0] == "unlinked"


def test_a_number_that_each_sweep_has_is_no_name(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    checkpoint(tree / "multirun" / "exp" / "0")
    run(tree, "a1b2c3d4", display_name="0")
    assert traced(tmp_path, "best.ckpt")[0] == "unlinked"


@pytest.mark.parametrize(
    ("folder", "delay", "expected"),
    [
        ("ocr_{}", 3, "linked"),
        ("ocr-{}", 0, "linked"),
        ("seg_{}", 3, "unlinked"),
        ("ocr_{}", 30, "unlinked"),
    ],
)
def test_a_project_and_a_second_in_a_folder_s_name_are_the_run_s(
    tmp_path: Path, folder: str, delay: int, expected: str
) -> None:
    tree = tmp_path / "tree"
    checkpoint(tree / "runs" / folder.format(int(START)))
    run(tree, "a1b2c3d4", started=START + delay, project="ocr")
    run(tree, "b2c3d4e5", started=START - 500, project="ocr", stamp="20251018_022359")
    assert traced(tmp_path, "best.ckpt")[0] == expected


def test_a_run_inside_a_job_without_a_stamp_is_the_job_s(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    job = tree / "multirun" / "lr_sweep" / "3"
    write_hydra_directory(job, {"lr": 1}, num=3)
    write_run_directory(job / "wandb", "a1b2c3d4", stamp=STAMP)
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tree])
    rows = catalog.sql("SELECT joined_by FROM run_directory WHERE tracker = 'hydra'").rows
    assert [tuple(row) for row in rows] == [("inside-job",)]
