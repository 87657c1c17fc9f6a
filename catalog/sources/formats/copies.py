"""Copies of model files under a longer name: compressed ones, part files, backups.

`best.ckpt.gz`, `model.tar.gz` (AllenNLP, SageMaker), `a.safetensors.part`, `Model.pt~`. What such a
file holds is not read: a part file may grow, and a compressed one has to be unpacked first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats import registry
from catalog.sources.formats.format import Format
from catalog.sources.formats.names import looks_like_a_model
from catalog.sources.paths import split

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

_MAGIC: Final = {
    ".gz": b"\x1f\x8b",
    ".tgz": b"\x1f\x8b",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\0",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".zstd": b"\x28\xb5\x2f\xfd",
    ".lz4": b"\x04\x22\x4d\x18",
    ".7z": b"7z\xbc\xaf\x27\x1c",
    ".rar": b"Rar!",
    ".zip": b"PK",
}
"""Endings of what compresses, and how it begins."""
_PARTS: Final = (
    ".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".incomplete", ".download",
    ".aria2",
)  # fmt: skip
"""Endings of files that a download or a save has not finished."""
_BACKUPS: Final = ("~", ".bak", ".backup", ".old", ".orig")
_ENDINGS: Final = (*_MAGIC, *_PARTS, *_BACKUPS)
_BARE: Final = (".gz", ".tgz")
"""Before which a name may have no ending of its own: `model.tgz`."""
_NUMBERED: Final = re.compile(r".+\.(?:ckpt|pt|pth|safetensors|gguf|h5)\.\d{1,3}")
"""What `wget` calls a second copy."""
_UNIQUE: Final = re.compile(r"(.+?)\.[0-9a-z_-]{4,64}")
"""A part file whose writer puts something unique before its ending."""
_AMBIGUOUS: Final = (".pkl", ".pickle", ".joblib", ".npz", ".msgpack", ".bin", ".tar")
"""Endings of models and of data: the name has to tell of a model."""


def _is_model(name: str) -> bool:
    """Say whether the name below a copy's ending is that of a model."""
    if name.endswith(registry.suffixes()):
        return True
    return name.endswith(_AMBIGUOUS) and looks_like_a_model(name)


def _reason(name: str) -> str | None:
    """Return what a file of this name is, None where it is no copy of a model."""
    if not name.endswith(_ENDINGS):
        numbered = _NUMBERED.fullmatch(name) if name[-1:].isdigit() else None
        return "a numbered copy of a model; its content is not read" if numbered else None
    for ending in _MAGIC:
        if name.endswith(ending):
            inner = name.removesuffix(ending)
            bare = ending in _BARE and "." not in inner and looks_like_a_model(inner)
            if bare or _is_model(inner):
                return "a compressed copy of a model; its content is not read"
    for ending in _PARTS:
        if name.endswith(ending) and _is_part(name.removesuffix(ending)):
            return "a part file of a download or save that did not end; its content is not read"
    for ending in _BACKUPS:
        inner = name.removesuffix(ending)
        if name.endswith(ending) and "." in inner and _is_model(inner):
            return "a backup copy of a model; its content is not read"
    return None


def _is_part(inner: str) -> bool:
    unique = _UNIQUE.fullmatch(inner)
    return ("." in inner and _is_model(inner)) or (
        unique is not None and unique[1].endswith(registry.suffixes())
    )


def _is_named(name: str) -> bool:
    return not name.endswith(registry.suffixes()) and _reason(name) is not None


def _read(source: ByteSource, own_path: str) -> Facts | None:
    """Describe a copy by its name, unless its bytes are not those of what the name says."""
    name = split(own_path)[1].lower()
    reason = _reason(name)
    if reason is None:
        return None
    magic = next((_MAGIC[ending] for ending in _MAGIC if name.endswith(ending)), b"")
    if not source.read_at(0, 8).startswith(magic):
        return None
    kind = "compressed" if magic else "part-file" if "part file" in reason else "backup"
    return Facts(Checkpoint(kind, "recognised", reason, bytes_read=source.bytes_read))


FORMAT: Final = Format(
    "copy",
    is_named=_is_named,
    signs=_BARE,  # all other copies have the ending of a model in their names
    read_named=_read,
    precedence=20,
)
