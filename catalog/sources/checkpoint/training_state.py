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
_RANDOM: Final = re.compile(
    r"(?:^|[_.])p?rngs?(?:$|[_.]|_?states?)|random_?(?:\w*_)?(?:states?|generators?)|^random$",
    re.IGNORECASE,
)
_SCALER: Final = re.compile(r"scaler|scaling|(?:^|_)amp(?:$|_)", re.IGNORECASE)
_SCALER_FORM: Final = frozenset(
    {
        "scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker",
        "loss_scale", "unskipped",
    }
)  # fmt: skip
"""Keys of torch's `GradScaler` and of Apex's `amp`; a normalizer has others."""
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
"""Bytes of one generator's state in a tensor: torch's has 5,056."""
_RANDOM_ARRAYS: Final = frozenset({*range(17), 624})
"""Numbers in an array of a generator: MT19937 of NumPy has 624, the others a few."""
_LARGEST_NUMBER: Final = 64
"""Bytes that a date or a number has at most."""
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
        return _is_scaler(value)
    return kind == "loop" and _is_loop(key, value)


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


def _is_scaler(value: object) -> bool:
    """Say whether it is the state of a gradient scaler, or of Apex with several."""
    if type(value) is not dict or not has_single_numbers_only((value,)):
        return False
    states = [value]
    if value and all(type(key) is str and key.startswith("loss_scaler") for key in value):
        states = list(value.values())
    return all(
        type(state) is dict
        and _SCALER_FORM.issuperset(state)
        and (not state or "growth_factor" in state or "loss_scale" in state)
        for state in states
    )


def _is_loop(key: str, value: object) -> bool:
    """Say whether it is a scheduler's state, loops' counters or an old callback's score."""
    if not has_single_numbers_only((value,)):
        return False
    if _OLD_CALLBACK.match(key):
        return True
    states = value if type(value) in (list, tuple) else (value,)
    return all(  # a tensor there is the best score of `ReduceLROnPlateau`
        (type(state) is dict and not _SCHEDULER_FORM.isdisjoint(state))
        or all(type(part) is not TensorStub for part in leaves((state,)))
        for state in states  # type: ignore[attr-defined]
    )


_OLD_CALLBACK: Final = re.compile(r"checkpoint_callback_|early_stop_callback_")
_SCHEDULER_FORM: Final = frozenset({"last_epoch", "_step_count", "num_bad_epochs"})


def _is_random_state(value: object) -> bool:
    floats = others = 0
    for part in leaves((value,)):
        if type(part) is TensorStub:
            shape = shape_of(part)
            is_state = part.dtype == "uint8" and shape is not None and len(shape) == 1
            if not is_state or prod(shape or ()) > _LARGEST_STATE:
                return False
        elif _is_large(part) or (type(part) is Call and _array_size(part) not in _RANDOM_ARRAYS):
            return False
        floats += type(part) is float
        others += type(part) is not float and part is not None
    # Python and NumPy keep one number that they drew too many beside each state.
    return floats <= 2 * others + 2


def has_single_numbers_only(values: Iterable[object]) -> bool:
    """Say whether no value holds more than plain data and tensors of one number."""
    for part in leaves(values):
        if type(part) is TensorStub:
            shape = shape_of(part)
            if part.extra is not None or shape is None or prod(shape) > 1:
                return False
        elif _is_large(part) or (type(part) is Call and _array_size(part) > 1):
            return False
    return True


def _is_large(leaf: object) -> bool:
    return type(leaf) is Storage or leaf is _TOO_MUCH or _blob_size(leaf) > _LARGEST_NUMBER


def _blob_size(part: object) -> int:
    """Return how many bytes a leaf is, 0 if it is none."""
    if type(part) is bytes:
        return len(part)
    if type(part) is Call and part.class_name == _ENCODED:
        text = part.args[0] if type(part.args) is tuple and part.args else ""
        return len(text) if type(text) is str else 0
    return 0


def _array_size(call: Call) -> int:
    """Return how many numbers a NumPy array holds, 1 for what is none, `_UNKNOWN` if not told."""
    if call.class_name == _ENCODED:
        return 1
    made = call.args if call.class_name in _BUFFERED else call.state
    place = 2 if call.class_name in _BUFFERED else 1
    shape = made[place] if type(made) is tuple and len(made) > place else None
    if type(shape) is not tuple or not {int}.issuperset(map(type, shape)):
        return _UNKNOWN
    return prod(shape)


_ENCODED: Final = "_codecs.encode"
"""How bytes are pickled before protocol 3, which is torch's default: as a text."""
_REBUILT: Final = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_BUFFERED: Final = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
_LEAVES: Final = frozenset({_ENCODED, *_REBUILT, *_BUFFERED})
"""Calls that make bytes or an array."""
_UNKNOWN: Final = 1 << 62


_TOO_MUCH: Final = object()


def leaves(values: Iterable[object]) -> Iterable[object]:
    """Yield all that is in some values and holds nothing else, arrays whole; then `_TOO_MUCH`."""
    pending = list(values)
    met: set[int] = set()
    left = _MOST_LOOKED_AT
    while pending:
        part = pending.pop()
        kind = type(part)
        if type(part) is Call and part.class_name in _LEAVES:
            yield part
        elif kind in _HOLDERS:
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
