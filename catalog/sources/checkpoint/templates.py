"""Pickles that differ in a few values from one that was met before.

Checkpoints of one training are written by the same code: between two of them a few texts and
numbers differ (epoch, step, paths, learning rates), and every other byte is the same. A `Template`
is what such pickles share, with a hole for each value that was seen to differ; one that fits it is
made of the very same stand-ins, and only what holds one of these values is made anew.

It must end in what the opcodes one by one would make. So its opcodes are run with marks in the
holes: what the machine looks into (`Marks`) must hold no mark, and each mark must come out again
in the root. Whatever then stands in the holes goes the same way through the same opcodes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint.blueprint import Blueprint, Marks, blueprint_of
from catalog.sources.checkpoint.opcodes import FRACTION, INTEGERS, TEXT, end_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from catalog.sources.checkpoint.inert import Found

LEAST: Final = 1_000
MOST: Final = 512 * 1024
"""Bytes of a pickle that is worth a template, or too large for one."""
MOST_KEPT: Final = 3 * 1024 * 1024
"""Bytes of all pickles that are kept to compare later ones with."""
MOST_HELD: Final = 60_000
"""Objects that hold others in all templates together: some 15 MB."""
MOST_MADE: Final = 8
"""Times that a template is made anew, most often since a further value differs."""
_ALIKE: Final = 4
"""Pickles kept of those that look alike: lists in them may be of other lengths."""
_TRIED: Final = 64
"""Templates that are tried. Checkpoints of one training lie together, so the first ones fit."""
_MOST_HOLES: Final = 2_000

_U4: Final = struct.Struct("<I").unpack_from
_F8: Final = struct.Struct(">d").unpack_from


class Trace:
    """What a reading of a pickle notes for those that come later."""

    __slots__ = ("entries", "rows")

    def __init__(self) -> None:
        self.entries = 0
        """Of the memo."""
        self.rows: list[tuple[int, int]] = []
        """(begin, end) of tensors that were read by `tensor_records`."""


class Template(NamedTuple):
    """Bytes that pickles share, and what they make."""

    first: bytes
    """What stands before the first hole."""
    holes: tuple[tuple[int, bytes], ...]
    """Of each hole the opcode, BININT for any whole number, and the bytes behind the value."""
    blueprint: Blueprint
    found: Found

    def fill(self, data: bytes) -> tuple[Any, int] | None:
        """Return root and end of a pickle, None where it differs elsewhere than in the holes."""
        if not data.startswith(self.first):
            return None
        position, size = len(self.first), len(data)
        values: list[Any] = []
        try:
            for kind, behind in self.holes:
                code = data[position]
                if code == TEXT == kind:
                    begin = position + 5
                    position = begin + _U4(data, position + 1)[0]
                    if position > size:
                        return None
                    values.append(str(data[begin:position], "utf-8", "replace"))
                elif code == FRACTION == kind:
                    values.append(_F8(data, position + 1)[0])
                    position += 9
                elif kind == _INTEGER and code in INTEGERS:
                    begin = position + 1
                    position = begin + INTEGERS[code]
                    # Only BININT has a sign.
                    values.append(
                        int.from_bytes(data[begin:position], "little", signed=code == kind)
                    )
                else:
                    return None
                if not data.startswith(behind, position):
                    return None
                position += len(behind)
        except (IndexError, struct.error):
            return None
        root = self.blueprint.build(values)
        return None if root is None else (root[0], position)


_INTEGER: Final = 0x4A

if TYPE_CHECKING:
    Run = Callable[[bytes, Marks], tuple[Any, Found] | None]
    """Reads a pickle and lets the marks in it be watched; None where it cannot be read."""


class _Sample:
    """A pickle that later ones are compared with.

    Args:
        data: the pickle.
        rows: (begin, end) of what must be the same in others.
    """

    def __init__(self, data: bytes, rows: Sequence[tuple[int, int]]) -> None:
        self.template: Template | None = None
        self._data = data
        self._rows = rows
        self._places: list[int] | None = None
        """Of its values; not looked for before there is something to compare with."""
        self._holes: set[int] = set()
        """Which of them were seen to differ."""
        self._left = MOST_MADE

    def is_like(self, data: bytes, run: Run) -> bool:
        """Compare with a later pickle; True if it is this one but for its values.

        There is a template then, if there can be one, with holes for all that was seen to differ.
        """
        if self._places is None:
            self._places = values_of(self._data, self._rows)
        differing = self._differing(data, self._places)
        if differing is None:
            return False
        holes = self._holes | differing
        if holes and self._left and (self.template is None or holes != self._holes):
            self._left -= 1
            self._holes = holes
            places = [self._places[index] for index in sorted(self._holes)]
            self.template = _template(self._data, places, run)
            if self.template is None:  # with more holes there is none either
                self._left = 0
        return True

    def _differing(self, data: bytes, places: list[int]) -> set[int] | None:
        own = self._data
        differing = set()
        before = position = 0
        for index, place in enumerate(places):
            same = own[before:place]
            if not data.startswith(same, position):
                return None
            begin = position + len(same)
            before, position = end_of(own, place), end_of(data, begin)
            if position < 0 or _kind(own[place]) != _kind(data[begin]):
                return None
            if own[place:before] != data[begin:position]:
                differing.add(index)
        return differing if data[position:] == own[before:] else None


def _template(data: bytes, places: list[int], run: Run) -> Template | None:
    """Return the template of a pickle with holes at some places, None where there can be none."""
    if len(places) > _MOST_HOLES:
        return None
    kinds = [_kind(data[place]) for place in places]
    marks = [_mark(kind, number) for number, kind in enumerate(kinds)]
    if any(written in data for _, _, written in marks):
        return None
    begins = [0, *(end_of(data, place) for place in places)]
    shared = [data[begin:end] for begin, end in zip(begins, [*places, len(data)], strict=True)]
    marked = b"".join(
        part
        for before, (_, head, written) in zip(shared, marks, strict=False)
        for part in (before, head, written)
    )
    watched = Marks(mark for mark, _, _ in marks)
    made = run(marked + shared[-1], watched)
    if made is None or watched.seen:
        return None
    blueprint = blueprint_of(made[0], watched)
    if blueprint is None:
        return None
    return Template(shared[0], tuple(zip(kinds, shared[1:], strict=True)), blueprint, made[1])


def _kind(code: int) -> int:
    return _INTEGER if code in INTEGERS else code


def _mark(kind: int, number: int) -> tuple[object, bytes, bytes]:
    """Return a value that hardly any pickle holds, and how it is written: opcode, then bytes."""
    if kind == TEXT:
        text = f"\0in the place of value {number:04}\0"
        return text, b"X" + struct.pack("<I", len(text)), text.encode()
    if kind == FRACTION:
        fraction = -7.123456789e300 * (1 + number * 1e-9)
        return fraction, b"G", struct.pack(">d", fraction)
    whole = -2_019_283_746 + number
    return whole, b"J", struct.pack("<i", whole)


class Templates:
    """The pickles and templates of this process."""

    def __init__(self) -> None:
        self._samples: dict[tuple[Any, ...], list[_Sample]] = {}
        self._bytes = 0
        self._recent: list[_Sample] = []
        """Those that have a template, the last that fitted first."""

    def fill(self, data: bytes) -> tuple[Any, Found, int] | None:
        """Return root, findings and end of a pickle that fits a template, else None."""
        for index, sample in enumerate(self._recent):
            template = sample.template
            made = template and template.fill(data)
            if template and made:
                if index:
                    self._recent.insert(0, self._recent.pop(index))
                return made[0], template.found, made[1]
        return None

    def learn(
        self,
        data: bytes,
        trace: Trace,
        found: Found,
        run: Run,
    ) -> None:
        """Compare a pickle that was read with those before it, or keep it for later ones.

        Args:
            data: the pickle, up to its end.
            trace: what its reading noted.
            found: what it names.
            run: reads a pickle.
        """
        if not LEAST <= len(data) <= MOST:
            return
        look = (trace.entries, len(found.storages), *found.globals)
        alike = self._samples.get(look, [])
        for sample in alike:
            if sample.is_like(data, run):
                if sample.template is not None:
                    self._recent = [sample, *(one for one in self._recent if one is not sample)]
                    self._forget()
                return
        if len(alike) >= _ALIKE:
            return
        if self._bytes + len(data) > MOST_KEPT:
            self._samples.clear()
            self._recent.clear()
            self._bytes = 0
        self._bytes += len(data)
        self._samples.setdefault(look, []).append(_Sample(data, trace.rows))

    def _forget(self) -> None:
        """Keep the templates that fitted last, as many as there is room for."""
        held = 0
        for place, sample in enumerate(self._recent):
            held += sample.template.blueprint.size if sample.template else 0
            if held > MOST_HELD or place >= _TRIED:
                for late in self._recent[place:]:
                    late.template = None
                del self._recent[place:]
                return
