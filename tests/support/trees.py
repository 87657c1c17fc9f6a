"""Small projects with known truth, written without torch: one call a training."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.wandb_files import write_hydra_directory, write_run_directory

START = 1_760_722_339.0
"""2025-10-17 17:32:19 UTC, 2025-10-18 02:32:19 in Seoul."""


@dataclass
class Training:
    """One training: what it leaves on disk when `write` is called.

    Args:
        name: of the experiment, in the output folder's name.
        run_id: W&B's id; None for a training without W&B.
        delay: seconds from the folder's stamp to W&B's start.
        scores: `val/hmean` by epoch; the best one is in the checkpoint.
        config: what the run logged.
        begin: seconds after `START` at which the folder was made.
        hydra: write `.hydra/` (then the checkpoint is usable).
        named: the run's config names the output folder.
        weight: the number in its model; all without one have equal weights.
    """

    name: str = "det_r18"
    run_id: str | None = "a1b2c3d4"
    delay: int = 2
    scores: tuple[float, ...] = (0.4107142984867096, 0.7231270074844360)
    config: dict[str, Any] = field(
        default_factory=lambda: {"model": {"name": "dbnet", "hidden": 8}, "seed": 1, "lr": 0.001}
    )
    begin: int = 0
    hydra: bool = False
    named: bool = False
    weight: float | None = None
    overrides: tuple[str, ...] = ("seed=1",)
    options: dict[str, Any] = field(default_factory=dict)
    """Passed on to `write_run_directory`."""

    def write(self, root: Path) -> Path:
        """Write the training below `root` and return its checkpoint."""
        folder = root / "outputs" / f"{self.name}-unknown_training_{_stamp(START + self.begin)}"
        checkpoint = folder / "checkpoints" / "best.ckpt"
        checkpoint.parent.mkdir(parents=True)
        config = dict(self.config)
        if self.named:
            config["paths"] = {"output_dir": f"/home/team/project/outputs/{folder.name}"}
        if self.hydra:
            write_hydra_directory(folder, self.config, overrides=self.overrides)
        content = lightning_checkpoint(
            state_dict=None if self.weight is None else {"weight": scalar(self.weight)},
            epoch=len(self.scores) - 1,
            best_k={"best.ckpt": max(self.scores)},
            directory=f"/home/team/project/outputs/{folder.name}/checkpoints",
        )
        write_torch_zip(checkpoint, content)
        started = START + self.begin + self.delay
        if self.run_id is not None:
            options: dict[str, Any] = {
                "stamp": _stamp(started),
                "started": started,
                "config": config,
                "args": list(self.overrides),
                "rows": [
                    {"epoch": epoch, "val/hmean": score} for epoch, score in enumerate(self.scores)
                ],
            }
            write_run_directory(root / "wandb", self.run_id, **(options | self.options))
        written = started + len(self.scores) - 1
        os.utime(checkpoint, (written, written))
        return checkpoint


def _stamp(seconds: float) -> str:
    from datetime import UTC, datetime, timedelta, timezone

    seoul = timezone(timedelta(hours=9))
    return datetime.fromtimestamp(seconds, UTC).astimezone(seoul).strftime("%Y%m%d_%H%M%S")
