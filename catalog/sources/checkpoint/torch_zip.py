"""The zip archive that `torch.save` has written since torch 1.6, read by plain seeks.

`zipfile` is not used: it refuses archives that torch reads (CRCs switched off by
`set_crc32_options(False)` are all zero), and it is several times slower. CRC-32s are taken
from the central directory and never computed over the weights.

Format: APPNOTE.TXT of PKWARE, sections 4.3.6 to 4.3.16; the entries of a torch archive:
`torch/csrc/jit/serialization/inline_container.h`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from catalog.sources.checkpoint.byte_source import ByteSource

MAX_DIRECTORY_BYTES: Final = 16 * 1024 * 1024
MAX_ENTRIES: Final = 150_000
WHOLE: Final = 64 * 1024
"""Bytes of an archive that is read at once."""

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s4xHH4xLLLHHHH2xLL")
_LOCAL: Final = struct.Struct("<4s2xHH8xLLHH")
_TAIL: Final = 65_536 + _END.size + _LOCATOR64.size
_FIRST_TAIL: Final = 4_096
_EXTRA: Final = 256
"""Bytes of extra fields that are reckoned with: torch pads by them to 64 bytes."""
_BEHIND: Final = 1_024
"""Read along with an entry: behind `data.pkl` torch writes its smallest ones, `byteorder` too."""
_BEFORE: Final = 512
"""Read along with the directory: before it torch writes `version`."""
_WIDE: Final = 0xFFFFFFFF
_REFUSED_FLAGS: Final = 1 | 1 << 5 | 1 << 6 | 1 << 13
"""Encrypted, a patch, strongly encrypted, masked (`mz_zip_reader_file_stat` in `miniz.c`)."""
_METHODS: Final = (0, 8)
_FOLDER: Final = 0x10
"""Of the attributes of DOS: torch takes such an entry for a folder."""


class ZipError(ValueError):
    """An archive that cannot be read; `code` is `zip-cut` or `zip-damaged`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


Sums = tuple["Sequence[int]", "Sequence[int]"]
"""CRC-32s and sizes of entries, in the order that was asked for."""


class ZipEntry(NamedTuple):
    """One line of the central directory."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    """Of the local header, from the start of the file."""


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """The central directory of an archive."""

    entries: Mapping[str, ZipEntry]
    repeated: tuple[ZipEntry, ...]
    """Entries whose name was there before."""
    shift: int
    """Bytes that stand before the archive's own start; torch refuses any."""
    raw: bytes
    """As it stands in the file."""
    flaw: str = ""
    """What torch's reader of archives refuses of it, without a full stop; empty if nothing."""

    @property
    def top(self) -> str:
        """The folder of the first entry, with its slash: torch looks for everything there."""
        first = next(iter(self.entries), "")
        return first[: first.find("/") + 1]

    @property
    def is_one_folder(self) -> bool:
        """Whether all entries are in the folder of the first."""
        if isinstance(self.entries, _Lines):
            return self.entries.is_one_folder
        top = self.top
        return bool(top) and all(name.startswith(top) for name in self.entries)

    def extents(self) -> Iterable[tuple[int, int]]:
        """Return where the local header of each entry is, and the bytes of its content."""
        if isinstance(self.entries, _Lines):
            return self.entries.extents()
        return [(each.offset, each.packed) for each in (*self.entries.values(), *self.repeated)]

    @property
    def misstates_sizes(self) -> bool:
        """Whether an entry that is not packed has two sizes, or a packed one takes no bytes.

        torch opens no such archive (`mz_zip_reader_read_central_dir` in `miniz.c`).
        """
        entries = self.entries
        if isinstance(entries, _Lines):
            return entries.misstates_sizes
        return any(
            each.packed != each.size if each.method == 0 else each.size and not each.packed
            for each in (*entries.values(), *self.repeated)
        )

    def sums_of(self, folder: str, names: list[str]) -> Sums | None:
        """Return the sums of some entries of a folder, None where one is not there.

        Args:
            folder: with its slash.
            names: of entries in it; the very same list is asked for more quickly each time.
        """
        entries = self.entries
        if isinstance(entries, _Lines) and len(names) > 1:
            return entries.sums_of(folder, names)
        lines = [entries.get(folder + name) for name in names]
        if None in lines:
            return None
        return [line.crc for line in lines if line], [line.size for line in lines if line]


