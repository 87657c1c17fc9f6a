"""The checkpoint that a path names, as an ingest would find it there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.ingest.scan import Scan
from catalog.sources.checkpoint import reader, sums

if TYPE_CHECKING:
    from catalog.sources.checkpoint.sums import Verified
    from catalog.sources.facts import Item


def whole_at(root: Path, path: Path) -> Item | None:
    """Return the checkpoint of several files that a path names: a folder, or an `X.index`.

    Args:
        root: what the item's path is relative to.
        path: absolute, links resolved.
    """
    folder = path if path.is_dir() else path.parent
    place = path.relative_to(root).as_posix()
    for listing in Scan(root, folder.relative_to(root).as_posix()).listings():
        found = [one for one in reader.recognise(listing) if one.path == place and one.parts]
        return found[0] if found else None
    return None


def verified_sum(path: Path) -> Verified:
    """Read a checkpoint whole and return what its bytes tell, of a folder those of its parts.

    Args:
        path: a file; a folder that is one checkpoint; or the `X.index` of TensorFlow.

    Raises:
        SourceError: a file cannot be read.
    """
    if not path.is_dir():
        return sums.verified_sum(path)
    real = Path(os.path.realpath(path))
    whole = whole_at(Path(real.anchor), real)
    return sums.verified_sum(path, whole.parts if whole else None)
