"""ONNX models: a protobuf (`onnx/onnx.proto`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource


def _begins(head: bytes, _size: int) -> bool:
    """Say whether a file begins like `ModelProto` (`onnx/onnx.proto`).

    Its version comes first, then the producer's name or version, a short text, or what follows
    them. TensorFlow's `saved_model.pb` begins the same, but with a long message in that place.
    """
    if len(head) < 4 or head[0] != 8 or not 0 < head[1] < 32:
        return False
    if head[2] in b"\x12\x1a":
        text = head[4 : 4 + head[3]]
        return head[3] < 0x80 and text.isascii() and b"\0" not in text
    return head[2] in b"\x3aB"


def _read(source: ByteSource, _own_path: str) -> Facts:
    """Describe an ONNX model: a protobuf that begins with its format version."""
    return Facts(
        Checkpoint(
            format="onnx",
            status="recognised",
            reason="an ONNX model; its content is not read",
            framework="onnx",
            bytes_read=source.bytes_read,
        )
    )


FORMAT: Final = Format("onnx", suffixes=(".onnx",), begins=_begins, read=_read, precedence=80)
