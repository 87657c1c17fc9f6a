"""`CatalogCallback` for the Hugging Face Trainer: every checkpoint says which run wrote it.

    from catalog.integrations.transformers import CatalogCallback

    trainer = Trainer(..., callbacks=[CatalogCallback()])

`checkpoint-N/` holds the model's own `config.json`; beside it comes `checkpoint-N.metadata.json`
and, if a config with the wanted sections was given, `checkpoint-N.config.json`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.integrations.saving import METADATA_SUFFIX, Saver

try:
    from transformers import TrainerCallback  # type: ignore[import-not-found,unused-ignore]
except ImportError as error:
    raise ImportError(
        "catalog.integrations.transformers needs Transformers: pip install 'catalog[transformers]'."
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHECKPOINT = re.compile(r"checkpoint-\d+")


class CatalogCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Writes `checkpoint-N.metadata.json` at each save.

    A training never fails because of it: what goes wrong is a warning in the log. Only the main
    process writes. No database is needed.

    Args:
        config: the training's whole config, a mapping or an OmegaConf object, where there is one
            beyond the model's own.
        sections: what the sidecar holds of it.
    """

    def __init__(self, config: Any = None, sections: Sequence[str] = ("model",)) -> None:
        self._saver = Saver(config, sections, "transformers")

    def on_save(self, args: Any, state: Any, control: Any, **_options: Any) -> None:  # noqa: ARG002
        """Write the files of the checkpoint that was just saved."""
        if not state.is_world_process_zero:
            return
        with self._saver.guarded("write a checkpoint's metadata"):
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if checkpoint.is_dir():
                self._saver.save(checkpoint, {**_state(args, state), **_runs()})
        with self._saver.guarded("remove what belongs to removed checkpoints"):
            self._forget_rotated(Path(args.output_dir))

    def _forget_rotated(self, folder: Path) -> None:
        """`save_total_limit` removes whole folders and tells nobody."""
        for path in folder.glob(f"checkpoint-*{METADATA_SUFFIX}"):
            checkpoint = path.with_name(path.name.removesuffix(METADATA_SUFFIX))
            if _CHECKPOINT.fullmatch(checkpoint.name) and not checkpoint.exists():
                self._saver.forget(checkpoint)


def _state(args: Any, state: Any) -> dict[str, Any]:
    last = {
        name: value
        for row in state.log_history
        for name, value in row.items()
        if isinstance(value, int | float)
    }
    return {
        "epoch": state.epoch,
        "global_step": state.global_step,
        "metrics": last,
        "monitor": args.metric_for_best_model,
        "run_name": args.run_name,
        "output_dir": str(Path(args.output_dir).absolute()),
    }


def _runs() -> dict[str, Any]:
    wandb = sys.modules.get("wandb")
    run = getattr(wandb, "run", None)
    if run is None:
        return {}
    described = {
        "logger": "wandb",
        "run_id": run.id,
        "entity": run.entity,
        "project": run.project,
        "name": run.name,
        "directory": run.dir,
    }
    return {
        "wandb_run_id": run.id,
        "runs": [{key: value for key, value in described.items() if value}],
    }


__all__ = ["CatalogCallback"]
