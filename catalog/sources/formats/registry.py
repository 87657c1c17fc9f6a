"""Which formats there are: gathered from the modules of this folder."""

from __future__ import annotations

import pkgutil
import posixpath
import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from catalog.sources import formats
from catalog.sources.formats.names import looks_like_a_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from catalog.sources.formats.folder import FolderFormat
    from catalog.sources.formats.format import Format

_OF_SOME_MODELS = ".bin"
"""`pytorch_model.bin`; data has it as often."""


@cache
def every_format() -> tuple[Format, ...]:
    """Return all formats, in the order in which they are asked."""
    found: list[Format] = []
    for module in pkgutil.iter_modules(formats.__path__):
        declared = getattr(import_module(f"{formats.__name__}.{module.name}"), "FORMAT", None)
        if declared is not None:
            found.append(declared)
    return tuple(sorted(found, key=lambda one: (one.precedence, one.name)))


@cache
def every_folder_format() -> tuple[FolderFormat, ...]:
    """Return all formats of several files, in the order in which they are asked."""
    found: list[FolderFormat] = []
    for module in pkgutil.iter_modules(formats.__path__):
        declared = getattr(import_module(f"{formats.__name__}.{module.name}"), "FOLDER", None)
        if declared is not None:
            found.append(declared)
    return tuple(sorted(found, key=lambda one: (one.precedence, one.name)))


@cache
def suffixes() -> tuple[str, ...]:
    """Return the endings of names that are opened, whatever they hold."""
    return tuple(dict.fromkeys(suffix for one in every_format() for suffix in one.suffixes))


@cache
def signs() -> tuple[str, ...]:
    """Return texts one of which is in every name that some format wants."""
    of_files = {sign for one in every_format() for sign in (*one.suffixes, *one.signs)}
    every = of_files.union(sign for one in every_folder_format() for sign in one.signs)
    # Whatever holds `.pth` holds `.pt`.
    return tuple(
        sorted(sign for sign in every if not any(other in sign for other in every - {sign}))
    )


@cache
def _has_sign() -> Callable[[str], object]:
    """Return what tells of a name whether some format may want it."""
    return re.compile("|".join(map(re.escape, signs()))).search


@cache
def _tests_of_names() -> tuple[Callable[[str], bool], ...]:
    return tuple(one.is_named for one in every_format() if one.is_named is not None)


def is_named_like_a_model(name: str) -> bool:
    """Say whether a file is opened for its name.

    Args:
        name: in lower case.
    """
    if name.endswith(suffixes()):
        return True
    if _has_sign()(name) is None:
        return False
    return any(is_named(name) for is_named in _tests_of_names())


def names_a_checkpoint(path: str) -> bool:
    """Say whether a path that some text names is one of a checkpoint, by its last name alone.

    Names that data has as well (`train.bin`) do not say so.
    """
    name = path[path.rfind("/") + 1 :].lower()
    return name.endswith(suffixes()) or (
        name.endswith(_OF_SOME_MODELS) and is_named_like_a_model(name)
    )


@cache
def last_letters() -> tuple[str, ...]:
    """Return the last three characters of all paths that name a checkpoint, in lower case."""
    return tuple(sorted({suffix[-3:] for suffix in (*suffixes(), _OF_SOME_MODELS)}))


def stem_of(path: str) -> str:
    """Return a path without the ending that makes it a checkpoint's, else without its last one."""
    lower = path.lower()
    ending = max((one for one in suffixes() if lower.endswith(one)), key=len, default=None)
    return posixpath.splitext(path)[0] if ending is None else path[: -len(ending)]


def formats_named(name: str) -> list[Format]:
    """Return the formats that want a file for its name, in the order in which they are asked.

    Args:
        name: in lower case.
    """
    return [
        one
        for one in every_format()
        if (one.suffixes and name.endswith(one.suffixes))
        or (one.is_named is not None and one.is_named(name))
    ]


def strict_format_of(name: str) -> Format | None:
    """Return the format whose loader alone takes files of a name, None where there is none.

    Args:
        name: in lower case.
    """
    if not name.endswith(_strict_suffixes()):
        return None
    return next(one for one in every_format() if one.is_strict and name.endswith(one.suffixes))


@cache
def _strict_suffixes() -> tuple[str, ...]:
    return tuple(suffix for one in every_format() if one.is_strict for suffix in one.suffixes)


def is_tentative(name: str) -> bool:
    """Say whether a file is opened for a name that data has too, and no name of a model.

    Args:
        name: in lower case.
    """
    if name.endswith(suffixes()) or ("." in name and looks_like_a_model(name)):
        return False
    named = formats_named(name)
    return bool(named) and all(one.is_tentative for one in named)


@cache
def self_contained() -> frozenset[str]:
    """Return the names of formats whose files carry the config of their model."""
    return frozenset(one.name for one in every_format() if one.carries_config)


def format_of(head: bytes, size: int) -> Format | None:
    """Return the format that a file's first bytes tell, None for an unknown one.

    Args:
        head: its first 512 bytes.
        size: bytes of the whole file.
    """
    for one in every_format():
        if one.begins is not None and one.begins(head, size):
            return one
    return None


def format_of_archive(names: Collection[str], top: str) -> Format | None:
    """Return the format that the entries of a zip archive tell, None for an unknown one.

    Args:
        names: of its entries: a collection of texts.
        top: the folder of the first one, with its slash.
    """
    for one in every_format():
        if one.contains is not None and one.contains(names, top):
            return one
    return None
