"""A safetensors file by its JSON header.

Format: <https://huggingface.co/docs/safetensors>: the header's length (8 bytes, little-endian),
the header, then the numbers. `data_offsets` count from the end of the header. What makes a file
refused is that of `SafeTensors::read_metadata` and `Metadata::validate` in the library
(`safetensors/src/tensor.rs`), tried on version 0.8.0.
"""

from __future__ import annotations

import re
from array import array
from math import prod
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.tensors import MAX_DIMENSIONS, MAX_LISTED, element_count, emptiness
from catalog.sources.facts import Checkpoint, Facts, Problem, Tensor
from catalog.sources.formats.format import Format
from catalog.sources.formats.safetensors_header import Header, HeaderError, HeaderLimitError
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.facts import CheckpointStatus, Plain

MAX_HEADER: Final = 100_000_000
"""The library's own limit (`MAX_HEADER_SIZE`)."""
MAX_NAMES: Final = 24 * 1024 * 1024
"""Characters of all names that are listed; 120,000 experts have some 10 MB."""
_WIDE: Final = 8
"""As so many count a size, and a character of a name that has others than ASCII: they take more
memory."""
_NAMED: Final = 3
"""Keys of metadata that a problem names."""

_DTYPES: Final = {
    "BOOL": ("bool", 8),
    "F4": ("float4_e2m1fn_x2", 4),
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "I16": ("int16", 16),
    "U16": ("uint16", 16),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "I32": ("int32", 32),
    "U32": ("uint32", 32),
    "F32": ("float32", 32),
    "C64": ("complex64", 64),
    "F64": ("float64", 64),
    "I64": ("int64", 64),
    "U64": ("uint64", 64),
}
"""torch's name and the bits of one number, of each type that version 0.8.0 knows."""
_NOT_IN_TORCH: Final = ("F6_E2M3", "F6_E3M2")
"""safetensors opens a file with them, and no framework reads the tensor."""

_EPOCHS: Final = ("epoch", "ss_epoch")
_STEPS: Final = ("global_step", "step", "ss_steps", "iteration")
_PLAIN_INTEGER: Final = re.compile(r"[0-9]{1,18}")

NO_SUMS: Final = (
    "safetensors states no sums of its tensors; `catalog ingest --hash` reads and compares them."
)


def _begins(head: bytes, size: int) -> bool:
    """Say whether a file begins like safetensors: a length, and a JSON object behind it."""
    header = head[8:].lstrip(b" \t\r\n")
    if header.startswith(b"{") and int.from_bytes(head[:8], "little") <= max(size, 1 << 30):
        return True
    # Damaged in the length or in the first bracket, and still no other format.
    return b'"dtype":' in header and b'"data_offsets":' in header


def _read(source: ByteSource, _own_path: str) -> Facts:
    """Read the header of a safetensors file; it never raises for what the file holds."""
    length = int.from_bytes(source.read_at(0, 8), "little")
    if length > MAX_HEADER:
        reason = f"its header claims {length:,} bytes; safetensors refuses it (HeaderTooLarge)"
        return Facts(_failed(source, "unreadable", reason))
    if 8 + length > source.size:
        missing = 8 + length - source.size
        reason = f"{missing:,} bytes of its header are missing"
        return Facts(_failed(source, "truncated", reason))
    header = Header(source, 8, length)
    table = _Table()
    try:
        for entry in header.tensors():
            table.add(entry.name, entry.dtype, entry.shape, entry.start, entry.end)
        end = table.checked_end()
    except HeaderError as error:
        reason = clean(f"{error}; safetensors refuses it ({error.name})")
        return Facts(_failed(source, "unreadable", reason))
    except HeaderLimitError as error:
        reason = clean(f"{error}: too large to list; its content is not read")
        return Facts(_failed(source, "recognised", reason))
    checkpoint = _checkpoint(source, table, header, 8 + length, end)
    return Facts(checkpoint, problems=_left_out(header) if checkpoint.reason is None else ())


