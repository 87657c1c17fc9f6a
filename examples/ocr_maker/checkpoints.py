"""Lightning 2.5 checkpoints, small: what `ModelCheckpoint` would have left of a training.

The keys, the callback states and the loops are those of a real Lightning checkpoint; only the
tensors are few and tiny. Needs torch.
"""

from __future__ import annotations

import io
import math
import random
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch  # type: ignore[import-not-found]

from ocr_maker.story import PROJECT, Model, Training, float32, model_section

if TYPE_CHECKING:
    from datetime import datetime

LIGHTNING_VERSION = "2.5.5"

ENCODERS: dict[str, dict[str, tuple[int, ...]]] = {
    "resnet18": {
        "conv1.weight": (4, 3, 3, 3),
        "bn1": (4,),
        "layer1.0.conv1.weight": (4, 4, 3, 3),
        "layer2.0.downsample.0.weight": (8, 4, 1, 1),
        "layer4.1.conv2.weight": (8, 8, 3, 3),
    },
    "resnet50": {
        "conv1.weight": (4, 3, 3, 3),
        "bn1": (4,),
        "layer1.0.conv1.weight": (4, 4, 1, 1),
        "layer1.0.conv3.weight": (8, 4, 1, 1),
        "layer4.2.conv2.weight": (8, 8, 3, 3),
    },
    "mobilenetv3_small_050": {
        "conv_stem.weight": (4, 3, 3, 3),
        "bn1": (4,),
        "blocks.0.0.conv_dw.weight": (4, 1, 3, 3),
        "blocks.0.0.se.conv_reduce.weight": (2, 4, 1, 1),
        "blocks.5.0.conv.weight": (12, 4, 1, 1),
    },
    "vgg16_bn": {
        "features.0.weight": (4, 3, 3, 3),
        "features.1": (4,),
        "features.3.weight": (4, 4, 3, 3),
        "features.7.weight": (8, 4, 3, 3),
    },
}
DECODERS: dict[str, dict[str, tuple[int, ...]]] = {
    "unet": {"inners.0.0.weight": (6, 8, 1, 1), "outers.0.0.weight": (4, 6, 3, 3)},
    "fpn_decoder": {"lateral_convs.0.weight": (6, 8, 1, 1), "fpn_convs.0.weight": (4, 6, 3, 3)},
    "pan_decoder": {
        "lateral_convs.0.weight": (6, 8, 1, 1),
        "bottom_up_convs.0.weight": (6, 6, 3, 3),
        "output_convs.0.weight": (4, 6, 1, 1),
    },
    "craft_decoder": {"upconv1.conv.0.weight": (6, 8, 1, 1), "upconv4.conv.3.weight": (4, 6, 3, 3)},
}
HEADS: dict[str, dict[str, tuple[int, ...]]] = {
    "dbhead": {
        "binarize.0.weight": (4, 4, 3, 3),
        "binarize.1": (4,),
        "thresh.6.weight": (4, 1, 2, 2),
        "thresh.6.bias": (1,),
    },
    "craft_head": {"cls.0.weight": (4, 4, 3, 3), "cls.8.weight": (2, 4, 1, 1), "cls.8.bias": (2,)},
}


@dataclass(frozen=True)
class Saved:
    """One file that was on disk when the training had ended."""

    name: str
    epoch: int
    score: float
    written: datetime
    callback: dict[str, Any] = field(hash=False)
    """State of `ModelCheckpoint` when the file was written, scores as floats."""


def _free_name(taken: dict[str, Saved], reusable: str | None) -> str:
    """Return the name that `ModelCheckpoint(filename="best")` would give the next file."""
    name, version = "best.ckpt", 0
    while name in taken and name != reusable:
        version += 1
        name = f"best-v{version}.ckpt"
    return name


