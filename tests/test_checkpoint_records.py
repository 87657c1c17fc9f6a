"""Tensors read a row at a time are what the opcodes one by one make of them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources.checkpoint import models, skeleton
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.inert import Call, Found, Global, Key, Storage, TensorStub
from catalog.sources.checkpoint.single import read_file
from catalog.sources.checkpoint.skeleton import SkeletonError, load
from tests.support.checkpoint_reading import checkpoint_of
from tests.support.torch_files import (
    FakeTensor,
    lightning_checkpoint,
    pickled,
    write_torch_zip,
    write_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1024 * 1024

DTYPES = st.sampled_from(["float32", "float16", "bfloat16", "int64", "bool"])
SHAPES = st.lists(st.sampled_from([0, 1, 2, 255, 256, 70_000]), max_size=6).map(tuple)
NAMES = st.text("abqrRtX.(_/é", min_size=1, max_size=12)
TENSORS = st.dictionaries(NAMES, st.builds(FakeTensor, DTYPES, SHAPES), max_size=40)


def shown(value: Any, depth: int = 0) -> Any:
    """Return stand-ins in a form that can be compared."""
    if depth > 12:
        return "deep"
    inner = depth + 1
    if isinstance(value, dict):
        return {repr(shown(key, inner)): shown(part, inner) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [type(value).__name__, *(shown(part, inner) for part in value[:50])]
    if isinstance(value, TensorStub):
        numbers = (value.dtype, value.offset, value.shape, value.stride)
        return ["tensor", shown(value.storage, inner), *(shown(one, inner) for one in numbers)]
    if isinstance(value, Storage):
        return ["storage", value.key, value.dtype, value.length]
    if isinstance(value, Global):
        return ["global", value.name]
    if isinstance(value, Key):
        return ["key", shown(value.value, inner)]
    if isinstance(value, Call):
        parts = (value.function, value.args, value.state, value.pairs, value.items)
        return ["call", *(shown(one, inner) for one in parts)]
    return repr(value)


def one_by_one(data: bytes) -> Any:
    found = Found()
    root, end = skeleton._run(data, 0, skeleton.MAX_OPCODES, found, by_records=False)
    return shown(root), end, sorted(found.globals), sorted(found.storages), sorted(found.attacks)


def by_rows(data: bytes) -> Any:
    read = load(data)
    found = read.found
    return (
        shown(read.root), read.end,
        sorted(found.globals), sorted(found.storages), sorted(found.attacks),
    )  # fmt: skip


def test_tensors_that_were_met_before_are_not_made_again() -> None:
    """Checkpoints of one training differ in a few values, and are read by what was made before."""
    state = {f"layer.{n}.weight": FakeTensor(shape=(n + 1, 3)) for n in range(300)}
    data, _ = pickled(lightning_checkpoint(state_dict=state, epoch=1))
    later, _ = pickled(lightning_checkpoint(state_dict=state, epoch=2))
    load(data)  # what is kept of it are its rows, behind which the next one has all
    first, second = load(data).root, load(later).root
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert len(first["state_dict"]) == len(state)
    assert all(second["state_dict"][name] is stub for name, stub in first["state_dict"].items())
    assert models.model_of(first).model is models.model_of(second).model
    assert by_rows(data) == one_by_one(data)
    assert by_rows(later) == one_by_one(later)


@given(TENSORS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_rows_make_what_opcodes_make(tensors: dict[str, FakeTensor], legacy: bool) -> None:
    tied = {f"tied.{name}": tensor for name, tensor in list(tensors.items())[:3]}
    data, _ = pickled({"epoch": 1, "state_dict": {**tensors, **tied}, "after": [1]}, legacy=legacy)
    assert by_rows(data) == one_by_one(data)


SAMPLE, _ = pickled(
    lightning_checkpoint(
        state_dict={f"layer.{n}.weight": FakeTensor(shape=(n + 1, 3)) for n in range(45)}
    )
)


@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255), st.sampled_from([0, 1]))
@settings(max_examples=400, deadline=None)
def test_damage_is_met_as_by_opcodes(place: int, byte: int, cut: int) -> None:
    assert_met_alike(SAMPLE[:place] + bytes([byte]) + SAMPLE[place + cut :])


DAMAGE = (skeleton._CutError, skeleton._LimitError, ValueError, LookupError, TypeError)


def assert_met_alike(data: bytes) -> None:
    """Whatever is wrong with a pickle, it is met as by the opcodes one by one."""
    try:
        expected = one_by_one(data)
    except DAMAGE:
        with pytest.raises(SkeletonError):
            load(data)
    else:
        assert by_rows(data) == expected


def row(base: int, refs: bytes = b"", *, name: bytes = b"w") -> bytes:
    """Return one tensor with its name as torch writes it, its memo entries from `base` on."""
    puts = iter(b"r" + struct.pack("<I", base + n) for n in range(8))
    text = b"X" + struct.pack("<I", len(name)) + name
    return b"".join(
        [text, next(puts), b"h\x02((h\x03h\x04X\x01\0\0\x000", next(puts), b"h\x05K\x06t",
         next(puts), b"QK\0K\x02K\x03\x86", next(puts), b"K\x03K\x01\x86", next(puts),
         b"\x89h\x06)R", next(puts), b"t", next(puts), b"R", next(puts), refs]
    )  # fmt: skip


HEAD = (
    b"\x80\x02}q\x00}q\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02X\x07\0\0\0storageq\x03"
    b"ctorch\nFloatStorage\nq\x04X\x03\0\0\0cpuq\x05ccollections\nOrderedDict\nq\x0600000"
) + b"".join(b"Nq" + bytes([n]) + b"0" for n in range(7, 256)) + b"Nr\0\x01\0\x000"  # fmt: skip
BASE = 257


@pytest.mark.parametrize("part", range(8))
def test_a_reference_to_a_part_of_a_tensor_is_resolved(part: int) -> None:
    reference = b"X\x01\0\0\0pj" + struct.pack("<I", BASE + part)
    data = HEAD + b"(" + row(BASE) + reference + b"u."
    assert by_rows(data) == one_by_one(data)


@pytest.mark.parametrize("index", [0, 3, 255, 256, 258, 263, 100_000])
def test_a_memo_that_is_out_of_order_is_read_as_it_stands(index: int) -> None:
    swapped = row(BASE).replace(
        b"r" + struct.pack("<I", BASE + 4), b"r" + struct.pack("<I", index), 1
    )
    data = HEAD + b"(" + swapped + b"X\x01\0\0\0ph\x03X\x01\0\0\0sh\x03u."
    assert by_rows(data) == one_by_one(data)


def test_the_same_rows_behind_other_entries_are_other_tensors() -> None:
    """What was met before is taken only where all that its rows refer to says the same."""
    rows = b"".join(row(BASE + 8 * n, name=b"w%03d" % n) for n in range(20))
    read = []
    for kind in (b"FloatStorage", b"HalfStorage", b"FloatStorage", b"NoStorage"):
        data = HEAD.replace(b"FloatStorage", kind) + b"(" + rows + b"u."
        assert by_rows(data) == one_by_one(data)
        read.append({stub.dtype for stub in load(data).root.values()})
    assert read == [{"float32"}, {"float16"}, {"float32"}, {None}]


def test_a_call_hidden_between_rows_is_found() -> None:
    evil = b"X\x01\0\0\0ecos\nsystem\nX\x02\0\0\0id\x85R"
    data = HEAD + b"(" + row(BASE) + evil + row(BASE + 8, name=b"v") + b"u."
    assert "os.system" in load(data).found.globals


def test_a_large_model_with_the_state_of_adam_is_read(tmp_path: Path) -> None:
    # 11,000 parameters, each with two moments: beyond what opcodes one by one would allow.
    rows = [row(BASE + 8 * n, name=b"%05d" % n) for n in range(33_000)]
    data = HEAD + b"(X\x0a\0\0\0state_dict}(" + b"".join(rows) + b"uu."
    found = checkpoint_of(write_zip(tmp_path / "large.ckpt", [("archive/data.pkl", data)]))
    assert len(found.tensors) == 33_000
    assert found.reason == "1 of its 1 storages are missing"


def test_a_state_dict_costs_fewer_steps_than_it_has_opcodes() -> None:
    tensors = {f"layer.{n}.weight": FakeTensor(shape=(3, n + 1)) for n in range(500)}
    data, _ = pickled(tensors)
    assert len(load(data, max_opcodes=2_000).root) == 500
    with pytest.raises(SkeletonError):
        load(data, max_opcodes=50)


def test_a_file_is_read_by_a_handful_of_reads(tmp_path: Path) -> None:
    tensors = {f"layer.{n}.weight": FakeTensor(shape=(256, 256)) for n in range(250)}
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint(state_dict=tensors))
    with open_inside(tmp_path, path) as source:
        checkpoint = read_file(source, "a.ckpt").checkpoint
        assert checkpoint is not None
        assert (len(checkpoint.tensors), checkpoint.best_score) == (250, 0.5)
        assert source.reads <= 6
        assert source.bytes_read == checkpoint.bytes_read < path.stat().st_size / 1_000


@pytest.mark.parametrize("size", [1, 64, 1_024])
def test_bytes_read_do_not_grow_with_the_tensors(tmp_path: Path, size: int) -> None:
    tensors = {f"layer.{n}.weight": FakeTensor(shape=(size, 64)) for n in range(20)}
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint(state_dict=tensors))
    assert checkpoint_of(path).bytes_read < 16_000
