"""The inert unpickler: what a pickle builds, without building it.

A pickle is a program for a stack machine (opcodes: `pickletools` in the standard library).
`load` runs that program over inert data: dicts, lists, tuples, strings and numbers are
real, and everything else becomes a `Global`, `Call`, `Storage` or `TensorStub` that only
records what the file asked for. No class or function named in the file is imported or
called, whatever opcode asks for it.

Every opcode makes at most one small object or moves references that are already there, and
none allocates by a length that the data does not hold. So memory and time grow with the
number of bytes read and of opcodes, both bounded. Nothing recurses: a nest of any depth
and a container that holds itself are ordinary data. Whoever walks the result must budget.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import ACTS, Acts, Call, Found, dict_key
from catalog.sources.checkpoint.templates import Templates, Trace
from catalog.sources.checkpoint.tensor_records import PART, TensorRecords

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.checkpoint.blueprint import Marks

MAX_OPCODES: Final = 1_000_000
"""Some 6 a tensor, those of optimizers included (`tensor_records`); 30 where it differs from
what torch writes today: 30,000 tensors at least. They make up to 70 MB."""

_MAX_LINE: Final = 65_536
_MAX_DIGITS: Final = 4_000
_MAX_LONG: Final = 1_024

_U2: Final = struct.Struct("<H").unpack_from
_U4: Final = struct.Struct("<I").unpack_from
_I4: Final = struct.Struct("<i").unpack_from
_U8: Final = struct.Struct("<Q").unpack_from
_F8: Final = struct.Struct(">d").unpack_from


class SkeletonError(ValueError):
    """A pickle that cannot be read to its end.

    `code` is `pickle-cut` (the data ends early), `pickle-damaged` or `pickle-limit`;
    `found` holds what had been seen of its globals.
    """

    def __init__(self, code: str, message: str, found: Found) -> None:
        super().__init__(message)
        self.code = code
        self.found = found


class _CutError(Exception):
    pass


class _LimitError(Exception):
    pass


class _PartError(Exception):
    """A part of a tensor is referred to that `tensor_records` did not make."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """One pickle, read: its inert root, what it names, and where it ended in the data."""

    root: Any
    found: Found
    end: int


def _extend(target: object, items: list[Any], found: Found) -> None:
    if type(target) is list:
        target.extend(items)
    elif type(target) is Call:
        if target.items is None:
            target.items = items
        else:
            target.items.extend(items)
    else:
        found.has_loose_ends = True


def _update(target: object, items: list[Any], found: Found) -> None:
    if type(target) is Call:
        if target.pairs is None:
            target.pairs = {}
        target = target.pairs
    if type(target) is not dict:
        found.has_loose_ends = True
        return
    size = len(target) + (len(items) >> 1)
    keys = items[::2]
    if set(map(type, keys)) == _TEXT and len(items) % 2 == 0:
        target.update(zip(keys, items[1::2], strict=True))
    else:
        flow = iter(items)
        for key in flow:
            value = next(flow, None)
            target[key if type(key) is str else dict_key(key)] = value
    if len(target) != size:
        found.has_loose_ends = True  # one value took the place of another


def _build(target: object, state: object, found: Found) -> None:
    """Give an object its state; that of a state dict tells the versions of its modules."""
    if type(target) is Call:
        if target.state is not None:
            found.has_loose_ends = True
        target.state = state
    elif not (type(target) is dict and _tells_versions(state)):
        found.has_loose_ends = True


def _tells_versions(state: object) -> bool:
    """Say whether it is what `Module.state_dict` hangs on the mapping that it returns."""
    if type(state) is not dict or [*state] != ["_metadata"]:
        return False
    modules = state["_metadata"]
    return type(modules) is dict and all(
        type(facts) is dict and _PLAIN.issuperset(map(type, facts.values()))
        for facts in modules.values()
    )


_PLAIN: Final = frozenset({int, bool, float, str, type(None)})
_TEXT: Final = {str}


def _line(data: bytes, position: int) -> tuple[bytes, int]:
    end = data.find(b"\n", position, position + _MAX_LINE)
    if end >= 0:
        return data[position:end], end + 1
    if len(data) - position < _MAX_LINE:
        raise _CutError
    raise ValueError("a line is too long")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _integer(data: bytes, position: int) -> tuple[object, int]:
    line, position = _line(data, position)
    if line in (b"00", b"01"):
        return line == b"01", position
    line = line.rstrip(b"L")
    if len(line) > _MAX_DIGITS:
        raise ValueError("a number is too long")
    return int(line), position


def _float_line(data: bytes, position: int) -> tuple[object, int]:
    line, position = _line(data, position)
    return float(line), position


def _string_line(data: bytes, position: int) -> tuple[object, int]:
    line, position = _line(data, position)
    return line.strip()[1:-1].decode("latin-1"), position


def _unicode_line(data: bytes, position: int) -> tuple[object, int]:
    line, position = _line(data, position)
    return line.decode("raw-unicode-escape", "replace"), position


def _persistent_line(data: bytes, position: int) -> tuple[object, int]:
    line, position = _line(data, position)
    return Call(None, (_text(line),)), position


def _sized(
    width: int, unpack: Callable[[bytes, int], tuple[Any, ...]], make: Callable[[bytes], object]
) -> Callable[[bytes, int], tuple[object, int]]:
    """Return the reader of an argument that its own length precedes."""

    def read(data: bytes, position: int) -> tuple[object, int]:
        end = position + width + unpack(data, position)[0]
        if end > len(data):
            raise _CutError
        return make(data[position + width : end]), end

    return read


def _long(raw: bytes) -> object:
    if len(raw) > _MAX_LONG:
        return raw  # no setting is that long: it is kept as the bytes that it is made of
    return int.from_bytes(raw, "little", signed=True)


def _latin(raw: bytes) -> object:
    return raw.decode("latin-1")


def _u1(data: bytes, position: int) -> tuple[int]:
    return (data[position],)


def _float8(data: bytes, position: int) -> tuple[object, int]:
    return _F8(data, position)[0], position + 8


_ARGUMENTS: Final[dict[int, Callable[[bytes, int], tuple[object, int]]]] = {
    ord("I"): _integer,
    ord("L"): _integer,
    ord("F"): _float_line,
    ord("S"): _string_line,
    ord("V"): _unicode_line,
    ord("P"): _persistent_line,
    ord("G"): _float8,
    ord("T"): _sized(4, _U4, _latin),
    ord("U"): _sized(1, _u1, _latin),
    ord("B"): _sized(4, _U4, bytes),
    ord("C"): _sized(1, _u1, bytes),
    0x8A: _sized(1, _u1, _long),
    0x8B: _sized(4, _U4, _long),
    0x8C: _sized(1, _u1, _text),
    0x8D: _sized(8, _U8, _text),
    0x8E: _sized(8, _U8, bytes),
    0x96: _sized(8, _U8, bytes),
}
"""The opcodes that only push what stands behind them, less those that are everywhere."""

_EXTENSIONS: Final = {0x82: 1, 0x83: 2, 0x84: 4}
"""EXT1, EXT2, EXT4: globals by a number that only the writer's own registry explains."""


