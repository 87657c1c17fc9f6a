"""The model's tensors in what a checkpoint holds: which they are, how many, and whose equal."""

from __future__ import annotations

import hashlib
import re
import struct
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Call, TensorStub
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.facts import Tensor
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_TENSORS: Final = 100_000
MAX_MODULES: Final = 100_000
_MAX_DEPTH: Final = 64
_MAX_NAME: Final = 1_000
MAX_DIMENSIONS: Final = 64
_LARGEST: Final = (1 << 63) - 1

_MODEL_KEYS: Final = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
    "generator",
    "student",
    "ema",
    "model_ema",
    "params_ema",
    "state_dict_ema",
)
"""Where frameworks put the model, the first that holds tensors wins."""

_NO_MODEL: Final = re.compile("optim|sched|scaler|rng|random|amp|loss|callback|loop", re.IGNORECASE)

ITEM_SIZES: Final = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
    "int8": 1, "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16, "qint8": 1, "quint8": 1,
    "qint32": 4, "float8_e4m3fn": 1, "float8_e5m2": 1, "uint16": 2, "uint32": 4, "uint64": 8,
}  # fmt: skip


class NamedStub:
    """A tensor of the model by its name."""

    __slots__ = ("name", "shape", "stub")

    def __init__(self, name: str, stub: TensorStub, shape: tuple[int, ...]) -> None:
        self.name = name
        self.stub = stub
        self.shape = shape


def shape_of(stub: TensorStub) -> tuple[int, ...] | None:
    """Return a tensor's shape, None where the file states one that no tensor can have."""
    shape = stub.shape
    if type(shape) is Call and shape.class_name == "torch.Size" and type(shape.args) is tuple:
        shape = shape.args[0] if shape.args else None
    if type(shape) not in (tuple, list) or len(shape) > MAX_DIMENSIONS:
        return None
    for size in shape:
        if type(size) is not int or not 0 <= size < 1 << 62:
            return None
    return tuple(shape)


def model_tensors(root: object) -> list[NamedStub]:
    """Return the tensors of the model in a checkpoint's root, in the order of the file.

    A state dict under one of the usual keys, a whole pickled module, a mapping that is a state
    dict itself, or several state dicts under names of their own (then these prefix the tensors').
    """
    if type(root) is Call:
        return list(_module(root)) or list(_flat(root.pairs or {}))
    if type(root) is not dict:
        return []
    for key in _MODEL_KEYS:
        found = _model(root.get(key))
        if found:
            return found
    found = list(_flat(root))
    if found:
        return found
    for key, value in root.items():
        if type(key) is str and len(key) < _MAX_NAME and not _NO_MODEL.search(key):
            found += [
                NamedStub(f"{key}.{inner.name}", inner.stub, inner.shape)
                for inner in _model(value)
                if len(inner.name) < _MAX_NAME
            ]
            if len(found) > MAX_TENSORS:
                break
    return found[:MAX_TENSORS]


def _model(value: object) -> list[NamedStub]:
    if type(value) is Call:
        return list(_module(value)) or list(_flat(value.pairs or {}))
    if type(value) is not dict:
        return []
    found = list(_flat(value))
    if found:
        return found
    for key in ("state_dict", "model", "module", "params"):
        inner = value.get(key)
        if type(inner) is dict:
            found = list(_flat(inner))
            if found:
                return found
    return []


def _flat(mapping: Mapping[Any, Any]) -> Iterator[NamedStub]:
    """Yield the tensors of a state dict."""
    left = MAX_TENSORS
    for key, value in mapping.items():
        if type(value) is TensorStub and type(key) is str:
            shape = shape_of(value)
            if shape is not None:
                left -= 1
                if left < 0:
                    return
                yield NamedStub(key, value, shape)


