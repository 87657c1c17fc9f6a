"""Who trained what, and when: every training of the example project, as plain data.

Seven of the trainings, their folders, run ids and file times are those of a real report in which a
team listed 18 checkpoints without a config. All others are made up around them, so that each way
of guessing a checkpoint's run wrongly (by name, by nearest time, by display name, by equal
hyper-parameters) has a run to fall for.

All times are the local time of the team's machine, KST (UTC+9).
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

KST = timezone(timedelta(hours=9), "KST")
PROJECT = "/home/team/ocr-project"
"""Where the project lay on the team's machine; every absolute path in a file starts here."""
ENTITY = "ocr-team2"
WANDB_PROJECT = "receipt-text-recognition-ocr-project"

Ending = Literal["finished", "crashed", "killed", "killed-early"]
Evidence = Literal["config", "relative-config", "log", "overwritten-config", "nothing"]
"""How a run tells where it wrote: `paths.output_dir` in its config, `hydra.run.dir` in it, a line
of its output, a config that Lightning wrote over in config.yaml (the stream has it), or not."""


def at(text: str) -> datetime:
    """Return the local time that a folder stamp such as `20251018_023219` states."""
    return datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=KST)


def float32(value: float) -> float:
    """Return the nearest single-precision number, which is what torch and W&B hold."""
    narrowed: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return narrowed


@dataclass(frozen=True)
class Model:
    """The parts that a model is put together from."""

    encoder: str
    decoder: str
    architecture: str = "dbnet"
    head: str = "dbhead"
    loss: str = "dbloss"


@dataclass(frozen=True)
class Training:
    """One training: what it was told, how it went and what it left on disk."""

    start: datetime
    """Start as the W&B run directory's name states it (Hydra's job where there is no W&B run)."""
    model: Model
    epoch_ends: tuple[datetime, ...] = ()
    """When each epoch was validated, and its checkpoints written."""
    hmean: tuple[float, ...] = ()
    """`val/hmean` of each epoch."""
    run_id: str | None = None
    folder: str | None = None
    """Below `outputs/`."""
    exp_name: str | None = None
    """The experiment's name, where no folder starts with it."""
    wrote_checkpoints: bool = True
    usable: bool = False
    """Sidecars were written beside the checkpoints."""
    hydra: bool = False
    """`.hydra/` was written into the folder."""
    job_log: bool = False
    """Hydra's `train.log` lies in the folder."""
    evidence: Evidence = "nothing"
    ending: Ending = "finished"
    end: datetime | None = None
    """End of the run; by default shortly after the last epoch."""
    resumed: tuple[int, datetime] | None = None
    """First epoch of the second run directory, and its start."""
    offline: bool = False
    save_top_k: int = 1
    batch_size: int = 16
    learning_rate: float = 0.0008
    seed: int = 42
    steps: int = 205
    log_every: int = 200
    display_name: str | None = None
    """Name in W&B; by default made from the model and the final score, as the team did."""
    hyper_parameters: bool = False
    metadata: bool = False
    tensor_metrics: bool = False
    """`cleval_metrics` are 0-dim tensors instead of floats."""
    early_stopping: bool = False
    evaluates: str | None = None
    """A checkpoint that the run only tested."""
    commit: str = "9b41e07c5d2f8a63e1704cd95ab83f26d0e7c814"
    error: str | None = None

    @property
    def finish(self) -> datetime:
        """When the run ended."""
        if self.end is not None:
            return self.end
        return self.epoch_ends[-1] + timedelta(seconds=4.2)

    @property
    def output_dir(self) -> str | None:
        """The output folder's absolute path on the team's machine."""
        return f"{PROJECT}/outputs/{self.folder}" if self.folder else None

    @property
    def experiment(self) -> str:
        """The experiment's name; by default the folder without its stamp."""
        if self.exp_name is not None:
            return self.exp_name
        if self.folder is None or "-unknown_training_" not in self.folder:
            return "ocr_training"
        return self.folder.split("-unknown_training_")[0]

    @property
    def name(self) -> str:
        """The run's display name before its score is known."""
        parts = self.model
        encoder = parts.encoder.replace("_", "-")
        rate = f"{self.learning_rate:.0e}".replace("e-0", "e-")
        return (
            f"wchoi189_{encoder}-{parts.decoder}-{parts.head}-{parts.loss}"
            f"-bs{self.batch_size}-lr{rate}"
        )

    @property
    def final_name(self) -> str:
        """The run's display name in the end."""
        if self.display_name is not None:
            return self.display_name
        if self.ending == "finished" and self.hmean:
            return f"{self.name}_hmean{self.hmean[-1]:.3f}"
        return self.name

    @property
    def overrides(self) -> list[str]:
        """The command line after the script: Hydra overrides."""
        told = [
            f"exp_name={self.experiment}",
            f"model.architecture_name={self.model.architecture}",
            f"model.encoder.model_name={self.model.encoder}",
            f"model/decoder={self.model.decoder}",
            f"model.optimizer.lr={self.learning_rate}",
            f"dataloaders.batch_size={self.batch_size}",
            f"trainer.max_epochs={max(len(self.epoch_ends), 1)}",
            f"seed={self.seed}",
        ]
        if self.evaluates:
            told.append(f"checkpoint_path={self.evaluates}")
        return told


