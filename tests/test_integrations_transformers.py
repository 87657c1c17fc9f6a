"""The callback in a real training with the Trainer on the CPU; skipped without Transformers."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
# The libraries warn of their own doings; here only what the callback does counts.
pytestmark = pytest.mark.filterwarnings("ignore")

from catalog.integrations.transformers import CatalogCallback  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(index % 2)}


def train(folder: Path, **options: Any) -> None:
    config = transformers.BertConfig(
        vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8,
    )  # fmt: skip
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=3, save_steps=1, per_device_train_batch_size=2,
        report_to=[], use_cpu=True, disable_tqdm=True, **options,
    )  # fmt: skip
    transformers.Trainer(
        model=transformers.BertForSequenceClassification(config),
        args=arguments,
        train_dataset=Rows(),
        callbacks=[CatalogCallback()],
    ).train()


def test_each_checkpoint_says_which_run_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    run = SimpleNamespace(id="q1w2e3r4", entity="team", project="ocr", name="x", dir="wandb/x")
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=run, __spec__=None))
    folder = tmp_path / "out"
    train(folder, save_total_limit=2)
    assert sorted(name for name in os.listdir(folder) if name.startswith("checkpoint-")) == [
        "checkpoint-2",
        "checkpoint-2.metadata.json",
        "checkpoint-3",
        "checkpoint-3.metadata.json",
    ]
    said = json.loads((folder / "checkpoint-3.metadata.json").read_text())
    assert (said["wandb_run_id"], said["global_step"]) == ("q1w2e3r4", 3)
    assert said["output_dir"] == str(folder)


def test_it_links_with_certainty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from tests.support.wandb_files import write_run_directory

    run = SimpleNamespace(id="q1w2e3r4", entity="team", project="ocr", name="x", dir="wandb/x")
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=run, __spec__=None))
    train(tmp_path / "tree" / "out")
    for number, name in enumerate(("q1w2e3r4", "z9y8x7w6")):
        write_run_directory(
            tmp_path / "tree" / "wandb", name, stamp=f"2025101{number}_023219", rows=[{"a": 1}]
        )
    catalog = Catalog(tmp_path / "linked.db")
    catalog.ingest([tmp_path / "tree"])
    rows = catalog.sql("SELECT run, verdict, state FROM checkpoint_trace").dicts()
    assert rows == [{"run": "q1w2e3r4", "verdict": "linked", "state": "usable"}] * 3
