"""What a run gave to W&B as evidence: saved files, artifacts; and rates, rarity, names."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.link.evidence import Observation
from catalog.link.evidence.clocks import duration
from catalog.link.rarity import with_rarity
from catalog.link.subjects import RunFolder
from tests.support.linking import traced
from tests.support.torch_files import FakeTensor, lightning_checkpoint, write_torch_zip
from tests.support.trees import Training
from tests.support.wandb_files import artifact, write_run_directory, write_stream


def weights_only(path: Path) -> Path:
    """Write a checkpoint that says nothing of its training."""
    path.parent.mkdir(parents=True)
    return write_torch_zip(path, {"net.weight": FakeTensor(shape=(4, 3))})


@pytest.mark.parametrize("where", ["dead", "inside"])
def test_a_link_that_wandb_made_names_the_file_that_the_run_saved(
    tmp_path: Path, where: str
) -> None:
    tree = tmp_path / "tree"
    path = weights_only(tree / "outputs" / "det_r50_v2" / "checkpoints" / "best.ckpt")
    saver = write_run_directory(tree / "wandb", "a1a1a1a1")
    write_run_directory(tree / "wandb", "b2b2b2b2")
    link = saver / "files" / "checkpoints" / "best.ckpt"
    link.parent.mkdir()
    target = path if where == "inside" else "/gone/outputs/det_r50_v2/checkpoints/best.ckpt"
    link.symlink_to(target)
    verdict, run, kinds = traced(tmp_path, "outputs/det_r50_v2")
    assert (verdict, run) == ("linked", "a1a1a1a1")
    assert kinds["file-saved"] == 9.0
    rows = Catalog(tmp_path / "catalog.db").query("checkpoint_trace").dicts()
    assert [row["path"] for row in rows] == [path.relative_to(tree).as_posix()]


def test_a_link_to_a_file_of_another_training_says_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    weights_only(tree / "outputs" / "det_r50_v2" / "checkpoints" / "best.ckpt")
    saver = write_run_directory(tree / "wandb", "a1a1a1a1")
    (saver / "files" / "best.ckpt").symlink_to("/gone/outputs/det_r50_v3/checkpoints/best.ckpt")
    (saver / "files" / "last.ckpt").symlink_to("/gone/outputs/det_r50_v2/checkpoints/last.ckpt")
    verdict, _, kinds = traced(tmp_path, "outputs/det_r50_v2")
    assert "file-saved" not in kinds
    assert verdict == "unlinked"


def log_artifact(run: Path, path: Path, *, score: float, size: int | None = None) -> None:
    record = artifact(
        {"model.ckpt": "z6bstasEQocZz+LVgGpZGg=="},
        sizes={"model.ckpt": path.stat().st_size if size is None else size},
        metadata={"score": score, "original_filename": path.name},
    )
    write_stream(next(run.glob("*.wandb")), [record], go_on=True)


@pytest.mark.parametrize("size", [None, 17])
def test_an_artifact_of_the_same_name_size_and_score(tmp_path: Path, size: int | None) -> None:
    """The run logged its metric under another name; the artifact states the score."""
    tree = tmp_path / "tree"
    training = Training(run_id=None)
    path = training.write(tree)
    run = write_run_directory(tree / "wandb", "a1a1a1a1", rows=[{"hmean": 0.5}])
    log_artifact(run, path, score=max(training.scores), size=size)
    verdict, run_id, kinds = traced(tmp_path, "best.ckpt")
    if size is None:
        assert kinds["artifact-logged"] == 8.0
        assert (verdict, run_id) == ("linked", "a1a1a1a1")
    else:
        assert "artifact-logged" not in kinds


def test_an_artifact_with_another_score_is_of_another_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    path = Training(run_id=None).write(tree)
    run = write_run_directory(tree / "wandb", "a1a1a1a1", rows=[{"hmean": 0.5}])
    log_artifact(run, path, score=0.1234567)
    assert "artifact-logged" not in traced(tmp_path, "best.ckpt")[2]


@pytest.mark.parametrize(
    ("rates", "kind", "weight"),
    [
        ([0.01, 0.00857142857], "learning-rate-recorded", 2.0),
        ([0.01, 0.009], "learning-rate-not-recorded", None),
        ([0.001, 0.0005], "learning-rate-not-recorded", -6.0),
        ([0.01, 0.01], "learning-rate-not-recorded", -6.0),
    ],
)
def test_the_rate_of_the_optimizer_against_what_the_run_logged(
    tmp_path: Path, rates: list[float], kind: str, weight: float | None
) -> None:
    """A rate between two rows says nothing; one that the run never had does."""
    tree = tmp_path / "tree"
    training = Training(run_id=None)
    path = training.write(tree)
    content = lightning_checkpoint(
        epoch=1,
        best_k={"best.ckpt": max(training.scores)},
        directory="/home/team/project/x",
        optimizer_states=[{"state": {}, "param_groups": [{"lr": 0.00857142857, "params": [0]}]}],
    )
    write_torch_zip(path, content)
    write_run_directory(
        tree / "wandb",
        "a1a1a1a1",
        rows=[
            {"epoch": epoch, "val/hmean": score, "lr-Adam": rate}
            for epoch, (score, rate) in enumerate(zip(training.scores, rates, strict=True))
        ],
    )
    _, _, kinds = traced(tmp_path, "best.ckpt")
    if kind == "learning-rate-recorded":
        assert kinds[kind] in {weight, weight and weight / 4}  # it follows from the command
    else:
        assert kinds.get(kind) == weight


def folder(number: int) -> RunFolder:
    return RunFolder(
        number, "here", f"/w/run-{number}", "wandb", number, f"run{number}", None, None, None, False
    )


def shares(kinds: list[str]) -> list[float]:
    weighed = [
        (folder(number), [Observation(kind, 4.0 if kind.endswith("equal") else -6.0, "Said.")])
        for number, kind in enumerate(kinds)
    ]
    return [seen[0].weight for _, seen in with_rarity(weighed)]


def test_an_agreement_that_all_runs_show_says_little() -> None:
    equal, differ = "hyper-parameters-equal", "hyper-parameters-differ"
    assert shares([equal]) == [4.0]  # nothing to compare with
    assert shares([equal, differ, differ]) == [4.0, -6.0, -6.0]
    assert shares([equal, equal]) == [3.0, 3.0]
    half = shares([equal, equal, differ, differ])
    assert half == [3.5, 3.5, -6.0, -6.0]


@pytest.mark.parametrize(
    ("run_ids", "verdict"), [(("a1a1a1a1", "b2b2b2b2"), "ambiguous"), (("a1a1a1a1",), "unlinked")]
)
def test_the_name_of_folder_and_file_makes_every_run_of_it_possible(
    tmp_path: Path, run_ids: tuple[str, ...], verdict: str
) -> None:
    tree = tmp_path / "tree"
    weights_only(tree / "results" / "models" / "amp" / "amp_iter100.pt")
    for run_id in run_ids:
        write_run_directory(tree / "results" / "wandb", run_id, config={"exp_name": "amp"})
    assert traced(tmp_path, "amp_iter100")[0] == verdict


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (45, "45 s"),
        (725, "12 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (4e5, "5 days"),
    ],
)
def test_spans_of_time_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_folder_that_a_saved_link_lies_in_is_told_at_any_depth(tmp_path: Path) -> None:
    """Beside W&B's folders, a link is a checkpoint like any other, or dead."""
    run = write_run_directory(tmp_path / "tree" / "wandb", "a1a1a1a1")
    deep = run / "files" / "a" / "files"
    deep.mkdir(parents=True)
    (deep / "x.ckpt").symlink_to("/gone/x.ckpt")
    (tmp_path / "tree" / "y.ckpt").symlink_to("/gone/y.ckpt")
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tmp_path / "tree"])
    rows: list[dict[str, Any]] = catalog.sql(
        "SELECT m.text, d.tracker_run_id AS run FROM mention m "
        "JOIN run_directory d ON d.id = m.run_directory_id WHERE m.role = 'saved-file'"
    ).dicts()
    assert rows == [{"text": "/gone/x.ckpt", "run": "a1a1a1a1"}]


