"""Stretches of a file whose sums are taken while the file is read once, from end to end.

What is summed: each entry of a zip archive against the CRC-32 that the archive's directory states,
the storages of a model in it by SHA-256, and the tensors of a safetensors file by SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint import archives, torch_zip
from catalog.sources.formats.safetensors_header import Header, HeaderError, HeaderLimitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory, ZipEntry
    from catalog.sources.checkpoint.weights import Weights

MAX_TENSORS: Final = 200_000
"""Of a safetensors file; one with more is summed as a whole."""
MAX_ARCHIVES: Final = 20_000
"""In one file, of which more is summed as a whole."""
_UNPACKED_BLOCK: Final = 1 << 20
_SHOWN: Final = 80
_STORED: Final = 0
_DEFLATED: Final = 8


class Stretch:
    """Consecutive bytes of a file, and their SHA-256 once they were read.

    Args:
        begin: place of the first byte.
        end: place behind the last one.
        hashed: whether the SHA-256 is wanted.
    """

    __slots__ = ("_hash", "_hashed", "begin", "digest", "end")

    def __init__(self, begin: int, end: int, *, hashed: bool = True) -> None:
        self.begin = begin
        self.end = end
        self.digest: bytes | None = None
        """SHA-256, None until all is read or where it is not wanted."""
        self._hashed = hashed
        self._hash: hashlib._Hash | None = None

    def feed(self, data: memoryview) -> None:
        """Take the next bytes."""
        if self._hashed:
            if self._hash is None:
                self._hash = hashlib.sha256()
            self._hash.update(data)

    def finish(self) -> None:
        """Note that the bytes were all there."""
        if self._hashed:
            self.digest = (self._hash or hashlib.sha256()).digest()
        self._hash = None  # a file may have a hundred thousand stretches


class EntryStretch(Stretch):
    """An entry of a zip archive; what is summed is its content, unpacked where it is deflated.

    Args:
        entry: its line in the directory.
        begin: place of its first byte.
        hashed: whether the SHA-256 is wanted.
    """

    __slots__ = ("_inflater", "crc", "entry", "is_broken", "is_whole", "size")

    def __init__(self, entry: ZipEntry, begin: int, *, hashed: bool) -> None:
        super().__init__(begin, begin + entry.packed, hashed=hashed)
        self.entry = entry
        self.crc = 0
        self.size = 0
        self.is_whole = False
        self.is_broken = False
        """Whether what is packed cannot be unpacked."""
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: memoryview) -> None:
        """Take the next bytes as they are in the file."""
        if self.entry.method != _DEFLATED:
            self._take(data)
            return
        if self._inflater is None:
            self._inflater = zlib.decompressobj(-15)
        rest: bytes | memoryview = data
        try:
            # Past its stated size nothing is unpacked any more: a small file may state little and
            # hold terabytes.
            while rest and self._goes_on(self._inflater):
                self._take(self._inflater.decompress(rest, _UNPACKED_BLOCK))
                rest = self._inflater.unconsumed_tail
        except zlib.error:
            self.is_broken = True

    def finish(self) -> None:
        """Note that the bytes were all there."""
        if self._inflater is not None:
            if self._goes_on(self._inflater):
                self._take(self._inflater.flush())
            self.is_broken |= not self._inflater.eof
        self._inflater = None
        self.is_whole = True
        super().finish()

    def _goes_on(self, inflater: zlib._Decompress) -> bool:
        return not (self.is_broken or inflater.eof or self.size > self.entry.size)

    def _take(self, data: bytes | memoryview) -> None:
        self.crc = zlib.crc32(data, self.crc)
        self.size += len(data)
        super().feed(memoryview(data))


class Layout:
    """What of a file is summed, and what follows from the sums. This one knows of nothing."""

    stretches: Sequence[Stretch] = ()
    """In order of place, none over another."""

    def damage(self) -> str | None:
        """Return a sentence where what was read does not fit what the file states of it."""
        return None

    def weights_sha256(self) -> str | None:
        """Return the sum of the weights by what was read, None where they are not told apart."""
        return None


class SafetensorsLayout(Layout):
    """The tensors of a safetensors file by name, type and shape; its metadata does not count.

    Args:
        tensors: names, with type, shape and the bytes.
    """

    def __init__(self, tensors: dict[str, tuple[str, list[int], Stretch]]) -> None:
        self._tensors = tensors
        self.stretches = in_order(stretch for _, _, stretch in tensors.values()) or ()

    def weights_sha256(self) -> str | None:
        """Return the sum of the weights, None where some of them were not there."""
        total = hashlib.sha256(b"safetensors\n")
        for name, (dtype, shape, stretch) in sorted(self._tensors.items()):
            if stretch.digest is None:
                return None
            total.update(json.dumps([name, dtype, shape]).encode() + b"\n")
            total.update(stretch.digest)
        return total.hexdigest() if self._tensors else None


def safetensors_layout(source: ByteSource) -> Layout:
    """Return what is summed of a safetensors file; nothing where its header is not understood."""
    length = int.from_bytes(source.read_at(0, 8), "little")
    if not 2 <= length <= source.size - 8:
        return Layout()
    tensors: dict[str, tuple[str, list[int], Stretch]] = {}
    begin = 8 + length
    try:
        for one in Header(source, 8, length).tensors():
            # Two tensors of one name: which of them a library takes is not told here.
            if one.name in tensors or len(tensors) == MAX_TENSORS:
                return Layout()
            stretch = Stretch(begin + one.start, begin + one.end)
            tensors[one.name] = one.dtype, list(one.shape), stretch
    except (HeaderError, HeaderLimitError):
        return Layout()
    made = SafetensorsLayout(tensors)
    return made if made.stretches else Layout()


class ArchiveLayout(Layout):
    """The entries of a zip archive, and the model of a torch archive in it.

    Args:
        source: the archive.
        directory: its directory.
    """

    def __init__(self, source: ByteSource, directory: ZipDirectory) -> None:
        self._source = source
        self._directory = directory
        self._folder = f"{directory.top}data/"
        found = archives.read_weights(source)
        self._weights = found[0] if found else None
        self._error: str | None = None
        keys = _keys(self._weights) if self._weights else []
        weights = {self._folder + key for key in keys}
        entries: list[EntryStretch] = []
        for entry in (*directory.entries.values(), *directory.repeated):
            try:
                begin = torch_zip.data_offset(source, entry)
            except torch_zip.ZipError as error:
                self._error = self._error or f"{str(error)[:1].upper()}{str(error)[1:]}."
                continue
            entries.append(EntryStretch(entry, begin, hashed=entry.name in weights))
        self._entries = entries
        # Entries that lie over one another are no archive that a library wrote: nothing is said.
        self.stretches = in_order(entries) or ()
        self._by_name = {one.entry.name: one for one in reversed(entries)}

    def damage(self) -> str | None:
        """Return which entries do not fit their CRC-32 or their size.

        A sum of zero is no statement: torch leaves them out where it is told to
        (`torch.serialization.set_crc32_options(False)`).
        """
        if self._error is not None:
            return self._error
        if not self.stretches:
            return None
        bad = [one for one in self._entries if self._is_bad(one)]
        if not bad:
            return None
        name = bad[0].entry.name.encode("latin-1").decode("utf-8", "replace")
        name = repr(name if len(name) <= _SHOWN else name[: _SHOWN - 3] + "...")
        more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
        return (
            f"The bytes of its entry {name}{more} do not fit the sum that the archive states; "
            "take a copy that is whole."
        )

    def _is_bad(self, one: EntryStretch) -> bool:
        if one.entry.method not in (_STORED, _DEFLATED):
            return False  # nothing here unpacks it
        fits = one.is_whole and not one.is_broken and one.size == one.entry.size
        if fits and one.entry.crc in (one.crc, 0):
            return False
        flags = self._source.read_at(one.entry.offset + 6, 2)
        return not (flags and flags[0] & 1)  # the sum of an encrypted entry is of what it hides

    def weights_sha256(self) -> str | None:
        """Return the sum of the model's storages, None where it has none that are understood."""
        if self._weights is None or not self.stretches:
            return None
        total = self._weights.verified(self._digest)
        if total is None:
            return None
        order = f"{self._directory.top}byteorder"
        is_big = archives.small_entry(self._source, self._directory, order) == b"big"
        return hashlib.sha256(f"{total} of big numbers".encode()).hexdigest() if is_big else total

    def _digest(self, key: str) -> bytes | None:
        entry = self._by_name.get(self._folder + key)
        return None if entry is None else entry.digest


