"""Reads checkpoints as an ingest does: a listing, the items in it, and their facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.ingest.scan import Scan
from catalog.sources import registry
from catalog.sources.checkpoint import reader
from catalog.sources.facts import Checkpoint, Facts, Item
from catalog.sources.formats.registry import every_folder_format

if TYPE_CHECKING:
    from pathlib import Path


def items(root: Path) -> dict[str, Item]:
    """Return every checkpoint below a root by its path, as an ingest finds them."""
    found = {}
    walk = registry.Walk()
    for names in Scan(root).listings():
        # Signs, by which most directories are passed over, hide nothing.
        asked = {item.path for item in registry.recognise(names)}
        assert asked.issuperset(item.path for item in reader.recognise(names))
        text = "\n".join((names.path, *(entry.name for entry in names.entries))).lower()
        for form in every_folder_format():
            assert not form.find(names) or any(sign in text for sign in form.signs)
        for item in walk.recognise(names):
            if item.reader == reader.NAME:
                assert item.path not in found
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
