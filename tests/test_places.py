"""A checkpoint in the folder of a run that is not W&B's: the place is told, no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from tests.support.torch_files import lightning_checkpoint, write_torch_zip
from tests.support.trainer_files import write_trainer_checkpoint
from tests.support.trees import Training

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "lightning_logs/version_0"
INSIDE = f"{VERSION}/checkpoints/best.ckpt"


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Lightning training that only its CSV logger recorded, and a Trainer's."""
    root = tmp_path / "project"
    folder = root / VERSION
    content = lightning_checkpoint(epoch=1, directory=f"/elsewhere/{VERSION}/checkpoints")
    (folder / "checkpoints").mkdir(parents=True)
    write_torch_zip(root / INSIDE, content)
    (folder / "hparams.yaml").write_text("model:\n  name: x\n")
    (folder / "metrics.csv").write_text("epoch,step,val/hmean\n0,10,0.4\n1,20,0.5\n")
    rows = [{"step": step, "epoch": step, "loss": 1 / step} for step in (1, 2)]
    write_trainer_checkpoint(root / "out" / "checkpoint-2", {"output_dir": "out"}, history=rows)
    return root


@pytest.fixture
def db(database: str, root: Path) -> str:
    Catalog(database).ingest([root])
    return database


def test_a_trace_names_the_run_whose_folder_it_lies_in(db: str) -> None:
    lines = said("trace", INSIDE, "--db", db).splitlines()
    place = next(number for number, line in enumerate(lines) if "lies in the folder of" in line)
    assert "unlinked  Nothing on disk ties it to a W&B run." in lines[place - 1]
    assert f"lightning:1:{VERSION}  lightning, {VERSION}" in lines[place]
    assert "tells of  transformers:" in said("trace", "checkpoint-2", "--db", db)


def test_the_page_of_that_run_lists_it_apart_from_linked_ones(db: str) -> None:
    for run, path in ((VERSION, INSIDE), ("out", "out/checkpoint-2")):
        page = said("run", run, "--db", db)
        assert "1 checkpoint in its folders, with no W&B run" in page
        assert path in page


def test_analysts_join_places_by_a_view(db: str) -> None:
    found = Catalog(db).sql(
        "SELECT t.path, t.verdict, p.tracker, p.run, p.run_directory FROM checkpoint_trace t "
        "JOIN checkpoint_in_run p ON p.checkpoint_id = t.checkpoint_id ORDER BY p.tracker"
    )
    (lightning, trainer) = found.rows
    assert lightning == (INSIDE, "unlinked", "lightning", f"lightning:1:{VERSION}", VERSION)
    assert trainer[:3] == ("out/checkpoint-2", "unlinked", "transformers")


def test_the_run_that_wrote_it_is_not_told_twice(tmp_path: Path) -> None:
    root = tmp_path / "project"
    Training(hydra=True, named=True).write(root)
    db = tmp_path / "catalog.db"
    catalog = Catalog(db)
    catalog.ingest([root])
    found = catalog.trace("best.ckpt")
    assert found.checkpoint["verdict"] == "linked"
    # The job's folder was joined to the W&B run: the place tells of the very same one.
    assert [(row["tracker"], row["run"]) for row in found.places] == [("hydra", "a1b2c3d4")]
    assert "lies in the folder of" not in said("trace", "best.ckpt", "--db", str(db))
    (row,) = catalog.run("a1b2c3d4").checkpoints
    assert row["verdict"] == "linked"


def test_runs_that_more_speaks_against_are_named_without_their_evidence(root: Path) -> None:
    db = str(root.parent / "catalog.db")
    Training(name="other").write(root)
    for checkpoint in root.glob("outputs/*/checkpoints/best.ckpt"):
        checkpoint.unlink()
    Catalog(db).ingest([root])
    (other,) = Catalog(db).trace(INSIDE).candidates
    assert other["score"] <= 0
    drawn = said("trace", INSIDE, "--db", db)
    assert "More speaks against each W&B run near it than for it." in drawn
    assert f"not  a1b2c3d4 ({other['verdict']}, {other['score']:+.1f})" in drawn
    assert other["evidence"][0]["kind"] not in drawn
