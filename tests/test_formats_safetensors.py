"""Safetensors files, judged as the library judges them: the verdicts are those of 0.8.0."""

from __future__ import annotations

import json
import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.checkpoint_reading import checkpoint_of, codes, facts_of

if TYPE_CHECKING:
    from pathlib import Path

W = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def entry(shape: Any, offsets: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def write(path: Path, header: Any, size: int, length: int | None = None) -> Path:
    """Write a header, given as JSON or as text, and as many zeros behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(
        struct.pack("<Q", len(text) if length is None else length) + text + bytes(size)
    )
    return path


WHOLE = {
    "one tensor": ({"w": W}, 8, [(2,)]),
    "metadata": ({"__metadata__": {"format": "pt"}, "w": W}, 8, [(2,)]),
    "metadata null": (b'{"__metadata__":null,"w":' + json.dumps(W).encode() + b"}", 8, [(2,)]),
    "scalar": ({"w": entry([], [0, 4])}, 4, [()]),
    "zero-size tensors": (
        {"a": entry([0], [0, 0]), "w": W, "b": entry([0, 3], [8, 8])},
        8,
        [(0,), (2,), (0, 3)],
    ),
    "other order": ({"b": entry([1], [8, 12]), "a": W}, 12, [(1,), (2,)]),
    "white space": (b" \n" + json.dumps({"w": W}).encode() + b"  \n\t", 8, [(2,)]),
    "unknown field": ({"w": {**W, "x": [1, {"y": 2.5}]}}, 8, [(2,)]),
    "fields in a list": ({"w": ["F32", [2], [0, 8]]}, 8, [(2,)]),
    "the last of a name counts": (
        b'{"w":' + json.dumps(entry([2], [8, 16])).encode() + b',"w":' + json.dumps(W).encode()
        + b"}", 8, [(2,)],
    ),
    "four bits": ({"w": entry([8], [0, 4], "F4")}, 4, [(8,)]),
    "escapes": (b'{"\\ud83d\\ude00\\u0000\\/":' + json.dumps(W).encode() + b"}", 8, [(2,)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE)
def test_what_safetensors_opens_is_readable(tmp_path: Path, kind: str) -> None:
    header, size, shapes = WHOLE[kind]
    found = checkpoint_of(write(tmp_path / "a.safetensors", header, size))
    assert (found.status, found.reason) == ("readable", None)
    assert [tensor.shape for tensor in found.tensors] == shapes
    assert found.weights_doubt is not None


def raw(text: str) -> bytes:
    return ('{"w":' + text + "}").encode()


def spelled(shape: str, offsets: str) -> bytes:
    return raw(f'{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}')


JSON_ERROR = "InvalidHeaderDeserialization"
HUGE = entry([(1 << 64) - 1, 2, 0], [0, 0])
REFUSED = {
    "number in metadata": ({"__metadata__": {"epoch": 1}, "w": W}, 8, JSON_ERROR),
    "nested metadata": ({"__metadata__": {"a": {"b": "c"}}, "w": W}, 8, "__metadata__"),
    "metadata list": ({"__metadata__": ["a"], "w": W}, 8, "__metadata__"),
    "metadata twice": (b'{"__metadata__":{},"__metadata__":{}}', 0, "twice"),
    "a name twice, the last misplaced": (
        b'{"w":' + json.dumps(W).encode() + b',"w":' + json.dumps(entry([2], [8, 16])).encode()
        + b"}", 16, "InvalidOffset",
    ),
    "bytes behind": ({"w": W}, 9, "MetadataIncompleteBuffer"),
    "bytes without a tensor": ({}, 1, "MetadataIncompleteBuffer"),
    "gap": ({"a": W, "b": entry([2], [16, 24])}, 24, "InvalidOffset"),
    "gap at the start": ({"a": entry([2], [8, 16])}, 16, "InvalidOffset"),
    "overlap": ({"a": W, "b": entry([2], [4, 12])}, 12, "InvalidOffset"),
    "same bytes": ({"a": W, "b": W}, 8, "InvalidOffset"),
    "ends before it begins": ({"a": entry([2], [8, 0])}, 8, "InvalidOffset"),
    "shape against bytes": ({"a": entry([3], [0, 8])}, 8, "TensorInvalidInfo"),
    "half a byte": ({"a": entry([3], [0, 2], "F4")}, 2, "MisalignedSlice"),
    "unknown type": ({"a": entry([2], [0, 8], "Q")}, 8, "unknown type"),
    "small letters": ({"a": entry([2], [0, 8], "f32")}, 8, "unknown type"),
    "complex128": ({"a": entry([1], [0, 16], "C128")}, 16, "unknown type"),
    "overflow": ({"a": entry([1 << 62], [0, 8])}, 8, "ValidationOverflow"),
    "overflow before a zero": ({"a": HUGE}, 0, "ValidationOverflow"),
    "not UTF-8": (b'{"\xff":' + json.dumps(W).encode() + b"}", 8, "InvalidHeader"),
    "lone surrogate": (b'{"\\ud800":' + json.dumps(W).encode() + b"}", 8, "JSON forbids"),
    "control character": (b'{"a\t":' + json.dumps(W).encode() + b"}", 8, "JSON forbids"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps({"w": W}).encode(), 8, ""),
    "text behind": (json.dumps({"w": W}).encode() + b"x", 8, "text follows"),
    "NUL behind": (json.dumps({"w": W}).encode() + b"\0", 8, "text follows"),
    "no end": (json.dumps({"w": W}).encode()[:-1], 8, "not valid JSON"),
    "comma at the end": (json.dumps({"w": W}).encode()[:-1] + b",}", 8, "not valid JSON"),
    "a field twice": (raw('{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}'), 8, ""),
    "a field missing": (raw('{"dtype":"F32","data_offsets":[0,8]}'), 8, "lacks a field"),
    "float": (spelled("[2.0]", "[0,8]"), 8, "no sizes"),
    "negative": (spelled("[-2]", "[0,8]"), 8, "no sizes"),
    "negative zero": (spelled("[-0]", "[0,0]"), 0, "no sizes"),
    "beyond 64 bits": (spelled("[18446744073709551616,0]", "[0,0]"), 0, "no sizes"),
    "leading zero": (spelled("[02]", "[0,8]"), 8, "not valid JSON"),
    "boolean": (spelled("[true]", "[0,4]"), 4, "no sizes"),
    "three offsets": (spelled("[2]", "[0,8,9]"), 8, "no sizes"),
    "NaN": (raw('{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":NaN}'), 8, "not valid JSON"),
    "huge number": (raw('{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1e999}'), 8, "JSON"),
    "too deep": (spelled("[2]", '[0,8],"x":' + "[" * 126 + "]" * 126), 8, "too deep"),
    "null": (raw("null"), 0, "not described"),
    "four fields in a list": (raw('["F32",[2],[0,8],1]'), 8, "not described"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_safetensors_refuses_is_unreadable_with_its_reason(tmp_path: Path, kind: str) -> None:
    header, size, part = REFUSED[kind]
    told = facts_of(write(tmp_path / "a.safetensors", header, size))
    assert told.checkpoint is not None
    if kind == "byte order mark":
        assert told.checkpoint.status in ("foreign", "unreadable")
        return
    assert told.checkpoint.status == "unreadable"
    assert part in str(told.checkpoint.reason)
    assert codes(told) == ["unreadable-checkpoint"]


def test_a_header_over_the_limit_of_the_library_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"w": W}, 8, length=100_000_001)
    assert checkpoint_of(path).status == "unreadable"


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_cut_file_is_truncated(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "a.safetensors", {"w": entry([100], [0, 400])}, 400)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert checkpoint_of(path).status == "truncated"


@pytest.mark.parametrize("place", [7, 8])
def test_a_flipped_bit_at_the_start_is_damage_and_not_another_format(
    tmp_path: Path, place: int
) -> None:
    path = write(tmp_path / "a.safetensors", {"w": W}, 8)
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)
    found = checkpoint_of(path)
    assert (found.format, found.status) == ("safetensors", "unreadable")


def test_a_type_that_no_framework_reads_is_only_recognised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"w": entry([8], [0, 6], "F6_E2M3")}, 6)
    found = checkpoint_of(path)
    assert found.status == "recognised"
    assert "F6_E2M3" in str(found.reason)


@pytest.mark.parametrize("header", [{}, {"w": entry([0], [0, 0])}])
def test_a_file_without_weights_is_not_whole(tmp_path: Path, header: Any) -> None:
    assert checkpoint_of(write(tmp_path / "a.safetensors", header, 0)).status == "truncated"


def test_metadata_tells_epoch_and_step_and_keeps_its_texts(tmp_path: Path) -> None:
    metadata = {"ss_epoch": "3", "ss_steps": "400", "wandb_run_id": "a1b2c3d4", "format": "pt"}
    found = checkpoint_of(write(tmp_path / "a.safetensors", {"__metadata__": metadata, "w": W}, 8))
    assert (found.epoch, found.global_step) == (3, 400)
    assert found.hyper_parameters == {
        "ss_epoch": "3", "ss_steps": "400", "wandb_run_id": "a1b2c3d4",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["3.5", "-1", "three", "", "9" * 30])
def test_what_is_no_plain_integer_is_no_epoch(tmp_path: Path, text: str) -> None:
    header = {"__metadata__": {"epoch": text}, "w": W}
    assert checkpoint_of(write(tmp_path / "a.safetensors", header, 8)).epoch is None


def test_metadata_of_many_megabytes_is_left_out_by_name(tmp_path: Path) -> None:
    tags = json.dumps({f"tag {number}": number for number in range(400_000)})
    header = {"__metadata__": {"ss_tag_frequency": tags, "ss_epoch": "3"}, "w": W}
    told = facts_of(write(tmp_path / "a.safetensors", header, 8))
    assert told.checkpoint is not None
    assert (told.checkpoint.status, told.checkpoint.parameter_count) == ("readable", 2)
    assert told.checkpoint.hyper_parameters == {"ss_epoch": "3"}
    assert codes(told) == ["metadata-left-out"]
    assert "ss_tag_frequency" in told.problems[0].message


def many(path: Path, count: int, pad: int = 0) -> Path:
    header = {
        f"model.layers.{number // 1000}.experts.{number % 1000}.{'x' * pad}w": entry(
            [1], [number, number + 1], "I8"
        )
        for number in range(count)
    }
    return write(path, header, count)


def test_a_mixture_of_120_000_experts_is_ordinary(tmp_path: Path) -> None:
    path = many(tmp_path / "a.safetensors", 120_000, pad=60)
    tracemalloc.start()
    found = checkpoint_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.status, len(found.tensors), found.parameter_count) == (
        "readable",
        120_000,
        120_000,
    )
    assert peak < 100_000_000, peak


def test_more_tensors_than_are_listed_are_recognised(tmp_path: Path) -> None:
    found = checkpoint_of(many(tmp_path / "a.safetensors", 150_001))
    assert found.status == "recognised"
    assert "too large to list" in str(found.reason)
