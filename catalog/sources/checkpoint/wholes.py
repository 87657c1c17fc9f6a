"""Checkpoints of several files: DeepSpeed, torch.distributed, Orbax, TensorFlow.

Hugging Face folders have a module of their own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint import tensors
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.contents import with_doubt, with_safety
from catalog.sources.checkpoint.huggingface import read_hugging_face
from catalog.sources.checkpoint.inert import Call, TensorStub, dtype_name
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.single import read_file
from catalog.sources.checkpoint.skeleton import SkeletonError, load
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Item

MAX_METADATA: Final = 12 * 1024 * 1024

_SHARD: Final = re.compile(r"\.data-(\d{5})-of-(\d{5})$")


def read_whole(root: Path, item: Item) -> Facts:
    """Read a checkpoint of several files; it never raises for what they hold.

    Raises:
        OSError: one of them cannot be opened.
    """
    parts = item.parts
    if item.path.endswith(".index"):
        return _tensorflow(item)
    if ".metadata" in parts:
        return _distributed(root, item)
    if any(name.endswith("_model_states.pt") for name in parts):
        return _deepspeed(root, item)
    if "manifest.ocdbt" in parts:
        reason = "an Orbax checkpoint; its content is not read"
        return Facts(Checkpoint("orbax", "recognised", reason, "orbax"))
    if "saved_model.pb" in parts:
        reason = "a TensorFlow SavedModel; its content is not read"
        return Facts(Checkpoint("tf-saved-model", "recognised", reason, "tensorflow"))
    return read_hugging_face(root, item)


def _tensorflow(item: Item) -> Facts:
    shards = [match for name in item.parts if (match := _SHARD.search(name))]
    wanted = max(int(match[2]) for match in shards)
    missing = wanted - len({match[1] for match in shards})
    if missing > 0:
        reason = f"{missing:,} of its {wanted:,} data files are missing"
        problem = Problem("missing-shards", sentence(reason))
        checkpoint = Checkpoint("tf-checkpoint", "truncated", reason, "tensorflow")
        return Facts(checkpoint, problems=(problem,))
    reason = "a TensorFlow checkpoint; its content is not read"
    return Facts(Checkpoint("tf-checkpoint", "recognised", reason, "tensorflow"))


def _deepspeed(root: Path, item: Item) -> Facts:
    """Read the first rank's model file, which holds what Lightning and DeepSpeed say."""
    name = min(name for name in item.parts if name.endswith("_model_states.pt"))
    with open_inside(root, root / item.path / name) as source:
        facts = read_file(source, f"{item.path}/{name}")
    if facts.checkpoint is None:
        return facts
    return replace(facts, checkpoint=replace(facts.checkpoint, format="deepspeed"))


def _distributed(root: Path, item: Item) -> Facts:
    """Read `.metadata`, a pickle that names every tensor, and Lightning's `meta.pt` beside it."""
    folder = root / item.path
    facts = Facts(Checkpoint("torch-distributed", "readable", framework="torch"))
    read = 0
    if "meta.pt" in item.parts:
        with open_inside(root, folder / "meta.pt") as source:
            facts = read_file(source, item.path)
            read = source.bytes_read
    checkpoint = facts.checkpoint or Checkpoint("torch-distributed", "unreadable")
    with open_inside(root, folder / ".metadata") as source:
        data = source.read_at(0, MAX_METADATA)
        read += source.bytes_read
    try:
        skeleton = load(data)
    except SkeletonError as error:
        checkpoint = replace(checkpoint, status="unreadable", reason=f".metadata: {error}")
        checkpoint = with_doubt(with_safety(checkpoint, error.found))
        problem = Problem(error.code, f"The .metadata cannot be read: {error}.")
        return replace(facts, checkpoint=checkpoint, problems=(*facts.problems, problem))
    stubs = _tensors_of_metadata(skeleton.root)
    checkpoint = replace(
        with_safety(checkpoint, skeleton.found),
        format="torch-distributed",
        tensors=tensors.described(stubs),
        parameter_count=tensors.element_count(stub.shape for stub in stubs) if stubs else None,
        bytes_read=read,
    )
    return replace(facts, checkpoint=checkpoint)


def _tensors_of_metadata(root: Any) -> list[tensors.NamedStub]:
    """Return the model's tensors (`torch/distributed/checkpoint/metadata.py`)."""
    named = attributes(root).get("state_dict_metadata")
    stubs: list[tensors.NamedStub] = []
    if not isinstance(named, dict):
        return stubs
    for name, value in named.items():
        size = attributes(value).get("size")
        properties = attributes(value).get("properties")
        if not isinstance(name, str) or re.match(r"optim", name):
            continue
        state = properties.state if isinstance(properties, Call) else None
        dtype = state[0] if isinstance(state, tuple) and state else None
        stub = TensorStub(None, dtype_name(dtype), 0, size, None)
        shape = tensors.shape_of(stub) if size is not None else None
        if shape is not None and len(stubs) < tensors.MAX_TENSORS:
            stubs.append(tensors.NamedStub(name, stub, shape))
    return stubs
