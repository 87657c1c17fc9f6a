"""Which names are checkpoints, and checkpoints that are directories."""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest

from catalog.sources.facts import Mention, Score
from tests.support.checkpoint_reading import checkpoint_of, codes, facts, facts_of, items
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    pickled,
    write_torch_zip,
    write_zip,
)
from tests.support.trainer_files import write_arguments, write_safetensors

if TYPE_CHECKING:
    from pathlib import Path


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def trainer_folder(folder: Path, step: int = 6) -> None:
    folder.mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", {"w": [3, 2], "b": [1, 2]})
    write_json(folder / "config.json", {"model_type": "bert", "transformers_version": "5.2.0"})
    write_arguments(
        folder / "training_args.bin",
        output_dir="results/bert_a",
        logging_dir="results/bert_a/runs/x",
        run_name="bert_a",
        learning_rate=5e-5,
        metric_for_best_model="loss",
        greater_is_better=False,
        optim=FakeObject(FakeGlobal("transformers.training_args", "OptimizerNames"), ("adamw",)),
        hub_token="hf_" + "x" * 34,
    )
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt"):
        write_torch_zip(folder / name, {"x": 1})
    write_json(
        folder / "trainer_state.json",
        {
            "global_step": step,
            "epoch": 1.0,
            "best_metric": 0.5,
            "best_model_checkpoint": "results/bert_a/checkpoint-3",
            "log_history": [
                {"step": 3, "epoch": 0.5, "eval_loss": 0.5},
                {"step": step, "epoch": 1.0, "loss": 0.75},
                {"step": step, "epoch": 1.0, "eval_loss": 0.625, "name": "x"},
            ],
        },
    )


def test_trainer_checkpoint_is_one_item_with_all_its_parts(tmp_path: Path) -> None:
    trainer_folder(tmp_path / "bert_a/checkpoint-6")
    (item,) = items(tmp_path).values()
    files = list((tmp_path / "bert_a/checkpoint-6").iterdir())
    assert item.path == "bert_a/checkpoint-6"
    assert item.size == sum(file.stat().st_size for file in files)
    assert item.mtime_ns == max(file.stat().st_mtime_ns for file in files)
    assert sorted(item.parts) == sorted(file.name for file in files)


def test_trainer_checkpoint_tells_state_arguments_and_weights(tmp_path: Path) -> None:
    trainer_folder(tmp_path / "bert_a/checkpoint-6")
    told = facts(tmp_path)
    found = told.checkpoint
    assert found is not None
    assert (found.format, found.status, found.framework) == (
        "hf-trainer",
        "readable",
        "transformers",
    )
    assert found.framework_version == "5.2.0"
    assert (found.epoch, found.global_step) == (1, 6)
    assert (found.monitor, found.monitor_mode) == ("eval_loss", "min")
    assert (found.best_score, found.own_score) == (0.5, 0.625)
    assert found.best_path == "results/bert_a/checkpoint-3"
    assert found.directory == "results/bert_a"
    assert found.parameter_count == 8
    assert found.optimizers == ("adamw",)
    assert found.hyper_parameters is not None
    assert found.hyper_parameters["learning_rate"] == 5e-5
    assert Score("loss", 0.75, "trainer_state.log_history") in found.scores
    assert set(told.mentions) == {
        Mention("output-dir", "results/bert_a"),
        Mention("logging-dir", "results/bert_a/runs/x"),
        Mention("run-name", "bert_a"),
        Mention("checkpoint-path", "results/bert_a/checkpoint-3"),
    }
    assert "xxxxxx" not in repr(told)


def test_a_fraction_of_an_epoch_is_no_epoch(tmp_path: Path) -> None:
    trainer_folder(tmp_path / "checkpoint-6")
    write_json(tmp_path / "checkpoint-6/trainer_state.json", {"global_step": 6, "epoch": 1.5})
    found = facts(tmp_path).checkpoint
    assert found is not None
    assert (found.epoch, found.global_step) == (None, 6)


def test_trainer_checkpoint_without_weights_says_so(tmp_path: Path) -> None:
    trainer_folder(tmp_path / "checkpoint-6")
    (tmp_path / "checkpoint-6/model.safetensors").unlink()
    told = facts(tmp_path)
    assert told.checkpoint is not None
    assert (told.checkpoint.status, told.checkpoint.global_step) == ("truncated", 6)
    assert codes(told)[0] == "missing-weights"


