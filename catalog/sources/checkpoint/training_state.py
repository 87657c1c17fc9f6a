"""What in a checkpoint is provably training state, and so no part of the model's weights.

A name alone proves nothing: each kind is known by the form that torch, numpy, Python or Lightning
give it. What has the name and not the form counts as weights.

Sources: `torch/optim/optimizer.py` (`state_dict`), `torch/amp/grad_scaler.py` (`state_dict`),
`torch/random.py`, `numpy/random` (`get_state`), `random.getstate`, Lightning's
`callbacks/model_checkpoint.py`, `callbacks/early_stopping.py` and `loops/` (`state_dict`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Call, Global, Key, Storage, TensorStub
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.tensors import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

CALLBACKS: Final = "callbacks"
_LISTED_CALLBACKS: Final = frozenset({"ModelCheckpoint", "EarlyStopping"})
"""Callbacks whose state is scores, paths and counters. Others keep weights: EMA, SWA."""
_RANDOM: Final = re.compile(r"rng|random", re.IGNORECASE)
_SCALER: Final = re.compile(r"scaler|scaling|amp", re.IGNORECASE)
_LOOP: Final = re.compile(
    r"loops|(?:checkpoint_callback|early_stop_callback)_\w+|(?:lr_?)?scheduler\w*|lr_schedulers?",
    re.IGNORECASE,
)
NAME: Final = re.compile(
    r"optim|sched|scaler|random|callback|(?:^|[_.])(?:rng|amp|loss(?:es)?|loops?)(?:$|[_.\d])",
    re.IGNORECASE,
)
"""What keys of training state are called. No model is looked for there; but the name alone leaves
nothing out of a fingerprint."""
_LARGEST_STATE: Final = 8_192
"""Bytes of one generator's state: torch's has 5,056, NumPy's 2,496."""
_MOST_LOOKED_AT: Final = 100_000


def is_training_state(key: object, value: object) -> bool:
    """Say whether a value at the top of a checkpoint is training state and nothing else.

    Args:
        key: its key.
        value: it, in stand-ins.
    """
    if type(key) is not str:
        return is_optimizer(value)
    kind = _kind(key)
    if is_optimizer(value, is_named=kind == "optimizer"):
        return True
    if kind == "random":
        return _is_random_state(value)
    if kind == "scaler":
        return type(value) is dict and has_single_numbers_only((value,))
    return kind == "loop" and has_single_numbers_only((value,))


@lru_cache(maxsize=1_024)
def _kind(key: str) -> str:
    """Return what kind of training state a key names, empty for none."""
    if "optim" in key.lower():
        return "optimizer"
    if _RANDOM.search(key):
        return "random"
    if _SCALER.search(key):
        return "scaler"
    return "loop" if _LOOP.fullmatch(key) else ""


def is_listed_callback(key: object, value: object) -> bool:
    """Say whether a callback's state is scores and counters, and the callback known for it.

    Args:
        key: `ModelCheckpoint{'monitor': ...}`, or, before Lightning 1.6, the class.
        value: the state.
    """
    if type(key) is Global:
        name = key.name.rpartition(".")[2]
    elif type(key) is str:
        name = key.partition("{")[0]
    else:
        return False
    return name in _LISTED_CALLBACKS and has_single_numbers_only((value,))


def is_optimizer(value: object, *, is_named: bool = False) -> bool:
    """Say whether a value is the state of an optimizer, or of several.

    The state of each parameter is kept by what the groups call that parameter.

    Args:
        value: it, in stand-ins.
        is_named: whether its key tells of an optimizer: numbered parameters may then be in no
            group.
    """
    if type(value) in (list, tuple) and value:
        return all(_is_optimizer(part, is_named) for part in value)  # type: ignore[attr-defined]
    if type(value) is dict and value and "param_groups" not in value:
        return all(type(part) is dict and _is_optimizer(part, is_named) for part in value.values())
    return _is_optimizer(value, is_named)


def _is_optimizer(value: object, is_named: bool) -> bool:
    if type(value) is Call:
        name = value.class_name or ""
        return name.startswith("torch.optim.") and _is_optimizer(dict(attributes(value)), is_named)
    if type(value) is not dict:
        return False
    groups, state = value.get("param_groups"), value.get("state")
    if type(groups) is not list or type(state) is not dict:
        return False
    parameters: set[object] = set()
    others = [part for key, part in value.items() if key not in ("param_groups", "state")]
    for group in groups:
        members = group.get("params") if type(group) is dict else None
        if type(members) is not list or not _KEYS.issuperset(map(type, members)):
            return False
        parameters.update(members)
        others += [part for key, part in group.items() if key != "params"]
    return (
        (parameters.issuperset(state) or (is_named and set(map(type, state)) == {int}))
        and _ENTRIES.issuperset(map(type, state.values()))
        and has_single_numbers_only(others)
    )


_ENTRIES: Final = frozenset({dict, Call})
_KEYS: Final = frozenset({int, str, TensorStub})


def _is_random_state(value: object) -> bool:
    for part in _leaves((value,)):
        if type(part) is TensorStub:
            shape = shape_of(part)
            is_state = part.dtype == "uint8" and shape is not None and len(shape) == 1
            if not is_state or prod(shape or ()) > _LARGEST_STATE:
                return False
        elif (
            type(part) is Storage
            or (type(part) is bytes and len(part) > _LARGEST_STATE)
            or part is _TOO_MUCH
        ):
            return False
    return True


def has_single_numbers_only(values: Iterable[object]) -> bool:
    """Say whether no value holds more than plain data and tensors of one number."""
    for part in _leaves(values):
        if type(part) is TensorStub:
            shape = shape_of(part)
            if part.extra is not None or shape is None or prod(shape) > 1:
                return False
        elif type(part) is Storage or part is _TOO_MUCH or (type(part) is bytes and len(part) > 64):
            return False
    return True


_TOO_MUCH: Final = object()


def _leaves(values: Iterable[object]) -> Iterable[object]:
    """Yield all that is in some values and holds nothing else; `_TOO_MUCH` where it is a lot."""
    pending = list(values)
    met: set[int] = set()
    left = _MOST_LOOKED_AT
    while pending:
        part = pending.pop()
        kind = type(part)
        if kind in _HOLDERS:
            if id(part) in met:
                continue
            met.add(id(part))
            left -= 1
            pending += _parts(part)
            if left < 0 or len(pending) > _MOST_LOOKED_AT:
                yield _TOO_MUCH
                return
        else:
            yield part


_HOLDERS: Final = frozenset({dict, list, tuple, Call, Key})


def _parts(value: Any) -> list[object]:
    if type(value) is dict:
        return [*value, *value.values()]
    if type(value) is Call:
        return [value.function, value.args, value.state, value.pairs, value.items]
    return [value.value] if type(value) is Key else list(value)