def read_directory(source: ByteSource) -> ZipDirectory:
    """Read end record and central directory.

    Raises:
        ZipError: there is no end record (the end of the file is missing), or they are damaged.

    """
    count, size, offset, end, flaw = _end_record(source)
    shift = end - size - offset
    if shift < 0 or size > MAX_DIRECTORY_BYTES:
        raise ZipError("zip-damaged", "the end record of the archive points outside the file")
    # Of a large directory no second copy is made.
    before = min(end - size, _BEFORE) if size <= WHOLE else 0
    data = source.fetch(end - size - before, size + before)
    data = data[before:] if before else data
    known = _LAYOUTS.get((count, size))
    if known is not None:
        found = known.entries(data, shift)
        if found is not None:
            return ZipDirectory(found, (), shift, data, flaw)
    directory = _line_by_line(data, count, shift)
    _remember_layout(data, directory, count)
    return replace(directory, flaw=flaw) if flaw else directory


def _line_by_line(data: bytes, count: int, shift: int) -> ZipDirectory:
    entries: dict[str, ZipEntry] = {}
    repeated: list[ZipEntry] = []
    flaw = ""
    position = 0
    unpack = _CENTRAL.unpack_from
    make = tuple.__new__  # three times as fast as what NamedTuple generates
    try:
        for _ in range(min(count, MAX_ENTRIES)):
            (
                magic, flags, method, crc, packed, plain, names, extras, notes, disk, attributes, at
            ) = unpack(data, position)  # fmt: skip
            if flags & _REFUSED_FLAGS or disk > 1 or method not in _METHODS or attributes & _FOLDER:
                flaw = "its directory has an entry of a kind that torch refuses"
            if magic != b"PK\x01\x02":
                raise ZipError("zip-damaged", "the directory of the archive is damaged")
            position += 46
            # One byte a character, whatever a hostile name holds; `_short` makes text of it.
            name = data[position : position + names].decode("latin-1")
            position += names
            if packed == _WIDE or plain == _WIDE or at == _WIDE:
                extra = data[position : position + extras]
                plain, packed, at = _wide(extra, plain, packed, at)
            position += extras + notes
            entry = make(ZipEntry, (name, method, crc, packed, plain, at + shift))
            if entries.setdefault(name, entry) is not entry:
                repeated.append(entry)
    except struct.error:
        raise ZipError("zip-damaged", "the directory of the archive is damaged") from None
    if count > MAX_ENTRIES:
        raise ZipError("zip-damaged", f"the archive claims more than {MAX_ENTRIES:,} entries")
    if position != len(data):
        flaw = "its directory does not end where it should"
    return ZipDirectory(entries, tuple(repeated), shift, data, flaw or _misnamed(entries))


def _misnamed(entries: Iterable[str]) -> str:
    """Say of names that are no text: torch asks for all of them, and Python refuses those."""
    for name in entries:
        if not name.isascii():
            try:
                name.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                return "its directory has a name that is no text"
    return ""


class _Layout:
    """The places of names and numbers in a central directory that was met before.

    Checkpoints of one training have directories that differ in sums and offsets alone: all lines
    are then taken in one step, and only what must be equal is looked at.

    Args:
        directory: whose lines have neither extra fields nor notes.
    """

    def __init__(self, directory: ZipDirectory) -> None:
        self.names = tuple(directory.entries)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.methods = tuple(entry.method for entry in directory.entries.values())
        self.unpack = struct.Struct("<" + "".join(f"16x3L14xL{len(name)}x" for name in self.names))
        # Signature, flags and method; lengths and disk; the lowest byte of the outer attributes.
        line = b"\xff" * 4 + bytes(4) + b"\xff" * 4 + bytes(16) + b"\xff" * 8 + bytes(2)
        line += b"\xff" + bytes(7)
        mask = b"".join(line + b"\xff" * len(name) for name in self.names)
        self._mask = int.from_bytes(mask, "little")
        self._fixed = int.from_bytes(directory.raw, "little") & self._mask
        self._asked: dict[int, tuple[str, list[str], itemgetter[Any] | None]] = {}
        self.is_one_folder = directory.is_one_folder

    def entries(self, data: bytes, shift: int) -> _Lines | None:
        """Return the entries by name, None where the directory is laid out otherwise."""
        if int.from_bytes(data, "little") & self._mask != self._fixed:
            return None
        numbers = self.unpack.unpack(data)
        if _ALL_ONES in data and _WIDE in numbers:
            return None
        return _Lines(self, numbers, shift)

    def among(self, folder: str, names: list[str]) -> itemgetter[Any] | None:
        """Return what takes the lines of some entries, None where one is not there."""
        known = self._asked.get(id(names))
        if known is not None and known[0] == folder and known[1] is names:
            return known[2]
        places = [self.places.get(folder + name, -1) for name in names]
        made = None if -1 in places else itemgetter(*places)
        if len(self._asked) >= _MAX_ASKED:
            self._asked.clear()
        self._asked[id(names)] = (folder, names, made)
        return made


