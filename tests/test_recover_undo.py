"""`catalog recover --undo` and `--verify`: all of it back, and what was changed since kept."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import NotFound
from tests.support.recovery import catalog_of, snapshot, state_of
from tests.support.recovery import project as project_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def call(catalog: Catalog, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["recover", *arguments, "--db", str(catalog.location.file)])


def verified(catalog: Catalog) -> list[str]:
    return [row["state"] for row in catalog.verify_recoveries().dicts()]


def test_undo_leaves_every_byte_mode_and_time_of_the_example_as_it_was(
    project: Path, tmp_path: Path
) -> None:
    catalog = Catalog(tmp_path / "catalog.db", clock=lambda: "2025-11-01T12:00:00.000000Z")
    catalog.ingest([project])
    states = catalog.status().rows
    before = snapshot(project)
    first = catalog.recover()
    after = {name: one[3] for name, one in snapshot(project).items()}
    assert sum(file.action == "written" for file in first.files) == 18
    assert verified(catalog) == ["unchanged"] * 36
    undone = catalog.undo_recovery(int(first.batch or 0))
    assert {file.action for file in undone.files} == {"removed"}
    assert snapshot(project) == before
    assert catalog.status().rows == states
    assert catalog.verify_recoveries().rows == []
    again = catalog.recover()
    assert again.batch == 2
    assert {name: one[3] for name, one in snapshot(project).items()} == after
    assert [file.sidecar for file in again.files] == [file.sidecar for file in first.files]


def test_what_was_changed_since_is_kept_by_name_with_its_provenance(root: Path) -> None:
    (checkpoint,) = project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    sidecar = checkpoint.with_suffix(".config.json")
    sidecar.write_text(sidecar.read_text() + "\n")
    assert sorted(verified(catalog)) == ["changed", "unchanged"]
    said = call(catalog, "--undo", "1")
    assert said.exit_code == 1
    assert "best.config.json was changed since it was written" in said.stdout
    assert "0 files removed, 2 kept" in said.stderr
    assert sidecar.exists()
    assert checkpoint.with_name("best.provenance.json").exists()
    assert state_of(catalog)["state"] == "migrated"


def test_a_link_in_the_place_of_a_sidecar_is_kept(root: Path) -> None:
    (checkpoint,) = project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    sidecar = checkpoint.with_suffix(".config.json")
    elsewhere = root.parent / "elsewhere.json"
    sidecar.rename(elsewhere)
    sidecar.symlink_to(elsewhere)
    assert {file.action for file in catalog.undo_recovery(1).files} == {"kept"}
    assert elsewhere.exists()


def test_a_file_that_is_gone_already_is_no_obstacle(root: Path) -> None:
    (checkpoint,) = project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    checkpoint.with_suffix(".config.json").unlink()
    assert sorted(verified(catalog)) == ["removed", "unchanged"]
    catalog.undo_recovery(1)
    assert sorted(os.listdir(checkpoint.parent)) == ["best.ckpt"]
    assert state_of(catalog)["state"] == "recoverable"


def test_a_folder_that_others_changed_keeps_its_time(root: Path) -> None:
    (checkpoint,) = project_of(root)
    os.utime(checkpoint.parent, (1_000_000_000, 1_000_000_000))
    catalog = catalog_of(root)
    catalog.recover()
    (checkpoint.parent / "notes.txt").write_text("mine")
    catalog.undo_recovery(1)
    assert checkpoint.parent.stat().st_mtime != 1_000_000_000
    assert sorted(os.listdir(checkpoint.parent)) == ["best.ckpt", "notes.txt"]


def test_undoing_twice_or_what_never_was(root: Path) -> None:
    project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    assert len(catalog.undo_recovery(1).files) == 2
    assert catalog.undo_recovery(1).files == ()
    assert "0 files removed" in call(catalog, "--undo", "1").stderr
    with pytest.raises(NotFound, match="There is no recovery 7"):
        catalog.undo_recovery(7)


def test_an_undo_is_an_event_with_its_batch(root: Path) -> None:
    project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    catalog.undo_recovery(1)
    events = [
        (row["from_state"], row["to_state"], row["recovery"])
        for row in catalog.query("migration-events").dicts()
    ]
    assert events == [
        ("migrated", "recoverable", 1),
        ("recoverable", "migrated", 1),
        (None, "recoverable", None),
    ]
    causes = [row["cause"] for row in catalog.progress().dicts()]
    assert causes == ["ingest", "recovery 1", "undo of recovery 1"]


def test_a_sidecar_is_stale_once_its_link_is_overruled(root: Path) -> None:
    project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    with closing(sqlite3.connect(str(catalog.location.file))) as connection:
        connection.execute("UPDATE link SET verdict = 'rejected'")
        connection.commit()
    rows = catalog.verify_recoveries().dicts()
    assert {row["state"] for row in rows} == {"stale"}
    assert all("a1b2c3d4" in row["note"] and "no run" in row["note"] for row in rows)
    assert call(catalog, "--verify").exit_code == 1


def test_verify_says_where_a_tree_of_another_host_lies(root: Path) -> None:
    project_of(root)
    catalog = Catalog(root.parent / "catalog.db", host="gpu7")
    catalog.ingest([root])
    catalog.recover()
    desk = Catalog(root.parent / "catalog.db", host="desk")
    assert verified(desk) == ["elsewhere", "elsewhere"]
    kept = desk.undo_recovery(1).files
    assert {(file.action, "on another host" in file.note) for file in kept} == {("kept", True)}
    assert next(root.rglob("best.config.json")).exists()


@settings(deadline=None, max_examples=4)
@given(st.binary(max_size=40))
def test_undo_never_removes_what_is_not_byte_for_byte_its_own(content: bytes) -> None:
    import tempfile
    from pathlib import Path as Folder

    with tempfile.TemporaryDirectory() as folder:
        root = Folder(folder) / "tree"
        (checkpoint,) = project_of(root)
        catalog = catalog_of(root)
        catalog.recover()
        sidecar = checkpoint.with_suffix(".config.json")
        ours = sidecar.read_bytes()
        sidecar.write_bytes(content)
        catalog.undo_recovery(1)
        assert content == ours or sidecar.read_bytes() == content


def test_the_journal_can_be_read_with_a_query(root: Path) -> None:
    project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    rows = catalog.query("recovered").dicts()
    assert [row["state"] for row in rows] == ["written"]
    assert json.dumps(rows)
    catalog.undo_recovery(1)
    assert {row["state"] for row in catalog.query("recovered").dicts()} == {"removed"}


def test_a_sidecar_that_somebody_removed_is_written_again_as_verify_says(root: Path) -> None:
    (checkpoint,) = project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    checkpoint.with_suffix(".config.json").unlink()
    assert sorted(verified(catalog)) == ["removed", "unchanged"]
    result = catalog.recover()
    assert [file.action for file in result.files] == ["written"]
    assert verified(catalog) == ["unchanged", "unchanged"]
    assert state_of(catalog)["state"] == "migrated"


def test_verify_of_a_folder_that_was_moved_says_what_to_do(root: Path) -> None:
    (checkpoint,) = project_of(root)
    catalog = catalog_of(root)
    catalog.recover()
    checkpoint.parent.rename(checkpoint.parent.with_name("elsewhere"))
    rows = catalog.verify_recoveries().dicts()
    assert {row["state"] for row in rows} == {"removed"}
    assert "ingest it where it lies now" in rows[0]["note"]