def test_sharded_model_is_added_up_and_missing_shards_are_told(tmp_path: Path) -> None:
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for number, name in enumerate(names):
        write_safetensors(tmp_path / name, {f"w{number}": [2, 2]})
    write_json(tmp_path / "config.json", {"model_type": "llama"})
    index = {"weight_map": {"w0": names[0], "w1": names[1]}}
    write_json(tmp_path / "model.safetensors.index.json", index)
    whole = facts(tmp_path).checkpoint
    (tmp_path / names[1]).unlink()
    broken = facts(tmp_path)

    assert whole is not None
    assert (whole.format, whole.status, whole.parameter_count) == ("hf-model", "readable", 8)
    assert broken.checkpoint is not None
    assert broken.checkpoint.status == "truncated"
    assert broken.checkpoint.reason == "1 of its 2 weight files is missing"
    assert codes(broken) == ["missing-shards"]


def test_adapter_folder_with_a_pointer_in_place_of_its_weights(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": "org/base"})
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 567\n"
    (tmp_path / "adapter_model.safetensors").write_text(pointer)
    told = facts(tmp_path)
    assert told.checkpoint is not None
    assert (told.checkpoint.format, told.checkpoint.status) == ("hf-adapter", "pointer")
    assert told.checkpoint.true_size == 567
    assert Mention("base-model", "org/base") in told.mentions


def test_weights_in_a_pickle_are_judged_in_a_folder_too(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {})
    write_zip(tmp_path / "pytorch_model.bin", [("a/data.pkl", b"cos\nsystem\n.")])
    write_arguments(tmp_path / "training_args.bin", output_dir="x")
    found = facts(tmp_path).checkpoint
    assert found is not None
    assert found.safety == "dangerous"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b'{"global_step": 1e999}'])
def test_damaged_state_does_not_hide_the_weights(tmp_path: Path, content: bytes) -> None:
    trainer_folder(tmp_path / "checkpoint-6")
    (tmp_path / "checkpoint-6/trainer_state.json").write_bytes(content)
    (tmp_path / "checkpoint-6/training_args.bin").write_bytes(content)
    found = facts(tmp_path).checkpoint
    assert found is not None
    assert (found.parameter_count, found.global_step) == (8, None)


def test_tensorflow_prefixes_share_a_folder(tmp_path: Path) -> None:
    for name in (
        "a.index",
        "a.data-00000-of-00001",
        "b.index",
        "b.data-00000-of-00002",
        "lonely.index",
        "checkpoint",
    ):
        (tmp_path / name).write_bytes(b"x")
    found = items(tmp_path)
    assert set(found) == {"a.index", "b.index"}
    assert found["a.index"].parts == ("a.index", "a.data-00000-of-00001")
    whole, broken = facts(tmp_path, "a.index"), facts(tmp_path, "b.index")
    assert whole.checkpoint is not None
    assert (whole.checkpoint.format, whole.checkpoint.status) == ("tf-checkpoint", "recognised")
    assert codes(broken) == ["missing-shards"]


