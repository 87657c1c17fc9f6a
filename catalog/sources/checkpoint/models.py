"""The model in a checkpoint: where its tensors lie, and what follows from them.

Checkpoints of one training hold the same tensors but for their numbers. Where two state dicts
are made of the very same stand-ins (`tensor_runs`), they are one `Model`, and its names, sizes and
text are made once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint.canonical_text import CanonicalText
from catalog.sources.checkpoint.inert import Call, TensorStub
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.tensors import (
    MAX_TENSORS,
    NamedStub,
    byte_count,
    described,
    element_count,
    shape_of,
)
from catalog.sources.checkpoint.training_state import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from catalog.sources.facts import Tensor

MAX_MODULES: Final = 100_000
_MAX_DEPTH: Final = 64
_MAX_NAME: Final = 1_000
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


class Model:
    """The tensors of a model, in the order of the file.

    Args:
        stubs: the tensors.
        holders: what holds them, and whatever else belongs to the model, by the path of each.
        is_root: whether the checkpoint itself is the state dict: it may hold other things as well.
    """

    def __init__(
        self,
        stubs: Sequence[NamedStub],
        holders: Sequence[tuple[str, object]] = (),
        *,
        is_root: bool = False,
    ) -> None:
        self.stubs = stubs
        self.holders = holders
        self.is_root = is_root

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

    @cached_property
    def placeholder_count(self) -> int:
        """How many of them have no storage: their numbers are in no file."""
        return sum(stub.stub.storage is None for stub in self.stubs)

    @cached_property
    def empty_count(self) -> int:
        """How many of them are of the shape [0], as ZeRO-3 leaves parameters that are elsewhere."""
        return sum(stub.shape == (0,) for stub in self.stubs)

    @cached_property
    def text(self) -> CanonicalText:
        """All that belongs to the model as a text.

        Raises:
            NotCanonicalError: no text can be made of it.
        """
        text = CanonicalText()
        if self.is_root:
            for stub in self.stubs:
                text.value(stub.stub, stub.name)
        else:
            for path, holder in self.holders:
                text.value(holder, path)
        return text

    @cached_property
    def is_understood(self) -> bool:
        """Whether all weights in it are its tensors.

        Raises:
            NotCanonicalError: no text can be made of it.
        """
        own = {stub.stub.storage.key for stub in self.stubs if stub.stub.storage is not None}
        return not self.text.numbers and own.issuperset(self.text.keys)


class Located(NamedTuple):
    """A model, and what holds it in one checkpoint."""

    model: Model
    """It may be shared with other checkpoints."""
    holders: tuple[object, ...] = ()
    """The very objects of this checkpoint."""


_NOWHERE: Final = Located(Model(()))


def model_of(root: object) -> Located:
    """Return the model in a checkpoint's root, one without tensors where there is none.

    A state dict under one of the usual keys, a whole pickled module, a mapping that is a state
    dict itself, or several state dicts under names of their own (then these prefix the tensors').
    """
    if type(root) is Call:
        return _of_object("", root)
    if type(root) is not dict:
        return _NOWHERE
    for key in _MODEL_KEYS:
        found = _model(key, root.get(key))
        if found.model.stubs:
            return found
    model = _flat("", root)
    if model.stubs:
        return Located(model, (root,))
    stubs: list[NamedStub] = []
    parts: list[tuple[str, object]] = []
    holders: list[object] = []
    for key, value in root.items():
        if type(key) is str and len(key) < _MAX_NAME and not NAME.search(key):
            found = _model(key, value)
            stubs += [
                NamedStub(f"{key}.{one.name}", one.stub, one.shape)
                for one in found.model.stubs
                if len(one.name) < _MAX_NAME
            ]
            if found.model.stubs:
                parts += found.model.holders
                holders += found.holders
            if len(stubs) > MAX_TENSORS:
                break
    return Located(Model(stubs[:MAX_TENSORS], parts), tuple(holders))


def _model(path: str, value: object) -> Located:
    if type(value) is Call:
        return _of_object(path, value)
    if type(value) is not dict:
        return _NOWHERE
    model = _flat(path, value)
    if model.stubs:
        return Located(model, (value,))
    for key in ("state_dict", "model", "module", "params"):
        inner = value.get(key)
        if type(inner) is dict:
            model = _flat(f"{path}.{key}", inner)
            if model.stubs:
                return Located(model, (inner,))
    return _NOWHERE


def _of_object(path: str, value: Call) -> Located:
    stubs = list(_module(value)) or list(_tensors(value.pairs or {}))
    return Located(Model(stubs, ((path, value),)), (value,)) if stubs else _NOWHERE


_SIMPLE: Final = frozenset({TensorStub, type(None)})
"""What is hashed in no time, and equals nothing that is written otherwise: `1 == True == 1.0`."""
_LONGEST: Final = 255
"""Characters of a name in a model that is kept."""
_kept: dict[tuple[Any, ...], Model] = {}
"""By the names and stand-ins of a state dict: it holds them, so none comes to mean another."""


_last: dict[int, tuple[Mapping[Any, Any], Model]] = {}
"""The same by the identity of the state dict, which is held with it: `templates` gives the very
same one for checkpoints of one training."""
_MOST_LAST: Final = 16


def _flat(path: str, mapping: Mapping[Any, Any]) -> Model:
    """Return the tensors of a state dict; the path of the checkpoint's root is empty."""
    last = _last.get(id(mapping))
    if last is not None:
        return last[1]
    made = _of_content(path, mapping)
    if made.stubs and len(mapping) <= _MOST_KEPT // _MOST_LAST:
        if len(_last) >= _MOST_LAST:
            _last.clear()
        _last[id(mapping)] = (mapping, made)
    return made


def _of_content(path: str, mapping: Mapping[Any, Any]) -> Model:
    holders, is_root = ((path, mapping),), path == ""
    if not _SIMPLE.issuperset(map(type, mapping.values())) or set(map(type, mapping)) != {str}:
        return Model(list(_tensors(mapping)), holders, is_root=is_root)
    key = (path, *mapping, *mapping.values())
    known = _kept.get(key)
    if known is not None:
        return known
    made = Model(list(_tensors(mapping)), holders, is_root=is_root)
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
