"""What `torch.save` wrote before 1.6 (and still writes on request), and plain pickles.

A legacy file is a row of pickles: a magic number, a protocol version, facts of the machine,
the object, the keys of its storages; then, for each key in that order, eight bytes with its
length and its numbers (`torch/serialization.py`, `_legacy_save`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.contents import describe, with_doubt, with_safety
from catalog.sources.checkpoint.default_load import (
    IN_LEGACY,
    refused,
    unknown,
    with_default_load,
)
from catalog.sources.checkpoint.inert import TensorStub, has_plain_sizes
from catalog.sources.checkpoint.numbers import Numbers
from catalog.sources.checkpoint.skeleton import Skeleton, SkeletonError, load
from catalog.sources.checkpoint.tensors import storage_bytes
from catalog.sources.checkpoint.training_state import leaves
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

MAGIC: Final = 0x1950A86A20F9469CFC6C
_VERSION: Final = 1001
_LENGTH: Final = 8
_MAX_MACHINE: Final = 1_000
_MAX_KEYS: Final = 300_000
"""Three instructions a storage."""
_MAX_LENGTHS: Final = 20_000
"""Storages whose lengths are compared, a read of eight bytes each."""
_CHUNK: Final = 256 * 1024
MAX_PICKLES: Final = 12 * 1024 * 1024
"""What is read at most: first one chunk, and all of this only where that was too short."""


def read_pickles(source: ByteSource, own_path: str) -> Facts:
    """Read a file that begins with a pickle; it never raises for what the file holds.

    Args:
        source: the file.
        own_path: its path, to find it among the paths that it names.
    """
    try:
        return _read(source, source.read_at(0, _CHUNK), own_path)
    except SkeletonError as error:
        if error.code != "pickle-cut" or source.size <= _CHUNK:
            return _failed(source, error)
    try:
        return _read(source, source.read_at(0, MAX_PICKLES), own_path)
    except SkeletonError as error:
        return _failed(source, error)


def _read(source: ByteSource, data: bytes, own_path: str) -> Facts:
    first = load(data)
    if type(first.root) is int and first.root == MAGIC:
        return _legacy(source, data, first.end, own_path)
    checkpoint = Checkpoint(
        "pickle",
        "readable",
        default_load=refused(
            "a plain pickle, which torch.save did not write",
            "pickle.load(file), after reading the names",
        ),
    )
    return _described(source, checkpoint, first, own_path)


def _legacy(source: ByteSource, data: bytes, position: int, own_path: str) -> Facts:
    version = load(data, position, _MAX_MACHINE)
    machine = load(data, version.end, _MAX_MACHINE)
    content = load(data, machine.end)
    keys = load(data, content.end, _MAX_KEYS)
    order = machine.root.get("little_endian") if type(machine.root) is dict else True
    places, end = _places(content, keys.root, keys.end)
    checkpoint = with_default_load(
        Checkpoint("torch-legacy", "readable"),
        data,
        content.found,
        parts=IN_LEGACY,
        start=machine.end,
        around=(0, position, version.end, content.end),
    )
    flaw = _flaw(version.root, content, keys.root)
    flaw = flaw or _wrong_length(source, content, places, order) or _too_short(content)
    if flaw:
        checkpoint = checkpoint.but(status="unreadable", reason=flaw, default_load=None)
    if end is not None and end > source.size:
        reason = f"{end - source.size:,} of {end:,} bytes are missing"
        checkpoint = checkpoint.but(status="truncated", reason=reason, default_load=None)

    def read(key: str, offset: int, length: int) -> bytes:
        start, size = places.get(key, (0, 0))
        return source.read_at(start + offset, length) if offset + length <= size else b""

    numbers = Numbers(read, big_endian=order is False)
    return _described(source, checkpoint, content, own_path, numbers)


def _flaw(version: object, content: Skeleton, keys: object) -> str:
    """Return what torch refuses of the pickles around the object, empty where there is nothing."""
    if version != _VERSION:
        return "its protocol version is not that of torch"
    storages = content.found.storages
    if type(keys) is not list or any(type(key) is not str or key not in storages for key in keys):
        return "its list of storages names one that its pickle does not"
    if len(set(keys)) < len(storages):
        return "its list of storages lacks one that its pickle names"
    return ""


def _wrong_length(
    source: ByteSource, content: Skeleton, places: dict[str, tuple[int, int]], order: object
) -> str:
    """Return which storage is not as long as the pickle says, empty if all are.

    Before each storage its length is written, in numbers, and torch compares it
    (`torch/csrc/StorageMethods.cpp`, `THPStorage_setFromFile`).
    """
    for key, (start, _size) in list(places.items())[:_MAX_LENGTHS]:
        raw = source.read_at(start - _LENGTH, _LENGTH)
        length = int.from_bytes(raw, "big" if order is False else "little")
        if len(raw) == _LENGTH and length != content.found.storages[key].length:
            shown = clean(key)[:40]
            return f"the length of its storage {shown} is not the one that its pickle states"
    return ""


def _too_short(content: Skeleton) -> str:
    """Return what is said where a tensor reaches beyond its storage, empty if none does.

    torch makes such a storage longer, and then refuses the bytes that the file has for it.
    """
    for part in leaves((content.root,)):
        if type(part) is not TensorStub or part.storage is None or part.storage.dtype is None:
            continue
        if has_plain_sizes(part.offset, part.shape, part.stride) and all(part.shape):
            steps = zip(part.shape, part.stride, strict=False)
            if part.offset + sum((size - 1) * step for size, step in steps) >= part.storage.length:
                shown = clean(part.storage.key)[:40]
                return f"a tensor reaches beyond the end of its storage {shown}"
    return ""


def _places(
    content: Skeleton, keys: Any, position: int
) -> tuple[dict[str, tuple[int, int]], int | None]:
    """Return (start, size) of each storage and where the last one ends.

    The end is None where a storage of an unknown kind makes the later ones impossible to place.
    """
    places: dict[str, tuple[int, int]] = {}
    if type(keys) is not list:
        return places, None
    for key in keys:
        storage = content.found.storages.get(key) if type(key) is str else None
        size = None if storage is None else storage_bytes(storage.dtype, storage.length)
        if storage is None or size is None:
            return places, None
        places[storage.key] = (position + _LENGTH, size)
        position += _LENGTH + size
    return places, position


def _described(
    source: ByteSource,
    checkpoint: Checkpoint,
    skeleton: Skeleton,
    own_path: str,
    numbers: Numbers | None = None,
) -> Facts:
    checkpoint = with_safety(checkpoint, skeleton.found)
    # Nothing of torch's lies around a plain pickle: only what it names can tell.
    is_torch = checkpoint.format != "pickle" or any(
        name.partition(".")[0] == "torch" for name in skeleton.found.globals
    )
    facts = describe(
        checkpoint,
        skeleton,
        numbers or Numbers(),
        own_path,
        container="torch" if is_torch else None,
    )
    checkpoint = replace(facts.checkpoint or checkpoint, bytes_read=source.bytes_read)
    return replace(facts, checkpoint=checkpoint)


def _failed(source: ByteSource, error: SkeletonError) -> Facts:
    """Report a pickle that cannot be read; what it names is judged all the same."""
    cut = error.code == "pickle-cut" and source.size <= MAX_PICKLES
    limit = error.code == "pickle-limit" or (error.code == "pickle-cut" and not cut)
    checkpoint = Checkpoint(
        "pickle",
        "truncated" if cut else "recognised" if limit else "unreadable",
        reason=str(error),
        bytes_read=source.bytes_read,
    )
    if limit:
        checkpoint = checkpoint.but(default_load=unknown("Its pickle was not read whole."))
    checkpoint = with_doubt(with_safety(checkpoint, error.found))
    return Facts(checkpoint, problems=(Problem(error.code, f"Unreadable pickle: {error}."),))
