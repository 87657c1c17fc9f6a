"""DeepSpeed's folders: `mp_rank_NN_model_states.pt`, `zero_pp_rank_N_mp_rank_NN_optim_states.pt`.

`save_checkpoint(dir, tag)` writes the folder `dir/tag`, and the tag into `dir/latest`
(`deepspeed/runtime/engine.py`: `_get_ckpt_name`, `_get_zero_ckpt_name`). The tag is `global_stepN`
unless told otherwise; Lightning's is `checkpoint`, its folder `X.ckpt`; accelerate's is
`pytorch_model`. Under ZeRO each process writes a file of the optimizer, which has its share of the
weights in float32; under ZeRO-3 the model files have places of shape [0] in place of weights, and
`param_shapes` says what belongs there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint import tensors
from catalog.sources.checkpoint.archives import read_root
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.inert import TensorStub
from catalog.sources.checkpoint.single import read_file
from catalog.sources.facts import Checkpoint, Facts, Problem, Tensor
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of, folders_of
from catalog.sources.formats.parts import (
    MAX_RANKS,
    failed,
    foreign,
    missing,
    of_torch,
    with_name,
    with_parts,
)
from catalog.sources.paths import split
from catalog.sources.plain import clean, sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus, Entry, Item, Listing

NAME: Final = "deepspeed"
STATES: Final = re.compile(
    r"(?:bf16_|fp16_)?(?:zero_pp_rank_(?P<data>\d+)_)?mp_rank_(?P<model>\d+)(?:_\d+)?"
    r"_(?P<what>model|optim)_states\.pt"
    r"|(?P<layer>layer_\d+.*_?states\.pt)"
    r"|(?P<expert>expp_rank_\d+_mp_rank_\d+_optim_states\.pt)"
)
"""Names of a tag's files: of the model, of the optimizer; of one layer each where the model is a
pipeline; of experts."""

_STATE_OF_MODEL: Final = re.compile(r"(?:zero_pp_rank_\d+_)?mp_rank_\d+(?:_\d+)?_model_states\.pt")
_TAG: Final = re.compile(r"global_step\d+|checkpoint|pytorch_model(?:_\d+)?")
_LIGHTNING: Final = "checkpoint"
_FOLDER: Final = re.compile(r".*\.(?:ckpt|pt|pth)", re.IGNORECASE)
_LONGEST_TAG: Final = 1_024
_DOUBT: Final = "No fingerprint is made of weights that are spread over several files."


def _find(listing: Listing) -> list[Whole]:
    name = split(listing.path)[1]
    own = {file: e for file, e in files_of(listing).items() if STATES.fullmatch(file)}
    if own:
        return [Whole(own)]
    folders = folders_of(listing)
    if not _FOLDER.fullmatch(name):
        # Under other names a folder may have the tags of a whole training, but for Lightning's.
        has_latest = any(entry.name == "latest" for entry in listing.entries)
        folders = [_LIGHTNING] if has_latest and _LIGHTNING in folders else []
    found = tags_of(listing, folders)
    return [Whole(found)] if found else []


def tags_of(listing: Listing, names: Collection[str]) -> dict[str, Entry]:
    """Return DeepSpeed's files in some folders below one, and the file that names the last tag.

    Args:
        listing: the upper folder.
        names: of the lower ones.
    """
    found = {
        path: entry
        for name in names
        for path, entry in files_below(listing, name).items()
        if STATES.fullmatch(split(path)[1])
    }
    files = files_of(listing)
    if found and "latest" in files:
        found["latest"] = files["latest"]
    return found


def _read(root: Path, item: Item) -> Facts:
    return read_deepspeed(root, item.path, item.parts)


def read_deepspeed(root: Path, folder: str, parts: Sequence[str]) -> Facts:
    """Read DeepSpeed's files in a folder, or in the folders of tags below it.

    Args:
        root: the ingested tree.
        folder: path below it.
        parts: the files by their paths below the folder.

    Raises:
        OSError: one of them cannot be opened.
    """
    tags: dict[str, list[str]] = {}
    for part in parts:
        above, name = split(part)
        if STATES.fullmatch(name):
            tags.setdefault(above, []).append(name)
    stated = _stated_tag(root, folder) if "latest" in parts else None
    if stated is not None and stated not in tags:
        reason = f"its file latest names {clean(stated[:80])}, which is not there"
        return failed(NAME, "truncated", reason, "missing-shards", "deepspeed")
    tag = stated or max(tags, key=_order)
    place = folder if tag == "." else f"{folder}/{tag}"
    return _read_tag(root, place, sorted(tags[tag]), folder)


def _order(tag: str) -> tuple[int, str]:
    digits = re.search(r"\d{1,18}$", tag)
    return (int(digits[0]) if digits else -1, tag)


def _stated_tag(root: Path, folder: str) -> str | None:
    with open_inside(root, f"{root}/{folder}/latest") as source:
        text = source.read_at(0, _LONGEST_TAG).decode("utf-8", "replace").strip()
    return text if text.isprintable() and text else None


class _Ranks(NamedTuple):
    """Which processes wrote one kind of file: (data-parallel rank or None, model-parallel rank)."""

    model: set[tuple[int | None, int]]
    optimizer: set[tuple[int | None, int]]
    has_layers: bool
    has_experts: bool

    @property
    def is_zero_3(self) -> bool:
        return any(data is not None for data, _ in self.model)


def _ranks(names: Sequence[str]) -> _Ranks:
    ranks = _Ranks(
        set(),
        set(),
        has_layers=any(name.startswith("layer_") for name in names),
        has_experts=any("expert" in name or name.startswith("expp_") for name in names),
    )
    for name in names:
        match = STATES.fullmatch(name)
        if match is not None and match["what"]:
            data = None if match["data"] is None else int(match["data"])
            kind = ranks.model if match["what"] == "model" else ranks.optimizer
            kind.add((data, int(match["model"])))
    return ranks


def _read_tag(root: Path, folder: str, names: Sequence[str], own_path: str) -> Facts:
    """Read the first process's model file, which says what DeepSpeed and Lightning say.

    Args:
        root: the ingested tree.
        folder: of the tag.
        names: of DeepSpeed's files in it.
        own_path: of the checkpoint, as Lightning names it.
    """
    ranks = _ranks(names)
    if not ranks.model:
        if not ranks.has_layers and not _is_of_a_checkpoint(folder):
            return foreign(NAME, "it holds the state of an optimizer and no model")
        reason = "its model file (mp_rank_00_model_states.pt) is missing"
        return failed(NAME, "truncated", reason, "missing-shards", "deepspeed")
    first = min(name for name in names if _STATE_OF_MODEL.fullmatch(name))
    with open_inside(root, f"{root}/{folder}/{first}") as source:
        facts = read_file(source, own_path)
        found = read_root(source)
        read = source.bytes_read
    checkpoint = of_torch(facts)
    top = found[0].root if found is not None and isinstance(found[0].root, dict) else {}
    checkpoint = _described(checkpoint.but(bytes_read=read), top, ranks)
    facts = facts.but(checkpoint=checkpoint)
    if checkpoint.status != "readable":
        return with_name(facts, first)
    lost = _missing(top, ranks)
    if lost is not None:
        status: CheckpointStatus = "truncated"
        problem = Problem("missing-shards", sentence(lost))
        checkpoint = checkpoint.but(status=status, reason=lost)
        return facts.but(checkpoint=checkpoint, problems=(*facts.problems, problem))
    others = [name for name in names if name != first]
    return with_parts(root, folder, others, facts)


def _is_of_a_checkpoint(folder: str) -> bool:
    above, name = split(folder)
    return bool(_TAG.fullmatch(name) or _FOLDER.fullmatch(name) or _FOLDER.fullmatch(above))


def _described(checkpoint: Checkpoint, top: dict[Any, Any], ranks: _Ranks) -> Checkpoint:
    """Return the checkpoint of a model file as that of the folder."""
    checkpoint = checkpoint.but(
        format=NAME,
        weights_fingerprint=None,
        weights_doubt=_DOUBT,
        default_load=None,
    )
    if checkpoint.framework in (None, "torch"):
        version = top.get("ds_version")
        checkpoint = checkpoint.but(
            framework="deepspeed", framework_version=version if type(version) is str else None
        )
    step = top.get("global_steps")
    if checkpoint.global_step is None and type(step) is int and 0 <= step < 1 << 63:
        checkpoint = checkpoint.but(global_step=step)
    if checkpoint.status == "foreign" and isinstance(top.get("module"), dict):
        checkpoint = checkpoint.but(status="readable", reason=None)
    if checkpoint.status != "readable":
        return checkpoint
    if len({model for _, model in ranks.model}) > 1 or ranks.has_layers or ranks.has_experts:
        doubt = "Its weights are split over several files, and only the first was read."
        return checkpoint.but(
            tensors=(), parameter_count=None, tensor_bytes=None, weights_doubt=doubt
        )
    if ranks.is_zero_3:
        return _with_shapes(checkpoint, top)
    return checkpoint


def _with_shapes(checkpoint: Checkpoint, top: dict[Any, Any]) -> Checkpoint:
    """Return a checkpoint of ZeRO-3 with the tensors whose places alone are in the model file."""
    module = top.get("module")
    module = module if isinstance(module, dict) else {}
    groups = top.get("param_shapes")
    stated = [*groups, top.get("frozen_param_shapes")] if isinstance(groups, list) else []
    shapes: dict[str, tuple[int, ...]] = {}
    for group in stated:
        for name, size in group.items() if isinstance(group, dict) else ():
            shape = tensors.shape_of(TensorStub(None, None, 0, size, None))
            if isinstance(name, str) and shape is not None:
                shapes[name] = shape
    # What has a shape of its own in the model file is a buffer.
    kept: list[Tensor] = []
    for tensor in checkpoint.tensors:
        shape = shapes.pop(tensor.name, None) or (None if 0 in tensor.shape else tensor.shape)
        if shape is not None:
            kept.append(tensor._replace(shape=shape, shares=None))
    if not stated or shapes or not kept:
        doubt = "Its weights are in the optimizer's files, and their shapes are not stated."
        return checkpoint.but(
            tensors=(), parameter_count=None, tensor_bytes=None, weights_doubt=doubt
        )
    return checkpoint.but(
        tensors=tuple(kept),
        parameter_count=tensors.element_count(tensor.shape for tensor in kept),
        tensor_bytes=None,
    )


def _missing(top: dict[Any, Any], ranks: _Ranks) -> str | None:
    """Return what is missing of the files that all processes wrote together."""
    every = ranks.model | ranks.optimizer
    data = _size(top.get("dp_world_size"), [rank for rank, _ in every if rank is not None])
    # Of a pipeline a process has layers, which have files of their own.
    stated = None if ranks.has_layers else top.get("mp_world_size")
    model = _size(stated, [rank for _, rank in every])
    wanted = data * model if ranks.is_zero_3 else model
    lost = wanted - len({pair for pair in ranks.model if pair[1] < model})
    if lost > 0:
        return missing(lost, wanted, "model file")
    if ranks.has_experts or not (ranks.optimizer or _is_zero(top)):
        return None
    if ranks.optimizer and all(rank is None for rank, _ in ranks.optimizer):
        data = 1
    wanted = data * model
    lost = wanted - len({pair for pair in ranks.optimizer if pair[1] < model})
    return missing(lost, wanted, "optimizer file") if lost > 0 else None


def _size(stated: object, ranks: list[int]) -> int:
    """Return how many processes there were: as stated, else as the ranks in the names tell."""
    if type(stated) is int and 0 < stated <= MAX_RANKS:
        return stated
    return min(max(ranks, default=0), MAX_RANKS) + 1


def _is_zero(top: dict[Any, Any]) -> bool:
    """Say whether the optimizer was shared out, so that it has files of its own."""
    settings = top.get("ds_config")
    stage = settings.get("zero_optimization") if isinstance(settings, dict) else None
    stage = stage.get("stage") if isinstance(stage, dict) else None
    if type(stage) is int:
        return stage > 0
    return bool(top.get("param_shapes"))


FOLDER: Final = FolderFormat(
    NAME, _find, _read, signs=("_states.pt", ".ckpt", ".pt", "latest"), precedence=50
)
