"""Where inference looks for a config, and which configs count.

The default is the order in which the team behind the first catalog's inference code looked;
each step is a setting.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from catalog.settings import Settings

MODEL_FOLDERS = frozenset({"hf-trainer", "hf-model", "hf-adapter", "hf-pipeline"})
"""Formats that are folders with their own `config.json` (or `adapter_config.json`, and
`model_index.json` of a pipeline)."""


class Place(NamedTuple):
    """One place where a config may lie, and whether it must hold the wanted sections."""

    path: str
    needs_sections: bool = True


def own_places(path: str, format_: str, settings: Settings) -> Iterator[Place]:
    """Yield where inference looks first: for a config that is the checkpoint's alone.

    Args:
        path: of the checkpoint, `/` between parts.
        format_: its format; model folders bring a config of their own kind.
        settings: `sidecar_suffixes`, `sidecar_shape`.
    """
    if format_ in MODEL_FOLDERS:
        own = ("config.json", "adapter_config.json")
        for name in ("model_index.json",) if format_ == "hf-pipeline" else own:
            yield Place(f"{path}/{name}", needs_sections=False)
    stem = sidecar_stem(path)
    # A bare sidecar is the section itself and has none inside.
    bare = settings.sidecar_shape == "bare"
    for suffix in settings.sidecar_suffixes:
        yield Place(f"{stem}{suffix}", needs_sections=not bare)


def shared_places(folder: str, settings: Settings) -> Iterator[Place]:
    """Yield where inference looks then, for every checkpoint in a folder, in its order.

    Args:
        folder: of the checkpoint, `/` between parts.
        settings: `config_names`, `hydra_levels`.
    """
    parent = posixpath.dirname(folder)
    for above in dict.fromkeys((folder, parent)):
        start = posixpath.join(above, "")
        for name in settings.config_names:
            yield Place(name if name.startswith("/") else f"{start}{name}")
    above = folder
    for _level in range(settings.hydra_levels):
        if not above or above == posixpath.dirname(above):
            return
        above = posixpath.dirname(above)
        yield Place(posixpath.join(above, ".hydra/config.yaml"))


def sidecar_stem(path: str) -> str:
    """Return the path without its suffix: `epoch=4-val/loss=2.9.ckpt` keeps its `=2.9`."""
    return posixpath.splitext(path)[0]


def missing_sections(keys: Collection[str], settings: Settings) -> list[str]:
    """Return the wanted sections that a config with these top-level keys lacks."""
    return [section for section in settings.config_sections if section not in keys]
