"""Which run directory a file belongs to where several tools write into one folder.

A TensorBoard file may lie in a W&B run's `files/`, in a Hydra job, in Lightning's `version_N`,
or in a folder of its own: the folder is one run directory, of the tool that made it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from catalog.sources import hydra
from catalog.sources.facts import RunDirectory
from catalog.sources.paths import join, split
from catalog.sources.wandb import run_directory as wandb

if TYPE_CHECKING:
    from pathlib import Path

VERSION_FOLDER = re.compile(r"version_\d+")


def place_of(root: Path, folder: str, tracker: str) -> RunDirectory:
    """Return the run directory of a file that `tracker` wrote into a folder.

    Args:
        root: the ingested root.
        folder: where the file lies, relative to it.
        tracker: of the folder if nothing else claims it.

    """
    if holder := _wandb_holder(folder):
        return wandb.describe(root, holder)
    if (root / folder / ".hydra").is_dir():
        return hydra.run_directory(root, folder)
    if VERSION_FOLDER.fullmatch(split(folder)[1]) and any(
        (root / folder / name).is_file() for name in ("hparams.yaml", "metrics.csv")
    ):
        return RunDirectory(folder, "lightning")
    return RunDirectory(folder, tracker)


def _wandb_holder(folder: str) -> str | None:
    """Return the W&B run directory whose `files/` a folder is or lies in."""
    names = folder.split("/")
    for index, name in enumerate(names[1:], start=1):
        above = "/".join(names[:index])
        if name == "files" and wandb.is_named(above):
            return above
    return None


def folder_above(folder: str, parts: tuple[str, ...]) -> tuple[str, str] | None:
    """Split a folder at names that stand in it one after another.

    Returns:
        (folder above the first of them, path below the last), `.` for none; None where they do
        not stand there: `a/plots/metrics/train` at `plots`, `metrics` gives (`a`, `train`).

    """
    names = folder.split("/")
    for index in range(len(names) - len(parts), -1, -1):
        if tuple(names[index : index + len(parts)]) == parts:
            above = "/".join(names[:index]) or "."
            return above, "/".join(names[index + len(parts) :]) or "."
    return None


def metric_name(below: str, name: str) -> str:
    """Return a metric's name from the file that holds it: `train`, `loss` is `train/loss`."""
    return join(below, name)
