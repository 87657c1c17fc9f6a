"""A tree that was moved, deleted or not mounted: its files are missing, nothing is forgotten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import SourceError
from catalog.ingest.watch import changes
from tests.support.trees import Training


def command(db: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--db", str(db)])


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tracked training without a config beside its checkpoint, one with, and an untracked one."""
    root = tmp_path / "disk" / "tree"
    Training("first", "a1b2c3d4", weight=1.0).write(root)
    Training("second", "e5f6g7h8", begin=600, scores=(0.12345,), weight=2.0, hydra=True).write(root)
    Training("nobody", None, begin=1200, scores=(0.34567,), weight=3.0).write(root)
    return root


def states(db: Path) -> dict[str, str]:
    rows = Catalog(db).query("checkpoint_trace").dicts()
    return {row["path"].split("/")[-3].partition("-")[0]: row["state"] for row in rows}


def said_of(catalog: Catalog) -> dict[str, Any]:
    """Return what the catalog holds of links, words, sidecars and recoveries."""
    queries = ("decisions", "checkpoint_trace", "recovered", "recovered-files", "run-directories")
    said: dict[str, Any] = {name: catalog.query(name).dicts() for name in queries}
    said["sidecars"] = catalog.sql("SELECT * FROM sidecar ORDER BY id").dicts()
    said["evidence"] = catalog.trace("first-").candidates
    for row in said["checkpoint_trace"]:
        row.pop("presence")
    return said


@pytest.mark.parametrize("is_mount_point", [False, True])
def test_what_lay_in_it_is_missing_until_it_is_back(
    tree: Path, db: Path, *, is_mount_point: bool
) -> None:
    catalog = Catalog(db)
    catalog.ingest([tree])
    catalog.pin("nobody-", "e5f6g7h8", "I trained it.")
    catalog.reject("second-", "a1b2c3d4", "I did not.")
    assert [file.action for file in catalog.recover().files] == ["written", "written"]
    before = said_of(catalog)
    away = tree.rename(tree.parent / "away")
    if is_mount_point:
        tree.mkdir()
    shown = command(db, "ingest", str(tree))
    assert shown.exit_code == 0, shown.output
    assert "3 missing" in shown.stdout
    what = "holds nothing of what was in it" if is_mount_point else "is gone"
    assert f"{tree} {what}: its 3 known checkpoints are missing now." in shown.stdout
    assert "Open problems" not in shown.stdout
    assert set(states(db).values()) == {"missing"}
    (root,) = catalog.query("roots").dicts()
    assert (root["state"], root["checkpoints"], root["missing"]) == ("missing", 3, 3)
    # The same is said whenever it is asked for by name.
    assert f"{tree} {what}" in command(db, "ingest", str(tree)).stdout
    for arguments in (["recover"], ["recover", "--verify"], ["trace", "first-"], ["report"]):
        done = command(db, *arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), arguments
    if is_mount_point:
        tree.rmdir()
    away.rename(tree)
    shown = command(db, "ingest", str(tree))
    assert "missing now" not in shown.stdout
    assert said_of(catalog) == before
    assert states(db) == {"first": "migrated", "second": "usable", "nobody": "migrated"}
    assert catalog.query("roots").dicts()[0]["state"] == "present"


def test_a_folder_of_a_tree_and_a_folder_around_trees_may_be_gone_too(tree: Path, db: Path) -> None:
    catalog = Catalog(db)
    other = tree.parent / "other"
    Training("other", "bbbb2222", weight=4.0).write(other)
    catalog.ingest([tree, other])
    gone = next(tree.glob("outputs/first-*"))
    shutil.rmtree(gone)
    done = catalog.ingest([gone])
    assert [(one.path, one.is_gone, one.checkpoints) for one in done.lost] == [(str(gone), True, 1)]
    assert states(db)["first"] == "missing"
    assert states(db)["second"] == "usable"
    # An inner tree vanished: the folder around it is what a person ingests.
    shutil.rmtree(tree)
    done = catalog.ingest([tree.parent])
    assert [one.path for one in done.lost] == [str(tree)]
    assert set(states(db).items()) >= {("second", "missing"), ("other", "recoverable")}
    assert catalog.ingest([tree.parent]).lost == ()  # this is known by now
    shutil.rmtree(tree.parent)
    done = catalog.ingest([tree.parent])
    assert {one.path for one in done.lost} == {str(tree), str(other)}
    assert set(states(db).values()) == {"missing"}
    assert str(tree.parent.parent) not in {row["path"] for row in catalog.query("roots").dicts()}


def test_what_was_never_known_is_refused(tree: Path, db: Path) -> None:
    for path in (tree / "nowhere", tree.parent / "tre"):
        with pytest.raises(SourceError, match="does not exist"):
            Catalog(db).ingest([path])
    assert not db.exists()
    Catalog(db).ingest([tree])
    for path in (tree / "outputs" / "nowhere", tree.parent / "tre", tree / "wandb" / "run"):
        with pytest.raises(SourceError, match="does not exist"):
            Catalog(db).ingest([path])
    shutil.rmtree(tree)
    with pytest.raises(SourceError, match="does not exist"):
        Catalog(db, host="another").ingest([tree])


@pytest.mark.parametrize("old_first", [True, False])
def test_a_pin_follows_a_tree_that_was_moved(tree: Path, db: Path, *, old_first: bool) -> None:
    catalog = Catalog(db)
    catalog.ingest([tree])
    catalog.pin("nobody-", "e5f6g7h8", "I trained it.")
    new = tree.rename(tree.parent / "new")
    if old_first:
        catalog.ingest([tree])
    else:
        # The new place alone tells that the old one is gone.
        shown = command(db, "ingest", str(new))
        assert f"{tree} is gone: its 3 known checkpoints are missing now." in shown.stdout
    catalog.ingest([new])
    found = catalog.trace(str(next(new.glob("outputs/nobody-*/checkpoints/best.ckpt"))))
    assert (found.checkpoint["run"], found.checkpoint["decided_by"]) == ("e5f6g7h8", "person")
    assert [move["root"] for move in found.moves] == [str(tree)]
    moves = catalog.query("moves").dicts()
    assert {(row["moved_from_root"], row["root"]) for row in moves} == {(str(tree), str(new))}


