"""`requirements.txt` of a W&B run: what was installed, one `NAME==VERSION` a line.

Written by every version, offline too; only packages that shape a training are kept.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from catalog.sources.facts import Facts, Item, Listing, RunField
from catalog.sources.paths import below, read_at_most
from catalog.sources.wandb import ranks, run_directory

if TYPE_CHECKING:
    from pathlib import Path

NAME = "wandb-requirements"
VERSION = 1

KEPT = frozenset({
    "accelerate", "datasets", "hydra-core", "jax", "keras", "lightning", "numpy", "omegaconf",
    "peft", "pytorch-lightning", "scikit-learn", "tensorflow", "timm", "torch", "torchmetrics",
    "torchvision", "transformers", "ultralytics", "wandb",
})  # fmt: skip
_FILE = "requirements.txt"
_MAX_BYTES = 1024 * 1024
_LINE = re.compile(rb"^\s*([A-Za-z0-9._-]{1,100})==([A-Za-z0-9.+!_-]{1,100})\s*$", re.MULTILINE)


def recognise(listing: Listing) -> list[Item]:
    """Return the file if it lies where W&B puts it; elsewhere it is a project's own."""
    if not run_directory.is_named(run_directory.holder_of(listing, "files")):
        return []
    return run_directory.file_item(NAME, listing, _FILE)


def read(root: Path, item: Item) -> Facts:
    """Read the versions.

    Raises:
        OSError: the file cannot be read.

    """
    place = run_directory.of_file(root, item)
    found = {}
    for name, version in _LINE.findall(read_at_most(below(root, item.path), _MAX_BYTES)):
        package = re.sub(r"[-_.]+", "-", name.decode()).lower()
        if package in KEPT:
            found[package] = version.decode()
    text = json.dumps(found, sort_keys=True)
    fields = (RunField("packages", text, ranks.METADATA),) if found else ()
    return Facts(run_directory=place, fields=fields)
