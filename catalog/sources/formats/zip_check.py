"""What Python's own `zipfile` says to an archive: libraries that read by it compare all sums."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of the entries that are read, packed and unpacked."""
_MAX_ENTRIES: Final = 1_000
_BLOCK: Final = 1 << 20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Others are not unpacked here: LZMA takes as much memory as a file asks for."""
_REFUSALS: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
    ValueError, KeyError, OSError,
)  # fmt: skip


def too_large(directory: ZipDirectory, names: Collection[str]) -> str | None:
    """Return why entries are not read, without capital and full stop; None where they can be.

    Args:
        directory: of the archive.
        names: of the entries.
    """
    lines = [directory.entries[name] for name in names if name in directory.entries]
    total = sum(max(line.size, line.packed) for line in lines)
    if total > MAX_BYTES:
        return (
            f"its entries have {total:,} bytes, and those of {MAX_BYTES:,} are compared with their "
            "sums; `catalog ingest --hash` reads them"
        )
    if len(directory.entries) + len(directory.repeated) > _MAX_ENTRIES:
        return f"it has more than {_MAX_ENTRIES:,} entries"
    if any(line.method not in _METHODS for line in lines):
        return "its entries are packed by a method that is not read here"
    return None


def refusal(source: ByteSource, names: Collection[str]) -> str | None:
    """Return why `zipfile` refuses to read an entry, None where it reads them all.

    Ask `too_large` first.

    Args:
        source: the archive.
        names: of the entries; those that are not there are passed over.
    """
    try:
        with zipfile.ZipFile(_File(source)) as archive:
            there = archive.namelist()
            for name in names:
                if name in there:
                    with archive.open(name) as stream:
                        while stream.read(_BLOCK):
                            pass
    except _REFUSALS as error:
        return clean(str(error) or type(error).__name__)[:200]
    return None


class _File(io.RawIOBase):
    """A source as the file object that `zipfile` reads."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise OSError("a place before the start")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        length = self._source.size - self._at if size < 0 else size
        data = self._source.read_at(self._at, length)
        self._at += len(data)
        return data
