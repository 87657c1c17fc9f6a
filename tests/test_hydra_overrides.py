"""Hydra's overrides and command lines are compared by what they mean, not by their text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.sources.hydra_commands import JobStart, compare
from catalog.sources.hydra_overrides import Override, OverrideError, format_override, parse_override
from catalog.sources.hydra_values import Choice, Glob, Interval, Range

NUMBERS = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, width=32)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
KEYS = st.from_regex(r"\A[a-z_][a-z0-9_]{0,6}\Z")
SCALARS = st.one_of(
    st.just(("null",)),
    st.booleans().map(lambda one: ("bool", one)),
    NUMBERS.map(lambda one: ("number", one)),
    TEXTS.map(lambda one: ("text", one)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda some: ("list", tuple(some))),
        st.dictionaries(KEYS.map(lambda one: ("text", f"k{one}")), inner, max_size=3).map(
            lambda some: ("dict", frozenset(some.items()))
        ),
    ),
    max_leaves=6,
)
SWEEPS = st.one_of(
    st.lists(VALUES, min_size=1, max_size=4).map(lambda some: Choice(tuple(some))),
    st.builds(Range, st.floats(-9, 9), st.floats(-9, 9), st.floats(0.25, 3)),
    st.builds(Interval, st.floats(-9, 9), st.floats(-9, 9)),
    st.builds(Glob, st.lists(KEYS, min_size=1, max_size=3).map(tuple), st.just(())),
)
OVERRIDES = st.builds(
    Override,
    st.sampled_from(["", "+", "++", "~"]),
    st.lists(KEYS, min_size=1, max_size=3).map(".".join)
    | st.lists(KEYS, min_size=2, max_size=3).map("/".join),
    st.none() | KEYS,
    VALUES | SWEEPS,
)


@given(OVERRIDES)
def test_what_is_written_is_read_again(override: Override) -> None:
    assert parse_override(format_override(override)) == override


@given(OVERRIDES, OVERRIDES)
def test_only_equal_meanings_are_written_alike(one: Override, other: Override) -> None:
    assert (format_override(one) == format_override(other)) <= (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lr=1e-3", "lr=0.001"),
        ("lr=1_000", "lr=1000"),
        ("flag=true", "flag=True"),
        ("x=null", "x=NULL"),
        ("x=", "x=''"),
        ("name='a b'", 'name="a b"'),
        ("name='a b'", "name=a b"),
        ("name=a\\,b", "name='a,b'"),
        ("name='it\\'s'", 'name="it\'s"'),
        ("layers=[1, 2]", "layers=[1,2]"),
        ("opt={a: 1, b: [x,y]}", "opt={b:[x,y],a:1}"),
        ("lr=int(3.0)", "lr=3"),
        ("name=str(3)", "name='3'"),
        ("x=nan", "x=NaN"),
        ("~db", "~db=null"),
        ("lr=1e-3,1e-2", "lr=choice(0.001,0.01)"),
        ("lr=tag(a,b,choice(1,2))", "lr=1,2"),
    ],
)
def test_texts_of_one_meaning_are_equal(one: str, other: str) -> None:
    assert parse_override(one) == parse_override(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x=1", "x='1'"),
        ("x=true", "x=1"),
        ("x=null", "x=''"),
        ("+x=1", "x=1"),
        ("db@a=x", "db@b=x"),
        ("x=[1,2]", "x=[2,1]"),
        ("x=[1,2]", "x=1,2"),
        ("db/x=a", "db.x=a"),
    ],
)
def test_texts_of_two_meanings_are_not(one: str, other: str) -> None:
    assert parse_override(one) != parse_override(other)


@pytest.mark.parametrize(
    "text",
    [
        "train", "--lr=3", "x=a=b", "x=[1", "x=(", "x=foo(1)", "a b=1", "x=<redacted>",
        "x=" + "[" * 99,
    ],
)  # fmt: skip
def test_what_hydra_refuses_is_no_override(text: str) -> None:
    with pytest.raises(OverrideError):
        parse_override(text)


@pytest.mark.parametrize(
    ("sweep", "inside", "outside"),
    [
        ("x=range(1,4)", ("1", "3", "3.0"), ("4", "0", "1.5", "a")),
        ("x=range(0,1,0.1)", ("0.1", "0.30000000000000004"), ("1", "0.35")),
        ("x=range(9,0,-3)", ("9", "3"), ("0", "1")),
        ("x=sort(range(9,0,-3))", ("9", "3"), ("0", "1")),
        ("x=interval(0,1)", ("0", "0.123"), ("1.5", "a")),
        ("x=glob([a*,b],exclude=ab)", ("a", "b"), ("ab", "c")),
        ("x=shuffle(1,2)", ("1", "2"), ("3",)),
        ("x=float(choice(1,2))", ("1.0",), ("3",)),
        ("x=[1,2],[3]", ("[1,2]",), ("1",)),
    ],
)
def test_a_sweep_holds_the_values_that_its_jobs_get(
    sweep: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    swept: Any = parse_override(sweep).value
    for text in (*inside, *outside):
        value: Any = parse_override(f"x={text}").value
        assert swept.holds(value) is (text in inside), text


def verdict(arguments: list[str], overrides: list[str], **job: Any) -> str:
    params = job.pop("params", None)
    if params is not None:
        job |= {"sweeper_params": json.dumps(params), "sweeper": "x.BasicSweeper"}
    return compare(json.dumps(arguments), JobStart(json.dumps(overrides), **job)).verdict


@pytest.mark.parametrize(
    ("arguments", "overrides", "job", "expected"),
    [
        (["lr=1e-3"], ["lr=1e-3"], {}, "equal"),
        (["lr=1e-3"], ["lr=0.01"], {}, "different"),
        (["lr=1", "lr=2"], ["lr=2"], {}, "equal"),
        (["lr=1", "seed=2"], ["lr=1"], {}, "different"),
        (["lr=1"], ["lr=1", "seed=2"], {}, "different"),
        (["+lr=1"], ["lr=1"], {}, "different"),
        (["~db"], ["~db=null"], {}, "equal"),
        (["db@a=x"], ["db@a=x"], {}, "equal"),
        # Options with values, and what is about Hydra itself.
        (["--config-name", "other", "lr=1"], ["lr=1"], {}, "equal"),
        (["-cn", "other", "lr=1"], ["lr=1"], {"config_name": "other"}, "equal"),
        (["-cn=other.yaml", "lr=1"], ["lr=1"], {"config_name": "other"}, "equal"),
        (["--config-name=x", "lr=1"], ["lr=1"], {"config_name": "other"}, "different"),
        (["--config-n", "x", "lr=1"], ["lr=1"], {"config_name": "other"}, "different"),
        (["-cp", "conf", "-cd", "more", "-p", "a.b", "lr=1"], ["lr=1"], {}, "equal"),
        (["-r", "--resolve", "--info", "config", "lr=1"], ["lr=1"], {}, "equal"),
        (["hydra/job_logging=disabled", "hydra.run.dir=a=b", "lr=1"], ["lr=1"], {}, "equal"),
        # A sweep.
        (["-m", "lr=1e-3,1e-2", "flag=true"], ["lr=0.001", "flag=True"], {}, "part"),
        (["--multirun", "lr=1,2"], ["lr=3"], {}, "different"),
        (["hydra.mode=MULTIRUN", "lr=1,2"], ["lr=1"], {}, "part"),
        (["-m", "lr=1,2", "seed=3"], ["lr=1"], {}, "different"),
        (["-m", "lr=1,2"], ["lr=1"], {"mode": "RUN"}, "different"),
        (["-cn", "swept"], ["lr=1"], {"mode": "MULTIRUN", "config_name": "swept"}, "part"),
        (["seed=1"], ["lr=1", "seed=1"], {"mode": "MULTIRUN", "params": {"lr": "1,2"}}, "part"),
        (["seed=1"], ["x=1", "seed=1"], {"mode": "MULTIRUN", "params": {"lr": "1,2"}}, "different"),
        (["db=glob(*)", "-m"], ["db=mysql"], {}, "part"),
        # What cannot be compared says nothing.
        (["lr=${x}"], ["lr=1"], {}, "unknown"),
        (["lr=${x}"], ["lr=${x}"], {}, "equal"),
        (["--local_rank", "3", "lr=1"], ["lr=2"], {}, "unknown"),
        (["/tmp/.submitit/1"], ["lr=2"], {}, "unknown"),
        (["key=<redacted>", "lr=1"], ["key=<redacted>", "lr=1"], {}, "equal"),
        (["key=<redacted>", "lr=1"], ["lr=1"], {}, "unknown"),
        (["key=<redacted>", "lr=1"], ["lr=2"], {}, "different"),
        (["-m", "x=extend_list(1)"], ["x=1"], {}, "unknown"),
        ([], [], {}, "unknown"),
    ],
)
def test_a_command_line_and_a_job_are_compared_as_hydra_reads_them(
    arguments: list[str], overrides: list[str], job: dict[str, Any], expected: str
) -> None:
    assert verdict(arguments, overrides, **job) == expected


@given(st.lists(OVERRIDES.filter(lambda one: not isinstance(one.value, Choice | Glob)), max_size=4))
def test_a_command_is_its_own_job_in_whatever_order(overrides: list[Override]) -> None:
    plain = [one for one in overrides if isinstance(one.value, tuple)]
    last = {one.element: format_override(one) for one in plain}
    texts = list(last.values())
    expected = "equal" if texts else "unknown"
    assert verdict(texts, texts[::-1]) == expected
