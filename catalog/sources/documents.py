"""JSON and YAML files read with tolerance and bounds: the door for every document.

A `Document` always comes back: with the value, or with the problem that stands in its way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.sources.facts import Plain, Problem
from catalog.sources.paths import read_at_most
from catalog.sources.plain import MAX_DEPTH, DocumentError, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
"""Run configurations seen are below 12 kB, summaries below 250 kB."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: a mapping, or why there is none."""

    mapping: dict[str, Plain] | None = None
    problems: tuple[Problem, ...] = ()


MAX_VALUES = 200_000
"""Values in one configuration, as many as in YAML: a longer document is data."""


def read_json(
    path: Path | str, limit: int = MAX_BYTES, *, most_values: int | None = None
) -> Document:
    """Read a JSON file whose top is an object.

    Args:
        path: the file.
        limit: bytes; a longer file is refused.
        most_values: a file with more is refused; a few megabytes of `{},{},` take gigabytes
            of objects. Commas within texts count as well.

    Raises:
        OSError: the file cannot be opened or read.

    """
    data = read_at_most(path, limit + 1)
    if most_values is not None and sum(map(data.count, (b",", b"{", b"["))) > most_values:
        return _failed("too-large", f"The document has more than {most_values:,} values.")
    return _document(data, limit, parse_json)


def read_yaml(
    path: Path | str,
    limit: int = MAX_BYTES,
    *,
    dotless_floats: Callable[[bytes], bool] = lambda _: False,
) -> Document:
    """Read a YAML file whose top is a mapping; see `catalog.sources.yaml_text` for the rules.

    Args:
        path: the file.
        limit: bytes; a longer file is refused.
        dotless_floats: says of the file's content whether `1e-08` is a float in it.

    Raises:
        OSError: the file cannot be opened or read.

    """
    from catalog.sources.yaml_text import parse_yaml

    return _document(
        read_at_most(path, limit + 1),
        limit,
        lambda data: parse_yaml(data, dotless_floats=dotless_floats(data)),
    )


def parse_json(data: bytes) -> Plain:
    """Return what JSON text says.

    Beyond the standard: NaN and infinities are floats, a byte order mark is skipped, and so
    are NUL bytes at the end (what a shorter document leaves of a longer one under it).

    Raises:
        DocumentError: no JSON, or nested too deep.

    """
    text = data.rstrip(b"\0 \t\r\n").decode("utf-8-sig", "replace")
    try:
        if text.startswith("\ufeff"):
            json.loads(text)  # a second byte order mark: it says so
        value: Plain = _DECODER.decode(text)
        return value if _is_plain(text) else to_plain(value)
    except RecursionError:
        raise DocumentError("too-deep", "The JSON is nested too deep to be read.") from None
    except json.JSONDecodeError as error:
        raise DocumentError(
            "unreadable-json",
            f"No valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
        ) from None


def _is_plain(text: str) -> bool:
    """Say of JSON whether `to_plain` would change nothing: neither odd letters nor a deep nest.

    NUL and lone surrogates cannot stand in text that was decoded, other than as an escape.
    """
    return "\\u" not in text and text.count("{") + text.count("[") < MAX_DEPTH


def _integer(text: str) -> int | float:
    # Python refuses integers of more than 4300 digits; no database column holds even 40.
    return int(text) if len(text) <= 40 else float(text)


_DECODER = json.JSONDecoder(parse_int=_integer)
"""One for all: `json.loads` with this option makes a new one each time."""


def _document(data: bytes, limit: int, parse: Callable[[bytes], Plain]) -> Document:
    if len(data) > limit:
        return _failed("too-large", f"The file is larger than {limit:,} bytes and is not read.")
    if not data.strip(b"\0 \t\r\n"):
        return _failed("empty-file", "The file is empty.")
    try:
        value = parse(data)
    except DocumentError as error:
        return _failed(error.code, str(error))
    if value is None:
        return _failed("empty-file", "The file holds no values.")
    if not isinstance(value, dict):
        return _failed("not-a-mapping", "The file holds no mapping of names to values.")
    return Document(value)


def _failed(code: str, message: str) -> Document:
    return Document(problems=(Problem(code, message),))
