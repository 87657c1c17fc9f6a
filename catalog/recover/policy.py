"""Where inference looks for a config, and which configs count.

The default is the order in which the team behind the first catalog's inference code looked;
each step is a setting.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from catalog.recover.compare import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from catalog.settings import Settings

MODEL_FOLDERS = frozenset({"hf-trainer", "hf-model", "hf-adapter", "hf-pipeline"})
"""Formats that are folders with their own `config.json` (or `adapter_config.json`, and
`model_index.json` of a pipeline)."""


class Place(NamedTuple):
    """One place where a config may be."""

    path: str
    needs_sections: bool = True
    """Whether it must hold the wanted sections."""
    is_shared: bool = False
    """Whether it is for every checkpoint of a folder."""


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
            yield Place(name if name.startswith("/") else f"{start}{name}", is_shared=True)
    above = folder
    for _level in range(settings.hydra_levels):
        if not above or above == posixpath.dirname(above):
            return
        above = posixpath.dirname(above)
        yield Place(posixpath.join(above, ".hydra/config.yaml"), is_shared=True)


def sidecar_stem(path: str) -> str:
    """Return the path without its suffix: `epoch=4-val/loss=2.9.ckpt` keeps its `=2.9`."""
    return posixpath.splitext(path)[0]


class Fault(NamedTuple):
    """Why a config does not count."""

    code: str
    """For scripts."""
    reason: str
    """A sentence that names the file."""


def fault_of(document: Mapping[str, Any], place: Place, settings: Settings) -> Fault | None:
    """Return why a config that was read does not count; None if it does.

    It counts if every wanted section is there and has content. Python objects, which safe loading
    refuses (`!!python/object:...`), are kept as marks: a section that is nothing else has no
    content that inference could read.

    Args:
        document: the config.
        place: where it was found.
        settings: `config_sections`.
    """
    if not document:
        return empty(place.path)
    if objects := _only_objects(document):
        return Fault("config-section-refused", f"{place.path} is {objects}.")
    for name in settings.config_sections if place.needs_sections else ():
        if name not in document:
            return Fault("config-without-section", f"{place.path} has no section {name!r}.")
        section = document[name]
        if section in EMPTY:
            reason = f"{place.path}: its section {name!r} is empty."
            return Fault("config-section-empty", reason)
        if objects := _only_objects(section):
            reason = f"{place.path}: its section {name!r} is {objects}."
            return Fault("config-section-refused", reason)
    return None


def empty(path: str) -> Fault:
    """Return the fault of a config without any value."""
    what = "hyper-parameters were" if posixpath.basename(path) == "hparams.yaml" else "config was"
    return Fault("config-empty", f"{path} is empty: no {what} saved.")


EMPTY: tuple[Any, ...] = (None, {}, [], "", "???")
"""`???` is OmegaConf's mark for a value that is still to be given."""


def refused_objects(document: Mapping[str, Any]) -> list[str]:
    """Return the Python objects in a config that safe loading refuses, as `key (class)`."""
    return [f"{key} ({_class_of(part)})" for key, part in walk(document, "") if _is_refused(part)]


def _only_objects(value: Any) -> str:
    """Name the objects that a value consists of; empty if there is anything else in it."""
    found: list[str] = []
    pending = [value]
    while pending:
        part = pending.pop()
        if _is_refused(part):
            found.append(_class_of(part))
        elif isinstance(part, dict | list) and part:
            pending.extend(part.values() if isinstance(part, dict) else part)
        else:
            return ""
    names = sorted(set(found))
    shown = ", ".join(names[:_SHOWN]) + f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN)
    kind = "a Python object" if len(found) == 1 else "nothing but Python objects"
    return f"{kind} ({shown}) that safe loading refuses"


_SHOWN = 3
_READ = frozenset({"binary", "recursive alias"})
"""Marks of what safe loading reads, and we do not."""


def _is_refused(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("__opaque__"), str)
        and value["__opaque__"] not in _READ
    )


def _class_of(mark: Mapping[str, Any]) -> str:
    """Return the class of an object by its tag, e.g. `python/object/new:pkg.Model`."""
    tag = str(mark["__opaque__"])
    return tag.partition(":")[2] or tag
