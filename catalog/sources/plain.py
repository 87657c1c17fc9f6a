"""From what a parser returns to `Plain`: text that any database stores, bounded depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.sources.facts import Plain

MAX_DEPTH = 64
"""Nesting that is still a configuration; deeper data is refused, so that no walk overflows."""


class DocumentError(ValueError):
    """A document that is refused; its code and text become a `Problem`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DepthError(DocumentError):
    """More nesting than `MAX_DEPTH`."""

    def __init__(self) -> None:
        super().__init__("too-deep", f"The document is nested deeper than {MAX_DEPTH} levels.")


def clean(text: str) -> str:
    """Return the text with what databases refuse (lone surrogates, NUL) as U+FFFD."""
    if text.isascii():
        return text.replace("\0", "\ufffd") if "\0" in text else text
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd")


def to_plain(value: object, depth: int = 0) -> Plain:
    """Return a copy that holds only JSON's kinds; keys become text, tuples become lists.

    Raises:
        DepthError: nesting beyond `MAX_DEPTH`.

    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return clean(value)
    if depth >= MAX_DEPTH:
        raise DepthError
    if isinstance(value, dict):
        return {clean(str(key)): to_plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(part, depth + 1) for part in value]
    return clean(str(value))


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a value is a number: booleans are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def to_float(value: float) -> float:
    """Return the number as a float; integers beyond its range become infinities, as in JSON."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def leaves(value: Plain, prefix: str = "") -> Iterator[tuple[str, Plain]]:
    """Yield (dotted key, value) for everything below that is no container.

    List positions are written as keys: `layers.0.size`.
    """
    if isinstance(value, (dict, list)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from leaves(part, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def sentence(reason: str) -> str:
    """Return a reason as a sentence."""
    return f"{reason[:1].upper()}{reason[1:]}."
