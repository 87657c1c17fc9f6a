"""What a checkpoint says of itself beside its hyper-parameters, kept whole as plain data."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.lightning import VERSION_KEY
from catalog.sources.checkpoint.plain import Unwrapper
from catalog.sources.checkpoint.scores import names_a_score
from catalog.sources.checkpoint.training_state import NAME
from catalog.sources.facts import Problem
from catalog.sources.plain import clean
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from catalog.sources.checkpoint.frameworks import Training
    from catalog.sources.facts import Plain

_MAX_KEYS: Final = 200
_MAX_LIST: Final = 100
_TOLD_ELSEWHERE: Final = frozenset(
    {"epoch", "current_epoch", "global_step", "callbacks", "loops", "state_dict", VERSION_KEY}
)
"""Keys that have columns of their own, or are no statement."""
_PLAIN: Final = frozenset({str, int, float, bool})


def statements_of(
    root: Mapping[Any, Any],
    training: Training,
    number: Callable[[object], float | None],
) -> tuple[dict[str, Plain] | None, tuple[Problem, ...]]:
    """Return what stands under other keys than those that are read: `model_args`, `git`, ...

    Tensors, and what is training state by its name, are no statements.

    Args:
        root: the checkpoint's root.
        training: what was read already.
        number: gives the number in a value of the checkpoint.
    """
    found: dict[str, Plain] = {}
    unwrapper = Unwrapper(number)
    for key, value in islice(root.items(), _MAX_KEYS):
        if type(key) is not str or len(key) > _MAX_KEYS:
            continue
        # A config that is a text (`cfg` of MMCV) gives no hyper-parameters, and is a statement.
        if value is training.hyper_parameters and value is not None and type(value) is not str:
            continue
        if _is_told_elsewhere(key, is_text=type(value) is str):
            continue
        plain = _stated(value, unwrapper)
        if plain is not None:
            found[clean(key)] = plain
    if not found:
        return None, ()
    stated, redacted = redact(found)
    problems = redaction_problem(redacted)
    if unwrapper.cut:
        message = "What it says of itself is too large or nested too deep; a part is left out."
        problems = (*problems, Problem("statements-cut", message))
    return stated, problems


@lru_cache(maxsize=1_024)
def _is_told_elsewhere(key: str, *, is_text: bool) -> bool:
    """Say whether a key has columns of its own, or names training state or scores."""
    if key in _TOLD_ELSEWHERE or NAME.search(key):
        return True
    return not is_text and names_a_score(key)


def _stated(value: object, unwrapper: Unwrapper) -> Plain:
    """Return plain data, None for what holds tensors or objects, or is a long list."""
    if type(value) in _PLAIN:
        return unwrapper.unwrap(value)
    if type(value) in (list, tuple) and len(value) > _MAX_LIST:  # type: ignore[arg-type]
        return None
    plain = unwrapper.unwrap(value) if value is not None else None
    return None if plain in ({}, []) or _is_opaque(plain) else plain


def _is_opaque(plain: Plain) -> bool:
    """Say whether there is an object without a plain meaning in it, at its top or one below."""
    if not isinstance(plain, dict | list):
        return False
    if isinstance(plain, dict) and "__opaque__" in plain:
        return True
    parts = plain.values() if isinstance(plain, dict) else plain
    return any(isinstance(part, dict) and "__opaque__" in part for part in parts)
