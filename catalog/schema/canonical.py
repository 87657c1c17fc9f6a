"""One form for one content: canonical JSON, its hash, its flat keys; one name for one metric."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog.sources.facts import Plain

_FLOAT = struct.Struct("<f")
_HUGGINGFACE = re.compile(r"(eval|test)_(.+)")
MAX_VALUES = 20_000
"""More flat values than this are not made of one config; the document itself is whole."""


def canonical(document: Plain) -> str:
    """Return the document as JSON with sorted keys, one form for equal contents.

    NaN and infinities, which JSON lacks, become `{"__float__": "nan"}` and the like, so that
    the text is valid JSON everywhere and no value is lost.
    """
    try:
        return _dumps(document)
    except ValueError:  # the rare document with such a number is gone through value by value
        return _dumps(_finite(document))


_dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""One encoder for all: `json.dumps` with these options makes a new one each time."""


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def special(value: float) -> tuple[float | None, str | None]:
    """Return (value, None) of a finite number, else (None, `nan`, `inf` or `-inf`)."""
    if math.isfinite(value):
        return value, None
    if math.isnan(value):
        return None, "nan"
    return None, "inf" if value > 0 else "-inf"


def float32(value: float) -> float:
    """Return the nearest 32-bit float: trackers widen what a checkpoint keeps in 32 bits."""
    try:
        return float(_FLOAT.unpack(_FLOAT.pack(value))[0])
    except OverflowError:
        return value


def floats32(values: Sequence[float]) -> list[float]:
    """Return the nearest 32-bit float of each value, as `float32` does."""
    narrowed = array("f", values).tolist()
    # What is too large for 32 bits keeps its value.
    return list(map(float32, values)) if any(map(math.isinf, narrowed)) else narrowed


def clean(text: str) -> str:
    """Return a text that every database takes: no NUL, no lone surrogates."""
    if text.isascii():
        return text.replace("\0", "\\0")
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def flat(document: Plain) -> Iterator[tuple[str, str, str | None, float | None]]:
    """Yield (dotted key, type, text, number) of every value; lists are kept whole, as JSON.

    Empty objects are values too. A dot inside a key is not told from one between keys.
    """
    pending: list[tuple[str, Plain]] = [("", document)]
    count = 0
    seen: set[str] = set()
    while pending and count < MAX_VALUES:
        key, value = pending.pop()
        if isinstance(value, dict) and value:
            prefix = f"{key}." if key else ""
            pending.extend((f"{prefix}{name}", inner) for name, inner in reversed(value.items()))
            continue
        if key in seen:  # {"a.b": 1, "a": {"b": 2}}
            continue
        seen.add(key)
        count += 1
        yield (clean(key), *_typed(value))


def _typed(value: Plain) -> tuple[str, str | None, float | None]:
    match value:
        case None:
            return "null", None, None
        case bool():
            return "bool", "true" if value else "false", float(value)
        case int():
            return "int", str(value), _number(value)
        case float():
            return "float", repr(value), special(value)[0]
        case str():
            return "str", clean(value), None
        case list():
            return "list", canonical(value), None
        case _:
            return "dict", canonical(value), None


def _number(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _finite(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": special(value)[1]}
    return value


def common_metric(name: str) -> str:
    """Return a metric's name as the Trainer's callbacks log it: `eval_loss` is `eval/loss`.

    `trainer_state.json` holds the names of the Trainer itself; W&B and TensorBoard are given
    others (`transformers/integrations/integration_utils.py`, `rewrite_logs`).
    """
    match = _HUGGINGFACE.fullmatch(name)
    if match:
        return f"{match[1]}/{match[2]}"
    return name if "/" in name else f"train/{name}"
