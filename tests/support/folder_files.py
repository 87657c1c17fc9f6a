"""Writes checkpoints of several files without the libraries that write them.

`.metadata` is as torch 2.13 pickles it, and each shard holds what `torch.save` writes for a tensor.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.torch_files import FakeGlobal, FakeObject, FakeTensor, pickled, write_torch_zip

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "torch.distributed.checkpoint.metadata"
STORAGE = "torch.distributed.checkpoint.filesystem"


def write_distributed(
    folder: Path, shapes: dict[str, tuple[int, ...]], *, ranks: int = 1, prefix: str = "model."
) -> Path:
    """Write a folder of torch.distributed: `.metadata`, and the tensors dealt out to the ranks.

    Args:
        folder: to be made.
        shapes: of the tensors.
        ranks: how many processes there were, each with one file.
        prefix: before every name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = [bytearray() for _ in range(ranks)]
    named, places = {}, {}
    for number, (short, shape) in enumerate(shapes.items()):
        name = prefix + short
        one = write_torch_zip(folder / "x", FakeTensor(shape=shape)).read_bytes()
        rank = number % ranks
        start = (0,) * len(shape)
        chunk = FakeObject(
            FakeGlobal(PLACE, "ChunkStorageMetadata"),
            (),
            {"offsets": size(start), "sizes": size(shape)},
        )
        properties = FakeObject(
            FakeGlobal(PLACE, "TensorProperties"),
            (),
            (FakeGlobal("torch", "bfloat16"), None, False, None, False),
        )
        named[name] = FakeObject(
            FakeGlobal(PLACE, "TensorStorageMetadata"),
            (),
            {"properties": properties, "size": size(shape), "chunks": [chunk]},
        )
        index = FakeObject(
            FakeGlobal(PLACE, "MetadataIndex"), (), {"fqn": name, "offset": size(start), "index": 0}
        )
        places[index] = FakeObject(
            FakeGlobal(STORAGE, "_StorageInfo"),
            (),
            {
                "relative_path": f"__{rank}_0.distcp",
                "offset": len(content[rank]),
                "length": len(one),
            },
        )
        content[rank] += one
    (folder / "x").unlink()
    for rank, data in enumerate(content):
        (folder / f"__{rank}_0.distcp").write_bytes(data)
    state = {"state_dict_metadata": named, "storage_data": places}
    root = FakeObject(FakeGlobal(PLACE, "Metadata"), (), state)
    (folder / ".metadata").write_bytes(pickled(root)[0])
    return folder


def size(shape: tuple[int, ...]) -> FakeObject:
    """Return a `torch.Size`."""
    return FakeObject(FakeGlobal("torch", "Size"), (shape,))


def write_deepspeed(
    folder: Path, *, ranks: int = 2, zero: int = 2, stated: int | None = None, **others: Any
) -> Path:
    """Write the folder of a tag of DeepSpeed's.

    Args:
        folder: to be made.
        ranks: how many processes there were.
        zero: stage of ZeRO.
        stated: `dp_world_size` in the model file; the number of ranks if not given.
        others: further keys of the model file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weight = FakeTensor(shape=(0,) if zero == 3 else (4, 3))
    content = {
        "module": {"w": weight, "buffer": FakeTensor(shape=(2,))},
        "param_shapes": [{"w": size((4, 3))}],
        "ds_version": "0.14.0",
        "global_steps": 7,
        "dp_world_size": ranks if stated is None else stated,
        "mp_world_size": 1,
        **others,
    }
    for rank in range(ranks):
        prefix = f"zero_pp_rank_{rank}_" if zero == 3 else ""
        if zero == 3 or rank == 0:
            write_torch_zip(folder / f"{prefix}mp_rank_00_model_states.pt", content)
        optimizer = {"optimizer_state_dict": {"zero_stage": zero, "flat": FakeTensor(shape=(7,))}}
        write_torch_zip(folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt", optimizer)
    return folder


def write_trainer_state(folder: Path, step: int = 100) -> Path:
    """Write what Trainer leaves beside the folder of a sharded model."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {"global_step": step, "epoch": 1.0, "log_history": []}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    write_torch_zip(folder / "scheduler.pt", {"x": 1})
    return folder
