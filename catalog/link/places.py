"""The folder names by which a checkpoint's place can be recognised, here or after a move."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.subjects import Subject

_GENERIC = re.compile(
    r"(checkpoints?|ckpts?|models?|weights|saved_models|best|last|final|files|output|outputs|logs?"
    r"|results?|runs?|experiments?|exp|version_\d+|checkpoint-\d+|\d+|train|test|val|data|tmp)",
    re.IGNORECASE,
)
"""Names that say what lies in a folder and not which training made it."""


def key_folders(subject: Subject) -> list[str]:
    """Return tails of folder paths that stand for this checkpoint's training.

    Each is the innermost folder whose name tells one training from another, with the folder
    above it (`outputs/det_r50_20261123_235753`): of its own path, and of the paths that it
    remembers.
    """
    paths = [subject.path, *subject.remembered]
    return list(dict.fromkeys(key for path in paths for key in _key(path)))


def _key(path: str) -> Iterator[str]:
    names = [name for name in posixpath.normpath(path).split("/") if name not in {"", "."}]
    if names and "." in names[-1]:
        names.pop()
    tail: list[str] = []
    for name in reversed(names):
        tail.insert(0, name)
        if not _GENERIC.fullmatch(name) and not _is_time(name):
            break
    else:
        return  # nothing in this path tells
    place = len(names) - len(tail)
    if place > 0 and len(tail) == 1:
        tail.insert(0, names[place - 1])
    # Inner generic folders (checkpoints/) are left out: a run names its output folder.
    while len(tail) > 1 and _GENERIC.fullmatch(tail[-1]) and not tail[-1].isdigit():
        tail.pop()
    yield "/".join(tail)


def _is_time(name: str) -> bool:
    """Hydra's default folders, `2026-11-23/23-58-36`, tell only together with what is above."""
    return re.fullmatch(r"\d{2}-\d{2}-\d{2}", name) is not None
