"""Checkpoints of one training are of one run: what is known of one holds for the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.trees import START
from tests.support.wandb_files import write_run_directory

SCORES = (0.4107142984867096, 0.5231270074844360, 0.7231270074844360)
PLACE = "outputs/det_r18/checkpoints"
PARAMETERS = {"seed": 1, "lr": 0.001, "width": 8, "depth": 2}


def write_training(
    tree: Path,
    scores: Sequence[float] = SCORES,
    *,
    begin: float = START,
    first: int = 0,
    kept: int = 3,
    **parts: Any,
) -> None:
    """Write the files of epochs and the last one, as Lightning's callback keeps them."""
    folder = tree / PLACE
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"epoch={epoch}.ckpt": score for epoch, score in enumerate(scores, first)}
    best: dict[str, float] = {}
    for number, (name, score) in enumerate([*names.items(), ("last.ckpt", scores[-1])]):
        number = min(number, len(scores) - 1)
        if name != "last.ckpt":
            best[name] = score
        content = lightning_checkpoint(
            state_dict={"w": scalar(score)},
            epoch=first + number,
            global_step=(first + number + 1) * 100,
            directory=f"/home/team/project/{PLACE}",
            best_k=dict(list(best.items())[-kept:]),
            hyper_parameters=PARAMETERS,
            current=scalar(score),
            **parts,
        )
        write_torch_zip(folder / name, content)
        os.utime(folder / name, (begin + number, begin + number))


def write_run(tree: Path, run_id: str = "x7k2m9qa", *, config: Any = PARAMETERS) -> Path:
    """Write a killed run: of its history the summary alone is left."""
    folder = write_run_directory(
        tree / "wandb",
        run_id,
        started=START,
        config=config,
        rows=[{"epoch": n, "val/hmean": score} for n, score in enumerate(SCORES)],
    )
    (folder / f"run-{run_id}.wandb").write_bytes(b"")
    return folder


def traced(tmp_path: Path) -> dict[str, tuple[str, str | None, bool]]:
    """Return verdict and run of each checkpoint, and whether a sibling counted."""
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tmp_path / "tree"])
    found = {}
    for row in catalog.query("checkpoint_trace").dicts():
        (first, *_) = catalog.trace(row["path"]).candidates or [{"evidence": []}]
        kinds = {piece["kind"] for piece in first["evidence"]}
        name = row["path"].rpartition("/")[2]
        found[name] = (row["verdict"], row["run"], "sibling-linked" in kinds)
    return found


def test_what_is_known_of_the_last_file_holds_for_the_first_ones(tmp_path: Path) -> None:
    """The scores of its first epochs are lost with the run's history."""
    write_training(tmp_path / "tree")
    write_run(tmp_path / "tree")
    assert traced(tmp_path) == {
        "epoch=0.ckpt": ("linked", "x7k2m9qa", True),
        "epoch=1.ckpt": ("linked", "x7k2m9qa", True),
        "epoch=2.ckpt": ("linked", "x7k2m9qa", False),
        "last.ckpt": ("linked", "x7k2m9qa", False),
    }


def test_files_of_a_life_before_the_run_are_not_taken_over(tmp_path: Path) -> None:
    """Nobody tracked the first life, and the second one lists its files as well."""
    tree = tmp_path / "tree"
    write_training(tree, begin=START - 3)
    write_run(tree)
    found = traced(tmp_path)
    assert found["last.ckpt"][:2] == ("linked", "x7k2m9qa")
    assert found["epoch=0.ckpt"][0] == found["epoch=1.ckpt"][0] == "unlinked"


def test_without_times_a_life_before_the_run_cannot_be_ruled_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_training(tree)
    write_run(tree)
    for path in (tree / PLACE).iterdir():
        os.utime(path, (START + 9_000_000, START + 9_000_000))
    found = traced(tmp_path)
    assert found["last.ckpt"][0] == "linked"
    assert found["epoch=0.ckpt"][0] == "unlinked"


def test_where_two_runs_wrote_into_one_folder_nothing_is_taken_over(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_training(tree)
    write_run(tree)
    write_run_directory(
        tree / "wandb",
        "e5f6g7h8",
        started=START - 1,
        stamp="20251018_023218",
        config=PARAMETERS,
        rows=[{"epoch": 1, "val/hmean": SCORES[1]}],
    )
    found = traced(tmp_path)
    assert not any(sibling for _verdict, _run, sibling in found.values())
    assert found["epoch=0.ckpt"][0] != "linked"


@pytest.mark.parametrize("change", ["config", "architecture", "order"])
def test_another_training_in_the_folder_is_told_apart(tmp_path: Path, change: str) -> None:
    tree = tmp_path / "tree"
    write_training(tree)
    write_run(tree)
    path = tree / PLACE / "epoch=0.ckpt"
    content = lightning_checkpoint(
        state_dict={"w" if change != "architecture" else "v": scalar(1.0)},
        epoch=0,
        global_step=100,
        directory=f"/home/team/project/{PLACE}",
        best_k={"epoch=0.ckpt": SCORES[0]},
        hyper_parameters={"seed": 1, "lr": 0.001} if change == "config" else PARAMETERS,
        current=scalar(SCORES[0]),
    )
    write_torch_zip(path, content)
    late = START + (2 if change == "order" else 0)
    os.utime(path, (late + 0.5, late + 0.5))
    assert not traced(tmp_path)["epoch=0.ckpt"][2]


def test_it_does_not_matter_which_file_came_first(tmp_path: Path) -> None:
    tree, away = tmp_path / "tree", tmp_path / "away"
    write_training(tree)
    write_run(tree)
    away.mkdir()
    for name in ("epoch=2.ckpt", "last.ckpt"):
        (tree / PLACE / name).rename(away / name)
    assert traced(tmp_path)["epoch=0.ckpt"] == ("unlinked", None, False)
    for path in list(away.iterdir()):
        path.rename(tree / PLACE / path.name)
    assert traced(tmp_path)["epoch=0.ckpt"] == ("linked", "x7k2m9qa", True)
