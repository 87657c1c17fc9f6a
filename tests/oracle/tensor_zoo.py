"""The zoo's safetensors and GGUF files."""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import torch
from safetensors.torch import save

from tests.oracle.damage import Zoo
from tests.oracle.models import array
from tests.oracle.variants import changed, saved, weights

if TYPE_CHECKING:
    from collections.abc import Iterator


def _tensors(header: Any, data: bytes, *, text: bytes | None = None, pad: int = 0) -> bytes:
    """Return a safetensors file with this header, or this text for one."""
    raw = text if text is not None else json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * pad
    return struct.pack("<Q", len(raw)) + raw + data


def _entry(start: int, end: int, dtype: str = "F32", shape: Any = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape or [(end - start) // 4], "data_offsets": [start, end]}


def _odd_safetensors() -> Iterator[tuple[str, str, bytes]]:
    """Yield (damage, note, content) of headers as writers, and accidents, make them."""
    yield from _incomplete_safetensors()
    yield from _wrong_metadata()
    yield from _wrong_entries()
    yield from _repeated_names()
    yield from _other_safetensors()


def _incomplete_safetensors() -> Iterator[tuple[str, str, bytes]]:
    """Yield headers that do not fit the bytes, or lack a part."""
    data = array(1, 16).tobytes()
    two = {"a": _entry(0, 32), "b": _entry(32, 64)}
    yield (
        "part missing",
        "a tensor has no offsets",
        _tensors({**two, "b": {"dtype": "F32", "shape": [8]}}, data),
    )
    yield (
        "part missing",
        "a gap between tensors",
        _tensors({"a": _entry(0, 24), "b": _entry(32, 64)}, data),
    )
    yield "part missing", "bytes before the first tensor", _tensors({"a": _entry(32, 64)}, data)
    yield (
        "part missing",
        "tensors overlap",
        _tensors({"a": _entry(0, 40), "b": _entry(32, 64)}, data),
    )
    yield "part missing", "bytes behind the last tensor", _tensors(two, data + bytes(8))
    yield "part missing", "the last tensor's bytes", _tensors(two, data[:32])
    yield (
        "part missing",
        "a header of no tensors",
        _tensors({"__metadata__": {"format": "pt"}}, b""),
    )
    yield "part missing", "no header", _tensors(None, b"", text=b"")


def _wrong_metadata() -> Iterator[tuple[str, str, bytes]]:
    """Yield metadata, dtypes and shapes of another type."""
    data = array(1, 16).tobytes()
    two = {"a": _entry(0, 32), "b": _entry(32, 64)}
    yield (
        "wrong type",
        "metadata is a number",
        _tensors({"__metadata__": {"epoch": 3}, **two}, data),
    )
    yield (
        "wrong type",
        "metadata is nested",
        _tensors({"__metadata__": {"a": {"b": "c"}}, **two}, data),
    )
    yield "wrong type", "metadata is a list", _tensors({"__metadata__": ["a"], **two}, data)
    yield "wrong type", "metadata is null", _tensors({"__metadata__": None, **two}, data)
    yield "wrong type", "an unknown dtype", _tensors({**two, "b": _entry(32, 64, "F33")}, data)
    yield (
        "wrong type",
        "a dtype in small letters",
        _tensors({**two, "b": _entry(32, 64, "f32")}, data),
    )
    yield (
        "wrong type",
        "shape against bytes",
        _tensors({**two, "b": _entry(32, 64, shape=[3, 3])}, data),
    )
    yield (
        "wrong type",
        "a negative dimension",
        _tensors({**two, "b": _entry(32, 64, shape=[-8])}, data),
    )
    yield (
        "wrong type",
        "a dimension is a fraction",
        _tensors({**two, "b": _entry(32, 64, shape=[8.0])}, data),
    )
    yield (
        "wrong type",
        "a dimension of 2**70",
        _tensors({**two, "b": _entry(32, 64, shape=[2**70])}, data),
    )
    yield (
        "wrong type",
        "dimensions whose product is too large",
        _tensors({**two, "b": _entry(32, 64, shape=[2**40, 2**40])}, data),
    )


def _wrong_entries() -> Iterator[tuple[str, str, bytes]]:
    """Yield entries and headers of another type."""
    data = array(1, 16).tobytes()
    two = {"a": _entry(0, 32), "b": _entry(32, 64)}
    yield (
        "wrong type",
        "a shape is a text",
        _tensors({**two, "b": {**_entry(32, 64), "shape": "8"}}, data),
    )
    yield (
        "wrong type",
        "three offsets",
        _tensors({**two, "b": {**_entry(32, 64), "data_offsets": [32, 64, 64]}}, data),
    )
    yield (
        "wrong type",
        "offsets the wrong way round",
        _tensors({**two, "b": {**_entry(32, 64), "data_offsets": [64, 32]}}, data),
    )
    yield "wrong type", "the header is a list", _tensors([two], data)
    yield "wrong type", "the header is no JSON", _tensors(None, data, text=b"{'a': 1}")
    yield (
        "wrong type",
        "the header is no UTF-8",
        _tensors(None, data, text=b'{"\xff": {"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'),
    )
    yield "wrong type", "a tensor is a number", _tensors({**two, "b": 7}, data)


def _repeated_names() -> Iterator[tuple[str, str, bytes]]:
    """Yield names that come twice, and what JSON does not allow."""
    data = array(1, 16).tobytes()
    two = {"a": _entry(0, 32), "b": _entry(32, 64)}
    yield (
        "wrong type",
        "one name twice",
        _tensors(
            None,
            data,
            text=b'{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"a":{"dtype":"F32","shape":[8],"data_offsets":[32,64]}}',
        ),
    )
    yield (
        "wrong type",
        "one name twice, same place",
        _tensors(
            None,
            data[:32],
            text=b'{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}',
        ),
    )
    yield (
        "wrong type",
        "metadata twice",
        _tensors(
            None,
            data,
            text=b'{"__metadata__":{"a":"b"},"__metadata__":{"a":"c"},"w":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}',
        ),
    )
    yield (
        "wrong type",
        "one metadata key twice",
        _tensors(
            None,
            data,
            text=b'{"__metadata__":{"a":"b","a":"c"},"w":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}',
        ),
    )
    yield (
        "wrong type",
        "NaN in the header",
        _tensors(
            None, data, text=b'{"w":{"dtype":"F32","shape":[16],"data_offsets":[0,64],"x":NaN}}'
        ),
    )
    yield (
        "wrong type",
        "a field of its own",
        _tensors({**two, "b": {**_entry(32, 64), "note": "x"}}, data),
    )
    yield "wrong type", "a header of a length beyond the file", struct.pack("<Q", 10_000) + b"{}"
    yield "wrong type", "a header of a length beyond all limits", struct.pack("<Q", 1 << 40) + b"{}"


def _other_safetensors() -> Iterator[tuple[str, str, bytes]]:
    """Yield headers that other writers make."""
    data = array(1, 16).tobytes()
    two = {"a": _entry(0, 32), "b": _entry(32, 64)}
    yield "other writer", "a header of spaces at its end", _tensors(two, data, pad=21)
    yield (
        "other writer",
        "a header of spaces at its start",
        _tensors(None, data, text=b"  " + json.dumps(two).encode()),
    )
    yield (
        "other writer",
        "a header of lines",
        _tensors(None, data, text=json.dumps(two, indent=1).encode()),
    )
    yield "other writer", "an unaligned header", _tensors(two, data, pad=1)
    yield (
        "other writer",
        "names in another order than the data",
        _tensors({"b": two["b"], "a": two["a"]}, data),
    )
    yield "other writer", "an empty tensor", _tensors({**two, "c": _entry(64, 64, shape=[0])}, data)
    yield (
        "other writer",
        "an empty tensor between",
        _tensors({"a": two["a"], "c": _entry(32, 32, shape=[0, 4]), "b": two["b"]}, data),
    )
    yield "other writer", "a scalar", _tensors({"a": {**_entry(0, 4), "shape": []}}, data[:4])
    yield (
        "other writer",
        "names of all alphabets",
        _tensors({"a\u00e4\U0001f600": two["a"], "": two["b"]}, data),
    )
    yield (
        "other writer",
        "escaped surrogates in a name",
        _tensors(
            None, data, text=b'{"\\ud800":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'
        ),
    )
    for dtype, width in (
        ("F8_E4M3", 1),
        ("F8_E5M2", 1),
        ("F8_E8M0", 1),
        ("F8_E4M3FNUZ", 1),
        ("BF16", 2),
        ("U16", 2),
        ("U64", 8),
        ("C64", 8),
        ("F4", 0.5),
        ("F6_E2M3", 0.75),
        ("BOOL", 1),
    ):
        yield (
            "other writer",
            f"dtype {dtype}",
            _tensors({"a": _entry(0, 48, dtype, [int(48 / width)])}, bytes(48)),
        )


def fill_safetensors(zoo: Zoo) -> None:
    """Add safetensors files."""
    kind, name, judge = "safetensors", "model.safetensors", "safetensors"
    state = {key: value.clone() for key, value in weights().items()}
    content = save(state, metadata={"format": "pt"})
    zoo.damage_file(kind, name, judge, content, state["first.weight"].numpy().tobytes())
    near = {key: value.clone() for key, value in changed(weights()).items()}
    swapped = {**state, "norm.weight": state["norm.bias"], "norm.bias": state["norm.weight"]}
    cast = {**state, "first.weight": state["first.weight"].view(torch.int32)}
    for note, variant, metadata in (
        ("a number differs", near, {"format": "pt"}),
        ("two tensors change places", swapped, {"format": "pt"}),
        ("same bytes as integers", cast, {"format": "pt"}),
        ("other metadata", state, {"format": "pt", "epoch": "3", "step": "100"}),
        ("no metadata", state, None),
    ):
        zoo.write(save(variant, metadata=metadata), kind, "whole", name, judge, note=note)
    for damage, note, content in _odd_safetensors():
        is_model = note != "a header of no tensors"
        zoo.write(content, kind, damage, name, judge, note=note, is_model=is_model)
    zoo.write(
        saved(weights()), kind, "wrong type", name, judge, note="a torch archive under this name"
    )


def fill_gguf(zoo: Zoo) -> None:
    """Add GGUF files."""
    kind, name, judge = "gguf", "model.gguf", "gguf"
    content = _gguf(1)
    data = array(1, 8, 32).tobytes()
    zoo.damage_file(kind, name, judge, content, data)
    zoo.write(_gguf(2), kind, "whole", name, judge, note="another seed")
    zoo.write(
        content[: content.index(data)],
        kind,
        "part missing",
        name,
        judge,
        note="without its numbers",
    )
    for version in (1, 2, 4, 99):
        changed = content[:4] + struct.pack("<I", version) + content[8:]
        zoo.write(changed, kind, "other writer", name, judge, note=f"says version {version}")
    zoo.write(
        content + bytes(64), kind, "other writer", name, judge, note="64 bytes behind the end"
    )
    zoo.write(
        _gguf(1, endian=gguf.GGUFEndian.BIG),
        kind,
        "other writer",
        name,
        judge,
        note="big end first",
    )
    zoo.write(b"GGML" + content[4:], kind, "wrong type", name, judge, note="another magic number")


def _gguf(seed: int, endian: Any = gguf.GGUFEndian.LITTLE) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.gguf")
        writer = gguf.GGUFWriter(path, "llama", endianess=endian)
        writer.add_block_count(1)
        writer.add_context_length(64)
        writer.add_token_list(["<s>", "a", "b"])
        writer.add_tensor("token_embd.weight", array(seed, 8, 32))
        writer.add_tensor("output.weight", array(seed + 10, 8, 32).astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()
