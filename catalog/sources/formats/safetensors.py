"""A safetensors file by its JSON header.

Format: <https://huggingface.co/docs/safetensors>: the header's length (8 bytes, little-endian),
the header, then the numbers. `data_offsets` count from the end of the header.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from catalog.sources.checkpoint.density import is_modest
from catalog.sources.checkpoint.tensors import MAX_DIMENSIONS, element_count
from catalog.sources.facts import Checkpoint, Facts, Tensor
from catalog.sources.formats.format import Format
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.facts import CheckpointStatus, Plain

MAX_HEADER: Final = 8 * 1024 * 1024
"""Real headers are some 100 bytes a tensor; a shard of 10,000 tensors has 1 MB."""

_DTYPES: Final = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}


def _begins(head: bytes, size: int) -> bool:
    """Say whether a file begins like safetensors: a length, and a JSON object behind it."""
    if len(head) < 10 or head[8:9] != b"{":
        return False
    return int.from_bytes(head[:8], "little") <= max(size, 1 << 30)


def _read(source: ByteSource, _own_path: str) -> Facts:
    """Read the header of a safetensors file; it never raises for what the file holds."""
    return Facts(_checkpoint(source))


def _checkpoint(source: ByteSource) -> Checkpoint:
    length = int.from_bytes(source.read_at(0, 8), "little")
    if length > MAX_HEADER:
        return _failed(source, "unreadable", f"its header claims {length:,} bytes")
    text = source.read_at(8, length)
    if len(text) < length:
        missing = length - len(text)
        return _failed(source, "truncated", f"{missing:,} bytes of its header are missing")
    if not is_modest(text):
        return _failed(source, "unreadable", "its header holds more than any model's")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        return _failed(source, "unreadable", "its header is not valid JSON")
    if not isinstance(header, dict):
        return _failed(source, "unreadable", "its header is not a JSON object")
    metadata = header.pop("__metadata__", None)
    tensors = []
    stored = 0
    for name, value in header.items():
        tensor = _tensor(name, value)
        if tensor is None:
            reason = f"the entry of the tensor {clean(name)[:80]!r} is damaged"
            return _failed(source, "unreadable", reason)
        tensors.append(tensor)
        stored = max(stored, value["data_offsets"][1])
    missing = 8 + length + stored - source.size
    return Checkpoint(
        format="safetensors",
        status="truncated" if missing > 0 else "readable",
        reason=f"{missing:,} of {8 + length + stored:,} bytes are missing" if missing > 0 else None,
        hyper_parameters=_metadata(metadata),
        tensors=tuple(tensors),
        parameter_count=element_count(tensor.shape for tensor in tensors),
        tensor_bytes=stored,
        safety="plain",
        bytes_read=source.bytes_read,
    )


def _tensor(name: str, value: Any) -> Tensor | None:
    if not isinstance(value, dict):
        return None
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not (isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets)):
        return None
    if len(shape) > MAX_DIMENSIONS or len(offsets) != 2 or offsets[0] > offsets[1]:
        return None
    return Tensor(clean(name), _DTYPES.get(dtype) or clean(dtype).lower(), tuple(shape))


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def _metadata(value: Any) -> dict[str, Plain] | None:
    """Return what a trainer wrote into the header, beyond the name of the framework."""
    if not isinstance(value, dict):
        return None
    kept: dict[str, Plain] = {
        clean(key): clean(text)
        for key, text in value.items()
        if isinstance(text, str) and key != "format"
    }
    return kept or None


def _failed(source: ByteSource, status: CheckpointStatus, reason: str) -> Checkpoint:
    return Checkpoint("safetensors", status, reason=reason, bytes_read=source.bytes_read)


FORMAT: Final = Format("safetensors", suffixes=(".safetensors",), begins=_begins, read=_read)
