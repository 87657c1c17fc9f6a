"""Which reader takes which file: the one place that knows all readers.

A reader is a module with

- `NAME`: what `Item.reader` and the `file.reader` column say;
- `VERSION`: an integer that grows when the reader learns more, so that files read
  by an older one are read again;
- `MOST_READ`, where it is not its whole size: bytes that are usually read of a large file, so that
  batches are of equal work;
- `SIGNS`, where it has more signs than stand here: a function that returns them;
- `claimed(item)`, where an item may be made of several directories: those below it that belong to
  it, in which the reader is not asked again;
- `recognise(listing) -> list[Item]`: what it would read in that directory.
  It looks at names (and at no content), and must be quick, for it is called for every
  directory of the tree;
- `read(root, item) -> Facts`: opens the file. It never raises for what a file holds:
  whatever is wrong becomes a `Problem` in the facts. `OSError` may escape; the caller
  makes a problem of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

from catalog.sources.paths import split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from catalog.sources.facts import Facts, Item, Listing

READERS = {
    "catalog.sources.wandb.config_file": ("config",),
    "catalog.sources.wandb.summary_file": ("wandb-summary.json",),
    "catalog.sources.wandb.metadata_file": ("wandb-metadata.json",),
    "catalog.sources.wandb.stream": (".wandb",),
    "catalog.sources.wandb.history_file": ("wandb-history",),
    "catalog.sources.wandb.logs": (".log",),
    "catalog.sources.wandb.saved_link": ("/files",),
    "catalog.sources.wandb.requirements_file": ("requirements.txt",),
    "catalog.sources.hydra": (".hydra", "multirun.yaml"),
    "catalog.sources.stores.mlflow": (".db", "meta.yaml", "params", "tags", "metrics"),
    "catalog.sources.stores.trackio": ("trackio",),
    "catalog.sources.dvclive": (".tsv", "metrics.json", "dvclive"),
    "catalog.sources.ultralytics": ("args.yaml", "opt.yaml"),
    "catalog.sources.best_models": ("best_k_models",),
    "catalog.sources.sidecar": (".yaml", ".json"),
    "catalog.sources.metrics_csv": (".csv",),
    "catalog.sources.tensorboard": ("tfevents",),
    "catalog.sources.trainer_state": ("trainer_state",),
    "catalog.sources.checkpoint.reader": (),  # the formats declare theirs
}  # fmt: skip
"""In this order each item goes to the first reader that wants it.

Beside each reader its signs: it is asked only about directories whose path, or a name in it, holds
one of them, in small letters. Most directories hold nothing for most readers.
"""


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


class _Asked(NamedTuple):
    """How one reader is asked about a directory."""

    recognise: Callable[[Listing], list[Item]]
    signs: tuple[str, ...]
    claimed: Callable[[Item], set[str]] | None


_loaded: dict[str, Reader] = {}
_asked: list[_Asked] = []


def readers() -> dict[str, Reader]:
    """Return all readers by name, in order of precedence; they are imported on first use."""
    if not _loaded:
        for module, signs in READERS.items():
            reader: Reader = import_module(module)
            every_sign = (*signs, *getattr(reader, "SIGNS", tuple)())
            claimed = getattr(reader, "claimed", None)
            _asked.append(_Asked(reader.recognise, every_sign, claimed))
            _loaded[reader.NAME] = reader
    return _loaded


class Walk:
    """Asks the readers about the directories of one tree, each after those above it.

    What belongs to an item that an upper directory is, is no item of the same reader again.
    """

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        """Directories below those that are items."""
        self._wholes: set[str] = set()
        """Directories that are items."""

    def recognise(self, listing: Listing) -> list[Item]:
        """Return what can be read in one directory, each path once, by path.

        Args:
            listing: the directory's entries, one stat each at most.

        """
        readers()
        names = [entry.name for entry in listing.entries]
        text = "\n".join((listing.path, *names)).lower()
        is_claimed = bool(self._claimed) and self._is_claimed(listing.path)
        # Items are made of files; only what may be spread over directories is made of these alone.
        has_files = any(entry.kind != "directory" for entry in listing.entries)
        taken: dict[str, Item] = {}
        for ask, signs, claimed in _asked:
            if is_claimed if claimed is not None else not has_files:
                continue
            for sign in signs:
                if sign in text:
                    for item in ask(listing):
                        taken.setdefault(item.path, item)
                        if claimed is not None and item.parts:
                            self._claimed |= claimed(item)
                            self._wholes.add(item.path)
                    break
        return [taken[path] for path in sorted(taken)]

    def claims(self, path: str) -> bool:
        """Say whether an item that was found is made of what is in a directory."""
        return path in self._claimed

    def holds(self, path: str) -> bool:
        """Say whether a path is in an item that was found, or is a directory of it."""
        if split(path)[0] in self._wholes:
            return True
        while path != ".":
            if path in self._claimed:
                return True
            path = split(path)[0]
        return False

    def _is_claimed(self, path: str) -> bool:
        if path in self._claimed:
            return True
        if split(path)[0] not in self._claimed:
            return False
        self._claimed.add(path)
        return True


def recognise(listing: Listing) -> list[Item]:
    """Return what can be read in one directory, whatever the directories above it are."""
    return Walk().recognise(listing)


def read(root: Path, item: Item) -> Facts:
    """Read one item with the reader that recognised it."""
    return readers()[item.reader].read(root, item)
