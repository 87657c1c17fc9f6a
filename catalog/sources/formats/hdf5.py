"""HDF5 files: Keras models, their weights alone, and data.

Which is told by the names in the root group: `keras/src/legacy/saving/legacy_h5_format.py` writes
the attributes `model_config`, `keras_version` and `layer_names`, and `saving_lib.py` (Keras 3) the
groups `layers` and `vars` of a `.weights.h5`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.formats.hdf5_root import (
    MARKS,
    SIGNATURE,
    Hdf5Error,
    Root,
    read_root,
    read_superblock,
    signature_offset,
)

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.facts import CheckpointStatus

_MOST_OF_SIGNATURE: Final = 6
_WEIGHTS_ONLY: Final = "Keras weights only, the architecture is not in it; its content is not read"


def _begins(head: bytes, _size: int) -> bool:
    return head.startswith(SIGNATURE)


def _read_named(source: ByteSource, own_path: str) -> Facts | None:
    """Read what begins with a user block: its signature is at a power of two."""
    offset = signature_offset(source)
    if offset is not None:
        return _described(source, offset, own_path) if offset else None
    head = source.read_at(0, len(SIGNATURE))
    if sum(a == b for a, b in zip(head, SIGNATURE, strict=False)) < _MOST_OF_SIGNATURE:
        return None
    checkpoint = Checkpoint("hdf5", "unreadable", "its signature is damaged")
    return Facts(checkpoint.but(bytes_read=source.bytes_read))


def _read(source: ByteSource, own_path: str) -> Facts:
    """Describe an HDF5 file; it never raises for what the file holds."""
    return _described(source, 0, own_path)


def _described(source: ByteSource, offset: int, own_path: str) -> Facts:
    status: CheckpointStatus
    name = "hdf5"
    try:
        root = read_root(source, read_superblock(source, offset))
    except Hdf5Error as error:
        status, reason = "truncated" if error.is_cut else "unreadable", str(error)
    else:
        name, status, reason = _kind(root, own_path)
    checkpoint = Checkpoint(
        format=name,
        status=status,
        reason=reason,
        framework="keras" if name == "keras-h5" else None,
        bytes_read=source.bytes_read,
    )
    return Facts(checkpoint)


def _kind(root: Root, own_path: str) -> tuple[str, CheckpointStatus, str]:
    """Return the format, the status and the reason that the names in the root tell."""
    attributes, links = root.attributes, root.links
    if "model_config" in attributes:
        return "keras-h5", "recognised", "a Keras model in HDF5; its content is not read"
    if not root.is_whole and attributes.intersection(MARKS):
        reason = "a Keras model in HDF5, or its weights alone; its content is not read"
        return "keras-h5", "recognised", reason
    if "layer_names" in attributes or "keras_version" in attributes or "nb_layers" in attributes:
        return "keras-h5", "recognised", _WEIGHTS_ONLY
    named = own_path.lower().endswith(".weights.h5")
    if "_layer_checkpoint_dependencies" in links or (
        ("layers" in links or "vars" in links) and (named or {"layers", "vars"} <= links)
    ):
        return "keras-h5", "recognised", _WEIGHTS_ONLY
    if root.is_whole:
        return "hdf5", "foreign", "HDF5 data without the marks of a model"
    reason = "an HDF5 file whose root is not read whole: a model or data; its content is not read"
    return "hdf5", "recognised", reason


FORMAT: Final = Format(
    "hdf5",
    suffixes=(".h5", ".hdf5"),
    begins=_begins,
    read=_read,
    read_named=_read_named,
    is_strict=True,
)
