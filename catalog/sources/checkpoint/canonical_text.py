"""A pickle's stand-ins as one text with places for storages: equal for equal content alone.

Each value is written with its type, and each container with its length, so that no two contents
give one text. A container that was met before in the same value is written as its number: the
text of a value is never longer than the pickle, and one that holds itself ends.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from catalog.sources.checkpoint.inert import Call, Global, Key, Storage, TensorStub

MAX_VALUES: Final = 2_000_000
"""Values in one text; a pickle of 120,000 tensors has a million."""
_LONG: Final = 64
"""Bytes and texts that are longer go in as a SHA-256."""


class NotCanonicalError(ValueError):
    """A content that no text can be made of; its message is a sentence."""


class CanonicalText:
    """Makes the text of some values, one after the other."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        """Of the storages, in the order of the text."""
        self.numbers = 0
        """Bytes and lists of numbers that are in it beside storages."""
        self._texts: list[bytes] = []
        """What is before each storage."""
        self._open: list[bytes] = []
        self._met: dict[int, int] = {}
        self._left = MAX_VALUES

    def finished(self) -> tuple[list[str], list[bytes]]:
        """Return keys of storages, and the texts before each and behind the last."""
        return self.keys, [*self._texts, b"".join(self._open)]

    def value(self, value: object, name: str = "") -> None:
        """Add a value.

        Args:
            value: it, in stand-ins. It must not be changed or freed before the text is finished.
            name: where it is.

        Raises:
            NotCanonicalError: it is too large, or refers to what is not in the file.
        """
        # What was met in another value may be the same object or an equal one, by chance.
        self._met = {}
        self._open.append(b"@" + _text(name))
        pending: list[Any] = [value]
        while pending:
            part = pending.pop()
            self._left -= 1
            if self._left < 0:
                raise NotCanonicalError("It holds too much to be compared.")
            kind = type(part)
            if kind is str:
                self._open.append(_text(part))
            elif kind in _ATOMS:
                self._open.append(f"{_ATOMS[kind]}{part!r};".encode())
            elif kind is TensorStub:
                self._tensor(part, pending)
            elif kind is Global:
                self._open.append(b"g" + _text(part.name))
            elif kind is bytes:
                self.numbers += 1
                self._open.append(b"b" + _blob(part))
            elif kind is Storage:
                self._open.append(f"S{part.dtype}:{part.length};".encode())
                self._storage(part)
            else:
                self._container(part, pending)

    def _tensor(self, stub: TensorStub, pending: list[Any]) -> None:
        if stub.storage is None:
            raise NotCanonicalError("It holds placeholders, whose numbers are not in the file.")
        text = f"T{stub.dtype}:{stub.offset!r}:" if type(stub.offset) is int else f"T{stub.dtype}:?"
        for sizes in (stub.shape, stub.stride):
            if type(sizes) is tuple and _INTEGER.issuperset(map(type, sizes)):
                text += f"{sizes!r}"
            else:
                text += "?"
                pending.append(sizes)
        if type(stub.offset) is not int:
            pending.append(stub.offset)
        if stub.extra is not None:
            text += "+"
            pending.append(stub.extra)
        self._open.append(text.encode("utf-8", "backslashreplace"))
        self._storage(stub.storage)

    def _storage(self, storage: Storage) -> None:
        self._texts.append(b"".join(self._open))
        self._open = []
        self.keys.append(storage.key)

    def _container(self, part: Any, pending: list[Any]) -> None:
        known = self._met.get(id(part))
        if known is not None:
            self._open.append(b"^%d;" % known)
            return
        self._met[id(part)] = len(self._met)
        kind = type(part)
        if kind is dict:
            self._open.append(b"d%d;" % len(part))
            for key, value in reversed(part.items()):
                pending += (value, key)
        elif kind is Call:
            if part.function is None:
                raise NotCanonicalError("It refers to an object that is not in the file.")
            self._open.append(b"c")
            pending += (part.items, part.pairs, part.state, part.args, part.function)
        elif kind is Key:
            self._open.append(b"k")
            pending.append(part.value)
        elif kind is list or kind is tuple:
            if is_numbers(part):
                self.numbers += 1
            self._open.append(b"%c%d;" % (b"l" if kind is list else b"t", len(part)))
            pending += reversed(part)
        else:
            raise NotCanonicalError(f"It holds a {kind.__name__}, which cannot be compared.")


_ATOMS: Final = {int: "i", float: "f", bool: "o", type(None): "n"}
_INTEGER: Final = frozenset({int})
_NUMBERS: Final = frozenset({int, float})


def is_numbers(value: Any) -> bool:
    """Say whether a list or tuple holds a number."""
    return not _NUMBERS.isdisjoint(map(type, value))


def _text(text: str) -> bytes:
    return b"s" + _blob(text.encode("utf-8", "surrogatepass"))


def _blob(raw: bytes) -> bytes:
    if len(raw) > _LONG:
        return b"#%d:%b" % (len(raw), hashlib.sha256(raw).digest())
    return b"%d:%b" % (len(raw), raw)
