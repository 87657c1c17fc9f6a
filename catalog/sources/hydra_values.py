"""Values of Hydra's overrides, and sweeps over them: what `hydra_overrides` parses them to."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import Any, Final

Meaning = tuple[Any, ...]
"""A value that can be compared and hashed: its type and what it holds. 1 and 1.0 are equal, as
in YAML and JSON; `True` and 1 are not, nor are the text `1` and the number."""

NULL: Final[Meaning] = ("null",)


@dataclass(frozen=True, slots=True)
class Choice:
    """One value after another: `a,b` and `choice(a,b)`."""

    values: tuple[Meaning, ...]

    def holds(self, value: Meaning) -> bool | None:
        """Say whether a value is one of them, None if only a resolver could."""
        if value in self.values:
            return True
        return None if is_open(value) or any(map(is_open, self.values)) else False


@dataclass(frozen=True, slots=True)
class Range:
    """`range(start, stop, step)`, of whole numbers or of others."""

    start: float
    stop: float
    step: float

    def holds(self, value: Meaning) -> bool | None:
        """Say whether a value is one of its numbers."""
        number = number_of(value)
        if number is None:
            return None if is_open(value) else False
        # Taken in either order, as `sort` may have turned it; Hydra adds decimals up.
        steps = (number - self.start) / self.step
        if not math.isfinite(steps) or abs(steps - round(steps)) > 1e-6:
            return False
        low, high = sorted((self.start, self.stop))
        return low <= number <= high and not math.isclose(number, self.stop, rel_tol=1e-12)


@dataclass(frozen=True, slots=True)
class Interval:
    """`interval(start, end)`, of which a sweeper draws numbers."""

    start: float
    end: float

    def holds(self, value: Meaning) -> bool | None:
        """Say whether a value is a number between its ends."""
        number = number_of(value)
        if number is None:
            return None if is_open(value) else False
        return self.start <= number <= self.end


@dataclass(frozen=True, slots=True)
class Glob:
    """`glob(include, exclude)`: the options of a config group with such names."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    def holds(self, value: Meaning) -> bool | None:
        """Say whether a value is a name that it selects."""
        if value[0] != "text":
            return None
        name = str(value[1])
        return any(fnmatch.fnmatchcase(name, one) for one in self.include) and not any(
            fnmatch.fnmatchcase(name, one) for one in self.exclude
        )


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is drawn anew each time, or by a function that is not followed here."""

    text: str

    def holds(self, _value: Meaning) -> bool | None:
        """Return None: it may be any."""
        return None


Sweep = Choice | Range | Interval | Glob | Unknown
Value = Meaning | Sweep


def is_open(value: Meaning) -> bool:
    """Say whether an interpolation is part of a value: what it is in the end is not known."""
    kind, *rest = value
    if kind == "text":
        return "${" in str(rest[0])
    if kind == "list":
        return any(map(is_open, rest[0]))
    if kind == "dict":
        return any(is_open(key) or is_open(one) for key, one in rest[0])
    return False


def number_of(value: Meaning) -> float | None:
    """Return a value as a number, None if it is none that a float holds."""
    if value[0] == "number" and isinstance(value[1], int | float):
        try:
            return float(value[1])
        except OverflowError:
            return None
    return None
