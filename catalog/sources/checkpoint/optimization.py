"""What a checkpoint states of its optimizers and schedulers: names and learning rates.

A state dict does not say which class it belongs to, so a name is only known where the object was
pickled whole, or where the framework's own arguments name it. A learning rate stands in the
optimizer's `param_groups` as it was when the file was written (`torch/optim/optimizer.py`,
`state_dict`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Call
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from catalog.sources.facts import Plain

MAX_NAMES: Final = 100
MAX_RATES: Final = 1_000

_STATES: Final = (
    "optimizer_states", "optimizer", "optimizers", "optimizer_state_dict", "optim",
    "opt_state_dict", "last_optimizer_state",
)  # fmt: skip
_ARGUMENTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "timm": (("opt",), ("sched",)),
    "ultralytics": (("optimizer",), ()),
    "fairseq": (("optimizer",), ("lr_scheduler",)),
}
"""Arguments that name optimizer and scheduler, where the framework is known to have them."""
_UNDECIDED: Final = frozenset({"auto", "none", ""})


@dataclass(frozen=True, slots=True)
class Optimization:
    """How the model was being trained."""

    optimizers: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    learning_rates: tuple[float, ...] = ()
    """Of each parameter group, in the order of the file."""


def optimization_of(
    root: Mapping[Any, Any],
    framework: str | None,
    arguments: Mapping[str, Plain] | None,
    number: Callable[[object], float | None],
) -> Optimization:
    """Return what a checkpoint's root states.

    Args:
        root: the checkpoint's root.
        framework: what wrote it, where its keys tell.
        arguments: its hyper-parameters.
        number: gives the number in a value of the checkpoint.
    """
    classes = list(_classes(root))
    schedulers = [_last(name) for name in classes if ".lr_scheduler." in f".{name}"]
    optimizers = [
        _last(name)
        for name in classes
        if ".optim." in f".{name}" and ".lr_scheduler." not in f".{name}"
    ]
    for names, keys in zip(
        (optimizers, schedulers), _ARGUMENTS.get(framework or "", ((), ())), strict=True
    ):
        if not names:
            names += [text for key in keys if (text := _stated((arguments or {}).get(key)))]
    history = root.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else None
    if not optimizers and isinstance(last, dict) and isinstance(last.get("optimizer_name"), str):
        optimizers.append(clean(last["optimizer_name"][:100]))
    rates = []
    for state in _states(root):
        for group in _list(_mapping(state).get("param_groups")):
            rate = number(_mapping(group).get("lr"))
            if rate is not None:
                rates.append(rate)
    return Optimization(
        tuple(optimizers[:MAX_NAMES]), tuple(schedulers[:MAX_NAMES]), tuple(rates[:MAX_RATES])
    )


def _stated(value: Plain) -> str | None:
    """Return the name in an argument: text, or a section of fairseq's with a `_name`."""
    if isinstance(value, dict):
        value = value.get("_name")
    return value[:100] if isinstance(value, str) and value.lower() not in _UNDECIDED else None


def _classes(root: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the classes of objects that were pickled whole, with their state."""
    for value in islice(root.values(), 1_000):
        for each in value[:10] if type(value) is list else (value,):
            if type(each) is Call and each.state and (name := each.class_name):
                yield name


def _last(name: str) -> str:
    return clean(name.rpartition(".")[2][:100])


def _states(root: Mapping[Any, Any]) -> Iterator[object]:
    for key in _STATES:
        value = root.get(key)
        if isinstance(value, list):
            yield from _list(value)
        elif value is not None:
            yield value


def _list(value: object) -> list[Any]:
    return value[:MAX_RATES] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else attributes(value)
