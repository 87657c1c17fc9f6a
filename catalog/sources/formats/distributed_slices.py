"""Slices of the shards of torch.distributed: in each is what `torch.save` wrote of one chunk.

`FileSystemReader.read_data` in `torch/distributed/checkpoint/filesystem.py` loads each tensor by
`torch.load(..., weights_only=True)` and narrows it to what `.metadata` states; what is no tensor is
handed to the planner, and the usual one loads it too (`default_planner.py`, `load_bytes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from catalog.sources.checkpoint.archives import read_archive
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.single import read_file
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.parts import Fault, is_unread, judged_with, of_torch
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from catalog.sources.checkpoint.byte_source import ByteSource

MAX_SLICES: Final = 16_384
"""That are read, each by two small reads: some seconds of work."""
MAX_BYTES: Final = 512 * 1024 * 1024
"""Of slices that are read: each is read up to its pickle, which has a kilobyte."""
_ZIP: Final = b"PK\3\4"
_ZIP_END: Final = b"PK\5\6"
_END_RECORD: Final = 22
_LONGEST_NAME: Final = 80


class Place(NamedTuple):
    """Where a chunk of a tensor is, or what else is kept (`_StorageInfo`)."""

    name: str
    path: str
    """Of the shard, below the folder."""
    offset: int
    end: int
    is_tensor: bool
    is_packed: bool
    """Whether an extension changed what `torch.save` wrote, as by compressing it."""
    sizes: tuple[int, ...] | None
    """Of the chunk of a tensor, as `.metadata` states them."""

    @property
    def is_archive(self) -> bool:
        """Whether `torch.save` wrote a tensor there, and nothing changed it."""
        return self.is_tensor and not self.is_packed


class Slices(NamedTuple):
    """What was found in the slices of a folder."""

    checkpoint: Checkpoint
    """Of the folder, with the verdicts on the pickles in the slices."""
    fault: Fault | None = None
    """The first one that was met."""
    unread: str | None = None
    """Why not all of them were read, without capital and full stop."""


def look_at_slices(
    root: Path, folder: str, checkpoint: Checkpoint, places: Iterable[Place]
) -> Slices:
    """Read the slices of a folder's shards as torch does, but for the numbers.

    Args:
        root: the ingested tree.
        folder: path of the checkpoint below it.
        checkpoint: of the folder.
        places: of the chunks, in files that are there.

    Raises:
        OSError: a shard cannot be opened.
    """
    by_path: dict[str, list[Place]] = {}
    for place in places:
        by_path.setdefault(place.path, []).append(place)
    number = read = 0
    unread = None
    for path, found in sorted(by_path.items()):
        with open_inside(root, f"{root}/{folder}/{path}") as source:
            for place, facts in _read(source, found):
                if number == MAX_SLICES or read + source.bytes_read > MAX_BYTES:
                    unread = f"{number:,} of its tensors' slices are read at most"
                    break
                number += 1
                part = of_torch(facts)
                checkpoint = judged_with(checkpoint, part) if not place.is_tensor else checkpoint
                name = f"the slice of {clean(place.name)[:_LONGEST_NAME]!r} in {path}"
                flaw = _flaw(place, part)
                if flaw is not None:
                    fault = Fault("unreadable", f"{name} is damaged: {flaw}")
                    checkpoint = checkpoint.but(
                        bytes_read=checkpoint.bytes_read + read + source.bytes_read
                    )
                    return Slices(checkpoint, fault)
                if is_unread(facts):
                    unread = unread or f"{name} is not read to its end"
            read += source.bytes_read
    if unread is None and any(place.is_packed for found in by_path.values() for place in found):
        unread = "its tensors are packed by an extension, and are not read"
    return Slices(checkpoint.but(bytes_read=checkpoint.bytes_read + read), None, unread)


def _read(source: ByteSource, places: list[Place]) -> Iterator[tuple[Place, Facts]]:
    """Yield the slices of a shard that are torch's own, each with what is in it."""
    for place in sorted(places, key=lambda one: one.offset):
        if place.is_packed:
            continue
        window = source.window(place.offset, place.end - place.offset)
        end = window.read_at(max(window.size - _END_RECORD, 0), len(_ZIP_END))
        begins = window.read_at(0, len(_ZIP)) == _ZIP
        is_zip = begins or end == _ZIP_END
        if is_zip:
            # torch tells an archive by its first bytes (`_is_zipfile` in `torch/serialization.py`).
            yield place, read_archive(window, "slice") if begins else _not_begun()
        elif place.is_tensor:
            yield place, read_file(window, "slice")
        # What is neither is the planner's own, whatever it wrote.


def _not_begun() -> Facts:
    reason = "an archive ends there, and none begins"
    return Facts(Checkpoint("zip", "unreadable", reason))


def _flaw(place: Place, part: Checkpoint) -> str | None:
    """Return why torch refuses a slice, None where it takes it."""
    if part.status in ("truncated", "empty", "pointer", "unreadable"):
        return part.reason or part.status
    if not place.is_tensor:
        return None
    load = part.default_load
    if load is not None and load.accepted == "no":
        return load.reason or "torch does not load its pickle as weights"
    if place.sizes is None or len(part.tensors) != 1 or part.tensors[0].name:
        return None
    shape = part.tensors[0].shape
    if len(shape) != len(place.sizes) or any(
        size < wanted for size, wanted in zip(shape, place.sizes, strict=True)
    ):
        return f"its tensor is {list(shape)}, and .metadata states {list(place.sizes)}"
    return None
