"""YAML that is read line by line says what a YAML parser makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources import yaml_text
from catalog.sources.plain import DocumentError
from catalog.sources.yaml_lines import MAX_DEPTH, MAX_LINES, read_lines
from catalog.sources.yaml_text import parse_yaml

KEYS = st.sampled_from(
    ["a", "b", "c", "key_1", "a/b", "x.y", "yes", "1", "1e5", "null", "~x", "'q k'", '"1"', "''",
     "-k", "<<", "y", "a b", "k#", "_", "é", "1:2", "%x"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["1", "text", "two words", "a: b", "a #b", "a#b", "-1", "- x", "-x", "'q'", "'a''b'", '"d"',
     '"\\n"', "{}", "[]", "[1]", "{a: 1}", "null", "~", "true", "1e-08", "010", "1:30", "&a x",
     "*a", "!!str 1", "|", ">", "%x", "@x", "?x", "? x", "???", ":x", "x:", "x :y", "<<", "=", "]",
     "'open", "'", "\\", "a'b", "---", "...", "a\tb", "é", " lead", "trail ", "a  b", "${a.b}",
     ".5", "#c", "-", "?", "''", "'a: b'", '"#"', "-?", "-.", "a:b", "::"]
)  # fmt: skip
INDENTS = st.sampled_from(["", "", "", "  ", "  ", "    ", " "])
DASHES = st.sampled_from(["", "", "", "- ", "- ", "- - ", "-", "-  "])
LINES = st.one_of(
    st.builds("{}{}{}: {}".format, INDENTS, DASHES, KEYS, VALUES),
    st.builds("{}{}{}:".format, INDENTS, DASHES, KEYS),
    st.builds("{}{}{}".format, INDENTS, DASHES, VALUES),
    st.sampled_from(["", "---", "...", "# c", "%YAML 1.1", " ", "\r"]),
    st.text("ab:- #'\"{}[]?,&*!|>\t~", max_size=8),
)
SIMPLE = st.builds(
    "{}{}{}".format,
    INDENTS,
    st.sampled_from(["", "", "- ", "- - "]),
    st.sampled_from(["a:", "b: 1", "c: x y", "1: {}", "'k': ~", "d:", "x", "'y'", "[]", "-1"]),
)


def same(text: str, *, dotless_floats: bool = False) -> bool:
    """Say whether lines were read; if so, they say what the parser makes of them."""
    scalar = yaml_text._dotless_scalar if dotless_floats else yaml_text._plain_scalar
    found = read_lines(text, scalar)
    if found is None:
        return False
    assert repr(found) == repr(yaml_text._by_events(text, dotless_floats))
    return True


@given(
    st.lists(LINES, min_size=1, max_size=4) | st.lists(SIMPLE, min_size=1, max_size=9),
    st.sampled_from(["", "\n"]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_read_by_lines_is_what_the_parser_reads(
    lines: list[str], end: str, dotless_floats: bool
) -> None:
    text = "\n".join(lines) + end
    try:
        expected = repr(yaml_text._by_events(text, dotless_floats))
    except DocumentError:
        assert read_lines(text, yaml_text._plain_scalar) is None
    else:
        if same(text, dotless_floats=dotless_floats):
            assert repr(parse_yaml(text.encode(), dotless_floats=dotless_floats)) == expected


WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
SCALARS = (
    WORDS | st.integers() | st.booleans() | st.none() | st.sampled_from(["1", "a b", "", 1e-8])
)
DOCUMENTS = st.dictionaries(
    WORDS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=12,
    ),
    min_size=1,
)


@given(DOCUMENTS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_a_program_writes_is_read_by_lines(document: dict[str, Any], by_value: bool) -> None:
    if by_value:
        document = {key: {"desc": None, "value": value} for key, value in document.items()}
    text = yaml.safe_dump(document)
    if not same(text):
        assert "? " in text or "''" in text or "\n\n" in text or len(text) > 80
    assert parse_yaml(text.encode()) == yaml.safe_load(text)


def test_a_config_of_hydra_and_one_of_w_and_b_need_no_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(yaml_text, "_by_events")
    hydra = (
        b"trainer:\n  max_epochs: 3\n  callbacks:\n  - _target_: a.B\n    monitor: val/loss\n"
        b"model:\n  name: ${arch}\n  widths:\n  - 1\n  - 2\n  dropout: 0.1\n  extra: {}\n"
    )
    assert parse_yaml(hydra) == {
        "trainer": {
            "max_epochs": 3,
            "callbacks": [{"_target_": "a.B", "monitor": "val/loss"}],
        },
        "model": {"name": "${arch}", "widths": [1, 2], "dropout": 0.1, "extra": {}},
    }
    wandb = (
        b'_wandb:\n    value:\n        t:\n            "1":\n                - 1\n'
        b"lr:\n    value: 1e-05\n"
    )
    assert parse_yaml(wandb, dotless_floats=True) == {
        "_wandb": {"value": {"t": {"1": [1]}}},
        "lr": {"value": 1e-05},
    }


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(" " * depth + "a:" for depth in range(MAX_DEPTH + 1)),
        "- " * (MAX_DEPTH + 1) + "a",
        "a: 1\n" * (MAX_LINES + 1),
        "",
        "a",
        "a: 1\n  b: 2",
        "a: |\n  b: 2",
        "a: 1\n\nb: 2",
        "a:\n  - 1\n - 2",
    ],
)
def test_what_is_too_deep_too_long_or_doubtful_is_left_to_the_parser(text: str) -> None:
    assert read_lines(text, yaml_text._plain_scalar) is None