class ShardLayout(Layout):
    """Archives one behind the other, as in a shard of torch.distributed: the sums in each count.

    What of it is weights its `.metadata` tells, another file: it is summed as a whole.

    Args:
        archives: with the place where each begins.
    """

    def __init__(self, archives: list[tuple[int, ArchiveLayout]]) -> None:
        self._archives = [one for _, one in archives]
        moved: list[Stretch] = []
        for start, one in archives:
            for stretch in one.stretches:
                stretch.begin += start
                stretch.end += start
                moved.append(stretch)
        self.stretches = in_order(moved) or ()

    def damage(self) -> str | None:
        """Return what is wrong with the first archive that is damaged."""
        if not self.stretches:
            return None
        return next((told for one in self._archives if (told := one.damage()) is not None), None)


def archive_layout(source: ByteSource) -> Layout:
    """Return what is summed of a zip archive, or of several one behind the other.

    Nothing where its directory cannot be read; other data may be before the archives.
    """
    found: list[tuple[int, ArchiveLayout]] = []
    end = source.size
    while end and len(found) < MAX_ARCHIVES:
        try:
            start = torch_zip.read_directory(source.window(0, end)).shift
            window = source.window(start, end - start)
            one = ArchiveLayout(window, torch_zip.read_directory(window))
        except torch_zip.ZipError:
            break
        if start == 0 and not found:
            return one
        found.append((start, one))
        end = start
    return ShardLayout(found) if found else Layout()


def _keys(weights: Weights) -> list[str]:
    """Return the keys of the storages that hold weights."""
    keys: list[str] = []

    def digest_of(key: str) -> bytes:
        keys.append(key)
        return bytes(32)

    weights.verified(digest_of)
    return keys


def in_order(stretches: Any) -> list[Any] | None:
    """Return stretches by place, None where one lies over another."""
    ordered = sorted(stretches, key=lambda one: (one.begin, one.end))
    end = 0
    for one in ordered:
        if one.begin < end or one.end < one.begin:
            return None
        end = one.end
    return ordered
