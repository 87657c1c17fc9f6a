"""What Hydra leaves in an output folder: `.hydra/*.yaml` and the job's log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import yaml

from ocr_maker.story import PROJECT, Training, at, config

JOB = "train"


def _job_start(training: Training) -> datetime:
    """Return when Hydra started the job: the stamp of its folder."""
    folder = str(training.folder)
    if "-unknown_training_" in folder:
        return at(folder[-15:])
    return at(folder.replace("-", "").replace("/", "_"))


def _hydra_yaml(training: Training) -> dict[str, Any]:
    """Return `.hydra/hydra.yaml`, without Hydra's own logging and help."""
    return {
        "hydra": {
            "run": {"dir": "outputs/${exp_name}-unknown_training_${now:%Y%m%d_%H%M%S}"},
            "mode": "RUN",
            "output_subdir": ".hydra",
            "overrides": {"hydra": ["hydra.mode=RUN"], "task": training.overrides},
            "job": {
                "name": JOB,
                "chdir": None,
                "override_dirname": ",".join(sorted(training.overrides)),
                "id": "???",
                "num": "???",
                "config_name": "train",
            },
            "runtime": {
                "version": "1.3.2",
                "version_base": "1.3",
                "cwd": PROJECT,
                "output_dir": training.output_dir,
                "choices": {"model/decoder": training.model.decoder},
            },
            "verbose": False,
        }
    }


def log_lines(training: Training, epochs: range, start: datetime) -> list[tuple[datetime, str]]:
    """Return what a job logs, line by line; W&B's `output.log` has the same lines.

    Args:
        training: whose job.
        epochs: the epochs that this part of it ran.
        start: when this part of it started.
    """
    told = [
        (
            start + timedelta(seconds=2.117),
            "lightning.fabric.utilities.seed",
            f"Seed set to {training.seed}",
        ),
        (
            start + timedelta(seconds=3.406),
            "lightning.pytorch.utilities.rank_zero",
            "GPU available: True (cuda), used: True",
        ),
    ]
    if training.evidence == "log":
        told.append(
            (
                start + timedelta(seconds=2.204),
                "runners.train",
                f"Output directory: {training.output_dir}",
            )
        )
    if epochs.start > 0:
        source = f"{training.output_dir}/checkpoints/last.ckpt"
        told.append(
            (
                start + timedelta(seconds=4.015),
                "lightning.pytorch.utilities.rank_zero",
                f"Restoring states from the checkpoint path at {source}",
            )
        )
    if training.evaluates:
        source = f"{PROJECT}/{training.evaluates}"
        told += [
            (
                start + timedelta(seconds=delay),
                "lightning.pytorch.utilities.rank_zero",
                f"{text} at {source}",
            )
            for delay, text in (
                (4.015, "Restoring states from the checkpoint path"),
                (4.377, "Loaded model weights from the checkpoint"),
            )
        ]
    for epoch in epochs:
        told.append(
            (
                training.epoch_ends[epoch] - timedelta(milliseconds=90),
                "ocr.lightning_modules.ocr_pl",
                f"Epoch {epoch}: val/hmean {training.hmean[epoch]:.4f}",
            )
        )
    if epochs and epochs.stop == len(training.epoch_ends) and training.ending == "finished":
        told.append(
            (
                training.epoch_ends[-1] + timedelta(milliseconds=731),
                "lightning.pytorch.utilities.rank_zero",
                f"`Trainer.fit` stopped: `max_epochs={epochs.stop}` reached.",
            )
        )
    lines = []
    for moment, logger, text in sorted(told, key=lambda line: line[0]):
        stamp = f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d}"
        lines.append((moment, f"[{stamp}][{logger}][INFO] - {text}"))
    return lines


def hydra_files(training: Training) -> dict[str, tuple[bytes, datetime]]:
    """Return the files that Hydra writes when the job starts, and its log as it ended.

    Args:
        training: one with a folder; gives nothing unless it has `hydra` or `job_log`.
    """
    found: dict[str, tuple[bytes, datetime]] = {}
    begun = _job_start(training) + timedelta(seconds=0.4)
    if training.resumed is not None:
        # A second job in the same folder writes its .hydra over the first one's.
        begun = training.resumed[1] - timedelta(seconds=2.6)
    base = f"outputs/{training.folder}"
    if training.hydra:
        documents: dict[str, Any] = {
            "config": config(training, resolved=False),
            "hydra": _hydra_yaml(training),
            "overrides": training.overrides,
        }
        for name, document in documents.items():
            text = yaml.safe_dump(document, sort_keys=False, width=1000)
            found[f"{base}/.hydra/{name}.yaml"] = (text.encode(), begun)
    if training.job_log:
        lines = log_lines(training, range(len(training.epoch_ends)), training.start)
        text = "".join(f"{line}\n" for _, line in lines)
        found[f"{base}/{JOB}.log"] = (text.encode(), lines[-1][0])
    return found
