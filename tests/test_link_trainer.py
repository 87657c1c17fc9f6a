"""Links of Hugging Face's checkpoints: what the Trainer and W&B's callback both write down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from tests.support.linking import traced
from tests.support.trainer_files import (
    rewritten,
    write_safetensors,
    write_trainer_checkpoint,
)
from tests.support.wandb_files import write_run_directory

ARGUMENTS = {
    "output_dir": "results/bert",
    "seed": 1,
    "learning_rate": 5e-5,
    "max_steps": 100,
    "metric_for_best_model": "eval_loss",
}


def history(seconds: float = 3.1234, loss: float = 0.5123456478118896) -> list[dict[str, Any]]:
    """Return a log of one step; seeds fix the loss, never the seconds."""
    return [
        {"epoch": 1.0, "learning_rate": 2.5e-5, "loss": 0.71, "step": 50},
        {
            "epoch": 1.0,
            "eval_loss": loss,
            "eval_runtime": seconds,
            "eval_samples_per_second": round(1000 / seconds, 3),
            "step": 50,
        },
    ]


def write_run(tree: Path, run_id: str, rows: list[dict[str, Any]], **config: Any) -> None:
    write_run_directory(
        tree / "wandb", run_id, config={**ARGUMENTS, **config}, rows=[*map(rewritten, rows)]
    )


def test_a_repeated_command_is_told_by_how_long_it_took(tmp_path: Path) -> None:
    """One output folder, one seed, equal losses: only the seconds of the evaluation differ."""
    tree = tmp_path / "tree"
    write_trainer_checkpoint(
        tree / "results/bert/checkpoint-50", ARGUMENTS, history=history(4.5678)
    )
    write_run(tree, "a1a1a1a1", history(3.1234))
    write_run(tree, "b2b2b2b2", history(4.5678))
    verdict, run, kinds = traced(tmp_path, "checkpoint-50")
    assert (verdict, run) == ("linked", "b2b2b2b2")
    assert kinds["timing-recorded"] == 10.0


def test_other_seconds_speak_against_a_run(tmp_path: Path) -> None:
    """The run of the same command and folder that is on disk is not the one that wrote it."""
    tree = tmp_path / "tree"
    write_trainer_checkpoint(
        tree / "results/bert/checkpoint-50", ARGUMENTS, history=history(4.5678)
    )
    write_run(tree, "a1a1a1a1", history(3.1234))
    verdict, _, kinds = traced(tmp_path, "checkpoint-50")
    assert kinds["timing-not-recorded"] == -20.0
    assert verdict == "unlinked"


def test_the_monitored_loss_is_known_by_its_name_in_wandb(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_trainer_checkpoint(tree / "moved/checkpoint-50", ARGUMENTS, history=history())
    write_run(tree, "a1a1a1a1", history())
    _, _, kinds = traced(tmp_path, "checkpoint-50")
    assert kinds["score-recorded"] == 8.5


def test_a_learning_rate_alone_is_no_proof(tmp_path: Path) -> None:
    """Every run with that schedule has it, whatever its seed; the losses differ."""
    tree = tmp_path / "tree"
    rows = history(loss=0.25)[:1]
    other = {**ARGUMENTS, "seed": 2}
    write_trainer_checkpoint(tree / "elsewhere/checkpoint-50", other, history=rows)
    write_run(tree, "a1a1a1a1", history()[:1])
    verdict, _, kinds = traced(tmp_path, "checkpoint-50")
    assert kinds["learning-rate-recorded"] == 0.5
    assert "metrics-recorded" not in kinds
    assert verdict == "unlinked"


@pytest.mark.parametrize("key", ["_name_or_path", "model_name_or_path"])
def test_an_evaluation_with_the_arguments_of_the_training_wrote_nothing(
    tmp_path: Path, key: str
) -> None:
    """It names the same output folder and reads its model; the training's run is gone."""
    tree = tmp_path / "tree"
    write_trainer_checkpoint(tree / "results/bert/checkpoint-50", ARGUMENTS, history=history()[:1])
    write_run_directory(
        tree / "wandb",
        "e5e5e5e5",
        config={**ARGUMENTS, key: "/home/team/results/bert/checkpoint-50"},
        rows=[{"eval/loss": 0.3333333}],
    )
    verdict, _, kinds = traced(tmp_path, "checkpoint-50")
    assert kinds["read-by-run"] == -12.0
    assert verdict == "unlinked"


def test_the_folder_a_model_was_loaded_from_is_no_output(tmp_path: Path) -> None:
    """A training went on from the saved model of another one, whose run is gone."""
    tree = tmp_path / "tree"
    first = {**ARGUMENTS, "output_dir": "results/first"}
    write_trainer_checkpoint(tree / "results/first/final", first)
    write_run(
        tree,
        "b2b2b2b2",
        history(),
        output_dir="results/second",
        _name_or_path="/home/team/results/first/final",
    )
    verdict, _, kinds = traced(tmp_path, "first/final")
    assert "folder-named" not in kinds
    assert verdict == "unlinked"


def test_a_run_of_another_model_size_is_ruled_out(tmp_path: Path) -> None:
    """W&B's callback logs the model's config as well: its word embeddings have another width."""
    tree = tmp_path / "tree"
    place = tree / "results/bert/checkpoint-50"
    write_trainer_checkpoint(place, ARGUMENTS, history=history()[:1])
    write_safetensors(
        place / "model.safetensors", {"bert.embeddings.word_embeddings.weight": [30, 8]}
    )
    for run_id, width in (("a1a1a1a1", 8), ("b2b2b2b2", 16)):
        write_run(tree, run_id, history()[:1], model_type="bert", vocab_size=30, hidden_size=width)
    verdict, run, kinds = traced(tmp_path, "checkpoint-50")
    assert (verdict, run) == ("linked", "a1a1a1a1")
    explanation = Catalog(tmp_path / "catalog.db", host="here").why_not("checkpoint-50", "b2b2b2b2")
    assert {piece["kind"]: piece["weight"] for piece in explanation.evidence}[
        "architecture-differs"
    ] == -4.0
    assert "architecture-differs" not in kinds


def test_a_training_that_went_on_in_its_source_s_folder_may_have_written_there(
    tmp_path: Path,
) -> None:
    """It loaded the saved model of the training before, and saved its own in its place."""
    tree = tmp_path / "tree"
    write_trainer_checkpoint(tree / "results/bert/final", ARGUMENTS)
    write_run(tree, "a1a1a1a1", history())
    write_run(tree, "b2b2b2b2", history(), _name_or_path="/home/team/results/bert/final")
    assert traced(tmp_path, "bert/final")[0] == "ambiguous"
