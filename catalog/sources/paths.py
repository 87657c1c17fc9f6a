"""Names and places that several readers share: joining, splitting, opening with care."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from catalog.sources.facts import Entry, Item, Listing

if TYPE_CHECKING:
    from pathlib import Path


def join(folder: str, name: str) -> str:
    """Return the root-relative path of `name` in `folder` (`.` for the root itself)."""
    return name if folder == "." else f"{folder}/{name}"


def split(path: str) -> tuple[str, str]:
    """Return (folder, name) of a root-relative path; the folder of a top name is `.`."""
    folder, _, name = path.rpartition("/")
    return folder or ".", name


def is_in(path: str, part: str) -> bool:
    """Say whether a root-relative path is a part of the tree, or lies in it (`.` is all of it)."""
    return part in (".", path) or path.startswith(f"{part}/")


def is_file(entry: Entry) -> bool:
    """Say whether an entry may be opened: a regular file, or a link that stays in the root."""
    return entry.kind == "file" or (entry.kind == "link" and entry.link == "inside")


def item_of(
    reader: str, listing: Listing, entry: Entry, *, run_directory: str | None = None
) -> Item:
    """Return the item for one file of a listing."""
    return Item(
        reader=reader,
        path=join(listing.path, entry.name),
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        inode=entry.inode,
        is_link=entry.kind == "link",
        run_directory=run_directory,
    )


def below(root: Path, path: str) -> str:
    """Return the path of an item below a root: as `root / path`, and several times as fast."""
    return f"{root}/{path}"


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file for reading, and nothing else.

    A FIFO that took the file's place since the scan would block a plain `open` for ever.

    Raises:
        OSError: the file is gone, forbidden, or no regular file.

    """
    return os.fdopen(_open(path)[0], "rb")


def read_at_most(path: Path | str, limit: int) -> bytes:
    """Return the first `limit` bytes of a file (fewer where it is shorter).

    Raises:
        OSError: as `open_regular`.

    """
    descriptor, size = _open(path)
    try:
        # One byte more than there is: the read that comes short is the last one.
        size = min(limit, size + 1)
        data = os.read(descriptor, size)
        if len(data) < size or len(data) == limit:
            return data
        parts = [data]  # it grew, or its size is not told
        left = limit - len(data)
        while left > 0 and (part := os.read(descriptor, min(left, _PART))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


_PART = 1024 * 1024


def _open(path: Path | str) -> tuple[int, int]:
    """Return descriptor and size of a regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor, status.st_size
