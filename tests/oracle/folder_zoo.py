"""The zoo's folders: Hugging Face, pipelines, adapters, DeepSpeed, torch.distributed, Orbax."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save

from tests.oracle.models import numbers
from tests.oracle.variants import saved

if TYPE_CHECKING:
    from tests.oracle.damage import Zoo

TRAINER_STATE = json.dumps(
    {"epoch": 1.0, "global_step": 100, "max_steps": 300, "log_history": []}
).encode()


def bert(seed: int = 0) -> Any:
    """Return a Bert of one small layer."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    model = BertForMaskedLM(config)
    with torch.no_grad():
        for place, value in enumerate(model.parameters()):
            value.copy_(numbers(seed * 100 + place, *value.shape))
    return model.eval()


def raw_bytes(tensor: Any) -> bytes:
    """Return a tensor's numbers as a file holds them."""
    raw: bytes = tensor.detach().contiguous().numpy().tobytes()
    return raw


def _huggingface(folder: Path, seed: int, **options: Any) -> Path:
    bert(seed).save_pretrained(folder, **options)
    return folder


def fill_huggingface(zoo: Zoo, made: Path) -> None:
    """Add model folders: one file, a pickle, shards with their index."""
    judge = "transformers"
    data = raw_bytes(bert(0).state_dict()["bert.encoder.layer.0.intermediate.dense.weight"])
    source = _huggingface(made / "hf", 0)
    weights = "model.safetensors"
    zoo.damage_folder(
        "hf-folder", "tiny-bert", judge, source, weights, [weights, "config.json"], data
    )
    state = load_file(source / weights)
    empty = {name: torch.zeros(0) for name in state}
    some = {name: value for name, value in state.items() if "attention" not in name}
    strange = {f"other.{name}": value for name, value in state.items()}
    cut = {**state, "cls.predictions.bias": torch.zeros(3)}

    def change(damage: str, parts: dict[str, bytes | None], note: str, **more: Any) -> None:
        zoo.change_folder("hf-folder", damage, "tiny-bert", judge, source, parts, note, **more)

    kind = {"format": "pt"}
    change("part missing", {weights: save(empty, kind)}, "all tensors are empty", is_model=False)
    change(
        "part missing",
        {weights: save(some, kind)},
        "without the attention's tensors",
        is_told_by_code=True,
    )
    change("part missing", {weights: save({}, kind)}, "a file without a tensor", is_model=False)
    change(
        "wrong type",
        {weights: save(strange, kind)},
        "names of another model",
        is_told_by_code=True,
    )
    change(
        "wrong type",
        {weights: save(cut, kind)},
        "a shape against the config",
        is_told_by_code=True,
    )
    change("wrong type", {"config.json": b"[]"}, "the config is a list")
    change("wrong type", {"config.json": b"{"}, "the config is no JSON")
    change("other writer", {weights: save(state)}, "no metadata in the weights")
    change("other writer", {"generation_config.json": b"{}", "README.md": b"# tiny"}, "more beside")
    shutil.copytree(
        _huggingface(made / "hf1", 1),
        zoo.place("hf-folder", "whole", "tiny-bert", judge, "another seed"),
    )
    _fill_bin(zoo, made, source, state)
    _fill_shards(zoo, made, data)


def _fill_bin(zoo: Zoo, made: Path, source: Path, state: dict[str, Any]) -> None:
    kind, judge, weights = "hf-folder-bin", "transformers", "pytorch_model.bin"
    folder = made / "bin"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(state, folder / weights)
    data = raw_bytes(state["bert.encoder.layer.0.intermediate.dense.weight"])
    zoo.damage_folder(kind, "tiny-bert", judge, folder, weights, [weights, "config.json"], data)
    empty = saved({name: torch.zeros(0) for name in state})
    optimizer = saved(
        {
            "state": {0: {"step": 1, "exp_avg": torch.zeros(3)}},
            "param_groups": [{"lr": 0.1, "params": [0]}],
        }
    )
    for damage, content, note, is_model in (
        ("part missing", empty, "all tensors are empty", False),
        ("wrong type", optimizer, "an optimizer's state for weights", False),
        ("other writer", saved(state, _use_new_zipfile_serialization=False), "legacy", True),
        ("other writer", saved(state, pickle_protocol=4), "protocol 4", True),
    ):
        zoo.change_folder(
            kind, damage, "tiny-bert", judge, folder, {weights: content}, note, is_model=is_model
        )


