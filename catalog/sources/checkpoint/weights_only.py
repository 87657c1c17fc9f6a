"""torch's weights-only unpickler, run on stand-ins: would it take a pickle as it is?

Since 2.6 `torch.load(file)` reads pickles by a machine of its own
(`torch/_weights_only_unpickler.py`): fewer opcodes than Python's, names from a closed list, items
set in plain containers only. `examine` runs the same rules over a pickle and makes nothing: what
matters of a value is its type, so most values are a `Thing` that knows no more.

A name that is not allowed does not end the walk: it goes on as if it were, for what a user must
allow is all of the names, and helps only where nothing else is refused.
"""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint.inert import Found, Global, Storage, TensorStub, named
from catalog.sources.checkpoint.tensor_records import PART, TensorRecords
from catalog.sources.checkpoint.weights_only_calls import built, called, created, fits
from catalog.sources.checkpoint.weights_only_things import (
    DICT,
    MAPPINGS,
    Refused,
    Thing,
    Unsure,
    Work,
    arguments,
    hashable,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.checkpoint.torch_rules import Rules

MAX_STEPS: Final = 3_000_000
_MAX_NAMES: Final = 10_000

_U2: Final = struct.Struct("<H").unpack
_I4: Final = struct.Struct("<i").unpack
_F8: Final = struct.Struct(">d").unpack
_NAMED_STORAGE: Final = 5
"""Parts of the persistent id of a storage in a zip archive; a legacy file has one more."""

_BEYOND: Final = "has a tensor that is larger than its storage"


class Examination(NamedTuple):
    """What torch's machine would say of a pickle."""

    names: tuple[tuple[str, str], ...] = ()
    """(module, name) of globals that are not allowed, in their order."""
    types: tuple[str, ...] = ()
    """Classes that would have to be allowed too, though no name in the pickle tells them."""
    refusal: str | None = None
    """What else it refuses: the second half of a sentence."""
    doubt: str | None = None
    """Why it cannot be told: the second half of a sentence."""
    end: int = 0
    """Where the pickle ends."""
    rests_on_values: bool = False
    """Whether it may be otherwise for a pickle that differs in texts and numbers alone."""
    is_guess: bool = False
    """Whether it is unsure that the file loads once the names are allowed."""


def examine(data: bytes, rules: Rules, start: int = 0, *, parts: int = 0) -> Examination:
    """Run torch's weights-only rules over a pickle; it never raises for what that holds.

    Args:
        data: bytes that hold it.
        rules: of a version of torch.
        start: where in the data it begins.
        parts: of a storage's persistent id: 5 in a zip archive, 6 in a legacy file, 0 where no
            storage may be named.
    """
    machine = _Machine(data, rules, start, parts, by_records=parts == _NAMED_STORAGE)
    try:
        return machine.run()
    except _PartError:
        return _Machine(data, rules, start, parts, by_records=False).run()


class _PartError(Exception):
    """A part of a tensor is referred to that `tensor_records` did not make."""


class _Machine:
    def __init__(
        self, data: bytes, rules: Rules, start: int, parts: int, *, by_records: bool
    ) -> None:
        self.data = data
        self.position = start
        self.stack: list[Any] = []
        self.frames: list[list[Any]] = []
        self.memo: Any = []
        self.names: dict[tuple[str, str], None] = {}
        self.types: dict[str, None] = {}
        self.rests_on_values = False
        self.is_guess = False
        self.work = Work(in_legacy=parts > _NAMED_STORAGE)
        self._rules = rules
        self._parts = parts
        self._found = Found()
        # A row of a tensor is an argument of `_rebuild_tensor_v2`; others take other arguments.
        usual = b"_rebuild_qtensor" not in data and b"_rebuild_tensor\n" not in data
        self._records = (
            TensorRecords(data, self.memo, self._found, []) if by_records and usual else None
        )

    def run(self) -> Examination:
        refusal = doubt = None
        try:
            if not self._walk():
                doubt = f"has more than {MAX_STEPS:,} instructions"
        except Refused as error:
            refusal = str(error)
        except Unsure as error:
            doubt = str(error)
        except (IndexError, KeyError, struct.error, ValueError):
            refusal = "is damaged"
        return Examination(
            tuple(self.names),
            tuple(self.types),
            refusal,
            doubt,
            self.position,
            self.rests_on_values,
            self.is_guess,
        )

    def _walk(self) -> bool:
        """Run the opcodes; those that most of a state dict is made of are here, for their number.

        Returns:
            Whether the end mark was met.
        """
        data, steps = self.data, _STEPS
        for _ in range(MAX_STEPS):
            position = self.position
            code = data[position]
            self.position = position + 1
            if code == 0x4B:  # BININT1
                self.stack.append(data[position + 1])
                self.position = position + 2
            elif code == 0x68:  # BINGET
                value = self.memo[data[position + 1]]
                if value is PART:
                    raise _PartError
                self.stack.append(value)
                self.position = position + 2
            elif code == 0x71 or code == 0x72:  # BINPUT, LONG_BINPUT
                width = 1 if code == 0x71 else 4
                self.put(int.from_bytes(self.take(width), "little"))
            elif code == 0x2E:  # STOP
                self.stack.pop()
                return True
            else:
                step = steps.get(code)
                if step is None:
                    raise Refused(_opcode(code))
                step(self)
        return False

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        begin = self.position
        self.position += length
        if self.position > len(self.data):
            raise IndexError
        return self.data[begin : self.position]

    def popped(self) -> list[Any]:
        """Return what is above the last mark, and take both away."""
        items = self.stack
        self.stack = self.frames.pop()
        return items

    def mark(self) -> None:
        records, stack = self._records, self.stack
        if records is not None and stack and self.data[self.position] == 0x28:
            depth = len(stack) - 1
            behind = records.read(self.position, stack)
            if behind != self.position:
                self.position = behind
                if not all(fits(one) for one in stack[depth:] if type(one) is TensorStub):
                    raise Refused(_BEYOND)
                return
        self.frames.append(stack)
        self.stack = []

    def put(self, index: int) -> None:
        if index == len(self.memo) and type(self.memo) is list:
            self.memo.append(self.stack[-1])
            return
        if type(self.memo) is list:
            self.memo = dict(enumerate(self.memo))
            self._records = None
        self.memo[index] = self.stack[-1]

    def get(self) -> None:
        value = self.memo[int.from_bytes(self.take(4), "little")]
        if value is PART:
            raise _PartError
        self.stack.append(value)

    def name(self) -> None:
        """GLOBAL: the one way to a class or function."""
        first = self.data.index(b"\n", self.position)
        second = self.data.index(b"\n", first + 1)
        module = self.data[self.position : first].decode()
        name = self.data[first + 1 : second].decode()
        self.position = second + 1
        module, name = self._rules.renamed(module, name)
        full = f"{module}.{name}"
        if module in self._rules.blocked or full not in self._rules.allowed:
            self.names[(module, name)] = None
            if len(self.names) > _MAX_NAMES:
                raise Unsure(f"names more than {_MAX_NAMES:,} classes and functions")
        self.stack.append(named(module, name, self._found))

    def call(self) -> None:
        args, function = self.stack.pop(), self.stack[-1]
        if type(function) is not Global:
            raise Refused(f"calls {type_name(function)}, which it does not name")
        if self._is_allowed(function):
            self.rests_on_values |= function.rebuild is None
            self.stack[-1] = called(function.name, arguments(args), self.work)
            self.rebuilt(self.stack[-1])
        else:
            self.stack[-1] = Thing.of(function.name, arguments(args))

    def create(self) -> None:
        args, kind = self.stack.pop(), self.stack.pop()
        if type(kind) is not Global:
            raise Refused(f"makes an object of {type_name(kind)}, which it does not name")
        if self._is_allowed(kind):
            self.rests_on_values = True
            self.stack.append(created(kind.name, arguments(args), self.work))
        else:
            self.stack.append(Thing.of(kind.name, arguments(args)))

    def build(self) -> None:
        state, value = self.stack.pop(), self.stack[-1]
        if type(value) is Thing and value.is_foreign:
            if value.kind is None:
                self.is_guess = True
            elif not self._is_named(value.kind):
                self.types[value.kind] = None
            return
        built(value, state)

    def persist(self) -> None:
        pid = self.stack.pop()
        if type(pid) is not tuple:
            raise Refused("has a persistent id that is no tuple")
        if pid and pid[0] not in ("storage", b"storage"):
            raise Refused("stores more than storages outside of the pickle")
        if self._parts == 0 or len(pid) != self._parts:
            raise Refused("has a persistent id of another form")
        kind, key, location, length = pid[1:5]
        if type(kind) is not Global or type(length) is not int or type(location) is not str:
            raise Refused("has a persistent id of another form")
        if self._is_allowed(kind) and not self._is_storage(kind.name):
            raise Refused(f"uses {kind.name} for a storage")
        self.stack.append(Storage(self._rules.storage_dtype(kind.name), str(key)[:100], length))

    def _is_storage(self, name: str) -> bool:
        if name == "torch.storage.UntypedStorage":
            return self._parts == _NAMED_STORAGE
        return name.endswith("Storage") and name != "torch.storage.TypedStorage"

    def _is_allowed(self, one: Global) -> bool:
        return one.name in self._rules.allowed

    def _is_named(self, name: str) -> bool:
        return any(f"{module}.{rest}" == name for module, rest in self.names)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Refused(f"appends to {type_name(target)}, which is no plain list")
        target.extend(items)

    def rebuilt(self, value: object) -> None:
        """Look at a tensor that a call made: its storage in an archive cannot grow."""
        if type(value) is TensorStub and self._parts == _NAMED_STORAGE and not fits(value):
            raise Refused(_BEYOND)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not Thing or target.kind not in MAPPINGS:
            raise Refused(f"sets items of {type_name(target)}, which is no plain dict")
        if len(items) % 2:
            raise Refused("is damaged")
        for key in items[::2]:
            if type(key) is not str and not hashable(key, self.work):
                raise Refused(f"has a key of {type_name(key)}")
        target.is_filled |= bool(items)

    def setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def join(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def text(self) -> None:
        raw = self.take(int.from_bytes(self.take(4), "little"))
        self.stack.append(str(raw, "utf-8", "surrogatepass"))

    def string(self) -> None:
        self.push(self.take(self.take(1)[0]).decode())

    def long(self) -> None:
        self.push(int.from_bytes(self.take(self.take(1)[0]), "little", signed=True))

    def number(self, width: int, unpack: Callable[[bytes], tuple[Any, ...]]) -> None:
        self.push(unpack(self.take(width))[0])

    def push(self, value: object) -> None:
        self.stack.append(value)

    def skip(self, width: int) -> None:
        self.position += width


def _opcode(code: int) -> str:
    from pickletools import opcodes  # takes a while, and few files come here

    known = next((one for one in opcodes if one.code == chr(code)), None)
    if known is None:
        return "is damaged"
    return f"holds the instruction {known.name} (pickle protocol {known.proto})"


_STEPS: Final[dict[int, Callable[[_Machine], None]]] = {
    pickle.GLOBAL[0]: _Machine.name,
    pickle.NEWOBJ[0]: _Machine.create,
    pickle.REDUCE[0]: _Machine.call,
    pickle.BUILD[0]: _Machine.build,
    pickle.APPEND[0]: lambda machine: machine.append([machine.stack.pop()]),
    pickle.APPENDS[0]: lambda machine: machine.append(machine.popped()),
    pickle.SETITEM[0]: _Machine.setitem,
    pickle.SETITEMS[0]: lambda machine: machine.update(machine.popped()),
    pickle.MARK[0]: _Machine.mark,
    pickle.TUPLE[0]: lambda machine: machine.push(tuple(machine.popped())),
    pickle.TUPLE1[0]: lambda machine: machine.join(1),
    pickle.TUPLE2[0]: lambda machine: machine.join(2),
    pickle.TUPLE3[0]: lambda machine: machine.join(3),
    pickle.NONE[0]: lambda machine: machine.push(None),
    pickle.NEWFALSE[0]: lambda machine: machine.push(False),
    pickle.NEWTRUE[0]: lambda machine: machine.push(True),
    pickle.EMPTY_TUPLE[0]: lambda machine: machine.push(()),
    pickle.EMPTY_LIST[0]: lambda machine: machine.push([]),
    pickle.EMPTY_DICT[0]: lambda machine: machine.push(Thing(DICT)),
    pickle.EMPTY_SET[0]: lambda machine: machine.push(Thing("builtins.set")),
    pickle.BININT[0]: lambda machine: machine.number(4, _I4),
    pickle.BININT2[0]: lambda machine: machine.number(2, _U2),
    pickle.BINFLOAT[0]: lambda machine: machine.number(8, _F8),
    pickle.BINUNICODE[0]: _Machine.text,
    pickle.SHORT_BINSTRING[0]: _Machine.string,
    pickle.BINPERSID[0]: _Machine.persist,
    pickle.LONG_BINGET[0]: _Machine.get,
    pickle.LONG1[0]: _Machine.long,
    pickle.PROTO[0]: lambda machine: machine.skip(1),
}
"""The opcodes that torch knows, less those of `_walk`."""
