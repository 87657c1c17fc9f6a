"""The zoo's folders: Hugging Face, pipelines, adapters, DeepSpeed, torch.distributed, Orbax."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save

from tests.oracle.models import numbers
from tests.oracle.torch_zoo import saved

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


def _bytes(tensor: Any) -> bytes:
    raw: bytes = tensor.detach().contiguous().numpy().tobytes()
    return raw


def _huggingface(folder: Path, seed: int, **options: Any) -> Path:
    bert(seed).save_pretrained(folder, **options)
    return folder


def fill_huggingface(zoo: Zoo, made: Path) -> None:
    """Add model folders: one file, a pickle, shards with their index."""
    judge = "transformers"
    data = _bytes(bert(0).state_dict()["bert.encoder.layer.0.intermediate.dense.weight"])
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

    format = {"format": "pt"}
    change("part missing", {weights: save(empty, format)}, "all tensors are empty", is_model=False)
    change(
        "part missing",
        {weights: save(some, format)},
        "without the attention's tensors",
        is_told_by_code=True,
    )
    change("part missing", {weights: save({}, format)}, "a file without a tensor", is_model=False)
    change(
        "wrong type",
        {weights: save(strange, format)},
        "names of another model",
        is_told_by_code=True,
    )
    change(
        "wrong type",
        {weights: save(cut, format)},
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
    format, judge, weights = "hf-folder-bin", "transformers", "pytorch_model.bin"
    folder = made / "bin"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(state, folder / weights)
    data = _bytes(state["bert.encoder.layer.0.intermediate.dense.weight"])
    zoo.damage_folder(format, "tiny-bert", judge, folder, weights, [weights, "config.json"], data)
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
            format, damage, "tiny-bert", judge, folder, {weights: content}, note, is_model=is_model
        )


def _fill_shards(zoo: Zoo, made: Path, data: bytes) -> None:
    format, judge, index = "hf-shards", "transformers", "model.safetensors.index.json"
    source = _huggingface(made / "shards", 0, max_shard_size="5KB")
    shards = sorted(path.name for path in source.glob("*.safetensors"))
    holder = next(name for name in shards if data in (source / name).read_bytes())
    zoo.damage_folder(
        format, "tiny-bert", judge, source, holder, [*shards, index, "config.json"], data
    )
    listed = json.loads((source / index).read_text())
    names = listed["weight_map"]
    extra = {**listed, "weight_map": {**names, "bert.more.weight": shards[0]}}
    moved = {
        **listed,
        "weight_map": {**names, sorted(names)[0]: shards[-1], sorted(names)[1]: shards[-1]},
    }
    lost = {**listed, "weight_map": {**names, sorted(names)[0]: "model-00009-of-00009.safetensors"}}
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
        zoo.change_folder(format, damage, "tiny-bert", judge, source, {index: content}, note)
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
    format, judge, weights = "hf-trainer", "transformers", "model.safetensors"
    source = _huggingface(made / "trainer", 0)
    (source / "trainer_state.json").write_bytes(TRAINER_STATE)
    torch.save(
        {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}, source / "optimizer.pt"
    )
    torch.save({"last_epoch": 1, "_last_lr": [0.1]}, source / "scheduler.pt")
    torch.save({"seed": 1, "per_device_train_batch_size": 8}, source / "training_args.bin")
    data = _bytes(bert(0).state_dict()["bert.encoder.layer.0.intermediate.dense.weight"])
    parts = [weights, "config.json", "optimizer.pt", "trainer_state.json"]
    zoo.damage_folder(format, "checkpoint-100", judge, source, weights, parts, data)
    zoo.change_folder(
        format,
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
        format, "other writer", "checkpoint-100", judge, source, changes, "weights are a pickle"
    )


def fill_peft(zoo: Zoo, made: Path) -> None:
    """Add adapters."""
    from peft import LoraConfig, get_peft_model

    format, judge, weights = "peft-adapter", "peft", "adapter_model.safetensors"
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
    data = _bytes(next(iter(state.values())))
    zoo.damage_folder(
        format, "adapter", judge, source, weights, [weights, "adapter_config.json"], data
    )
    shutil.copytree(sources[1], zoo.place(format, "whole", "adapter", judge, "another seed"))
    fewer = dict(list(state.items())[1:])
    zoo.change_folder(
        format, "part missing", "adapter", judge, source, {weights: save(fewer)}, "without a tensor"
    )
    zoo.change_folder(
        format,
        "wrong type",
        "adapter",
        judge,
        source,
        {"adapter_config.json": b"{"},
        "the config is no JSON",
    )
    changes: dict[str, bytes | None] = {weights: None, "adapter_model.bin": saved(state)}
    zoo.change_folder(
        format, "other writer", "adapter", judge, source, changes, "weights are a pickle"
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
    format, name, judge, file = (
        "pipeline",
        "ldm",
        "diffusers",
        "diffusion_pytorch_model.safetensors",
    )
    data = _bytes(unet.conv_in.weight)
    parts = [
        f"unet/{file}",
        f"vqvae/{file}",
        "unet/config.json",
        "scheduler",
        "unet",
        "vqvae",
        "model_index.json",
    ]
    zoo.damage_folder(format, name, judge, source, f"unet/{file}", parts, data)
    index = json.loads((source / "model_index.json").read_text())
    more = json.dumps({**index, "safety_checker": ["diffusers", "UNet2DModel"]}).encode()
    for damage, content, note in (
        ("part missing", more, "the index names a component that is not there"),
        ("wrong type", b"[]", "the index is a list"),
        ("wrong type", b"{", "the index is no JSON"),
    ):
        zoo.change_folder(format, damage, name, judge, source, {"model_index.json": content}, note)
    state = load_file(source / "unet" / file)
    fewer = dict(list(state.items())[3:])
    zoo.change_folder(
        format,
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
        format, "other writer", name, judge, source, changes, "weights of a component are a pickle"
    )
    optional = json.dumps({**index, "feature_extractor": [None, None]}).encode()
    zoo.change_folder(
        format,
        "other writer",
        name,
        judge,
        source,
        {"model_index.json": optional},
        "a component that is none",
    )


def _flat_groups(state: dict[str, Any], ranks: int, stage: int) -> list[list[Any]]:
    """Return each rank's part of the flat parameters, as ZeRO partitions them."""
    if stage == 3:  # each parameter is cut into equal, padded parts
        parts = [
            torch.nn.functional.pad(v.flatten(), (0, -v.numel() % ranks)).chunk(ranks)
            for v in state.values()
        ]
        return [[torch.cat([part[rank] for part in parts])] for rank in range(ranks)]
    flat = torch.cat([value.flatten() for value in state.values()])
    flat = torch.nn.functional.pad(flat, (0, -flat.numel() % (2 * ranks)))
    return [[part.clone()] for part in flat.chunk(ranks)]