class _Lines(Mapping[str, ZipEntry]):
    """The entries of an archive of known layout: each is made when it is asked for."""

    __slots__ = ("_layout", "_numbers", "_shift")

    def __init__(self, layout: _Layout, numbers: tuple[int, ...], shift: int) -> None:
        self._layout = layout
        self._numbers = numbers
        """CRC-32, packed size, size and offset of each entry."""
        self._shift = shift

    def __getitem__(self, name: str) -> ZipEntry:
        place = self._layout.places[name]
        crc, packed, size, offset = self._numbers[4 * place : 4 * place + 4]
        method = self._layout.methods[place]
        return ZipEntry(name, method, crc, packed, size, offset + self._shift)

    def __contains__(self, name: object) -> bool:
        return name in self._layout.places

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.names)

    def __len__(self) -> int:
        return len(self._layout.names)

    @property
    def is_one_folder(self) -> bool:
        """Whether all entries are in the folder of the first."""
        return self._layout.is_one_folder

    def extents(self) -> Iterable[tuple[int, int]]:
        """Return where the local header of each entry is, and the bytes of its content."""
        shift = self._shift
        offsets = self._numbers[3::4]
        moved = [offset + shift for offset in offsets] if shift else offsets
        return zip(moved, self._numbers[1::4], strict=True)

    @property
    def misstates_sizes(self) -> bool:
        """Whether an entry that is not packed has two sizes, or a packed one takes no bytes."""
        packed, sizes = self._numbers[1::4], self._numbers[2::4]
        if packed == sizes:
            return False
        stated = zip(self._layout.methods, packed, sizes, strict=True)
        return any(one != size if method == 0 else size and not one for method, one, size in stated)

    def sums_of(self, folder: str, names: list[str]) -> Sums | None:
        """Return the sums of two entries and more, None where one is not there."""
        take = self._layout.among(folder, names)
        return take and (take(self._numbers[::4]), take(self._numbers[2::4]))


_ALL_ONES: Final = b"\xff" * 4
_MAX_ASKED: Final = 8
_MAX_LAYOUTS: Final = 64
_MAX_LAYOUT_ENTRIES: Final = 5_000
_LAYOUTS: Final[dict[tuple[int, int], _Layout]] = {}
"""By number of entries and bytes of the directory."""
_MET_ONCE: Final[dict[tuple[int, int], int]] = {}
"""Hash of the names of the last directory of that size: a layout is made when it comes again."""


def _remember_layout(data: bytes, directory: ZipDirectory, count: int) -> None:
    names = tuple(directory.entries)
    if directory.flaw or len(names) != count or count > _MAX_LAYOUT_ENTRIES:
        return
    if sum(map(len, names)) + 46 * count != len(data):
        return  # extra fields or notes, which a layout has no places for
    size, met = (count, len(data)), hash(names)
    if _MET_ONCE.get(size) == met:
        if len(_LAYOUTS) >= _MAX_LAYOUTS:
            _LAYOUTS.clear()
        _LAYOUTS[size] = _Layout(directory)
    elif len(_MET_ONCE) >= 10 * _MAX_LAYOUTS:
        _MET_ONCE.clear()
    _MET_ONCE[size] = met


def _end_record(source: ByteSource) -> tuple[int, int, int, int, str]:
    """Return number of entries, size and offset of the directory, where it ends, and its flaw."""
    for length in (_FIRST_TAIL, _TAIL):
        start = max(source.size - length, 0)
        tail = source.fetch(start, length)
        position = tail.rfind(b"PK\x05\x06")
        while position >= 0:
            if position + _END.size <= len(tail):
                _, disk, other, here, count, size, offset, _ = _END.unpack_from(tail, position)
                end = start + position
                wide = _end_record64(source, end)
                if wide is not None:
                    return wide
                if size <= end:
                    return count, size, offset, end, _end_flaw(disk, other, here, count)
            position = tail.rfind(b"PK\x05\x06", 0, position)
        if start == 0:
            break
    raise ZipError("zip-cut", "the archive has no end record, its end is missing")


def _end_flaw(disk: int, other: int, here: int, count: int) -> str:
    """Return what torch refuses of an end record: parts on other disks, two numbers of entries."""
    if here != count or (disk, other) not in ((0, 0), (1, 1)):
        return "its end record tells of several disks, torch refuses it so"
    return ""


