"""Orbax: the folder of a step with `_CHECKPOINT_METADATA`, and in it a folder for each item.

A save goes into `NAME.orbax-checkpoint-tmp-STAMP`, which is renamed when all of it is written
(`orbax/checkpoint/_src/path/atomicity.py`), so a folder with that name is of a save that was not
finished. An item has `_METADATA`, `_sharding`, `manifest.ocdbt`, and its arrays in `d/` and
`ocdbt.process_N/`; they are not read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of, folders_of
from catalog.sources.formats.parts import failed
from catalog.sources.paths import split

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Entry, Item, Listing

NAME: Final = "orbax"

_TEMPORARY: Final = ".orbax-checkpoint-tmp"
_STEP: Final = "_CHECKPOINT_METADATA"
_ITEM: Final = "_METADATA"
_MANIFEST: Final = "manifest.ocdbt"
_OLD: Final = "checkpoint"
"""What told of the arrays before `_METADATA` did."""
_DEPTH: Final = 4
"""Levels of folders below a step: the item, `ocdbt.process_N`, `d`."""


def _find(listing: Listing) -> list[Whole]:
    files = files_of(listing)
    is_step = _STEP in files
    is_item = _ITEM in files and (_MANIFEST in files or "_sharding" in files)
    is_temporary = _TEMPORARY in split(listing.path)[1]
    if not (is_step or is_item or is_temporary):
        return []
    parts: dict[str, Entry] = dict(files)
    for name in folders_of(listing):
        parts |= files_below(listing, name, _DEPTH)
    return [Whole(parts)] if parts else []


def _read(root: Path, item: Item) -> Facts:
    unfinished = _unfinished(root, item)
    if unfinished is not None:
        reason = f"its save was not finished: Orbax renames {unfinished} when it is"
        return failed(NAME, "truncated", reason, "unfinished-save", "orbax")
    lost = _without_metadata(item.parts)
    if lost is not None:
        return failed(
            NAME, "truncated", f"the _METADATA of {lost} is missing", "missing-metadata", "orbax"
        )
    reason = "an Orbax checkpoint; its content is not read"
    return Facts(Checkpoint(NAME, "recognised", reason, "orbax"))


def _unfinished(root: Path, item: Item) -> str | None:
    """Return the name of the temporary folder that a checkpoint is in, is, or has."""
    places = [
        *os.fspath(root / item.path).split("/"),
        *(n for p in item.parts for n in p.split("/")),
    ]
    return next((name for name in places if _TEMPORARY in name), None)


def _without_metadata(parts: tuple[str, ...]) -> str | None:
    """Return the folder of an item that has arrays, and not what tells of them."""
    folders = {split(part)[0] for part in parts if split(part)[1] == _MANIFEST}
    for folder in sorted(folders):
        is_of_a_process = split(folder)[1].startswith("ocdbt.process_")
        prefix = "" if folder == "." else f"{folder}/"
        tells = (f"{prefix}{_ITEM}", f"{prefix}{_OLD}")
        if not is_of_a_process and not any(name in parts for name in tells):
            return folder
    return None


FOLDER: Final = FolderFormat(
    NAME,
    _find,
    _read,
    signs=(_MANIFEST, _STEP.lower(), _ITEM.lower(), _TEMPORARY),
    precedence=20,
)
