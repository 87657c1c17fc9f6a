"""The header of a safetensors file, read as a stream: tensors without the tree of objects.

The rules are those of the library itself (`safetensors/src/tensor.rs`, which reads the header with
serde_json), tried one by one on version 0.8.0: unknown fields of a tensor are ignored, a name that
comes twice counts as it comes last, and the three fields may stand in a list in their order.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.sources.checkpoint.byte_source import ByteSource

MAX_METADATA: Final = 1024 * 1024
"""Characters of metadata that are kept; kohya's tags of a large training have 9 MB."""
_MAX_METADATA_VALUE: Final = 256 * 1024
_MAX_METADATA_ENTRIES: Final = 10_000
_MAX_NAME: Final = 16 * 1024
_MAX_ENTRY: Final = 256 * 1024
_MAX_DEPTH: Final = 127
"""serde_json's recursion limit, the two objects around a value counted along."""
_MAX_STEPS: Final = 2_000_000
"""Pieces that are read one by one, some seconds of work."""
_CHUNK: Final = 64 * 1024
_AHEAD: Final = 4 * 1024
"""An entry of the usual form is shorter; a longer one is read the slow way."""
_ESCAPE: Final = 12
"""Characters of the longest escape, a pair of surrogates."""
_LARGEST: Final = (1 << 64) - 1

_USUAL: Final = re.compile(
    (
        r'~"([^"\\\x00-\x1f]*)"~:~\{~"dtype"~:~"([A-Z0-9_]+)"~,~"shape"~:~\[~(@(?:~,~@)*)?~\]~,'
        r'~"data_offsets"~:~\[~(@)~,~(@)~\]~\}~([,}])'
    )
    .replace("~", r"[ \t\n\r]*")
    .replace("@", r"(?:0|[1-9][0-9]{0,18})")
)
"""One tensor as the library and its likes write it, up to the comma behind it."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_CHARACTERS: Final = re.compile(
    r'(?:[^"\\\x00-\x1f]+|\\["\\/bfnrt]|\\u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*"
)
_FLAT: Final = re.compile(r'\{[^{}"\\]*(?:"[^"\\\x00-\x1f]*"[^{}"\\]*)*\}')
"""An object without one in it and without escapes."""
_MAX_FLAT_LISTS: Final = 100
_BETWEEN: Final = re.compile(r'[^"{}\[\]]+')


class HeaderError(Exception):
    """What safetensors refuses; `name` is that of its own error."""

    def __init__(self, reason: str, name: str = "InvalidHeaderDeserialization") -> None:
        super().__init__(reason)
        self.name = name


class HeaderLimitError(Exception):
    """What the library may well open, and is too large to be read here."""


class TensorEntry(NamedTuple):
    """One tensor as the header has it."""

    name: str
    dtype: str
    """In the spelling of the format: `F32`."""
    shape: tuple[int, ...]
    start: int
    end: int


class Header:
    """A header that is read once, from its start to its end."""

    def __init__(self, source: ByteSource, offset: int, length: int) -> None:
        """Prepare to read.

        Args:
            source: the file.
            offset: of the header in it.
            length: bytes of the header.
        """
        self.metadata: dict[str, str] | None = None
        self.left_out: list[tuple[str, int]] = []
        """(key, characters) of metadata that is too large to be kept."""
        self._source = source
        self._offset = offset
        self._end = offset + length
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._room = MAX_METADATA
        self._steps = _MAX_STEPS

    def tensors(self) -> Iterator[TensorEntry]:
        """Yield the tensors in the order of the header; `metadata` is whole afterwards.

        Raises:
            HeaderError: safetensors refuses the header.
            HeaderLimitError: one of its texts is too large to be read here.
        """
        self._expect("{")
        if self._next() == "}":
            self._at += 1
        else:
            yield from self._entries()
        if self._next():
            raise HeaderError("text follows the JSON of its header")

    def _entries(self) -> Iterator[TensorEntry]:
        usual = _USUAL.match
        closing = ""
        while closing != "}":
            if len(self._text) - self._at < _AHEAD:
                self._more()
            match = usual(self._text, self._at)
            if match is None or match[1] == "__metadata__":
                entry = self._odd_entry()
                if entry is not None:
                    yield entry
                closing = self._expect(",}")
                continue
            name, dtype, shape, start, end, closing = match.groups()
            self._at = match.end()
            sizes = tuple(map(int, shape.split(","))) if shape else ()
            yield TensorEntry(name, dtype, sizes, int(start), int(end))

    def _odd_entry(self) -> TensorEntry | None:
        """Read an entry that is written in another way, None for the metadata."""
        self._expect('"')
        name, length = self._string(_MAX_NAME)
        if name is None:
            raise HeaderLimitError(f"a name in its header has {length:,} characters")
        self._expect(":")
        if name == "__metadata__":
            self._metadata()
            return None
        return _tensor(name, self._value(name))

    def _metadata(self) -> None:
        if self.metadata is not None:
            raise HeaderError("its header has __metadata__ twice")
        self.metadata = {}
        if self._next() == "n":
            for letter in "null":
                self._expect(letter, space=False)
            return
        self._expect("{", "its __metadata__ is not an object")
        if self._next() == "}":
            self._at += 1
            return
        closing = ""
        while closing != "}":
            self._expect('"')
            key, _ = self._string(_MAX_NAME)
            self._expect(":")
            self._expect('"', f"its __metadata__ has a value that is no text: {key or '...'!r:.80}")
            value, length = self._string(min(_MAX_METADATA_VALUE, self._room))
            if key is not None:
                self._keep(key, value, length)
            closing = self._expect(",}")

    def _keep(self, key: str, value: str | None, length: int) -> None:
        assert self.metadata is not None  # noqa: S101  (set by the caller)
        if len(self.metadata) + len(self.left_out) >= _MAX_METADATA_ENTRIES:
            raise HeaderLimitError("its __metadata__ has too many keys")
        if value is None or len(key) > self._room:
            self.left_out.append((key[:100], length))
            return
        self._room -= len(key) + length
        self._room = max(self._room, 0)
        self.metadata[key] = value

    def _string(self, limit: int) -> tuple[str | None, int]:
        """Read a text behind its first quote: what it says, None beyond a limit, and its length."""
        parts: list[str] = []
        length = 0
        while True:
            match = _CHARACTERS.match(self._text, self._at)
            end = self._at if match is None else match.end()
            length += end - self._at
            if length <= limit:
                parts.append(self._text[self._at : end])
            self._at = end
            if self._text.startswith('"', end):
                self._at += 1
                if length > limit:
                    return None, length
                text = "".join(parts)
                return (json.loads(f'"{text}"') if "\\" in text else text), length
            if len(self._text) - end < _ESCAPE and self._more():
                continue
            raise HeaderError("a text in its header has no end or a character that JSON forbids")

    def _value(self, name: str) -> Any:
        """Read an object or a list whole, and parse it."""
        if self._next() not in ("{", "["):
            raise HeaderError(f"the tensor {name[:80]!r} is not described by an object")
        flat = _FLAT.match(self._text, self._at)
        if flat is not None and flat[0].count("[") <= _MAX_FLAT_LISTS:
            self._at = flat.end()
            return _parsed(flat[0], name)
        parts: list[str] = []
        length = depth = 0
        while True:
            character = self._peek()
            self._steps -= 1
            if character in "{[":
                depth += 1
                if depth >= _MAX_DEPTH:
                    raise HeaderError("its header is nested too deep")
                piece = character
            elif character in "}]":
                depth -= 1
                piece = character
            elif character == '"':
                self._at += 1
                text, size = self._string(_MAX_ENTRY)
                self._at -= 1
                piece = json.dumps(text) if text is not None else " " * size
            else:
                match = _BETWEEN.match(self._text, self._at)
                piece = character if match is None else match[0]
                self._at += len(piece) - 1
            self._at += 1
            length += len(piece)
            if length > _MAX_ENTRY or self._steps < 0:
                raise HeaderLimitError(f"the entry of the tensor {name[:80]!r} is too large")
            parts.append(piece)
            if depth == 0:
                return _parsed("".join(parts), name)

    def _expect(self, wanted: str, reason: str = "", *, space: bool = True) -> str:
        """Step over one of some characters, and over the white space before it."""
        found = self._next() if space else self._peek()
        if not found or found not in wanted:
            raise HeaderError(reason or "its header is not valid JSON")
        self._at += 1
        return found

    def _next(self) -> str:
        """Return the next character that is no white space, "" at the end; do not step over it."""
        while True:
            match = _SPACE.match(self._text, self._at)
            if match is not None:
                self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _peek(self) -> str:
        if self._at >= len(self._text) and not self._more():
            raise HeaderError("the JSON of its header has no end")
        return self._text[self._at]

    def _more(self) -> bool:
        """Have more of the text at hand; False at its end."""
        if self._offset >= self._end:
            return False
        data = self._source.read_at(self._offset, min(_CHUNK, self._end - self._offset))
        if not data:
            self._offset = self._end
            return False
        self._offset += len(data)
        try:
            text = self._decode(data, self._offset >= self._end)
        except UnicodeDecodeError:
            raise HeaderError("its header is not UTF-8", "InvalidHeader") from None
        self._text = self._text[self._at :] + text
        self._at = 0
        return True


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, for a field that comes twice is refused."""


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_float,
        )
    except (ValueError, RecursionError):
        raise HeaderError(f"the entry of the tensor {name[:80]!r} is not valid JSON") from None


