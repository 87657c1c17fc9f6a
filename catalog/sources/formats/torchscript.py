"""TorchScript archives: a zip with code and constants beside the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.default_load import refused
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory


def _contains(names: Collection[str], top: str) -> bool:
    return top + "constants.pkl" in names


def _read(source: ByteSource, _directory: ZipDirectory, _own_path: str) -> Facts:
    """Describe a TorchScript archive."""
    reason = "a TorchScript archive; its content is not read"
    return Facts(
        Checkpoint(
            "torchscript",
            "recognised",
            reason,
            bytes_read=source.bytes_read,
            default_load=refused("TorchScript archives", "torch.jit.load(file)"),
        )
    )


FORMAT: Final = Format(
    "torchscript",
    suffixes=(".ptl", ".torchscript"),
    contains=_contains,
    read_archive=_read,
    precedence=40,
)