class _Table:
    """The tensors of a header, with what their bytes are checked by."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.no_tensor_of: str | None = None
        """A type that no framework reads."""
        self._places: dict[str, int] = {}
        self._dtypes: list[str] = []
        self._starts = array("Q")
        self._ends = array("Q")
        self._characters = 0

    def add(self, name: str, dtype: str, shape: tuple[int, ...], start: int, end: int) -> None:
        """Add a tensor; one of a name that is known takes its place.

        Raises:
            HeaderError: safetensors does not know its type.
            HeaderLimitError: there are more than are listed.
        """
        known = _DTYPES.get(dtype)
        if known is None:
            reason = f"the tensor {name[:80]!r} is of the unknown type {dtype[:40]!r}"
            raise HeaderError(reason)
        if len(shape) > MAX_DIMENSIONS:
            raise HeaderLimitError(f"a tensor has {len(shape):,} dimensions")
        place = self._places.setdefault(name, len(self.tensors))
        if place < len(self.tensors):
            self.tensors[place] = Tensor(clean(name), known[0], shape)
            self._dtypes[place] = dtype
            self._starts[place], self._ends[place] = start, end
            return
        self._characters += len(name) if name.isascii() else _WIDE * len(name)
        self._characters += _WIDE * len(shape)
        if place >= MAX_LISTED:
            raise HeaderLimitError(f"it holds more than {MAX_LISTED:,} tensors")
        if self._characters > MAX_NAMES:
            raise HeaderLimitError(f"its names and shapes have over {MAX_NAMES:,} characters")
        self.tensors.append(Tensor(clean(name), known[0], shape))
        self._dtypes.append(_DTYPES_BY_NAME[dtype])
        self._starts.append(start)
        self._ends.append(end)

    def checked_end(self) -> int:
        """Return where the last tensor ends, in bytes behind the header.

        Raises:
            HeaderError: the tensors do not follow each other without gap or overlap, or one's
                bytes are not those of its type and shape.
        """
        last = 0
        for place in self._in_order():
            tensor, dtype = self.tensors[place], self._dtypes[place]
            start, end = self._starts[place], self._ends[place]
            label = f"the tensor {tensor.name[:80]!r}"
            if start != last or end < start:
                fault = "ends before it begins" if end < start else "overlaps another one"
                fault = "leaves a gap before it" if start > last else fault
                raise HeaderError(f"{label} {fault}", "InvalidOffset")
            last = end
            bits = _DTYPES[dtype][1]
            if _overflows((*tensor.shape, bits)):
                raise HeaderError(
                    f"the shape of {label} is beyond any memory", "ValidationOverflow"
                )
            size, rest = divmod(prod(tensor.shape) * bits, 8)
            if rest:
                raise HeaderError(f"{label} does not end at a whole byte", "MisalignedSlice")
            if size != end - start:
                reason = f"{label} has {end - start:,} bytes where its shape and type say {size:,}"
                raise HeaderError(reason, "TensorInvalidInfo")
            if dtype in _NOT_IN_TORCH:
                self.no_tensor_of = dtype
        return last

    def _in_order(self) -> Iterable[int]:
        """Return the places by offsets; most files have them so."""
        starts, ends = self._starts, self._ends
        every = range(len(starts))
        if all(starts[n] >= ends[n - 1] for n in every[1:]):
            return every
        return sorted(every, key=lambda place: (starts[place], ends[place]))


_DTYPES_BY_NAME: Final = {name: name for name in _DTYPES}
"""One text for each type, not one for each tensor."""


def _overflows(factors: tuple[int, ...]) -> bool:
    """Say whether a product, made from left to right, leaves 64 bits on its way."""
    product = 1
    for factor in factors:
        product *= factor
        if product >= 1 << 64:
            return True
    return False


def _checkpoint(
    source: ByteSource, table: _Table, header: Header, begin: int, stored: int
) -> Checkpoint:
    missing = begin + stored - source.size
    status: CheckpointStatus = "readable"
    reason = None
    if missing > 0:
        status, reason = "truncated", f"{missing:,} of {begin + stored:,} bytes are missing"
    elif missing < 0:
        status = "unreadable"
        bytes_follow = "1 byte follows" if missing == -1 else f"{-missing:,} bytes follow"
        reason = (
            f"{bytes_follow} its last tensor; safetensors refuses it (MetadataIncompleteBuffer)"
        )
    elif table.no_tensor_of:
        status = "recognised"
        reason = f"it has tensors of the type {table.no_tensor_of}, which torch does not read"
    elif any(size >= 1 << 63 for tensor in table.tensors for size in tensor.shape):
        status, reason = "unreadable", "a tensor's shape is beyond any memory; torch refuses it"
    elif not table.tensors:
        status, reason = "truncated", "it holds no tensor"
    elif all(0 in tensor.shape for tensor in table.tensors):
        status, reason = "truncated", emptiness(table.tensors)
    metadata = header.metadata or {}
    return Checkpoint(
        format="safetensors",
        status=status,
        reason=reason,
        epoch=_number(metadata, _EPOCHS),
        global_step=_number(metadata, _STEPS),
        hyper_parameters=_stated(metadata),
        tensors=tuple(table.tensors),
        parameter_count=element_count(tensor.shape for tensor in table.tensors),
        tensor_bytes=stored if stored < 1 << 63 else None,
        weights_doubt=NO_SUMS,
        safety="plain",
        bytes_read=source.bytes_read,
    )


def _stated(metadata: dict[str, str]) -> dict[str, Plain] | None:
    """Return what a trainer wrote into the header, beyond the name of the framework."""
    kept: dict[str, Plain] = {
        clean(key): clean(text) for key, text in metadata.items() if key != "format"
    }
    return kept or None


def _number(metadata: dict[str, str], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        text = metadata.get(key, "")
        if _PLAIN_INTEGER.fullmatch(text):
            return int(text)
    return None


def _left_out(header: Header) -> tuple[Problem, ...]:
    if not header.left_out:
        return ()
    named = ", ".join(f"{key} ({size:,} characters)" for key, size in header.left_out[:_NAMED])
    more = len(header.left_out) - _NAMED
    more_text = f" and {more:,} more" if more > 0 else ""
    message = f"Metadata that is too large to be kept: {named}{more_text}."
    return (Problem("metadata-left-out", clean(message)),)


def _failed(source: ByteSource, status: CheckpointStatus, reason: str) -> Checkpoint:
    return Checkpoint("safetensors", status, reason=reason, bytes_read=source.bytes_read)


FORMAT: Final = Format(
    "safetensors", suffixes=(".safetensors",), begins=_begins, read=_read, is_strict=True
)
