"""Every checkpoint is in one state, and all states together are all checkpoints."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.states import BY_NAME, NAMES, STATES, WHOLES
from tests.support.random_trees import write_tree
from tests.support.recovery import project, state_of
from tests.support.torch_files import lightning_checkpoint, write_torch_zip

RELEASED = [
    path
    for path in sorted((Path(__file__).parent / "released").glob("*.db"))
    if path.stem < "0.5.0"
]


def counted(catalog: Catalog) -> dict[str, int]:
    """Return how many checkpoints are in each state; everything that counts them must agree."""
    states = {row["state"]: row["checkpoints"] for row in catalog.status().dicts()}
    assert list(states) == list(NAMES)
    ((rows,),) = catalog.sql("SELECT COUNT(*) FROM checkpoint").rows
    # What a state is a kind of counts it, too; the others add up to all.
    assert sum(states[state] for state in WHOLES) == rows
    columns = {BY_NAME[state].column: count for state, count in states.items()}
    unusable = sum(count for state, count in states.items() if BY_NAME[state].is_unusable)
    usable = states["usable"]
    ((judged,),) = catalog.sql(
        "SELECT COUNT(*) FROM migration WHERE state IN ('usable', 'migrated')"
    ).rows
    assert usable == judged
    progress = catalog.progress().dicts()[-1]
    assert {name: progress[name] for name in columns} == columns
    assert progress["unusable"] == unusable
    (overview,) = catalog.query("overview").dicts()
    assert {name: overview[name] for name in columns} == columns
    (summary,) = catalog.query("ingest-summary").dicts()
    for row in (overview, summary):
        assert (row["checkpoints"], row["usable"], row["unusable"]) == (rows, usable, unusable)
        assert row["migrated"] == states["migrated"]
        assert (row["unchecked"], row["not_a_model"]) == (
            states["unchecked"],
            states["not a model"],
        )
    for group in ("root", "age"):
        parts = catalog.status_by(group).dicts()
        assert {name: sum(part[name] for part in parts) for name in columns} == columns
    for name, count in (
        ("checkpoints", rows),
        ("usable", usable),
        ("unusable", unusable),
        ("unchecked", states["unchecked"]),
        ("left-out", states["left out"]),
    ):
        assert len(catalog.query(name).rows) == count, name
    return states


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A tree with a checkpoint in each state that an ingest gives but `ambiguous config`."""
    root = tmp_path / "tree"
    (whole,) = project(root)
    content = whole.read_bytes()
    folder = root / "odd"
    for name in ("usable", "left", "gone", "lone"):
        folder.joinpath(name).mkdir(parents=True)
        write_torch_zip(
            folder / name / f"{name}.ckpt",
            lightning_checkpoint(best_k={f"{name}.ckpt": len(name) / 7}),
        )
    (folder / "usable" / "config.yaml").write_text("model: {width: 8}\n")
    (folder / "cut.ckpt").write_bytes(content[:-700])
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "page.ckpt").write_text("<!DOCTYPE html><html>")
    saved_model = folder / "saved" / "variables"
    saved_model.mkdir(parents=True)
    (saved_model.parent / "saved_model.pb").write_bytes(b"\x08\x01")
    (saved_model / "variables.index").write_bytes(b"\0" * 50)
    (saved_model / "variables.data-00000-of-00001").write_bytes(b"\0" * 50)
    return root


def test_all_states_together_are_all_checkpoints(odd: Path) -> None:
    catalog = Catalog(odd.parent / "catalog.db")
    catalog.ingest([odd])
    (odd / "odd" / "gone" / "gone.ckpt").unlink()
    (odd / ".catalogignore").write_text("left/\n")
    catalog.ingest([odd])
    states = counted(catalog)
    assert {state: count for state, count in states.items() if count} == {
        "usable": 1,
        "unchecked": 1,
        "recoverable": 1,
        "unrecoverable": 1,
        "damaged": 2,
        "not a model": 1,
        "missing": 1,
        "left out": 1,
    }
    catalog.recover()
    assert (counted(catalog)["usable"], counted(catalog)["migrated"]) == (2, 1)
    for name, state in (("page", "not a model"), ("cut", "damaged"), ("saved", "unchecked")):
        assert state_of(catalog, f"odd/{name}")["state"] == state
    assert state_of(catalog, "page")["reason"].startswith("It is text")


def test_all_states_are_counted_on_the_example(ocr_db: Path) -> None:
    states = counted(Catalog(ocr_db))
    assert states["usable"] == 24
    assert sum(count for state, count in states.items() if BY_NAME[state].is_unusable) == 18


@pytest.mark.parametrize("seed", [4, 5, 10])
def test_all_states_are_counted_on_random_trees(tmp_path: Path, seed: int) -> None:
    write_tree(tmp_path / "tree", seed)
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tmp_path / "tree"])
    assert sum(counted(catalog).values())


def test_what_is_not_read_is_neither_usable_nor_unusable(odd: Path) -> None:
    saved = odd / "odd" / "saved"
    (odd / "odd" / "config.yaml").write_text("model: {width: 8}\n")
    database = odd.parent / "catalog.db"

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--db", str(database)])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    assert ", 1 unchecked, " in said("ingest", str(odd))
    catalog = Catalog(database)
    (row,) = catalog.query("unchecked").dicts()
    assert (row["path"], row["config_file"]) == ("odd/saved", "odd/config.yaml")
    assert row["reason"] == "Its content is not read: a TensorFlow SavedModel."
    for name in ("usable", "unusable"):
        assert "odd/saved" not in [row["path"] for row in catalog.query(name).dicts()]
    assert "odd/saved" in said("query", "--unchecked")
    assert "unchecked" in said("status")
    assert "1 unchecked" in said("report")
    assert f"use  unchecked  {row['reason']}" in said("trace", str(saved))
    assert "odd/saved" not in [file.checkpoint for file in catalog.recover(dry_run=True).files]


