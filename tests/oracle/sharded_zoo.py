"""The zoo's folders of sharded weights: DeepSpeed, torch.distributed, FSDP, Orbax."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import torch

from tests.oracle.folder_zoo import TRAINER_STATE, bert, raw_bytes
from tests.oracle.models import numbers
from tests.oracle.variants import saved

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.damage import Zoo


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
    for kind, name, tag, stage in (
        ("deepspeed-zero2", "epoch=1-step=100.ckpt", "checkpoint", 2),
        ("deepspeed-zero3", "epoch=1-step=100.ckpt", "checkpoint", 3),
        ("deepspeed-tag", "global_step100", "", 3),
    ):
        _fill_deepspeed(zoo, made, kind, name, tag, stage)
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


def _fill_deepspeed(zoo: Zoo, made: Path, kind: str, name: str, tag: str, stage: int) -> None:
    """Add a folder with `latest` and a tag below it, or the folder of a tag alone."""
    judge, inside = "deepspeed", f"{tag}/" if tag else ""

    def make(label: str, seed: int = 0, ranks: int = 2) -> Path:
        whole = _deepspeed(made / f"{kind}{label}", tag or name, stage, seed, ranks)
        return whole if tag else whole / name

    source = make("")
    files = sorted(path.name for path in (source / tag).iterdir())
    optimizer = f"{inside}{files[0]}"
    group = "fp32_flat_groups" if stage == 3 else "single_partition_of_fp32_groups"
    data = raw_bytes(torch.load(source / optimizer)["optimizer_state_dict"][group][0])
    missing = [*(f"{inside}{file}" for file in files), *(["latest", tag] if tag else [])]
    zoo.damage_folder(kind, name, judge, source, optimizer, missing, data)
    model = next(f"{inside}{file}" for file in files if "model_states" in file)
    content = (source / model).read_bytes()
    for damage, changed, note in (
        ("cut in the middle", content[: len(content) // 2], "of the model's states"),
        ("wrong type", saved({"module": 3}), "the model's states are a number"),
    ):
        zoo.change_folder(kind, damage, name, judge, source, {model: changed}, note)
    if tag:
        lost = {"latest": b"global_step999"}
        zoo.change_folder(
            kind,
            "wrong type",
            name,
            judge,
            source,
            lost,
            "latest names a folder that is not there",
        )
    shutil.copytree(make("-other", seed=5), zoo.place(kind, "whole", name, judge, "another seed"))
    four = make("-four", ranks=4)
    shutil.copytree(four, zoo.place(kind, "other writer", name, judge, "four ranks"))
    last = f"{inside}bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt"
    zoo.change_folder(
        kind, "part missing", name, judge, four, {last: None}, "four ranks, the last is missing"
    )


def _distributed(folder: Path, seed: int) -> Path:
    import torch.distributed.checkpoint as dcp

    state = {"model": {"w": numbers(seed, 16, 8), "b": numbers(seed + 1, 8)}, "step": 3}
    dcp.save(state, checkpoint_id=folder, no_dist=True)
    return folder


def fill_distributed(zoo: Zoo, made: Path) -> None:
    """Add torch.distributed's folders, alone and as FSDP leaves them in a Trainer's."""
    source, shard = _distributed(made / "dcp", 1), "__0_0.distcp"
    data = raw_bytes(numbers(1, 16, 8))
    kind, name, judge = "torch-distributed", "step-100", "distributed"
    zoo.damage_folder(kind, name, judge, source, shard, [shard, ".metadata"], data)
    shutil.copytree(
        _distributed(made / "dcp2", 2), zoo.place(kind, "whole", name, judge, "another seed")
    )
    metadata = (source / ".metadata").read_bytes()
    for damage, content, note in (
        ("part missing", metadata[: len(metadata) // 2], ".metadata is cut"),
        ("part missing", b"", ".metadata is empty"),
        ("wrong type", b"text", ".metadata is a text"),
    ):
        zoo.change_folder(kind, damage, name, judge, source, {".metadata": content}, note)
    content = (source / shard).read_bytes()
    zoo.change_folder(
        kind,
        "other writer",
        name,
        judge,
        source,
        {shard: content + bytes(50)},
        "50 bytes behind a shard's end",
    )
    _fill_fsdp(zoo, made, source, data)


def _fill_fsdp(zoo: Zoo, made: Path, weights: Path, data: bytes) -> None:
    kind, name, judge = "fsdp-trainer", "checkpoint-100", "fsdp_trainer"
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
    zoo.damage_folder(kind, name, judge, folder, shard, parts, data)
    zoo.empty(kind, "other writer", "the torch.distributed folder in it is written by one library")
    other = made / "fsdp-state"
    shutil.copytree(folder, other)
    zoo.change_folder(
        kind,
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

    kind, name, judge = "orbax", "100", "orbax"
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
    zoo.damage_folder(kind, name, judge, source, content, [*files, "d", "ocdbt.process_0"])
    shutil.copytree(made / "orbax2", zoo.place(kind, "whole", name, judge, "another seed"))
    for note, change in (("cut", b'{"tree_meta'), ("empty", b""), ("a list", b"[]")):
        zoo.change_folder(
            kind, "wrong type", name, judge, source, {"_METADATA": change}, f"_METADATA is {note}"
        )
    unfinished = zoo.place(
        kind, "part missing", "100.orbax-checkpoint-tmp-17", judge, "an unfinished save"
    )
    shutil.copytree(source, unfinished)
    for lost in ("_METADATA", "manifest.ocdbt", "_CHECKPOINT_METADATA"):
        (unfinished / lost).unlink()
    with ocp.CheckpointManager(made / "managed") as manager:
        manager.save(7, args=ocp.args.StandardSave({"params": {"w": numbers(1, 16, 8).numpy()}}))
        manager.wait_until_finished()
    shutil.copytree(
        made / "managed" / "7", zoo.place(kind, "other writer", "7", judge, "a manager's step")
    )
