"""Which directories are checkpoints, and which of their files belong to the whole: by name.

Hugging Face folders (Trainer's `checkpoint-N/`, models, PEFT adapters), DeepSpeed and
torch.distributed folders, Orbax items, TensorFlow's SavedModel, and TensorFlow's `X.index` with its
`X.data-*`, which share a folder with others of their kind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Item
from catalog.sources.paths import is_file, join, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from catalog.sources.facts import Entry, Listing

WEIGHTS: Final = re.compile(
    r"(?:(?:model|adapter_model|diffusion_pytorch_model)@\.safetensors"
    r"|(?:pytorch_model|adapter_model|diffusion_pytorch_model)@\.bin"
    r"|tf_model@\.h5|flax_model@\.msgpack)".replace("@", r"(?:-\d{5}-of-\d{5})?(?:\.fp16|\.bf16)?")
)
"""Names under which Hugging Face libraries save weights, whole or in shards."""

_TRAINER_FOLDER: Final = re.compile(r"checkpoint-\d+")
_TRAINER_PARTS: Final = re.compile(
    r"(?:config|generation_config|adapter_config|trainer_state)\.json"
    r"|(?:training_args|optimizer|scheduler)\.bin"
    r"|(?:optimizer|scheduler|scaler)\.pt"
    r"|rng_state(?:_\d+)?\.pth"
    r"|(?:model|pytorch_model|diffusion_pytorch_model)\.(?:safetensors|bin)\.index\.json"
)
_DEEPSPEED: Final = re.compile(r".*mp_rank_\d+.*_(?:model|optim)_states\.pt|layer_\d+.*_states\.pt")
_DISTRIBUTED: Final = re.compile(r"\.metadata|meta\.pt|__\d+_\d+\.distcp")
_ORBAX: Final = re.compile(r"_METADATA|_CHECKPOINT_METADATA|_sharding|manifest\.ocdbt")
"""Of one item: the folder of a step holds no arrays itself (`orbax/checkpoint`)."""
_SAVED_MODEL: Final = re.compile(r"(?:saved_model|keras_metadata|fingerprint)\.pb")
_TENSORFLOW_DATA: Final = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")


def find_wholes(reader: str, listing: Listing) -> list[Item]:
    """Return the checkpoints in a directory that consist of several files, or are it.

    Args:
        reader: name of the reader, for the items.
        listing: the directory.
    """
    files = {entry.name: entry for entry in listing.entries if is_file(entry)}
    for find in (_hugging_face, _deepspeed, _distributed, _orbax, _saved_model):
        parts = find(split(listing.path)[1], files.keys())
        if parts:
            return [_item(reader, listing.path, [files[name] for name in sorted(parts)])]
    return [
        _item(reader, join(listing.path, index), [files[name] for name in parts])
        for index, parts in _tensorflow(files.keys())
        if split(listing.path)[1] != "variables" or index != "variables.index"
    ]


def holds_a_checkpoint(listing: Listing) -> bool:
    """Say whether a directory merely wraps one, as Lightning's DeepSpeed strategy leaves it."""
    names = {entry.name: entry.kind for entry in listing.entries}
    return names.get("checkpoint") == "directory" and "latest" in names


def _item(reader: str, path: str, entries: list[Entry]) -> Item:
    return Item(
        reader=reader,
        path=path,
        size=sum(entry.size for entry in entries),
        mtime_ns=max(entry.mtime_ns for entry in entries),
        parts=tuple(entry.name for entry in entries),
    )


def _hugging_face(folder: str, names: Iterable[str]) -> list[str]:
    parts = [n for n in names if WEIGHTS.fullmatch(n) or _TRAINER_PARTS.fullmatch(n)]
    weights = any(WEIGHTS.fullmatch(name) for name in parts)
    described = any(
        name in parts for name in ("config.json", "adapter_config.json", "trainer_state.json")
    )
    sharded = any(name.endswith(".index.json") for name in parts)
    trainer = "trainer_state.json" in parts and _TRAINER_FOLDER.fullmatch(folder)
    return parts if ((weights or sharded) and described) or trainer else []


def _matching(pattern: re.Pattern[str], sign: str) -> Callable[[str, Iterable[str]], list[str]]:
    def find(_: str, names: Iterable[str]) -> list[str]:
        parts = [name for name in names if pattern.fullmatch(name)]
        return parts if any(name.endswith(sign) for name in parts) else []

    return find


_deepspeed = _matching(_DEEPSPEED, "_model_states.pt")
_distributed = _matching(_DISTRIBUTED, ".metadata")
_saved_model = _matching(_SAVED_MODEL, "saved_model.pb")


def _orbax(_: str, names: Iterable[str]) -> list[str]:
    parts = [name for name in names if _ORBAX.fullmatch(name)]
    # The folders of its processes, inside it, have a manifest too.
    return parts if {"_METADATA", "manifest.ocdbt"}.issubset(parts) else []


def _tensorflow(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    data: dict[str, list[str]] = {}
    names = sorted(names)
    for name in names:
        match = _TENSORFLOW_DATA.fullmatch(name)
        if match:
            data.setdefault(match[1], []).append(name)
    return [
        (f"{prefix}.index", [f"{prefix}.index", *parts])
        for prefix, parts in data.items()
        if f"{prefix}.index" in names
    ]
