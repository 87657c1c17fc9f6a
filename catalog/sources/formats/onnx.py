"""ONNX models: a protobuf (`onnx/onnx.proto`), with weights in it or in files beside it.

What is refused is that of `onnx.load` and of reading every initializer (onnx 1.23): the whole
protobuf is walked to its end, and external data is looked for as `onnx/external_data_helper.py`
does. Its graph is not checked, for that takes the table of all operators (`onnx/checker.cc`): a
model whose weights are all there is recognised, and not called readable.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import signatures
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.single import read_file
from catalog.sources.checkpoint.tensors import element_count
from catalog.sources.facts import Checkpoint, Facts, Tensor
from catalog.sources.formats.folder import FolderFormat, Whole, files_of
from catalog.sources.formats.format import Format
from catalog.sources.formats.onnx_model import (
    DTYPES,
    FIELD_OF_TYPE,
    SCHEMAS,
    Model,
    ModelTensor,
    external_of,
)
from catalog.sources.formats.protobuf import WireError, WireLimitError, walk
from catalog.sources.paths import below
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.facts import CheckpointStatus, Item, Listing, Plain

NO_SUMS: Final = "ONNX states no sums of its tensors."
_NO_GRAPH: Final = "an ONNX model whose weights are all there; its graph is not checked"
_MAX_IN_NODES: Final = 1_000
"""Numbers in constants of nodes: shapes and axes of an operator, no weights."""
_OPERATORS_SINCE: Final = 3
"""`ir_version` from which on a model has to name its operator sets."""


def _begins(head: bytes, _size: int) -> bool:
    """Say whether a file begins like `ModelProto` (`onnx/onnx.proto`).

    Its version comes first, then the producer's name or version, a short text, or what follows
    them. TensorFlow's `saved_model.pb` begins the same, but with a long message in that place.
    """
    if len(head) < 4 or head[0] != 8 or not 0 < head[1] < 32:
        return False
    if head[2] in b"\x12\x1a":
        text = head[4 : 4 + head[3]]
        return head[3] < 0x80 and text.isascii() and b"\0" not in text
    return head[2] in b"\x3aB"


def _read_named(source: ByteSource, own_path: str) -> Facts | None:
    """Read what has the name of an ONNX model and begins in another order of fields."""
    head = source.read_at(0, signatures.HEAD)
    other = signatures.kind_of(head, source.size) != "other"
    if other or _begins(head, source.size) or signatures.foreign(source).format != "unknown":
        return None
    model = Model(source)
    with suppress(WireError, WireLimitError):
        walk(source, SCHEMAS, "Model", model)
    return _read(source, own_path) if model.has_graph else None


def data_files(source: ByteSource) -> list[str] | None:
    """Return the paths of the files beside a model that hold its tensors, sorted.

    Args:
        source: the model; a file of another format has none.

    Returns:
        None where the model is too large or too damaged to say, or they are outside its folder.
    """
    model = Model(source)
    if not _begins(source.read_at(0, signatures.HEAD), source.size):
        return []
    try:
        walk(source, SCHEMAS, "Model", model)
    except (WireError, WireLimitError):
        return None
    external = [external_of(tensor) for tensor in model.tensors if tensor.external]
    names = {os.path.normpath(found.get("location", "")) for found in external}
    if any(name.startswith(("/", "..")) or "\0" in name or name == "." for name in names):
        return None
    return sorted(names)


class _Refusal(Exception):
    """Why the weights of a model are not all there."""

    def __init__(self, status: CheckpointStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def _read(source: ByteSource, _own_path: str) -> Facts:
    """Walk an ONNX model to its end; it never raises for what the file holds."""
    model = Model(source)
    status: CheckpointStatus = "recognised"
    reason: str | None = _NO_GRAPH
    listed = True
    try:
        walk(source, SCHEMAS, "Model", model)
        _check(model)
        _check_tensors(model, _Neighbours(source))
    except WireError as error:
        status = "truncated" if error.missing else "unreadable"
        reason = f"it is damaged: {error}"
        listed = bool(error.missing)
        if error.missing:
            reason = f"at least {error.missing:,} bytes are missing at its end"
    except WireLimitError as error:
        status, reason = "recognised", f"{error}: too large to list; its content is not read"
        listed = False
    except _Refusal as refusal:
        status, reason = refusal.status, clean(str(refusal))
        listed = status == "truncated"
    return Facts(_checkpoint(source, model, status, reason, listed=listed))


def _check(model: Model) -> None:
    """Raise where the top of the model is not whole: its last fields are lost first."""
    if not model.has_graph:
        raise _Refusal("truncated", "it holds no graph")
    if model.ir_version >= _OPERATORS_SINCE and not model.has_operators:
        raise _Refusal("truncated", "it names no operator set (opset_import), which comes last")


def _check_tensors(model: Model, neighbours: _Neighbours) -> None:
    for tensor in model.tensors:
        label = f"the tensor {tensor.name[:80]!r}"
        if tensor.external:
            found = neighbours.size_of(tensor, label)
            if found is not None:
                _check_size(tensor, label, found)
        elif tensor.initializer and tensor.raw is not None and not tensor.texts:
            _check_size(tensor, label, tensor.raw)
        elif tensor.initializer:
            _check_count(tensor, label)


def _check_size(tensor: ModelTensor, label: str, found: int) -> None:
    known = DTYPES.get(tensor.data_type)
    if known is None:
        raise _Refusal("unreadable", f"{label} is of the unknown type {tensor.data_type}")
    if tensor.initializer and known[0] == "string":
        raise _Refusal("unreadable", f"{label} is of texts and holds bytes")
    if tensor.initializer:
        wanted = -(-prod(tensor.dims) * known[1] // 8)
        _check_shape(tensor, label, known[1])
        if found < wanted or (found > wanted and known[1] >= 8):
            status: CheckpointStatus = "truncated" if found < wanted else "unreadable"
            reason = f"{label} has {found:,} bytes where its shape and type say {wanted:,}"
            raise _Refusal(status, reason)


def _check_count(tensor: ModelTensor, label: str) -> None:
    """Check the numbers that are in the field of the tensor's type."""
    known = DTYPES.get(tensor.data_type)
    if known is None:
        raise _Refusal("unreadable", f"{label} is of the unknown type {tensor.data_type}")
    wanted = prod(tensor.dims) * (2 if known[0].startswith("complex") else 1)
    if known[0] == "string":
        found = tensor.texts
    else:
        found = tensor.typed.get(FIELD_OF_TYPE.get(tensor.data_type, 5), 0)
    _check_shape(tensor, label, known[1])
    if 0 < known[1] < 8:  # small numbers share a byte, and bytes behind them are passed over
        wanted = -(-wanted * known[1] // 8)
        found = min(found, wanted)
    if found != wanted:
        reason = f"{label} has {found:,} values where its shape says {wanted:,}"
        raise _Refusal("unreadable", reason)


def _check_shape(tensor: ModelTensor, label: str, bits: int) -> None:
    if prod(filter(None, tensor.dims)) * max(bits, 8) >= 1 << 66:
        raise _Refusal("unreadable", f"the shape of {label} is beyond any memory")


class _Neighbours:
    """The files beside a model that hold its tensors."""

    def __init__(self, source: ByteSource) -> None:
        self._folder = None if source.path is None else source.path.parent
        self._known: dict[str, int] = {}

    def size_of(self, tensor: ModelTensor, label: str) -> int | None:
        """Return the bytes that a tensor has in a file beside the model.

        Raises:
            _Refusal: the file is missing, too short, or not where onnx reads it.
        """
        external = external_of(tensor)
        try:
            offset = int(external.get("offset", "0"))
            length = int(external["length"]) if "length" in external else None
        except ValueError:
            offset, length = -1, None
        if offset < 0 or (length is not None and length < 0):
            raise _Refusal("unreadable", f"{label} has no place in its data file")
        location = external.get("location", "")
        size = self._known.get(location)
        if size is None:
            size = self._known[location] = self._looked_up(location)
        if offset + (length or 0) > size:
            missing = offset + (length or 0) - size
            reason = f"{missing:,} bytes of its data file {location[:200]} are missing"
            raise _Refusal("truncated", reason)
        return size - offset if length is None else length

    def _looked_up(self, location: str) -> int:
        if self._folder is None:
            raise _Refusal("recognised", "the files that hold its tensors are not looked for here")
        shown = location[:200]
        if not location or "\0" in location:
            raise _Refusal("unreadable", "a tensor names no data file; onnx refuses it so")
        if location.startswith("/") or os.path.normpath(location).startswith(".."):
            reason = f"its data file {shown} is outside its folder; onnx refuses it so"
            raise _Refusal("unreadable", reason)
        try:
            status = (self._folder / location).lstat()
        except (OSError, ValueError):
            raise _Refusal("truncated", f"its data file {shown} is missing") from None
        if stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1):
            reason = f"its data file {shown} is a link, which onnx 1.21 and later refuse"
            raise _Refusal("recognised", reason)
        if not stat.S_ISREG(status.st_mode):
            raise _Refusal("unreadable", f"its data file {shown} is no regular file")
        if not self._is_inside(self._folder / location):
            reason = f"its data file {shown} is outside its folder; onnx refuses it so"
            raise _Refusal("unreadable", reason)
        return status.st_size

    def _is_inside(self, path: Path) -> bool:
        assert self._folder is not None  # noqa: S101  (set by the caller)
        return path.resolve().is_relative_to(self._folder.resolve())


