"""Models of every kind have a row: what is cheap is read, the rest is recognised and counted."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from catalog.api import Catalog
from catalog.cli.main import app
from catalog.sources.checkpoint.byte_source import ByteSource
from tests.support.kind_files import (
    SB3_DATA,
    arrays,
    exported,
    gguf,
    gguf_text,
    nemo,
    stable_baselines,
    torch_bytes,
)
from tests.support.onnx_files import model as onnx_model
from tests.support.onnx_files import tensor as onnx_tensor
from tests.support.torch_files import FakeTensor, write_torch_legacy, write_torch_zip
from tests.support.trainer_files import write_safetensors
from tests.test_checkpoint_memory import LIMIT, look

if TYPE_CHECKING:
    from pathlib import Path

STATE = {"net.weight": FakeTensor(shape=(4, 3)), "net.bias": FakeTensor(shape=(4,))}


def inspected(path: Path) -> dict[str, Any]:
    """Return what `catalog inspect` says of a file, whatever its verdict."""
    result = CliRunner().invoke(app, ["inspect", str(path), "-f", "json"])
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def ingested(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """Return the summary of an ingest, and the rows of its checkpoints."""
    db = folder.parent / "kinds.db"
    result = CliRunner().invoke(app, ["ingest", str(folder), "--db", str(db)])
    assert result.exit_code == 0, result.output
    rows = Catalog(db).sql(
        "SELECT f.path, c.format, c.status, c.reason FROM checkpoint c JOIN file f ON f.id = c.id "
        "ORDER BY f.path"
    )
    return result.stdout, rows.dicts()


# GGUF


def test_a_gguf_file_tells_its_keys_and_tensors(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    pairs = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.block_count": 2,
        "llama.eps": 1e-05,
        "tokenizer.ggml.tokens": [f"token {n}" for n in range(500)],
        "tokenizer.ggml.scores": [float(n) for n in range(500)],
        "general.tags": ["a", "b"],
    }
    path.write_bytes(gguf(pairs))
    one = inspected(path)
    assert (one["format"], one["status"], one["parameter_count"]) == ("gguf", "readable", 72)
    assert one["hyper_parameters"] == {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.block_count": 2,
        "llama.eps": 1e-05,
        "general.tags": ["a", "b"],
    }
    assert one["statements"] == {"left_out": ["tokenizer.ggml.tokens", "tokenizer.ggml.scores"]}
    assert one["bytes_by_dtype"] == {"float32": 32, "q4_0": None}
    assert one["tensor_bytes"] == 32 + 36


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (gguf(order=">"), "readable", None),
        (gguf(version=2), "readable", None),
        (gguf(alignment=64, pairs={"general.alignment": 64}), "readable", None),
        (gguf()[:-60], "truncated", "bytes are missing"),
        (gguf()[:90], "truncated", "of its header are missing"),
        (gguf()[:6], "truncated", "of its header are missing"),
        (gguf(version=1), "unreadable", "version 1"),
        (gguf(version=4), "recognised", "version 4"),
        (gguf(pairs={"general.alignment": 33}), "unreadable", "no power of two"),
        (gguf(tensors=[("w", 2, (33,))]), "unreadable", "no multiple of 32"),
        (gguf(tensors=[("w", 0, (4,)), ("w", 0, (4,))]), "unreadable", "'w' twice"),
        (gguf(tensors=[("w" * 64, 0, (4,))]), "unreadable", "too long"),
        (gguf(tensors=[("w", 0, (1, 1, 1, 1, 1))]), "unreadable", "5 dimensions"),
        (gguf(offsets=[0, 64]), "unreadable", "another place"),
        (gguf().replace(b"\0\0\0\0w", b"\0\0\0\0\xff"), "unreadable", "no UTF-8"),
        (gguf(tensors=[]), "foreign", "holds no tensor"),
        (gguf(pairs={"general.type": "imatrix"}), "foreign", "importance matrix"),
        (gguf(pairs={"split.count": 3}), "recognised", "one of the 3 files"),
    ],
    ids=str,
)
def test_a_gguf_file_is_judged_as_its_loaders_do(
    tmp_path: Path, content: bytes, status: str, reason: str | None
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    one = inspected(path)
    assert (one["format"], one["status"]) == ("gguf", status)
    assert one["reason"] is None if reason is None else reason in one["reason"]


def _with_counts(tensors: int, pairs: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs)


@pytest.mark.parametrize(
    "content",
    [
        _with_counts(2**62, 0) + bytes(1000),
        _with_counts(0, 2**62) + bytes(1000),
        _with_counts(0, 1) + gguf_text("k") + struct.pack("<IIQ", 9, 8, 2**60) + bytes(1000),
        _with_counts(0, 1) + gguf_text("k") + struct.pack("<IIQ", 9, 0, 2**60) + bytes(1000),
        _with_counts(0, 1) + gguf_text("k") + struct.pack("<IQ", 8, 2**63) + bytes(1000),
        _with_counts(0, 1) + struct.pack("<Q", 2**63) + bytes(1000),
        _with_counts(0, 1) + gguf_text("k") + struct.pack("<IIQ", 9, 9, 1) + bytes(1000),
        # Texts without a letter, as many as the file has room for.
        _with_counts(0, 1) + gguf_text("k") + struct.pack("<IIQ", 9, 8, 900_000) + bytes(8_000_000),
        _with_counts(140_000, 0) + bytes(24 * 140_000),
    ],
    ids=range(9),
)
def test_a_hostile_gguf_header_costs_little(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    status, _, _, peak = look(path)
    assert status != "readable"
    assert peak < LIMIT


# torch.export


@pytest.mark.parametrize("name", ["m.pt2", "m.pt"])
def test_an_exported_program_is_recognised_under_any_name(tmp_path: Path, name: str) -> None:
    one = inspected(exported(tmp_path / name))
    assert (one["format"], one["status"]) == ("torch-export", "recognised")
    assert one["statements"] == {
        "archive_version": "0",
        "torch_version": "2.13.0+cpu",
        "schema_version": "8.20",
    }
    assert (one["tensor_count"], one["parameter_count"]) == (2, 24)
    assert one["weights_fingerprint"] is None


def test_an_exported_program_without_a_weight_is_not_whole(tmp_path: Path) -> None:
    one = inspected(exported(tmp_path / "m.pt2", weights=["weight_0"]))
    assert (one["status"], one["reason"]) == ("truncated", "the weights of fc.1 are missing")


def test_an_exported_program_of_the_older_form_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    names = ["serialized_exported_program.json", "serialized_state_dict.pt"]
    names += ["serialized_constants.pt", "serialized_example_inputs.pt"]
    for wanted in (names, names[:3]):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("version", "8.2")
            for name in wanted:
                archive.writestr(name, "{}")
        one = inspected(path)
        assert one["statements"] == {"schema_version": "8.2"}
        assert one["status"] == ("recognised" if wanted is names else "truncated")


# NeMo


def test_a_nemo_model_tells_its_config_and_weights(tmp_path: Path) -> None:
    one = inspected(nemo(tmp_path / "asr.nemo"))
    assert (one["format"], one["status"], one["parameter_count"]) == ("nemo", "readable", 15)
    assert one["hyper_parameters"]["labels"] == ["a", "b"]
    assert one["framework_version"] == "1.20.0"


def test_a_nemo_model_that_is_not_whole_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "asr.nemo"
    assert inspected(nemo(path, None))["reason"] == "its model_config.yaml is missing"
    assert inspected(nemo(path, has_weights=False))["reason"] == "its model_weights.ckpt is missing"
    whole = nemo(path).read_bytes()
    path.write_bytes(whole[:3000])
    one = inspected(path)
    assert one["status"] == "truncated"
    assert "model_weights.ckpt are missing" in one["reason"]


def test_a_compressed_nemo_model_is_recognised(tmp_path: Path) -> None:
    one = inspected(nemo(tmp_path / "asr.nemo", form="w:gz"))
    assert (one["format"], one["status"]) == ("nemo", "recognised")


def test_a_member_beyond_the_end_of_a_tar_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "asr.nemo"
    for name, size in (("model_config.yaml", 8**11 - 1), ("model_weights.ckpt", 2**60)):
        member = tarfile.TarInfo(name)
        member.size = size
        path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + b"a: 1\n" + bytes(2000))
        status, _, _, peak = look(path)
        assert status == "truncated"
        assert peak < LIMIT


def test_a_config_that_unfolds_is_refused(tmp_path: Path) -> None:
    bomb = "a: &a [1,2,3,4,5,6,7,8,9]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    one = inspected(nemo(tmp_path / "asr.nemo", bomb))
    assert (one["status"], one["hyper_parameters"]) == ("recognised", None)
    assert [problem["code"] for problem in one["problems"]] == ["too-large"]


@pytest.mark.parametrize("config", ["", "# nothing\n", "{}", "- a\n- b\n", "a: [1\n", "text"])
def test_a_nemo_model_whose_config_says_nothing_is_damaged(tmp_path: Path, config: str) -> None:
    one = inspected(nemo(tmp_path / "asr.nemo", config))
    assert one["status"] == "unreadable"
    assert "model_config.yaml" in one["reason"]
    assert one["weights_fingerprint"] is None


def test_a_nemo_model_whose_weights_are_no_torch_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "asr.nemo"
    with tarfile.open(path, "w") as archive:
        for name, data in (("model_config.yaml", b"a: 1\n"), ("model_weights.ckpt", b"text " * 99)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    one = inspected(path)
    assert (one["status"], one["reason"]) == ("unreadable", "it is text, and no file of torch")


def test_a_nemo_model_split_over_ranks_is_not_told_from_its_first_rank(tmp_path: Path) -> None:
    path = tmp_path / "gpt.nemo"
    weights = torch_bytes(tmp_path, {"w": FakeTensor(shape=(3, 5))})
    with tarfile.open(path, "w") as archive:
        for name in ("model_config.yaml", *(f"mp_rank_0{n}/model_weights.ckpt" for n in (0, 1))):
            data = b"a: 1\n" if name.endswith("yaml") else weights
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    one = inspected(path)
    assert (one["status"], one["parameter_count"]) == ("recognised", None)
    assert "mp_rank_00" in one["reason"]


# Stable-Baselines


@pytest.mark.parametrize("name", ["CartPole-v1.zip", "dqn.zip", "rl_model_5000_steps.zip"])
def test_a_stable_baselines_model_is_found_under_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "zoo"
    folder.mkdir()
    stable_baselines(folder / name)
    _, rows = ingested(folder)
    assert [(row["format"], row["status"]) for row in rows] == [("sb3-zip", "readable")]


def test_a_stable_baselines_model_tells_what_it_was_made_with(tmp_path: Path) -> None:
    one = inspected(stable_baselines(tmp_path / "dqn.zip"))
    assert (one["global_step"], one["framework_version"]) == (50_000, "2.1.0")
    settings = one["hyper_parameters"]
    assert settings["policy_class"] == "stable_baselines3.dqn.policies.DQNPolicy"
    assert settings["observation_space"] == "gymnasium.spaces.box.Box(dtype=float32, shape=[4])"
    assert settings["action_space"] == "gymnasium.spaces.discrete.Discrete(n=2)"
    assert settings["replay_buffer_class"] == "stable_baselines3.common.buffers.ReplayBuffer"
    assert settings["exploration_schedule"]["start"] == 1.0
    plain = ("learning_rate", "gamma", "seed", "num_timesteps", "_total_timesteps", "start_time")
    assert {key: settings[key] for key in plain} == {key: SB3_DATA[key] for key in plain}
    assert "gAWV" not in json.dumps(settings)
    assert one["statements"] == {
        "start_time": 1_665_592_000_123_456_789,
        "start_time_unit": "nanoseconds",
        "start_time_utc": "2022-10-12T16:26:40Z",
        "system_info": {"OS": "Linux-5.4", "Python": "3.10.9", "PyTorch": "2.0.1"},
    }


def test_models_of_older_stable_baselines_are_models(tmp_path: Path) -> None:
    one = inspected(stable_baselines(tmp_path / "a2c.zip", version=None))
    assert (one["format"], one["status"]) == ("sb3-zip", "readable")
    second = tmp_path / "ppo2.zip"
    with zipfile.ZipFile(second, "w") as archive:
        archive.writestr("data", json.dumps({"gamma": 0.9}))
        archive.writestr("parameter_list", "[]")
        archive.writestr("parameters", b"")
    one = inspected(second)
    assert (one["framework"], one["status"]) == ("stable-baselines", "recognised")
    assert one["hyper_parameters"] == {"gamma": 0.9}


@pytest.mark.parametrize("name", ["data", "policy.pth", "policy.optimizer.pth"])
def test_what_stable_baselines_wants_and_is_missing_is_told(tmp_path: Path, name: str) -> None:
    one = inspected(stable_baselines(tmp_path / "dqn.zip", without=name))
    assert one["status"] == "truncated"
    assert f"its {name} is missing" in one["reason"]


def test_numbers_beside_the_policy_leave_no_fingerprint(tmp_path: Path) -> None:
    plain = inspected(stable_baselines(tmp_path / "a.zip"))
    variables = {"log_ent_coef": FakeTensor(shape=(1,))}
    sac = inspected(stable_baselines(tmp_path / "b.zip", variables=variables))
    assert plain["weights_fingerprint"] is not None
    assert sac["weights_fingerprint"] is None
    assert "pytorch_variables.pth" in sac["weights_doubt"]


def test_a_stable_baselines_model_that_is_cut_is_damaged(tmp_path: Path) -> None:
    path = stable_baselines(tmp_path / "dqn.zip")
    path.write_bytes(path.read_bytes()[:1500])
    one = inspected(path)
    assert (one["format"], one["status"]) == ("sb3-zip", "truncated")


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b"nonsense", b"[]", b'{"a":' + b"[]," * 9_000_000]
)
def test_hostile_data_of_stable_baselines_costs_little(tmp_path: Path, data: bytes) -> None:
    path = stable_baselines(tmp_path / "dqn.zip", data=data)
    status, _, _, peak = look(path)
    assert status == ("recognised" if len(data) > 16_000_000 else "unreadable")
    assert peak < LIMIT
    assert inspected(path)["problems"]


@pytest.mark.parametrize("name", ["data", "policy.pth", "policy.optimizer.pth"])
def test_a_stable_baselines_entry_that_misses_its_sum_is_damage(tmp_path: Path, name: str) -> None:
    path = stable_baselines(tmp_path / "dqn.zip")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        at = info.header_offset + 30 + len(name) + info.file_size - (1 if name == "data" else 30)
    content[at] ^= 4
    path.write_bytes(content)
    one = inspected(path)
    assert one["status"] == "unreadable"
    assert one["weights_fingerprint"] is None


def test_a_stable_baselines_entry_of_another_name_than_listed_is_damage(tmp_path: Path) -> None:
    path = stable_baselines(tmp_path / "dqn.zip")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"policy.pth", b"policy.ptx", 1))
    one = inspected(path)
    assert one["status"] == "unreadable"
    assert "zipfile refuses it" in one["reason"]


def test_a_stable_baselines_model_too_large_to_be_compared_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sources.formats.zip_check.MAX_BYTES", 1_000)
    one = inspected(stable_baselines(tmp_path / "dqn.zip"))
    assert one["status"] == "recognised"
    assert "`catalog ingest --hash` reads them" in one["reason"]


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "dqn.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(100_000_000))
        archive.writestr("policy.pth", bytes(100_000_000))
        archive.writestr("policy.optimizer.pth", b"")
        archive.writestr("_stable_baselines3_version", "2.1.0")
    status, _, _, peak = look(path)
    assert status == "recognised"
    assert peak < LIMIT


# Pickles and torch files under other names


def test_torch_files_are_read_under_names_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    for name in ("weights.th", "best.th", "x.pkl", "last.tar"):
        write_torch_zip(folder / name, {"state_dict": STATE})
    write_torch_legacy(folder / "old.pickle", {"state_dict": STATE})
    _, rows = ingested(folder)
    assert {row["path"]: (row["format"], row["status"]) for row in rows} == {
        "best.th": ("torch-zip", "readable"),
        "last.tar": ("torch-zip", "readable"),
        "old.pickle": ("torch-legacy", "readable"),
        "weights.th": ("torch-zip", "readable"),
        "x.pkl": ("torch-zip", "readable"),
    }


@pytest.mark.parametrize("suffix", ["safetensors", "onnx", "keras", "gguf", "nemo", "pt2", "h5"])
def test_a_name_whose_loader_takes_nothing_else_is_not_opened_by_it(
    tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    write_torch_zip(folder / f"zip.{suffix}", {"state_dict": STATE})
    write_torch_legacy(folder / f"pickle.{suffix}", {"state_dict": STATE})
    other = "onnx" if suffix == "safetensors" else "safetensors"
    content = onnx_model(onnx_tensor("w", (2,), bytes(8)))
    if suffix != "safetensors":
        write_safetensors(folder / "x", {"w": [2, 2]})
        content = (folder / "x").read_bytes()
        (folder / "x").unlink()
    (folder / f"{other}.{suffix}").write_bytes(content)
    (folder / "config.yaml").write_text("model: {width: 8}\n")
    _, rows = ingested(folder)
    found = {row["path"].partition(".")[0]: (row["status"], row["format"]) for row in rows}
    assert found == {
        "zip": ("unreadable", "torch-zip"),
        "pickle": ("unreadable", "torch-legacy"),
        other: ("unreadable", other),
    }


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was executed",))


def test_a_pickle_of_a_model_is_recognised_and_never_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"clf": _Evil()}))
    one = inspected(path)
    assert (one["format"], one["status"]) == ("pickle", "recognised")
    assert one["safety"] != "plain"
    assert "executed" not in capsys.readouterr().out
    path.write_bytes(pickle.dumps({"a": list(range(100))})[:-20])
    assert inspected(path)["status"] == "truncated"


# Kinds that are recognised

UNREAD: dict[str, tuple[str, bytes]] = {
    "model.pdparams": ("paddle", pickle.dumps({"w": 1})),
    "clf_model.joblib": ("joblib", b"\x80\x04junk"),
    "flax_model.msgpack": ("flax", b"\x81\xa6params\x80"),
    "checkpoint_100": ("flax", b"\x82\xa4step\x64\xa6params\x80"),
    "m.tflite": ("tflite", b"\x1c\0\0\0TFL3" + bytes(50)),
    "m.mlmodel": ("coreml", b"\x08\x05\x12\x02ab"),
    "m.lite": ("tflite", b"\x1c\0\0\0TFL3" + bytes(50)),
    "m.engine": ("tensorrt", b"ftrt" + bytes(50)),
    "m.rknn": ("rknn", b"RKNN" + bytes(50)),
    "m.ort": ("onnxruntime", b"\x1c\0\0\0ORTM" + bytes(50)),
    "m.ftz": ("fasttext", b"\xba\x16\x4f\x2f" + bytes(50)),
    "m.ubj": ("xgboost-ubj", b"{L\0\0\0\0\0\0\0\7learner"),
    "yolov4.weights": ("darknet", struct.pack("<3i", 0, 2, 5) + bytes(30)),
    "model.ckpt-1000": ("tf-checkpoint-v1", bytes(60) + bytes.fromhex("57fb808b247547db")),
    "last.ckpt.gz": ("compressed", gzip.compress(b"x")),
    "model.tar.gz": ("compressed", gzip.compress(b"x")),
    "model_best.pth.tar.gz": ("compressed", gzip.compress(b"x")),
    "m.gguf.gz": ("compressed", gzip.compress(b"x")),
    "a.pt.zst": ("compressed", b"\x28\xb5\x2f\xfdxx"),
    "a.safetensors.tmp": ("part-file", b"x"),
    "a.safetensors.part": ("part-file", b"x"),
    "a.gguf.crdownload": ("part-file", b"x"),
    "a.safetensors.3f2c9a.incomplete": ("part-file", b"x"),
    "Model.pt~": ("backup", b"x"),
    "best.ckpt.bak": ("backup", b"x"),
    "model.pt.1": ("backup", b"x"),
}


def test_every_other_kind_has_a_row_and_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    for name, (_, content) in UNREAD.items():
        (folder / name).write_bytes(content)
    arrays(folder / "params_100.npz", "w", "b")
    with zipfile.ZipFile(folder / "m.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", '{"model": {"modelName": "m"}}')
    _, rows = ingested(folder)
    wanted = {name: kind for name, (kind, _) in UNREAD.items()}
    wanted |= {"params_100.npz": "npz", "m.mar": "mar"}
    assert {row["path"]: row["format"] for row in rows} == wanted
    assert {row["status"] for row in rows} == {"recognised"}
    assert all("not read" in row["reason"] for row in rows)


@pytest.mark.parametrize("name", ["weights.bin", "model.t7", "best_model.jit", "net.torch"])
def test_what_torch_wrote_is_found_under_the_name_of_a_model(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    write_torch_zip(folder / name, STATE)
    (folder / f"other_{name}").write_bytes(b"\x1c\0\0\0 of another kind")
    _, rows = ingested(folder)
    assert [(row["path"], row["status"]) for row in rows] == [(name, "readable")]


def test_the_summary_counts_what_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "model.joblib").write_bytes(b"\x80\x04junk")
    for name in ("a.gguf.gz", "b.gguf.gz"):
        (folder / name).write_bytes(gzip.compress(b"x"))
    write_torch_zip(folder / "a.pt", STATE)
    summary, _ = ingested(folder)
    assert "3 files look like models, and what they hold is not read or not known" in summary
    assert "\n  2 compressed, 1 joblib.\n" in summary
    rows = Catalog(tmp_path / "kinds.db").query("unchecked").dicts()
    assert [row["path"] for row in rows] == ["a.gguf.gz", "b.gguf.gz", "model.joblib"]
    (folder / "model.joblib").unlink()
    summary, _ = ingested(folder)
    assert "2 files look like models" in summary
    assert len(Catalog(tmp_path / "kinds.db").query("unchecked", {"kind": "joblib"}).rows) == 0


def test_other_data_under_an_ending_of_models_is_told(tmp_path: Path) -> None:
    for name in ("m.tflite", "m.nemo", "m.gguf", "m.pdparams.gz"):
        (tmp_path / name).write_bytes(b"<html>not found</html>")
        one = inspected(tmp_path / name)
        assert one["status"] == "foreign"


# Data


def test_data_gives_no_rows_and_only_its_heads_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    image = arrays(tmp_path / "scratch.npz", "x", "y").read_bytes()
    with zipfile.ZipFile(tmp_path / "scratch.zip", "w") as archive:
        for number in range(400):
            archive.writestr(f"images/{number:06}.png", bytes(500))
    pictures = (tmp_path / "scratch.zip").read_bytes()
    values = pickle.dumps({"x": list(range(20_000))})
    for number in range(100):
        (folder / f"{number:06}.npz").write_bytes(image)
        (folder / f"shard-{number:06}.zip").write_bytes(pictures)
        (folder / f"sample-{number:06}.pkl").write_bytes(values)
        (folder / f"train_{number:06}.tar").write_bytes(b"a.txt" + bytes(1019))
    (folder / "empty.zip").touch()
    (folder / "best_predictions.joblib").write_bytes(b"x")
    (folder / "checkpoint_7").write_bytes(b"notes")
    (folder / "b.tmp").write_bytes(b"x")
    sources: list[ByteSource] = []
    real = ByteSource.__init__

    def noted(self: ByteSource, *values: Any) -> None:
        real(self, *values)
        sources.append(self)

    monkeypatch.setattr(ByteSource, "__init__", noted)
    db = tmp_path / "kinds.db"
    done = Catalog(db).ingest(folder, jobs=1)
    assert Catalog(db).query("problems").rows == []
    assert (done.checkpoints, done.problems, done.unread) == (0, 0, {})
    assert len(sources) <= 302
    assert max(source.bytes_read for source in sources) <= 6_000
    assert done.seen == len(sources)


def test_a_folder_of_ordinary_arrays_is_not_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(2_000):
        (folder / f"{number:06}.npz").write_bytes(b"PK")
    done = Catalog(tmp_path / "kinds.db").ingest(folder)
    assert (done.seen, done.checkpoints) == (0, 0)


def test_inspect_says_of_data_that_it_is_no_model(tmp_path: Path) -> None:
    path = arrays(tmp_path / "images.zip", "x")
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exit_code == 1
    assert "holds no model" in result.output


def test_a_torch_archive_in_a_zip_of_data_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "parameters.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("parameters.csv", "a,b")
        archive.writestr("inner.pt", torch_bytes(tmp_path, STATE))
    assert inspected(path)["status"] == "foreign"


def test_what_carries_its_config_is_usable_by_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "m.gguf").write_bytes(gguf())
    catalog = Catalog(tmp_path / "own.db")
    catalog.ingest([tree])
    (row,) = catalog.query("usable").dicts()
    assert (row["path"], row["config_kind"], row["config_file"]) == ("m.gguf", "inside", None)
