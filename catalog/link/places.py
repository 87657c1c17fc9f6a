"""The folder names by which a checkpoint's place can be recognised, here or after a move."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_GENERIC = re.compile(
    r"(lightning_logs|multirun|wandb|tb_logs|csv_logs|checkpoints?|ckpts?|models?|weights|saved_models|best|last|final|files|output|outputs|logs?"
    r"|results?|runs?|experiments?|exp|version_\d+|checkpoint-\d+|\d+|train|test|val|data|tmp)",
    re.IGNORECASE,
)
"""Names that say what lies in a folder and not which training made it."""

_NUMBERED = re.compile(r"\d+|version_\d+")
"""Names of folders that tell one training from the next beside it, and nothing more."""
_TIME = re.compile(r"\d{2}-\d{2}-\d{2}")
_HOLDER = re.compile(
    r"checkpoints?|ckpts?|weights|models?|saved_models|checkpoint-\d+", re.IGNORECASE
)
"""Names of folders that hold the checkpoints inside a training's folder."""


HOLDERS = frozenset({"checkpoints", "checkpoint", "ckpts", "ckpt", "weights", "models"})
"""The most common of these."""


_ARTIFACT = re.compile(r"(?:model|checkpoint)-(.+)[:-](?:v\d+|latest|best)")
"""The folder that W&B downloads an artifact to, `artifacts/NAME:VERSION` (`-` on Windows), under
the name that Lightning and transformers give the models of a run: `model-RUN_ID`."""


class Key(NamedTuple):
    """The folder by which a training is known, as the tail of a path."""

    whole: str
    """`exp1/lightning_logs/version_0`: the training's own folder."""
    anchor: str
    """`exp1`: up to the innermost name that tells one training from another."""

    def named_by(self, text: str) -> bool:
        """Tell whether a path is this folder or the anchor, or a folder of no name in it."""
        path = _framed(text)
        for tail in (self.whole, self.anchor):
            _, found, inside = path.rpartition(f"/{tail}/")
            if found and all(map(says_nothing, inside.strip("/").split("/"))):
                return True
        return False


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What evidence knows of a checkpoint beside its own numbers, times and name.

    All checkpoints that share it have one and the same object (`Places`), so that it is told from
    another by identity.
    """

    host: str
    directory: str
    remembered: tuple[str, ...]
    """The folders of the paths that it remembers, each once."""
    keys: tuple[Key, ...]
    """Tails of folder paths that stand for its training. Each reaches up to the innermost folder
    whose name tells one training from another, with the folder above it
    (`outputs/det_r50_20261123_235753`): of its own path, and of the paths that it remembers."""
    written_to: tuple[tuple[str, bool], ...]
    """The folders that it was written to, and whether it may have moved since."""
    names_above: frozenset[str]
    """The names of all folders in its path and in those that it remembers."""
    config_id: int | None


class Places:
    """Gives all checkpoints of a place one object for it."""

    def __init__(self) -> None:
        self._of_paths: dict[tuple[object, ...], Place] = {}
        self._of_value: dict[tuple[object, ...], Place] = {}

    def of(self, host: str, path: str, remembered: tuple[str, ...], config_id: int | None) -> Place:
        """Return the place of a checkpoint.

        Args:
            host: where it lies.
            path: absolute.
            remembered: the folders and files that it remembers.
            config_id: the config inside it.
        """
        directory = folder_of(path)
        written = _written_to(remembered)
        # Of the checkpoint's own name nothing counts where it is a file that remembers its folder.
        own = "" if written and _is_file(path) else path
        known = (host, directory, own, remembered, config_id)
        place = self._of_paths.get(known)
        if place is None:
            value = (
                host,
                directory,
                _folders(remembered),
                tuple(dict.fromkeys(filter(None, (_key(path), *_keys(remembered))))),
                written or _written_to_here(path),
                _names_above(directory, remembered),
                config_id,
            )
            place = self._of_value.setdefault(value, Place(*value))
            self._of_paths[known] = place
        return place


@lru_cache(maxsize=4_096)
def _folders(remembered: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(folder_of, remembered)))


@lru_cache(maxsize=4_096)
def _keys(remembered: tuple[str, ...]) -> tuple[Key | None, ...]:
    return tuple(map(_key, remembered))


@lru_cache(maxsize=4_096)
def _written_to(remembered: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    found = dict.fromkeys(own for path in remembered if (own := own_folder(path)) is not None)
    return tuple((own, False) for own in found)


def _written_to_here(path: str) -> tuple[tuple[str, bool], ...]:
    own = own_folder(path)
    return () if own is None else ((own, True),)


@lru_cache(maxsize=4_096)
def _names_above(directory: str, remembered: tuple[str, ...]) -> frozenset[str]:
    names = {name for path in remembered for name in path.split("/")[:-1]}
    names.update(directory.split("/"))
    artifact = artifact_run_id(directory)
    return frozenset(names if artifact is None else names | {artifact})


@lru_cache(maxsize=65_536)
def folder_of(path: str) -> str:
    """Return the folder of a path; the files of one training share few."""
    return posixpath.dirname(path)


@lru_cache(maxsize=4_096)
def _framed(path: str) -> str:
    """Return a path with `/` around it, to look for names in."""
    return f"/{posixpath.normpath(path)}/"


@lru_cache(maxsize=4_096)
def artifact_run_id(folder: str) -> str | None:
    """Return the run's id in the name of the artifact that a folder is a download of."""
    match = _ARTIFACT.fullmatch(posixpath.basename(folder))
    return match[1] if match else None


