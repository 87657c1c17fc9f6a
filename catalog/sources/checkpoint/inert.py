"""Stand-ins for everything that a pickle would make: they record, and do nothing.

A call that is understood (a torch tensor, an OrderedDict) becomes its own stand-in or a
plain dict; any other becomes a `Call`. None of them copies its arguments, so that a small
pickle cannot ask for much memory by calling many times for the same thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.checkpoint.safety import Verdict
    from catalog.sources.facts import DefaultLoad

_DTYPES: Final = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}
"""torch's storage classes by the dtype they hold (`torch/storage.py`)."""


class Global:
    """A class or function that the pickle names."""

    __slots__ = ("name", "rebuild")

    def __init__(self, name: str) -> None:
        self.name = name
        """`module.qualified.name`, with Python 2's module names made new."""
        self.rebuild = _REBUILD.get(name)


class Call:
    """An object that the pickle would make by calling something."""

    __slots__ = ("args", "function", "items", "pairs", "state")

    def __init__(self, function: object, args: object) -> None:
        self.function = function
        self.args = args
        self.state: object = None
        self.pairs: dict[Any, Any] | None = None
        self.items: list[Any] | None = None

    @property
    def class_name(self) -> str | None:
        """`module.Class` of the object, None where the pickle computes the class."""
        function, args = self.function, self.args
        if (
            type(function) is Global
            and function.name == "copyreg._reconstructor"
            and type(args) is tuple
            and args
        ):
            function = args[0]
        return function.name if type(function) is Global else None


class Storage:
    """The numbers behind one or more tensors; they lie elsewhere in the file."""

    __slots__ = ("dtype", "key", "length")

    def __init__(self, dtype: str | None, key: str, length: int) -> None:
        self.dtype = dtype
        """None for an untyped storage, whose length counts bytes."""
        self.key = key
        self.length = length


class TensorStub:
    """A tensor without its numbers; shape and stride are as the file has them, unchecked."""

    __slots__ = ("dtype", "extra", "offset", "shape", "storage", "stride")

    def __init__(
        self,
        storage: Storage | None,
        dtype: str | None,
        offset: Any,
        shape: Any,
        stride: Any,
        extra: object = None,
    ) -> None:
        self.storage = storage
        """None for a placeholder, which has no numbers."""
        self.dtype = dtype
        self.offset = offset
        self.shape = shape
        self.stride = stride
        self.extra = extra
        """What else it is made of, and its numbers mean: a quantizer, a subclass with its state."""


