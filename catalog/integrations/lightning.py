"""`CatalogCallback` for Lightning: every checkpoint gets its config and says which run wrote it.

    from catalog.integrations.lightning import CatalogCallback

    trainer = Trainer(callbacks=[CatalogCallback(config=cfg)], logger=[WandbLogger(...)])

It works through the strategy's `CheckpointIO` (run with 2.4 and 2.6), so every save is met: by
any `ModelCheckpoint`, by `trainer.save_checkpoint`, best, last and periodic ones. Strategies that
save by themselves in shards (FSDP, DeepSpeed) do not come this way.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.integrations.saving import Saver, plain

try:
    from lightning.pytorch.callbacks import Callback  # type: ignore[import-not-found,unused-ignore]
    from lightning.pytorch.plugins.io import CheckpointIO  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from pytorch_lightning.callbacks import (  # type: ignore[import-not-found,no-redef,unused-ignore]
            Callback,
        )
        from pytorch_lightning.plugins.io import (  # type: ignore[import-not-found,no-redef,unused-ignore]
            CheckpointIO,
        )
    except ImportError as error:
        raise ImportError(
            "catalog.integrations.lightning needs Lightning: pip install 'catalog[lightning]'."
        ) from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class CatalogCallback(Callback):  # type: ignore[misc,unused-ignore]
    """Writes `STEM.config.json` and `STEM.metadata.json` at each save.

    A training never fails because of it: what goes wrong is a warning in the log. Only the
    process that writes checkpoints writes these files. No database is needed; `catalog ingest`
    later links such a checkpoint with certainty, for its metadata name the run.

    Args:
        config: the training's whole config, a mapping or an OmegaConf object. By default Hydra's,
            if a Hydra job runs, else the hyper-parameters that the module saved.
        sections: what the sidecar holds of it.
    """

    def __init__(self, config: Any = None, sections: Sequence[str] = ("model",)) -> None:
        self._saver = Saver(config, sections, "lightning")
        self._saved: dict[Path, dict[str, Any]] = {}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002
        """Put itself between the strategy and what writes its checkpoints."""
        with self._saver.guarded("watch the checkpoints"):
            if not isinstance(trainer.strategy.checkpoint_io, _WatchedIO):
                trainer.strategy.checkpoint_io = _WatchedIO(
                    trainer.strategy.checkpoint_io, self, trainer
                )

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002
        """Serve links that `save_last="link"` made after the last save, and step aside."""
        with self._saver.guarded("write the config of a linked checkpoint"):
            self._serve_links()
        watched = trainer.strategy.checkpoint_io
        if isinstance(watched, _WatchedIO):
            trainer.strategy.checkpoint_io = watched.inner

    def saved(self, trainer: Any, checkpoint: dict[str, Any], path: Path) -> None:
        """Write the files of one checkpoint; for the watched `CheckpointIO`."""
        with self._saver.guarded("write a checkpoint's config and metadata"):
            metadata = {
                "epoch": checkpoint.get("epoch"),
                "global_step": checkpoint.get("global_step"),
                "metrics": _metrics(trainer),
                **_monitor(trainer),
                **_runs(trainer),
            }
            self._saver.save(path, metadata, lambda: _hyper_parameters(checkpoint))
            self._saved[path] = metadata
            self._serve_links()

    def removed(self, path: Path) -> None:
        """Remove the files of a checkpoint that is gone."""
        with self._saver.guarded("remove what belongs to a removed checkpoint"):
            self._saved.pop(path, None)
            self._saver.forget(path)

    def _serve_links(self) -> None:
        """Lightning links `last.ckpt` to a checkpoint without a word to anybody."""
        for folder in {path.parent for path in self._saved}:
            for entry in os.scandir(folder):
                target = Path(os.path.realpath(entry.path)) if entry.is_symlink() else None
                if target is not None and target in self._saved:
                    self._saver.save(Path(entry.path), self._saved[target])


class _WatchedIO(CheckpointIO):  # type: ignore[misc,unused-ignore]
    """Passes everything on, and tells the callback what was saved and removed."""

    def __init__(self, inner: Any, callback: CatalogCallback, trainer: Any) -> None:
        self.inner = inner
        self._callback = callback
        self._trainer = trainer

    def save_checkpoint(self, checkpoint: Any, path: Any, *more: Any, **options: Any) -> None:
        """Save, then write what belongs to it."""
        self.inner.save_checkpoint(checkpoint, path, *more, **options)
        self._callback.saved(self._trainer, checkpoint, Path(path))

    def load_checkpoint(self, *arguments: Any, **options: Any) -> Any:
        """Load, unchanged."""
        return self.inner.load_checkpoint(*arguments, **options)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove, and then what belongs to it."""
        self.inner.remove_checkpoint(path)
        self._callback.removed(Path(path))

    def teardown(self) -> None:
        """End, unchanged."""
        self.inner.teardown()


def _metrics(trainer: Any) -> dict[str, float]:
    return {str(name): float(value) for name, value in trainer.callback_metrics.items()}


def _monitor(trainer: Any) -> dict[str, Any]:
    callback = trainer.checkpoint_callback
    if callback is None:
        return {}
    return {
        "monitor": getattr(callback, "monitor", None),
        "mode": getattr(callback, "mode", None),
        "save_top_k": getattr(callback, "save_top_k", None),
    }


def _runs(trainer: Any) -> dict[str, Any]:
    runs = [*_described(trainer.loggers)]
    first = next((run["run_id"] for run in runs if "run_id" in run), None)
    return {"wandb_run_id": first, "runs": runs}


def _described(loggers: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for logger in loggers:
        version, kind = logger.version, type(logger).__name__
        run: dict[str, Any] = {"logger": kind, "name": logger.name}
        if kind == "WandbLogger" and version:
            # The attribute, not the property: a run that nobody has begun is not begun here.
            experiment = getattr(logger, "_experiment", None)
            run["run_id"] = str(version)
            run["entity"] = getattr(experiment, "entity", None)
            run["project"] = getattr(experiment, "project", None) or logger.name
            run["directory"] = getattr(experiment, "dir", None)
        else:
            run["version"] = str(version) if version is not None else None
            run["directory"] = getattr(logger, "log_dir", None)
        yield {key: value for key, value in run.items() if value not in (None, "")}


def _hyper_parameters(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    found = checkpoint.get("hyper_parameters")
    if not found:
        return None
    try:
        return plain(found)
    except (TypeError, ValueError):
        return None  # classes, functions, devices: no config that could be written down


__all__ = ["CatalogCallback"]