@pytest.mark.parametrize("folder", ["model-x7k2m9qa:v3", "model-x7k2m9qa-v3"])
def test_a_downloaded_artifact_bears_the_id_of_its_run(tmp_path: Path, folder: str) -> None:
    tree = tmp_path / "tree"
    weights_only(tree / "artifacts" / folder / "model.ckpt")
    for run_id in ("x7k2m9qa", "y8k2m9qb"):
        write_run_directory(tree / "wandb", run_id)
    verdict, run, kinds = traced(tmp_path, "model.ckpt")
    assert (verdict, run) == ("linked", "x7k2m9qa")
    assert kinds["run-id-in-path"] == 20.0
    other = Catalog(tmp_path / "catalog.db", host="here").why_not("model.ckpt", "y8k2m9qb")
    assert [piece["kind"] for piece in other.evidence] == ["other-run-id-in-path"]


def test_an_artifact_with_the_bytes_of_the_file_is_known_once_files_are_hashed(
    tmp_path: Path,
) -> None:
    """Nothing inside the file tells, and its name is not the artifact's."""
    tree = tmp_path / "tree"
    path = weights_only(tree / "release" / "model.ckpt")
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
    for run_id, said in (("a1a1a1a1", digest), ("b2b2b2b2", bytes(16))):
        write_run_directory(
            tree / "wandb",
            run_id,
            files_digests={"model.safetensors": base64.b64encode(said).decode()},
        )
    assert traced(tmp_path, "model.ckpt")[0] == "unlinked"
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    summary = catalog.ingest([tree], hashes=True)
    found = catalog.trace("model.ckpt")
    assert (found.checkpoint["verdict"], found.checkpoint["run"]) == ("linked", "a1a1a1a1")
    assert summary.linked == 1
