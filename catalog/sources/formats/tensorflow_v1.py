"""TensorFlow checkpoints of the first kind: one file, `model.ckpt-1000`.

It is a table of the kind that LevelDB writes (`tensorflow/core/lib/io/format.h`): its last eight
bytes are a magic number. The later kind has an `.index` and data files, and is read as one whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.paths import split

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

_MAGIC: Final = bytes.fromhex("57fb808b247547db")
_STEP: Final = re.compile(r".*\.ckpt-(\d{1,18})")


def _is_named(name: str) -> bool:
    return ".ckpt" in name and (name.endswith(".ckpt") or _STEP.fullmatch(name) is not None)


def _read(source: ByteSource, own_path: str) -> Facts | None:
    """Describe a table by its last bytes; its first entry has an empty key."""
    if source.read_at(0, 2) != b"\0\0" or source.read_at(source.size - 8, 8) != _MAGIC:
        return None
    step = _STEP.fullmatch(split(own_path)[1].lower())
    checkpoint = Checkpoint(
        "tf-checkpoint-v1",
        "recognised",
        "a TensorFlow checkpoint; its content is not read",
        framework="tensorflow",
        global_step=int(step[1]) if step else None,
        bytes_read=source.bytes_read,
    )
    return Facts(checkpoint)


FORMAT: Final = Format(
    "tf-checkpoint-v1", is_named=_is_named, signs=(".ckpt",), read_named=_read, precedence=70
)
