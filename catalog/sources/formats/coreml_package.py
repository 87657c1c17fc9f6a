"""Core ML packages: a folder `NAME.mlpackage` with `Manifest.json`, and the model in `Data/`.

Format: `modelpackage/src/ModelPackage.cpp` of coremltools; the manifest names each item by its path
below `Data/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.documents import read_json
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of
from catalog.sources.formats.parts import failed
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Item, Listing

NAME: Final = "coreml-package"
_ENDING: Final = ".mlpackage"
_MANIFEST: Final = "Manifest.json"
_DATA: Final = "Data"
_DEPTH: Final = 4
_MOST_VALUES: Final = 10_000


def _find(listing: Listing) -> list[Whole]:
    if not listing.path.lower().endswith(_ENDING):
        return []
    parts = files_of(listing) | files_below(listing, _DATA, _DEPTH)
    return [Whole(parts)] if parts else []


def _read(root: Path, item: Item) -> Facts:
    """Describe a package; its model is not read."""
    if _MANIFEST not in item.parts:
        reason = f"its {_MANIFEST} is missing"
        return failed(NAME, "truncated", reason, "missing-parts", "coreml")
    manifest = read_json(root / item.path / _MANIFEST, most_values=_MOST_VALUES).mapping or {}
    entries = manifest.get("itemInfoEntries")
    paths = [
        entry.get("path")
        for entry in (entries.values() if isinstance(entries, dict) else ())
        if isinstance(entry, dict)
    ]
    if not any(isinstance(path, str) for path in paths):
        reason = f"its {_MANIFEST} names no model"
        return failed(NAME, "unreadable", reason, "unreadable-manifest", "coreml")
    for path in paths:
        wanted = f"{_DATA}/{path}"
        there = any(part == wanted or part.startswith(f"{wanted}/") for part in item.parts)
        if isinstance(path, str) and not there:
            reason = f"its {clean(path)[:100]} is missing"
            return failed(NAME, "truncated", reason, "missing-parts", "coreml")
    reason = "a Core ML package; its content is not read"
    return Facts(Checkpoint(NAME, "recognised", reason, "coreml"))


FOLDER: Final = FolderFormat(NAME, _find, _read, signs=(_ENDING,))
