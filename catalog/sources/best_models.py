"""Lightning's `best_k_models.yaml`: path on the machine that ran, to score, of the k best files.

`ModelCheckpoint.to_yaml` writes it into the folder of the checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.sources.documents import read_yaml
from catalog.sources.facts import Facts, Item, Listing, Mention
from catalog.sources.paths import is_file, item_of

if TYPE_CHECKING:
    from pathlib import Path

NAME = "best-models"
VERSION = 1

_FILE = "best_k_models.yaml"
_MAX_BYTES = 1024 * 1024


def recognise(listing: Listing) -> list[Item]:
    """Return the file, wherever it lies."""
    return [
        item_of(NAME, listing, entry)
        for entry in listing.entries
        if entry.name == _FILE and is_file(entry)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read the paths.

    Raises:
        OSError: the file cannot be read.

    """
    document = read_yaml(root / item.path, _MAX_BYTES)
    paths = [key for key in document.mapping or {} if "/" in key or "\\" in key]
    return Facts(
        mentions=tuple(Mention("best-k-model", path) for path in paths),
        problems=document.problems,
    )
