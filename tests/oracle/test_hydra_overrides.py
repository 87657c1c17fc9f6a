"""Overrides mean what Hydra's own parser says that they mean, on texts from its grammar."""

from __future__ import annotations

import random
from typing import Any

import pytest

from catalog.sources.hydra_overrides import OverrideError, parse_override
from catalog.sources.hydra_values import Choice, Glob, Interval, Range, Unknown

parsing: Any = pytest.importorskip("hydra.core.override_parser.overrides_parser")
types: Any = pytest.importorskip("hydra.core.override_parser.types")

TEXTS = 4_000
ATOMS = (
    "1", "0", "-3", "+1", "1e-3", "0.001", "1_000", "1.", "-.5", ".5e3", "inf", "nan", "-inf", "01",
    "true", "FALSE", "null", "NULL", "abc", "a-b_c", "a b", "'a b'", '"x"', "'it\\'s'", "'a\\\\'",
    "a\\ b", "\\,", "${x.y}", "${oc.env:A,b}", "a${x}b", "/tmp/x-1", "a:b", "x*", "a.b", "1.2.3",
    "--a", "1e", "-", "a/b", "\\\\", "a\\=b", "", "' '", "'1'", "a=b", "(", "é", "1e5x", "'", "a\\",
    "'\\\\\\''", "'[a]'", "nan0", "1__0", "|", "a@b",
)  # fmt: skip
KEYS = (
    "a", "a.b", "a/b", "$x", "a.0.b", "", "db@x", "db@", "a/b@c.d", "a-b", "0", "1a", "a.b/c",
    "a b", "hydra.x", "_global_", "db@a:b",
)  # fmt: skip
DICT_KEYS = ("a", "b c", "1", "x-1", "\\,", "null")
FUNCTIONS = ("choice", "range", "interval", "glob", "tag", "shuffle", "int", "float", "str", "foo")


def text_of(rng: random.Random, depth: int = 0) -> str:
    """Return a value, now and then one that Hydra refuses."""
    kind = rng.random()
    comma = rng.choice((",", ", ", " , "))
    if depth > 2 or kind < 0.6:
        return rng.choice(ATOMS)
    inner = [text_of(rng, depth + 1) for _ in range(rng.randint(1, 3))]
    if kind < 0.7:
        return f"[{comma.join(inner)}{rng.choice((']', ' ]', ''))}"
    if kind < 0.8:
        return "{" + comma.join(f"{rng.choice(DICT_KEYS)}:{one}" for one in inner) + "}"
    name = rng.choice(FUNCTIONS)
    if name in {"range", "interval"} and rng.random() < 0.8:
        inner = [rng.choice(("1", "2", "0.5", "10", "-3")) for _ in inner]
    return f"{name}{rng.choice(('(', ' ( '))}{comma.join(inner)})"


def override_of(rng: random.Random) -> str:
    key = rng.choice(("", "", "+", "++", "~", "+++")) + rng.choice(KEYS)
    if rng.random() < 0.1:
        return key
    return f"{key}=" + ",".join(text_of(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))


def meaning(value: Any) -> tuple[Any, ...]:
    if isinstance(value, types.QuotedString):
        value = value.text
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return ("number", "nan" if value != value else value)
    if isinstance(value, str):
        return ("text", value)
    if isinstance(value, list):
        return ("list", tuple(map(meaning, value)))
    assert isinstance(value, dict)
    return ("dict", frozenset((meaning(key), meaning(one)) for key, one in value.items()))


def holds_sweep(value: Any) -> bool:
    """Tell whether a sweep is part of another value: Hydra's parser takes it, its sweeper fails."""
    inside = value.list if isinstance(value, types.ChoiceSweep) else value
    inside = inside.values() if isinstance(inside, dict) else inside
    return isinstance(inside, list | type({}.values())) and any(
        isinstance(one, types.Sweep | types.Glob) or holds_sweep(one) for one in inside
    )


def test_overrides_mean_what_hydra_reads() -> None:
    rng, parser = random.Random(31), parsing.OverridesParser.create()
    agreed = 0
    for _ in range(TEXTS):
        text = override_of(rng)
        try:
            theirs = parser.parse_override(text)
        except Exception:  # noqa: BLE001 - whatever Hydra says of what it refuses
            continue  # a run was never started by it
        value = theirs._value
        if holds_sweep(value) or "shuffle()" in text.replace(" ", ""):
            continue
        try:
            ours = parse_override(text)
        except OverrideError as error:
            if "part of another value" in str(error):
                continue
            # Of other things than numbers and names they fail when they are run.
            assert isinstance(value, types.RangeSweep | types.IntervalSweep | types.Glob), text
            continue
        prefix = {"CHANGE": "", "ADD": "+", "FORCE_ADD": "++", "DEL": "~"}[theirs.type.name]
        assert (ours.operation, ours.key, ours.package) == (
            prefix, theirs.key_or_group, theirs.package,
        )  # fmt: skip
        if isinstance(value, types.ChoiceSweep):
            assert isinstance(ours.value, Choice), text
            assert set(ours.value.values) == set(map(meaning, value.list)), text
        elif isinstance(value, types.RangeSweep):
            assert isinstance(ours.value, Range), text
            some = [one for _, one in zip(range(50), value.range(), strict=False)]
            assert all(ours.value.holds(meaning(one)) for one in some), text
        elif isinstance(value, types.IntervalSweep):
            assert ours.value == Interval(value.start, value.end), text
        elif isinstance(value, types.Glob):
            assert isinstance(ours.value, Glob), text
            names = [meaning(one)[1] for one in value.include]
            assert list(ours.value.include) == names, text
        else:
            assert isinstance(ours.value, Unknown) or ours.value == meaning(value), text
        agreed += 1
    assert agreed > TEXTS / 8
