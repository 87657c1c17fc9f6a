"""Megatron-LM's folders `iter_0001000/`: `mp_rank_NN[_PPP[_EEE]]/model_optim_rng.pt` below them.

The numbers are ranks of tensor, pipeline and expert parallelism
(`megatron/training/checkpointing.py`: `get_checkpoint_name`); `args` in each file says how many
there are of the first two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.archives import read_root
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.single import read_file
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, folders_of
from catalog.sources.formats.parts import MAX_RANKS, foreign, missing
from catalog.sources.formats.ranks import joined
from catalog.sources.paths import split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from catalog.sources.facts import Facts, Item, Listing

NAME: Final = "megatron"

_RANK: Final = re.compile(r"mp_rank_(\d+)(?:_(\d+))?(?:_(\d+))?")
_MODEL: Final = re.compile(r"model(?:_optim)?(?:_rng)?\.pt")
_PART: Final = re.compile(r"(?:model|distrib_optim|optim)\w*\.pt")


def _find(listing: Listing) -> list[Whole]:
    parts = {
        path: entry
        for name in folders_of(listing)
        if _RANK.fullmatch(name)
        for path, entry in files_below(listing, name).items()
        if _PART.fullmatch(split(path)[1])
    }
    return [Whole(parts)] if parts else []


def _read(root: Path, item: Item) -> Facts:
    names = sorted(part for part in item.parts if _MODEL.fullmatch(split(part)[1]))
    if not names:
        return foreign(NAME, "it holds the state of an optimizer and no model")
    with open_inside(root, f"{root}/{item.path}/{names[0]}") as source:
        facts = read_file(source, f"{item.path}/{names[0]}")
        found = read_root(source)
        read = source.bytes_read
    top = found[0].root if found is not None and isinstance(found[0].root, dict) else {}
    checkpoint = facts.checkpoint
    if checkpoint is not None and checkpoint.framework in (None, "torch"):
        checkpoint = checkpoint.but(framework="megatron")
    step = top.get("iteration")
    if checkpoint is not None and checkpoint.global_step is None and type(step) is int:
        checkpoint = checkpoint.but(global_step=step if 0 <= step < 1 << 63 else None)
    facts = facts.but(checkpoint=checkpoint)
    return joined(root, item, facts, names, _lost(names, attributes(top.get("args"))), read)


def _lost(names: Sequence[str], arguments: dict[Any, Any]) -> str | None:
    """Return what is missing of the files of all ranks."""
    ranks = {match.groups() for name in names if (match := _RANK.fullmatch(split(name)[0]))}
    wanted = 1
    for place, key in enumerate(("tensor_model_parallel_size", "pipeline_model_parallel_size")):
        found = [int(rank[place]) for rank in ranks if rank[place] is not None]
        stated = arguments.get(key)
        if type(stated) is int and 0 < stated <= MAX_RANKS:
            wanted *= stated
        else:
            wanted *= min(max(found, default=0), MAX_RANKS) + 1
    # Experts have ranks of their own, which say nothing of how many there are.
    lost = wanted - len({rank[:2] for rank in ranks})
    return missing(lost, wanted, "model file") if lost > 0 else None


FOLDER: Final = FolderFormat(NAME, _find, _read, signs=("mp_rank_",), precedence=52)
