"""Does `torch.load(file)` take a file as it is, by torch's own rules, and what helps where not."""

from __future__ import annotations

import json
import pickle
import time
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog.cli.main import app
from catalog.sources.checkpoint.torch_rules import rules
from catalog.sources.facts import DefaultLoad
from tests.support.checkpoint_reading import checkpoint_of
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    write_torch_legacy,
    write_torch_zip,
    write_zip,
)

WEIGHT = FakeTensor(shape=(4, 3))
HEAD = b"\x80\x02"
READ_NAMES = "only with weights_only=False, after reading the names"


def judged(path: Path) -> DefaultLoad:
    found = checkpoint_of(path).default_load
    assert found is not None
    return found


def saved(path: Path, value: Any) -> DefaultLoad:
    return judged(write_torch_zip(path, {"state_dict": {"w": WEIGHT}, "extra": value}))


def of_pickle(path: Path, pickled: bytes) -> DefaultLoad:
    entries: list[tuple[str, bytes | FakeTensor]] = [
        ("a/data.pkl", pickled),
        ("a/version", b"3\n"),
    ]
    return judged(write_zip(path, entries))


def object_of(module: str, name: str, *args: Any, state: Any = None) -> FakeObject:
    return FakeObject(FakeGlobal(module, name), args, state)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_torch_writes_of_tensors_and_plain_data_is_accepted(tmp_path: Path) -> None:
    plain = {
        "list": [1, 2.5, None, True, "text", (1, 2), -(1 << 70)],
        "ordered": OrderedDict(a=1),
        "size": object_of("torch", "Size", (1, 2)),
        "device": object_of("torch", "device", "cuda", 1),
        "dtype": FakeGlobal("torch", "bfloat16"),
        "set": {1, 2},
        "bytes": bytearray(b"a\xff"),
    }
    assert saved(tmp_path / "a.pt", plain) == DefaultLoad("yes", rules().version)


@pytest.mark.parametrize(
    ("value", "name", "remedy"),
    [
        (
            object_of("omegaconf.dictconfig", "DictConfig", state={"_content": {}}),
            "omegaconf.dictconfig.DictConfig",
            (
                "import omegaconf.dictconfig; "
                "torch.serialization.add_safe_globals([omegaconf.dictconfig.DictConfig])"
            ),
        ),
        (
            PurePosixPath("a/b"),
            "pathlib.PurePosixPath",
            "import pathlib; torch.serialization.add_safe_globals([pathlib.PurePosixPath])",
        ),
        (
            object_of("torch.optim.sgd", "SGD"),
            "torch.optim.sgd.SGD",
            "from torch.optim.sgd import SGD; torch.serialization.add_safe_globals([SGD])",
        ),
        (
            object_of("torch.distributed.tensor", "DTensor"),
            "torch.distributed.tensor.DTensor",
            "import torch.distributed.tensor",
        ),
        (
            object_of("__builtin__", "frozenset", [1]),
            "builtins.frozenset",
            "torch.serialization.add_safe_globals([frozenset])",
        ),
        (
            object_of("exceptions", "ValueError", "a"),
            "exceptions.ValueError",
            'torch.serialization.add_safe_globals([(ValueError, "exceptions.ValueError")])',
        ),
    ],
)
def test_a_harmless_class_is_refused_and_the_line_that_allows_it_is_told(
    tmp_path: Path, value: object, name: str, remedy: str
) -> None:
    found = saved(tmp_path / "a.pt", value)
    reason = f"`torch.load` of torch {rules().version} refuses {name}."
    assert found == DefaultLoad("no", rules().version, reason, remedy)


def test_a_numpy_scalar_needs_the_class_of_its_dtype_too(tmp_path: Path) -> None:
    dtype = object_of("numpy", "dtype", "f8", False, True, state=(3, "<", None, None, None, -1))
    value = object_of("numpy.core.multiarray", "scalar", dtype, bytearray(b"12345678"))
    assert saved(tmp_path / "a.pt", value).remedy == (
        "import numpy.core.multiarray, numpy, numpy.dtypes; "
        "torch.serialization.add_safe_globals([(numpy.core.multiarray.scalar, "
        '"numpy.core.multiarray.scalar"), numpy.dtype, numpy.dtypes.Float64DType])'
    )


