"""Keras 3 archives: a zip with config.json, metadata.json and model.weights.h5."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory


def _contains(names: Collection[str], _top: str) -> bool:
    return "model.weights.h5" in names and "config.json" in names


def _read(source: ByteSource, directory: ZipDirectory, _own_path: str) -> Facts:
    """Describe a `.keras` archive by its metadata.json."""
    from catalog.sources.checkpoint.archives import small_entry

    version = None
    try:
        metadata = json.loads(small_entry(source, directory, "metadata.json") or b"{}")
        if isinstance(metadata, dict) and isinstance(metadata.get("keras_version"), str):
            version = clean(metadata["keras_version"][:100])
    except (ValueError, RecursionError):
        version = None
    checkpoint = Checkpoint(
        format="keras-zip",
        status="recognised",
        reason="a Keras model; its content is not read",
        framework="keras",
        framework_version=version,
        bytes_read=source.bytes_read,
    )
    return Facts(checkpoint)


FORMAT: Final = Format("keras-zip", suffixes=(".keras",), contains=_contains, read_archive=_read)
