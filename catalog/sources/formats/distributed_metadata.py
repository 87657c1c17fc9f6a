"""Whether torch takes the `.metadata` of torch.distributed, which no sum protects.

The classes are those of `torch/distributed/checkpoint/metadata.py`; what of them is used on loading
is in `planner_helpers.py`, `default_planner.py` and `filesystem.py` there.
"""

from __future__ import annotations

from typing import Any, Final

from catalog.sources.checkpoint import tensors
from catalog.sources.checkpoint.inert import Call, TensorStub, dtype_name
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.plain import clean

_PLACE: Final = "torch.distributed.checkpoint.metadata."
_STORED: Final = "torch.distributed.checkpoint.filesystem._StorageInfo"
_FRAME: Final = b"\x95"
_FRAME_AT: Final = 2
_FRAME_BYTES: Final = 9
_STATE: Final = 5
"""Values of `TensorProperties.__getstate__`."""
_LAYOUTS: Final = tuple(
    (f"torch.{name}",)
    for name in ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc",
                 "_mkldnn", "jagged")
)  # fmt: skip
_ENCODINGS: Final = tuple((number,) for number in range(3))
_PATH_MODULES: Final = ("pathlib", "pathlib._local")
_PATHS: Final = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")
_LOST: Final = "\ufffd"
"""What bytes become that are no UTF-8."""


def frame_flaw(data: bytes) -> str | None:
    """Return what Python refuses of the first frame of a pickle, None where it takes it."""
    if data[_FRAME_AT : _FRAME_AT + 1] != _FRAME:
        return None
    length = int.from_bytes(data[_FRAME_AT + 1 : _FRAME_AT + _FRAME_BYTES], "little")
    if length > len(data) - _FRAME_AT - _FRAME_BYTES:
        return "its pickle states more bytes than there are"
    return None


def flaw_of(metadata: dict[Any, Any]) -> str | None:
    """Return what torch refuses of a `.metadata`, without capital and full stop; None if nothing.

    Args:
        metadata: the attributes of the `Metadata` in it.
    """
    named, stored = metadata.get("state_dict_metadata"), metadata.get("storage_data")
    if not isinstance(named, dict) or not isinstance(stored, dict):
        return "it lacks an attribute"
    places = set()
    for index, value in stored.items():
        key = _index(index)
        if key is None or not _is_stored(value):
            return "a place in it is not one that torch takes"
        places.add(key)
    for name, value in named.items():
        if not isinstance(name, str) or _LOST in name:
            return "a name in it is no text"
        offsets = _offsets(value)
        if offsets is None:
            return f"its {clean(name)[:80]!r} is not described as torch does"
        if any((name, one) not in places for one in offsets):
            return f"it does not say where all of its {clean(name)[:80]!r} is"
    return _flaw_beside(metadata, named)


def _flaw_beside(metadata: dict[Any, Any], named: dict[Any, Any]) -> str | None:
    """Return what torch refuses of the attributes beside tensors and places."""
    planned = metadata.get("planner_data")
    if isinstance(planned, dict):
        if planned.keys() - named.keys():
            return "it plans for a name that it does not describe"
        if not all(_fits(name, path) for name, path in planned.items()):
            return "a path in it is not that of its name"
    if not _is_about_storage(metadata.get("storage_meta")):
        return "what it says of its storage is not described as torch does"
    if not _are_texts(metadata):
        return "an attribute of it is no text"
    return None


def _is_about_storage(value: object) -> bool:
    """Say whether this is None or torch's `StorageMeta`, whose path is of Python's `pathlib`."""
    if value is None:
        return True
    if type(value) is not Call or value.class_name != f"{_PLACE}StorageMeta":
        return False
    stated = attributes(value)
    path = stated.get("checkpoint_id")
    if type(path) is Call:
        module, _, name = (path.class_name or "").rpartition(".")
        if module not in _PATH_MODULES or name not in _PATHS or not isinstance(path.args, tuple):
            return False
        if any(not isinstance(part, str) or _LOST in part for part in path.args):
            return False
    return _are_texts(stated)


def _are_texts(stated: dict[Any, Any]) -> bool:
    return not any(_LOST in one for pair in stated.items() for one in pair if isinstance(one, str))


def _sizes(size: object) -> tuple[int, ...] | None:
    if type(size) is not Call or size.class_name != "torch.Size":
        return None
    return tensors.shape_of(TensorStub(None, None, 0, size, None))


def _index(value: object) -> tuple[str, tuple[int, ...] | None] | None:
    """Return name and offsets of a `MetadataIndex`, by which torch finds the places."""
    if type(value) is not Call or value.class_name != f"{_PLACE}MetadataIndex":
        return None
    stated = attributes(value)
    name, offset, number = stated.get("fqn"), stated.get("offset"), stated.get("index")
    if not isinstance(name, str):
        return None
    if number is not None and type(number) is not int:
        return None
    if offset is None:
        return name, None  # its attribute is left out then
    sizes = _sizes(offset)
    return None if sizes is None else (name, sizes)


def _is_stored(value: object) -> bool:
    if type(value) is not Call or value.class_name != _STORED:
        return False
    stated = attributes(value)
    path, offset, length = (stated.get(key) for key in ("relative_path", "offset", "length"))
    numbers = type(offset) is int and type(length) is int and offset >= 0 and length >= 0
    return isinstance(path, str) and _LOST not in path and numbers


def _offsets(value: object) -> list[tuple[int, ...] | None] | None:
    """Return where the chunks of a tensor begin, or None for what is no tensor, as one chunk."""
    if type(value) is not Call:
        return None
    if value.class_name == f"{_PLACE}BytesStorageMetadata":
        return [None]
    if value.class_name != f"{_PLACE}TensorStorageMetadata":
        return None
    stated = attributes(value)
    size, chunks = _sizes(stated.get("size")), stated.get("chunks")
    if size is None or not isinstance(chunks, list) or not _has_type(stated.get("properties")):
        return None
    found: list[tuple[int, ...] | None] = []
    for chunk in chunks:
        if type(chunk) is not Call or chunk.class_name != f"{_PLACE}ChunkStorageMetadata":
            return None
        place = attributes(chunk)
        offsets, sizes = _sizes(place.get("offsets")), _sizes(place.get("sizes"))
        if offsets is None or sizes is None or not len(offsets) == len(sizes) == len(size):
            return None
        if any(o + s > whole for o, s, whole in zip(offsets, sizes, size, strict=True)):
            return None
        found.append(offsets)
    return found


def _has_type(value: object) -> bool:
    """Say whether these are `TensorProperties` with a type that torch has."""
    if type(value) is not Call or value.class_name != f"{_PLACE}TensorProperties":
        return False
    state = value.state
    if type(state) is dict:  # of older versions
        return dtype_name(state.get("dtype")) in tensors.ITEM_SIZES
    if type(state) is not tuple or len(state) != _STATE:
        return False
    layout, encoding = state[1], state[3]
    if type(layout) is Call and (
        layout.class_name != "torch.serialization._get_layout" or layout.args not in _LAYOUTS
    ):
        return False
    if type(encoding) is Call and (
        encoding.class_name != f"{_PLACE}_MEM_FORMAT_ENCODING" or encoding.args not in _ENCODINGS
    ):
        return False
    return dtype_name(state[0]) in tensors.ITEM_SIZES


def _fits(name: str, path: object) -> bool:
    """Say whether a path in a nested state gives its name (`flatten_state_dict`)."""
    if not isinstance(path, tuple):
        return True  # a planner of another kind
    return name == ".".join(map(str, path))