def test_many_names_are_counted(tmp_path: Path) -> None:
    many = [object_of("lab", f"Class{number}") for number in range(60)]
    found = saved(tmp_path / "a.pt", many)
    assert found.reason is not None
    assert found.reason.endswith("refuses lab.Class0, lab.Class1, lab.Class2 and 57 more.")
    assert found.remedy == READ_NAMES


@pytest.mark.parametrize(
    "value",
    [
        # Items are set in plain dicts and lists alone, whatever is allowed.
        FakeObject(FakeGlobal("collections", "defaultdict"), (), None, {"a": 1}),
        FakeObject(FakeGlobal("lab", "AttributeDict"), (), None, {"a": 1}),
        # What a function returns cannot be told, so neither what else must be allowed.
        object_of("lab", "_restore", 1, state={"a": 1}),
        object_of("posix", "getcwd"),
    ],
)
def test_where_no_list_of_names_helps_that_is_told(tmp_path: Path, value: object) -> None:
    found = saved(tmp_path / "a.pt", value)
    assert found.accepted == "no"
    assert found.remedy is not None
    assert found.remedy.startswith(READ_NAMES)


def test_nobody_is_told_to_allow_what_runs_code(tmp_path: Path) -> None:
    both = [PurePosixPath("a"), object_of("__builtin__", "eval", "1")]
    found = saved(tmp_path / "a.pt", both)
    assert found.remedy == f"{READ_NAMES}: builtins.eval can run any code"


@pytest.mark.parametrize("name", ["X]); import os; os.system('a'); ([", "\uff45val", "class", ""])
def test_a_name_that_is_none_gets_into_no_line_of_python(tmp_path: Path, name: str) -> None:
    found = of_pickle(tmp_path / "a.pt", HEAD + f"clab\n{name}\n.".encode())
    assert (found.accepted, found.remedy) == ("no", READ_NAMES)


@pytest.mark.parametrize(
    "dtype",
    ["float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz", "float4_e2m1fn_x2", "bits8", "int4"],
)
def test_a_new_dtype_is_accepted_plain_and_of_known_size(tmp_path: Path, dtype: str) -> None:
    storage = FakeTensor("uint8", (12,))
    hooks: OrderedDict[str, Any] = OrderedDict()
    tensor = FakeObject(
        FakeGlobal("torch._utils", "_rebuild_tensor_v3"),
        (_storage(storage), 0, (4, 3), (3, 1), False, hooks, FakeGlobal("torch", dtype)),
    )
    path = write_torch_zip(tmp_path / "a.ckpt", {"state_dict": {"w": tensor}})
    told = json.loads(run("inspect", path, "-f", "json"))
    assert told["loads_by_default"] == "yes"
    assert told["safety"] == "plain"
    assert told["bytes_by_dtype"] == {dtype: 12}


def _storage(tensor: FakeTensor) -> Any:
    return tensor.__reduce_ex__(2)[1][0]


def test_a_name_that_older_versions_do_not_know_is_told(tmp_path: Path) -> None:
    found = saved(tmp_path / "a.pt", FakeGlobal("torch", "float4_e2m1fn_x2"))
    assert found.accepted == "yes"
    assert found.reason == (
        "By its sources, torch 2.6 to 2.7 refuse torch.float4_e2m1fn_x2 (not verified)."
    )


