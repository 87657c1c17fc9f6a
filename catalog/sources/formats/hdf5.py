"""HDF5 files: Keras models, and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

_SEARCHED: Final = 1024 * 1024


def _begins(head: bytes, _size: int) -> bool:
    return head.startswith(b"\x89HDF\r\n\x1a\n")


def _read(source: ByteSource, _own_path: str) -> Facts:
    """Describe an HDF5 file; Keras is told by the attributes that it writes near the start."""
    start = source.read_at(0, _SEARCHED)
    keras = b"keras_version" in start or b"model_config" in start or b"layer_names" in start
    return Facts(
        Checkpoint(
            format="keras-h5" if keras else "hdf5",
            status="recognised",
            reason=(
                "a Keras model in HDF5; its content is not read"
                if keras
                else "HDF5 data without the marks of a Keras model; its content is not read"
            ),
            framework="keras" if keras else None,
            bytes_read=source.bytes_read,
        )
    )


FORMAT: Final = Format("hdf5", suffixes=(".h5", ".hdf5"), begins=_begins, read=_read)