def _deepspeed(folder: Path, tag: str, stage: int, seed: int = 0, ranks: int = 2) -> Path:
    """Write what DeepSpeed's `save_checkpoint` leaves: deepspeed/runtime/engine.py."""
    state = {"embed.weight": numbers(seed + 1, 16, 8), "fc.weight": numbers(seed + 2, 8, 8)}
    shapes = [{name: value.shape for name, value in state.items()}]
    buffers = {"rotary.inv_freq": numbers(seed + 3, 4)}
    (folder / tag).mkdir(parents=True)
    (folder / "latest").write_text(tag)
    held = (
        {name: torch.zeros(0) for name in state}
        if stage == 3
        else {name: value.bfloat16() for name, value in state.items()}
    )
    common = {
        "buffer_names": list(buffers),
        "param_shapes": shapes,
        "frozen_param_shapes": None,
        "frozen_param_fragments": None,
        "shared_params": {},
        "ds_version": "0.14.0",
        "global_steps": 100,
        "dp_world_size": ranks,
        "mp_world_size": 1,
    }
    names = (
        ["mp_rank_00_model_states.pt"]
        if stage < 3
        else [f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt" for rank in range(ranks)]
    )
    for name in names:
        torch.save({"module": {**held, **buffers}, **common}, folder / tag / name)
    key = "fp32_flat_groups" if stage == 3 else "single_partition_of_fp32_groups"
    for rank, groups in enumerate(_flat_groups(state, ranks, stage)):
        optimizer = {"zero_stage": stage, "partition_count": ranks, key: groups}
        name = f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"
        torch.save({"optimizer_state_dict": optimizer, "ds_version": "0.14.0"}, folder / tag / name)
    return folder


def fill_deepspeed(zoo: Zoo, made: Path) -> None:
    """Add DeepSpeed's folders: stages 1 to 3, Lightning's, and those in a Trainer's folder."""
    for format, name, tag, stage in (
        ("deepspeed-zero2", "epoch=1-step=100.ckpt", "checkpoint", 2),
        ("deepspeed-zero3", "epoch=1-step=100.ckpt", "checkpoint", 3),
        ("deepspeed-tag", "global_step100", "", 3),
    ):
        _fill_deepspeed(zoo, made, format, name, tag, stage)
    one = _deepspeed(made / "zero1", "global_step100", 1) / "global_step100"
    shutil.copytree(
        one, zoo.place("deepspeed-tag", "other writer", "global_step100", "deepspeed", "stage 1")
    )
    lost: dict[str, bytes | None] = {
        "global_step100/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt": None
    }
    for seed, damage, parts in ((0, "other writer", {}), (1, "part missing", lost)):
        source = _deepspeed(made / f"zero3-trainer{seed}", "global_step100", 3)
        (source / "trainer_state.json").write_bytes(TRAINER_STATE)
        bert(0).config.save_pretrained(source)
        note = "in a Trainer's folder" + (", a rank is missing" if parts else "")
        zoo.change_folder(
            "deepspeed-zero3", damage, "checkpoint-100", "deepspeed", source, parts, note
        )


def _fill_deepspeed(zoo: Zoo, made: Path, format: str, name: str, tag: str, stage: int) -> None:
    """Add a folder with `latest` and a tag below it, or the folder of a tag alone."""
    judge, inside = "deepspeed", f"{tag}/" if tag else ""

    def make(label: str, seed: int = 0, ranks: int = 2) -> Path:
        whole = _deepspeed(made / f"{format}{label}", tag or name, stage, seed, ranks)
        return whole if tag else whole / name

    source = make("")
    files = sorted(path.name for path in (source / tag).iterdir())
    optimizer = f"{inside}{files[0]}"
    group = "fp32_flat_groups" if stage == 3 else "single_partition_of_fp32_groups"
    data = _bytes(torch.load(source / optimizer)["optimizer_state_dict"][group][0])
    missing = [*(f"{inside}{file}" for file in files), *(["latest", tag] if tag else [])]
    zoo.damage_folder(format, name, judge, source, optimizer, missing, data)
    model = next(f"{inside}{file}" for file in files if "model_states" in file)
    content = (source / model).read_bytes()
    for damage, changed, note in (
        ("cut in the middle", content[: len(content) // 2], "of the model's states"),
        ("wrong type", saved({"module": 3}), "the model's states are a number"),
    ):
        zoo.change_folder(format, damage, name, judge, source, {model: changed}, note)
    if tag:
        lost = {"latest": b"global_step999"}
        zoo.change_folder(
            format,
            "wrong type",
            name,
            judge,
            source,
            lost,
            "latest names a folder that is not there",
        )
    shutil.copytree(make("-other", seed=5), zoo.place(format, "whole", name, judge, "another seed"))
    four = make("-four", ranks=4)
    shutil.copytree(four, zoo.place(format, "other writer", name, judge, "four ranks"))
    last = f"{inside}bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt"
    zoo.change_folder(
        format, "part missing", name, judge, four, {last: None}, "four ranks, the last is missing"
    )


def _distributed(folder: Path, seed: int) -> Path:
    import torch.distributed.checkpoint as dcp

    state = {"model": {"w": numbers(seed, 16, 8), "b": numbers(seed + 1, 8)}, "step": 3}
    dcp.save(state, checkpoint_id=folder, no_dist=True)
    return folder


def fill_distributed(zoo: Zoo, made: Path) -> None:
    """Add torch.distributed's folders, alone and as FSDP leaves them in a Trainer's."""
    source, shard = _distributed(made / "dcp", 1), "__0_0.distcp"
    data = _bytes(numbers(1, 16, 8))
    format, name, judge = "torch-distributed", "step-100", "distributed"
    zoo.damage_folder(format, name, judge, source, shard, [shard, ".metadata"], data)
    shutil.copytree(
        _distributed(made / "dcp2", 2), zoo.place(format, "whole", name, judge, "another seed")
    )
    metadata = (source / ".metadata").read_bytes()
    for damage, content, note in (
        ("part missing", metadata[: len(metadata) // 2], ".metadata is cut"),
        ("part missing", b"", ".metadata is empty"),
        ("wrong type", b"text", ".metadata is a text"),
    ):
        zoo.change_folder(format, damage, name, judge, source, {".metadata": content}, note)
    content = (source / shard).read_bytes()
    zoo.change_folder(
        format,
        "other writer",
        name,
        judge,
        source,
        {shard: content + bytes(50)},
        "50 bytes behind a shard's end",
    )
    _fill_fsdp(zoo, made, source, data)


def _fill_fsdp(zoo: Zoo, made: Path, weights: Path, data: bytes) -> None:
    format, name, judge = "fsdp-trainer", "checkpoint-100", "fsdp_trainer"
    folder = made / "fsdp"
    shutil.copytree(weights, folder / "pytorch_model_fsdp_0")
    shutil.copytree(weights, folder / "optimizer_0")
    (folder / "trainer_state.json").write_bytes(TRAINER_STATE)
    bert(0).config.save_pretrained(folder)
    torch.save({"last_epoch": 1}, folder / "scheduler.pt")
    shard = "pytorch_model_fsdp_0/__0_0.distcp"
    parts = [
        shard,
        "pytorch_model_fsdp_0/.metadata",
        "pytorch_model_fsdp_0",
        "optimizer_0",
        "trainer_state.json",
    ]
    zoo.damage_folder(format, name, judge, folder, shard, parts, data)
    zoo.empty(
        format, "other writer", "the torch.distributed folder in it is written by one library"
    )
    other = made / "fsdp-state"
    shutil.copytree(folder, other)
    zoo.change_folder(
        format,
        "wrong type",
        name,
        judge,
        other,
        {"trainer_state.json": b"{"},
        "the state is no JSON",
    )


def fill_orbax(zoo: Zoo, made: Path) -> None:
    """Add Orbax's folders."""
    import numpy as np
    import orbax.checkpoint as ocp

    format, name, judge = "orbax", "100", "orbax"
    for seed in (1, 2):
        tree = {
            "params": {"w": numbers(seed, 16, 8).numpy(), "b": numbers(seed, 8).numpy()},
            "step": np.int32(3),
        }
        with ocp.StandardCheckpointer() as saver:
            saver.save(made / f"orbax{seed}", tree)
    source = made / "orbax1"
    files = sorted(
        path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()
    )
    content = max(
        (path for path in files if "/d/" in f"/{path}"),
        key=lambda path: (source / path).stat().st_size,
    )
    zoo.damage_folder(format, name, judge, source, content, [*files, "d", "ocdbt.process_0"])
    shutil.copytree(made / "orbax2", zoo.place(format, "whole", name, judge, "another seed"))
    for note, change in (("cut", b'{"tree_meta'), ("empty", b""), ("a list", b"[]")):
        zoo.change_folder(
            format, "wrong type", name, judge, source, {"_METADATA": change}, f"_METADATA is {note}"
        )
    unfinished = zoo.place(
        format, "part missing", "100.orbax-checkpoint-tmp-17", judge, "an unfinished save"
    )
    shutil.copytree(source, unfinished)
    for lost in ("_METADATA", "manifest.ocdbt", "_CHECKPOINT_METADATA"):
        (unfinished / lost).unlink()
    with ocp.CheckpointManager(made / "managed") as manager:
        manager.save(7, args=ocp.args.StandardSave({"params": {"w": numbers(1, 16, 8).numpy()}}))
        manager.wait_until_finished()
    shutil.copytree(
        made / "managed" / "7", zoo.place(format, "other writer", "7", judge, "a manager's step")
    )


def fill(zoo: Zoo) -> None:
    """Add all of them."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for one in (
            fill_huggingface,
            fill_trainer,
            fill_peft,
            fill_pipeline,
            fill_deepspeed,
            fill_distributed,
            fill_orbax,
        ):
            one(zoo, made)