def test_saved_model_and_its_variables_are_one(tmp_path: Path) -> None:
    (tmp_path / "m/variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (tmp_path / "m" / name).write_bytes(b"x")
    (tmp_path / "m/variables/variables.data-00000-of-00001").write_bytes(b"x")
    assert set(items(tmp_path)) == {"m"}


def test_deepspeed_folder_of_lightning(tmp_path: Path) -> None:
    inner = tmp_path / "last.ckpt/checkpoint"
    inner.mkdir(parents=True)
    (tmp_path / "last.ckpt/latest").write_text("checkpoint")
    content = lightning_checkpoint(epoch=2)
    content["module"] = content.pop("state_dict")
    write_torch_zip(inner / "mp_rank_00_model_states.pt", content)
    write_torch_zip(inner / "zero_pp_rank_0_mp_rank_00_optim_states.pt", {})
    told = facts(tmp_path, "last.ckpt")
    assert set(items(tmp_path)) == {"last.ckpt"}
    assert told.checkpoint is not None
    assert (told.checkpoint.format, told.checkpoint.epoch) == ("deepspeed", 2)
    assert told.checkpoint.parameter_count == 16


def test_distributed_folder_tells_its_tensors(tmp_path: Path) -> None:
    folder = tmp_path / "last.ckpt"
    folder.mkdir()
    place = "torch.distributed.checkpoint.metadata"
    properties = FakeObject(
        FakeGlobal(place, "TensorProperties"), (), (FakeGlobal("torch", "bfloat16"), None)
    )
    size = FakeObject(FakeGlobal("torch", "Size"), ((3, 5),))
    tensor = FakeObject(
        FakeGlobal(place, "TensorStorageMetadata"), (), {"properties": properties, "size": size}
    )
    named = {"state_dict.w": tensor, "optimizer_0.state": tensor}
    root = FakeObject(FakeGlobal(place, "Metadata"), (), {"state_dict_metadata": named})
    (folder / ".metadata").write_bytes(pickled(root)[0])
    (folder / "__0_0.distcp").write_bytes(b"x")
    write_torch_zip(folder / "meta.pt", {"epoch": 5, "pytorch-lightning_version": "2.4.0"})
    found = facts(tmp_path).checkpoint
    assert found is not None
    assert (found.format, found.epoch, found.framework) == ("torch-distributed", 5, "lightning")
    assert [(t.name, t.dtype, t.shape) for t in found.tensors] == [
        ("state_dict.w", "bfloat16", (3, 5))
    ]


def test_names_that_are_no_checkpoints_are_left_alone(tmp_path: Path) -> None:
    names = ["config.json", "data.bin", "a.npz", "training_args.bin", "x.index", "a.py"]
    wanted = [
        "epoch=3-step=16-val/a=1,b [x].ckpt",
        "说明.pt",
        "model.h5",
        "best_model.zip",
        "A.PTH",
    ]
    for name in [*names, *wanted]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert set(items(tmp_path)) == set(wanted)


def test_links_are_followed_only_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write_torch_zip(root / "best.ckpt", lightning_checkpoint())
    write_torch_zip(tmp_path / "outside.ckpt", lightning_checkpoint())
    (root / "last.ckpt").symlink_to("best.ckpt")
    (root / "dead.ckpt").symlink_to("gone.ckpt")
    (root / "out.ckpt").symlink_to("../outside.ckpt")
    (root / "app.h5").symlink_to("/nowhere/model-500.h5")

    inside = facts(root, "last.ckpt").checkpoint
    assert inside is not None
    assert inside.status == "readable"
    assert items(root)["last.ckpt"].is_link
    for name, code in (
        ("dead.ckpt", "dead-link"),
        ("out.ckpt", "link-outside"),
        ("app.h5", "link-outside"),
    ):
        told = facts(root, name)
        assert told.checkpoint is None
        assert codes(told) == [code]


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"a.ckpt": "a.ckpt"}, "The link leads to itself."),
        ({"a.ckpt": "./x/../a.ckpt", "x/b": "b"}, "The link leads to itself."),
        (
            {"a.ckpt": "b.ckpt", "b.ckpt": "a.ckpt"},
            "The link leads to links that lead round in a circle.",
        ),
    ],
)
def test_a_link_that_leads_to_itself_is_told_so(
    tmp_path: Path, links: dict[str, str], message: str
) -> None:
    for name, target in links.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    told = facts(tmp_path, "a.ckpt")
    assert told.checkpoint is None
    assert [(one.code, one.message) for one in told.problems] == [("link-loop", message)]


def test_a_fifo_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    told = facts(tmp_path)
    assert told.checkpoint is not None
    assert told.checkpoint.status == "foreign"
    assert codes(told) == ["not-a-file"]


