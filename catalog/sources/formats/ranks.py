"""Models that each process saved its share of, under names that say how many there were.

verl writes `model_world_size_8_rank_3.pt`, `optim_world_size_8_rank_3.pt` and
`extra_state_world_size_8_rank_3.pt` (`verl/utils/checkpoint/fsdp_checkpoint_manager.py`); others
use the same form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.single import read_file
from catalog.sources.facts import Facts, Problem
from catalog.sources.formats.folder import FolderFormat, Whole, files_of
from catalog.sources.formats.parts import foreign, missing, of_torch, with_name, with_parts
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus, Item, Listing

NAME: Final = "torch-ranks"

_RANK: Final = re.compile(
    r"(?P<what>.+?)_world_size_(?P<whole>\d{1,7})_rank_(?P<rank>\d{1,7})\.(?:pt|pth|bin|ckpt)"
)
_TRAINING: Final = re.compile(r"optim|extra_state|scheduler|rng", re.IGNORECASE)


def _find(listing: Listing) -> list[Whole]:
    parts = {name: e for name, e in files_of(listing).items() if _RANK.fullmatch(name)}
    return [Whole(parts)] if parts else []


def _read(root: Path, item: Item) -> Facts:
    names = sorted(name for name in item.parts if not _is_training(name))
    if not names:
        return foreign(NAME, "it holds the state of a training and no weights")
    first = names[0]
    with open_inside(root, f"{root}/{item.path}/{first}") as source:
        facts = read_file(source, f"{item.path}/{first}")
        read = source.bytes_read
    return joined(root, item, facts, names, lost_ranks(item.parts), read)


def joined(
    root: Path, item: Item, facts: Facts, names: list[str], lost: str | None, read: int
) -> Facts:
    """Return the facts of one process's file as those of the folder.

    Args:
        root: the ingested tree.
        item: the folder.
        facts: of the first file.
        names: of all files that hold weights; what the others hold is not added up.
        lost: what is missing of them.
        read: bytes of the first file that were read.
    """
    checkpoint = of_torch(facts)
    checkpoint = checkpoint.but(format=item.format or "", bytes_read=read, default_load=None)
    if len(names) > 1 or lost:
        doubt = "Its weights are spread over several files and are not added up."
        checkpoint = checkpoint.but(
            tensors=(),
            parameter_count=None,
            tensor_bytes=None,
            weights_fingerprint=None,
            weights_doubt=doubt,
        )
    if checkpoint.status != "readable":
        return with_name(facts.but(checkpoint=checkpoint), names[0])
    if lost is not None:
        status: CheckpointStatus = "truncated"
        problem = Problem("missing-shards", sentence(lost))
        checkpoint = checkpoint.but(status=status, reason=lost)
        return facts.but(checkpoint=checkpoint, problems=(*facts.problems, problem))
    others = [name for name in item.parts if name != names[0]]
    facts = facts.but(checkpoint=checkpoint)
    return with_parts(root, item.path, others, facts)


def lost_ranks(names: Iterable[str]) -> str | None:
    """Return what is missing of the files of all processes, None where nothing is.

    Args:
        names: of all files.
    """
    ranks: dict[tuple[str, int], set[int]] = {}
    for name in names:
        match = _RANK.fullmatch(name)
        if match:
            key = (match["what"], int(match["whole"]))
            ranks.setdefault(key, set()).add(int(match["rank"]))
    for (what, whole), found in sorted(ranks.items()):
        lost = whole - len({rank for rank in found if rank < whole})
        if lost > 0:
            noun = f"{what} file" if what.replace("_", "").isalnum() else "file"
            return missing(lost, whole, noun)
    return None


def _is_training(name: str) -> bool:
    match = _RANK.fullmatch(name)
    return match is not None and _TRAINING.search(match["what"]) is not None


FOLDER: Final = FolderFormat(NAME, _find, _read, signs=("_world_size_",), precedence=55)