def survivors(training: Training) -> list[Saved]:
    """Return the checkpoints left at the end, with the state that each one remembers.

    Follows `ModelCheckpoint` with `filename="best"` and `save_last=True`: a new file among the
    best k takes the name of the one that it pushes out if that comes first, and `last.ckpt`
    is written after every validation, just after the best.

    Args:
        training: one that wrote checkpoints.
    """
    folder = f"{training.output_dir}/checkpoints"
    best_k: dict[str, float] = {}
    on_disk: dict[str, Saved] = {}
    last_path = ""
    for epoch, (written, score) in enumerate(zip(training.epoch_ends, training.hmean, strict=True)):
        names = []
        full = len(best_k) == training.save_top_k
        worst = min(best_k, key=lambda path: best_k[path]) if best_k else ""
        if not full or score > best_k[worst]:
            reusable = worst.rsplit("/", 1)[-1] if full else None
            if full:
                del best_k[worst]
            name = _free_name(on_disk, reusable)
            if full and name != reusable:
                del on_disk[str(reusable)]
            best_k[f"{folder}/{name}"] = score
            names.append(name)
        full = len(best_k) == training.save_top_k
        worst = min(best_k, key=lambda path: best_k[path]) if full else ""
        best = max(best_k, key=lambda path: best_k[path])
        state: dict[str, Any] = {
            "monitor": "val/hmean",
            "best_model_score": best_k[best],
            "best_model_path": best,
            "current_score": score,
            "dirpath": folder,
            "best_k_models": dict(best_k),
            "kth_best_model_path": worst,
            "kth_value": best_k[worst] if full else -math.inf,
        }
        for name in names:
            on_disk[name] = Saved(
                name, epoch, score, written, {**state, "last_model_path": last_path}
            )
        last_path = f"{folder}/last.ckpt"
        on_disk["last.ckpt"] = Saved(
            "last.ckpt", epoch, score, written, {**state, "last_model_path": last_path}
        )
    return [on_disk[name] for name in sorted(on_disk)]


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Return parameter and batch-norm names of a model, in the order of its modules."""
    shapes = {f"model.encoder.model.{k}": v for k, v in ENCODERS[model.encoder].items()}
    shapes |= {f"model.decoder.{k}": v for k, v in DECODERS[model.decoder].items()}
    return shapes | {f"model.head.{k}": v for k, v in HEADS[model.head].items()}


def _tensor(key: str, shape: tuple[int, ...], scale: float, offset: float = 0.0) -> torch.Tensor:
    """Return a tensor of made-up numbers; equal keys give equal numbers on every machine."""
    numbers = random.Random(zlib.crc32(key.encode()))
    count = 1
    for size in shape:
        count *= size
    values = [offset + numbers.uniform(-scale, scale) for _ in range(count)]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def _state_dict(training: Training, epoch: int, steps: int) -> OrderedDict[str, torch.Tensor]:
    """Return the weights after an epoch."""
    key = f"{training.folder}:{epoch}"
    weights: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, shape in _shapes(training.model).items():
        if name.endswith(("weight", "bias")):
            weights[name] = _tensor(f"{key}:{name}", shape, 0.1)
            continue
        weights[f"{name}.weight"] = _tensor(f"{key}:{name}.weight", shape, 0.1, 1.0)
        weights[f"{name}.bias"] = _tensor(f"{key}:{name}.bias", shape, 0.1)
        weights[f"{name}.running_mean"] = _tensor(f"{key}:{name}.mean", shape, 0.4)
        weights[f"{name}.running_var"] = _tensor(f"{key}:{name}.var", shape, 0.3, 0.7)
        weights[f"{name}.num_batches_tracked"] = torch.tensor(steps)
    return weights


def _optimizer(
    training: Training, weights: OrderedDict[str, torch.Tensor], steps: int
) -> dict[str, Any]:
    """Return AdamW's state after so many steps; the encoder is frozen and has none."""
    names = [
        name
        for name in weights
        if name.endswith(("weight", "bias")) and not name.startswith("model.encoder.")
    ]
    state = {
        number: {
            "step": torch.tensor(float(steps)),
            "exp_avg": _tensor(f"{steps}:{name}:avg", tuple(weights[name].shape), 0.01),
            "exp_avg_sq": _tensor(f"{steps}:{name}:sq", tuple(weights[name].shape), 1e-4, 1e-4),
        }
        for number, name in enumerate(names)
    }
    group = {
        "lr": training.learning_rate,
        "betas": (0.9, 0.999),
        "eps": 1e-08,
        "weight_decay": 0.0001,
        "amsgrad": False,
        "foreach": None,
        "maximize": False,
        "capturable": False,
        "differentiable": False,
        "fused": None,
        "initial_lr": training.learning_rate,
        "params": list(range(len(names))),
    }
    return {"state": state, "param_groups": [group]}