def _end_record64(source: ByteSource, end: int) -> tuple[int, int, int, int, str] | None:
    locator = source.read_at(end - _LOCATOR64.size, _LOCATOR64.size)
    if len(locator) < _LOCATOR64.size or not locator.startswith(b"PK\x06\x07"):
        return None
    _, _, at, disks = _LOCATOR64.unpack(locator)
    record = source.read_at(at, _END64.size)
    if len(record) < _END64.size or not record.startswith(b"PK\x06\x06"):
        raise ZipError("zip-damaged", "the zip64 end record of the archive is damaged")
    _, length, _, _, disk, other, here, count, size, offset = _END64.unpack(record)
    if size > at:
        raise ZipError("zip-damaged", "the zip64 end record of the archive is damaged")
    flaw = _end_flaw(disk, other, here, count)
    if disks != 1 or length < _END64.size - 12:
        flaw = "its zip64 end record is not one that torch takes"
    return count, size, offset, at, flaw


def _wide(extra: bytes, plain: int, packed: int, at: int) -> tuple[int, int, int]:
    """Return the three numbers, those of 0xFFFFFFFF replaced from the zip64 extra field."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        position += 4
        if kind == 1:
            values = [plain, packed, at]
            for index, value in enumerate(values):
                if value == _WIDE:
                    values[index] = struct.unpack_from("<Q", extra, position)[0]
                    position += 8
            return values[0], values[1], values[2]
        position += length
    return plain, packed, at


def data_offset(source: ByteSource, entry: ZipEntry) -> int:
    """Return where an entry's bytes begin: behind its local header, whose length varies.

    Raises:
        ZipError: no local header stands where the directory says.

    """
    header = source.read_at(entry.offset, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise ZipError("zip-damaged", f"{_short(entry.name)} does not stand where it should")
    names, extras = _LOCAL.unpack(header)[5:]
    return int(entry.offset + _LOCAL.size + names + extras)


def misses_an_entry(source: ByteSource, directory: ZipDirectory) -> bool:
    """Say of a small archive whether an entry is not where the directory says, or not all of it.

    torch refuses to read such an entry. Of a larger archive only those of the entries that are
    read are looked at; `ingest --hash` looks at all.
    """
    if source.size > WHOLE:
        return False
    data = source.fetch(0, source.size)
    for offset, packed in directory.extents():
        if data[offset : offset + 4] != b"PK\x03\x04" or offset + _LOCAL.size > len(data):
            return True
        names, extras = _LOCAL.unpack_from(data, offset)[5:]
        if offset + _LOCAL.size + names + extras + packed > len(data):
            return True
    return False


def read_entry(source: ByteSource, entry: ZipEntry, limit: int) -> bytes:
    """Return at most `limit` bytes of an entry, unpacked where it is deflated.

    Raises:
        ZipError: it is damaged, encrypted, or packed in a way that torch does not know either.

    """
    source.fetch(
        entry.offset, _LOCAL.size + len(entry.name) + _EXTRA + min(entry.packed, limit) + _BEHIND
    )
    start = data_offset(source, entry)
    if entry.method == 0:
        return source.read_at(start, min(entry.size, limit))
    if entry.method != 8:
        raise ZipError("zip-damaged", f"{_short(entry.name)} is packed by an unknown method")
    try:
        return zlib.decompressobj(-15).decompress(
            source.read_at(start, min(entry.packed, limit)), limit
        )
    except zlib.error:
        raise ZipError("zip-damaged", f"{_short(entry.name)} cannot be unpacked") from None


def read_part(source: ByteSource, entry: ZipEntry, offset: int, length: int) -> bytes:
    """Return a few bytes of an entry that is not packed, fewer where it ends before.

    Raises:
        ZipError: no local header stands where the directory says.

    """
    if entry.method != 0 or offset + length > entry.size:
        return b""
    if offset < _BEHIND:
        # One read for the header and what follows it.
        source.fetch(entry.offset, _LOCAL.size + len(entry.name) + _EXTRA + offset + length)
    return source.read_at(data_offset(source, entry) + offset, length)


def first_entry(source: ByteSource) -> tuple[str, int] | None:
    """Return name and start of the first entry's bytes, without the central directory.

    torch writes `data.pkl` first and stored, and a pickle ends itself: so it can be read even
    where the end of the archive is missing.
    """
    header = source.read_at(0, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        return None
    _, _, method, _, _, names, extras = _LOCAL.unpack(header)
    if method != 0:
        return None
    name = source.read_at(_LOCAL.size, names).decode("utf-8", "replace")
    return name, _LOCAL.size + names + extras


def _short(name: str) -> str:
    name = name.encode("latin-1").decode("utf-8", "replace")
    return repr(name if len(name) <= 80 else name[:77] + "...")
