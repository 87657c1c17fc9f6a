from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources.documents import parse_json, read_json, read_yaml
from catalog.sources.plain import MAX_DEPTH, DepthError, DocumentError, to_plain
from catalog.sources.yaml_text import MAX_NODES, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

quick = settings(max_examples=80, deadline=None)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
documents = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=12,
    ),
    max_size=4,
)


def same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def write(folder: Path, content: bytes | str) -> Path:
    path = folder / "document"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@quick
@given(documents)
def test_json_comes_back_as_it_was_but_for_what_no_database_stores(document: Any) -> None:
    text = json.dumps(document).replace("\\u0000", "\\ufffd")
    assert same(parse_json(text.encode()), json.loads(text))


@quick
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_a_document_error(data: bytes) -> None:
    for parse in (parse_json, parse_yaml):
        try:
            value = parse(data)
        except DocumentError:
            continue
        json.dumps(value, ensure_ascii=False).encode()  # storable: no lone surrogates


yaml_tokens = st.sampled_from(
    ["a", ": ", "- ", "\n", "  ", "&x ", "*x", "<<: ", "[", "]", "{", "}", ", ", "!t ", "!!int ",
     "1e-08", "0x1", "1:30", "'", '"', "? ", "|", ">", "#", "---", "~", ".nan", "!!python/name:x "]
)  # fmt: skip


@quick
@given(st.lists(yaml_tokens, max_size=25).map("".join))
def test_any_yaml_like_text_is_plain_data_or_refused(text: str) -> None:
    try:
        ours = parse_yaml(text.encode())
    except DocumentError:
        return
    json.dumps(ours)


@quick
@given(documents)
def test_what_pyyaml_writes_is_read_as_pyyaml_reads_it(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document, allow_unicode=True)
    expected = json.loads(json.dumps(yaml.safe_load(text)).replace("\\u0000", "\\ufffd"))
    assert same(parse_yaml(text.encode()), expected)


@pytest.mark.parametrize(
    "text",
    ["0x1F", "0b101", "017", "-12", "+3", "1_000", "1.5", "1e3", "1.0e-08", "-.inf", ".5",
     "190:20:30", "190:20:30.15", "yes", "No", "on", "~", "null", "", "'1'", '"yes"',
     "1.2.3", "0o17", "08", "a"],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_1(text: str) -> None:
    assert parse_yaml(f"key: {text}".encode()) == yaml.safe_load(f"key: {text}")


def test_nan_infinity_and_big_integers() -> None:
    value = parse_json(b'{"a": NaN, "b": -Infinity, "c": ' + b"9" * 5000 + b"}")
    assert isinstance(value, dict)
    assert math.isnan(value["a"])  # type: ignore[arg-type]
    assert value["b"] == -math.inf
    assert value["c"] == math.inf


def test_json_over_a_longer_document_keeps_its_nul_bytes_out(tmp_path: Path) -> None:
    assert read_json(write(tmp_path, b'{"loss": 1}\n\0\0\0')).mapping == {"loss": 1}


@pytest.mark.parametrize("text", ["9" * 5000, "0x" + "f" * 9000, "1:" + "9" * 500, "0" * 99])
def test_yaml_integers_that_no_column_holds_stay_text(text: str) -> None:
    assert parse_yaml(f"a: {text}".encode()) == {"a": text}


def test_lone_surrogates_and_nul_become_replacement_characters() -> None:
    assert parse_json(rb'{"a\u0000": "\ud800x"}') == {"a\ufffd": "\ufffdx"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"\0\0", "empty-file"),
        (b"[1, 2]", "not-a-mapping"),
        (b'{"a": [1, 2}', "unreadable-json"),
        (b'{"a": ' + b"[" * 100_000, "too-deep"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "too-deep"),
        (b'{"a": "' + b"x" * 2000 + b'"}', "too-large"),
    ],
)
def test_what_is_wrong_with_json_is_one_problem(tmp_path: Path, content: bytes, code: str) -> None:
    limit = 1000 if code == "too-large" else 10**6
    document = read_json(write(tmp_path, content), limit)
    assert document.mapping is None
    assert [problem.code for problem in document.problems] == [code]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty-file"),
        ("# only a comment\n", "empty-file"),
        ("- 1\n", "not-a-mapping"),
        ("a: [1\n", "unreadable-yaml"),
        ("a: \x07\n", "unreadable-yaml"),
        ("a: 1\n---\nb: 2\n", "unreadable-yaml"),  # as `yaml.safe_load` refuses it
        (b"a: \xe9\n", "unreadable-yaml"),
        ("a: " + "[" * 5000, "too-deep"),
    ],
)
def test_what_is_wrong_with_yaml_is_one_problem(
    tmp_path: Path, content: bytes | str, code: str
) -> None:
    document = read_yaml(write(tmp_path, content))
    assert document.mapping is None
    assert [problem.code for problem in document.problems] == [code]


