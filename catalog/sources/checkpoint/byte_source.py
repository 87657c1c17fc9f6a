"""Bounded reading of one file by position, with a count of what was read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Self

_KEPT = 4
"""Stretches that are kept: the ends of a file, its directory, its pickle."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


class NotRegularFileError(OSError):
    """A FIFO, socket, device or directory stands under the name; it was not opened."""


class LinkRefusedError(OSError):
    """A symbolic link that is not followed; `code`: `dead-link`, `link-loop` or `link-outside`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ByteSource:
    """A regular file, or a stretch of one, read by position.

    Use it as a context manager. `bytes_read` and `reads` grow with every read of the disk, also
    with those made through a `window`.
    """

    __slots__ = (
        "_descriptor", "_kept", "_start", "bytes_read", "origin", "path", "reads", "root", "size",
    )  # fmt: skip

    def __init__(self, descriptor: int, start: int, size: int, origin: ByteSource | None) -> None:
        self._descriptor = descriptor
        self._start = start
        self.origin = origin
        """The source that this is a window of."""
        self.size = size
        self.root: Path | None = None
        self.path: Path | None = None
        """Of a file: where it was opened, for what stands beside it and belongs to it."""
        self.bytes_read = 0
        self.reads = 0
        self._kept: list[tuple[int, int, bytes]] = []
        """(begin, end, bytes) of stretches."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.origin is None:
            os.close(self._descriptor)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer where the file ends before.

        The length is cut at the end of the file before anything is allocated, so a length
        that a hostile file states costs nothing. What was fetched is not read again.
        """
        end = offset + length
        if end > self.size:
            end = self.size
        if offset < 0 or end <= offset:
            return b""
        for start, stop, block in self._kept:
            if start <= offset and end <= stop:
                return block[offset - start : end - start]
        return self._read(offset, end - offset)

    def fetch(self, offset: int, length: int) -> bytes:
        """Return the same as `read_at`, and keep it: what lies within is at hand from then on.

        A network file system answers a few large reads much faster than many small ones.
        """
        end = min(offset + length, self.size)
        for start, stop, block in self._kept:
            if start <= offset < end <= stop:
                return block[offset - start : end - start]
        data = self.read_at(offset, length)
        self._kept = [(offset, offset + len(data), data), *self._kept[: _KEPT - 1]]
        return data

    def _read(self, offset: int, length: int) -> bytes:
        parts = []
        while length > 0:
            part = os.pread(self._descriptor, length, self._start + offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        source: ByteSource | None = self
        while source is not None:
            source.bytes_read += len(data)
            source.reads += 1
            source = source.origin
        return data

    def window(self, offset: int, size: int) -> ByteSource:
        """Return a stretch of this file as a source of its own; it needs no closing."""
        offset = min(max(offset, 0), self.size)
        size = min(max(size, 0), self.size - offset)
        return ByteSource(self._descriptor, self._start + offset, size, self)


def open_inside(root: Path, path: Path | str) -> ByteSource:
    """Open a regular file below a root, without ever blocking and without leaving the root.

    Raises:
        LinkRefusedError: a symbolic link stands there that is dead, leads to itself, or out of the
            root.
        NotRegularFileError: a FIFO, device, socket or directory stands there; it is not opened.
        OSError: the file cannot be opened.
    """
    given = Path(path)
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(os.path.realpath(root)):
            raise LinkRefusedError(
                "link-outside", "The link leads out of the ingested tree and is not followed."
            )
        try:
            status = target.lstat()
        except FileNotFoundError:
            message = "The link leads nowhere: the file it names is gone."
            raise LinkRefusedError("dead-link", message) from None
        if stat.S_ISLNK(status.st_mode):  # `realpath` stops at a link that it met before
            raise LinkRefusedError("link-loop", _loop(path))
        path = target
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFileError("no regular file stands there")
    descriptor = os.open(path, _FLAGS)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotRegularFileError("no regular file stands there")
    source = ByteSource(descriptor, 0, status.st_size, None)
    source.root, source.path = root, given
    return source


def _loop(path: Path | str) -> str:
    link = Path(os.path.normpath(path))
    if Path(os.path.normpath(link.parent / link.readlink())) == link:
        return "The link leads to itself."
    return "The link leads to links that lead round in a circle."
