"""Files made to hurt: nothing of them runs, and each ends in a verdict or a problem."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.sources.checkpoint.plain import MAX_VALUES, Unwrapper
from catalog.sources.checkpoint.safety import judge
from catalog.sources.checkpoint.skeleton import SkeletonError, load
from tests.support.checkpoint_reading import checkpoint_of, codes, facts_of
from tests.support.torch_files import (
    FakeGlobal,
    FakeTensor,
    lightning_checkpoint,
    pickled,
    write_torch_legacy,
    write_torch_zip,
    write_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Facts

MEGABYTE = 1024 * 1024


def archive(tmp_path: Path, pickle_bytes: bytes) -> Path:
    return write_zip(tmp_path / "evil.ckpt", [("archive/data.pkl", pickle_bytes)])


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def never_called(tmp_path: Path) -> str:
    return f"touch {tmp_path / 'harm'}"


CALLS = {
    "GLOBAL, REDUCE": b"cos\nsystem\n%b\x85R.",
    "STACK_GLOBAL, REDUCE": text("os") + text("system") + b"\x93%b\x85R.",
    "INST": b"(%bios\nsystem\n.",
    "OBJ": b"(cos\nsystem\n%bo.",
    "NEWOBJ": b"cos\nsystem\n%b\x85\x81.",
    "NEWOBJ_EX": b"cos\nsystem\n%b\x85}\x92.",
    "BUILD": b"cos\nsystem\n)R}" + text("__setstate__") + b"cos\nsystem\nsb%b0.",
    "eval": b"c__builtin__\neval\n%b\x85R.",
    "through another module": b"ctorch.serialization\nos.system\n%b\x85R.",
    "in a state dict": b"}" + text("state_dict") + b"}" + text("w") + b"cos\nsystem\n%b\x85Rss.",
}


@pytest.mark.parametrize("code", CALLS.values(), ids=CALLS)
def test_nothing_that_a_pickle_calls_is_called(tmp_path: Path, code: bytes) -> None:
    command = text(never_called(tmp_path))
    found = checkpoint_of(archive(tmp_path, code % command))
    assert found.safety == "dangerous"
    assert any("system" in name or "eval" in name for name in found.globals)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["posix\nsystem", "subprocess\nPopen", "torch.hub\nload"])
def test_other_ways_to_run_code_are_dangerous_too(tmp_path: Path, name: str) -> None:
    found = checkpoint_of(archive(tmp_path, b"c" + name.encode() + b"\n)R."))
    assert found.safety == "dangerous"


def test_getattr_on_the_result_of_getattr_is_an_attack(tmp_path: Path) -> None:
    inner = b"cbuiltins\ngetattr\nctorch.serialization\nSource\n" + text("load") + b"\x86R"
    code = b"cbuiltins\ngetattr\n" + inner + text("system") + b"\x86R."
    assert checkpoint_of(archive(tmp_path, code)).safety == "dangerous"


def test_enum_members_of_python_3_11_are_no_attack(tmp_path: Path) -> None:
    code = b"cbuiltins\ngetattr\ncproject.modes\nMode\n" + text("FAST") + b"\x86R."
    assert checkpoint_of(archive(tmp_path, code)).safety == "unknown"


@pytest.mark.parametrize("code", [b"\x82\x05.", b"\x83\x05\x01.", b"\x84\x05\x01\0\0."])
def test_extension_codes_are_unknown(tmp_path: Path, code: bytes) -> None:
    assert checkpoint_of(archive(tmp_path, code)).safety == "unknown"


@given(st.text(min_size=1).filter(lambda name: "\n" not in name))
@settings(max_examples=100, deadline=None)
def test_a_name_that_is_not_on_the_list_is_never_plain(name: str) -> None:
    assert judge([f"some.module.{name}"])[0] != "plain"


def test_a_damaged_pickle_is_never_plain(tmp_path: Path) -> None:
    facts = facts_of(archive(tmp_path, b"ccollections\nOrderedDict\n)R\xff"))
    assert facts.checkpoint is not None
    assert (facts.checkpoint.status, facts.checkpoint.safety) == ("unreadable", "unknown")
    assert codes(facts) == ["pickle-damaged"]


def test_what_was_seen_before_the_damage_is_judged(tmp_path: Path) -> None:
    assert checkpoint_of(archive(tmp_path, b"cos\nsystem\n\xff")).safety == "dangerous"


def nested(levels: int) -> bytes:
    return b"]" * levels + b"a" * (levels - 1) + b"."


BOMBS = {
    "LONG4 of two gigabytes": b"\x8b\xff\xff\xff\x7f.",
    "BINUNICODE of four gigabytes": b"X\xff\xff\xff\xff.",
    "BINUNICODE8": b"\x8d" + b"\xff" * 8 + b".",
    "BINBYTES8": b"\x8e" + b"\xff" * 7 + b"\x7f.",
    "BYTEARRAY8": b"\x96" + b"\xff" * 4 + b"\0" * 4 + b".",
    "FRAME": b"\x80\x04\x95" + b"\xff" * 8 + b"}.",
    "LONG_BINPUT far away": b"}r\xff\xff\xff\xff.",
    "PUT far away": b"}p99999999999\n.",
    "PUT of many digits": b"}p" + b"9" * 5000 + b"\n.",
    "LONG of many digits": b"L" + b"9" * 5000 + b"L\n.",
    "endless line": b"c" + b"a" * 200_000,
    "many DUP": b"]" + b"2" * 200_000 + b".",
    "doubled tuples": b")" + b"2\x86" * 60 + b".",
    "doubled lists": b"]" + b"q\0" + b"]h\0h\0\x86aq\0" * 60 + b".",
    "doubled tuple as a key": b"})" + b"2\x86" * 60 + b"Ns.",
    "deep tuple as a key": b"})" + b"\x85" * 50_000 + b"Ns.",
    "deep nest": nested(100_000),
    "deep calls": b"ca\nb\nq\0" + b"h\0" * 50_000 + b")" + b"\x85R" * 50_000 + b".",
    "list in itself": b"]q\0h\0a.",
    "dict in itself": b"}q\0" + text("a") + b"h\0s.",
    "state in itself": b"ca\nb\n)Rq\0}" + text("a") + b"h\0sb.",
    "same items many times": (
        b"ccollections\nOrderedDict\nq\1](" + b"N" * 1000 + b"e\x85q\2" + b"h\1h\2R" * 20_000 + b"."
    ),
    "underflow": b"0000.",
    "marks alone": b"(" * 1000 + b".",
    "no end": b"}" * 1000,
    "nothing": b"",
    "protocol 9": b"\x80\x09}.",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("place", ["%b", "}X\x10\0\0\0hyper_parameters%b", "}X\x05\0\0\0model%b"])
def test_bombs_stay_small(tmp_path: Path, code: bytes, place: str) -> None:
    if place != "%b":
        code = place.encode().replace(b"%b", code.removesuffix(b".") + b"s.")
    path = archive(tmp_path, code)
    tracemalloc.start()
    try:
        facts = facts_of(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert facts.checkpoint is not None
    assert facts.checkpoint.status in ("readable", "unreadable")
    assert (facts.checkpoint.status == "readable") or facts.problems
    assert peak < 60 * MEGABYTE


def test_a_nest_of_200_000_levels_is_ordinary_data() -> None:
    assert load(nested(200_000)).end == 400_000


def test_a_pickle_of_too_many_instructions_is_given_up(tmp_path: Path) -> None:
    facts = facts_of(archive(tmp_path, b"N0" * 600_000 + b"N."))
    assert facts.checkpoint is not None
    assert facts.checkpoint.status == "recognised"
    assert codes(facts) == ["pickle-limit"]


def test_shared_parts_are_not_multiplied(tmp_path: Path) -> None:
    parameters: Any = {"leaf": 1}
    for _ in range(13):
        parameters = {str(n): parameters for n in range(10)}
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint(hyper_parameters=parameters))
    facts = facts_of(path)
    assert codes(facts) == ["hyper-parameters-cut"]
    assert facts.checkpoint is not None
    assert repr(facts.checkpoint.hyper_parameters).count("leaf") < MAX_VALUES
    assert facts.checkpoint.epoch == 3


def test_impossible_shapes_are_left_out(tmp_path: Path) -> None:
    data, _ = pickled({"state_dict": {"w": FakeTensor(shape=(77, 1))}})
    for wrong in (struct.pack("<i", -5), struct.pack("<i", 2**31 - 1)):
        code = data.replace(b"KMK\x01\x86", b"J" + wrong + b"K\x01\x86")
        assert code != data
        found = checkpoint_of(archive(tmp_path, code))
        assert (found.status, found.reason) == ("unreadable", "1 of its 1 storages are missing")
        assert found.parameter_count in (None, 2**31 - 1)


def test_a_number_of_parameters_that_no_machine_holds_is_none(tmp_path: Path) -> None:
    huge = b"J\xff\xff\xff\x7f"
    shape = b"(" + huge * 60 + b"t"
    data, _ = pickled({"state_dict": {"w": FakeTensor(shape=(77, 1))}})
    found = checkpoint_of(archive(tmp_path, data.replace(b"KMK\x01\x86", shape)))
    assert len(found.tensors) == 1
    assert found.parameter_count is None


def test_two_data_pkl_are_both_judged(tmp_path: Path) -> None:
    for names in (("a/data.pkl", "a/data.pkl"), ("a/data.pkl", "b/data.pkl")):
        path = write_zip(tmp_path / "a.pt", [(names[0], b"}."), (names[1], b"cos\nsystem\n.")])
        facts = facts_of(path)
        assert facts.checkpoint is not None
        assert facts.checkpoint.safety == "dangerous"
        assert codes(facts) == ["several-pickles", "dangerous-pickle"]
    path = write_zip(tmp_path / "a.pt", [("a/data.pkl", b"}."), ("b/data.pkl", b"}.")])
    assert checkpoint_of(path).safety == "unknown"


def test_names_that_climb_out_stay_names(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.pt", [("../../x/data.pkl", b"}."), ("../../x/harm", b"x")])
    assert facts_of(path).checkpoint is not None
    assert sorted(os.listdir(tmp_path)) == ["a.pt"]


def test_entries_that_overlap_end_in_a_problem_or_a_verdict(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint())
    data = bytearray(path.read_bytes())
    positions = [n for n in range(len(data)) if data[n : n + 4] == b"PK\1\2"]
    for position in positions:
        data[position + 42 : position + 46] = struct.pack("<I", positions[0])
    path.write_bytes(data)
    facts = facts_of(path)
    assert facts.checkpoint is not None
    assert facts.checkpoint.status == "unreadable"
    assert codes(facts) == ["zip-damaged"]


@pytest.mark.parametrize("field", [10, 12, 16])
def test_end_record_that_lies_is_damage(tmp_path: Path, field: int) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint())
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\5\6")
    data[end + field : end + field + 2] = b"\xf0\xff"
    path.write_bytes(data)
    facts = facts_of(path)
    assert facts.checkpoint is not None
    assert facts.checkpoint.status in ("unreadable", "truncated")
    assert facts.problems


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-9, 99), inner),
    max_leaves=8,
)


@given(VALUES, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_plain_values_come_back_as_pickle_reads_them(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    if b"\\" in data or b"_codecs" in data or b"__builtin__" in data:
        return  # text escapes and bytes of the old protocols stay as they stand
    assert load(data).root == value
    assert load(data).end == len(data)


def _start(kind: str, tmp_path: Path) -> bytes:
    content = lightning_checkpoint(hyper_parameters={"lr": 0.1, "names": ["a", "b"]})
    write = write_torch_zip if kind == "zip" else write_torch_legacy
    return write(tmp_path / "start", content).read_bytes()


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@given(data=st.data())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_changed_files_never_raise(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(_start(kind, tmp_path))
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.binary(min_size=1, max_size=8))
        content[position : position + len(change)] = change
    cut = data.draw(st.integers(0, len(content)) | st.none())
    path = tmp_path / "changed.ckpt"
    path.write_bytes(content[:cut])
    assert_told(facts_of(path))


@given(st.lists(st.sampled_from([op.code for op in pickletools.opcodes]), max_size=60), st.binary())
@settings(max_examples=100, deadline=None)
def test_any_opcodes_end_in_a_root_or_an_error(codes: list[str], tail: bytes) -> None:
    program = "".join(codes).encode("latin-1") + tail + b"."
    try:
        root = load(program).root
    except SkeletonError:
        return
    Unwrapper(lambda _: None).unwrap(root)


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\3\4", b"\x80\2", b"\x89HDF\r\n\x1a\n"]))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_end_in_a_status(tmp_path: Path, content: bytes, magic: bytes) -> None:
    path = tmp_path / "any.ckpt"
    path.write_bytes(magic + content)
    assert_told(facts_of(path))


def assert_told(facts: Facts) -> None:
    """Assert that a checkpoint is readable, or that a sentence says why it is not."""
    found = facts.checkpoint
    assert found is not None
    if found.status != "readable":
        assert found.reason
    if found.status not in ("readable", "recognised"):
        assert facts.problems
    assert all(problem.message.endswith(".") for problem in facts.problems)
    repr(facts).encode()


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_dangerous_pickle_is_a_problem_wherever_one_looks(tmp_path: Path, is_whole: bool) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    attack = b"\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00idtR."
    (root / "best.ckpt").write_bytes(attack if is_whole else attack[:-1])
    (root / "best.config.json").write_text('{"model": {"name": "x"}}')
    db = str(tmp_path / "catalog.db")
    Catalog(db).ingest([root])
    rows = {row["code"]: row["message"] for row in Catalog(db).query("problems").dicts()}
    assert rows["dangerous-pickle"].startswith(
        "Its pickle would run posix.system when it is loaded"
    )
    drawn = CliRunner().invoke(app, ["trace", "best.ckpt", "--db", db]).stdout
    assert "danger  Loading it would run foreign code." in drawn
    (row,) = Catalog(db).sql("SELECT safety FROM checkpoint_trace").rows
    assert row == ("dangerous",)


def test_a_plain_pickle_is_of_no_framework(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"epoch": 3, "w": [1.0]}, protocol=2))
    checkpoint = facts_of(tmp_path / "a.pt").checkpoint
    assert checkpoint is not None
    assert (checkpoint.format, checkpoint.framework, checkpoint.epoch) == ("pickle", None, 3)
    (tmp_path / "b.pt").write_bytes(pickled({"dtype": FakeGlobal("torch", "bfloat16")})[0])
    other = facts_of(tmp_path / "b.pt").checkpoint
    assert other is not None
    assert (other.format, other.framework) == ("pickle", "torch")
