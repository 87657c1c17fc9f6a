"""Folders of `torch.distributed.checkpoint`: `.metadata` beside `__0_0.distcp`, `__1_0.distcp`, ...

`.metadata` is a pickled `Metadata` (`torch/distributed/checkpoint/metadata.py`): every tensor with
its size and chunks, and in `storage_data` where each chunk is: file, offset and length
(`_StorageInfo` in `filesystem.py`). It is written last, by the first process alone. Lightning adds
`meta.pt`, Megatron `common.pt` and `metadata.json`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint import tensors
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.contents import with_doubt, with_safety
from catalog.sources.checkpoint.inert import Call, TensorStub, dtype_name
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.single import read_file
from catalog.sources.checkpoint.skeleton import SkeletonError, load
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.formats.distributed_metadata import flaw_of, frame_flaw
from catalog.sources.formats.distributed_slices import Place, look_at_slices
from catalog.sources.formats.folder import FolderFormat, Whole, files_of
from catalog.sources.formats.parts import (
    MAX_LOOKED_AT,
    fault_of,
    foreign,
    missing,
    size_of,
    with_fault,
    with_parts,
)
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus, Item, Listing, Tensor

MAX_METADATA: Final = 12 * 1024 * 1024
"""torch writes some 150 bytes a chunk."""
MAX_OPCODES: Final = 2_000_000
"""And 70 instructions a chunk: 28,000 chunks, as of 8 billion parameters and an optimizer on 32
devices, in 70 MB of memory. The worst that a pickle of so many can ask for are 180 MB."""
NAME: Final = "torch-distributed"

_METADATA: Final = ".metadata"
_PICKLE: Final = b"\x80"
_SHARD: Final = re.compile(r"__\d+_\d+\.distcp")
_LIGHTNING: Final = "meta.pt"
_MEGATRON: Final = ("common.pt", "metadata.json")
_TRAINING: Final = re.compile(
    r"(?:[a-z]+(?:_\d+)?\.)?(?:optim|optimizers?)(?:_states?|_\d+)?(?:\.|$)"
    r"|(?:lr_schedulers?|scheduler|dataloader|train_state|rng_state|rerun_state_machine)(?:[./_]|$)"
)
"""Names of what is no weight: `optimizer_0.state.x`, `app.optim.state.x`, `optim.x`,
`lr_scheduler`."""
_CLASS: Final = "torch.distributed.checkpoint.metadata.Metadata"
_OF_FILES: Final = frozenset({"foreign-content", "empty-file"})
_EMPTY: Final = "it holds no tensors"
_REMEDY: Final = (
    "The first process alone writes it, when all are done: look for it on the disk of the first "
    "machine; else the save was not finished."
)


def _find(listing: Listing) -> list[Whole]:
    files = files_of(listing)
    shards = {name: entry for name, entry in files.items() if _SHARD.fullmatch(name)}
    if not shards and _METADATA not in files:
        return []
    others = {name: files[name] for name in (_METADATA, _LIGHTNING, *_MEGATRON) if name in files}
    return [Whole(shards | others)]


def _read(root: Path, item: Item) -> Facts:
    return read_distributed(root, item.path, item.parts)


def read_distributed(root: Path, folder: str, parts: Sequence[str]) -> Facts:
    """Read a folder of torch.distributed.

    Args:
        root: the ingested tree.
        folder: path below it.
        parts: names of the files in the folder.

    Raises:
        OSError: `.metadata` or `meta.pt` cannot be opened.
    """
    facts = _lightning(root, folder, parts)
    if _METADATA not in parts:
        reason = f"its {_METADATA} is missing"
        return _failed(facts, "truncated", reason, "missing-metadata", _REMEDY)
    with open_inside(root, f"{root}/{folder}/{_METADATA}") as source:
        size, data = source.size, source.read_at(0, MAX_METADATA)
        facts = _but(facts, bytes_read=_checkpoint(facts).bytes_read + source.bytes_read)
    if not data:
        return _failed(facts, "truncated", f"its {_METADATA} is empty", "empty-file")
    if not data.startswith(_PICKLE):
        reason = f"its {_METADATA} is not that of torch.distributed"
        if not any(map(_SHARD.fullmatch, parts)):
            return foreign("unknown", reason)
        return _failed(facts, "unreadable", reason, "unreadable-metadata")
    if size > MAX_METADATA:
        reason = f"its {_METADATA} has {size:,} bytes, and {MAX_METADATA:,} are read at most"
        facts = _but(facts, status="recognised", reason=reason)
        return facts.but(checkpoint=with_doubt(_checkpoint(facts)))
    try:
        skeleton = load(data, max_opcodes=MAX_OPCODES)
    except SkeletonError as error:
        facts = facts.but(checkpoint=with_doubt(with_safety(_checkpoint(facts), error.found)))
        if error.code == "pickle-limit":
            reason = f"its {_METADATA} is not read: {error}"
            return _but(facts, status="recognised", reason=reason)
        status: CheckpointStatus = "truncated" if error.code == "pickle-cut" else "unreadable"
        return _failed(facts, status, f"its {_METADATA} cannot be read: {error}", error.code)
    facts = facts.but(checkpoint=with_safety(_checkpoint(facts), skeleton.found))
    if type(skeleton.root) is not Call or skeleton.root.class_name != _CLASS:
        reason = f"its {_METADATA} is not that of torch.distributed"
        return _failed(facts, "unreadable", reason, "unreadable-metadata")
    metadata = attributes(skeleton.root)
    flaw = frame_flaw(data) or flaw_of(metadata)
    judged = _judged(root, folder, parts, facts, metadata)
    if flaw is None or _checkpoint(judged).status not in ("readable", "recognised", "foreign"):
        return judged
    reason = f"its {_METADATA} is damaged: {flaw}"
    return _failed(judged, "unreadable", reason, "unreadable-metadata")


def _lightning(root: Path, folder: str, parts: Sequence[str]) -> Facts:
    """Return what Lightning's `meta.pt` says, as the facts of the folder."""
    facts = Facts(Checkpoint(NAME, "readable", framework="torch"))
    if _LIGHTNING in parts:
        with open_inside(root, f"{root}/{folder}/{_LIGHTNING}") as source:
            told = read_file(source, folder)
            if told.checkpoint is not None:
                # It holds no weights: whatever it says of them is not said of the folder.
                facts = told.but(
                    problems=tuple(p for p in told.problems if p.code not in _OF_FILES)
                )
                facts = _but(facts, status="readable", reason=None, bytes_read=source.bytes_read)
    return _but(
        facts,
        format=NAME,
        tensors=(),
        parameter_count=None,
        tensor_bytes=None,
        weights_fingerprint=None,
        weights_doubt="No fingerprint is made of weights that are spread over several files.",
        default_load=None,
    )


