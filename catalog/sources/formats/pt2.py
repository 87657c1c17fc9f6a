"""Programs of `torch.export`: archives of weights beside a graph, under `.pt2` or `.pt`.

Format: `torch/csrc/export/pt2_archive_constants.h`; up to torch 2.7 `torch.export.save` wrote
`serialized_exported_program.json` and its parts at the top of a zip (`torch/export/__init__.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint import torch_zip
from catalog.sources.checkpoint.density import is_modest
from catalog.sources.checkpoint.tensors import MAX_DIMENSIONS, element_count, size_of
from catalog.sources.documents import parse_json
from catalog.sources.facts import Checkpoint, Facts, Problem, Tensor
from catalog.sources.formats.format import Format
from catalog.sources.plain import DocumentError, clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory
    from catalog.sources.facts import Plain

_OLD: Final = (
    "serialized_exported_program.json",
    "version",
    "serialized_state_dict.pt",
    "serialized_constants.pt",
    "serialized_example_inputs.pt",
)
"""Entries without which the older form is not loaded."""
_WEIGHTS: Final = re.compile(r"data/(?:weights|constants)/(.+)_(weights|constants)_config\.json")
_VERSION: Final = re.compile(rb'"torch_version": ?"([^"\\]{1,64})"')
_SCHEMA: Final = re.compile(rb'"schema_version": ?\{"major": ?(\d{1,6}), ?"minor": ?(\d{1,6})\}')
_TAIL: Final = 65_536
"""Bytes at the end of a graph, where its versions are."""
_MAX_CONFIG: Final = 8 * 1024 * 1024
_MAX_MODELS: Final = 20
_DTYPES: Final = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32",
    8: "float64", 9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16",
    28: "uint16", 29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
"""`ScalarType` of `torch/_export/serde/schema.py`."""


class _Weights(NamedTuple):
    """What the archive says of its weights."""

    tensors: tuple[Tensor, ...] = ()
    missing: str | None = None
    """A sentence, where an entry that is named is not there."""
    doubt: str | None = None


def _contains(names: Collection[str], top: str) -> bool:
    return top + "archive_format" in names or _OLD[0] in names


def _read(source: ByteSource, directory: ZipDirectory, _own_path: str) -> Facts:
    """Describe an exported program; its graph is not read."""
    from catalog.sources.checkpoint.archives import small_entry

    top = directory.top
    statements: dict[str, Plain] = {}
    weights = _Weights(doubt="Its weights are not read.")
    if _OLD[0] in directory.entries:
        lost = [name for name in _OLD if name not in directory.entries]
        missing = f"its entry {lost[0]} is missing" if lost else None
        statements["schema_version"] = _text(small_entry(source, directory, "version"))
        weights = weights._replace(missing=missing)
        graph = _OLD[0]
    else:
        statements["archive_version"] = _text(small_entry(source, directory, "archive_version"))
        if top:
            version = small_entry(source, directory, f"{top}archive_version")
            statements["archive_version"] = _text(version)
        weights = _weights(source, directory)
        models = [name for name in directory.entries if name.startswith(f"{top}models/")]
        graph = next((name for name in models if name.endswith(".json")), "")
    statements |= _versions(source, directory, graph)
    count = element_count(tensor.shape for tensor in weights.tensors) if weights.tensors else None
    sizes = [size_of(tensor) for tensor in weights.tensors]
    checkpoint = Checkpoint(
        "torch-export",
        "truncated" if weights.missing else "recognised",
        weights.missing or "a program of torch.export; its graph is not read",
        framework="torch",
        framework_version=str(statements.get("torch_version") or "") or None,
        tensors=weights.tensors,
        parameter_count=count,
        tensor_bytes=sum(size or 0 for size in sizes) if sizes and None not in sizes else None,
        weights_doubt=weights.doubt,
        statements={key: value for key, value in statements.items() if value},
        bytes_read=source.bytes_read,
    )
    problems: tuple[Problem, ...] = ()
    if weights.missing:
        problems = (
            Problem("truncated-checkpoint", f"The archive is not whole: {weights.missing}."),
        )
    return Facts(checkpoint, problems=problems)


def _text(data: bytes) -> str:
    return clean(data[:64].decode("utf-8", "replace").strip())


def _versions(source: ByteSource, directory: ZipDirectory, graph: str) -> dict[str, Plain]:
    """Return the versions that a graph states at its end."""
    entry = directory.entries.get(graph)
    if entry is None:
        return {}
    length = min(entry.size, _TAIL)
    tail = torch_zip.read_part(source, entry, entry.size - length, length)
    if not tail and entry.method == 8:
        tail = torch_zip.read_entry(source, entry, _MAX_CONFIG)[-_TAIL:]
    found: dict[str, Plain] = {}
    version = _VERSION.findall(tail)
    schema = _SCHEMA.findall(tail)
    if version:
        found["torch_version"] = _text(version[-1])
    if schema:
        found["schema_version"] = ".".join(part.decode() for part in schema[-1])
    return found


def _weights(source: ByteSource, directory: ZipDirectory) -> _Weights:
    """Return the weights that the archive's own lists name."""
    top = directory.top
    tensors: list[Tensor] = []
    doubt = "Its weights are told by name, type and shape; their bytes are not read."
    lists = [name for name in directory.entries if _WEIGHTS.fullmatch(name[len(top) :])]
    for name in lists[:_MAX_MODELS]:
        entry = directory.entries[name]
        data = torch_zip.read_entry(source, entry, _MAX_CONFIG)
        folder = name[: name.rfind("/") + 1]
        if len(data) < entry.size or not is_modest(data):
            return _Weights(doubt="The list of its weights is too long to be read.")
        try:
            document = parse_json(data)
        except DocumentError:
            return _Weights(missing=f"its entry {clean(name)[:80]} is damaged")
        weights = document.get("config") if isinstance(document, dict) else None
        for key, value in weights.items() if isinstance(weights, dict) else ():
            path = value.get("path_name") if isinstance(value, dict) else None
            if not isinstance(path, str) or folder + path not in directory.entries:
                return _Weights(missing=f"the weights of {clean(key)[:80]} are missing")
            tensor = _tensor(key, value) if isinstance(value, dict) else None
            if tensor is None:
                doubt = f"What it says of {clean(key)[:80]} is not understood."
            elif folder.endswith("/weights/"):
                tensors.append(tensor)
    understood = not doubt.startswith("What it says")
    return _Weights(tuple(tensors) if understood else (), doubt=doubt)


def _tensor(name: str, value: dict[str, Any]) -> Tensor | None:
    meta = value.get("tensor_meta")
    sizes = meta.get("sizes") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(sizes, list) or len(sizes) > MAX_DIMENSIONS:
        return None
    shape = [size.get("as_int") if isinstance(size, dict) else None for size in sizes]
    dtype = meta.get("dtype")
    known = _DTYPES.get(dtype) if isinstance(dtype, int) else None
    if known is None or not all(type(size) is int and 0 <= size < 1 << 62 for size in shape):
        return None
    return Tensor(clean(name), known, tuple(int(size) for size in shape if size is not None))


FORMAT: Final = Format(
    "torch-export",
    suffixes=(".pt2",),
    contains=_contains,
    read_archive=_read,
    is_strict=True,
    precedence=30,
)
