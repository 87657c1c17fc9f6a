"""TensorFlow's checkpoints: `X.index` with `X.data-NNNNN-of-NNNNN`; several share a folder.

Version 1 adds `X.meta`, the graph (<https://www.tensorflow.org/guide/checkpoint>).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.folder import FolderFormat, Whole, files_of
from catalog.sources.formats.parts import failed, missing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from catalog.sources.facts import Item, Listing

NAME: Final = "tf-checkpoint"

_SHARD: Final = re.compile(r"(?P<prefix>.+)\.data-(?P<number>\d{5})-of-(?P<whole>\d{5})")
_INDEX: Final = ".index"


def _find(listing: Listing) -> list[Whole]:
    files = files_of(listing)
    data: dict[str, list[str]] = {}
    for name in sorted(files):
        match = _SHARD.fullmatch(name)
        if match:
            data.setdefault(match["prefix"], []).append(name)
    wholes = []
    for prefix, shards in data.items():
        index = prefix + _INDEX
        names = [name for name in (index, f"{prefix}.meta", *shards) if name in files]
        parts = {name: files[name] for name in names}
        wholes.append(Whole(parts, name=index if index in files else shards[0]))
    wholes += [
        Whole({name: files[name]}, name=name)
        for name in sorted(files)
        if name.endswith(_INDEX)
        and _names_a_checkpoint(name)
        and name.removesuffix(_INDEX) not in data
    ]
    return wholes


def _names_a_checkpoint(name: str) -> bool:
    """Say whether an index is a checkpoint's, whose data files are not beside it."""
    return re.search(r"ckpt", name, re.IGNORECASE) is not None


def _read(_root: Path, item: Item) -> Facts:
    if not item.path.endswith(_INDEX):
        reason = "its .index is missing, which says what its data files hold"
        return failed(NAME, "truncated", reason, "missing-index", "tensorflow")
    lost = missing_shards(item.parts)
    if lost is not None:
        return failed(NAME, "truncated", lost, "missing-shards", "tensorflow")
    reason = "a TensorFlow checkpoint; its content is not read"
    return Facts(Checkpoint(NAME, "recognised", reason, "tensorflow"))


def missing_shards(names: Iterable[str]) -> str | None:
    """Return what is missing of a checkpoint's data files, by their own names: `a-00000-of-00002`.

    Args:
        names: of all its files.

    Returns:
        A reason, None where nothing is missing.
    """
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    if not shards:
        return "its data files are missing"
    whole = max(int(match["whole"]) for match in shards)
    lost = whole - len({match["number"] for match in shards})
    return missing(lost, whole, "data file") if lost > 0 else None


FOLDER: Final = FolderFormat(NAME, _find, _read, signs=(".data-", _INDEX), precedence=80)