def _fill_shards(zoo: Zoo, made: Path, data: bytes) -> None:
    kind, judge, index = "hf-shards", "transformers", "model.safetensors.index.json"
    source = _huggingface(made / "shards", 0, max_shard_size="5KB")
    shards = sorted(path.name for path in source.glob("*.safetensors"))
    holder = next(name for name in shards if data in (source / name).read_bytes())
    zoo.damage_folder(
        kind, "tiny-bert", judge, source, holder, [*shards, index, "config.json"], data
    )
    listed = json.loads((source / index).read_text())
    names = listed["weight_map"]
    extra = {**listed, "weight_map": {**names, "bert.more.weight": shards[0]}}
    moved = {
        **listed,
        "weight_map": {**names, min(names): shards[-1], sorted(names)[1]: shards[-1]},
    }
    lost = {**listed, "weight_map": {**names, min(names): "model-00009-of-00009.safetensors"}}
    fewer = {**listed, "weight_map": {name: names[name] for name in sorted(names)[3:]}}
    for damage, content, note in (
        (
            "part missing",
            json.dumps(extra).encode(),
            "the index names a tensor that no shard holds",
        ),
        ("part missing", json.dumps(lost).encode(), "the index names a shard that is not there"),
        ("part missing", json.dumps(moved).encode(), "the index names another shard than holds it"),
        ("part missing", json.dumps(fewer).encode(), "the index leaves out tensors"),
        ("wrong type", b"[]", "the index is a list"),
        ("wrong type", b'{"weight_map": 3}', "the index's map is a number"),
        ("wrong type", b"{", "the index is no JSON"),
    ):
        zoo.change_folder(kind, damage, "tiny-bert", judge, source, {index: content}, note)
    _fill_bin_shards(zoo, made, source, shards, names)
    other = made / "shards-alone"
    shutil.copytree(source, other, ignore=shutil.ignore_patterns("*.index.json"))
    alone = "hf-shards-alone"
    for part in ([], [shards[0]], [shards[-1]], shards[1:]):
        note = (
            "no index, all shards"
            if not part
            else f"no index, without {len(part)} of {len(shards)}: {part[0]}"
        )
        zoo.change_folder(
            alone, "part missing", "tiny-bert", judge, other, dict.fromkeys(part), note
        )
    for damage in (
        "whole",
        "cut near the start",
        "cut in the middle",
        "cut by a byte",
        "bit flipped in data",
        "bit flipped in structure",
        "wrong type",
        "other writer",
    ):
        zoo.empty(
            alone, damage, "a folder of shards without an index is a folder with a part missing"
        )


def _fill_bin_shards(
    zoo: Zoo, made: Path, source: Path, shards: list[str], names: dict[str, str]
) -> None:
    folder = made / "bin-shards"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    renamed = {
        name: name.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        for name in shards
    }
    for name in shards:
        torch.save(load_file(source / name), folder / renamed[name])
    content = {
        "metadata": {"total_size": 1},
        "weight_map": {key: renamed[name] for key, name in names.items()},
    }
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(content))
    zoo.change_folder(
        "hf-shards", "other writer", "tiny-bert", "transformers", folder, {}, "shards are pickles"
    )
    zoo.change_folder(
        "hf-shards",
        "part missing",
        "tiny-bert",
        "transformers",
        folder,
        {renamed[shards[0]]: None},
        "shards are pickles, one is missing",
    )


def fill_trainer(zoo: Zoo, made: Path) -> None:
    """Add a checkpoint of the Trainer: the model, its state, the optimizer."""
    kind, judge, weights = "hf-trainer", "transformers", "model.safetensors"
    source = _huggingface(made / "trainer", 0)
    (source / "trainer_state.json").write_bytes(TRAINER_STATE)
    torch.save(
        {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}, source / "optimizer.pt"
    )
    torch.save({"last_epoch": 1, "_last_lr": [0.1]}, source / "scheduler.pt")
    torch.save({"seed": 1, "per_device_train_batch_size": 8}, source / "training_args.bin")
    data = raw_bytes(bert(0).state_dict()["bert.encoder.layer.0.intermediate.dense.weight"])
    parts = [weights, "config.json", "optimizer.pt", "trainer_state.json"]
    zoo.damage_folder(kind, "checkpoint-100", judge, source, weights, parts, data)
    zoo.change_folder(
        kind,
        "wrong type",
        "checkpoint-100",
        judge,
        source,
        {"trainer_state.json": b"[]"},
        "the state is a list",
    )
    state = load_file(source / weights)
    changes: dict[str, bytes | None] = {weights: None, "pytorch_model.bin": saved(state)}
    zoo.change_folder(
        kind, "other writer", "checkpoint-100", judge, source, changes, "weights are a pickle"
    )