def load(data: bytes, start: int = 0, max_opcodes: int = MAX_OPCODES) -> Skeleton:
    """Read one pickle.

    Args:
        data: bytes that hold it; what follows its end is left alone.
        start: where in the data it begins.
        max_opcodes: how long it may be.

    Raises:
        SkeletonError: the data ends before the pickle does, is damaged, or is too long.

    """
    is_usual = start == 0 and max_opcodes == MAX_OPCODES
    known = _TEMPLATES.fill(data) if is_usual else None
    if known is not None:
        return Skeleton(*known)
    found, trace = Found(), Trace()
    try:
        try:
            root, end = _run(data, start, max_opcodes, found, by_records=True, trace=trace)
            if is_usual:
                _TEMPLATES.learn(data[:end], trace, found, _with_marks)
        except _PartError:
            found = Found()
            root, end = _run(data, start, max_opcodes, found, by_records=False)
    except _CutError:
        raise SkeletonError("pickle-cut", "the pickle has no end mark", found) from None
    except _LimitError:
        message = f"the pickle has more than {max_opcodes:,} instructions"
        raise SkeletonError("pickle-limit", message, found) from None
    except (ValueError, LookupError, TypeError):
        raise SkeletonError("pickle-damaged", "the pickle is damaged", found) from None
    return Skeleton(root, found, end)


