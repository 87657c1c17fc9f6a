"""Which reader takes which file: the one place that knows all readers.

A reader is a module with

- `NAME`: what `Item.reader` and the `file.reader` column say;
- `VERSION`: an integer that grows when the reader learns more, so that files read
  by an older one are read again;
- `recognise(listing) -> list[Item]`: what it would read in that directory.
  It looks at names (and at no content), and must be quick, for it is called for every
  directory of the tree;
- `read(root, item) -> Facts`: opens the file. It never raises for what a file holds:
  whatever is wrong becomes a `Problem` in the facts. `OSError` may escape; the caller
  makes a problem of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Facts, Item, Listing

READERS = (
    "catalog.sources.wandb.config_file",
    "catalog.sources.wandb.summary_file",
    "catalog.sources.wandb.metadata_file",
    "catalog.sources.wandb.stream",
    "catalog.sources.wandb.history_file",
    "catalog.sources.wandb.logs",
    "catalog.sources.wandb.requirements_file",
    "catalog.sources.hydra",
    "catalog.sources.stores.mlflow",
    "catalog.sources.stores.trackio",
    "catalog.sources.dvclive",
    "catalog.sources.ultralytics",
    "catalog.sources.best_models",
    "catalog.sources.sidecar",
    "catalog.sources.metrics_csv",
    "catalog.sources.tensorboard",
    "catalog.sources.trainer_state",
    "catalog.sources.checkpoint.reader",
)
"""In this order each item goes to the first reader that wants it."""


class Reader(Protocol):
    """What a reader module looks like."""

    NAME: str
    VERSION: int

    def recognise(self, listing: Listing) -> list[Item]:
        """Return what this reader would read in one directory."""
        ...

    def read(self, root: Path, item: Item) -> Facts:
        """Read one item below `root`."""
        ...


_loaded: dict[str, Reader] = {}


def readers() -> dict[str, Reader]:
    """Return all readers by name, in order of precedence; they are imported on first use."""
    if not _loaded:
        for module in READERS:
            reader: Reader = import_module(module)
            _loaded[reader.NAME] = reader
    return _loaded


def recognise(listing: Listing) -> list[Item]:
    """Return what can be read in one directory, each path once, by path.

    Args:
        listing: the directory's entries, one stat each at most.

    """
    taken: dict[str, Item] = {}
    for reader in readers().values():
        for item in reader.recognise(listing):
            taken.setdefault(item.path, item)
    return [taken[path] for path in sorted(taken)]


def read(root: Path, item: Item) -> Facts:
    """Read one item with the reader that recognised it."""
    return readers()[item.reader].read(root, item)