def bomb(line: str) -> bytes:
    lines = ["l0: &l0 {k0: v}"]
    lines += [line.format(i=i, j=i - 1) for i in range(1, 40)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "line",
    [
        "l{i}: &l{i} [*l{j}, *l{j}, *l{j}]",
        "l{i}: &l{i} {{<<: [*l{j}, *l{j}, *l{j}], k{i}: v}}",
    ],
)
def test_aliases_and_merges_cannot_unfold_without_bound(line: str) -> None:
    with pytest.raises(DocumentError, match=f"{MAX_NODES:,}"):
        parse_yaml(bomb(line))


def test_aliases_cannot_hide_depth() -> None:
    nest = "[" * 40
    text = f"a: &a {nest}{nest.replace('[', ']')}\nb: {nest}*a{nest.replace('[', ']')}\n"
    with pytest.raises(DocumentError, match=str(MAX_DEPTH)):
        parse_yaml(text.encode())


def test_a_node_that_contains_itself_is_opaque() -> None:
    assert parse_yaml(b"a: &a [1, *a]") == {"a": [1, {"__opaque__": "recursive alias"}]}


def test_aliases_and_merge_keys_read_as_usual() -> None:
    text = b"base: &b {lr: 1, n: 2}\nuse:\n  <<: *b\n  lr: 3\nagain: *b\n"
    assert parse_yaml(text) == yaml.safe_load(text)


def test_tags_are_opaque_and_nothing_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"""
lr: 0.1
run: !!python/object/apply:os.system ["touch {marker}"]
model: !!python/object:net.Model {{width: 8, layers: [1, 2]}}
act: !!python/name:torch.nn.ReLU ''
size: !!python/tuple [3, 224]
ns: !!python/object:argparse.Namespace {{seed: 1}}
"""
    assert parse_yaml(text.encode()) == {
        "lr": 0.1,
        "run": {"__opaque__": "python/object/apply:os.system", "args": [f"touch {marker}"]},
        "model": {"__opaque__": "python/object:net.Model", "width": 8},
        "act": {"__opaque__": "python/name:torch.nn.ReLU"},
        "size": [3, 224],
        "ns": {"seed": 1},
    }
    assert not marker.exists()


def test_dates_stay_text() -> None:
    assert parse_yaml(b"day: 2025-10-18") == {"day": "2025-10-18"}


def test_dotless_floats_are_floats_only_when_asked_for_and_never_when_quoted() -> None:
    text = b"a: 1e-08\nb: '1e-08'\nc: -2E+5\nd: 1e5x\n"
    assert parse_yaml(text) == {"a": "1e-08", "b": "1e-08", "c": "-2E+5", "d": "1e5x"}
    assert parse_yaml(text, dotless_floats=True) == {
        "a": 1e-8, "b": "1e-08", "c": -2e5, "d": "1e5x",
    }  # fmt: skip


@given(
    st.recursive(
        st.text('aé\0\ud800\\"/', max_size=6) | st.just("\\u0000"),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text("a\0é", max_size=2), inner)
        ),
        max_leaves=6,
    ),
    st.booleans(),
    st.sampled_from([0, 1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1]),
)
@quick
def test_json_is_cleaned_whether_or_not_it_looks_plain(
    value: Any, escaped: bool, more: int
) -> None:
    for _ in range(more):
        value = [value]
    data = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    try:
        expected = to_plain(json.loads(data.decode("utf-8", "replace")))
    except DepthError:
        with pytest.raises(DepthError):
            parse_json(data)
    else:
        assert parse_json(data) == expected


def test_a_second_byte_order_mark_is_named() -> None:
    with pytest.raises(DocumentError, match="BOM"):
        parse_json(b"\xef\xbb\xbf\xef\xbb\xbf{}")


def test_a_fifo_is_an_error_and_no_wait(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_json(tmp_path / "pipe")
