#!/usr/bin/env python3
"""Make the example project anew: `make_ocr_project.py [TARGET]`.

Writes `ocr-project/`, `ocr-project.mtimes.csv` and `truth.csv` into TARGET (this folder, if none
is given). The result is the same, byte for byte, wherever it is made with the same version of
torch, which only this script needs (made with 2.13.0). Nothing here is measured: the story is
told in `ocr_maker/cast.py`, and the truth is known because it was written down first.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path

from ocr_maker.cast import DECOYS, REPORTED, USABLE
from ocr_maker.checkpoints import Saved, precision_recall, save, survivors
from ocr_maker.hydra_files import hydra_files
from ocr_maker.story import Training, model_section
from ocr_maker.wandb_files import Files, Leg, legs, run_files

TRUTH_COLUMNS = ("path", "run_directory", "wandb_run_id", "usable")


def _sidecars(training: Training, saved: Saved, path: str, leg: Leg | None) -> Files:
    """Return the files that training leaves beside a checkpoint of a usable experiment."""
    stem = path.removesuffix(".ckpt")
    written = saved.written + timedelta(seconds=1.4)
    model = json.dumps({"model": model_section(training)}, indent=2) + "\n"
    found = {f"{stem}.config.json": (model.encode(), written)}
    if training.metadata:
        precision, recall = precision_recall(saved.score)
        folder = training.output_dir
        metadata = {
            "checkpoint_path": f"{folder}/checkpoints/{saved.name}",
            "exp_name": training.experiment,
            "created_at": f"{written:%Y-%m-%dT%H:%M:%S.%f}",
            "epoch": saved.epoch,
            "global_step": training.steps * (saved.epoch + 1),
            "model": {
                "architecture": training.model.architecture,
                "encoder": training.model.encoder,
                "decoder": training.model.decoder,
                "head": training.model.head,
            },
            "metrics": {"precision": precision, "recall": recall, "hmean": saved.score},
            "checkpointing": {
                "monitor": "val/hmean",
                "mode": "max",
                "save_top_k": training.save_top_k,
                "save_last": True,
            },
            "wandb_run_id": leg.training.run_id if leg else None,
            "hydra_config_path": f"{folder}/.hydra/config.yaml" if training.hydra else None,
        }
        text = json.dumps(metadata, indent=2) + "\n"
        found[f"{stem}.metadata.json"] = (text.encode(), written)
    return found


def _checkpoint_files(training: Training) -> tuple[Files, list[dict[str, str]]]:
    """Return the checkpoints of a training with what lies beside them, and the truth on each."""
    found: Files = {}
    truth = []
    for saved in survivors(training):
        path = f"outputs/{training.folder}/checkpoints/{saved.name}"
        # `last` is written just after `best`; after a long epoch that takes most of a second.
        pause = 0.9 if training.steps > 50 and saved.name == "last.ckpt" else 0.0
        pause += 0.03 if saved.name == "last.ckpt" else 0.0
        pause = min(pause, 0.03) if training.offline else pause
        found[path] = (save(training, saved), saved.written + timedelta(seconds=pause))
        leg = next((leg for leg in legs(training) if saved.epoch in leg.epochs), None)
        if training.usable:
            found |= _sidecars(training, saved, path, leg)
        truth.append(
            {
                "path": path,
                "run_directory": leg.directory if leg else f"outputs/{training.folder}",
                "wandb_run_id": training.run_id or "",
                "usable": "yes" if training.usable else "no",
            }
        )
    return found, truth


def _nanoseconds(moment: datetime) -> int:
    """Return a time as file systems count it."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def main(target: Path) -> None:
    """Write the project, its modification times and the truth into a folder."""
    files: Files = {}
    truth: list[dict[str, str]] = []
    runs: list[Leg] = []
    for training in (*REPORTED, *USABLE, *DECOYS):
        runs += legs(training)
        for leg in legs(training):
            files |= run_files(leg)
        if training.folder is not None:
            files |= hydra_files(training)
        if training.wrote_checkpoints:
            found, known = _checkpoint_files(training)
            files |= found
            truth += known
    project = target / "ocr-project"
    shutil.rmtree(project, ignore_errors=True)
    times: dict[str, int] = {}
    for path, (content, moment) in files.items():
        place = project / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        times[path] = _nanoseconds(moment)
    latest = max(runs, key=lambda leg: leg.start)
    run_name = latest.directory.removeprefix("wandb/")
    for link, text in (("latest-run", run_name), ("debug.log", f"{run_name}/logs/debug.log")):
        (project / "wandb" / link).symlink_to(text)
        times[f"wandb/{link}"] = _nanoseconds(latest.start)
    with (target / "ocr-project.mtimes.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("path", "mtime_ns"))
        writer.writerows(sorted(times.items()))
    with (target / "truth.csv").open("w", newline="") as handle:
        table = csv.DictWriter(handle, TRUTH_COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(sorted(truth, key=lambda row: row["path"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