def _module(root: Call) -> Iterator[NamedStub]:
    """Yield the tensors of a pickled `torch.nn.Module`, named as its state dict would."""
    pending: list[tuple[str, int, object]] = [("", 0, root)]
    left = MAX_MODULES
    while pending and left > 0:
        left -= 1
        prefix, depth, module = pending.pop()
        inner = attributes(module)
        for place in ("_parameters", "_buffers"):
            tensors = inner.get(place)
            if type(tensors) is dict:
                for found in _flat(tensors):
                    left -= 1
                    if left < 0 or len(found.name) > _MAX_NAME:
                        return
                    yield NamedStub(prefix + found.name, found.stub, found.shape)
        children = inner.get("_modules")
        if type(children) is dict and depth < _MAX_DEPTH and len(pending) < MAX_MODULES:
            below = [
                (f"{prefix}{key}.", depth + 1, child)
                for key, child in children.items()
                if type(key) is str and len(prefix) + len(key) < _MAX_NAME
            ]
            left -= len(below)
            pending.extend(reversed(below))


def described(stubs: Iterable[NamedStub]) -> tuple[Tensor, ...]:
    """Return the tensors as facts."""
    first: dict[tuple[str, Any, tuple[int, ...]], int] = {}
    tensors = []
    make = tuple.__new__  # three times as fast as what NamedTuple generates
    for place, item in enumerate(stubs):
        stub = item.stub
        shares = None
        if stub.storage is not None and type(stub.offset) is int:
            shares = first.setdefault((stub.storage.key, stub.offset, item.shape), place)
        if shares == place:
            shares = None
        tensors.append(
            make(Tensor, (clean(item.name), stub.dtype or "unknown", item.shape, shares))
        )
    return tuple(tensors)


def size_of(tensor: Tensor) -> int | None:
    """Return the bytes of a tensor's numbers, None where the size of its type is not known."""
    item = ITEM_SIZES.get(tensor.dtype)
    size = None if item is None else item * prod(tensor.shape)
    return size if size is None or size <= _LARGEST else None


def bytes_by_dtype(tensors: Iterable[Tensor]) -> dict[str, int | None]:
    """Return the bytes of tensors' numbers by type, tied ones once, None where not known."""
    total: dict[str, int | None] = {}
    for tensor in tensors:
        before = total.setdefault(tensor.dtype, 0)
        if tensor.shares is None:
            size = size_of(tensor)
            total[tensor.dtype] = None if size is None or before is None else before + size
    return total


def element_count(shapes: Iterable[tuple[int, ...]]) -> int | None:
    """Return how many numbers tensors of these shapes hold, None where no machine holds them."""
    total = 0
    for shape in shapes:
        total += prod(shape)
        if total > _LARGEST:
            return None
    return total


def byte_count(stubs: Iterable[NamedStub]) -> int | None:
    """Return the bytes of the storages behind the tensors, each storage once."""
    seen: dict[str, int] = {}
    for item in stubs:
        storage = item.stub.storage
        if storage is None:
            return None
        size = storage_bytes(storage.dtype, storage.length)
        if size is None:
            return None
        seen[storage.key] = size
    total = sum(seen.values())
    return total if total <= _LARGEST else None


def storage_bytes(dtype: str | None, length: int) -> int | None:
    """Return the bytes of a storage; the length of an untyped one counts bytes already."""
    size = 1 if dtype is None else ITEM_SIZES.get(dtype)
    return None if size is None else size * length


@cache
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"<{count}q").pack


def fingerprint(
    stubs: list[NamedStub], sum_of: Callable[[str], tuple[int, int] | None]
) -> str | None:
    """Return a digest that is equal for equal weights, made of CRC-32s alone.

    Args:
        stubs: the model's tensors.
        sum_of: (CRC-32, size) of a storage by its key, as the archive's directory states them.

    Returns:
        A SHA-256 in hex over names, types, shapes, and the sums of the storages; None where a
        sum is missing or the writer left the sums out (then all are zero).
    """
    parts = []
    summed = False
    for item in stubs:
        stub = item.stub
        known = sum_of(stub.storage.key) if stub.storage is not None else None
        if known is None:
            return None
        summed = summed or known[0] != 0
        stride = stub.stride if type(stub.stride) is tuple else ()
        if len(stride) > MAX_DIMENSIONS:
            return None
        numbers = (len(item.shape), *item.shape, *stride, stub.offset, *known)
        try:
            parts.append(_packer(len(numbers))(*numbers))
        except struct.error:
            return None
        parts.append(f"{stub.dtype}\0{item.name}\0".encode("utf-8", "backslashreplace"))
    return hashlib.sha256(b"".join(parts)).hexdigest() if summed else None