def _integer(text: str) -> int | float:
    """Return a number as serde_json does: what 64 bits do not hold is a float, and so is -0."""
    if len(text) < 22 and text != "-0":
        value = int(text)
        if -(1 << 63) <= value <= _LARGEST:
            return value
    return _float(text)


def _float(text: str) -> float:
    value = float(text)
    if value - value != 0:  # NaN or infinite: neither is JSON
        raise ValueError(text)
    return value


def _tensor(name: str, value: Any) -> TensorEntry:
    """Return a tensor from its parsed entry.

    Raises:
        HeaderError: a field is missing, comes twice or is of another kind.
    """
    label = f"the tensor {name[:80]!r}"
    if isinstance(value, _Pairs):
        known = [pair for pair in value if pair[0] in ("dtype", "shape", "data_offsets")]
        fields = dict(known)
        if len(fields) != 3 or len(known) != 3:
            raise HeaderError(f"{label} lacks a field, or has one twice")
        dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    elif isinstance(value, list) and len(value) == 3:
        dtype, shape, offsets = value
    else:
        raise HeaderError(f"{label} is not described by an object")
    if isinstance(dtype, _Pairs) and len(dtype) == 1 and dtype[0][1] is None:
        dtype = dtype[0][0]
    if not isinstance(dtype, str):
        raise HeaderError(f"the dtype of {label} is no text")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise HeaderError(f"the shape or the offsets of {label} are no sizes")
    return TensorEntry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _are_sizes(value: Any) -> bool:
    if not isinstance(value, list) or isinstance(value, _Pairs):
        return False
    return all(type(size) is int and size >= 0 for size in value)
