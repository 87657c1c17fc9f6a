"""What is forgotten leaves nothing behind, and nothing else is changed by it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import NotFound, RecoveryError
from tests.support.database import facts, rows_of_all_tables
from tests.support.terminal import on_terminal
from tests.support.trainer_files import write_trainer_checkpoint
from tests.support.trees import Training

if TYPE_CHECKING:
    from collections.abc import Callable

TWO = (0.1234567, 0.2345678)
THREE = (0.3456789, 0.4567891, 0.5678912)


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Two trees of one project each; checkpoints of the second repeat weights of the first."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    Training(name="first", run_id="a1b2c3d4", hydra=True).write(ours)
    Training(name="second", run_id="e5f6g7h8", begin=600, scores=TWO).write(ours)
    secret = {"model": {"name": "vit"}, "note": "a-thing-not-to-keep", "seed": 7}
    Training(name="third", run_id="i9j0k1l2", begin=1200, scores=THREE, config=secret).write(theirs)
    return ours, theirs


def ingested(db: Path, *roots: Path) -> Catalog:
    catalog = Catalog(db)
    for root in roots:
        catalog.ingest([root])
    return catalog


def is_sound(db: Path) -> bool:
    with closing(sqlite3.connect(db)) as connection:
        return not connection.execute("PRAGMA foreign_key_check").fetchall()


def test_a_forgotten_tree_is_as_if_it_had_never_been_read(
    tmp_path: Path, trees: tuple[Path, Path]
) -> None:
    catalog = ingested(tmp_path / "both.db", *trees)
    extent = catalog.forget(trees[1])
    assert (extent.checkpoints, extent.run_directories, extent.gone) == (1, 1, 0)
    ingested(tmp_path / "alone.db", trees[0])
    assert facts(tmp_path / "both.db") == facts(tmp_path / "alone.db")
    before, after = (
        {name: len(rows) for name, rows in rows_of_all_tables(tmp_path / one).items()}
        for one in ("alone.db", "both.db")
    )
    # Each ingest and each forgetting is remembered as such; nothing else is more.
    assert {name for name in after if after[name] != before[name]} == {"ingest"}
    assert "a-thing-not-to-keep" not in repr(rows_of_all_tables(tmp_path / "both.db"))
    assert is_sound(tmp_path / "both.db")


def test_an_ingest_brings_it_back(tmp_path: Path, trees: tuple[Path, Path]) -> None:
    db = tmp_path / "catalog.db"
    catalog = ingested(db, *trees)
    before = facts(db)
    catalog.forget(trees[0])
    assert facts(db) != before
    catalog.ingest([trees[0]])
    assert facts(db) == before


def test_a_part_of_a_tree_can_be_forgotten(tmp_path: Path, trees: tuple[Path, Path]) -> None:
    db, (ours, _) = tmp_path / "catalog.db", trees
    catalog = ingested(db, ours)
    (folder,) = ours.glob("wandb/run-*-e5f6g7h8")
    (job,) = ours.glob("outputs/second-*")
    catalog.forget(folder)
    catalog.forget(next(job.rglob("best.ckpt")))
    for path in (folder, job):
        path.rename(tmp_path / path.name)
    ingested(tmp_path / "without.db", ours)
    assert facts(db) == facts(tmp_path / "without.db")


def test_checkpoints_lose_the_run_that_is_forgotten(ocr_database: str, ocr_project: Path) -> None:
    catalog = Catalog(ocr_database)
    assert catalog.forget(ocr_project / "wandb").run_directories > 0
    (row,) = catalog.query("overview").dicts()
    assert (row["checkpoints"], row["runs"], row["recoverable"]) == (42, 8, 0)
    assert catalog.query("recoverable").rows == []
    events = catalog.query("migration-events").dicts()
    assert {row["to_state"] for row in events[:18]} == {"unrecoverable"}


def test_what_is_missing_can_be_forgotten_alone(tmp_path: Path, trees: tuple[Path, Path]) -> None:
    db, (ours, _) = tmp_path / "catalog.db", trees
    catalog = ingested(db, ours)
    with pytest.raises(NotFound, match=r"No file .* is missing"):
        catalog.forget(ours, missing_only=True)
    for path in (*ours.glob("outputs/second-*/checkpoints/*"), *ours.glob("wandb/*e5f6g7h8/*")):
        if path.is_file():
            path.unlink()
    for path in ours.glob("wandb/*e5f6g7h8/files/*"):
        path.unlink()
    catalog.ingest([ours])
    assert "missing" in {row["state"] for row in catalog.query("checkpoints").dicts()}
    extent = catalog.forget(ours, missing_only=True)
    assert (extent.files, extent.checkpoints) == (extent.gone, 1)
    ingested(tmp_path / "fresh.db", ours)
    assert facts(db) == facts(tmp_path / "fresh.db")


def test_a_tree_that_is_gone_from_disk_can_be_forgotten(
    tmp_path: Path, trees: tuple[Path, Path]
) -> None:
    db, (ours, theirs) = tmp_path / "catalog.db", trees
    catalog = ingested(db, ours, theirs)
    theirs.rename(tmp_path / "elsewhere")
    catalog.forget(theirs)
    ingested(tmp_path / "alone.db", ours)
    assert facts(db) == facts(tmp_path / "alone.db")


def test_a_word_on_a_checkpoint_follows_it_before_its_old_place_is_forgotten(
    tmp_path: Path, trees: tuple[Path, Path]
) -> None:
    ours, theirs = trees
    catalog = ingested(tmp_path / "catalog.db", ours, theirs)
    catalog.pin("third-", "e5f6g7h8", "It was resumed by hand.")
    (old,) = theirs.glob("outputs/third-*/checkpoints")
    (old / "best.ckpt").rename(old / "moved.ckpt")
    catalog.ingest([theirs])
    extent = catalog.forget(theirs, missing_only=True)
    assert (extent.checkpoints, extent.decisions) == (1, 0)
    row = catalog.trace("moved.ckpt").checkpoint
    assert (row["run"], row["decided_by"]) == ("e5f6g7h8", "person")
    assert catalog.forget(theirs, dry_run=True).decisions == 1


def test_what_was_said_at_both_places_is_kept_once(
    tmp_path: Path, trees: tuple[Path, Path]
) -> None:
    ours, theirs = trees
    copy = Path(shutil.copytree(theirs, tmp_path / "copy"))
    catalog = ingested(tmp_path / "catalog.db", ours, theirs, copy)
    (there,) = theirs.glob("outputs/third-*/checkpoints/best.ckpt")
    (here,) = copy.glob("outputs/third-*/checkpoints/best.ckpt")
    for path in (there, here):
        catalog.pin(str(path), "e5f6g7h8", f"Known at {path.parents[3].name}.")
    shutil.rmtree(theirs)
    catalog.ingest([theirs])  # gone: the copy is where it lies now
    catalog.forget(theirs)
    (decision,) = catalog.query("decisions").dicts()
    assert decision["reason"] == "Known at copy."
    assert catalog.trace(str(here)).checkpoint["decided_by"] == "person"


def test_points_that_others_share_come_back_to_them(tmp_path: Path) -> None:
    output = tmp_path / "out"

    def write(step: int) -> None:
        rows = [{"step": one, "epoch": one, "loss": 1 / one} for one in range(1, step + 1)]
        folder = output / f"checkpoint-{step}"
        write_trainer_checkpoint(folder, {"output_dir": "out"}, history=rows)

    for step in (4, 8):
        write(step)
    catalog = ingested(tmp_path / "catalog.db", output)
    assert catalog.forget(output / "checkpoint-8").checkpoints == 1
    (run,) = {row["run"] for row in catalog.query("runs").dicts()}
    points = catalog.query("history", {"run": run, "metric": "loss"}).dicts()
    assert [row["step"] for row in points] == [1, 2, 3, 4]


def test_what_a_recovery_rests_on_is_not_forgotten(
    tmp_path: Path, trees: tuple[Path, Path]
) -> None:
    db, (ours, _) = tmp_path / "catalog.db", trees
    catalog = ingested(db, ours)
    catalog.recover()
    before = rows_of_all_tables(db)
    with pytest.raises(RecoveryError, match="Recovery 1 cut a config for a checkpoint elsewhere"):
        catalog.forget(ours / "wandb")
    assert rows_of_all_tables(db) == before
    result = command("forget", ours, "--dry-run", "--db", db)
    assert result.exit_code == 0, result.output


def test_a_forgetting_that_fails_half_way_forgets_nothing(
    tmp_path: Path, trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = ingested(tmp_path / "catalog.db", *trees)
    before = rows_of_all_tables(tmp_path / "catalog.db")

    def killed(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("catalog.link.linker.link_checkpoints", killed)
    with pytest.raises(KeyboardInterrupt):
        catalog.forget(trees[0])
    assert rows_of_all_tables(tmp_path / "catalog.db") == before


@pytest.mark.parametrize(
    ("forgetting", "code"),
    [
        (lambda path, db: command("forget", path, "--dry-run", "--db", db).exit_code, 0),
        (lambda path, db: command("forget", path, "--db", db).exit_code, 2),
        (lambda path, db: command("forget", path.parent / "nowhere", "--db", db).exit_code, 1),
    ],
    ids=["dry-run", "nobody-to-ask", "unknown"],
)
def test_nothing_is_forgotten_that_nobody_confirmed(
    tmp_path: Path, trees: tuple[Path, Path], forgetting: Callable[[Path, Path], int], code: int
) -> None:
    db = tmp_path / "catalog.db"
    ingested(db, trees[0])
    before: dict[str, Any] = rows_of_all_tables(db)
    assert forgetting(trees[0], db) == code
    assert rows_of_all_tables(db) == before


def test_the_command_says_what_goes_and_what_the_catalog_knows(
    tmp_path: Path, trees: tuple[Path, Path]
) -> None:
    db = tmp_path / "catalog.db"
    Catalog(db).ingest([trees[0]])
    unknown = command("forget", tmp_path / "nowhere", "--db", db)
    assert str(trees[0]) in unknown.stderr
    said = command("forget", trees[0], "--yes", "--db", db).stdout
    assert "2 checkpoints among them, 3 run folders." in said
    assert said.endswith("Forgotten.\n")
    assert facts(db)["files"] == []


def test_a_person_is_asked(tmp_path: Path, trees: tuple[Path, Path]) -> None:
    db = tmp_path / "catalog.db"
    Catalog(db).ingest([trees[0]])
    before = facts(db)
    assert "Nothing was forgotten." in on_terminal(
        "forget", str(trees[0]), "--db", str(db), typed="n\n"
    )
    assert facts(db) == before
    assert "Forgotten." in on_terminal("forget", str(trees[0]), "--db", str(db), typed="y\n")
    assert facts(db)["files"] == []


def test_what_a_pattern_leaves_out_is_not_missing(tmp_path: Path, trees: tuple[Path, Path]) -> None:
    catalog = ingested(tmp_path / "catalog.db", trees[0])
    (trees[0] / ".catalogignore").write_text("second-*\n")
    catalog.ingest([trees[0]])
    with pytest.raises(NotFound, match=r"No file .* is missing"):
        catalog.forget(trees[0], missing_only=True)
    assert catalog.forget(trees[0], dry_run=True).gone == 0
