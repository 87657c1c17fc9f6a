"""YAML to plain data, built from the parser's events: no tag is ever executed.

Differences from `yaml.safe_load`, whose rules for plain scalars are kept:

- dates and times stay text;
- an unknown or Python tag becomes `{"__opaque__": "<tag>"}` with the plain scalars below it
  (Lightning's `hparams.yaml` holds whole objects); tuples and namespaces are plain data;
- nodes are counted with every alias and merge key expanded, so that a few lines cannot
  unfold into gigabytes, and a node that contains itself is opaque.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from catalog.sources.plain import MAX_DEPTH, DepthError, DocumentError, clean
from catalog.sources.yaml_lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.facts import Plain

MAX_NODES = 200_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
_ALIAS, _SCALAR, _MAPPING = yaml.AliasEvent, yaml.ScalarEvent, yaml.MappingStartEvent
_MAPPING_END, _SEQUENCE_END = yaml.MappingEndEvent, yaml.SequenceEndEvent
_PREFIX = "tag:yaml.org,2002:"
_DOTLESS_FLOAT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+")
_MAX_DIGITS = 40
_TRUE = frozenset({"yes", "true", "on"})
_PLAIN_TAGS = frozenset(
    _PREFIX + name
    for name in (
        "map", "seq", "set", "omap", "pairs", "python/dict", "python/list", "python/tuple",
        "python/object:argparse.Namespace", "python/object/new:argparse.Namespace",
    )
)  # fmt: skip
_SCALAR_TAGS = {
    "python/unicode": "str",
    "python/str": "str",
    "python/int": "int",
    "python/long": "int",
    "python/float": "float",
    "python/bool": "bool",
    "python/none": "null",
}


def parse_yaml(data: bytes, *, dotless_floats: bool = False) -> Plain:
    """Return what the only document of a YAML text says.

    Args:
        data: UTF-8; NUL bytes at the end are skipped.
        dotless_floats: read plain `1e-08` as a float. YAML 1.1 makes it text, yet wandb 0.18
            and later (a Go writer) prints floats this way.

    Raises:
        DocumentError: no YAML, too many nodes, or nested too deep.

    """
    try:
        text = data.rstrip(b"\0").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError("unreadable-yaml", "No valid YAML: it is not UTF-8.") from None
    plain = read_lines(text, _dotless_scalar if dotless_floats else _plain_scalar)
    return _by_events(text, dotless_floats) if plain is None else plain


def _by_events(text: str, dotless_floats: bool) -> Plain:
    try:
        return _Builder(_LOADER(text).get_event, dotless_floats).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or "unreadable text"
        raise DocumentError("unreadable-yaml", f"No valid YAML: {what}{where}.") from None


class _Builder:
    """Builds the value of one document from parser events."""

    def __init__(self, following: Callable[[], Any], dotless_floats: bool) -> None:
        self._next = following
        self._dotless_floats = dotless_floats
        self._nodes = 0
        self._anchors: dict[str, tuple[Plain, int, int]] = {}
        """anchor → (value, nodes in it with aliases expanded, its height)"""

    def document(self) -> Plain:
        while (kind := type(self._next())) is not yaml.DocumentStartEvent:
            if kind is yaml.StreamEndEvent:
                return None
        value = self._node(self._next(), 0)[0]
        while (kind := type(self._next())) is not yaml.StreamEndEvent:
            if kind is yaml.DocumentStartEvent:
                # `yaml.safe_load` and OmegaConf refuse it.
                raise DocumentError("unreadable-yaml", "No valid YAML: it holds two documents.")
        return value

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise DocumentError(
                "too-large", f"The document unfolds into more than {MAX_NODES:,} values."
            )

    def _node(self, event: Any, depth: int) -> tuple[Plain, int]:
        """Return (value, height) of the node that begins with `event`."""
        kind = type(event)
        if kind is _ALIAS:
            return self._alias(event.anchor, depth)
        before = self._nodes
        self._count(1)
        if kind is _SCALAR:
            value, height = self._scalar(event), 0
        else:
            if depth >= MAX_DEPTH:
                raise DepthError
            build = self._mapping if kind is _MAPPING else self._sequence
            value, height = build(event.tag, depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._nodes - before, height)
        return value, height

    def _alias(self, anchor: str | None, depth: int) -> tuple[Plain, int]:
        if anchor is None or anchor not in self._anchors:
            self._count(1)
            return {"__opaque__": "recursive alias"}, 1
        value, nodes, height = self._anchors[anchor]
        self._count(nodes)
        if depth + height > MAX_DEPTH:
            raise DepthError
        return value, height

    def _sequence(self, tag: str | None, depth: int) -> tuple[Plain, int]:
        values: list[Plain] = []
        highest = 0
        following = self._next
        while type(event := following()) is not _SEQUENCE_END:
            value, height = self._node(event, depth)
            values.append(value)
            if height > highest:
                highest = height
        if _is_plain_tag(tag):
            return values, highest + 1
        return {"__opaque__": _short(tag), "args": [v for v in values if _is_scalar(v)]}, 2

    def _mapping(self, tag: str | None, depth: int) -> tuple[Plain, int]:
        explicit: dict[str, Plain] = {}
        merged: dict[str, Plain] = {}
        highest = 0
        following = self._next
        while type(event := following()) is not _MAPPING_END:
            is_merge = type(event) is _SCALAR and event.value == "<<" and _is_merge(event)
            key, _ = self._node(event, depth)
            value, height = self._node(following(), depth)
            if height > highest:
                highest = height
            if is_merge:
                for source in value if isinstance(value, list) else [value]:
                    if isinstance(source, dict):
                        merged = {**source, **merged}
            else:
                explicit[key if isinstance(key, str) else json.dumps(key)] = value
        mapping = {**merged, **explicit}
        if _is_plain_tag(tag):
            return mapping, highest + 1
        scalars = {key: part for key, part in mapping.items() if _is_scalar(part)}
        return {"__opaque__": _short(tag), **scalars}, 1

    def _scalar(self, event: Any) -> Plain:
        text: str = event.value
        tag: str | None = event.tag
        if tag is None and event.implicit[0]:
            return (_dotless_scalar if self._dotless_floats else _plain_scalar)(text)
        if tag is None or tag == "!":
            return clean(text)
        name = tag.removeprefix(_PREFIX)
        name = _SCALAR_TAGS.get(name, name)
        if name in {"str", "int", "float", "bool", "null", "timestamp"}:
            return _construct(name, text)
        opaque: dict[str, Plain] = {"__opaque__": _short(tag)}
        if text and name != "binary":
            opaque["value"] = clean(text)
        return opaque


def _plain_scalar(text: str) -> Plain:
    return _implicit(text) if len(text) <= _MAX_REMEMBERED else _resolved(text)


def _dotless_scalar(text: str) -> Plain:
    return _dotless(text) if len(text) <= _MAX_REMEMBERED else _resolved_dotless(text)


_MAX_REMEMBERED = 64
"""Characters: keys and short values come again in every document."""


def _resolved(text: str) -> Plain:
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return _construct(tag.removeprefix(_PREFIX), text)
    return clean(text)


def _resolved_dotless(text: str) -> Plain:
    return float(text) if _DOTLESS_FLOAT.fullmatch(text) else _resolved(text)


_implicit = lru_cache(maxsize=4_096)(_resolved)
_dotless = lru_cache(maxsize=4_096)(_resolved_dotless)


def _construct(kind: str, text: str) -> Plain:
    """Return a scalar of YAML 1.1; text that does not fit its kind stays text."""
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in _TRUE
        if kind == "int":
            return _integer(text.replace("_", ""))
        if kind == "float":
            return _float(text.replace("_", "").lower())
    except (ValueError, OverflowError):
        pass
    return clean(text)


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(text)
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith("0b"):
        return sign * int(digits, 0)
    if digits.startswith("0x"):
        return sign * int(digits, 0)
    if ":" in digits:
        return sign * int(_sexagesimal(digits))
    if digits.startswith("0") and digits != "0":
        return sign * int(digits, 8)
    return sign * int(digits)


def _float(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    digits = text.lstrip("+-")
    if digits in {".inf", ".nan"}:
        return sign * float(digits[1:])
    if ":" in digits:
        return sign * _sexagesimal(digits)
    return sign * float(digits)


def _sexagesimal(digits: str) -> float:
    """Return `190:20:30` as YAML 1.1 reads it: in base 60."""
    parts = digits.split(":")
    if len(parts) > 8:
        raise ValueError(digits)
    total = 0.0
    for part in parts:
        total = total * 60 + float(part)
    return total


def _is_merge(event: Any) -> bool:
    """Say of the scalar `<<` whether it merges: as a key that is not quoted, it does."""
    return event.tag == _PREFIX + "merge" or (event.tag is None and event.implicit[0])


def _is_plain_tag(tag: str | None) -> bool:
    return tag is None or tag == "!" or tag in _PLAIN_TAGS


def _is_scalar(value: Plain) -> bool:
    return not isinstance(value, (dict, list))


def _short(tag: str | None) -> str:
    return clean((tag or "").removeprefix(_PREFIX))
