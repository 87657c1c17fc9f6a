"""Hugging Face folders and pipelines: the weights that a loader would take, and whether it could.

The verdicts are those of transformers 5.24, except where a comment says otherwise.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog
from tests.support.checkpoint_reading import codes, facts, items
from tests.support.torch_files import FakeGlobal, FakeObject, FakeTensor, write_torch_zip
from tests.support.trainer_files import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Checkpoint

SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def sharded(folder: Path, *, index: bool = True, left: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Write a model of three shards."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {"model_type": "llama"})
    for number in left:
        write_safetensors(folder / SHARDS[number], {f"layer{number}.weight": [2, 2]})
    if index:
        mapping = {f"layer{number}.weight": name for number, name in enumerate(SHARDS)}
        write_json(folder / "model.safetensors.index.json", {"weight_map": mapping})
    return folder


def checkpoint(root: Path, path: str | None = None) -> Checkpoint:
    found = facts(root, path).checkpoint
    assert found is not None
    return found


def test_a_whole_model_of_shards_is_readable(tmp_path: Path) -> None:
    found = checkpoint(sharded(tmp_path))
    assert (found.status, found.reason, found.parameter_count) == ("readable", None, 12)


@pytest.mark.parametrize(
    ("index", "left", "reason"),
    [
        (True, (0, 2), "1 of its 3 weight files is missing"),
        (True, (1,), "2 of its 3 weight files are missing"),
        (True, (), "3 of its 3 weight files are missing"),
        (False, (0, 2), "1 of its 3 weight files is missing"),
        (False, (2,), "2 of its 3 weight files are missing"),
        (
            False,
            (0, 1, 2),
            "model.safetensors.index.json is missing, by which its weight files are found",
        ),
    ],
)
def test_shards_that_are_missing_are_told_by_index_and_by_name(
    tmp_path: Path, index: bool, left: tuple[int, ...], reason: str
) -> None:
    sharded(tmp_path, index=index, left=left)
    told = facts(tmp_path)
    assert told.checkpoint is not None
    assert (told.checkpoint.status, told.checkpoint.reason) == ("truncated", reason)
    assert codes(told) == ["missing-shards"]


def test_an_index_that_names_a_tensor_its_shard_does_not_hold(tmp_path: Path) -> None:
    sharded(tmp_path)
    mapping = {"layer0.weight": SHARDS[0], "gone": SHARDS[1], "layer2.weight": SHARDS[2]}
    write_json(tmp_path / "model.safetensors.index.json", {"weight_map": mapping})
    found = checkpoint(tmp_path)
    assert found.status == "truncated"
    assert found.reason == f"its index is wrong: gone is not in {SHARDS[1]}"


def test_an_index_may_name_another_of_the_files_for_a_tensor(tmp_path: Path) -> None:
    # transformers loads all files that the index names, whatever it says is in which.
    sharded(tmp_path)
    mapping = {f"layer{number}.weight": SHARDS[2 - number] for number in range(3)}
    write_json(tmp_path / "model.safetensors.index.json", {"weight_map": mapping})
    assert checkpoint(tmp_path).status == "readable"


def test_an_index_that_cannot_be_read_makes_the_folder_unreadable(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{")
    assert checkpoint(tmp_path).status == "unreadable"


def test_a_shard_that_safetensors_refuses_makes_the_folder_unreadable(tmp_path: Path) -> None:
    sharded(tmp_path)
    with (tmp_path / SHARDS[1]).open("ab") as file:
        file.write(b"x")
    found = checkpoint(tmp_path)
    assert found.status == "unreadable"
    assert str(found.reason).startswith(f"{SHARDS[1]}: ")
    assert "MetadataIncompleteBuffer" in str(found.reason)


def test_a_cut_shard_makes_the_folder_truncated(tmp_path: Path) -> None:
    sharded(tmp_path)
    path = tmp_path / SHARDS[2]
    path.write_bytes(path.read_bytes()[:-4])
    assert checkpoint(tmp_path).status == "truncated"


def placeholders(path: Path, empty: int, others: int) -> None:
    header: dict[str, Any] = {}
    for number in range(empty):
        header[f"p{number}"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    for number in range(others):
        offsets = [number * 4, number * 4 + 4]
        header[f"b{number}"] = {"dtype": "F32", "shape": [1], "data_offsets": offsets}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4 * others))


@pytest.mark.parametrize(
    ("empty", "others", "reason"),
    [
        (3, 0, "all 3 tensors are empty"),
        (2, 1, "all 3 tensors but 1 are empty"),
        (40, 10, "all 50 tensors but 10 are empty"),
        (0, 0, "it holds no tensor"),
        (1, 1, None),  # one that is empty by itself is ordinary
        (1, 9, None),
    ],
)
def test_placeholders_of_zero_3_are_no_weights(
    tmp_path: Path, empty: int, others: int, reason: str | None
) -> None:
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    placeholders(tmp_path / "model.safetensors", empty, others)
    found = checkpoint(tmp_path)
    assert found.status == ("readable" if reason is None else "truncated")
    assert (found.reason is None and reason is None) or str(reason) in str(found.reason)


def test_placeholders_in_torch_files_are_no_weights(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    state = {"a": FakeTensor(shape=(0,)), "b": FakeTensor(shape=(0,)), "c": FakeTensor(shape=(2,))}
    write_torch_zip(tmp_path / "pytorch_model.bin", state)
    assert checkpoint(tmp_path).reason == "all 3 tensors but 1 are empty"


def test_safetensors_come_before_what_is_left_of_an_older_save(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    write_safetensors(tmp_path / "model.safetensors", {"w": [2, 2]})
    write_safetensors(tmp_path / SHARDS[0], {"w": [9, 9]})
    (tmp_path / "pytorch_model.bin").write_bytes(b"junk")
    found = checkpoint(tmp_path)
    assert (found.status, found.parameter_count) == ("readable", 4)


def test_torch_files_are_taken_where_shards_of_safetensors_have_no_index(tmp_path: Path) -> None:
    sharded(tmp_path, index=False)
    write_torch_zip(tmp_path / "pytorch_model.bin", {"w": FakeTensor(shape=(3,))})
    found = checkpoint(tmp_path)
    assert (found.status, found.parameter_count) == ("readable", 3)


@pytest.mark.parametrize("name", ["model.fp16.safetensors", "pytorch_model.bf16.bin"])
def test_a_variant_alone_is_read(tmp_path: Path, name: str) -> None:
    # transformers takes it with `variant="fp16"`.
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    if name.endswith(".bin"):
        write_torch_zip(tmp_path / name, {"w": FakeTensor(shape=(2, 2))})
    else:
        write_safetensors(tmp_path / name, {"w": [2, 2]})
    found = checkpoint(tmp_path)
    assert (found.status, found.parameter_count) == ("readable", 4)


def test_an_adapter_without_its_weights_is_told(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": "org/base"})
    told = facts(tmp_path)
    assert told.checkpoint is not None
    assert (told.checkpoint.format, told.checkpoint.status) == ("hf-adapter", "truncated")
    assert "adapter_model.safetensors" in str(told.checkpoint.reason)


PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": [None, None],
    "requires_safety_checker": False,
}


def pipeline(folder: Path) -> Path:
    for name in ("unet", "vae", "scheduler", "tokenizer"):
        (folder / name).mkdir(parents=True)
    write_json(folder / "model_index.json", PIPELINE)
    for name in ("unet", "vae"):
        write_json(folder / name / "config.json", {})
        write_safetensors(
            folder / name / "diffusion_pytorch_model.safetensors", {f"{name}.w": [2, 3]}
        )
    write_json(folder / "scheduler/scheduler_config.json", {})
    write_json(folder / "tokenizer/tokenizer_config.json", {})
    return folder


def test_a_pipeline_is_one_checkpoint_with_its_components(tmp_path: Path) -> None:
    pipeline(tmp_path / "sd")
    assert set(items(tmp_path)) == {"sd"}
    found = checkpoint(tmp_path)
    assert (found.format, found.status, found.framework) == ("hf-pipeline", "readable", "diffusers")
    assert found.framework_version == "0.30.0"
    assert found.parameter_count == 12
    assert [tensor.name for tensor in found.tensors] == ["unet.unet.w", "vae.vae.w"]


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "the weights of its unet are missing"),
        ("scheduler/scheduler_config.json", "its scheduler is missing"),
    ],
)
def test_a_component_without_its_files_is_told(tmp_path: Path, lost: str, reason: str) -> None:
    pipeline(tmp_path / "sd")
    (tmp_path / "sd" / lost).unlink()
    told = facts(tmp_path)
    assert told.checkpoint is not None
    assert (told.checkpoint.status, told.checkpoint.reason) == ("truncated", reason)
    assert codes(told) == ["missing-component"]


def test_a_damaged_component_makes_the_pipeline_so(tmp_path: Path) -> None:
    pipeline(tmp_path / "sd")
    with (tmp_path / "sd/vae/diffusion_pytorch_model.safetensors").open("ab") as file:
        file.write(b"x")
    found = checkpoint(tmp_path)
    assert found.status == "unreadable"
    assert str(found.reason).startswith("its vae: 1 byte")


def test_a_pipeline_whose_index_is_damaged_is_unreadable(tmp_path: Path) -> None:
    (pipeline(tmp_path / "sd") / "model_index.json").write_text("{")
    assert checkpoint(tmp_path).status == "unreadable"


def test_a_training_checkpoint_inside_a_pipeline_is_one_of_its_own(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "sd") / "checkpoint-500/unet"
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {})
    write_safetensors(folder / "diffusion_pytorch_model.safetensors", {"w": [2, 2]})
    assert set(items(tmp_path)) == {"sd", "sd/checkpoint-500/unet"}


def test_a_whole_pipeline_is_usable_and_one_without_a_component_is_not(tmp_path: Path) -> None:
    pipeline(tmp_path / "tree/whole")
    pipeline(tmp_path / "tree/broken")
    (tmp_path / "tree/broken/unet/diffusion_pytorch_model.safetensors").unlink()
    catalog = Catalog(tmp_path / "x.db")
    catalog.ingest(tmp_path / "tree")
    states = {row["path"]: row["state"] for row in catalog.query("checkpoints").dicts()}
    assert states["whole"] == "usable"
    assert states["broken"] != "usable"


def test_what_reads_a_weight_file_is_told_by_its_name(tmp_path: Path) -> None:
    """Transformers gives `.safetensors` to safetensors and all else to torch, and fails."""
    for name in ("torch", "safetensors"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "config.json", {"model_type": "bert"})
    write_torch_zip(tmp_path / "torch/model.safetensors", {"a.weight": FakeTensor(shape=(2,))})
    write_safetensors(tmp_path / "safetensors/pytorch_model.bin", {"a.weight": [2, 2]})
    for name in ("torch", "safetensors"):
        found = checkpoint(tmp_path, name)
        assert found.status == "unreadable"
        assert "under the name of" in str(found.reason)


ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "org/base"}


@pytest.mark.parametrize(
    ("config", "status", "reason"),
    [
        ({"model_type": "bert"}, "readable", None),
        ({"_class_name": "UNet2DModel"}, "readable", None),
        ({"architecture": "resnet18"}, "readable", None),
        ({"auto_map": {"AutoConfig": "configuration_x.XConfig"}}, "readable", None),
        ({"hidden_size": 4}, "recognised", "has no model_type"),
        ({"model_type": None}, "recognised", "has no model_type"),
        ([], "unreadable", "no JSON object"),
        (None, "unreadable", "no JSON object"),
    ],
)
def test_a_model_is_whole_with_the_config_that_its_loader_takes(
    tmp_path: Path, config: Any, status: str, reason: str | None
) -> None:
    write_json(tmp_path / "config.json", config)
    write_safetensors(tmp_path / "model.safetensors", {"w": [2, 2]})
    found = checkpoint(tmp_path)
    assert found.status == status
    assert (found.reason is None) == (reason is None)
    assert str(reason or "") in str(found.reason)


def test_a_config_that_is_no_json_does_not_make_a_folder_usable(tmp_path: Path) -> None:
    for name, file in (("config.json", "model"), ("adapter_config.json", "adapter_model")):
        folder = tmp_path / "tree" / file
        folder.mkdir(parents=True)
        (folder / name).write_text("{")
        write_safetensors(folder / f"{file}.safetensors", {"w": [2, 2]})
    (tmp_path / "tree" / "config.yaml").write_text("model: {width: 8}\n")
    catalog = Catalog(tmp_path / "x.db")
    catalog.ingest(tmp_path / "tree")
    states = {row["path"]: row["state"] for row in catalog.query("checkpoints").dicts()}
    assert states == {"model": "damaged", "adapter_model": "damaged"}


def test_weights_that_lost_their_config_are_neither_usable_nor_damaged(tmp_path: Path) -> None:
    # Trainer saves a plain module without one.
    trained = tmp_path / "tree/checkpoint-5"
    sharded(tmp_path / "tree/shards")
    (tmp_path / "tree/shards/config.json").unlink()
    trained.mkdir()
    write_json(trained / "trainer_state.json", {"global_step": 5})
    write_safetensors(trained / "model.safetensors", {"w": [2, 2]})
    (tmp_path / "tree" / "config.yaml").write_text("model: {width: 8}\n")
    catalog = Catalog(tmp_path / "x.db")
    catalog.ingest(tmp_path / "tree")
    states = {row["path"]: row["state"] for row in catalog.query("checkpoints").dicts()}
    assert states == {"checkpoint-5": "unchecked", "shards": "unchecked"}
    assert "it has no config.json" in str(checkpoint(tmp_path / "tree", "shards").reason)


def test_an_adapter_needs_the_config_that_peft_takes(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": "org/base"})
    write_safetensors(tmp_path / "adapter_model.safetensors", {"w": [2, 2]})
    found = checkpoint(tmp_path)
    assert (found.status, "peft_type" in str(found.reason)) == ("unreadable", True)


HALVES = [
    "a.q.lora_A.weight", "a.q.lora_B.weight", "a.q.lora_B.bias", "a.v.lora_A.x.weight",
    "a.v.lora_B.x.weight", "a.e.lora_embedding_A", "a.e.lora_embedding_B", "head.weight",
]  # fmt: skip


@pytest.mark.parametrize("lost", [None, *(name for name in HALVES if "lora" in name)])
def test_each_half_of_an_adapter_has_its_other(tmp_path: Path, lost: str | None) -> None:
    write_json(tmp_path / "adapter_config.json", ADAPTER)
    tensors = {name: [2, 2] for name in HALVES if name != lost}
    write_safetensors(tmp_path / "adapter_model.safetensors", tensors)
    found = checkpoint(tmp_path)
    if lost is None or lost.endswith(".bias"):
        assert (found.status, found.reason) == ("readable", None)
    else:
        assert (found.status, found.reason) == ("truncated", f"its tensor {lost} is missing")


def test_weights_in_a_pickle_are_those_that_torch_takes_by_default(tmp_path: Path) -> None:
    weights = {"w": FakeTensor(shape=(2, 2))}
    where = FakeObject(FakeGlobal("pathlib", "PosixPath"), ("a",), None)
    for name, content in (("good", weights), ("bad", {**weights, "path": where})):
        folder = tmp_path / name
        folder.mkdir()
        write_json(folder / "config.json", {"model_type": "bert"})
        write_torch_zip(folder / "pytorch_model.bin", content)
    assert checkpoint(tmp_path, "good").status == "readable"
    found = checkpoint(tmp_path, "bad")
    assert (found.status, found.weights_fingerprint) == ("unreadable", None)
    assert "torch.load" in str(found.reason)


@pytest.mark.parametrize(
    ("name", "content", "status", "reason"),
    [
        ("unet/config.json", None, "truncated", "its unet: config.json is missing"),
        ("unet/config.json", "[]", "unreadable", "its unet: its config.json is no JSON object"),
        ("scheduler/scheduler_config.json", "{", "unreadable", "its scheduler: its scheduler_"),
    ],
)
def test_a_component_needs_its_config(
    tmp_path: Path, name: str, content: str | None, status: str, reason: str
) -> None:
    path = pipeline(tmp_path / "sd") / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    found = checkpoint(tmp_path)
    assert found.status == status
    assert str(found.reason).startswith(reason)
