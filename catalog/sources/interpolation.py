"""OmegaConf interpolations: `${a.b}` replaced where the document itself has the answer.

Grammar: absolute (`${model.name}`, `${layers[0].size}`) and relative (`${.x}`, `${..x}`)
references to other values. Resolvers (`${hydra:...}`, `${oc.env:...}`, `${now:...}`) depend on
the machine and the moment; they stay as text and are named as unresolved.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from catalog.sources.plain import MAX_DEPTH, leaves

if TYPE_CHECKING:
    from catalog.sources.facts import Plain

_REFERENCE = re.compile(r"(?<!\\)\$\{(\s{0,8}\.{0,32}[^${}:.\s][^${}:]{0,500}|\s{0,8}\.{1,32})\}")
_MAX_TEXT = 64 * 1024
_MAX_STEPS = 100_000
_MAX_CHAIN = 24

Steps = tuple[str | int, ...]


def unresolved_keys(document: dict[str, Plain]) -> tuple[str, ...]:
    """Return the dotted keys whose value still holds `${...}`, in the document's order."""
    if not has_references(document):
        return ()
    return tuple(key for key, value in leaves(document) if isinstance(value, str) and "${" in value)


def has_references(document: dict[str, Plain]) -> bool:
    """Say whether any value of a document holds `${...}`."""
    pending: list[dict[str, Plain] | list[Plain]] = [document]
    while pending:
        holder = pending.pop()
        for value in holder.values() if isinstance(holder, dict) else holder:
            if isinstance(value, str):
                if "${" in value:
                    return True
            elif isinstance(value, (dict, list)):
                pending.append(value)
    return False


def resolve(document: dict[str, Plain]) -> dict[str, Plain]:
    """Return a copy in which references to values of the same document are replaced.

    A reference that leads nowhere, in a circle, to a value that is itself unresolved or to
    OmegaConf's missing mark `???` stays as it is. A value that is one reference takes the
    type of what it names; inside longer text the name is replaced by the value's text.
    """
    resolver = _Resolver(document)
    return {key: resolver.walk(value, (key,)) for key, value in document.items()}


class _UnresolvedError(Exception):
    """A reference that cannot be replaced."""


class _Resolver:
    def __init__(self, document: dict[str, Plain]) -> None:
        self._document = document
        self._steps = 0

    def walk(self, value: Plain, place: Steps, chain: int = 0) -> Plain:
        self._steps += 1
        if self._steps > _MAX_STEPS or len(place) > MAX_DEPTH:
            return value
        if isinstance(value, dict):
            return {key: self.walk(part, (*place, key), chain) for key, part in value.items()}
        if isinstance(value, list):
            return [self.walk(part, (*place, i), chain) for i, part in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._text(value, place, chain)
        return value

    def _text(self, text: str, place: Steps, chain: int) -> Plain:
        if whole := _REFERENCE.fullmatch(text):
            try:
                return self._follow(whole[1], place, chain)
            except _UnresolvedError:
                return text

        # Twice, since a reference may be built from another: ${data.${kind}}.
        for _ in range(2):
            replaced = self._replace(text, place, chain)
            if replaced == text:
                break
            text = replaced
            if _REFERENCE.fullmatch(text):
                return self._text(text, place, chain + 1)
        return text

    def _replace(self, text: str, place: Steps, chain: int) -> str:
        room = _MAX_TEXT

        def value_of(match: re.Match[str]) -> str:
            nonlocal room
            try:
                value = self._follow(match[1], place, chain)
            except _UnresolvedError:
                return match[0]
            inserted = match[0] if isinstance(value, (dict, list)) else str(value)
            room -= len(inserted)
            return inserted if room > 0 else match[0]

        return _REFERENCE.sub(value_of, text)

    def _follow(self, reference: str, place: Steps, chain: int) -> Plain:
        if chain >= _MAX_CHAIN:
            raise _UnresolvedError
        target = _target(reference.strip(), place)
        value: Plain = self._document
        for step in target:
            if isinstance(value, dict) and str(step) in value:
                value = value[str(step)]
            elif isinstance(value, list) and str(step).isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                raise _UnresolvedError
        if target == place[: len(target)]:
            raise _UnresolvedError
        value = self.walk(value, target, chain + 1)
        if value == "???" or any(isinstance(v, str) and "${" in v for _, v in leaves(value)):
            raise _UnresolvedError
        return value


def _target(reference: str, place: Steps) -> Steps:
    dots = len(reference) - len(reference.lstrip("."))
    if dots > len(place):
        raise _UnresolvedError
    base: Steps = place[: len(place) - dots] if dots else ()
    names = re.split(r"[.\[\]]+", reference[dots:].strip("]"))
    return (*base, *(name for name in names if name))