def _checkpoint(
    source: ByteSource,
    model: Model,
    status: CheckpointStatus,
    reason: str | None,
    *,
    listed: bool,
) -> Checkpoint:
    initializers = [tensor for tensor in model.tensors if tensor.initializer]
    tensors = tuple(
        Tensor(clean(one.name), DTYPES.get(one.data_type, ("unknown", 0))[0], tuple(one.dims))
        for one in initializers
        if listed
    )
    others = element_count(tuple(one.dims) for one in model.tensors if not one.initializer)
    doubt = NO_SUMS
    count = element_count(tensor.shape for tensor in tensors) if tensors else None
    if others is None or others > _MAX_IN_NODES:
        count = None
        doubt = f"{others or 0:,} numbers are in its nodes, and are not counted. {NO_SUMS}"
    properties: dict[str, Plain] = {clean(key): clean(text) for key, text in model.properties}
    producer = " ".join(filter(None, (model.producer, model.producer_version)))
    statements: dict[str, Plain] = {"producer": clean(producer)} if producer else {}
    return Checkpoint(
        format="onnx",
        status=status,
        reason=reason,
        framework="onnx",
        hyper_parameters=properties or None,
        tensors=tensors,
        parameter_count=count,
        weights_doubt=doubt,
        statements=statements or None,
        bytes_read=source.bytes_read,
    )


def _find(listing: Listing) -> list[Whole]:
    """Return the models with a data file beside them, so that a change of that is noticed.

    By the names that torch (`m.onnx.data`) and optimum (`m.onnx_data`) give it.
    """
    files = files_of(listing)
    wholes = []
    for name in files:
        if name.lower().endswith(".onnx"):
            stem = name[: -len(".onnx")]
            data = (f"{name}.data", f"{name}_data", f"{stem}.data", f"{stem}_data")
            parts = [name, *(one for one in data if one in files)]
            if len(parts) > 1:
                wholes.append(Whole({part: files[part] for part in parts}, name))
    return wholes


def _read_whole(root: Path, item: Item) -> Facts:
    """Read a model with its data files.

    Raises:
        OSError: it cannot be opened.
    """
    with open_inside(root, below(root, item.path)) as source:
        return read_file(source, item.path)


FOLDER: Final = FolderFormat("onnx", _find, _read_whole, signs=(".onnx",), precedence=80)
FORMAT: Final = Format(
    "onnx",
    suffixes=(".onnx",),
    begins=_begins,
    read=_read,
    read_named=_read_named,
    is_strict=True,
    precedence=80,
)
