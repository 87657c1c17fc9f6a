"""From a pickle's stand-ins to plain data, within a budget.

What has a plain meaning keeps it: OmegaConf nodes (interpolations stay as they stand),
`Namespace`, subclasses of dict and list, enum members, paths, torch devices, dtypes and
sizes, dates, one-element tensors and NumPy scalars. Everything else becomes
`{"__opaque__": "module.Class"}`, which says what stood there and invents nothing.
"""

from __future__ import annotations

import struct
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Call, Global, Key, TensorStub
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.facts import Plain

MAX_VALUES: Final = 20_000
MAX_TEXT: Final = 1_000_000
MAX_DEPTH: Final = 40

_NAMESPACES: Final = frozenset({"argparse.Namespace", "types.SimpleNamespace"})
_NUMPY_SCALARS: Final = frozenset({"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
_NUMPY_CODES: Final = {
    "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?",
}  # fmt: skip


def opaque(name: str | None) -> dict[str, Plain]:
    """Return the marker that stands for an object without a plain meaning."""
    return {"__opaque__": clean(name or "unknown")[:200]}


def numpy_scalar(value: object) -> int | float | bool | None:
    """Return the number in a pickled NumPy scalar, None for anything else.

    It is `scalar(dtype("f8", ...), bytes)`; the byte order stands in the dtype's state, and
    protocol 2 writes the bytes as `_codecs.encode(text, "latin1")`.
    """
    if type(value) is not Call or type(value.args) is not tuple or len(value.args) != 2:
        return None
    if value.class_name not in _NUMPY_SCALARS:
        return None
    dtype, raw = value.args
    if type(raw) is Call and raw.class_name == "_codecs.encode" and type(raw.args) is tuple:
        text = raw.args[0] if raw.args else None
        raw = text.encode("latin-1", "replace") if type(text) is str and len(text) <= 8 else None
    if type(raw) is not bytes or type(dtype) is not Call or type(dtype.args) is not tuple:
        return None
    code = _NUMPY_CODES.get(dtype.args[0]) if dtype.args and type(dtype.args[0]) is str else None
    state = dtype.state
    order = state[1] if type(state) is tuple and len(state) > 1 else "<"
    if code is None or struct.calcsize(code) != len(raw):
        return None
    number: int | float | bool = struct.unpack((">" if order == ">" else "<") + code, raw)[0]
    return number


def attributes(value: object) -> dict[Any, Any]:
    """Return the attributes that a pickle gives to an object: its `__dict__` and slots."""
    state = value.state if type(value) is Call else None
    if type(state) is dict:
        return state
    if type(state) is tuple and len(state) == 2:
        return state[0] if type(state[0]) is dict else state[1] if type(state[1]) is dict else {}
    return {}


class Unwrapper:
    """Turns stand-ins to plain data until its budget is spent.

    Args:
        number: gives the number in a one-element tensor, or None.

    """

    def __init__(self, number: Callable[[object], float | None]) -> None:
        self._number = number
        self._values = MAX_VALUES
        self._text = MAX_TEXT
        self.cut = False
        """Whether something was left out for its size or depth."""

    def unwrap(self, value: object, depth: int = 0) -> Plain:
        """Return plain data; shared parts are copied, and what is too much is left out."""
        self._values -= 1
        if self._values < 0 or depth > MAX_DEPTH:
            self.cut = True
            return opaque("left out: too large or too deep")
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, int):
            return value if -(1 << 63) <= value < 1 << 63 else opaque("int")
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            return self._sequence(value, depth)
        if isinstance(value, Global):
            return value.name if _is_dtype(value.name) else opaque(value.name)
        if isinstance(value, TensorStub):
            found = self._number(value)
            return opaque("torch.Tensor") if found is None else found
        if isinstance(value, Call):
            return self._call(value, depth)
        return opaque(type(value).__name__)

    def _string(self, text: str) -> str:
        self._text -= len(text)
        if self._text < 0:
            self.cut = True
            return clean(text[:200]) + "..."
        return clean(text)

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key, part in value.items():
            if self._values < 0:
                self.cut = True
                break
            plain[self._key(key)] = self.unwrap(part, depth + 1)
        return plain

    def _sequence(self, values: list[Any] | tuple[Any, ...], depth: int) -> list[Plain]:
        plain: list[Plain] = []
        for part in values:
            if self._values < 0:
                self.cut = True
                break
            plain.append(self.unwrap(part, depth + 1))
        return plain

    def _key(self, key: object) -> str:
        if isinstance(key, str):
            return self._string(key)
        if isinstance(key, Global):
            return clean(key.name)
        if isinstance(key, Key):
            return f"<{type(key.value).__name__}>"
        return f"<{key.class_name}>" if isinstance(key, Call) else str(key)[:200]

    def _call(self, value: Call, depth: int) -> Plain:
        name = value.class_name or ""
        if name.startswith("omegaconf."):
            inner = attributes(value)
            for key in ("_val", "_content"):
                if key in inner:
                    return self.unwrap(inner[key], depth + 1)
            return opaque(name)
        if name in _NAMESPACES:
            return self._mapping(attributes(value), depth)
        if value.pairs is not None:
            return self._mapping(value.pairs, depth)
        if value.items is not None:
            return self._sequence(value.items, depth)
        known = numpy_scalar(value)
        if known is not None:
            return known
        if isinstance(value.args, tuple):
            meaning = _meaning(name, value.args)
            if meaning is not None:
                return self.unwrap(meaning, depth + 1)
        return opaque(name)


def _is_dtype(name: str) -> bool:
    head, _, tail = name.partition(".")
    return head == "torch" and tail.rstrip("0123456789").rstrip("_") in _DTYPE_STEMS


_DTYPE_STEMS: Final = frozenset({"float", "bfloat", "int", "uint", "complex", "bool"})


def _meaning(name: str, args: tuple[Any, ...]) -> object:
    """Return the plain value of a few well-known calls, None for the others."""
    texts = [part for part in args if isinstance(part, str)]
    if name == "torch.Size" and len(args) == 1:
        return args[0]
    if name == "torch.device" and texts:
        return ":".join([texts[0], *[str(n) for n in args[1:2] if type(n) is int and n < 1024]])
    if name.startswith("pathlib.") and texts and len(texts) == len(args) <= 100:
        joint = "\\" if "Windows" in name else "/"
        first = texts[0].rstrip(joint) if len(texts) > 1 else texts[0]
        return joint.join([first, *texts[1:]])
    if name in ("datetime.datetime", "datetime.date") and args:
        return _date(args[0])
    if name == "builtins.getattr" and len(args) == 2:
        return args[1] if isinstance(args[1], str) else None
    if len(args) == 1 and type(args[0]) in (str, int) and not name.startswith(("builtins.", "_")):
        # An enum member is `Enum(value)`; so are Decimal, UUID and the like, by their text.
        return args[0]
    return None


def _date(raw: object) -> str | None:
    """Return ISO text of a pickled date: a byte for each field, year and microseconds more."""
    if isinstance(raw, Call) and raw.class_name == "_codecs.encode" and isinstance(raw.args, tuple):
        text = raw.args[0] if raw.args else None
        raw = text.encode("latin-1", "replace") if isinstance(text, str) and len(text) < 16 else b""
    if not isinstance(raw, bytes):
        return None
    try:
        if len(raw) == 4:
            return date(int.from_bytes(raw[:2]), raw[2], raw[3]).isoformat()
        if len(raw) == 10:
            year, month = int.from_bytes(raw[:2]), raw[2] & 0x7F
            day, hour, minute, second = raw[3:7]
            microsecond = int.from_bytes(raw[7:])
            moment = datetime(year, month, day, hour, minute, second, microsecond)  # noqa: DTZ001
            return moment.isoformat()
    except ValueError:
        return None
    return None
