"""Sums of weights that no fingerprint is known of: safetensors, HDF5, folders of shards."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from catalog.errors import SourceError
from catalog.sources.checkpoint.weight_names import WEIGHTS
from catalog.sources.paths import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK: Final = 1 << 20


def sum_of_weights(path: Path) -> str | None:
    """Return the SHA-256 of a checkpoint's content; all of it is read.

    Args:
        path: a file, whose own sum it is, as `ingest --hash` keeps it; or a folder, of whose
            weight files names and contents go into it, and nothing else.

    Returns:
        Hexadecimal; None for a folder without a file that is known to hold weights.

    Raises:
        SourceError: a file cannot be read.
    """
    total = hashlib.sha256()
    try:
        if not path.is_dir():
            _add(total, path)
            return total.hexdigest()
        names = sorted(one.name for one in path.iterdir() if WEIGHTS.fullmatch(one.name))
        for name in names:
            total.update(name.encode("utf-8", "surrogateescape") + b"\0")
            _add(total, path / name)
    except OSError as error:
        raise SourceError(f"{error.filename or path}: {error.strerror or error}.") from error
    return total.hexdigest() if names else None


def _add(total: hashlib._Hash, path: Path) -> None:
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            total.update(block)
