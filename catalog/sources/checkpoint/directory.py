"""Which checkpoints of several files are in a directory, as the formats tell by its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.sources.facts import Item
from catalog.sources.formats.registry import every_folder_format
from catalog.sources.paths import join

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Facts, Listing
    from catalog.sources.formats.folder import FolderFormat, Whole


def find_wholes(reader: str, listing: Listing) -> list[Item]:
    """Return the checkpoints in a directory that consist of several files, or are it.

    Args:
        reader: name of the reader, for the items.
        listing: the directory.
    """
    names = [entry.name for entry in listing.entries]
    text = "\n".join((listing.path, *names)).lower()
    for form in every_folder_format():
        wholes = form.find(listing) if any(sign in text for sign in form.signs) else None
        if wholes:
            return [_item(reader, form, listing.path, whole) for whole in wholes]
    return []


def read_whole(root: Path, item: Item) -> Facts:
    """Read a checkpoint of several files; it never raises for what they hold.

    Raises:
        OSError: one of them cannot be opened.
    """
    form = next(one for one in every_folder_format() if one.name == item.format)
    return form.read(root, item)


def _item(reader: str, form: FolderFormat, path: str, whole: Whole) -> Item:
    entries = whole.parts.values()
    return Item(
        reader=reader,
        path=path if whole.name is None else join(path, whole.name),
        size=sum(entry.size for entry in entries),
        mtime_ns=max(entry.mtime_ns for entry in entries),
        parts=tuple(whole.parts),
        format=form.name,
    )