def test_damage_that_a_look_at_the_bytes_found_is_a_state(odd: Path) -> None:
    database = odd.parent / "catalog.db"
    Catalog(database).ingest([odd])
    assert state_of(Catalog(database), "usable/")["state"] == "usable"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE checkpoint SET damage = 'The bytes of data/0 do not fit their sum.' "
            "WHERE id = (SELECT id FROM file WHERE path = 'odd/usable/usable.ckpt')"
        )
        connection.commit()
    catalog = Catalog(database, {"hydra_levels": 1})  # another setting has all judged again
    catalog.ingest([odd])
    state = state_of(catalog, "usable/")
    assert (state["state"], state["reason_code"]) == ("damaged", "checkpoint-damaged")
    assert state["reason"] == "The bytes of data/0 do not fit their sum."
    counted(catalog)


def test_the_view_of_states_is_the_table_of_states(empty_db: Path) -> None:
    rows = Catalog(empty_db).query("checkpoint_state").dicts()
    assert [(row["state"], row["meaning"], row["place"]) for row in rows] == [
        (state.name, state.meaning, place) for place, state in enumerate(STATES, start=1)
    ]
    flags = ("is_usable", "is_unusable", "is_absent")
    for row, state in zip(rows, STATES, strict=True):
        assert [row[flag] for flag in flags] == [int(getattr(state, flag)) for flag in flags]


OLD: tuple[tuple[tuple[Any, ...], str, str | None], ...] = (
    # (status, file's state, found gone, state before, reason code before), state now, code now
    (("readable", "present", None, "recoverable", "no-config"), "recoverable", "no-config"),
    (("readable", "present", None, "unrecoverable", "no-run"), "unrecoverable", "no-run"),
    (
        ("readable", "present", None, "unrecoverable", "ambiguous-run"),
        "ambiguous config",
        "ambiguous-run",
    ),
    (
        ("readable", "present", None, "unrecoverable", "sources-disagree"),
        "ambiguous config",
        "sources-disagree",
    ),
    (
        ("truncated", "present", None, "unrecoverable", "checkpoint-truncated"),
        "damaged",
        "checkpoint-truncated",
    ),
    (("recognised", "present", None, "usable", None), "unchecked", "content-not-read"),
    (("recognised", "present", None, "unrecoverable", "no-run"), "unchecked", "content-not-read"),
    (("recognised", "missing", 1, "missing", "file-missing"), "missing", "file-missing"),
    (("foreign", "present", None, None, None), "not a model", "not-a-checkpoint"),
    (("foreign", "missing", 1, None, None), "missing", "file-missing"),
    (("foreign", "missing", None, None, None), "left out", "left-out"),
    (
        ("foreign", "present", None, "missing", "not-a-checkpoint"),
        "not a model",
        "not-a-checkpoint",
    ),
    (("readable", "missing", None, "missing", "left-out"), "left out", "left-out"),
    (("readable", "missing", 1, "missing", "file-missing"), "missing", "file-missing"),
)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_released_catalog_s_states_are_named_anew(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "catalog.db"))
    with closing(sqlite3.connect(copy)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(file)")]
        kept = ", ".join(name for name in names if name not in {"id", "path"})
        for number, ((status, state, gone, before, code), _, _) in enumerate(OLD, start=1000):
            connection.execute(
                f"INSERT INTO file (id, path, {kept}) SELECT {number}, 'old/{number}', {kept} "
                "FROM file WHERE id = (SELECT MIN(id) FROM checkpoint)"
            )
            connection.execute(
                "UPDATE file SET state = ?, missing_ingest_id = ? WHERE id = ?",
                (state, gone, number),
            )
            connection.execute(
                "INSERT INTO checkpoint (id, format, status, reason) VALUES (?, 'x', ?, 'odd')",
                (number, status),
            )
            if before is not None:
                connection.execute(
                    "INSERT INTO migration (checkpoint_id, state, reason_code) VALUES (?, ?, ?)",
                    (number, before, code),
                )
                connection.execute(
                    "INSERT INTO migration_event (checkpoint_id, at, to_state, ingest_id) "
                    "VALUES (?, '2026-01-01T00:00:00.000000Z', ?, 1)",
                    (number, before),
                )
        connection.commit()
    catalog = Catalog(copy)
    catalog.upgrade()
    counted(catalog)
    found = {
        row["checkpoint_id"]: (row["state"], row["reason_code"])
        for row in catalog.sql("SELECT checkpoint_id, state, reason_code FROM migration").dicts()
    }
    for number, (_, state, code) in enumerate(OLD, start=1000):
        assert found[number] == (state, code), OLD[number - 1000]


def test_the_docs_explain_every_state() -> None:
    text = (Path(__file__).parents[1] / "docs" / "recovery.md").read_text(encoding="utf-8")
    for state in STATES:
        assert f"| `{state.name}` | {state.meaning} |" in text
