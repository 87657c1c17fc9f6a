"""What a PyTorch Lightning checkpoint says of its `ModelCheckpoint` callback.

The callbacks' states stand under `callbacks`, by a key such as
`ModelCheckpoint{'monitor': 'val/hmean', 'mode': 'max', ...}` (before 1.6 also by the class
itself); `mode` stands in that key alone. Read with files of 1.5 to 2.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION_KEY: Final = "pytorch-lightning_version"

_MODE: Final = re.compile(r"'mode': '(min|max)'")
_MAX_KEY: Final = 4_000
_MAX_BEST_K: Final = 1_000
_MAX_PATH: Final = 4_096


@dataclass(frozen=True, slots=True)
class CallbackState:
    """The state of the checkpoint callback that wrote the file."""

    monitor: str | None = None
    mode: Literal["min", "max"] | None = None
    best_score: float | None = None
    own_score: float | None = None
    best_path: str | None = None
    last_path: str | None = None
    directory: str | None = None
    best_k: tuple[tuple[str, float], ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every checkpoint path that it names, each once."""
        named = [self.best_path, self.last_path, *[path for path, _ in self.best_k]]
        return tuple(dict.fromkeys(path for path in named if path))


def is_lightning(root: dict[Any, Any]) -> bool:
    """Say whether a checkpoint's root is one of Lightning's."""
    return VERSION_KEY in root


def callback_state(
    root: dict[Any, Any], own_path: str, number: Callable[[object], float | None]
) -> CallbackState:
    """Return the state of the callback that wrote this file, an empty one where there is none.

    Of several checkpoint callbacks it is the one that lists this file, else the first that
    monitors something, else the first.

    Args:
        root: the checkpoint's root.
        own_path: where the file lies now; its tail tells it from others in `best_k_models`.
        number: gives the number in a value of the checkpoint.
    """
    callbacks = root.get("callbacks")
    states = []
    if isinstance(callbacks, dict):
        for key, state in list(callbacks.items())[:100]:
            if isinstance(state, dict) and "best_model_path" in state:
                states.append(_state(key, state, own_path, number))
    for wanted in (_lists_own, _monitors):
        for state in states:
            if wanted(state):
                return state
    return states[0] if states else CallbackState()


def _lists_own(state: CallbackState) -> bool:
    return state.own_score is not None


def _monitors(state: CallbackState) -> bool:
    return state.monitor is not None


def _state(
    key: object,
    state: dict[Any, Any],
    own_path: str,
    number: Callable[[object], float | None],
) -> CallbackState:
    listed = state.get("best_k_models")
    best_k = []
    if isinstance(listed, dict):
        for path, value in list(listed.items())[:_MAX_BEST_K]:
            score = number(value)
            if score is not None and isinstance(path, str):
                best_k.append((clean(path[:_MAX_PATH]), score))
    best_path = path_text(state.get("best_model_path"))
    best_score = number(state.get("best_model_score"))
    mode = _MODE.search(key[:_MAX_KEY]) if isinstance(key, str) else None
    own = own_score(own_path, best_k)
    if own is None and listed is None and best_path and _tail(own_path, best_path):
        own = best_score
    monitor = state.get("monitor")
    if not isinstance(monitor, str):
        monitor = mode = None
    return CallbackState(
        monitor=None if monitor is None else clean(monitor[:200]),
        mode=None if mode is None else ("min" if mode[1] == "min" else "max"),
        best_score=best_score,
        own_score=own,
        best_path=best_path,
        last_path=path_text(state.get("last_model_path")),
        directory=path_text(state.get("dirpath")),
        best_k=tuple(best_k),
    )


def path_text(value: object) -> str | None:
    """Return a path that a checkpoint names: text, or a pickled `pathlib` object."""
    if isinstance(value, str):
        return clean(value[:_MAX_PATH]) or None
    args = getattr(value, "args", None)
    name = getattr(value, "class_name", None) or ""
    if name.startswith("pathlib.") and isinstance(args, tuple) and len(args) < 100:
        parts = [part for part in args if isinstance(part, str)]
        first = parts[0].rstrip("/") if len(parts) > 1 else "".join(parts)
        return clean("/".join([first, *parts[1:]])[:_MAX_PATH]) or None
    return None


def own_score(own_path: str, best_k: list[tuple[str, float]]) -> float | None:
    """Return the score of the file itself among those that the callback lists.

    A listed path belongs to the machine and folder of the training, so only its tail can
    agree; a metric named `val/loss` makes folders, so the longest tail wins. Two equally long
    tails with different scores tell nothing.
    """
    longest = 0
    scores: set[float] = set()
    for path, score in best_k:
        tail = _tail(own_path, path)
        if tail > longest:
            longest, scores = tail, {score}
        elif tail and tail == longest:
            scores.add(score)
    return scores.pop() if len(scores) == 1 else None


def _tail(own: str, other: str) -> int:
    """Return how many last parts of two paths are equal."""
    count = 0
    mine = reversed(own.split("/"))
    theirs = reversed(other.replace("\\", "/").split("/"))
    for one, two in zip(mine, theirs, strict=False):
        if one != two:
            break
        count += 1
    return count
