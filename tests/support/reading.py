"""Reads whole trees with the readers of run records, without a database."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from catalog.sources.facts import Entry, Facts, Item, Kind, Listing
from catalog.sources.registry import READERS, Reader, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_READERS: tuple[Reader, ...] = tuple(
    cast("Reader", import_module(name)) for name in READERS if "checkpoint" not in name
)


def listing(root: Path, path: str = ".") -> Listing:
    """List one directory as the scan does, without following links."""
    entries = []
    for found in os.scandir(root / path):
        status = found.stat(follow_symlinks=False)
        kind: Kind = "other"
        if found.is_symlink():
            kind = "link"
        elif found.is_dir():
            kind = "directory"
        elif found.is_file():
            kind = "file"
        inside = kind == "link" and found.is_file()
        entries.append(Entry(found.name, kind, status.st_size, link="inside" if inside else None))
    return Listing(path, tuple(sorted(entries, key=lambda entry: entry.name)))


def items(root: Path) -> Iterator[Item]:
    """Yield everything below a root that a reader of run records wants."""
    for folder, _, _ in sorted(os.walk(root)):
        names = listing(root, Path(folder).relative_to(root).as_posix())
        taken: dict[str, Item] = {}
        for reader in RUN_READERS:
            for item in reader.recognise(names):
                taken.setdefault(item.path, item)
        # The signs of a reader, by which most directories are passed over, hide nothing from it.
        asked = [item for item in recognise(names) if item.reader != "checkpoint"]
        assert asked == sorted(taken.values(), key=lambda item: item.path)
        yield from taken.values()


def read(root: Path, item: Item) -> Facts:
    """Read one item with the reader that recognised it."""
    reader = next(reader for reader in RUN_READERS if item.reader == reader.NAME)
    return reader.read(root, item)


def read_tree(root: Path) -> dict[str, Facts]:
    """Read everything below a root, by path."""
    return {item.path: read(root, item) for item in items(root)}


def fields(facts: Facts) -> dict[str, str]:
    """Return the fields of one file, the lowest rank first."""
    found: dict[str, str] = {}
    for one in sorted(facts.fields, key=lambda one: one.rank):
        found.setdefault(one.name, one.value)
    return found


def codes(facts: Facts) -> list[str]:
    """Return the codes of the problems."""
    return [problem.code for problem in facts.problems]
