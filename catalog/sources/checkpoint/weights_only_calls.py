"""What torch's weights-only unpickler calls, and whether these calls would succeed.

Each function takes what the one of the same name in `torch/_utils.py`, `torch/_tensor.py` or
Python's own library takes, as stand-ins, and gives a stand-in of the result. Nothing is called.
"""

from __future__ import annotations

import re
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Global, Storage, TensorStub, dtype_name
from catalog.sources.checkpoint.tensors import ITEM_SIZES
from catalog.sources.checkpoint.weights_only_things import (
    COUNTER,
    DICT,
    MAPPINGS,
    ORDERED,
    SCALARS,
    SET,
    Refused,
    Thing,
    Unsure,
    Work,
    arguments,
    hashable,
    is_true,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TENSOR: Final = "torch.Tensor"
_PARAMETER: Final = "torch.nn.parameter.Parameter"
_NESTED: Final = "torch.nested._internal.nested_tensor.NestedTensor"
_LAYOUT: Final = "torch.layout"
_DEEPEST: Final = 20


def _refuse(name: str) -> Refused:
    return Refused(f"calls {name} with arguments that it does not take")


def _keys(values: object, name: str, work: Work, *, pairs: bool) -> None:
    """Look whether values can fill a set or a dict."""
    if type(values) in (tuple, list):
        work.spend(len(values) + 1)  # type: ignore[arg-type]
        for one in values:  # type: ignore[attr-defined]
            key = one
            if pairs:
                if type(one) not in (tuple, list):
                    raise Unsure(f"calls {name} with {type_name(one)}")
                if len(one) != 2:
                    raise _refuse(name)
                key = one[0]
            if not hashable(key, work):
                raise _refuse(name)
    elif type(values) is Thing and (values.kind in MAPPINGS or values.kind == SET):
        if pairs and values.kind == SET and values.is_filled:
            raise Unsure(f"calls {name} with a set")
    elif type(values) is str:
        if pairs and values:
            raise _refuse(name)
    elif type(values) in SCALARS or type(values) is Global:
        raise _refuse(name)
    else:
        raise Unsure(f"calls {name} with {type_name(values)}")


def _container(name: str, args: Sequence[Any], work: Work) -> Thing:
    made = Thing(name)
    if len(args) > 1:
        raise _refuse(name)
    if args:
        given = args[0]
        if not (name == COUNTER and given is None):
            _keys(given, name, work, pairs=name == ORDERED)
        made.is_filled = is_true(given)
    return made


_ENCODINGS: Final = {"latin1": "latin-1", "latin-1": "latin-1", "utf-8": "utf-8", "ascii": "ascii"}


def _encoded(name: str, args: Sequence[Any], work: Work) -> Thing:
    """Look at `_codecs.encode(text, encoding)`, and `bytearray(text, encoding)`."""
    text, encoding = args[0], args[1] if len(args) > 1 else "utf-8"
    if type(text) is not str or type(encoding) is not str:
        raise _refuse(name)
    known = _ENCODINGS.get(encoding)
    if known is None and not _is_encoding(encoding):
        raise _refuse(name)
    if known is None or len(args) > 2:
        raise Unsure(f"encodes text as {encoding[:40]}")
    if not text.isascii():
        work.spend(len(text) // 1_000 + 1)
        try:
            text.encode(known)
        except UnicodeEncodeError:
            raise _refuse(name) from None
    made = Thing("builtins.bytes" if name == "_codecs.encode" else name)
    made.is_filled = bool(text)
    return made


def _is_encoding(name: str) -> bool:
    """Say whether Python knows an encoding, without looking for its module."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    return plain in aliases or plain in aliases.values()


def _encode(name: str, args: Sequence[Any], work: Work) -> Thing:
    if not args:
        raise _refuse(name)
    return _encoded(name, args, work)


def _bytearray(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) > 1:
        return _encoded(name, args, work)
    made = Thing(name)
    if args:
        given = args[0]
        if type(given) in (str, float, type(None)) or type(given) is Global:
            raise _refuse(name)
        if type(given) is not bytes and getattr(given, "kind", None) != "builtins.bytes":
            raise Unsure(f"calls {name} with {type_name(given)}")
        made.is_filled = is_true(given)
    return made


def _complex(name: str, args: Sequence[Any], _work: Work) -> Thing:
    if len(args) > 2 or any(type(one) not in (int, float, bool) for one in args):
        if args and type(args[0]) is str:
            raise Unsure(f"calls {name} with text")
        raise _refuse(name)
    made = Thing(name)
    made.is_filled = True
    return made


def _sizes(value: object, name: str, work: Work) -> Sequence[int] | None:
    """Return the whole numbers of a size or stride, None where they are not known."""
    if type(value) is Thing and value.kind == "torch.Size":
        return None
    if type(value) not in (tuple, list):
        raise _refuse(name)
    work.spend(len(value) + 1)  # type: ignore[arg-type]
    for one in value:  # type: ignore[attr-defined]
        if type(one) in (TensorStub, Thing):
            raise Unsure(f"calls {name} with {type_name(one)} as a size")
        if type(one) is not int or not -(1 << 63) <= one < 1 << 63:
            raise _refuse(name)
    return value  # type: ignore[return-value]


def _size(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) > 1:
        raise _refuse(name)
    if args:
        _sizes(args[0], name, work)
    made = Thing(name)
    made.is_filled = bool(args and args[0])
    return made


_DEVICES: Final = re.compile(
    r"(?:cpu|cuda|ipu|xpu|mkldnn|opengl|opencl|ideep|hip|ve|fpga|maia|xla|lazy|vulkan|mps|meta|hpu"
    r"|mtia|privateuseone)(:(?:0|[1-9][0-9]{0,2}))?"
)


def _device(name: str, args: Sequence[Any], _work: Work) -> Thing:
    if not args or len(args) > 2:
        raise _refuse(name)
    if type(args[0]) is int:
        raise Unsure("names a device by its number alone")
    found = _DEVICES.fullmatch(args[0]) if type(args[0]) is str else None
    if found is None or (len(args) == 2 and (type(args[1]) is not int or found[1])):
        raise _refuse(name)
    return Thing(name)


_LAYOUTS: Final = frozenset(
    f"torch.{name}"
    for name in (
        "strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged",
        "_mkldnn",
    )
)  # fmt: skip


def _layout(name: str, args: Sequence[Any], _work: Work) -> Thing:
    if len(args) != 1 or type(args[0]) is not str or args[0] not in _LAYOUTS:
        raise _refuse(name)
    return Thing(_LAYOUT, args[0])


def _is_tensor(value: object) -> bool:
    return type(value) is TensorStub or (
        type(value) is Thing and (value.is_foreign or value.kind in (_TENSOR, _PARAMETER, _NESTED))
    )


_WHOLE: Final = ("int", "uint", "bool", "qint", "quint", "bits")


def _gradient(dtype: str | None, wanted: object, name: str) -> None:
    """Look whether a tensor may require a gradient: only one of fractions may."""
    if type(wanted) is not bool or (wanted and dtype is not None and dtype.startswith(_WHOLE)):
        raise _refuse(name)


def _dtype_of(value: object) -> str | None:
    if type(value) is TensorStub:
        return value.dtype
    return value.detail if type(value) is Thing else None


def _parameter(name: str, args: Sequence[Any], _work: Work) -> Thing:
    """Look at `Parameter(data=None, requires_grad=True)`."""
    if len(args) > 2:
        raise _refuse(name)
    data = args[0] if args else None
    if data is not None and not _is_tensor(data):
        raise _refuse(name)
    _gradient(_dtype_of(data), args[1] if len(args) == 2 else True, name)
    if type(data) is Thing and data.is_foreign:
        return data
    return Thing(_PARAMETER, _dtype_of(data))


def _rebuild_parameter(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 3:
        raise _refuse(name)
    return _parameter(name, args[:2], work)


def _rebuild_parameter_with_state(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 4:
        raise _refuse(name)
    made = _parameter(name, args[:2], work)
    _attributes(args[3], name)
    return made


def _attributes(state: object, name: str) -> None:
    """Look at a state that is set attribute by attribute: a dict, or one and that of slots."""
    parts = state if type(state) is tuple else (state, None)
    if len(parts) != 2:
        raise _refuse(name)
    for part in parts:
        if is_true(part) and not (type(part) is Thing and part.kind in MAPPINGS):
            if type(part) is Thing and part.is_foreign:
                raise Unsure(f"takes the attributes of a tensor from {type_name(part)}")
            raise _refuse(name)


def _strided(name: str, args: Sequence[Any], work: Work) -> Storage:
    """Look at storage, offset, size and stride of a tensor."""
    storage, offset, size, stride = args
    if type(storage) is not Storage:
        if type(storage) is Thing and storage.is_foreign:
            raise Unsure(f"takes {type_name(storage)} for a storage")
        raise _refuse(name)
    if type(offset) is not int or offset < 0:
        raise _refuse(name)
    sizes, strides = _sizes(size, name, work), _sizes(stride, name, work)
    if sizes is None or strides is None:
        return storage
    if len(sizes) != len(strides) or min((*sizes, *strides), default=0) < 0:
        raise _refuse(name)
    return storage


def _rebuild_tensor(name: str, args: Sequence[Any], work: Work) -> TensorStub:
    if len(args) != 4:
        raise _refuse(name)
    storage = _strided(name, args, work)
    return TensorStub(storage, storage.dtype or "uint8", *args[1:4])


def _rebuild_tensor_v2(name: str, args: Sequence[Any], work: Work) -> TensorStub:
    if len(args) not in (6, 7):
        raise _refuse(name)
    storage = _strided(name, args[:4], work)
    dtype = storage.dtype or "uint8"
    _gradient(dtype, args[4], name)
    _metadata(args[6:], name)
    return TensorStub(storage, dtype, *args[1:4])


def _rebuild_tensor_v3(name: str, args: Sequence[Any], work: Work) -> TensorStub:
    if len(args) not in (7, 8):
        raise _refuse(name)
    storage, dtype = _strided(name, args[:4], work), _dtype(args[6], name)
    _gradient(dtype, args[4], name)
    _metadata(args[7:], name)
    return TensorStub(storage, dtype, *args[1:4])


def fits(stub: TensorStub) -> bool:
    """Say whether a tensor's numbers are within its storage, as far as its sizes are plain."""
    storage, shape, stride = stub.storage, stub.shape, stub.stride
    if storage is None or type(shape) not in (tuple, list) or type(stride) not in (tuple, list):
        return True
    last = stub.offset
    for size, step in zip(shape, stride, strict=False):
        if size == 0:
            return True
        last += (size - 1) * step
    # The length of an untyped storage counts bytes.
    unit = ITEM_SIZES.get(stub.dtype or "", 1) if storage.dtype is None else 1
    return bool((last + 1) * unit <= storage.length)


def _metadata(given: Sequence[Any], name: str) -> None:
    if given and is_true(given[0]) and getattr(given[0], "kind", None) != DICT:
        raise _refuse(name)


def _dtype(value: object, name: str) -> str:
    found = dtype_name(value)
    if found is None or not found.startswith((*_WHOLE, "float", "bfloat", "complex", "bcomplex")):
        raise _refuse(name)
    return found


def _rebuild_qtensor(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 7 or type(args[4]) not in (tuple, list) or not args[4]:
        raise _refuse(name)
    storage = _strided(name, args[:4], work)
    scheme = args[4][0].name if type(args[4][0]) is Global else ""
    parts = 3 if scheme == "torch.per_tensor_affine" else 4
    if scheme not in _SCHEMES or len(args[4]) != parts:
        raise _refuse(name)
    if storage.dtype is None or not storage.dtype.startswith(("qint", "quint")):
        raise _refuse(name)
    _gradient(storage.dtype, args[5], name)
    return Thing(_TENSOR, storage.dtype)


_SCHEMES: Final = frozenset(
    {
        "torch.per_tensor_affine",
        "torch.per_channel_affine",
        "torch.per_channel_affine_float_qparams",
    }
)


def _rebuild_sparse_tensor(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 2 or type(args[1]) not in (tuple, list):
        raise _refuse(name)
    layout, data = args
    if type(layout) is not Thing or layout.kind != _LAYOUT:
        raise _refuse(name)
    lengths = (3, 4) if layout.detail == "torch.sparse_coo" else (4,)
    if layout.detail not in _SPARSE or len(data) not in lengths:
        raise _refuse(name)
    tensors, sizes = (data[:2], data[2]) if lengths == (3, 4) else (data[:3], data[3])
    if not all(map(_is_tensor, tensors)):
        raise _refuse(name)
    _sizes(sizes, name, work)
    return Thing(_TENSOR, _dtype_of(tensors[-1]))


_SPARSE: Final = frozenset(name for name in _LAYOUTS if ".sparse_" in name)


def _rebuild_nested_tensor(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 4 or not all(map(_is_tensor, args)):
        raise _refuse(name)
    if work.in_legacy:
        raise Unsure("makes a nested tensor of sizes that are not yet read")
    return Thing(_TENSOR, _dtype_of(args[0]))


def _rebuild_meta_tensor(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 4:
        raise _refuse(name)
    dtype = _dtype(args[0], name)
    sizes, strides = _sizes(args[1], name, work), _sizes(args[2], name, work)
    if sizes is not None and strides is not None and len(sizes) != len(strides):
        raise _refuse(name)
    _gradient(dtype, args[3], name)
    return Thing(_TENSOR, dtype)


def _rebuild_device_tensor(name: str, args: Sequence[Any], _work: Work) -> Thing:
    if len(args) != 4 or type(args[2]) is not str:
        raise _refuse(name)
    data = args[0]
    from_numpy = name.endswith("_numpy")
    if not _is_tensor(data) or (from_numpy and not (type(data) is Thing and data.is_foreign)):
        raise _refuse(name)
    dtype = _dtype(args[1], name)
    _gradient(dtype, args[3], name)
    return Thing(_TENSOR, dtype)


def _rebuild_wrapper_subclass(name: str, args: Sequence[Any], work: Work) -> Thing:
    if len(args) != 8 or type(args[0]) is not Global:
        raise _refuse(name)
    _dtype(args[1], name)
    _sizes(args[2], name, work)
    kind = args[0].name
    if kind in _CALLS:
        raise Unsure(f"makes a wrapper of {kind}")
    return Thing(kind, foreign=True)


def _rebuild_from_type(name: str, args: Sequence[Any], work: Work) -> object:
    """Look at `_rebuild_from_type_v2(func, new_type, args, state)`, one within another too."""
    types: list[tuple[str, object]] = []
    while True:
        if len(args) != 4 or type(args[0]) is not Global or type(args[1]) is not Global:
            raise _refuse(name)
        function, kind, inner, state = args
        types.append((kind.name, state))
        args = arguments(inner)
        if function.name != name:
            break
        if len(types) > _DEEPEST:
            raise Unsure("nests tensors too deep")
    made = (
        called(function.name, args, work) if function.name in _CALLS else Thing(None, foreign=True)
    )
    if not _is_tensor(made):
        raise _refuse(name)
    for kind_name, state in reversed(types):
        if kind_name in _CALLS and kind_name not in (_TENSOR, _PARAMETER, _NESTED):
            raise _refuse(name)
        foreign = kind_name not in _CALLS
        if not foreign:
            _attributes(state, name)
        if kind_name != _TENSOR or type(made) is not TensorStub:
            made = Thing(kind_name, _dtype_of(made), foreign=foreign)
    return made


def _rebuild_njt(name: str, args: Sequence[Any], _work: Work) -> Thing:
    if len(args) != 1 or type(args[0]) is not Thing or args[0].kind not in MAPPINGS:
        raise _refuse(name)
    return Thing(_NESTED)


def _mesh_layout(name: str, _args: Sequence[Any], _work: Work) -> Thing:
    return Thing(name)


def _unknown(name: str, _args: Sequence[Any], _work: Work) -> Thing:
    raise Unsure(f"calls {name}")


def _tensor(name: str, args: Sequence[Any], _work: Work) -> Thing:
    if args:
        raise Unsure(f"calls {name}")
    return Thing(_TENSOR, "float32")


_CALLS: Final[dict[str, Callable[[str, Sequence[Any], Work], object]]] = {
    ORDERED: _container,
    COUNTER: _container,
    SET: _container,
    "builtins.bytearray": _bytearray,
    "builtins.complex": _complex,
    "_codecs.encode": _encode,
    "torch.Size": _size,
    "torch.device": _device,
    "torch.serialization._get_layout": _layout,
    _TENSOR: _tensor,
    _PARAMETER: _parameter,
    _NESTED: _unknown,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter_with_state,
    "torch._utils._rebuild_qtensor": _rebuild_qtensor,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_sparse_tensor": _rebuild_sparse_tensor,
    "torch._utils._rebuild_meta_tensor_no_storage": _rebuild_meta_tensor,
    "torch._utils._rebuild_nested_tensor": _rebuild_nested_tensor,
    "torch._utils._rebuild_wrapper_subclass": _rebuild_wrapper_subclass,
    "torch._utils._rebuild_device_tensor_from_numpy": _rebuild_device_tensor,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _rebuild_device_tensor,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch.nested._internal.nested_tensor._rebuild_njt": _rebuild_njt,
    "torch.distributed._mesh_layout._FlatLayout": _mesh_layout,
    "torch.distributed._mesh_layout._MeshLayout": _mesh_layout,
    "torch.storage.TypedStorage": _unknown,
    "torch.storage.UntypedStorage": _unknown,
}
"""Allowed names that can be called."""


def called(name: str, args: Sequence[Any], work: Work) -> object:
    """Return what the call of an allowed name gives (REDUCE).

    Raises:
        Refused: the call would fail.
        Unsure: it cannot be told whether it would.
    """
    function = _CALLS.get(name)
    if function is None:
        if name.endswith("Tensor"):
            raise Unsure(f"calls {name}")
        raise Refused(f"calls {name}, which is no function")
    return function(name, args, work)


def created(name: str, args: Sequence[Any], work: Work) -> object:
    """Return an object of an allowed class, made without its `__init__` (NEWOBJ).

    Raises:
        Refused: it would fail.
        Unsure: it cannot be told whether it would.
    """
    if name in (ORDERED, COUNTER, SET, "builtins.bytearray"):
        return Thing(name)
    if "._rebuild_" in name or name in ("_codecs.encode", "torch.serialization._get_layout"):
        raise Refused(f"makes an object of {name}, which is no class")
    if name in ("torch.distributed._mesh_layout._FlatLayout", _NESTED) and args:
        raise Unsure(f"makes an object of {name}")
    return called(name, args, work)


def built(value: object, state: object) -> None:
    """Look at the setting of a state on an object (BUILD).

    Raises:
        Refused: it would fail.
        Unsure: it cannot be told whether it would.
    """
    kind = _TENSOR if type(value) is TensorStub else value.kind if type(value) is Thing else None
    if kind == _TENSOR:
        if type(state) not in (tuple, list):
            raise Refused("sets the state of a tensor")
        if len(state) != 4 or type(state[0]) is not Storage:  # type: ignore[arg-type, index]
            raise Unsure("sets the state of a tensor")
    elif kind == _PARAMETER:
        _parameter_state(state)
    elif kind == ORDERED:
        if not (type(state) is Thing and state.kind in MAPPINGS) and is_true(state):
            raise Refused("sets a state that is no dict on an OrderedDict")
        if state is None or type(state) in SCALARS:
            raise Refused("sets a state that is no dict on an OrderedDict")
    elif kind == COUNTER:
        _attributes(state, COUNTER)
    elif kind is not None and kind.startswith("torch.distributed._mesh_layout."):
        return
    elif (
        kind is None
        or kind not in _CALLS
        or any(map(is_true, state if type(state) is tuple and len(state) == 2 else (state,)))
    ):
        raise Refused(f"sets the state of {type_name(value)}")


def _parameter_state(state: object) -> None:
    """Look at the state of a Parameter: three parts, of old files four or five."""
    if type(state) not in (tuple, list):
        raise Refused("sets the state of a Parameter")
    if len(state) == 3:  # type: ignore[arg-type]
        if type(state[0]) is not bool:  # type: ignore[index]
            raise Refused("sets the state of a Parameter")
    elif len(state) in (4, 5):  # type: ignore[arg-type]
        raise Unsure("sets the state of a Parameter as very old versions did")
    else:
        raise Refused("sets the state of a Parameter")
