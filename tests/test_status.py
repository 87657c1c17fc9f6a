"""`catalog status`: the bar, the burn-down, groups, and what is left to a person."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import UsageError
from catalog.query.status import experiment_of
from tests.support.recovery import catalog_of, project
from tests.support.terminal import on_terminal
from tests.support.trees import Training


def shown(catalog: Catalog, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["status", *arguments, "--db", str(catalog.location.file)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    root = tmp_path / "tree"
    project(root, Training("det_a"), Training("det_b", run_id=None, begin=5000))
    (root / "odd").mkdir()
    (root / "odd" / "empty.ckpt").write_bytes(b"")
    return catalog_of(root)


@pytest.mark.parametrize("group", ["root", "experiment", "age", "size"])
def test_groups_add_up_to_the_whole(catalog: Catalog, group: str) -> None:
    rows = json.loads(shown(catalog, "--by", group, "-f", "json"))
    total = {row["state"]: row["checkpoints"] for row in catalog.status().dicts()}
    for state, count in total.items():
        assert sum(row[state.replace(" ", "_")] for row in rows) == count
    bytes_of = {row["state"]: row["bytes"] for row in catalog.status().dicts()}
    assert sum(row["unusable_bytes"] for row in rows) == (
        bytes_of["recoverable"] + bytes_of["unrecoverable"] + bytes_of["damaged"]
    )
    assert shown(catalog, "--by", group).splitlines()[0].startswith(group)


def test_experiments_are_told_by_their_folders(catalog: Catalog) -> None:
    rows = {row["experiment"]: row for row in catalog.status_by("experiment").dicts()}
    assert set(rows) == {"ocr", "det_b-unknown_training", "odd"}  # W&B's project, and folders
    assert rows["ocr"]["recoverable"] == 1
    assert rows["odd"]["damaged"] == 1


def test_experiments_are_told_by_trackers_before_folders(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    project(
        root,
        Training("a"),
        Training("b", run_id=None, begin=5000, hydra=True),
        Training("c", run_id="c3d4e5f6", begin=9000, options={"project": "layout"}),
    )
    shutil.move(root / "outputs", root / "last")
    catalog = catalog_of(root)
    assert {row["experiment"] for row in catalog.status_by("experiment").dicts()} == {
        "ocr",  # the project of W&B
        "train",  # the job of Hydra
        "layout",
    }
    with closing(sqlite3.connect(str(catalog.location.file))) as connection, connection:
        connection.execute(
            "UPDATE run SET project = NULL, group_name = 'ablation' WHERE tracker = 'wandb'"
        )
    assert {row["experiment"] for row in catalog.status_by("experiment").dicts()} == {
        "ablation",
        "train",
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("outputs/det_20251018_023219/checkpoints/best.ckpt", "det"),
        ("logs/ocr/version_3/checkpoints/last.ckpt", "ocr"),
        ("outputs/2026-11-23/23-58-36/checkpoints/best.ckpt", "2026-11-23/23-58-36"),
        ("runs/bert/checkpoint-500", "bert"),
        ("multirun/2026-11-23/23-58-27/0/best.ckpt", "2026-11-23/23-58-27"),
        ("lightning_logs/version_3/checkpoints/last.ckpt", "version_3"),
        ("bert_large/last/model.safetensors", "bert_large"),
        ("outputs/last.ckpt", "."),
        ("20251018_023219/best.ckpt", "20251018_023219"),
        ("best.ckpt", "."),
    ],
)
def test_the_name_of_an_experiment(path: str, name: str) -> None:
    assert experiment_of(path) == name


def test_the_roots_count_what_the_states_count(catalog: Catalog) -> None:
    (root,) = catalog.query("roots").dicts()
    folder = Path(root["path"])
    next(folder.rglob("*.ckpt")).unlink()
    (folder / "page.ckpt").write_text("<!DOCTYPE html><html>")  # no checkpoint, for all its name
    summary = catalog.ingest([folder])
    (root,) = catalog.query("roots").dicts()
    states = {row["state"]: row["checkpoints"] for row in catalog.status().dicts()}
    assert root["checkpoints"] == sum(states.values()) == summary.checkpoints
    assert states["missing"] == summary.missing_checkpoints == 1
    assert len(catalog.query("checkpoints").rows) == root["checkpoints"]


def test_an_ingest_tells_of_known_checkpoints_that_are_gone(catalog: Catalog) -> None:
    (root,) = catalog.query("roots").dicts()
    folder = Path(root["path"])
    arguments = ["ingest", str(folder), "--db", str(catalog.location.file)]
    assert "missing; " not in CliRunner().invoke(app, arguments).stdout
    next(folder.rglob("*.ckpt")).unlink()
    for _ in range(2):  # as long as they are gone, not only when that is met
        assert ", 1 missing; " in CliRunner().invoke(app, arguments).stdout


def test_ages_are_counted_to_the_catalog_s_clock(catalog: Catalog) -> None:
    def ages(now: str) -> list[str]:
        later = Catalog(catalog.location.file, clock=lambda: now)
        return [row["age"] for row in later.status_by("age").dicts() if row["recoverable"]]

    assert ages("2025-10-18T00:00:00.000000Z") == ["under 1 month"]
    assert ages("2025-12-01T00:00:00.000000Z") == ["1 to 3 months"]
    assert ages("2026-10-01T00:00:00.000000Z") == ["3 to 12 months"]
    assert ages("2027-12-01T00:00:00.000000Z") == ["over 12 months"]


def test_another_grouping_is_refused(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="experiment"):
        catalog.status_by("colour")


def test_bytes_and_what_is_left_to_a_person_are_shown(catalog: Catalog) -> None:
    text = shown(catalog)
    assert "Unusable: " in text
    assert "can be recovered and " in text
    left = text.partition("What is left")[2]
    for code, remedy in (
        ("no-config", "catalog recover"),
        ("checkpoint-empty", "another copy"),
        ("no-run", "Ingest the folder"),
    ):
        (line,) = [line for line in left.splitlines() if line.startswith(code)]
        assert remedy in line


def test_the_burn_down_shrinks_as_recoveries_go_on(catalog: Catalog) -> None:
    batch = catalog.recover().batch
    progress = catalog.progress().dicts()
    assert [row["unusable"] for row in progress] == [3, 2]
    assert [row["cause"] for row in progress] == ["ingest", f"recovery {batch}"]
    text = on_terminal("status", "--db", str(catalog.location.file), columns=100)
    bars = [line for line in text.splitlines() if line.endswith(("ingest", f"recovery {batch}"))]
    assert [line.count("█") for line in bars] == [42, 28]
    assert [line.split()[-2 if line.endswith("ingest") else -3] for line in bars] == ["3", "2"]


def test_what_a_recovery_made_usable_is_usable_in_every_command(catalog: Catalog) -> None:
    (root,) = catalog.query("roots").dicts()
    catalog.recover()
    db = str(catalog.location.file)

    def lines(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, [*arguments, "--db", db])
        assert result.exit_code == 0, result.stderr
        return [" ".join(line.split()) for line in result.stdout.splitlines()]

    summary = catalog.ingest([root["path"]])
    assert (summary.usable, summary.migrated, summary.unusable) == (1, 1, 2)
    assert any("usable 1 " in line for line in lines("status"))
    assert any("of them migrated 1 " in line for line in lines("status"))
    assert any(
        ": 1 usable (1 of them migrated), 2 not; " in line for line in lines("ingest", root["path"])
    )
    report = "\n".join(lines("report"))
    assert "): 1 usable (1 of them migrated), 2 unusable" in report
    assert "| usable | 1 |" in report
    assert "| of them migrated | 1 |" in report
    progress = catalog.progress().dicts()[-1]
    assert (progress["usable"], progress["migrated"]) == (1, 1)
    states = {row["state"]: row for row in catalog.query("migration-status").dicts()}
    assert states["usable"]["checkpoints"] == states["migrated"]["checkpoints"] == 1
    assert states["usable"]["bytes"] == states["migrated"]["bytes"] > 0
    assert states["migrated"]["part_of"] == "usable"
    assert {row["part_of"] for name, row in states.items() if name != "migrated"} == {None}


def test_every_change_is_a_row_with_its_cause(catalog: Catalog) -> None:
    batch = catalog.recover().batch
    rows: list[dict[str, Any]] = catalog.query("migration-events").dicts()
    (moved,) = [row for row in rows if row["from_state"] == "recoverable"]
    assert (moved["to_state"], moved["recovery"], moved["ingest"]) == ("migrated", batch, 2)


def test_other_data_under_a_checkpoints_name_is_counted_apart(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    Training().write(root)
    (root / "notes.ckpt").write_text("not a checkpoint at all\n")
    catalog = Catalog(tmp_path / "catalog.db")
    summary = catalog.ingest([root])
    assert summary.checkpoints == sum(row["checkpoints"] for row in catalog.status().dicts()) == 2
    assert (summary.usable, summary.unusable, summary.not_a_model) == (0, 1, 1)
    assert summary.linked + summary.ambiguous + summary.unlinked == 1
    assert len(catalog.query("checkpoints").rows) == 2
    assert [row["checkpoints"] for row in catalog.query("roots").dicts()] == [2]
    assert [row["path"] for row in catalog.query("unusable").dicts()] != ["notes.ckpt"]
    found = catalog.trace("notes.ckpt").checkpoint
    assert (found["status"], found["state"]) == ("foreign", "not a model")
    assert found["reason"] == "It is text."


def test_a_checkpoint_that_other_data_replaced_is_not_a_model(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    checkpoint = Training().write(root)
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([root])
    checkpoint.write_text("not a checkpoint any more\n")
    catalog.ingest([root])
    (row,) = catalog.query("checkpoints").dicts()
    assert row["state"] == "not a model"
    found = catalog.trace("best.ckpt").checkpoint
    assert (found["presence"], found["reason_code"]) == ("present", "not-a-checkpoint")
    assert found["reason"] == "It is text."