@pytest.mark.parametrize(
    ("pickled", "reason"),
    [
        (pickle.dumps({"a": 1}, protocol=4), "holds the instruction FRAME (pickle protocol 4)"),
        (pickle.dumps(b"raw", protocol=3), "holds the instruction SHORT_BINBYTES (pickle protocol"),
        (HEAD + b"(K\x01l.", "holds the instruction LIST"),
        (HEAD + b"}}b.", "sets the state of a builtins.dict"),
        (HEAD + b"\x8fK\x01a.", "appends to a builtins.set, which is no plain list"),
        (HEAD + b"}]K\x01s.", "has a key of a list"),
        (HEAD + b"ctorch\nfloat32\n)R.", "calls torch.float32, which is no function"),
        (HEAD + b"K\x01Q.", "has a persistent id that is no tuple"),
    ],
)
def test_an_act_that_torch_does_not_know_is_refused(
    tmp_path: Path, pickled: bytes, reason: str
) -> None:
    found = of_pickle(tmp_path / "a.pt", pickled)
    assert found.accepted == "no"
    assert reason in (found.reason or "")
    assert found.remedy == READ_NAMES


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    hooks: OrderedDict[str, Any] = OrderedDict()
    rebuild = FakeGlobal("torch._utils", "_rebuild_tensor_v2")
    args = (_storage(FakeTensor(shape=(4,))), 0, (5,), (1,), False, hooks)
    found = judged(write_torch_zip(tmp_path / "a.pt", {"w": FakeObject(rebuild, args)}))
    assert found.accepted == "no"


def test_every_pickle_of_a_legacy_file_counts(tmp_path: Path) -> None:
    path = write_torch_legacy(tmp_path / "a.pt", {"w": WEIGHT})
    assert judged(path).accepted == "yes"
    # The pickle of the machine's facts, between the protocol and the object, holds a bytes object.
    data = path.read_bytes()
    machine = data.index(b"\x80\x02}", 20)
    path.write_bytes(
        data[:machine] + HEAD + b"}X\x01\0\0\0aC\x01bs." + data[data.index(b".", machine) + 1 :]
    )
    assert judged(path).accepted == "no"
    refused = judged(write_torch_legacy(tmp_path / "b.pt", {"p": PurePosixPath("a")}))
    assert refused.remedy == (
        "import pathlib; torch.serialization.add_safe_globals([pathlib.PurePosixPath])"
    )


def test_what_torch_save_did_not_write_is_refused(tmp_path: Path) -> None:
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps({"w": [1.0]}, protocol=2))
    assert judged(bare).remedy == "pickle.load(file), after reading the names"
    script = write_zip(tmp_path / "s.pt", [("s/data.pkl", HEAD + b"}."), ("s/constants.pkl", b"")])
    assert judged(script).remedy == "torch.jit.load(file)"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.pt", {"state_dict": {"w": FakeTensor(shape=(999,))}})
    path.write_bytes(path.read_bytes()[:-200])
    found = judged(path)
    assert found.accepted == "no"
    assert "damaged file" in (found.reason or "")


def test_values_decide_where_torch_looks_at_them(tmp_path: Path) -> None:
    answers = []
    for number, name in enumerate(["cuda:0", "cuda:1", "bogus0", "cuda:2", "bogus1", "cuda:3"]):
        state = {f"layer{place}.weight": WEIGHT for place in range(30)}
        content = {"state_dict": state, "epoch": number, "on": object_of("torch", "device", name)}
        answers.append(judged(write_torch_zip(tmp_path / f"{number}.pt", content)).accepted)
    assert answers == ["yes", "yes", "no", "yes", "no", "yes"]


def test_alike_files_have_the_verdict_of_each_alone(tmp_path: Path) -> None:
    for number in range(6):
        state = {f"layer{place}.weight": WEIGHT for place in range(30)}
        content = {"state_dict": state, "epoch": number, "path": PurePosixPath(f"run{number}")}
        found = judged(write_torch_zip(tmp_path / f"{number}.pt", content))
        assert found.reason is not None
        assert found.reason.endswith("refuses pathlib.PurePosixPath.")


def test_a_pickle_that_repeats_itself_costs_no_time(tmp_path: Path) -> None:
    many = b"](" + b"K\x01" * 60_000 + b"eq\x00"
    pickled = HEAD + many + b"c__builtin__\nset\nq\x01" + b"h\x01h\x00\x85R" * 60_000 + b"."
    begin = time.process_time()
    found = of_pickle(tmp_path / "a.pt", pickled)
    assert time.process_time() - begin < 5
    assert found.accepted == "unknown"
    assert "repeats itself too often" in (found.reason or "")


