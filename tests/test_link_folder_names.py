"""A folder called after its run's project and second, and one inside a job without a stamp."""

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
