"""What an ONNX model holds: its messages (`onnx/onnx.proto`), walked by number.

Every message that the parser goes into is in `SCHEMAS`, so that damage anywhere is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.tensors import MAX_DIMENSIONS, MAX_LISTED
from catalog.sources.formats.protobuf import Field, WireError, WireLimitError

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

_KINDS: Final = {"s": "text", "b": "bulk", "n": "number", "4": "four", "8": "eight"}


def _schema(text: str) -> dict[int, Field]:
    """Return a schema from its short form: `number:kind`, `*` for numbers that may be packed."""
    fields = {}
    for part in text.split():
        number, kind = part.split(":")
        repeated = kind.endswith("*")
        kind = kind.rstrip("*")
        known = _KINDS.get(kind)
        fields[int(number)] = (
            Field("message", kind) if known is None else Field(known, repeated=repeated)
        )
    return fields


SCHEMAS: Final = {
    name: _schema(text)
    for name, text in {
        "Model": "1:n 2:s 3:s 4:s 5:n 6:s 7:Graph 8:Opset 14:Entry 20:Training 25:Function "
        "26:Device",
        "Opset": "1:s 2:n",
        "Entry": "1:s 2:s",
        "Training": "1:Graph 2:Graph 3:Entry 4:Entry",
        "Function": "1:s 4:s 5:s 6:s 7:Node 8:s 9:Opset 10:s 11:Attribute 12:Value 13:s 14:Entry",
        "Device": "1:s 2:n 3:s",
        "Graph": "1:Node 2:s 5:Tensor 10:s 11:Value 12:Value 13:Value 14:Annotation 15:Sparse "
        "16:Entry",
        "Node": "1:s 2:s 3:s 4:s 5:Attribute 6:s 7:s 8:s 9:Entry 10:NodeDevice",
        "NodeDevice": "1:s 2:Sharding 3:n",
        "Sharding": "1:s 2:n* 3:IntList 4:ShardedDim",
        "IntList": "1:n 2:n*",
        "ShardedDim": "1:n 2:SimpleDim",
        "SimpleDim": "1:n 2:s 3:n",
        "Attribute": "1:s 2:4 3:n 4:s 5:Tensor 6:Graph 7:4* 8:n* 9:s 10:Tensor 11:Graph 13:s "
        "14:Type 15:Type 20:n 21:s 22:Sparse 23:Sparse",
        "Value": "1:s 2:Type 3:s 4:Entry",
        "Annotation": "1:s 2:Entry",
        "Tensor": "1:n* 2:n 3:Segment 4:4* 5:n* 6:b 7:n* 8:s 9:b 10:8* 11:n* 12:s 13:Entry 14:n "
        "16:Entry",
        "Segment": "1:n 2:n",
        "Sparse": "1:Tensor 2:Tensor 3:n*",
        "Type": "1:TensorType 4:SequenceType 5:MapType 6:s 7:OpaqueType 8:TensorType "
        "9:SequenceType",
        "TensorType": "1:n 2:Shape",
        "SequenceType": "1:Type",
        "MapType": "1:n 2:Type",
        "OpaqueType": "1:s 2:s 3:s",
        "Shape": "1:Dimension",
        "Dimension": "1:n 2:s 3:s",
    }.items()
}

DTYPES: Final = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16),
    6: ("int32", 32), 7: ("int64", 64), 8: ("string", 0), 9: ("bool", 8), 10: ("float16", 16),
    11: ("float64", 64), 12: ("uint32", 32), 13: ("uint64", 64), 14: ("complex64", 64),
    15: ("complex128", 128), 16: ("bfloat16", 16), 17: ("float8_e4m3fn", 8),
    18: ("float8_e4m3fnuz", 8), 19: ("float8_e5m2", 8), 20: ("float8_e5m2fnuz", 8),
    21: ("uint4", 4), 22: ("int4", 4), 23: ("float4_e2m1", 4), 24: ("float8_e8m0fnu", 8),
    25: ("uint2", 2), 26: ("int2", 2), 27: ("float6_e2m3", 6), 28: ("float6_e3m2", 6),
}  # fmt: skip
"""Name and bits of each `TensorProto.DataType`, of onnx 1.23."""
FIELD_OF_TYPE: Final = {1: 4, 14: 4, 7: 7, 11: 10, 15: 10, 12: 11, 13: 11}
"""Number of the field that holds the numbers of a type; 5, `int32_data`, of all others."""
_TYPED: Final = (4, 5, 7, 10, 11)
_EXTERNAL_KEYS: Final = ("location", "offset", "length")
_MAX_TEXT: Final = 4096
_MAX_VALUE: Final = 1024 * 1024
_MAX_ENTRIES: Final = 16
_MAX_ALL_ENTRIES: Final = 600_000
_MAX_TEXTS: Final = 24 * 1024 * 1024
"""Bytes of all texts that are kept."""
_MAX_PROPERTIES: Final = 1_000


class ModelTensor:
    """A `TensorProto`."""

    __slots__ = (
        "data_type",
        "dims",
        "entries",
        "external",
        "initializer",
        "name",
        "raw",
        "texts",
        "typed",
    )  # fmt: skip

    def __init__(self, *, initializer: bool) -> None:
        self.dims: list[int] = []
        self.data_type = 0
        self.name = ""
        self.raw: int | None = None
        """Bytes of `raw_data`."""
        self.typed: dict[int, int] = {}
        """Numbers in the fields that hold those of a type, by the field's number."""
        self.texts = 0
        self.external = False
        self.entries: list[list[str]] = []
        """[key, value] of `external_data`."""
        self.initializer = initializer


