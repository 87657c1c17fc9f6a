"""The callback in a real training with Lightning on the CPU; skipped where Lightning is absent."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
pl: Any = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
# Lightning and torch warn of their own doings; here only what the callback does counts.
pytestmark = pytest.mark.filterwarnings("ignore")

from catalog.integrations.lightning import CatalogCallback  # noqa: E402

CONFIG: dict[str, Any] = {"model": {"in_features": 4, "out_features": 2}, "optim": {"lr": 0.1}}


class Net(pl.LightningModule):  # type: ignore[misc]
    def __init__(self, model: dict[str, int], save: bool = False) -> None:
        super().__init__()
        if save:
            self.save_hyperparameters("model")
        self.net = torch.nn.Linear(**model)

    def training_step(self, batch: Any, _: int) -> Any:
        loss = self.net(batch[0]).square().mean()
        self.log("train/loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class WandbLogger(pl.loggers.Logger):  # type: ignore[misc]
    """Stands for Lightning's of that name: only what the callback asks for."""

    version = "q1w2e3r4"
    name = "ocr"
    experiment = None

    def log_metrics(self, *_: Any, **__: Any) -> None: ...

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...


def fit(folder: Path, *callbacks: Any, save: bool = False, epochs: int = 2, **more: Any) -> Any:
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 4)), 4)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[*callbacks],
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=more.pop("logger", [WandbLogger(), pl.loggers.CSVLogger(folder)]),
        **more,
    )
    trainer.fit(Net(CONFIG["model"], save), data)
    return trainer


def saver(folder: Path, **options: Any) -> Any:
    return pl.callbacks.ModelCheckpoint(
        folder / "checkpoints", filename="best-{epoch}", monitor="train/loss", **options
    )


def test_each_checkpoint_gets_its_config_and_says_which_run_wrote_it(tmp_path: Path) -> None:
    trainer = fit(tmp_path, CatalogCallback(CONFIG), saver(tmp_path, save_last=True, save_top_k=1))
    trainer.save_checkpoint(tmp_path / "by-hand.ckpt")
    folder = tmp_path / "checkpoints"
    assert sorted(os.listdir(folder)) == [
        "best-epoch=1.ckpt",
        "best-epoch=1.config.json",
        "best-epoch=1.metadata.json",
        "last.ckpt",
        "last.config.json",
        "last.metadata.json",
    ]
    assert json.loads((folder / "last.config.json").read_text()) == {"model": CONFIG["model"]}
    said = json.loads((folder / "last.metadata.json").read_text())
    assert said["wandb_run_id"] == "q1w2e3r4"
    assert [run["logger"] for run in said["runs"]] == ["WandbLogger", "CSVLogger"]
    assert (said["epoch"], said["global_step"], said["monitor"]) == (1, 4, "train/loss")
    assert said["metrics"]["train/loss"] == pytest.approx(
        float(trainer.callback_metrics["train/loss"])
    )
    assert said["config"] == CONFIG


def test_it_links_with_certainty(tmp_path: Path) -> None:
    from tests.support.wandb_files import write_run_directory

    fit(tmp_path, CatalogCallback(CONFIG), saver(tmp_path))
    for number, run in enumerate(("q1w2e3r4", "z9y8x7w6")):
        write_run_directory(
            tmp_path / "wandb", run, stamp=f"2025101{number}_023219", rows=[{"a": 1}]
        )
    catalog = Catalog(tmp_path.parent / "linked.db")
    catalog.ingest([tmp_path])
    (row,) = catalog.sql("SELECT run, verdict, state FROM checkpoint_trace").dicts()
    assert row == {"run": "q1w2e3r4", "verdict": "linked", "state": "usable"}
    kinds = [row["kind"] for row in catalog.sql("SELECT kind FROM link_evidence").dicts()]
    assert "run-id-stated" in kinds


def test_a_link_to_the_last_checkpoint_is_served_too(tmp_path: Path) -> None:
    fit(tmp_path, CatalogCallback(CONFIG), saver(tmp_path, save_last="link", save_top_k=-1))
    folder = tmp_path / "checkpoints"
    assert (folder / "last.ckpt").is_symlink()
    assert json.loads((folder / "last.config.json").read_text()) == {"model": CONFIG["model"]}


def test_saved_hyper_parameters_serve_where_no_config_was_given(tmp_path: Path) -> None:
    fit(tmp_path, CatalogCallback(), saver(tmp_path), save=True)
    (sidecar,) = (tmp_path / "checkpoints").glob("*.config.json")
    assert json.loads(sidecar.read_text()) == {"model": CONFIG["model"]}


def test_a_training_goes_on_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from catalog.integrations import saving

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "_replace", fail)
    with caplog.at_level(logging.WARNING):
        trainer = fit(tmp_path, CatalogCallback(CONFIG), saver(tmp_path, save_top_k=-1))
    assert trainer.current_epoch == 2
    assert len([r for r in caplog.records if "No space left" in r.message]) == 1
    assert len([*(tmp_path / "checkpoints").glob("*.ckpt")]) == 2


def test_training_resumes_and_tests_with_it(tmp_path: Path) -> None:
    trainer = fit(tmp_path, CatalogCallback(CONFIG), saver(tmp_path))
    (path,) = (tmp_path / "checkpoints").glob("*.ckpt")
    inner = trainer.strategy.checkpoint_io
    assert type(inner).__module__.startswith("lightning")
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 4)), 4)
    trainer.fit_loop.max_epochs = 3
    trainer.fit(trainer.lightning_module, data, ckpt_path=path)
    assert trainer.current_epoch == 3


def test_it_needs_no_database(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import catalog.integrations.lightning, sys;"
        "sys.exit(any(name in sys.modules for name in ('sqlmodel', 'sqlalchemy', 'alembic')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
