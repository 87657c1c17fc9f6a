"""What a format of several files declares of itself: how a folder of it is told, what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from catalog.sources.paths import is_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from catalog.sources.facts import Entry, Facts, Item, Listing


class Whole(NamedTuple):
    """One checkpoint of several files, as a listing tells it."""

    parts: dict[str, Entry]
    """The files of it, by their paths below the folder."""
    name: str | None = None
    """The file that it is named by where several share a folder (`model.ckpt-5.index`)."""


class FolderFormat(NamedTuple):
    """One format of checkpoints that are folders, or several files in one.

    It is told by names alone, for every folder of a tree is looked at. No reader raises for what
    the files hold: what is wrong is a status with a reason, and a `Problem`.
    """

    name: str
    """As `Checkpoint.format` has it, of its usual form."""
    find: Callable[[Listing], list[Whole]]
    """Returns the checkpoints in a folder, which the folder is or which share it."""
    read: Callable[[Path, Item], Facts]
    """Takes the root, and the item with its parts. `OSError`: one of them cannot be opened."""
    signs: tuple[str, ...]
    """Texts in small letters, one of which is in the path of every such folder or in a name in it:
    no other one is asked about."""
    precedence: int = 50
    """Formats are asked in this order, the lowest first: the first that finds anything has it."""


def files_of(listing: Listing) -> dict[str, Entry]:
    """Return what may be opened in a folder, by name."""
    return {entry.name: entry for entry in listing.entries if is_file(entry)}


def folders_of(listing: Listing) -> list[str]:
    """Return the names of the folders in a folder; links are none."""
    return [entry.name for entry in listing.entries if entry.kind == "directory"]


def files_below(listing: Listing, name: str, depth: int = 1) -> dict[str, Entry]:
    """Return what may be opened in a folder below one, by the path from the upper one.

    Args:
        listing: the upper folder.
        name: of the lower one.
        depth: levels of folders to look at, 1 for the lower one alone.
    """
    found: dict[str, Entry] = {}
    pending = [(name, listing.below(name), depth)]
    while pending:
        path, below, left = pending.pop()
        if below is None:
            continue
        found |= {f"{path}/{file}": entry for file, entry in files_of(below).items()}
        if left > 1:
            pending += [(f"{path}/{one}", below.below(one), left - 1) for one in folders_of(below)]
    return found
