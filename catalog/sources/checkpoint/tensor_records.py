"""One step for what a tensor takes thirty opcodes for.

torch writes each tensor of a checkpoint by the same opcodes (`torch/_tensor.py`,
`_reduce_ex_internal`; `torch/serialization.py`, `persistent_id`), so most of a pickle is this
row over and over, only its numbers differ:

    MARK MARK "storage" class key device length TUPLE BINPERSID
    offset shape stride requires_grad OrderedDict EMPTY_TUPLE REDUCE TUPLE REDUCE

`TensorRecords.read` takes such a row whole, by a regular expression. It must end in the same
stack, memo and findings as the opcodes one by one; whatever differs from the row in the least is
left to them. The one thing that it leaves out are the memo's entries for the parts of a tensor,
which no writer known refers to: `PART` stands there, and who meets it must read anew without
records.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from catalog.sources.checkpoint.inert import (
    Found,
    Global,
    Storage,
    TensorStub,
    storage_dtype,
    takes_storage,
)
from catalog.sources.checkpoint.tensor_runs import Runs

PART: Final = object()
"""Stands in the memo for a part of a tensor that was not made."""

_INT: Final = rb"(?:K.|M..|J....)"
_REF: Final = rb"(?:h.|j....)"
_TUPLE: Final = rb"(?:\)|%b\x85|%b{2}\x86|%b{3}\x87|\(%b{4,8}t)".replace(b"%b", _INT)


_Match = Callable[..., "re.Match[bytes] | None"]


def _matchers(put: bytes) -> tuple[_Match, _Match]:
    """Return the matchers of a row from behind its first MARK, and of one with its name before.

    Args:
        put: the memo opcode in it.
    """
    # An empty tuple is never memoized.
    sizes = rb"(%s)(?:%s|(?<=\)))" % (_TUPLE, put)
    head = rb"\(%s{2}X" % _REF
    rest = (
        rb"(.)\0\0\0([0-9]{1,20})%(put)s(%(ref)s)(%(int)s)N?t%(put)sQ"
        rb"(%(int)s)%(sizes)s%(sizes)s[\x88\x89](%(ref)s)\)R%(put)st%(put)sR%(put)s"
        % {b"ref": _REF, b"int": _INT, b"put": put, b"sizes": sizes}
    )
    name = rb"X(.)\0\0\0([\w./-]{1,255})%s(%s\(%s)" % (put, _REF, head)
    first = rb"()()()(%s)" % head
    return re.compile(first + rest, re.DOTALL).match, re.compile(name + rest, re.DOTALL).match


_REFS: Final = re.compile(_REF, re.DOTALL)
_NARROW: Final = _matchers(rb"q(.)")
_WIDE: Final = _matchers(rb"r(....)")
_ONES: Final = [sum(1 << 32 * place for place in range(count)) for count in range(9)]
_STEPS: Final = [sum(place << 32 * place for place in range(count)) for count in range(9)]


def _sizes(raw: bytes) -> tuple[int, ...]:
    """Return the numbers that a row of opcodes pushes."""
    found = []
    position, end = 0, len(raw)
    while position < end:
        code = raw[position]
        if code == 0x4B:
            found.append(raw[position + 1])
            position += 2
        elif code == 0x4D:
            found.append(raw[position + 1] | raw[position + 2] << 8)
            position += 3
        elif code == 0x4A:
            found.append(struct.unpack_from("<i", raw, position + 1)[0])
            position += 5
        else:  # what makes the tuple
            position += 1
    return tuple(found)


class _Sizes(dict[bytes, tuple[int, ...]]):
    """The numbers of each row of opcodes that was met: layers of a model repeat their shapes."""

    def __missing__(self, raw: bytes) -> tuple[int, ...]:
        value = self[raw] = _sizes(raw)
        return value


class TensorRecords:
    """Reads tensors' rows in one pickle.

    Args:
        data: the pickle.
        memo: its memo, which must have been filled in order so far.
        found: what it names; storages are added.
        rows: where (begin, end) of what is read is noted.
    """

    __slots__ = ("_checked", "_data", "_found", "_memo", "_others", "_rows", "_sizes")

    def __init__(
        self, data: bytes, memo: list[Any], found: Found, rows: list[tuple[int, int]]
    ) -> None:
        self._rows = rows
        self._data = data
        self._memo = memo
        self._found = found
        self._sizes = _Sizes()
        # Entries of the memo never change while it is filled in order: each is looked at once.
        self._checked: dict[bytes, str | None] = {}
        self._others: set[bytes] = set()

    def read(self, position: int, stack: list[Any]) -> int:
        """Read a tensor, and those that follow it in the same state dict.

        Args:
            position: behind the first MARK of a row.
            stack: whose top is what the row is an argument of; it is changed as the opcodes
                would change it.

        Returns:
            The position behind the last row read, or the one given if there is none.
        """
        function = stack[-1]
        if type(function) is not Global or not takes_storage(function):
            return position
        memo = self._memo
        data, sizes, storages = self._data, self._sizes, self._found.storages
        known = _RUNS.find(data, position, memo)
        if known is not None and storages.keys().isdisjoint(known.storages):
            storages.update(known.storages)
            memo += known.memo
            stack[-1:] = known.pushed
            self._rows.append((position, position + len(known.raw)))
            return position + len(known.raw)
        begin, start, before, depth = position, len(memo), len(storages), len(stack) - 1
        wide = start > 0xFF
        matchers = _WIDE if wide else _NARROW
        found = matchers[0](data, position)
        checked, others, follows = self._checked, self._others, matchers[1]
        while found is not None:
            (
                letters, name, put, head, digits, key, put1, device, length, put2,
                offset, shape, put3, stride, put4, hooks, put5, put6, put7,
            ) = found.groups(b"")  # fmt: skip
            base = len(memo)
            puts = b"".join((put, put1, put2, put3, put4, put5, put6, put7))
            if wide:
                count = len(puts) >> 2
                if int.from_bytes(puts, "little") != base * _ONES[count] + _STEPS[count]:
                    break
            else:
                count = len(puts)
                if puts != _NUMBERS[base : base + count]:
                    break
            numbers = sizes[length][0]
            if numbers < 0 or digits[0] != len(key) or (letters and letters[0] != len(name)):
                break
            if not (
                (head in checked and device in others and hooks in others)
                or self._are_expected(head, device, hooks)
            ):
                break
            text = key.decode()
            storage = storages.get(text)
            if storage is None:
                storage = storages[text] = Storage(checked[head], text, numbers)
            made = TensorStub(storage, storage.dtype, sizes[offset][0], sizes[shape], sizes[stride])
            memo += _PARTS[count]
            memo[-1] = made
            if letters:
                memo[base] = title = name.decode()
                stack += (title, made)
            else:
                stack[-1] = made
            position = found.end()
            found = follows(data, position)
        if position > begin:
            self._rows.append((begin, position))
        if position - begin > _WORTH_KEEPING:
            self._keep(data[begin:position], start, before, stack[depth:])
        return position

    def _keep(self, raw: bytes, start: int, before: int, pushed: list[Any]) -> None:
        """Let the rows just read be known the next time."""
        new = dict(islice(self._found.storages.items(), before, None))
        if all(stub.storage.key in new for stub in pushed[::2]):
            refs = {ref for head in self._checked for ref in _REFS.findall(head)} | self._others
            places = {int.from_bytes(ref[1:], "little") for ref in refs}
            _RUNS.keep(raw, places, new, self._memo, start, pushed)

    def _are_expected(self, head: bytes, device: bytes, hooks: bytes) -> bool:
        """Say whether the memo holds what a row refers to, and remember that it does."""
        *makers, word, kind = [self._entry(ref) for ref in _REFS.findall(head)]
        maker = self._entry(hooks)
        if word != "storage" or type(kind) is not Global or self._entry(device) is PART:
            return False
        if type(maker) is not Global or maker.name != "collections.OrderedDict":
            return False
        if any(type(one) is not Global or not takes_storage(one) for one in makers):
            return False
        self._checked[head] = storage_dtype(kind)
        self._others |= {device, hooks}
        return True

    def _entry(self, ref: bytes) -> Any:
        index = int.from_bytes(ref[1:], "little")
        return self._memo[index] if index < len(self._memo) else PART


_RUNS: Final = Runs()
_WORTH_KEEPING: Final = 400
"""Bytes of rows: a few of them are read in no time."""
_PARTS: Final = [(PART,) * count for count in range(9)]
"""By how many entries of the memo a row makes: the last is the tensor, the first its name."""
_NUMBERS: Final = bytes(range(256))