def _loops(epoch: int, steps: int, per_epoch: int) -> dict[str, Any]:
    """Return the state of Lightning's loops when an epoch has just been validated."""

    def progress(now: int, total: int, *stages: str) -> dict[str, dict[str, int]]:
        return {
            "total": dict.fromkeys(stages, total),
            "current": dict.fromkeys(stages, now),
        }

    batch = ("ready", "completed", "started", "processed")
    return {
        "fit_loop": {
            "state_dict": {},
            "epoch_loop.state_dict": {"_batches_that_stepped": steps},
            "epoch_loop.batch_progress": {
                **progress(per_epoch, steps, *batch),
                "is_last_batch": True,
            },
            "epoch_loop.scheduler_progress": progress(1, epoch + 1, "ready", "completed"),
            "epoch_loop.automatic_optimization.state_dict": {},
            "epoch_loop.automatic_optimization.optim_progress": {
                "optimizer": {"step": progress(per_epoch, steps, "ready", "completed")}
            },
            "epoch_loop.val_loop.state_dict": {},
            "epoch_progress": {
                "total": {
                    "ready": epoch + 1,
                    "completed": epoch,
                    "started": epoch + 1,
                    "processed": epoch + 1,
                },
                "current": {
                    "ready": epoch + 1,
                    "completed": epoch,
                    "started": epoch + 1,
                    "processed": epoch + 1,
                },
            },
        }
    }


def _callbacks(training: Training, saved: Saved) -> dict[str, Any]:
    """Return the callbacks' states, with the scores as the 0-dim tensors that they are."""
    state = dict(saved.callback)
    scores = {path: torch.tensor(score) for path, score in state["best_k_models"].items()}
    state["best_k_models"] = scores
    state["best_model_score"] = scores[state["best_model_path"]]
    worst = state["kth_best_model_path"]
    state["kth_value"] = scores[worst] if worst else torch.tensor(state["kth_value"])
    state["current_score"] = torch.tensor(state["current_score"])
    callbacks: dict[str, Any] = {}
    if training.early_stopping:
        callbacks["EarlyStopping{'monitor': 'val/hmean', 'mode': 'max'}"] = {
            "wait_count": 0,
            "stopped_epoch": 0,
            "best_score": state["best_model_score"],
            "patience": 8,
        }
    key = (
        "ModelCheckpoint{'monitor': 'val/hmean', 'mode': 'max', 'every_n_train_steps': 0, "
        "'every_n_epochs': 1, 'train_time_interval': None}"
    )
    callbacks[key] = state
    return callbacks


def precision_recall(score: float) -> tuple[float, float]:
    """Return a precision and a recall whose harmonic mean is about `score`."""
    precision = float32(min(score * 1.021, 0.9995))
    return precision, float32(score * precision / (2 * precision - score))


def content(training: Training, saved: Saved) -> dict[str, Any]:
    """Return what one checkpoint holds, in Lightning's order of keys."""
    steps = training.steps * (saved.epoch + 1)
    weights = _state_dict(training, saved.epoch, steps)
    precision, recall = precision_recall(saved.score)
    metrics: dict[str, Any] = {"precision": precision, "recall": recall, "hmean": saved.score}
    if training.tensor_metrics:
        metrics = {name: torch.tensor(value) for name, value in metrics.items()}
    whole: dict[str, Any] = {
        "epoch": saved.epoch,
        "global_step": steps,
        "pytorch-lightning_version": LIGHTNING_VERSION,
        "state_dict": weights,
        "loops": _loops(saved.epoch, steps, training.steps),
        "callbacks": _callbacks(training, saved),
        # The debugging model is a tenth of the others' size, as in the report.
        "optimizer_states": [] if training.offline else [_optimizer(training, weights, steps)],
        "lr_schedulers": [
            {
                "T_max": len(training.epoch_ends),
                "eta_min": 0.0,
                "base_lrs": [training.learning_rate],
                "last_epoch": saved.epoch + 1,
                "_step_count": saved.epoch + 2,
                "_last_lr": [training.learning_rate],
            }
        ],
    }
    if training.hyper_parameters:
        section = model_section(training)
        whole["hparams_name"] = None
        whole["hyper_parameters"] = {
            "architecture_name": training.model.architecture,
            "encoder": section["encoder"],
            "decoder": section["decoder"],
            "lr": training.learning_rate,
            "batch_size": training.batch_size,
            "data_dir": f"{PROJECT}/data/datasets",
        }
    whole["cleval_metrics"] = metrics
    return whole


def save(training: Training, saved: Saved) -> bytes:
    """Return the bytes of one checkpoint file, its zip entries below `archive/`."""
    buffer = io.BytesIO()
    torch.save(content(training, saved), buffer)
    return buffer.getvalue()