def fill_peft(zoo: Zoo, made: Path) -> None:
    """Add adapters."""
    from peft import LoraConfig, get_peft_model

    kind, judge, weights = "peft-adapter", "peft", "adapter_model.safetensors"
    sources = []
    for seed in (0, 1):
        model = get_peft_model(bert(0), LoraConfig(r=2, target_modules=["query", "value"]))
        with torch.no_grad():
            for place, (name, value) in enumerate(model.named_parameters()):
                if "lora_" in name:
                    value.copy_(numbers(seed * 100 + place, *value.shape))
        model.save_pretrained(made / f"peft{seed}")
        sources.append(made / f"peft{seed}")
    source = sources[0]
    state = load_file(source / weights)
    data = raw_bytes(next(iter(state.values())))
    zoo.damage_folder(
        kind, "adapter", judge, source, weights, [weights, "adapter_config.json"], data
    )
    shutil.copytree(sources[1], zoo.place(kind, "whole", "adapter", judge, "another seed"))
    fewer = dict(list(state.items())[1:])
    zoo.change_folder(
        kind, "part missing", "adapter", judge, source, {weights: save(fewer)}, "without a tensor"
    )
    zoo.change_folder(
        kind,
        "wrong type",
        "adapter",
        judge,
        source,
        {"adapter_config.json": b"{"},
        "the config is no JSON",
    )
    changes: dict[str, bytes | None] = {weights: None, "adapter_model.bin": saved(state)}
    zoo.change_folder(
        kind, "other writer", "adapter", judge, source, changes, "weights are a pickle"
    )


def fill_pipeline(zoo: Zoo, made: Path) -> None:
    """Add pipelines of diffusers."""
    import diffusers

    torch.manual_seed(0)
    common = {"block_out_channels": (8,), "norm_num_groups": 4, "layers_per_block": 1}
    unet = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        **common,
    )
    vqvae = diffusers.VQModel(num_vq_embeddings=8, latent_channels=3, sample_size=8, **common)
    source = made / "pipeline"
    diffusers.LDMPipeline(
        vqvae=vqvae, unet=unet, scheduler=diffusers.DDIMScheduler()
    ).save_pretrained(source)
    kind, name, judge, file = (
        "pipeline",
        "ldm",
        "diffusers",
        "diffusion_pytorch_model.safetensors",
    )
    data = raw_bytes(unet.conv_in.weight)
    parts = [
        f"unet/{file}",
        f"vqvae/{file}",
        "unet/config.json",
        "scheduler",
        "unet",
        "vqvae",
        "model_index.json",
    ]
    zoo.damage_folder(kind, name, judge, source, f"unet/{file}", parts, data)
    index = json.loads((source / "model_index.json").read_text())
    more = json.dumps({**index, "safety_checker": ["diffusers", "UNet2DModel"]}).encode()
    for damage, content, note in (
        ("part missing", more, "the index names a component that is not there"),
        ("wrong type", b"[]", "the index is a list"),
        ("wrong type", b"{", "the index is no JSON"),
    ):
        zoo.change_folder(kind, damage, name, judge, source, {"model_index.json": content}, note)
    state = load_file(source / "unet" / file)
    fewer = dict(list(state.items())[3:])
    zoo.change_folder(
        kind,
        "part missing",
        name,
        judge,
        source,
        {f"unet/{file}": save(fewer)},
        "a component without some tensors",
        is_told_by_code=True,
    )
    changes: dict[str, bytes | None] = {
        f"unet/{file}": None,
        "unet/diffusion_pytorch_model.bin": saved(state),
    }
    zoo.change_folder(
        kind, "other writer", name, judge, source, changes, "weights of a component are a pickle"
    )
    optional = json.dumps({**index, "feature_extractor": [None, None]}).encode()
    zoo.change_folder(
        kind,
        "other writer",
        name,
        judge,
        source,
        {"model_index.json": optional},
        "a component that is none",
    )