@lru_cache(maxsize=4_096)
def tells_training(name: str) -> bool:
    """Tell whether a name can stand for one training: `checkpoints` and `best` cannot."""
    return _GENERIC.fullmatch(name) is None and any(sign.isdigit() or sign in "_-" for sign in name)


@lru_cache(maxsize=65_536)
def own_folder(path: str) -> str | None:
    """Return a path up to the folder that tells which training it is of, None if none does."""
    key = _key(path)
    if key is None:
        return None
    if _is_file(path) and not path.endswith(key.whole.rpartition("/")[2]):
        return _up_to(folder_of(path), key.whole)  # the same for all files of a folder
    return _up_to(path, key.whole)


@lru_cache(maxsize=4_096)
def _up_to(path: str, tail: str) -> str:
    whole = f"{posixpath.normpath(path)}/"
    return whole[: whole.rindex(f"{tail}/") + len(tail)]


def _key(path: str) -> Key | None:
    if _is_file(path):
        return _key_of(folder_of(path), is_folder=True)
    name = path[path.rfind("/") + 1 :]
    # A name without a dot is a folder's anyway.
    return _key_of(path, is_folder=bool(name) and "." not in name)


def _is_file(path: str) -> bool:
    """Tell whether a path ends in what looks like a file's name."""
    name = path[path.rfind("/") + 1 :]
    return "." in name and name not in {".", ".."}


@lru_cache(maxsize=65_536)
def _key_of(path: str, *, is_folder: bool) -> Key | None:
    names = [name for name in posixpath.normpath(path).split("/") if name not in {"", "."}]
    if not is_folder and names and "." in names[-1]:
        names.pop()
    place = next(
        (
            place
            for place in range(len(names) - 1, -1, -1)
            if not _GENERIC.fullmatch(names[place]) and not _is_time(names[place])
        ),
        None,
    )
    if place is None:
        return None  # nothing in this path tells
    end = len(names)
    while end > place + 1 and _HOLDER.fullmatch(names[end - 1]):
        end -= 1
    if place + 1 < end and _is_time(names[place + 1]):
        place += 1  # Hydra's default, DATE/TIME, is one name
        start = place - 1
    else:
        # A name alone may be used twice; where more follows, or nothing is above, it has to do.
        start = place if end > place + 1 else max(place - 1, 0)
    return Key("/".join(names[start:end]), "/".join(names[start : place + 1]))


def says_nothing(name: str) -> bool:
    """Tell whether a folder's name says what lies in it, and nothing of which training it is."""
    return not name or (_GENERIC.fullmatch(name) is not None and _NUMBERED.fullmatch(name) is None)


def _is_time(name: str) -> bool:
    """Hydra's default folders, `2026-11-23/23-58-36`, tell only together with what is above."""
    return _TIME.fullmatch(name) is not None
