"""One kind of evidence at a time: what decides, and what must not."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from catalog import Catalog
from tests.support.linking import traced
from tests.support.torch_files import lightning_checkpoint, write_torch_zip
from tests.support.trees import START, Training
from tests.support.wandb_files import write_run_directory


def run_folder(tree: Path, run_id: str) -> Path:
    return next(tree.glob(f"wandb/*-{run_id}"))


def test_an_evaluation_is_not_the_training(tmp_path: Path) -> None:
    """It names the file, has its config and recorded the score; the training's run is gone."""
    tree = tmp_path / "tree"
    training = Training()
    checkpoint = training.write(tree)
    shutil.rmtree(run_folder(tree, "a1b2c3d4"))
    named = "/home/team/project/" + checkpoint.relative_to(tree).as_posix()
    write_run_directory(
        tree / "wandb",
        "e5e5e5e5",
        stamp="20251018_024219",
        started=START + 600,
        config={**training.config, "ckpt_path": named},
        rows=[{"epoch": 0, "val/hmean": max(training.scores)}],
    )
    assert traced(tmp_path, "best.ckpt")[0] == "unlinked"


def test_a_score_of_few_digits_is_no_proof(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    Training(name="first", run_id=None, scores=(0.5, 1.0)).write(tree)
    Training(name="second", run_id="b2b2b2b2", begin=900, scores=(0.5, 1.0)).write(tree)
    assert traced(tmp_path, "first-")[0] == "unlinked"


def test_the_same_command_twice_is_told_by_the_clocks_alone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    Training(name="first", run_id="a1a1a1a1", hydra=True).write(tree)
    Training(name="second", run_id="b2b2b2b2", hydra=True, begin=900).write(tree)
    assert traced(tmp_path, "first-")[:2] == ("linked", "a1a1a1a1")
    assert traced(tmp_path, "second-")[:2] == ("linked", "b2b2b2b2")


def test_the_same_command_twice_in_one_second_is_ambiguous(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    Training(name="first", run_id="a1a1a1a1", hydra=True).write(tree)
    Training(name="second", run_id="b2b2b2b2", hydra=True).write(tree)
    assert traced(tmp_path, "first-")[0] == "ambiguous"


def test_what_follows_from_one_command_counts_once(tmp_path: Path) -> None:
    Training(hydra=True).write(tmp_path / "tree")
    _, _, kinds = traced(tmp_path, "best.ckpt")
    assert kinds["score-recorded"] == 8.5
    assert kinds["arguments-equal"] == 1.0
    assert kinds["job-config-equal"] == 0.25


@pytest.mark.parametrize(("run_id", "verdict"), [("x7k2m9qa", "linked"), ("outputs", "unlinked")])
def test_an_id_in_the_path_is_proof_unless_it_is_a_word(
    tmp_path: Path, run_id: str, verdict: str
) -> None:
    tree = tmp_path / "tree"
    write_run_directory(tree / "wandb", run_id)
    checkpoint = Training(run_id=None).write(tmp_path / "elsewhere")
    target = tree / "results" / run_id / "checkpoints" / "best.ckpt"
    target.parent.mkdir(parents=True)
    shutil.copy(checkpoint, target)
    assert traced(tmp_path, "best.ckpt")[0] == verdict


def test_a_step_beyond_the_end_of_a_run_rules_it_out(tmp_path: Path) -> None:
    """It names the folder, and a resumed run that nobody tracked wrote the file."""
    tree = tmp_path / "tree"
    first = Training(named=True)
    checkpoint = first.write(tree)
    checkpoint.unlink()
    longer = replace(first, run_id=None, scores=(*first.scores, 0.11, 0.12, 0.8888888))
    shutil.move(longer.write(tmp_path / "other"), checkpoint)
    verdict, _, kinds = traced(tmp_path, "best.ckpt")
    assert verdict == "unlinked"
    assert kinds["step-never-reached"] == -20.0


def test_a_thinned_history_is_no_evidence_against(tmp_path: Path) -> None:
    """What the catalog itself left out must not count as never recorded."""
    scores = (0.7231270074844360, *(0.3 + n / 100 for n in range(40)), 0.1)
    Training(scores=scores).write(tmp_path / "tree")
    for history in ("full", "none"):
        (tmp_path / "catalog.db").unlink(missing_ok=True)
        _, _, kinds = traced(tmp_path, "best.ckpt", history=history)
        assert "score-not-recorded" not in kinds, history


def test_a_run_of_another_folder_of_its_kind_is_ruled_out(tmp_path: Path) -> None:
    """Equal scores and config; its config names the folder beside the checkpoint's."""
    tree = tmp_path / "tree"
    Training(name="first", run_id=None).write(tree)
    second = Training(name="second", run_id="b2b2b2b2", begin=20, named=True)
    shutil.rmtree(second.write(tree).parents[1])
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    explanation = catalog.why_not("first-", "b2b2b2b2")
    assert explanation.verdict != "linked"
    assert "other-folder-named" in {piece["kind"] for piece in explanation.evidence}


def test_a_killed_run_that_went_on_recorded_what_it_did_before(tmp_path: Path) -> None:
    """What it lost is its end: a score of an epoch before that was never its own."""
    tree = tmp_path / "tree"
    training = Training(run_id=None, scores=(0.4107142984867096,))
    training.write(tree)
    scores = (0.1234567, 0.2345678, 0.3456789)
    write_run_directory(
        tree / "wandb",
        "a1a1a1a1",
        exit_code=None,
        rows=[{"epoch": epoch, "val/hmean": score} for epoch, score in enumerate(scores)],
        config={"paths": {"output_dir": "/home/team/project/outputs"}},
    )
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    explanation = catalog.why_not("best.ckpt", "a1a1a1a1")
    kinds = {piece["kind"]: piece["weight"] for piece in explanation.evidence}
    assert kinds["score-not-recorded"] == -8.0


def test_a_run_of_the_same_folder_without_history_may_have_had_the_score(tmp_path: Path) -> None:
    """One training saved nothing, so that the next took its folder's name, and was killed."""
    tree = tmp_path / "tree"
    training = Training(named=True, delay=900)
    training.write(tree)
    named = next((tree / "outputs").iterdir()).name
    write_run_directory(
        tree / "wandb",
        "c3c3c3c3",
        exit_code=None,
        stream=False,
        config={"paths": {"output_dir": f"/home/team/project/outputs/{named}"}},
    )
    assert traced(tmp_path, "best.ckpt")[0] == "ambiguous"


def test_of_two_trainings_in_one_folder_a_run_without_history_wrote_but_one(
    tmp_path: Path,
) -> None:
    """`best` and `best-v1` have the same hyper-parameters; W&B's stream is lost."""
    tree = tmp_path / "tree"
    config = {"seed": 1, "lr": 0.1, "model": {"name": "dbnet"}}
    for name, best, score in (
        ("best.ckpt", "best.ckpt", 0.7517625),
        ("best-v1.ckpt", "best-v1.ckpt", 0.5525192),
        ("last.ckpt", "best.ckpt", 0.7517625),
        ("last-v1.ckpt", "best.ckpt", 0.5525192),
    ):
        content = lightning_checkpoint(
            best_k={best: score}, directory="/home/team/project/checkpoints",
            hyper_parameters=config,
        )  # fmt: skip
        path = tree / "checkpoints" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        write_torch_zip(path, content)
    write_run_directory(
        tree / "wandb",
        "a1a1a1a1",
        exit_code=None,
        stream=False,
        config={**config, "paths": {"output_dir": "/home/team/project"}},
    )
    for name in ("best.ckpt", "last.ckpt"):
        verdict, _, kinds = traced(tmp_path, name)
        assert kinds["twin-beside"] == -6.0
        assert verdict == "unlinked"


@pytest.mark.parametrize(
    ("after", "kind", "sentence"),
    [
        (0.0, "written-during-run", "while the run lived."),
        (0.5, "written-at-end", "less than 1 s after the run's last sign of life"),
        (40.0, "written-at-end", "40 s after the run's last sign of life"),
    ],
)
def test_only_what_was_written_before_the_end_was_written_while_the_run_lived(
    tmp_path: Path, after: float, kind: str, sentence: str
) -> None:
    checkpoint = Training(options={"exit_code": None}).write(tmp_path / "tree")
    os.utime(checkpoint, (START + 3 + after, START + 3 + after))
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tmp_path / "tree"])
    found = catalog.trace("best.ckpt").candidates[0]["evidence"]
    (piece,) = (one for one in found if one["kind"].startswith("written-"))
    assert piece["kind"] == kind
    assert sentence in piece["detail"]
    assert catalog.sql("SELECT ended_basis FROM run").rows == [("time of the last logged row",)]


@pytest.mark.parametrize(("minutes", "wrote"), [(5, True), (20, False)])
def test_a_killed_run_may_write_until_its_newest_file(
    tmp_path: Path, minutes: int, *, wrote: bool
) -> None:
    checkpoint = Training(options={"exit_code": None}).write(tmp_path / "tree")
    for path in (tmp_path / "tree" / "wandb").rglob("*"):
        os.utime(path, (START + 600, START + 600))  # its log went on for ten minutes
    os.utime(checkpoint, (START + 60 * minutes, START + 60 * minutes))
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tmp_path / "tree"])
    found = {one["kind"] for one in catalog.trace("best.ckpt").candidates[0]["evidence"]}
    assert ("written-after-run" not in found) is wrote
