"""How a pickle's root is made again with other values in it.

A root that holds marks, which stand in the place of values, is taken apart: what holds no mark
stays the very object that it is, and for what holds one there is a step that makes it anew.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import (
    Acts,
    Call,
    Key,
    TensorStub,
    call,
    has_plain_sizes,
    is_looked_into,
    named,
    persistent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from catalog.sources.checkpoint.inert import Found, Global

_MOST_LOOKED_AT: Final = 1_000
_VALUES: Final = frozenset({str, int, float})
_HOLDERS: Final = frozenset({dict, list, tuple, Call, Key, TensorStub})


class Marks:
    """Values that stand in the place of others, by their places.

    Args:
        marks: texts, integers and floats that are found nowhere else in the pickle.
    """

    def __init__(self, marks: Iterable[object]) -> None:
        self._places = {(type(mark), mark): place for place, mark in enumerate(marks)}
        self.seen = False
        """Whether the machine looked into what holds a mark, or into too much to tell."""

    def __len__(self) -> int:
        return len(self._places)

    def place_of(self, value: object) -> int | None:
        """Return the place that a mark stands for, None for any other value."""
        return self._places.get((type(value), value)) if type(value) in _VALUES else None

    @property
    def acts(self) -> Acts:
        """What reads a pickle as always, and looks for marks in what is looked into."""
        return Acts(self._call, self._persistent, self._named)

    def _call(self, function: object, args: object, found: Found) -> object:
        if is_looked_into(function):
            self._look(args)
        return call(function, args, found)

    def _persistent(self, pid: object, found: Found) -> object:
        self._look(pid)
        return persistent(pid, found)

    def _named(self, module: object, name: object, found: Found) -> Global:
        self._look((module, name))
        return named(module, name, found)

    def _look(self, value: object) -> None:
        pending = [value]
        left = _MOST_LOOKED_AT
        while pending and not self.seen:
            one = pending.pop()
            left -= 1
            if isinstance(one, (tuple, list, dict)):
                left -= len(one)
                self.seen = left < 0
                pending += [*one, *one.values()] if isinstance(one, dict) else one
            elif self.place_of(one) is not None:
                self.seen = True


class _Collision(Exception):
    """Two keys of a mapping are the same once the values stand in it."""


_Step = "Callable[[list[Any]], object]"


class Blueprint:
    """The steps that make a root.

    Args:
        constants: what is taken as it is.
        steps: each makes an object of values, constants and what the steps before it made.
        root: place of the root among all these.
        size: how many objects that hold others there are in it.
    """

    def __init__(
        self,
        constants: Sequence[Any],
        steps: Sequence[Callable[[list[Any]], object]],
        root: int,
        size: int,
    ) -> None:
        self.size = size
        self._constants = constants
        self._steps = steps
        self._root = root

    def build(self, values: Sequence[object]) -> tuple[Any] | None:
        """Return the root with these values, None where they make keys collide."""
        parts = [*values, *self._constants]
        try:
            for step in self._steps:
                parts.append(step(parts))
        except _Collision:
            return None
        return (parts[self._root],)


def blueprint_of(root: object, marks: Marks) -> Blueprint | None:
    """Return how a root is made, None where that cannot be told of each of its marks."""
    return _Taken(marks).apart(root)


class _Taken:
    """A root as it is taken apart."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._met: set[int] = set()
        self._constants: list[object] = []
        self._known: dict[int, int] = {}
        """Places of constants by identity."""
        self._steps: list[tuple[object, list[int]]] = []
        self._made: dict[int, int | None] = {}
        """By identity, of what holds others: its step, -1 for a constant, None while it is open."""

    def apart(self, root: object) -> Blueprint | None:
        pending = [(root, False)]
        while pending:
            node, is_left = pending.pop()
            if type(node) not in _HOLDERS:
                continue
            if is_left:
                if not self._leave(node):
                    return None
            elif id(node) in self._made:
                if self._made[id(node)] is None:
                    return None  # it holds itself
            else:
                self._made[id(node)] = None
                pending.append((node, True))
                pending += [(part, False) for part in _parts(node) if type(part) in _HOLDERS]
        last = self._reference(root)
        if len(self._met) < len(self._marks):
            return None
        steps = [_step(node, [*map(self._place, parts)]) for node, parts in self._steps]
        return Blueprint(self._constants, steps, self._place(last), len(self._made))

    def _leave(self, node: Any) -> bool:
        """Note a step for an object all of whose parts are known; False if there can be none."""
        if type(node) is TensorStub:
            self._made[id(node)] = -1
            return has_plain_sizes(node.offset, node.shape, node.stride)
        parts = _parts(node)
        if not any(self._is_made(part) for part in parts):
            self._made[id(node)] = -1
            return True
        if type(node) is Key or (type(node) is Call and self._is_made(node.function)):
            return False
        self._made[id(node)] = len(self._steps)
        self._steps.append((node, [*map(self._reference, parts)]))
        return True

    def _is_made(self, part: object) -> bool:
        if type(part) in _HOLDERS:
            return self._made[id(part)] != -1
        return self._marks.place_of(part) is not None

    def _reference(self, part: object) -> int:
        """Return the place of a value or constant; of a step, counted down from -1."""
        if type(part) in _HOLDERS:
            step = self._made[id(part)]
            if step is not None and step >= 0:
                return -1 - step
        place = self._marks.place_of(part)
        if place is not None:
            self._met.add(place)
            return place
        place = self._known.get(id(part))
        if place is None:
            place = self._known[id(part)] = len(self._marks) + len(self._constants)
            self._constants.append(part)
        return place

    def _place(self, reference: int) -> int:
        if reference >= 0:
            return reference
        return len(self._marks) + len(self._constants) - 1 - reference


def _parts(node: Any) -> list[Any]:
    kind = type(node)
    if kind is dict:
        return [*node, *node.values()]
    if kind is Call:
        return [node.function, node.args, node.state, node.pairs, node.items]
    if kind is Key:
        return [node.value]
    return [] if kind is TensorStub else list(node)


def _step(node: Any, places: list[int]) -> Callable[[list[Any]], object]:
    pick = _picker(places)
    if type(node) is dict:
        return _mapping(node, places)
    if type(node) is list:
        return lambda parts: list(pick(parts))
    if type(node) is tuple:
        return pick
    return lambda parts: _called(*pick(parts))


def _mapping(node: dict[Any, Any], places: list[int]) -> Callable[[list[Any]], object]:
    size = len(node)
    keys, values = _picker(places[:size]), _picker(places[size:])

    def made(parts: list[Any]) -> object:
        mapping = dict(zip(keys(parts), values(parts), strict=True))
        if len(mapping) != size:
            raise _Collision
        return mapping

    return made


def _called(function: object, args: object, state: object, pairs: Any, items: Any) -> Call:
    made = Call(function, args)
    made.state, made.pairs, made.items = state, pairs, items
    return made


def _picker(places: list[int]) -> Callable[[list[Any]], tuple[Any, ...]]:
    """Return what takes the parts at some places."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda parts: tuple(parts[place] for place in places)
