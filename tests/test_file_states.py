"""A file that is gone is never named as if it were there, on a page, in JSON or in a table."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from catalog.cli.main import app
from tests.support.recovery import catalog_of, project
from tests.support.trees import Training

if TYPE_CHECKING:
    from pathlib import Path

RUN = "a1b2c3d4"
NAMES = ("file", "source", "config_source", "inference_config", "config_file", "run_file")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    project(root, Training("a", hydra=True), Training("b", run_id="b2c3d4e5", begin=9000))
    return root


def called(root: Path, *arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(app, [*arguments, "--db", str(root.parent / "catalog.db")])
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def as_json(root: Path, *arguments: str) -> Any:
    return json.loads(called(root, *arguments, "-f", "json")[0])


def states(value: Any) -> dict[str, str]:
    """Return all files that a document names, with the state beside each name."""
    found: dict[str, str] = {}
    if isinstance(value, list):
        for member in value:
            found |= states(member)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key in NAMES and isinstance(member, str):
                found[member] = value["file_state" if key == "file" else f"{key}_state"]
            found |= states(member)
    return found


PAGES = (
    ("trace", "outputs/a"),
    ("trace", "outputs/b"),
    ("run", RUN),
    ("run", "b2c3d4e5"),
    ("query", "unusable"),
    ("query", "usable"),
    ("query", "recoverable"),
    ("query", "unusable-linked"),
    ("query", "evidence", "-p", "checkpoint=best"),
    ("query", "metrics", "--run", RUN),
)


def test_every_file_on_a_page_has_its_state(tree: Path) -> None:
    catalog = catalog_of(tree)
    named: dict[str, str] = {}
    for page in PAGES:
        named |= states(as_json(tree, *page))
    assert len(named) >= 4
    assert set(named.values()) == {"present"}
    shutil.rmtree(tree / "wandb")
    catalog.ingest([tree])
    for page in PAGES:
        for file, state in states(as_json(tree, *page)).items():
            assert state == ("present" if (tree / file).exists() else "gone"), (page, file)


def test_the_pages_for_people_say_gone(tree: Path) -> None:
    catalog = catalog_of(tree)
    assert "gone" not in called(tree, "trace", "outputs/b")[0] + called(tree, "run", RUN)[0]
    shutil.rmtree(tree / "wandb")
    catalog.ingest([tree])
    for line in called(tree, "trace", "outputs/b")[0].splitlines():
        assert ("wandb/" in line) <= ("(gone)" in line), line
    for line in called(tree, "run", RUN)[0].splitlines():
        assert ("wandb/run-" in line) <= ("(gone)" in line), line
    run = as_json(tree, "run", RUN)
    assert {row["directory_state"] for row in run["directories"] if row["tracker"] == "wandb"} == {
        "gone"
    }
    assert "(gone)" in called(tree, "report")[0]


def test_what_a_pattern_leaves_out_is_not_gone(tree: Path) -> None:
    catalog = catalog_of(tree)
    (tree / ".catalogignore").write_text("wandb/\n")
    catalog.ingest([tree])
    for file, state in states(as_json(tree, "run", RUN)).items():
        assert state == ("left out" if file.startswith("wandb/") else "present")
    assert "(left out)" in called(tree, "run", RUN)[0]


def test_a_diff_says_what_is_told_of_a_file_that_is_gone(tree: Path) -> None:
    catalog = catalog_of(tree)
    (checkpoint,) = tree.glob("outputs/a*/checkpoints/best.ckpt")
    checkpoint.unlink()
    shutil.rmtree(tree / "wandb")
    catalog.ingest([tree])
    out, err = called(tree, "diff", str(checkpoint.relative_to(tree)), "outputs/b")
    assert "is gone: it is told as it was read last" in err
    out, err = called(tree, "diff", RUN, "b2c3d4e5")
    assert "Nothing differs" in err or out
    assert f"which states the config of {RUN}, is gone." in err
