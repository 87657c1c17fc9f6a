"""Trees of any size in real formats, deterministic by seed, with the truth of each link.

    python -m benchmarks.make_tree TARGET --experiments 2500

An experiment is a Hydra output folder with checkpoints, a W&B run directory (online or
offline) with its stream, now and then Lightning's own logs, and files that tell nothing. The
storages of the checkpoints are holes: a tree of terabytes takes little disk.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.checkpoint_template import Template
from tests.support.wandb_files import write_hydra_directory, write_run_directory

ARCHITECTURES = ((50, 2**16), (62, 2**17), (102, 2**16), (161, 2**18), (249, 2**18))
"""(tensors, numbers in the larger half of them)."""
_START = 1_700_000_000
_SPACING = 3_600
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Size:
    """How large a tree is.

    Args:
        experiments: trainings, each with one W&B run.
        checkpoints: files of each training.
        points: logged steps of each training.
        noise: files of each training that tell nothing.
    """

    experiments: int
    checkpoints: int = 4
    points: int = 50
    noise: int = 8


def make_tree(target: Path, size: Size, seed: int = 7) -> list[tuple[str, str]]:
    """Write a tree and return (checkpoint's path below it, run id) of every checkpoint."""
    chance = random.Random(seed)
    truth: list[tuple[str, str]] = []
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        templates = [Template(Path(scratch), *shape) for shape in ARCHITECTURES]
    for number in range(size.experiments):
        _experiment(target, number, size, chance, chance.choice(templates), truth)
    return truth


def tree_of(work: Path, size: Size, kind: str = "") -> Path:
    """Return a tree of a size, made in the work folder if it is not there yet.

    Args:
        work: where trees are kept, each with its truth beside it in `TREE.truth.csv`.
        size: how large.
        kind: what tells it from another tree of as many experiments.
    """
    tree = work / f"tree-{size.experiments}{kind}"
    if not tree.exists():
        unfinished = tree.with_name(f"{tree.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        write_truth(tree, make_tree(unfinished, size))
        unfinished.rename(tree)
    return tree


def write_truth(tree: Path, truth: list[tuple[str, str]]) -> None:
    """Write what `make_tree` returned beside a tree."""
    with Path(f"{tree}.truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "run"), *truth])


def _experiment(
    target: Path,
    number: int,
    size: Size,
    chance: random.Random,
    template: Template,
    truth: list[tuple[str, str]],
) -> None:
    began = _START + number * _SPACING
    run_id = "".join(chance.choices(_LETTERS, k=8))
    team = target / f"project{number % 20:02d}"
    folder = team / "outputs" / f"exp{number:06d}-training_{_stamp(began)}"
    config: dict[str, Any] = {
        "model": {"encoder": chance.choice(["resnet18", "unet", "vit"]), "width": 64 + number},
        "optimizer": {"lr": round(chance.uniform(1e-5, 1e-2), 6), "name": "adamw"},
        "seed": number,
        "paths": {"output_dir": f"/home/team/{folder.relative_to(target)}"},
    }
    overrides = [f"seed={number}", f"optimizer.lr={config['optimizer']['lr']}"]
    if number % 3:
        write_hydra_directory(
            folder, config, overrides=overrides, output_dir=config["paths"]["output_dir"]
        )
    rows = [
        {"epoch": step // 5, "train/loss": chance.random(), "val/hmean": chance.random()}
        for step in range(size.points)
    ]
    write_run_directory(
        team / "wandb",
        run_id,
        stamp=_stamp(began + 3),
        offline=number % 4 == 0,
        started=float(began + 3),
        config=config,
        rows=rows,
        args=overrides,
    )
    if number % 10 == 0:
        _lightning_logs(folder / "lightning_logs" / "version_0", rows)
    _checkpoints(target, folder, run_id, rows, size, chance, template, truth)
    for place in range(size.noise):
        plots = folder / "plots"
        plots.mkdir(exist_ok=True)
        (plots / f"figure-{place}.png").touch()
    ended = began + 3 + len(rows)
    os.utime(folder, (ended, ended))


def _checkpoints(
    target: Path,
    folder: Path,
    run_id: str,
    rows: list[dict[str, Any]],
    size: Size,
    chance: random.Random,
    template: Template,
    truth: list[tuple[str, str]],
) -> None:
    place = folder / "checkpoints"
    place.mkdir(parents=True)
    began = datetime.strptime(folder.name[-15:], "%Y%m%d_%H%M%S").replace(tzinfo=UTC).timestamp()
    best = 0.0
    for count in range(size.checkpoints):
        upto = max(1, (count + 1) * len(rows) // size.checkpoints)
        best = max(row["val/hmean"] for row in rows[:upto])
        path = place / f"epoch={count:03d}.ckpt"
        template.write(
            path,
            epoch=(upto - 1) // 5,
            step=upto,
            folder=f"/home/team/{place.relative_to(target)}",
            score=best,
            weights=chance.randbytes(64),
        )
        written = began + 3 + upto
        os.utime(path, (written, written))
        truth.append((path.relative_to(target).as_posix(), run_id))


def _lightning_logs(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", *rows[0]])
        writer.writeheader()
        writer.writerows({"step": step, **row} for step, row in enumerate(rows))
    (folder / "hparams.yaml").write_text("lr: 0.001\n")


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d_%H%M%S")


def main() -> None:
    """Write a tree, and the truth beside it in `TARGET.truth.csv`."""
    parser = argparse.ArgumentParser(description="Write a tree of trainings.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--checkpoints", type=int, default=4)
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--noise", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    size = Size(given.experiments, given.checkpoints, given.points, given.noise)
    truth = make_tree(given.target, size, given.seed)
    write_truth(given.target, truth)
    print(f"{len(truth)} checkpoints below {given.target}")


if __name__ == "__main__":
    main()
