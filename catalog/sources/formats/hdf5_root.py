"""The start of an HDF5 file: its superblock, and the names in its root group.

Format: <https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>. Only names are read: of
the root's attributes and links, wherever they are, within bounds. What is refused is what
libhdf5's `H5F__super_read` refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_WIDTHS: Final = (2, 4, 8, 16, 32)
_MAX_CACHE: Final = 2
"""Kinds of what a symbol table entry repeats of its object."""
_FLAGS: Final = 0x07
_OPEN: Final = 0x05
"""Of the flags of a superblock those that a writer sets while it has the file open."""
_MAX_BLOCKS: Final = 256
"""Pieces of an object header, nodes of a tree, blocks of a heap: a root has a few of each."""
_MAX_BLOCK: Final = 1024 * 1024
_MAX_READ: Final = 8 * 1024 * 1024
_MAX_BODY: Final = 1024
"""Bytes of a message that are kept: its name is at its start."""
_MAX_NAME: Final = 256
_MAX_NAMES: Final = 10_000
MARKS: Final = (
    "model_config", "keras_version", "layer_names", "nb_layers",
    "_layer_checkpoint_dependencies", "layers", "vars",
)  # fmt: skip
"""Names that tell a model of Keras; of a group with many names only these are looked for."""


class Hdf5Error(Exception):
    """libhdf5 refuses the file; `is_cut` where its end is missing."""

    def __init__(self, reason: str, *, is_cut: bool = False) -> None:
        super().__init__(reason)
        self.is_cut = is_cut


class _LimitError(Exception):
    """The root group is larger than is read here."""


class Root(NamedTuple):
    """The names in the root group."""

    attributes: frozenset[str]
    links: frozenset[str]
    is_whole: bool
    """False where some may be stored in a way that is not read."""


class Superblock(NamedTuple):
    """Where things are in a file."""

    base: int
    """Of all addresses."""
    width: int
    """Bytes of an address."""
    length_width: int
    root: int
    """Address of the root group's object header."""


def signature_offset(source: ByteSource) -> int | None:
    """Return where the file begins behind a user block: at 0, 512, 1024, 2048 and so on."""
    offset = 0
    while offset < source.size:
        if source.read_at(offset, 8) == SIGNATURE:
            return offset
        offset = offset * 2 or 512
    return None


def read_superblock(source: ByteSource, offset: int) -> Superblock:
    """Read a superblock of version 0 to 3.

    Args:
        source: the file.
        offset: of the signature.

    Raises:
        Hdf5Error: libhdf5 refuses the file.
    """
    data = source.read_at(offset, 256)
    if not data.startswith(SIGNATURE):
        raise Hdf5Error("it has no signature of HDF5")
    version = data[8] if len(data) > 8 else 255
    if len(data) < 96 and len(data) < (48 if version > 1 else 96):
        raise Hdf5Error("it ends in its superblock", is_cut=True)
    if version > 3:
        raise Hdf5Error(f"its superblock has the unknown version {version}")
    start = {0: 24, 1: 28}.get(version, 12)
    width, length_width = (data[9], data[10]) if version > 1 else (data[13], data[14])
    if width not in _WIDTHS or length_width not in _WIDTHS:
        raise Hdf5Error("its superblock has an impossible size of addresses")
    if len(data) < start + 6 * width + 8:
        raise Hdf5Error("it ends in its superblock", is_cut=True)
    undefined = (1 << 8 * width) - 1
    fields = [
        int.from_bytes(data[start + place * width : start + (place + 1) * width], "little")
        for place in range(6)
    ]
    base, end = fields[0], fields[2]
    if version > 1:
        _check_new(data, 12 + 4 * width)
        root = fields[3]
    else:
        # Root's symbol table entry: the offset of its name, then its object header.
        at = start + 4 * width + length_width
        root = int.from_bytes(data[at : at + width], "little")
        cache = int.from_bytes(data[at + width : at + width + 4], "little")
        flags = int.from_bytes(data[20:24], "little")
        if cache > _MAX_CACHE or flags & ~_FLAGS or fields[1] != undefined:
            raise Hdf5Error("its superblock is damaged")
    if end == undefined:
        raise Hdf5Error("its superblock states no end")
    # A user block that was put before or taken away moves the base to where the file begins.
    if base != offset:
        end = end - base + offset if end >= base else end
        base = offset
    if end > source.size:
        reason = f"truncated file: eof = {source.size:,}, its superblock states {end:,}"
        raise Hdf5Error(reason, is_cut=True)
    if root == undefined:
        raise Hdf5Error("it has no root group")
    return Superblock(base, width, length_width, root)


