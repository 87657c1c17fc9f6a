"""Folders of accelerate's `save_state` whose model is sharded by FSDP or DeepSpeed.

Beside the folders of the shards are `random_states_0.pkl`, `scheduler.bin`, `sampler.bin` and the
like (`accelerate/checkpointing.py`, `accelerate/utils/constants.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.formats.deepspeed import tags_of
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of, folders_of
from catalog.sources.formats.nested_weights import FSDP, OPTIMIZER, nested_weights
from catalog.sources.formats.parts import foreign

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Facts, Item, Listing

NAME: Final = "accelerate"

_STATE: Final = re.compile(
    r"random_states_\d+\.pkl|(?:scheduler|sampler|optimizer)(?:_\d+)?\.bin|scaler\.pt"
    r"|custom_checkpoint_\d+\.pkl"
)
_DEEPSPEED: Final = re.compile(r"pytorch_model(?:_\d+)?")
"""accelerate's tags."""


def _find(listing: Listing) -> list[Whole]:
    folders = folders_of(listing)
    sharded = [name for name in folders if FSDP.fullmatch(name) or OPTIMIZER.fullmatch(name)]
    parts = tags_of(listing, [name for name in folders if _DEEPSPEED.fullmatch(name)])
    for name in sharded:
        parts |= files_below(listing, name)
    state = {name: e for name, e in files_of(listing).items() if _STATE.fullmatch(name)}
    # A folder that holds nothing but one of them holds a checkpoint, and is none.
    is_one = bool(state) or "latest" in parts or len(sharded) > 1
    return [Whole(parts | state)] if parts and is_one else []


def _read(root: Path, item: Item) -> Facts:
    facts = nested_weights(root, item.path, item.parts)
    if facts is None or facts.checkpoint is None:
        return foreign(NAME, "it holds the state of an optimizer and no weights")
    return facts.but(checkpoint=facts.checkpoint.but(format=NAME))


FOLDER: Final = FolderFormat(
    NAME, _find, _read, signs=("pytorch_model", "optimizer_"), precedence=45
)