def test_the_lists_of_other_versions_are_data_and_said_to_be_unverified() -> None:
    own = rules()
    assert own.versions[0] == "2.6"
    assert own.version in own.versions
    path = Path(__file__).parents[1] / "catalog/sources/checkpoint/torch_rules.json"
    data = json.loads(path.read_text())
    verified = [one["version"] for one in data["versions"] if one["verified"]]
    assert verified == [own.version]
    assert all(one["source"] for one in data["versions"])
    assert set(own.since.values()) <= set(own.versions)
    assert {"torch.bcomplex32", "torch.float8_e8m0fnu"} - own.allowed == {"torch.bcomplex32"}


@pytest.fixture
def ingested(tmp_path: Path) -> tuple[Path, Path]:
    tree, db = tmp_path / "tree", tmp_path / "c.db"
    tree.mkdir()
    write_torch_zip(tree / "good.ckpt", {"state_dict": {"w": WEIGHT}})
    content = {"state_dict": {"w": WEIGHT}, "hyper_parameters": {"root": PurePosixPath("a")}}
    write_torch_zip(tree / "path.ckpt", content)
    run("ingest", tree, "--db", db)
    return tree, db


def test_query_loads_tells_every_checkpoint(ingested: tuple[Path, Path]) -> None:
    _, db = ingested
    rows = json.loads(run("query", "loads", "--db", db, "-f", "json"))
    assert [(row["path"], row["loads_by_default"], row["safety"]) for row in rows] == [
        ("good.ckpt", "yes", "plain"),
        ("path.ckpt", "no", "plain"),
    ]
    only = json.loads(run("query", "loads", "-p", "accepted=no", "--db", db, "-f", "json"))
    assert [row["path"] for row in only] == ["path.ckpt"]
    assert "add_safe_globals([pathlib.PurePosixPath])" in only[0]["loads_remedy"]


def test_all_globals_can_be_asked_for(ingested: tuple[Path, Path]) -> None:
    _, db = ingested
    sql = "SELECT path FROM checkpoint_globals WHERE name = 'pathlib.PurePosixPath'"
    assert json.loads(run("sql", sql, "--db", db, "-f", "json")) == [{"path": "path.ckpt"}]
    sql = "SELECT COUNT(*) AS n FROM checkpoint_globals WHERE name LIKE 'torch._utils.%'"
    assert json.loads(run("sql", sql, "--db", db, "-f", "json")) == [{"n": 2}]


def test_inspect_trace_and_unusable_tell_it(ingested: tuple[Path, Path]) -> None:
    tree, db = ingested
    assert "loads_by_default" in run("inspect", tree / "path.ckpt")
    traced = run("trace", "path.ckpt", "--db", db)
    assert "refuses pathlib.PurePosixPath" in traced
    rows = json.loads(run("query", "unusable", "--db", db, "-f", "json"))
    assert {row["path"]: row["loads_by_default"] for row in rows}["good.ckpt"] == "yes"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a/version", b"three\n", "version names none"),
        ("a/version", b"99\n", "version names none"),
        ("a/byteorder", b"middle", "neither little nor big"),
        ("b/data/0", b"", "not in the folder of the others"),
    ],
)
def test_an_archive_that_torch_cannot_open_is_unreadable(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    entries: dict[str, bytes | FakeTensor] = {
        "a/data.pkl": HEAD + b"}.",
        "a/version": b"3\n",
        name: content,
    }
    one = checkpoint_of(write_zip(tmp_path / "a.pt", entries.items()))
    assert one.status == "unreadable"
    assert reason in (one.reason or "")
    assert one.default_load is not None
    assert one.default_load.accepted == "no"


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"text"])
def test_what_is_no_torch_file_is_refused_under_the_name_of_one(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    assert judged(path).accepted == "no"
