"""What became of checkpoints: moved, copied, gone on from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from tests.support.trees import START, Training


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def ingested(tmp_path: Path, tree: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.db", host="here")
    catalog.ingest([tree])
    return catalog


def moves(catalog: Catalog) -> dict[str, str]:
    return {row["path"]: row["moved_from"] for row in catalog.query("moves").dicts()}


def test_a_renamed_checkpoint_remembers_where_it_was(tmp_path: Path) -> None:
    checkpoint = Training().write(tmp_path / "tree")
    catalog = ingested(tmp_path, tmp_path / "tree")
    checkpoint.rename(checkpoint.with_name("renamed.ckpt"))
    catalog.ingest([tmp_path / "tree"])
    folder = checkpoint.parent.relative_to(tmp_path / "tree").as_posix()
    assert moves(catalog) == {f"{folder}/renamed.ckpt": f"{folder}/best.ckpt"}
    shown = command("trace", "renamed.ckpt", "--db", str(tmp_path / "catalog.db")).stdout
    assert f"was  {folder}/best.ckpt" in shown


def test_equal_files_are_matched_by_name(tmp_path: Path) -> None:
    checkpoint = Training().write(tmp_path / "tree")
    shutil.copy2(checkpoint, checkpoint.with_name("last.ckpt"))
    catalog = ingested(tmp_path, tmp_path / "tree")
    shutil.move(checkpoint.parents[1], tmp_path / "tree" / "moved")
    catalog.ingest([tmp_path / "tree"])
    assert {Path(new).name: Path(old).name for new, old in moves(catalog).items()} == {
        "best.ckpt": "best.ckpt",
        "last.ckpt": "last.ckpt",
    }


def test_a_copy_that_was_there_before_is_no_move(tmp_path: Path) -> None:
    checkpoint = Training().write(tmp_path / "tree")
    shutil.copy2(checkpoint, tmp_path / "tree" / "copy.ckpt")
    catalog = ingested(tmp_path, tmp_path / "tree")
    checkpoint.unlink()
    catalog.ingest([tmp_path / "tree"])
    assert moves(catalog) == {}


def test_a_copy_is_of_the_run_of_its_original(tmp_path: Path) -> None:
    """Its score is rounded, its time and its folder are gone: only the weights tell."""
    tree = tmp_path / "tree"
    checkpoint = Training(scores=(0.5, 1.0), hydra=True).write(tree)
    copy = tree / "release" / "model.ckpt"
    copy.parent.mkdir()
    shutil.copy(checkpoint, copy)
    os.utime(copy, (START + 9_000, START + 9_000))
    found = ingested(tmp_path, tree).trace("release/model.ckpt")
    assert found.checkpoint["run"] == "a1b2c3d4"
    kinds = [piece["kind"] for piece in found.candidates[0]["evidence"]]
    assert kinds[0] == "copy-of"


def test_equal_weights_of_two_trainings_are_no_copies(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    Training(name="one", run_id="a1b2c3d4", scores=(0.5, 1.0), named=True).write(tree)
    Training(name="two", run_id=None, begin=9_000, scores=(0.5, 1.0)).write(tree)
    assert ingested(tmp_path, tree).trace("two-").checkpoint["verdict"] == "unlinked"


@pytest.fixture
def family(tmp_path: Path) -> Catalog:
    """A run, one that went on from its checkpoint, and one from a file that is not there."""
    tree = tmp_path / "tree"
    first = Training(name="encoder", run_id="aaaaaaa1").write(tree)
    named = "/home/team/project/" + first.relative_to(tree).as_posix()
    second = Training(
        name="learner",
        run_id="bbbbbbb2",
        begin=600,
        scores=(0.1111111, 0.2222222),
        config={"model": {"name": "dbnet"}, "encoder_ckpt": named},
    )
    checkpoint = second.write(tree)
    Training(
        name="grandchild",
        run_id="ccccccc3",
        begin=1200,
        scores=(0.3333333, 0.4444444),
        config={"load": {"ckpt": checkpoint.relative_to(tree).as_posix()}},
    ).write(tree)
    Training(
        name="orphan",
        run_id="ddddddd4",
        begin=1800,
        scores=(0.5555555, 0.6666666),
        config={"init_from": "/somewhere/else/exp9/best.ckpt"},
    ).write(tree)
    return ingested(tmp_path, tree)


def test_lineage_is_walked_both_ways(family: Catalog) -> None:
    encoder = family.lineage("encoder-").rows().dicts()
    assert [(row["generation"], row["run"]) for row in encoder] == [
        (1, "bbbbbbb2"),
        (2, "ccccccc3"),
    ]
    grandchild = family.lineage("grandchild-").rows().dicts()
    assert [(row["generation"], row["checkpoint"].split("/")[1][:7]) for row in grandchild] == [
        (-1, "learner"),
        (-2, "encoder"),
    ]
    assert grandchild[0]["named_as"] == "load.ckpt"
    assert grandchild[0]["file"].endswith("run-ccccccc3.wandb")


def test_a_parent_that_is_not_there_is_named(family: Catalog) -> None:
    (row,) = family.lineage("orphan-").rows().dicts()
    assert (row["checkpoint"], row["state"]) == ("/somewhere/else/exp9/best.ckpt", "unknown")


def test_a_parent_that_moved_is_found_where_it_is(family: Catalog, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    next(tree.glob("outputs/encoder-*")).rename(tree / "outputs" / "renamed")
    family.ingest([tree])
    rows = family.lineage("learner-").rows().dicts()
    assert rows[0]["checkpoint"] == "outputs/renamed/checkpoints/best.ckpt"


def test_lineage_on_the_command_line(family: Catalog) -> None:
    shown = command("trace", "encoder-", "--lineage", "--db", str(family.location.file)).stdout
    assert "led to" in shown
    assert "encoder_ckpt in" in shown
    both = command("trace", "x", "--lineage", "--why-not", "y", "--db", "none.db")
    assert both.exit_code == 2
