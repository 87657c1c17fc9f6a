"""Known files that a pattern leaves out now: they are not gone, and nothing says that they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.ingest.scan import IGNORE_FILE
from tests.support.recovery import state_of
from tests.support.trainer_files import write_trainer_checkpoint
from tests.support.trees import Training


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    Training("kept", "a1b2c3d4", weight=1.0).write(root)
    Training("tried", "e5f6g7h8", begin=600, scores=(0.12345,), weight=2.0).write(root)
    return root


@pytest.fixture
def catalog(tmp_path: Path, tree: Path) -> Catalog:
    found = Catalog(tmp_path / "catalog.db")
    found.ingest([tree])
    return found


def said(catalog: Catalog, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--db", str(catalog.location.file)])
    assert done.exit_code == 0, done.output
    return done.stdout


def everything(catalog: Catalog) -> dict[str, Any]:
    """Return what is known, apart from when an ingest saw what."""
    queries = ("checkpoint_trace", "migration-status", "decisions", "runs", "roots", "evidence")
    params: dict[str, dict[str, str]] = {"evidence": {"checkpoint": "tried-"}}
    return {name: catalog.query(name, params.get(name)).rows for name in queries}


@pytest.mark.parametrize(
    "pattern",
    ["tried-*", "outputs/tried-*/checkpoints/", "*.ckpt\n!outputs/kept-*/**", "outputs/t*"],
)
def test_what_is_left_out_is_not_gone_and_comes_back(
    catalog: Catalog, tree: Path, pattern: str
) -> None:
    catalog.pin("tried-", "a1b2c3d4", "I know.")
    before = everything(catalog)
    (tree / IGNORE_FILE).write_text(pattern)
    shown = said(catalog, "ingest", str(tree))
    assert "0 newly missing, 1 newly left out)" in shown
    assert "2 checkpoints: 0 usable, 1 not, 1 left out; 1 linked" in shown
    state = state_of(catalog, "tried-")
    assert (state["state"], state["reason_code"]) == ("left out", "left-out")
    assert state["reason"].startswith("It is there, and left out now by .catalogignore")
    drawn = said(catalog, "trace", "tried-")
    assert "LEFT OUT" in drawn
    assert "The file is gone" not in drawn
    assert "MISSING" not in drawn
    status = [line.split() for line in said(catalog, "status").splitlines()]
    assert ["■", "missing", "0", "0", "B"] in status
    assert any(line[:4] == ["■", "left", "out", "1"] for line in status)
    assert "0 missing, 1 left out by a pattern" in said(catalog, "report")
    assert [row["path"] for row in catalog.query("unusable").dicts()] == [
        row["path"] for row in catalog.query("checkpoints").dicts() if "kept-" in row["path"]
    ]
    (row,) = catalog.query("left-out").dicts()
    assert "/tried-" in row["path"]
    assert catalog.query("roots").dicts()[0]["missing"] == 0
    assert {row["missing"] for row in catalog.query("data-sources").dicts()} == {0}
    again = catalog.ingest([tree])
    assert (again.missing, again.newly_left_out, again.left_out_checkpoints) == (0, 0, 1)
    (tree / IGNORE_FILE).unlink()
    assert catalog.ingest([tree]).read == 0
    assert everything(catalog) == before
    assert catalog.query("left-out").rows == []


def test_the_setting_and_a_virtual_environment_leave_out_as_well(
    catalog: Catalog, tree: Path
) -> None:
    done = Catalog(catalog.location.file, {"ignore": ("kept-*",)}).ingest([tree])
    assert (done.missing, done.left_out_checkpoints) == (0, 1)
    (next(tree.glob("outputs/tried-*")) / "pyvenv.cfg").touch()
    done = catalog.ingest([tree])
    assert (done.missing, done.newly_left_out, done.left_out_checkpoints) == (0, 1, 1)
    assert state_of(catalog, "kept-")["state"] == "recoverable"


def test_what_is_deleted_while_it_is_left_out_is_gone(catalog: Catalog, tree: Path) -> None:
    (tree / IGNORE_FILE).write_text("tried-*")
    catalog.ingest([tree])
    shutil.rmtree(next(tree.glob("outputs/tried-*")))
    done = catalog.ingest([tree])
    assert (done.missing, done.missing_checkpoints, done.left_out_checkpoints) == (1, 1, 0)
    assert state_of(catalog, "tried-")["reason"] == "The file is gone."


def test_what_comes_back_into_a_folder_that_is_left_out_is_no_more_gone(
    catalog: Catalog, tree: Path
) -> None:
    folder = next(tree.glob("outputs/tried-*"))
    away = folder.rename(tree.parent / "away")
    catalog.ingest([tree])
    (tree / IGNORE_FILE).write_text("tried-*")
    away.rename(folder)
    done = catalog.ingest([tree])
    assert (done.missing_checkpoints, done.left_out_checkpoints) == (0, 1)
    assert state_of(catalog, "tried-")["reason_code"] == "left-out"


def test_a_checkpoint_that_is_a_folder_is_left_out_with_its_parts(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_trainer_checkpoint(tree / "run" / "checkpoint-5", {"seed": 1})
    catalog = Catalog(tmp_path / "catalog.db")
    assert catalog.ingest([tree]).checkpoints > 0
    for pattern in ("checkpoint-5/", "*.safetensors\n*.bin\n*.pt\n*.json"):
        (tree / IGNORE_FILE).write_text(pattern)
        done = catalog.ingest([tree])
        assert (done.missing_checkpoints, done.left_out_checkpoints) == (0, done.checkpoints)
        (tree / IGNORE_FILE).unlink()
        assert catalog.ingest([tree]).left_out_checkpoints == 0


def test_a_config_that_is_left_out_is_used_no_more(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    Training(hydra=True).write(tree)
    catalog = Catalog(tmp_path / "catalog.db")
    assert catalog.ingest([tree]).usable == 1
    (tree / IGNORE_FILE).write_text(".hydra/\nwandb/")
    done = catalog.ingest([tree])
    assert (done.missing, done.usable, done.left_out_checkpoints) == (0, 0, 0)
    rows = json.loads(said(catalog, "query", "--evidence-at-risk", "-f", "json"))
    assert [row["risk"] for row in rows] == [
        "Every file that stated its config is gone, or left out of ingests now."
    ]