def _checkpoint(facts: Facts) -> Checkpoint:
    return facts.checkpoint or Checkpoint(NAME, "unreadable")


def _but(facts: Facts, **changes: Any) -> Facts:
    return facts.but(checkpoint=_checkpoint(facts).but(**changes))


def _failed(
    facts: Facts, status: CheckpointStatus, reason: str, code: str, remedy: str = ""
) -> Facts:
    problem = Problem(code, f"{sentence(reason)} {remedy}".rstrip())
    facts = _but(facts, status=status, reason=reason)
    return facts.but(problems=(*facts.problems, problem))


def _judged(
    root: Path, folder: str, parts: Sequence[str], facts: Facts, metadata: dict[Any, Any]
) -> Facts:
    """Return the facts with the tensors, and with what is missing of the files they are in."""
    named = metadata.get("state_dict_metadata")
    named = named if isinstance(named, dict) else {}
    stubs = _stubs(named)
    places = _places(metadata.get("storage_data"), _chunks(named))
    described = tensors.described(stubs)
    sizes = [tensors.size_of(tensor) for tensor in described]
    facts = _but(
        facts,
        tensors=described,
        parameter_count=tensors.element_count(stub.shape for stub in stubs) if stubs else None,
        tensor_bytes=sum(size for size in sizes if size) if None not in sizes else None,
    )
    if any(attributes(value).get("size") is None for value in named.values()):
        # What is no tensor is a pickle in a shard, and was not seen.
        facts = facts.but(checkpoint=with_doubt(_checkpoint(facts)))
    if not stubs:
        is_training = any(map(_is_training, named))
        reason = "it holds the state of an optimizer and no weights" if is_training else _EMPTY
        return _but(facts, status="foreign", reason=reason, weights_doubt=None)
    if _checkpoint(facts).parameter_count is None:
        reason = f"its {_METADATA} claims more numbers than any machine holds"
        return _failed(facts, "unreadable", reason, "unreadable-metadata")
    if places is None:
        reason = f"its {_METADATA} does not say where its tensors are"
        return _failed(facts, "unreadable", reason, "unreadable-metadata")
    lost = _without_place(named, places)
    if lost:
        reason = f"its {_METADATA} does not say where {lost:,} of its tensors are"
        return _failed(facts, "truncated", reason, "missing-shards")
    short = _too_short(described, places)
    if short is not None:
        reason = f"its {_METADATA} gives the tensor {short[:80]!r} fewer bytes than it has"
        return _failed(facts, "unreadable", reason, "unreadable-metadata")
    return _with_files(root, folder, parts, facts, places)