def test_a_directory_with_a_checkpoints_name_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").mkdir()
    told = facts(tmp_path)
    assert told.checkpoint is None
    assert codes(told) == ["directory-named-checkpoint"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_forbidden_file_is_unreadable(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", {})
    path.chmod(0)
    assert codes(facts(tmp_path)) == ["unreadable-file"]


@pytest.mark.parametrize(
    ("content", "form", "status"),
    [
        (b"", "unknown", "empty"),
        (b"\x1f\x8b\x08\0" + b"x" * 100, "gzip", "foreign"),
        (b"Salted__" + b"\x91" * 100, "encrypted", "foreign"),
        (b"<!DOCTYPE html><html>", "text", "foreign"),
        (bytes(5000), "zeros", "unreadable"),
        (b"\x08\x07\x12\x07pytorch", "onnx", "truncated"),
        (b"\x08\x01\x12\xd6\x97\t\n\xfc\x12\x12\xcd\x12", "unknown", "foreign"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 900, "hdf5", "unreadable"),
        (b"\x80\x04}.", "pickle", "foreign"),
        (struct.pack("<Q", 900) + b'{"w"' + b" " * 50, "safetensors", "truncated"),
        (struct.pack("<Q", 1 << 29) + b'{"w"' + b" " * 50, "safetensors", "unreadable"),
    ],
)
def test_the_content_counts_and_not_the_name(
    tmp_path: Path, content: bytes, form: str, status: str
) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    found = checkpoint_of(path)
    assert (found.format, found.status) == (form, status)


def test_lfs_pointer_keeps_the_true_size(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    digest = "0123456789abcdef" * 4
    path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 123456789\n"
    )
    found = checkpoint_of(path)
    assert (found.status, found.true_size) == ("pointer", 123456789)
    assert found.true_sha256 == digest


def test_orbax_item_is_one_checkpoint(tmp_path: Path) -> None:
    item = tmp_path / "500/default"
    (item / "ocdbt.process_0").mkdir(parents=True)
    (item / "d").mkdir()
    (tmp_path / "500/_CHECKPOINT_METADATA").write_text("{}")
    for name in ("_METADATA", "_sharding", "manifest.ocdbt", "ocdbt.process_0/manifest.ocdbt"):
        (item / name).write_bytes(b"{}")
    assert set(items(tmp_path)) == {"500"}
    found = facts(tmp_path).checkpoint
    assert found is not None
    assert (found.format, found.status) == ("orbax", "recognised")


def test_a_tar_suffix_does_not_hide_a_checkpoint_of_torch(tmp_path: Path) -> None:
    write_torch_zip(tmp_path / "model_best.pth.tar", {"state_dict": {"w": FakeTensor(shape=(2,))}})
    found = facts(tmp_path).checkpoint
    assert found is not None
    assert (found.format, found.parameter_count) == ("torch-zip", 2)


def test_other_archives_are_told_by_their_entries(tmp_path: Path) -> None:
    script = write_zip(tmp_path / "s.pt", [("m/data.pkl", b"}."), ("m/constants.pkl", b").")])
    keras = write_zip(
        tmp_path / "k.keras",
        [
            ("metadata.json", b'{"keras_version": "3.5.0"}'),
            ("config.json", b"{}"),
            ("model.weights.h5", b""),
        ],
    )
    inner = write_torch_zip(tmp_path / "policy.pth", {"w": FakeTensor(shape=(3, 3))}).read_bytes()
    (tmp_path / "policy.pth").unlink()
    agent = write_zip(
        tmp_path / "best_model.zip",
        [("data", b"{}"), ("policy.pth", inner), ("_stable_baselines3_version", b"2.1.0")],
    )
    assert checkpoint_of(script).format == "torchscript"
    found = checkpoint_of(keras)
    assert (found.format, found.framework_version) == ("keras-zip", "3.5.0")
    found = checkpoint_of(agent)
    assert (found.format, found.framework_version) == ("sb3-zip", "2.1.0")
    assert (found.parameter_count, found.safety) == (9, None)


def test_safetensors_tells_tensors_and_what_is_missing(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"w": [100, 2]}, ss_epoch="3")
    whole = checkpoint_of(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 300)
    cut = facts_of(path)
    assert (whole.status, whole.parameter_count, whole.tensor_bytes) == ("readable", 200, 800)
    assert (whole.safety, whole.hyper_parameters) == ("plain", {"ss_epoch": "3"})
    assert cut.checkpoint is not None
    assert cut.checkpoint.status == "truncated"
    assert cut.checkpoint.reason is not None
    assert cut.checkpoint.reason.startswith("300 of ")
    assert codes(cut) == ["truncated-checkpoint"]


@pytest.mark.parametrize(
    "header", ["[]", "nonsense", '{"w": 1}', '{"w": {"dtype": "F32", "shape": [-1]}}', "[" * 9000]
)
def test_damaged_safetensors_are_unreadable(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.safetensors"
    text = header.encode() if header.startswith("{") else b"{" + header.encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    assert checkpoint_of(path).status == "unreadable"
