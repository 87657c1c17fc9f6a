"""The model in a checkpoint: where its tensors lie, and what follows from them.

Checkpoints of one training hold the same tensors but for their numbers. Where two state dicts
are made of the very same stand-ins (`tensor_runs`), they are one `Model`, and its names, sizes and
text are made once.
"""

from __future__ import annotations

import hashlib
import re
import struct
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Call, TensorStub
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.tensors import (
    MAX_DIMENSIONS,
    MAX_TENSORS,
    NamedStub,
    byte_count,
    described,
    element_count,
    shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from catalog.sources.checkpoint.torch_zip import Sums
    from catalog.sources.facts import Tensor

MAX_MODULES: Final = 100_000
_MAX_DEPTH: Final = 64
_MAX_NAME: Final = 1_000
_DIGITS: Final = 32
"""Of a fingerprint: 128 bits tell any number of checkpoints apart."""
_MOST_KEPT: Final = 20_000
"""Tensors of all models that are kept for the next checkpoint: some 10 MB."""

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


class Model:
    """The tensors of a model, in the order of the file.

    Args:
        stubs: the tensors.
    """

    def __init__(self, stubs: Sequence[NamedStub]) -> None:
        self.stubs = stubs

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors as facts: the same object for each checkpoint of this model."""
        return described(self.stubs)

    @cached_property
    def parameter_count(self) -> int | None:
        """How many numbers they hold, None where there are none or no machine holds them."""
        return element_count(stub.shape for stub in self.stubs) if self.stubs else None

    @cached_property
    def tensor_bytes(self) -> int | None:
        """Bytes of the storages behind them, each once."""
        return byte_count(self.stubs) if self.stubs else None

    def fingerprint(self, sums_of: Callable[[list[str]], Sums | None]) -> str | None:
        """Return a digest that is equal for equal weights, made of CRC-32s alone.

        Args:
            sums_of: CRC-32s and sizes of storages by their keys, as the archive's directory states
                them; None where one is missing.

        Returns:
            Half of a SHA-256 in hex over names, types, shapes, and the sums of the storages; None
            where a sum is missing or the writer left the sums out (then all are zero).
        """
        if self._summed is None:
            return None
        keys, pack, parts = self._summed
        sums = sums_of(keys)
        if sums is None or not any(sums[0]):
            return None
        filled = parts.copy()
        filled[1::3], filled[2::3] = sums
        return hashlib.sha256(pack(*filled)).hexdigest()[:_DIGITS]

    @cached_property
    def _summed(self) -> tuple[list[str], Callable[..., bytes], list[Any]] | None:
        """Keys of the storages, and what is summed: in `parts`, their sums are still to be set."""
        keys: list[str] = []
        parts: list[Any] = []
        text = b""
        for item in self.stubs:
            stub = item.stub
            stride = stub.stride if type(stub.stride) is tuple else ()
            if stub.storage is None or len(stride) > MAX_DIMENSIONS:
                return None
            keys.append(stub.storage.key)
            numbers = (len(item.shape), *item.shape, *stride, stub.offset)
            try:
                parts += (text + struct.pack(f"<{len(numbers)}q", *numbers), 0, 0)
            except struct.error:
                return None
            text = f"{stub.dtype}\0{item.name}\0".encode("utf-8", "backslashreplace")
        if not keys:
            return None
        layout = "".join(f"{len(part)}sqq" for part in parts[::3])
        return keys, struct.Struct(f"<{layout}{len(text)}s").pack, [*parts, text]


_NONE: Final = Model(())


def model_of(root: object) -> Model:
    """Return the model in a checkpoint's root, one without tensors where there is none.

    A state dict under one of the usual keys, a whole pickled module, a mapping that is a state
    dict itself, or several state dicts under names of their own (then these prefix the tensors').
    """
    if type(root) is Call:
        return _of_object(root)
    if type(root) is not dict:
        return _NONE
    for key in _MODEL_KEYS:
        found = _model(root.get(key))
        if found.stubs:
            return found
    found = _flat(root)
    if found.stubs:
        return found
    stubs: list[NamedStub] = []
    for key, value in root.items():
        if type(key) is str and len(key) < _MAX_NAME and not _NO_MODEL.search(key):
            stubs += [
                NamedStub(f"{key}.{inner.name}", inner.stub, inner.shape)
                for inner in _model(value).stubs
                if len(inner.name) < _MAX_NAME
            ]
            if len(stubs) > MAX_TENSORS:
                break
    return Model(stubs[:MAX_TENSORS])


def _model(value: object) -> Model:
    if type(value) is Call:
        return _of_object(value)
    if type(value) is not dict:
        return _NONE
    found = _flat(value)
    if found.stubs:
        return found
    for key in ("state_dict", "model", "module", "params"):
        inner = value.get(key)
        if type(inner) is dict:
            found = _flat(inner)
            if found.stubs:
                return found
    return _NONE


def _of_object(value: Call) -> Model:
    stubs = list(_module(value))
    return Model(stubs) if stubs else _flat(value.pairs or {})


_SIMPLE: Final = frozenset({TensorStub, int, float, bool, type(None)})
"""What is hashed in no time; a tuple that holds itself many times over is not."""
_LONGEST: Final = 255
"""Characters of a name in a model that is kept."""
_kept: dict[tuple[Any, ...], Model] = {}
"""By the names and stand-ins of a state dict: it holds them, so none comes to mean another."""


_last: dict[int, tuple[Mapping[Any, Any], Model]] = {}
"""The same by the identity of the state dict, which is held with it: `templates` gives the very
same one for checkpoints of one training."""
_MOST_LAST: Final = 16


def _flat(mapping: Mapping[Any, Any]) -> Model:
    """Return the tensors of a state dict."""
    last = _last.get(id(mapping))
    if last is not None:
        return last[1]
    made = _of_content(mapping)
    if made.stubs and len(mapping) <= _MOST_KEPT // _MOST_LAST:
        if len(_last) >= _MOST_LAST:
            _last.clear()
        _last[id(mapping)] = (mapping, made)
    return made


def _of_content(mapping: Mapping[Any, Any]) -> Model:
    if not _SIMPLE.issuperset(map(type, mapping.values())) or set(map(type, mapping)) != {str}:
        return Model(list(_tensors(mapping)))
    key = (*mapping, *mapping.values())
    known = _kept.get(key)
    if known is not None:
        return known
    made = Model(list(_tensors(mapping)))
    if made.stubs and len(key) <= _MOST_KEPT and max(map(len, mapping)) <= _LONGEST:
        if sum(map(len, _kept)) + len(key) > 2 * _MOST_KEPT:
            _kept.clear()
        _kept[key] = made
    return made


def _tensors(mapping: Mapping[Any, Any]) -> Iterator[NamedStub]:
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
                for found in _tensors(tensors):
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