def model_section(training: Training) -> dict[str, Any]:
    """Return the `model` section of the resolved config: what inference needs."""
    parts = training.model
    channels = {
        "resnet18": [64, 128, 256, 512],
        "resnet50": [256, 512, 1024, 2048],
        "mobilenetv3_small_050": [16, 24, 48, 576],
        "vgg16_bn": [128, 256, 512, 512],
    }[parts.encoder]
    if parts.head == "dbhead":
        head: dict[str, Any] = {
            "name": "dbhead",
            "in_channels": 64,
            "upscale": 4,
            "k": 50,
            "bias": False,
            "postprocess": {"thresh": 0.3, "box_thresh": 0.4, "max_candidates": 300},
        }
        loss: dict[str, Any] = {
            "name": "dbloss",
            "negative_ratio": 3.0,
            "eps": 1e-06,
            "prob_map_loss_weight": 5.0,
            "thresh_map_loss_weight": 10.0,
        }
    else:
        head = {"name": parts.head, "in_channels": 64, "link_threshold": 0.4, "text_threshold": 0.7}
        loss = {"name": parts.loss, "negative_ratio": 3.0}
    return {
        "architecture_name": parts.architecture,
        "encoder": {
            "model_name": parts.encoder,
            "select_features": [1, 2, 3, 4],
            "pretrained": True,
        },
        "decoder": {
            "name": parts.decoder,
            "in_channels": channels,
            "inner_channels": 256,
            "output_channels": 64,
            "strides": [4, 8, 16, 32],
        },
        "head": head,
        "loss": loss,
        "optimizer": {
            "_target_": "torch.optim.AdamW",
            "lr": training.learning_rate,
            "weight_decay": 0.0001,
            "eps": 1e-08,
        },
    }


def config(training: Training, *, resolved: bool = True) -> dict[str, Any]:
    """Return the whole config of a training, as the code gave it to W&B.

    Args:
        training: whose config.
        resolved: False leaves Hydra's interpolations in place, as `.hydra/config.yaml` does.
    """
    paths: dict[str, Any] = {"root_dir": PROJECT if resolved else "${hydra:runtime.cwd}"}
    paths["data_dir"] = (
        f"{PROJECT}/data/datasets" if resolved else "${paths.root_dir}/data/datasets"
    )
    if not resolved:
        paths["output_dir"] = "${hydra:runtime.output_dir}"
    elif training.evidence in {"config", "overwritten-config"}:
        paths["output_dir"] = training.output_dir
    document: dict[str, Any] = {
        "exp_name": training.experiment,
        "seed": training.seed,
        "model": model_section(training),
        "trainer": {
            "max_epochs": max(len(training.epoch_ends), 1),
            "precision": "16-mixed",
            "accelerator": "gpu",
            "devices": 1,
            "gradient_clip_val": 5.0,
            "log_every_n_steps": training.log_every,
            "limit_train_batches": training.steps,
        },
        "dataloaders": {"batch_size": training.batch_size, "num_workers": 8},
        "dataset": {"name": "ocr_receipts", "image_size": 640, "polygons": True},
        "checkpoint": {
            "monitor": "val/hmean",
            "mode": "max",
            "save_top_k": training.save_top_k,
            "save_last": True,
            "filename": "best",
        },
        "paths": paths,
    }
    if training.evidence == "relative-config":
        document["hydra"] = {"run": {"dir": f"outputs/{training.folder}"}}
    if training.evaluates:
        document["checkpoint_path"] = training.evaluates
    return document


def curve(
    key: str, first: float, last: float, epochs: int, dips: tuple[int, ...] = ()
) -> tuple[float, ...]:
    """Return `val/hmean` over the epochs: rising from first to last, lower at the dips.

    Args:
        key: makes the digits; equal keys give equal curves.
        first: score of epoch 0.
        last: score of the last epoch (if that is no dip).
        epochs: number of epochs.
        dips: epochs that fall behind the three best before them.
    """
    digits = random.Random(key)
    scores: list[float] = []
    for epoch in range(epochs):
        share = 1.0 if epochs == 1 else epoch / (epochs - 1)
        score = first + (last - first) * (1 - (1 - share) ** 3)
        score += digits.uniform(0, 0.00005) if epoch == epochs - 1 else digits.uniform(-0.0004, 0)
        if epoch in dips:
            score = sorted(scores)[-min(len(scores), 3)] - digits.uniform(0.002, 0.02)
        scores.append(float32(score))
    return tuple(scores)


def ends(
    start: datetime, epochs: int, seconds: float, anchors: dict[int, datetime] | None = None
) -> tuple[datetime, ...]:
    """Return when each epoch was validated.

    Args:
        start: start of the run.
        epochs: number of epochs.
        seconds: length of an epoch, where no anchor says otherwise.
        anchors: epochs whose end is known; the epochs before one are spread evenly.
    """
    known = anchors or {}
    found: list[datetime] = []
    previous, since = start + timedelta(seconds=min(seconds, 20) / 2), -1
    for anchor in sorted(known):
        step = (known[anchor] - previous) / (anchor - since)
        found += [previous + step * (n + 1) for n in range(anchor - since)]
        previous, since = known[anchor], anchor
    while len(found) < epochs:
        previous += timedelta(seconds=seconds)
        found.append(previous)
    return tuple(found)
