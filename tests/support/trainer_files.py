"""Writes what Hugging Face's Trainer leaves, without transformers.

Layout and names as `transformers/trainer.py`, `trainer_callback.py` and
`integrations/integration_utils.py` (`WandbCallback`, `rewrite_logs`) write them.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from tests.support.torch_files import FakeGlobal, FakeObject, write_torch_zip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_safetensors(path: Path, shapes: dict[str, list[int]], **metadata: str) -> Path:
    """Write tensors of zeros with two dimensions each."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * (shape[0] * shape[1])
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


def write_arguments(path: Path, **arguments: Any) -> None:
    """Write a `training_args.bin`: a pickled `TrainingArguments`."""
    name = FakeGlobal("transformers.training_args", "TrainingArguments")
    write_torch_zip(path, FakeObject(name, (), arguments), top="training_args")


def write_trainer_checkpoint(
    folder: Path,
    arguments: Mapping[str, Any],
    *,
    width: int = 4,
    model_name: str | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Path:
    """Write a `checkpoint-N`, or a saved model where there is no history.

    Args:
        folder: to be written; what lies in it under the same names is overwritten.
        arguments: of the training.
        width: of the model's only layer.
        model_name: `_name_or_path` of its config.
        history: `log_history`, the last row being of this step.
        state: what `trainer_state.json` states besides.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", {"head.weight": [width, 2]})
    config = {"model_type": "bert", "hidden_size": width, "transformers_version": "4.44.2"}
    if model_name is not None:
        config["_name_or_path"] = model_name
    (folder / "config.json").write_text(json.dumps(config))
    write_arguments(folder / "training_args.bin", **arguments)
    if history is not None:
        last = history[-1]
        document = {
            "global_step": last["step"],
            "epoch": last["epoch"],
            **(state or {}),
            "log_history": list(history),
        }
        (folder / "trainer_state.json").write_text(json.dumps(document))
        write_torch_zip(folder / "optimizer.pt", {"state": {}})
    return folder


def rewritten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `log_history` as `WandbCallback` logs it."""
    logged: dict[str, Any] = {}
    for name, value in row.items():
        if name == "step":
            logged["train/global_step"] = value
        elif name.startswith("eval_"):
            logged[f"eval/{name.removeprefix('eval_')}"] = value
        else:
            logged[f"train/{name}"] = value
    return logged