class Key:
    """A dictionary key that is not hashed by its content, since that could take for ever."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Found:
    """What a pickle names: its globals, its storages, and calls that are an attack.

    Once the pickle is read it does not change, and pickles that are alike may share it.
    """

    __slots__ = (
        "attacks",
        "default_load",
        "globals",
        "has_loose_ends",
        "judged",
        "names",
        "sizes",
        "storages",
    )

    def __init__(self) -> None:
        self.globals: dict[str, Global] = {}
        self.storages: dict[str, Storage] = {}
        self.attacks: set[str] = set()
        self.has_loose_ends = False
        """Whether it makes something that the root does not hold: what it names may be there."""
        self.judged: tuple[Verdict, tuple[str, ...]] | None = None
        """What `safety.judge` said of it."""
        self.names: tuple[str, ...] | None = None
        """Its globals, sorted, as facts keep them."""
        self.default_load: DefaultLoad | None = None
        """What `default_load` said of it, where that holds for all pickles that share this."""
        self.sizes: tuple[list[str], tuple[int | None, ...]] | None = None
        """What `tensors.sizes_of` said of its storages."""


def _storage_of(args: tuple[Any, ...]) -> Storage | None:
    return args[0] if type(args[0]) is Storage else None


_MOST_SHARED: Final = 20_000
"""Stand-ins that are kept for the next checkpoint: some 5 MB."""
_LONGEST_KEY: Final = 40
_MOST_SIZES: Final = 8
_storages: dict[tuple[str | None, str, int], Storage] = {}
_stubs: dict[tuple[Any, ...], TensorStub] = {}


def _shared_storage(dtype: str | None, key: str, length: int) -> Storage:
    """Return the one stand-in of a storage that is described so, in whatever file."""
    which = (dtype, key, length)
    known = _storages.get(which)
    if known is None and len(key) > _LONGEST_KEY:
        return Storage(dtype, key, length)
    if known is None:
        if len(_storages) >= _MOST_SHARED:
            _storages.clear()
        known = _storages[which] = Storage(dtype, key, length)
    return known


def _shared_stub(
    storage: Storage,
    dtype: str | None,
    offset: Any,
    shape: Any,
    stride: Any,
    extra: tuple[Any, ...],
) -> TensorStub:
    """Return the one stand-in of a tensor that is described so, in whatever file.

    Two checkpoints of one model are then known by the identity of their tensors (`models`).
    Only sizes that are plain numbers are looked up: hashing others could take for ever.
    """
    if extra or not has_plain_sizes(offset, shape, stride):
        return TensorStub(storage, dtype, offset, shape, stride, extra or None)
    which = (storage, dtype, offset, shape, stride)
    known = _stubs.get(which)
    if known is None:
        if len(_stubs) >= _MOST_SHARED:
            _stubs.clear()
        known = _stubs[which] = TensorStub(storage, dtype, offset, shape, stride)
    return known


def has_plain_sizes(offset: object, shape: object, stride: object) -> bool:
    """Say whether a tensor's sizes are a few plain numbers, which nothing can change later."""
    return (
        type(offset) is int
        and type(shape) is tuple
        and type(stride) is tuple
        and len(shape) <= _MOST_SIZES
        and len(stride) <= _MOST_SIZES
        and _INT.issuperset(map(type, shape + stride))
    )


_INT: Final = frozenset({int})


def _tensor_v2(args: tuple[Any, ...]) -> object:
    """Take (storage, offset, size, stride, requires_grad, backward_hooks, metadata)."""
    storage = _storage_of(args)
    extra = _filled(args[5:])
    return storage and _shared_stub(storage, storage.dtype, args[1], args[2], args[3], extra)


def _tensor_v3(args: tuple[Any, ...]) -> object:
    """Take the same with a dtype before the metadata."""
    storage = _storage_of(args)
    extra = _filled((args[5], *args[7:]))
    dtype = dtype_name(args[6])
    return storage and _shared_stub(storage, dtype, args[1], args[2], args[3], extra)


def _quantized(args: tuple[Any, ...]) -> object:
    """Take (storage, offset, size, stride, quantizer, requires_grad, backward_hooks)."""
    storage = _storage_of(args)
    extra = (args[4], *_filled(args[6:]))
    return storage and TensorStub(storage, storage.dtype, args[1], args[2], args[3], extra)


