"""Whether two sources say the same of a section, whatever form each of them keeps it in.

A value that a source could not state (`${...}` that nothing resolves, an object that is no plain
data, a redacted secret) contradicts nothing. Lightning's `save_hyperparameters` logs nested values
as the text of their `repr`, and number formats differ between writers: such texts are compared by
what they mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.sources.literals import parse_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 20
"""Differences that are looked for; the first few are shown."""

REDACTED = "<redacted>"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One value on which two sources disagree."""

    key: str
    one: str
    """As the first source has it; `nothing` where it lacks the key."""
    other: str

    def __str__(self) -> str:
        """Return it as a part of a sentence."""
        return f"{self.key} is {self.one} in one and {self.other} in the other"


def differences(one: Any, other: Any, key: str) -> list[Difference]:
    """Return where two values differ, at most `MOST`.

    Args:
        one: plain data, as configs are stored.
        other: the same.
        key: dotted name of both.
    """
    found: list[Difference] = []
    pending = [(key, one, other)]
    while pending and len(found) < MOST:
        name, left, right = pending.pop()
        if is_open(left) or is_open(right):
            continue
        left, right = _meant(left, right), _meant(right, left)
        if isinstance(left, dict) and isinstance(right, dict):
            pending.extend(
                (f"{name}.{part}", left.get(part, _ABSENT), right.get(part, _ABSENT))
                for part in sorted(left.keys() | right.keys(), reverse=True)
            )
        elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
            pending.extend(
                (f"{name}[{place}]", a, b)
                for place, (a, b) in reversed(list(enumerate(zip(left, right, strict=True))))
            )
        elif not _same(left, right):
            found.append(Difference(name, _shown(left), _shown(right)))
    return found


def is_mark(value: Any) -> bool:
    """Say whether this is a mark of ours for a value that could not be kept as it was."""
    if isinstance(value, dict):
        return "__opaque__" in value or "__float__" in value
    return bool(value == REDACTED)


def is_open(value: Any) -> bool:
    """Say whether a source has no plain value here, only a sign that there was one."""
    return is_mark(value) or (isinstance(value, str) and "${" in value)


def open_keys(value: Any, key: str, *, without_value: Callable[[Any], bool] = is_open) -> list[str]:
    """Return the dotted keys in `value` that hold no plain value, sorted.

    Args:
        value: plain data, as configs are stored.
        key: its dotted name; empty for a whole document.
        without_value: says of one value whether it is none.
    """
    return sorted(name for name, part in walk(value, key) if without_value(part))


def walk(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield every part of a value with its dotted key, the value itself first."""
    pending = [(key, value)]
    while pending:
        name, part = pending.pop()
        yield name, part
        if isinstance(part, dict):
            dot = "." if name else ""
            pending.extend((f"{name}{dot}{inner}", one) for inner, one in part.items())
        elif isinstance(part, list):
            pending.extend((f"{name}[{place}]", one) for place, one in enumerate(part))


def _meant(value: Any, beside: Any) -> Any:
    """Return what a text stands for where the other source has no text there."""
    if not isinstance(value, str) or isinstance(beside, str) or beside is _ABSENT:
        return value
    try:
        return parse_literal(value)
    except ValueError:
        return value


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
