"""Reads checkpoints as an ingest does: a listing, the items in it, and their facts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from catalog.sources import registry
from catalog.sources.checkpoint import reader
from catalog.sources.facts import Checkpoint, Entry, Facts, Item, Listing


def listing(root: Path, path: str = ".") -> Listing:
    """List one directory as the scan does."""
    entries = []
    for found in os.scandir(root / path):
        status = found.stat(follow_symlinks=False)
        numbers = (status.st_size, status.st_mtime_ns, status.st_ino)
        if found.is_symlink():
            entries.append(
                Entry(found.name, "link", *numbers, os.readlink(found), _leads(root, found.path))
            )
        elif found.is_dir():
            entries.append(Entry(found.name, "directory", *numbers))
        else:
            kind: Literal["file", "other"] = "file" if found.is_file() else "other"
            entries.append(Entry(found.name, kind, *numbers))
    return Listing(path, tuple(sorted(entries, key=lambda entry: entry.name)))


def _leads(root: Path, path: str) -> Literal["inside", "outside", "dead"]:
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(os.path.realpath(root)):
        return "outside"
    return "inside" if target.exists() else "dead"


def items(root: Path) -> dict[str, Item]:
    """Return every checkpoint below a root by its path."""
    found = {}
    for folder, _, _ in os.walk(root):
        names = listing(root, Path(folder).relative_to(root).as_posix())
        asked = {item.path for item in registry.recognise(names)}
        for item in reader.recognise(names):
            assert item.path not in found
            assert item.path in asked  # the reader's signs hide nothing from it
            found[item.path] = item
    return found


def facts(root: Path, path: str | None = None) -> Facts:
    """Return the facts of one item below a root; of the only one if no path is given."""
    found = items(root)
    if path is None:
        (path,) = found
    return reader.read(root, found[path])


def facts_of(path: Path) -> Facts:
    """Return the facts of one file, whatever its name."""
    return reader.read(path.parent, Item(reader.NAME, path.name, 0, 0))


def checkpoint_of(path: Path) -> Checkpoint:
    """Return the checkpoint in one file, whatever its name."""
    checkpoint = facts_of(path).checkpoint
    assert checkpoint is not None
    return checkpoint


def codes(facts: Facts) -> list[str]:
    """Return the codes of the problems."""
    return [problem.code for problem in facts.problems]
