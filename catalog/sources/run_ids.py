"""Ids of runs: which of them a tracker drew at random, and which may be words.

An id that a tracker drew names one run anywhere. One that a person gave (`wandb.init(id=...)`,
`WANDB_RUN_ID`) is a name: folders, files and runs of other projects bear it as well.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LETTERS_AND_DIGITS = re.compile(r"[a-z0-9]{8}")
"""What W&B draws (`generate_id` in `wandb/sdk/lib/runid.py`)."""
_HEXADECIMAL = re.compile(r"[0-9a-f]{32}")
"""What MLflow draws (`uuid4().hex`)."""
_WORD = re.compile(r"[0-9]*[a-z]*[0-9]*")
"""`finetune`, `resnet50`, `3dresnet`, `20251018`: people number their words at an end. Of drawn
ids one in five looks like that."""
_PARTS = (
    "ade", "aug", "base", "bert", "best", "cifar", "ckpt", "clip", "cnn", "coco", "conv",
    "cvt", "data", "ddpm", "deit", "demo", "det", "dpo", "dqn", "epoch", "eval", "exp", "final",
    "fold", "gan", "gpt", "gru", "huge", "kfold", "large", "last", "llama", "lora", "lstm", "mini",
    "mlp", "mnist", "mob", "model", "nano", "net", "noise", "ocr", "part", "phase", "phi", "ppo",
    "pre", "qwen", "res", "rnn", "run", "sac", "seed", "seg", "sft", "small", "stage", "step",
    "swin", "task", "test", "tiny", "train", "trial", "tune", "unet", "vae", "val", "ver", "vgg",
    "vit", "voc", "whisper", "yolo",
)  # fmt: skip
"""Parts of the names of models, data sets and experiments: `yolov8n1`, `bert4rec`, `fold1of5`."""
_NAMED = re.compile("|".join(_PARTS))


@lru_cache(maxsize=65_536)
def is_drawn(run_id: str) -> bool:
    """Tell whether an id can only have been drawn by a tracker.

    Args:
        run_id: as the tracker states it.

    Returns:
        False for what may be a word, though some ids that were drawn look like one: such an id
        needs something else beside it.
    """
    if _HEXADECIMAL.fullmatch(run_id):
        return True
    return (
        _LETTERS_AND_DIGITS.fullmatch(run_id) is not None
        and _WORD.fullmatch(run_id) is None
        and _NAMED.search(run_id) is None
    )