def _filled(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return those of a call's last arguments that say anything."""
    return tuple(part for part in parts if part is not None and part != {})


def _meta_tensor(args: tuple[Any, ...]) -> object:
    return TensorStub(None, dtype_name(args[0]), 0, args[1], args[2])


def _parameter(args: tuple[Any, ...]) -> object:
    """Take (data, requires_grad, backward_hooks, state)."""
    return _with_extra(args[0], _filled(args[2:]))


def _from_type(args: tuple[Any, ...]) -> object:
    """Take (function, type, its arguments, state)."""
    function, inner = args[0], args[2]
    if type(function) is Global and function.rebuild is not None and type(inner) is tuple:
        tensor = None if function.rebuild is _from_type else function.rebuild(inner)
        is_plain = type(args[1]) is Global and args[1].name in _PLAIN_TENSORS
        return _with_extra(tensor, _filled((None if is_plain else args[1], *args[3:])))
    return None


_PLAIN_TENSORS: Final = frozenset(
    {"torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"}
)


def _with_extra(tensor: object, extra: tuple[Any, ...]) -> object:
    """Return a tensor that is made of more than its storage, None where it is none."""
    if type(tensor) is not TensorStub:
        return None
    if not extra:
        return tensor
    extra = extra if tensor.extra is None else (tensor.extra, *extra)
    return TensorStub(
        tensor.storage, tensor.dtype, tensor.offset, tensor.shape, tensor.stride, extra
    )


def _empty_dict(args: tuple[Any, ...]) -> object:
    return None if args else {}


def _default_dict(args: tuple[Any, ...]) -> object:
    return {} if len(args) <= 1 else None


def _set(args: tuple[Any, ...]) -> object:
    return args[0] if len(args) == 1 and type(args[0]) is list else None


_REBUILD: Final[dict[str, Callable[[tuple[Any, ...]], object]]] = {
    "torch._utils._rebuild_tensor": _tensor_v2,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "collections.OrderedDict": _empty_dict,
    "collections.defaultdict": _default_dict,
    "builtins.set": _set,
    "builtins.frozenset": _set,
}
"""What is understood of calls: each takes the arguments and copies none of them.

Their arguments are those of the functions of the same name in `torch/_utils.py` and
`torch/_tensor.py`.
"""


def takes_storage(function: Global) -> bool:
    """Say whether a function makes a tensor of storage, offset, shape and stride, in that order."""
    return function.rebuild is _tensor_v2


def dtype_name(value: object) -> str | None:
    """Return torch's short name of a dtype that a pickle names, `float32` for `torch.float32`."""
    if type(value) is Global and value.name.startswith("torch."):
        return value.name[6:]
    return None


def storage_dtype(kind: Global) -> str | None:
    """Return the dtype that one of torch's storage classes holds, None for an untyped one."""
    return _DTYPES.get(kind.name.rpartition(".")[2])


_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def named(module: object, name: object, found: Found) -> Global:
    """Return the stand-in of a class or function, the same one for the same name."""
    if type(module) is not str or type(name) is not str:
        raise ValueError("a global without a name")
    full = f"{_MODULES.get(module, module)}.{name}"
    known = found.globals.get(full)
    if known is None:
        known = found.globals[full] = Global(full)
    return known


def persistent(pid: object, found: Found) -> object:
    """Return the stand-in for a persistent id, as torch's zip and legacy files use them."""
    if type(pid) is tuple and len(pid) >= 5 and pid[0] == "storage" and type(pid[1]) is Global:
        key, length = pid[2], pid[4]
        if type(key) is str and type(length) is int and 0 <= length < 1 << 62:
            storage = found.storages.get(key)
            if storage is None:
                storage = _shared_storage(storage_dtype(pid[1]), key, length)
                found.storages[key] = storage
            if len(pid) > 5 and pid[5] is not None:
                found.has_loose_ends = True  # a view of a storage, as torch 0.3 wrote them
            return storage
    return Call(None, pid)


def call(function: object, args: object, found: Found) -> object:
    """Return the stand-in for a call; nothing is called."""
    if type(function) is Global:
        if function.rebuild is not None and type(args) is tuple:
            try:
                made = function.rebuild(args)
            except IndexError:
                made = None
            if made is not None:
                return made
        if function.name == "builtins.getattr" and not _is_enum_member(args):
            found.attacks.add(function.name)
    return Call(function, args)


def is_looked_into(function: object) -> bool:
    """Say whether `call` looks into the arguments of a function."""
    return type(function) is Global and (
        function.rebuild is not None or function.name == "builtins.getattr"
    )


class Acts(NamedTuple):
    """What the machine does beyond moving things about: all that looks into what it moves."""

    call: Callable[[object, object, Found], object]
    persistent: Callable[[object, Found], object]
    named: Callable[[object, object, Found], Global]


ACTS: Final = Acts(call, persistent, named)


def _is_enum_member(args: object) -> bool:
    """Tell the one harmless use of `getattr`: Python 3.11 pickles enum members so."""
    return (
        type(args) is tuple
        and len(args) == 2
        and type(args[0]) is Global
        and type(args[1]) is str
        and args[1].isidentifier()
        and not args[1].startswith("_")
    )


def dict_key(key: object) -> object:
    """Return a key that can be hashed in no time: text and small numbers stay as they are."""
    if type(key) is int:
        return key if -(1 << 63) <= key < 1 << 64 else Key(key)
    if type(key) in _UNHASHED:
        return Key(key)
    return key


_UNHASHED: Final = frozenset({tuple, list, dict, bytearray})
