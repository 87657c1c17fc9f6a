"""Keras 3 archives: a zip with config.json, metadata.json and model.weights.h5.

Keras reads config.json and one of model.weights.h5 and model.weights.npz, and refuses an archive
without either (`keras/src/saving/saving_lib.py`, `_load_model_from_fileobj`, 3.15).
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint import torch_zip
from catalog.sources.checkpoint.density import is_modest
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.formats.hdf5_root import (
    Hdf5Error,
    read_root,
    read_superblock,
    signature_offset,
)
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory
    from catalog.sources.facts import CheckpointStatus

_CONFIG: Final = "config.json"
_METADATA: Final = "metadata.json"
_WEIGHTS: Final = ("model.weights.h5", "model.weights.npz")
_MAX_JSON: Final = 8 * 1024 * 1024
"""A config has some 500 bytes a layer."""


def _contains(names: Collection[str], _top: str) -> bool:
    if any(name in names for name in _WEIGHTS):
        return True
    if _CONFIG not in names or _METADATA not in names:
        return False
    others = [name for name in names if not name.startswith("assets/")]
    return sorted(others) == [_CONFIG, _METADATA]


def _read(source: ByteSource, directory: ZipDirectory, _own_path: str) -> Facts:
    """Describe a `.keras` archive by its entries; it never raises for what they hold."""
    status, reason = _status(source, directory)
    metadata = _document(source, directory, _METADATA)
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    checkpoint = Checkpoint(
        format="keras-zip",
        status=status,
        reason=reason,
        framework="keras",
        framework_version=clean(version[:100]) if isinstance(version, str) else None,
        bytes_read=source.bytes_read,
    )
    return Facts(checkpoint)


def _status(source: ByteSource, directory: ZipDirectory) -> tuple[CheckpointStatus, str]:
    if _CONFIG not in directory.entries:
        return "truncated", "its config.json is missing, and Keras builds the model from it"
    name = next((name for name in _WEIGHTS if name in directory.entries), None)
    if name is None:
        return "truncated", "its weights are missing: model.weights.h5 or model.weights.npz"
    entry = directory.entries[_CONFIG]
    if entry.size <= _MAX_JSON and not isinstance(_document(source, directory, _CONFIG), dict):
        return "unreadable", "its config.json is damaged"
    weights = directory.entries[name]
    if weights.size == 0:
        return "truncated", f"its {name} has no content"
    if name.endswith(".h5") and weights.method == 0:
        start = torch_zip.data_offset(source, weights)
        window = source.window(start, weights.size)
        try:
            read_root(window, read_superblock(window, signature_offset(window) or 0))
        except Hdf5Error as error:
            return "truncated" if error.is_cut else "unreadable", f"its {name}: {error}"
    return "recognised", "a Keras model; its content is not read"


def _document(source: ByteSource, directory: ZipDirectory, name: str) -> Any:
    """Return what a JSON entry says, None where it is absent, damaged or large."""
    entry = directory.entries.get(name)
    if entry is None:
        return None
    try:
        data = torch_zip.read_entry(source, entry, _MAX_JSON)
        if len(data) == entry.size and zlib.crc32(data) != entry.crc:
            return None
        return json.loads(data) if is_modest(data) else {}
    except (torch_zip.ZipError, ValueError, RecursionError):
        return None


FORMAT: Final = Format(
    "keras-zip", suffixes=(".keras",), contains=_contains, read_archive=_read, is_strict=True
)
