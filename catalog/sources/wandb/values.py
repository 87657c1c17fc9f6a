"""Config values as the user logged them: undoing what loggers did to them on the way.

Two detours are known. OmegaConf objects that were passed whole leave their internals
(`_content`, `_metadata`, ...). Lightning's `save_hyperparameters` logs every nested value as
its `repr`, with interpolations unresolved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.sources.literals import OPAQUE, parse_repr

if TYPE_CHECKING:
    from catalog.sources.facts import Plain


def as_logged(document: dict[str, Plain]) -> dict[str, Plain]:
    """Return the document with OmegaConf's internals and `repr` text turned to plain data."""
    restored = _restored(document)
    return restored if isinstance(restored, dict) else document


def _restored(value: Plain) -> Plain:
    value = parse_repr(value)
    if isinstance(value, dict):
        if "_content" in value and "_metadata" in value:
            return _restored(value["_content"])
        return {key: _restored(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_restored(part) for part in value]
    return value


def prefer_resolved(old: Plain, new: Plain) -> Plain:
    """Return what a config value is after an update, never losing a resolved form.

    Args:
        old: the value so far.
        new: the update; where it is only `old` as `repr` text (that of an object too), or text
            with `${...}` over a resolved value, the old one stands.

    """
    if old is None:
        return None if new == "None" else new
    if old == {OPAQUE: new}:
        return old
    if isinstance(old, (dict, list)):
        new = parse_repr(new)
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: prefer_resolved(old[key], part) if key in old else part
                for key, part in new.items()}  # fmt: skip
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [prefer_resolved(a, b) for a, b in zip(old, new, strict=True)]
    if isinstance(new, str) and "${" in new and not (isinstance(old, str) and "${" in old):
        return old
    return new