def _with_files(
    root: Path, folder: str, parts: Sequence[str], facts: Facts, places: list[Place]
) -> Facts:
    """Return the facts, with what is wrong of the files that the tensors are in."""
    ends: dict[str, Place] = {}
    for place in places:
        if place.path not in ends or place.end > ends[place.path].end:
            ends[place.path] = place
    absent = [path for path in ends if path not in parts]
    if absent:
        reason = missing(len(absent), len(ends), "shard file")
        return _failed(facts, "truncated", reason, "missing-shards")
    for path, last in sorted(ends.items())[:MAX_LOOKED_AT]:
        size = size_of(root, f"{folder}/{path}")
        if size is not None and 0 < size < last.end:
            reason = f"{path} is cut: {last.end - size:,} of {last.end:,} bytes are missing"
            return _failed(facts, "truncated", reason, "truncated-checkpoint")
        fault = fault_of(root, folder, path, (last.offset, last.end) if last.is_archive else None)
        if fault is not None:
            return with_fault(facts, fault, "damaged-part")
    slices = look_at_slices(root, folder, _checkpoint(facts), places)
    facts = facts.but(checkpoint=slices.checkpoint)
    if slices.fault is not None:
        return with_fault(facts, slices.fault, "damaged-part")
    if slices.unread is not None:
        return _but(facts, status="recognised", reason=slices.unread)
    return with_parts(root, folder, [name for name in parts if name == _MEGATRON[0]], facts)


def _chunks(named: dict[Any, Any]) -> dict[str, dict[tuple[int, ...], tuple[int, ...] | None]]:
    """Return the chunks of every tensor by its name: their sizes by their offsets."""
    found: dict[str, dict[tuple[int, ...], tuple[int, ...] | None]] = {}
    for name, value in named.items():
        stated = attributes(value)
        if isinstance(name, str) and stated.get("size") is not None:
            chunks = stated.get("chunks")
            of_name = found.setdefault(name, {})
            for chunk in chunks if isinstance(chunks, list) else ():
                place = attributes(chunk)
                offsets = _sizes(place.get("offsets"))
                if offsets is not None:
                    of_name[offsets] = _sizes(place.get("sizes"))
    return found


def _sizes(size: object) -> tuple[int, ...] | None:
    return None if size is None else tensors.shape_of(TensorStub(None, None, 0, size, None))


def _places(
    data: object, chunks: dict[str, dict[tuple[int, ...], tuple[int, ...] | None]]
) -> list[Place] | None:
    if not isinstance(data, dict):
        return None
    found = []
    for index, value in data.items():
        stated = attributes(value)
        path, offset, length = (stated.get(key) for key in ("relative_path", "offset", "length"))
        key = attributes(index)
        name = key.get("fqn")
        if type(path) is str and type(offset) is int and type(length) is int:
            text = name if type(name) is str else ""
            of_name = chunks.get(text)
            sizes = of_name.get(_sizes(key.get("offset")) or ()) if of_name else None
            is_packed = bool(stated.get("transform_descriptors"))
            end = offset + length
            found.append(Place(text, path, offset, end, of_name is not None, is_packed, sizes))
    return found


def _without_place(named: dict[Any, Any], places: list[Place]) -> int:
    """Return how many tensors have more chunks than there are places of them."""
    count = Counter(place.name for place in places)
    lost = 0
    for name, value in named.items():
        chunks = attributes(value).get("chunks")
        wanted = len(chunks) if isinstance(chunks, list) else 1
        lost += isinstance(name, str) and count[name] < wanted
    return lost


def _too_short(described: Sequence[Tensor], places: list[Place]) -> str | None:
    """Return the name of a tensor that cannot be in the places that are stated."""
    stored: Counter[str] = Counter()
    changed = set()
    for place in places:
        stored[place.name] += place.end - place.offset
        if not place.is_archive:
            changed.add(place.name)
    for tensor in described:
        if tensor.name not in changed and tensor.dtype in tensors.ITEM_SIZES:
            size = tensors.size_of(tensor)
            if size is None or size > stored[tensor.name]:
                return tensor.name
    return None


def _is_training(name: object) -> bool:
    return isinstance(name, str) and _TRAINING.match(name) is not None


def _stubs(named: dict[Any, Any]) -> list[tensors.NamedStub]:
    """Return the model's tensors, without those of optimizers."""
    stubs: list[tensors.NamedStub] = []
    for name, value in named.items():
        stated = attributes(value)
        size, properties = stated.get("size"), stated.get("properties")
        if size is None or not isinstance(name, str) or _is_training(name):
            continue
        state = properties.state if isinstance(properties, Call) else None
        dtype = state[0] if isinstance(state, tuple) and state else None
        stub = TensorStub(None, dtype_name(dtype), 0, size, None)
        shape = tensors.shape_of(stub)
        if shape is not None:
            stubs.append(tensors.NamedStub(name, stub, shape))
    return stubs


FOLDER: Final = FolderFormat(NAME, _find, _read, signs=(".metadata", ".distcp"), precedence=60)
