"""Which folders are Hugging Face's: Trainer's `checkpoint-N/`, saved models, PEFT adapters.

`sources/checkpoint/huggingface.py` reads them. Where the model is sharded, Trainer leaves the
weights in a folder below: FSDP in `pytorch_model_fsdp_0/` (`accelerate/utils/fsdp_utils.py`),
DeepSpeed in `global_stepN/` (`transformers/trainer.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.huggingface import read_hugging_face
from catalog.sources.checkpoint.weight_names import WEIGHTS
from catalog.sources.formats.deepspeed import STATES
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of, folders_of
from catalog.sources.paths import split

if TYPE_CHECKING:
    from catalog.sources.facts import Entry, Listing

_TRAINER_FOLDER: Final = re.compile(r"checkpoint-\d+")
_TRAINER_PARTS: Final = re.compile(
    r"(?:config|generation_config|adapter_config|trainer_state)\.json"
    r"|(?:training_args|optimizer|scheduler)\.bin"
    r"|(?:optimizer|scheduler|scaler)\.pt"
    r"|rng_state(?:_\d+)?\.pth"
    r"|(?:model|pytorch_model|diffusion_pytorch_model|tf_model|flax_model)"
    r"\.(?:safetensors|bin|h5|msgpack)\.index(?:\.\w+)?\.json"
)
_DESCRIPTIONS: Final = ("config.json", "adapter_config.json", "trainer_state.json")
_FSDP: Final = re.compile(r"(?:pytorch_model_fsdp|optimizer)_\d+")
_DEEPSPEED: Final = re.compile(r"global_step\d+")


def _find(listing: Listing) -> list[Whole]:
    files = files_of(listing)
    parts = {n: e for n, e in files.items() if WEIGHTS.fullmatch(n) or _TRAINER_PARTS.fullmatch(n)}
    sharded = any(".index." in name for name in parts)
    if not sharded and not any(name in parts for name in _DESCRIPTIONS):
        return []
    weights = any(WEIGHTS.fullmatch(name) for name in parts)
    has_state = "trainer_state.json" in parts
    trainer = has_state and _TRAINER_FOLDER.fullmatch(split(listing.path)[1])
    nested = _nested(listing, with_deepspeed=has_state)
    adapter = "adapter_config.json" in parts
    if not (weights or sharded or trainer or nested or adapter):
        return []
    parts |= nested
    if "latest" in files and nested:
        parts["latest"] = files["latest"]
    return [Whole(parts)]


def _nested(listing: Listing, *, with_deepspeed: bool) -> dict[str, Entry]:
    """Return the files of a sharded model in the folders below."""
    found: dict[str, Entry] = {}
    for name in folders_of(listing):
        if _FSDP.fullmatch(name):
            found |= files_below(listing, name)
        elif with_deepspeed and _DEEPSPEED.fullmatch(name):
            below = files_below(listing, name)
            found |= {path: e for path, e in below.items() if STATES.fullmatch(split(path)[1])}
    return found


FOLDER: Final = FolderFormat(
    "hf-trainer",
    _find,
    read_hugging_face,
    signs=("config.json", "trainer_state", ".index."),
    precedence=40,
)