def test_a_pin_follows_what_was_copied_first_and_deleted_then(tree: Path, db: Path) -> None:
    catalog = Catalog(db)
    catalog.ingest([tree])
    catalog.pin("nobody-", "e5f6g7h8", "I trained it.")
    new = Path(shutil.copytree(tree, tree.parent / "new"))
    catalog.ingest([new])
    copy = str(next(new.glob("outputs/nobody-*/checkpoints/best.ckpt")))
    assert catalog.trace(copy).checkpoint["decided_by"] != "person"
    away = tree.rename(tree.parent.parent / "away")
    catalog.ingest([tree])
    assert catalog.trace(copy).checkpoint["decided_by"] == "person"
    # It comes back: the one that a person spoke of keeps the word, and was not moved.
    away.rename(tree)
    catalog.ingest([tree])
    own = str(next(tree.glob("outputs/nobody-*/checkpoints/best.ckpt")))
    assert catalog.trace(own).checkpoint["decided_by"] == "person"
    assert catalog.trace(copy).moves == []
    assert catalog.query("moves").rows == []
    catalog.unpin(copy)
    assert catalog.query("decisions").rows == []


def test_a_pin_made_at_the_new_place_comes_back_with_the_file(tree: Path, db: Path) -> None:
    catalog = Catalog(db)
    catalog.ingest([tree])
    new = tree.rename(tree.parent / "new")
    catalog.ingest([new])
    catalog.pin(f"{new}/{next(new.glob('outputs/nobody-*/*/*')).relative_to(new)}", "e5f6g7h8", "!")
    new.rename(tree)
    catalog.ingest([tree, new])
    own = next(tree.glob("outputs/nobody-*/checkpoints/best.ckpt"))
    assert catalog.trace(str(own)).checkpoint["decided_by"] == "person"


def test_a_copy_of_another_time_in_another_tree_is_not_the_missing_file(
    tree: Path, db: Path
) -> None:
    catalog = Catalog(db)
    catalog.ingest([tree])
    new = tree.parent / "new"
    shutil.copytree(tree, new)
    for copy in new.glob("outputs/*/checkpoints/*.ckpt"):
        copy.touch()
    catalog.ingest([new])
    shutil.rmtree(tree)
    catalog.ingest([tree])
    assert catalog.query("moves").rows == []


def test_a_folder_that_cannot_be_listed_takes_nothing_away(
    tree: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    catalog = Catalog(db)
    catalog.ingest([tree])
    before = states(db)
    real = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("/checkpoints"):
            raise OSError(5, "Input/output error")
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        done = catalog.ingest([tree])
    assert (done.missing, done.problems, done.lost) == (0, 3, ())
    assert states(db) == before
    assert catalog.ingest([tree]).problems == 0


def test_watching_goes_on_while_a_tree_is_gone(
    tree: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Events:
        """Stands for watchfiles, which has nothing to hold on to where no folder is."""

        @staticmethod
        def watch(*paths: Path, **_options: object) -> Any:
            assert all(path.is_dir() for path in paths)
            shutil.move(tree, tree.parent / "away")
            yield {(3, str(tree))}
            raise AssertionError("nothing more comes of it")

    monkeypatch.setattr("catalog.ingest.watch.find_spec", lambda _name: object())
    monkeypatch.setattr("catalog.ingest.watch.import_module", lambda _name: Events)
    catalog = Catalog(db)
    catalog.ingest([tree])
    monkeypatch.setattr("catalog.ingest.watch.changes", lambda paths: changes(paths, interval=0))
    watching = catalog.watch([tree])
    assert next(watching).missing_checkpoints == 3
    shutil.move(tree.parent / "away", tree)
    assert next(watching).missing_checkpoints == 0


def test_a_report_is_made_of_a_catalog_whose_trees_are_gone(tree: Path, db: Path) -> None:
    Catalog(db).ingest([tree])
    shutil.rmtree(tree)
    assert command(db, "ingest", str(tree)).exit_code == 0
    assert "3 missing." in command(db, "report").stdout
    rows = json.loads(command(db, "query", "roots", "-f", "json").stdout)
    assert [row["state"] for row in rows] == ["missing"]


def test_of_words_at_two_places_the_last_one_counts(tmp_path: Path, tree: Path, db: Path) -> None:
    """A copy was ingested and spoken of before its original was gone: they are one file then."""
    copy = Path(shutil.copytree(tree, tmp_path / "copy"))
    catalog = Catalog(db)
    catalog.ingest([tree, copy])
    (there,) = tree.glob("outputs/nobody-*/checkpoints/best.ckpt")
    (here,) = copy.glob("outputs/nobody-*/checkpoints/best.ckpt")
    catalog.pin(str(there), "a1b2c3d4", "At first I thought so.")
    catalog.reject(str(there), "e5f6g7h8", "At first I thought so.")
    catalog.pin(str(here), "e5f6g7h8", "I looked it up.")
    shutil.rmtree(tree)
    catalog.ingest([tree])
    found = catalog.trace(str(here))
    assert (found.checkpoint["run"], found.checkpoint["decided_by"]) == ("e5f6g7h8", "person")
    assert [one["run"] for one in found.candidates if one["verdict"] == "linked"] == ["e5f6g7h8"]