def _check_new(data: bytes, length: int) -> None:
    """Check the sum and the flags of a superblock of version 2 or 3."""
    if _lookup3(data[:length]) != int.from_bytes(data[length : length + 4], "little"):
        raise Hdf5Error("its superblock does not fit its checksum")
    if data[11] & ~_FLAGS:
        raise Hdf5Error("its superblock has unknown flags")
    if data[8] == 3 and data[11] & _OPEN:
        raise Hdf5Error("it is marked as open for writing: the writer did not close it (h5clear)")


class _Message(NamedTuple):
    kind: int
    flags: int
    data: bytes


def read_root(source: ByteSource, superblock: Superblock) -> Root:
    """Read the names of the root group's attributes and links.

    Raises:
        Hdf5Error: there is no object header where the root should be.
    """
    return _Reader(source, superblock).root()


class _Reader:
    def __init__(self, source: ByteSource, superblock: Superblock) -> None:
        self._source = source
        self._block = superblock
        self._undefined = (1 << 8 * superblock.width) - 1
        self._attributes: set[str] = set()
        self._links: set[str] = set()
        self._is_whole = True
        self._left = _MAX_BLOCKS
        self._bytes_left = _MAX_READ

    def root(self) -> Root:
        try:
            messages = self._messages(self._block.root)
        except _LimitError:
            return Root(frozenset(), frozenset(), is_whole=False)
        for message in messages:
            if message.flags & 2 and message.kind in (0x0C, 0x06):
                self._is_whole = False  # it is stored elsewhere, and shared
            elif message.kind == 0x0C:
                self._add(self._attributes, _attribute_name(message.data))
            elif message.kind == 0x06:
                self._add(self._links, _link_name(message.data))
            elif message.kind == 0x15:
                flags = message.data[1] if len(message.data) > 1 else 0
                self._dense(message.data, 2 + (2 if flags & 1 else 0), self._attributes)
            elif message.kind == 0x02:
                flags = message.data[1] if len(message.data) > 1 else 0
                self._dense(message.data, 2 + (8 if flags & 1 else 0), self._links)
            elif message.kind == 0x11:
                self._symbol_table(message.data)
        return Root(frozenset(self._attributes), frozenset(self._links), self._is_whole)

    def _add(self, names: set[str], name: str | None) -> None:
        if name is None or len(names) >= _MAX_NAMES:
            self._is_whole = False
        else:
            names.add(name)

    def _at(self, address: int, length: int) -> bytes:
        """Return bytes at an address; b"" where it is none, or beyond the bounds."""
        if address == self._undefined or not self._may_read(length):
            self._is_whole = False
            return b""
        self._left -= 1
        self._bytes_left -= length
        return self._source.read_at(self._block.base + address, length)

    def _may_read(self, length: int) -> bool:
        return length <= min(_MAX_BLOCK, self._bytes_left) and self._left > 0

    def _address(self, data: bytes, at: int) -> int:
        field = data[at : at + self._block.width]
        whole = len(field) == self._block.width
        return int.from_bytes(field, "little") if whole else self._undefined

    def _length(self, data: bytes, at: int) -> int:
        return int.from_bytes(data[at : at + self._block.length_width], "little")

    def _messages(self, address: int) -> list[_Message]:
        """Return the messages of an object header, those of its continuations too."""
        head = self._at(address, 64)
        if head[:4] == b"OHDR":
            return self._new_messages(address, head)
        if len(head) < 16 or head[0] != 1 or head[1] != 0:
            raise Hdf5Error("there is no object header where its root group should be")
        size = int.from_bytes(head[8:12], "little")
        pending = [(address + 16, size)]
        messages: list[_Message] = []
        while pending:
            data = self._block_of(*pending.pop(0))
            at = 0
            while at + 8 <= len(data):
                kind = int.from_bytes(data[at : at + 2], "little")
                length = int.from_bytes(data[at + 2 : at + 4], "little")
                body = data[at + 8 : at + 8 + min(length, _MAX_BODY)]
                self._take(messages, pending, _Message(kind, data[at + 4], body))
                at += 8 + length
        return messages

    def _new_messages(self, address: int, head: bytes) -> list[_Message]:
        if head[4] != 2:
            raise Hdf5Error("the object header of its root group has an unknown version")
        flags = head[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(head[at : at + width], "little")
        start = at + width
        whole = self._block_of(address, start + size + 4)
        if _lookup3(whole[:-4]) != int.from_bytes(whole[-4:], "little"):
            raise Hdf5Error("the object header of its root group does not fit its checksum")
        messages: list[_Message] = []
        pending: list[tuple[int, int]] = []
        blocks = [whole[start:-4]]
        while blocks:
            self._walk_new(blocks.pop(), 6 if flags & 4 else 4, messages, pending)
            while pending:
                data = self._block_of(*pending.pop(0))
                if data[:4] != b"OCHK" or _lookup3(data[:-4]) != int.from_bytes(
                    data[-4:], "little"
                ):
                    raise Hdf5Error("a part of its root group's header is damaged")
                blocks.append(data[4:-4])
        return messages

    def _walk_new(
        self,
        data: bytes,
        head: int,
        messages: list[_Message],
        pending: list[tuple[int, int]],
    ) -> None:
        at = 0
        while at + head <= len(data):
            length = int.from_bytes(data[at + 1 : at + 3], "little")
            body = data[at + head : at + head + min(length, _MAX_BODY)]
            self._take(messages, pending, _Message(data[at], data[at + 3], body))
            at += head + length

    def _take(
        self, messages: list[_Message], pending: list[tuple[int, int]], message: _Message
    ) -> None:
        if message.kind == 0x10:
            address = self._address(message.data, 0)
            pending.append((address, self._length(message.data, self._block.width)))
        elif len(messages) < _MAX_NAMES:
            messages.append(message)
        else:
            self._is_whole = False

    def _block_of(self, address: int, length: int) -> bytes:
        if not self._may_read(length):
            raise _LimitError
        data = self._at(address, length)
        if len(data) < length:
            raise Hdf5Error("a part of its root group's header is not in the file")
        return data

    def _symbol_table(self, message: bytes) -> None:
        """Read the names of links by a tree of nodes and a heap of names."""
        heap = self._at(self._address(message, self._block.width), 8 + 3 * 32)
        if heap[:4] != b"HEAP":
            self._is_whole = False
            return
        width, length_width = self._block.width, self._block.length_width
        size = self._length(heap, 8)
        names = self._at(self._address(heap, 8 + 2 * length_width), min(size, _MAX_BLOCK))
        pending = [self._address(message, 0)]
        while pending:
            address = pending.pop()
            node = self._at(address, 8)
            entries = int.from_bytes(node[6:8], "little")
            if node[:4] == b"SNOD":
                step = 2 * width + 24
                table = self._at(address + 8, entries * step)
                for at in range(0, len(table) - step + 1, step):
                    start = self._address(table, at)
                    name = names[start : start + _MAX_NAME].partition(b"\0")[0]
                    self._add(self._links, name.decode("utf-8", "replace") or None)
            elif node[:4] == b"TREE" and node[4] == 0:
                table = self._at(address + 8 + 2 * width, entries * (length_width + width))
                step = length_width + width
                pending += [
                    self._address(table, at + length_width) for at in range(0, len(table), step)
                ]
            else:
                self._is_whole = False

    def _dense(self, message: bytes, at: int, names: set[str]) -> None:
        """Look for marks in a fractal heap, where a group has many attributes or links.

        The blocks of the heap are searched, and the tree that orders them is not walked: what is
        found is there, and what is not found may be there.
        """
        address = self._address(message, at)
        if address == self._undefined:
            return  # they are messages of the header
        self._is_whole = False
        head = self._at(address, 160)
        if head[:4] != b"FRHP":
            return
        width, length_width = self._block.width, self._block.length_width
        table = 14 + 10 * length_width + 2 * width
        columns = int.from_bytes(head[table : table + 2], "little")
        starting = self._length(head, table + 2)
        bits = table + 2 + 2 * length_width
        offset_width = -(-int.from_bytes(head[bits : bits + 2], "little") // 8)
        root = bits + 4
        rows = int.from_bytes(head[root + width : root + width + 2], "little")
        blocks = [(self._address(head, root), starting)]
        if rows:
            blocks = self._heap_blocks(
                blocks[0][0], rows * columns, columns, starting, offset_width
            )
        for place, size in blocks:
            block = self._at(place, size)
            names.update(mark for mark in MARKS if mark.encode() in block)
        for name in self._huge_names(self._address(head, 14 + length_width)):
            self._add(names, name)

    def _heap_blocks(
        self, address: int, count: int, columns: int, starting: int, offset_width: int
    ) -> list[tuple[int, int]]:
        """Return address and size of the blocks that an indirect block names."""
        start = 5 + self._block.width + offset_width
        count = min(count, _MAX_BLOCKS)
        node = self._at(address, start + count * self._block.width)
        if node[:4] != b"FHIB":
            return []
        places = [self._address(node, start + n * self._block.width) for n in range(count)]
        return [
            (place, starting << max(number // max(columns, 1) - 1, 0))
            for number, place in enumerate(places)
            if place != self._undefined
        ]

    def _huge_names(self, address: int) -> list[str | None]:
        """Return the names of attributes that are too large for the heap's blocks."""
        if address == self._undefined:
            return []
        head = self._at(address, 16 + self._block.width + 2)
        leaf = self._address(head, 16)
        step = int.from_bytes(head[10:12], "little")
        count = int.from_bytes(head[16 + self._block.width : 18 + self._block.width], "little")
        if head[:4] != b"BTHD" or head[12:14] != b"\0\0" or step < self._block.width:
            return []
        node = self._at(leaf, 6 + min(count, _MAX_BLOCKS) * step)
        return [
            _attribute_name(self._at(self._address(node, at), 300))
            for at in range(6, len(node) - step + 1, step)
        ]


def _attribute_name(data: bytes) -> str | None:
    if len(data) < 8 or data[0] not in (1, 2, 3):
        return None
    start = 9 if data[0] == 3 else 8
    size = int.from_bytes(data[2:4], "little")
    return data[start : start + size].partition(b"\0")[0].decode("utf-8", "replace") or None


def _link_name(data: bytes) -> str | None:
    if len(data) < 4 or data[0] != 1:
        return None
    flags = data[1]
    at = 2 + (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(data[at : at + width], "little")
    return data[at + width : at + width + size].decode("utf-8", "replace") or None


def _lookup3(data: bytes) -> int:
    """Return Jenkins' lookup3 hash, the checksum of HDF5's metadata (`H5checksum.c`)."""
    mask = 0xFFFFFFFF

    def turn(value: int, by: int) -> int:
        return (value << by | value >> (32 - by)) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    at, left = 0, len(data)
    while left > 12:
        a = (a + int.from_bytes(data[at : at + 4], "little")) & mask
        b = (b + int.from_bytes(data[at + 4 : at + 8], "little")) & mask
        c = (c + int.from_bytes(data[at + 8 : at + 12], "little")) & mask
        a = ((a - c) & mask) ^ turn(c, 4)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ turn(a, 6)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ turn(b, 8)
        b = (b + a) & mask
        a = ((a - c) & mask) ^ turn(c, 16)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ turn(a, 19)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ turn(b, 4)
        b = (b + a) & mask
        at += 12
        left -= 12
    if left == 0:
        return c
    tail = data[at:].ljust(12, b"\0")
    a = (a + int.from_bytes(tail[:4], "little")) & mask
    b = (b + int.from_bytes(tail[4:8], "little")) & mask
    c = (c + int.from_bytes(tail[8:], "little")) & mask
    c = ((c ^ b) - turn(b, 14)) & mask
    a = ((a ^ c) - turn(c, 11)) & mask
    b = ((b ^ a) - turn(a, 25)) & mask
    c = ((c ^ b) - turn(b, 16)) & mask
    a = ((a ^ c) - turn(c, 4)) & mask
    b = ((b ^ a) - turn(a, 14)) & mask
    return ((c ^ b) - turn(b, 24)) & mask
