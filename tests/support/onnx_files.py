"""Writes ONNX models byte by byte, by the numbers of `onnx/onnx.proto`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def varint(value: int) -> bytes:
    """Return a number in base 128, the lowest digits first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    """Return a field that is a number."""
    return varint(field << 3) + varint(value)


def text(field: int, value: bytes | str) -> bytes:
    """Return a field that is a text, bytes or a message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(
    name: str,
    dims: tuple[int, ...],
    raw: bytes | None = None,
    *,
    external: Mapping[str, str] | None = None,
    data_type: int = 1,
    more: bytes = b"",
) -> bytes:
    """Return a `TensorProto`; 1 is float."""
    data = b"".join(number(1, size) for size in dims) + number(2, data_type) + text(8, name) + more
    if raw is not None:
        data += text(9, raw)
    if external is not None:
        for key, value in external.items():
            data += text(13, text(1, key) + text(2, value))
        data += number(14, 1)
    return data


def model(
    *tensors: bytes,
    ir_version: int = 8,
    graph: bool = True,
    opset: bool = True,
    node: bytes = b"",
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """Return a `ModelProto` with one node and some initializers."""
    data = number(1, ir_version) + text(2, "pytorch") + text(3, "2.4.0")
    if graph:
        body = text(1, text(1, "x") + text(2, "y") + text(4, "Identity") + node) + text(2, "main")
        body += b"".join(text(5, one) for one in tensors)
        data += text(7, body)
    if opset:
        data += text(8, text(1, "") + number(2, 17))
    for key, value in (properties or {}).items():
        data += text(14, text(1, key) + text(2, value))
    return data