_TEMPLATES: Final = Templates()


def _with_marks(data: bytes, marks: Marks) -> tuple[Any, Found] | None:
    found = Found()
    try:
        root, _ = _run(data, 0, MAX_OPCODES, found, by_records=True, acts=marks.acts)
    except (_CutError, _LimitError, _PartError, ValueError, LookupError, TypeError):
        return None
    return root, found


def _run(
    data: bytes,
    position: int,
    max_opcodes: int,
    found: Found,
    *,
    by_records: bool,
    trace: Trace | None = None,
    acts: Acts = ACTS,
) -> tuple[Any, int]:
    """Run the opcodes and return the root and the position behind the end mark.

    It is one function, since a call for each opcode would double the time; the opcodes that a
    state dict is made of come first. The memo is a list as long as it is filled in order, which
    every writer known does, and a dict from then on.
    """
    stack: list[Any] = []
    frames: list[list[Any]] = []
    memo: Any = []
    trace = trace or Trace()
    records = TensorRecords(data, memo, found, trace.rows) if by_records else None
    call, persistent, named = acts
    size = len(data)
    unpack4 = _U4
    try:
        for _ in range(max_opcodes):
            code = data[position]
            position += 1
            if code == 0x58:  # BINUNICODE
                end = position + 4 + unpack4(data, position)[0]
                if end > size:
                    raise _CutError
                stack.append(str(data[position + 4 : end], "utf-8", "replace"))
                position = end
            elif code == 0x72:  # LONG_BINPUT
                index = unpack4(data, position)[0]
                position += 4
                if index == len(memo) and type(memo) is list:
                    memo.append(stack[-1])
                else:
                    memo, records = _put(memo, index, stack[-1]), None
            elif code == 0x68:  # BINGET
                value = memo[data[position]]
                if value is PART:
                    raise _PartError
                stack.append(value)
                position += 1
            elif code == 0x28:  # MARK
                if records is not None and stack and data[position] == 0x28:
                    behind = records.read(position, stack)
                    if behind != position:
                        position = behind
                        continue
                frames.append(stack)
                stack = []
            elif code == 0x6A:  # LONG_BINGET
                value = memo[unpack4(data, position)[0]]
                if value is PART:
                    raise _PartError
                stack.append(value)
                position += 4
            elif code == 0x4B:  # BININT1
                stack.append(data[position])
                position += 1
            elif code == 0x74:  # TUPLE
                items = tuple(stack)
                stack = frames.pop()
                stack.append(items)
            elif code == 0x52:  # REDUCE
                args = stack.pop()
                stack[-1] = call(stack[-1], args, found)
            elif code == 0x29:  # EMPTY_TUPLE
                stack.append(())
            elif code == 0x85:  # TUPLE1
                stack[-1] = (stack[-1],)
            elif code == 0x89:  # NEWFALSE
                stack.append(False)
            elif code == 0x51:  # BINPERSID
                stack[-1] = persistent(stack[-1], found)
            elif code == 0x71:  # BINPUT
                index = data[position]
                position += 1
                if index == len(memo) and type(memo) is list:
                    memo.append(stack[-1])
                else:
                    memo, records = _put(memo, index, stack[-1]), None
            elif code == 0x94:  # MEMOIZE
                if type(memo) is list:
                    memo.append(stack[-1])
                else:
                    memo[len(memo)] = stack[-1]
            elif code == 0x7D:  # EMPTY_DICT
                stack.append({})
            elif code == 0x75:  # SETITEMS
                pairs = stack
                stack = frames.pop()
                _update(stack[-1], pairs, found)
            elif code == 0x73:  # SETITEM
                value = stack.pop()
                key = stack.pop()
                _update(stack[-1], [key, value], found)
            elif code == 0x4D:  # BININT2
                stack.append(_U2(data, position)[0])
                position += 2
            elif code == 0x4A:  # BININT
                stack.append(_I4(data, position)[0])
                position += 4
            elif code == 0x86:  # TUPLE2
                second = stack.pop()
                stack[-1] = (stack[-1], second)
            elif code == 0x87:  # TUPLE3
                third = stack.pop()
                second = stack.pop()
                stack[-1] = (stack[-1], second, third)
            elif code in _ARGUMENTS:
                value, position = _ARGUMENTS[code](data, position)
                stack.append(value)
            elif code == 0x5D or code == 0x8F:  # EMPTY_LIST, EMPTY_SET
                stack.append([])
            elif code == 0x61:  # APPEND
                value = stack.pop()
                _extend(stack[-1], [value], found)
            elif code == 0x65 or code == 0x90:  # APPENDS, ADDITEMS
                values = stack
                stack = frames.pop()
                _extend(stack[-1], values, found)
            elif code == 0x4E:  # NONE
                stack.append(None)
            elif code == 0x88:  # NEWTRUE
                stack.append(True)
            elif code == 0x62:  # BUILD
                state = stack.pop()
                _build(stack[-1], state, found)
            elif code == 0x63:  # GLOBAL
                module, position = _line(data, position)
                name, position = _line(data, position)
                stack.append(named(_text(module), _text(name), found))
            elif code == 0x93:  # STACK_GLOBAL
                qualified = stack.pop()
                stack[-1] = named(stack[-1], qualified, found)
            elif code == 0x81:  # NEWOBJ
                args = stack.pop()
                stack[-1] = call(stack[-1], args, found)
            elif code == 0x92:  # NEWOBJ_EX
                keywords = stack.pop()
                args = stack.pop()
                stack[-1] = call(stack[-1], args, found)
                _build(stack[-1], keywords, found)
            elif code == 0x69:  # INST
                module, position = _line(data, position)
                name, position = _line(data, position)
                args = tuple(stack)
                stack = frames.pop()
                stack.append(call(named(_text(module), _text(name), found), args, found))
            elif code == 0x6F:  # OBJ
                function, *rest = stack
                stack = frames.pop()
                stack.append(call(function, tuple(rest), found))
            elif code in _EXTENSIONS:
                width = _EXTENSIONS[code]
                number = int.from_bytes(data[position : position + width], "little")
                stack.append(named("copyreg.extension", str(number), found))
                position += width
            elif code == 0x6C or code == 0x91:  # LIST, FROZENSET
                values = stack
                stack = frames.pop()
                stack.append(values)
            elif code == 0x64:  # DICT
                pairs = stack
                stack = frames.pop()
                stack.append({})
                _update(stack[-1], pairs, found)
            elif code == 0x30:  # POP
                found.has_loose_ends = True
                if stack:
                    stack.pop()
                else:
                    stack = frames.pop()
            elif code == 0x31:  # POP_MARK
                found.has_loose_ends = True
                stack = frames.pop()
            elif code == 0x32:  # DUP
                stack.append(stack[-1])
            elif code == 0x67:  # GET
                number_text, position = _line(data, position)
                value = memo[_memo_index(number_text)]
                if value is PART:
                    raise _PartError
                stack.append(value)
            elif code == 0x70:  # PUT
                number_text, position = _line(data, position)
                memo, records = _put(memo, _memo_index(number_text), stack[-1]), None
            elif code == 0x80:  # PROTO
                if data[position] > 5:
                    raise ValueError("a pickle protocol that does not exist")
                position += 1
            elif code == 0x95:  # FRAME: its length only helps those who read ahead
                position += 8
            elif code == 0x97:  # NEXT_BUFFER
                stack.append(Call(None, ()))
            elif code == 0x2E:  # STOP
                trace.entries = len(memo)
                root = stack.pop()
                if stack or frames:
                    found.has_loose_ends = True
                return root, position
            elif code != 0x98:  # READONLY_BUFFER
                raise ValueError("no such opcode")
    except IndexError:
        if position >= size:
            raise _CutError from None
        raise
    except struct.error:
        raise _CutError from None
    raise _LimitError


def _put(memo: list[Any] | dict[int, Any], index: int, value: object) -> dict[int, Any]:
    """Return a memo that is filled out of order, with one entry more."""
    entries = dict(enumerate(memo)) if isinstance(memo, list) else memo
    entries[index] = value
    return entries


def _memo_index(line: bytes) -> int:
    if len(line) > 20:
        raise ValueError("a memo index is too long")
    index = int(line)
    if index < 0:
        raise ValueError("a memo index is negative")
    return index
