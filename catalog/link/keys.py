"""What the key of a config's value says of the path under it: that it is read, or written."""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS = re.compile(r"[^a-z0-9]+")
_READING = frozenset(
    {
        "pretrained", "resume", "restore", "load", "loaded", "init", "initial", "from", "finetune",
        "eval", "evaluate", "evaluation", "test", "infer", "inference", "predict", "prediction",
        "input", "inputs", "source", "teacher", "data", "dataset",
    }
)  # fmt: skip
_HOLDING = frozenset({"checkpoint", "checkpoints", "ckpt", "ckpts", "weights", "model", "models"})
_WRITING = frozenset(
    {
        "output", "outputs", "out", "save", "saved", "dirpath", "log", "logs", "logger", "logging",
        "run", "work",
    }
)  # fmt: skip
"""Words in a config's key that tell what its folder is for."""
_LOADED = frozenset({"name", "or", "path"})
"""Hugging Face's `model_name_or_path` and `_name_or_path`: what `from_pretrained` loads."""
_SAVING = frozenset(
    {"save", "saved", "saving", "output", "out", "outfile", "export", "dst", "dest"}
)
"""Words in the key of a file that a run writes."""

_ANOTHER = re.compile(
    r"(?:^|[._/-])(?:base|compare|other|parent|prev|previous|old|ref|reference)(?:$|[._/-])",
    re.IGNORECASE,
)


@lru_cache(maxsize=4_096)
def says_another(key: str) -> bool:
    """Tell whether a key is of another training's name or id: `parent_run`, `base_exp_name`."""
    return _ANOTHER.search(key) is not None


@lru_cache(maxsize=4_096)
def says_writing(key: str) -> bool:
    """Tell whether a folder under a key is one that a run writes to: `output_dir`."""
    return bool(_words(key) & _WRITING)


@lru_cache(maxsize=4_096)
def says_holding(key: str) -> bool:
    """Tell whether a folder under a key holds checkpoints: `ckpt_dir`."""
    return bool(_words(key) & _HOLDING)


@lru_cache(maxsize=4_096)
def says_loading(key: str) -> bool:
    """Tell whether a key is one of what `from_pretrained` loads."""
    return _words(key) >= _LOADED


@lru_cache(maxsize=4_096)
def says_reading(key: str) -> bool:
    """Tell whether what is under a key is read: `resume`, `init_from`."""
    return bool(_words(key) & _READING) or says_loading(key)


@lru_cache(maxsize=4_096)
def says_saving(key: str) -> bool:
    """Tell whether a file under a key is one that a run writes: `save_path`."""
    words = _words(key)
    return bool(words & _SAVING and not words & _READING)


def _words(key: str) -> set[str]:
    return set(_WORDS.split(key.lower()))