class _Graph:
    __slots__ = ("is_main",)

    def __init__(self, *, is_main: bool) -> None:
        self.is_main = is_main


class Model:
    """What a walk heard: the handler of `protobuf.walk`."""

    def __init__(self, source: ByteSource) -> None:
        """Prepare for the walk of a file."""
        self.ir_version = 0
        self.has_graph = False
        self.has_operators = False
        self.producer: str | None = None
        self.producer_version: str | None = None
        self.properties: list[list[str]] = []
        """[key, value] of the model's `metadata_props`."""
        self.tensors: list[ModelTensor] = []
        self._source = source
        self._room = _MAX_TEXTS
        self._entries_left = _MAX_ALL_ENTRIES

    def begin(self, schema: str, number: int, parent: Any) -> Any:
        """Hear that a message begins, and return what stands for it."""
        if schema == "Tensor":
            main = isinstance(parent, _Graph) and parent.is_main and number == 5
            if len(self.tensors) >= MAX_LISTED:
                raise WireLimitError(f"it holds more than {MAX_LISTED:,} tensors")
            tensor = ModelTensor(initializer=main)
            self.tensors.append(tensor)
            return tensor
        if schema == "Graph":
            self.has_graph |= parent is self
            return _Graph(is_main=parent is self)
        if schema == "Entry":
            return self._entry(number, parent)
        if schema == "Opset" and parent is self:
            self.has_operators = True
        return self if schema == "Model" else None

    def _entry(self, number: int, parent: Any) -> list[str] | None:
        entries = None
        if isinstance(parent, ModelTensor) and number == 13:
            entries = parent.entries
            if len(entries) >= _MAX_ENTRIES:
                raise WireLimitError("a tensor names its external data very often")
        elif parent is self and number == 14 and len(self.properties) < _MAX_PROPERTIES:
            entries = self.properties
        if entries is None:
            return None
        self._entries_left -= 1
        if self._entries_left < 0:
            raise WireLimitError("its tensors name very much external data")
        entry = ["", ""]
        entries.append(entry)
        return entry

    def value(self, owner: Any, number: int, value: int | tuple[int, int]) -> None:
        """Hear of a number, or of the place (start, end) of a text or of bulk."""
        if isinstance(owner, ModelTensor):
            self._tensor_value(owner, number, value)
        elif isinstance(owner, list) and isinstance(value, tuple) and number in (1, 2):
            owner[number - 1] = self._text(value)
        elif owner is self:
            if number == 1 and isinstance(value, int):
                self.ir_version = value
            elif number == 2 and isinstance(value, tuple):
                self.producer = self._text(value)
            elif number == 3 and isinstance(value, tuple):
                self.producer_version = self._text(value)

    def _tensor_value(self, tensor: ModelTensor, number: int, value: int | tuple[int, int]) -> None:
        if isinstance(value, tuple):
            if number == 9:
                tensor.raw = value[1] - value[0]
            elif number == 8:
                tensor.name = self._text(value)
            elif number == 6:
                tensor.texts += 1
                if tensor.initializer:
                    self._check_text(value)
        elif number == 1:
            _add_sizes(tensor, [value])
        elif number == 2:
            tensor.data_type = value
        elif number == 14:
            if value in (0, 1):  # a value that the enumeration lacks is passed over
                tensor.external = value == 1
        elif number in _TYPED:
            tensor.typed[number] = tensor.typed.get(number, 0) + 1

    def packed(self, owner: Any, number: int, count: int, numbers: list[int]) -> None:
        """Hear of packed numbers: how many, and the first of them where they are varints."""
        if isinstance(owner, ModelTensor):
            if number == 1:
                if count > MAX_DIMENSIONS:
                    raise WireLimitError("a tensor has very many dimensions")
                _add_sizes(owner, numbers)
            elif number in _TYPED:
                owner.typed[number] = owner.typed.get(number, 0) + count

    def _check_text(self, place: tuple[int, int]) -> None:
        """Check a value of a tensor of texts: numpy is given it as UTF-8."""
        start, end = place
        if end - start > _MAX_VALUE:
            raise WireLimitError("a text in it is very long")
        try:
            self._source.read_at(start, end - start).decode()
        except UnicodeDecodeError:
            raise WireError(f"the text at byte {start:,} is not UTF-8") from None

    def _text(self, place: tuple[int, int]) -> str:
        start, end = place
        data = self._source.read_at(start, min(end - start, _MAX_TEXT + 1))
        self._room -= len(data)
        if len(data) > _MAX_TEXT or self._room < 0:
            raise WireLimitError("its names are very long")
        return data.decode("utf-8", "replace")


def _add_sizes(tensor: ModelTensor, sizes: list[int]) -> None:
    for size in sizes:
        if size >= 1 << 63:
            raise WireError("a tensor has a negative size")
        if len(tensor.dims) >= MAX_DIMENSIONS:
            raise WireLimitError("a tensor has very many dimensions")
        tensor.dims.append(size)


def external_of(tensor: ModelTensor) -> dict[str, str]:
    """Return where a tensor's external data is: the last value of each known key."""
    return {key: value for key, value in tensor.entries if key in _EXTERNAL_KEYS}
