"""Weights of a sharded model in a folder below the checkpoint: FSDP's and DeepSpeed's.

accelerate writes `pytorch_model_fsdp_N/` and `optimizer_N/` (`accelerate/utils/fsdp_utils.py`, for
SHARDED_STATE_DICT), and DeepSpeed the folder of a tag.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.tensors import element_count
from catalog.sources.facts import Facts, Problem
from catalog.sources.formats.deepspeed import STATES, read_deepspeed
from catalog.sources.formats.torch_distributed import read_distributed
from catalog.sources.paths import split
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FSDP: Final = re.compile(r"pytorch_model_fsdp_\d+")
OPTIMIZER: Final = re.compile(r"optimizer_\d+")


def nested_weights(root: Path, folder: str, parts: Sequence[str]) -> Facts | None:
    """Return what the weights in the folders below a checkpoint say.

    Args:
        root: the ingested tree.
        folder: the checkpoint's path below it.
        parts: its files by their paths below the folder.

    Returns:
        None where no folder below it holds weights. `weights_doubt` says what joins them.

    Raises:
        OSError: one of the files cannot be opened.
    """
    names: dict[str, list[str]] = {}
    for part in parts:
        above, name = split(part)
        if above != ".":
            names.setdefault(above, []).append(name)
    sharded = sorted(name for name in names if FSDP.fullmatch(name))
    if sharded:
        every = [
            _named(read_distributed(root, f"{folder}/{name}", names[name]), name)
            for name in sharded
        ]
        return _with_hint(_joined(every), ", ".join(sharded), "accelerate merge-weights")
    tags = [name for name in names if any(map(STATES.fullmatch, names[name]))]
    if tags:
        wanted = [part for part in parts if part == "latest" or split(part)[0] in tags]
        facts = read_deepspeed(root, folder, wanted)
        return _with_hint(facts, ", ".join(sorted(tags)), "zero_to_fp32.py")
    return None


def _named(facts: Facts, name: str) -> Facts:
    """Return the facts of a folder below, with its name in what is wrong with it."""
    checkpoint = facts.checkpoint
    if checkpoint is None or checkpoint.reason is None:
        return facts
    reason = f"{checkpoint.reason} (in {name})"
    stated = sentence(checkpoint.reason)
    problems = tuple(
        Problem(one.code, one.message.replace(stated, sentence(reason))) for one in facts.problems
    )
    return facts.but(checkpoint=checkpoint.but(reason=reason), problems=problems)


def _joined(every: list[Facts]) -> Facts:
    """Return the facts of several models that were prepared together, as one."""
    first = next((f for f in every if f.checkpoint and f.checkpoint.status != "readable"), every[0])
    checkpoints = [facts.checkpoint for facts in every if facts.checkpoint is not None]
    if len(every) == 1 or first.checkpoint is None:
        return first
    tensors = tuple(tensor for one in checkpoints for tensor in one.tensors)
    stored = [one.tensor_bytes for one in checkpoints]
    checkpoint = first.checkpoint.but(
        tensors=tensors,
        parameter_count=element_count(tensor.shape for tensor in tensors) if tensors else None,
        tensor_bytes=None if None in stored else sum(size for size in stored if size),
    )
    return first.but(
        checkpoint=checkpoint, problems=tuple(one for facts in every for one in facts.problems)
    )


def _with_hint(facts: Facts, where: str, tool: str) -> Facts:
    checkpoint = facts.checkpoint
    if checkpoint is None:
        return facts
    doubt = f"Its weights are sharded in {where}"
    if checkpoint.status == "readable":
        doubt = f"{doubt}; `{tool}` makes one model of them"
    doubts = [f"{doubt}."]
    if checkpoint.parameter_count is None and checkpoint.weights_doubt is not None:
        doubts.append(checkpoint.weights_doubt)
    return facts.but(checkpoint=checkpoint.but(weights_doubt=" ".join(doubts)))
