"""Stand-ins for what torch's weights-only unpickler moves about: types and little more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Global, Storage, TensorStub

if TYPE_CHECKING:
    from collections.abc import Sequence

DICT: Final = "builtins.dict"
ORDERED: Final = "collections.OrderedDict"
COUNTER: Final = "collections.Counter"
SET: Final = "builtins.set"
MAPPINGS: Final = frozenset({DICT, ORDERED, COUNTER})
SCALARS: Final = frozenset({int, float, bool, type(None)})
_UNHASHABLE: Final = MAPPINGS | {SET, "builtins.bytearray"}
_SIZED: Final = _UNHASHABLE | {"builtins.bytes", "torch.Size"}
_PLAIN_TYPES: Final = SCALARS | {str, bytes, tuple, list}
_MOST_WORK: Final = 500_000
"""Elements of lists and tuples that are looked at in one pickle."""


class Refused(Exception):
    """torch would stop here; the message is the second half of a sentence about the pickle."""


class Unsure(Exception):
    """It cannot be told what torch would do; the message is the second half of a sentence."""


class Work:
    """How much may still be looked at, so that no pickle costs more than its bytes."""

    def __init__(self, *, in_legacy: bool = False) -> None:
        self._left = _MOST_WORK
        self.in_legacy = in_legacy
        """Whether the numbers of tensors are read only after the whole pickle."""

    def spend(self, amount: int) -> None:
        """Take from what is left.

        Raises:
            Unsure: nothing is.
        """
        self._left -= amount
        if self._left < 0:
            raise Unsure("repeats itself too often to be followed")


class Thing:
    """An object of which only its type matters, and whether it is true."""

    __slots__ = ("detail", "is_filled", "is_foreign", "kind")

    def __init__(self, kind: str | None, detail: str | None = None, *, foreign: bool = False):
        self.kind = kind
        """`module.Class`, None where it is not known."""
        self.detail = detail
        """Name of a layout, dtype of a tensor."""
        self.is_filled = False
        self.is_foreign = foreign
        """Whether something made it that torch does not allow by itself."""

    @classmethod
    def of(cls, name: str, args: Sequence[Any]) -> Thing:
        """Return what the call of a name gives that would have to be allowed first."""
        if name in _MADE_OF_FIRST:
            first = args[0] if args else None
            return cls(first.name if type(first) is Global else None, foreign=True)
        if name == "numpy.dtype":
            code = args[0] if args and type(args[0]) is str else ""
            return cls(
                _NUMPY_TYPES.get(code.rstrip("0123456789") if code[:1] in "SUV" else code),
                foreign=True,
            )
        last = name.rpartition(".")[2]
        is_class = last.lstrip("_")[:1].isupper() or name in _SMALL_CLASSES
        return cls(name if is_class else None, foreign=True)


_MADE_OF_FIRST: Final = frozenset(
    {
        "copyreg._reconstructor",
        "copyreg.__newobj__",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
    }
)
_SMALL_CLASSES: Final = frozenset(
    {
        "builtins.frozenset", "collections.defaultdict", "collections.deque", "datetime.date",
        "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone",
        "functools.partial", "numpy.ndarray", "builtins.slice", "builtins.range",
        "builtins.object",
    }
)  # fmt: skip
_NUMPY_TYPES: Final = {
    code: f"numpy.dtypes.{name}DType"
    for code, name in {
        "b1": "Bool", "i1": "Int8", "i2": "Int16", "i4": "Int32", "i8": "Int64", "u1": "UInt8",
        "u2": "UInt16", "u4": "UInt32", "u8": "UInt64", "f2": "Float16", "f4": "Float32",
        "f8": "Float64", "c8": "Complex64", "c16": "Complex128", "O8": "Object", "M8": "DateTime64",
        "m8": "TimeDelta64", "U": "Str", "S": "Bytes", "V": "Void",
    }.items()
}  # fmt: skip
"""Classes of numpy's dtypes, which are no attribute of what the pickle names."""


def type_name(value: object) -> str:
    """Return the name of a value's type, for a sentence."""
    if type(value) is Thing:
        return "an unknown object" if value.kind is None else f"a {value.kind}"
    if type(value) is Global:
        return value.name
    if type(value) is TensorStub:
        return "a torch.Tensor"
    if type(value) is Storage:
        return "a storage"
    return f"a {type(value).__name__}"


def arguments(args: object) -> Sequence[Any]:
    """Return the arguments of a call as a sequence.

    Raises:
        Refused: they are none.
        Unsure: an object stands for them.
    """
    if type(args) in (tuple, list):
        return args  # type: ignore[return-value]
    if type(args) is Thing or type(args) is str:
        raise Unsure(f"takes {type_name(args)} for arguments")
    raise Refused(f"takes {type_name(args)} for arguments")


def hashable(value: object, work: Work) -> bool:
    """Say whether a value can be a key.

    Raises:
        Unsure: it is a nest that is too large.
    """
    waiting = [value]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if type(one) is list or (type(one) is Thing and one.kind in _UNHASHABLE):
            return False
        if type(one) is tuple and id(one) not in seen:
            seen.add(id(one))
            work.spend(len(one) + 1)
            waiting += one
    return True


def is_true(value: object) -> bool:
    """Say whether a value is true, as an `if` would ask."""
    if type(value) is Thing:
        return value.is_filled or value.kind not in _SIZED
    return bool(value) if type(value) in _PLAIN_TYPES else True
