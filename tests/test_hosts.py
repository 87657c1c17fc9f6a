"""One tree under several host names: it is one tree where its files' identity shows it."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import Ambiguous, NotFound, UsageError
from catalog.schema.engine import writing
from catalog.schema.location import locate
from catalog.schema.upgrade import open_existing
from tests.support.trees import Training

if TYPE_CHECKING:
    from pathlib import Path


def call(db: str, *arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments), "--db", db])
    assert result.exit_code == 0, result.output
    return result


def refused(db: str, *arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--db", db])
    assert result.exit_code != 0
    return result.stderr


def change(db: str, *statements: str) -> None:
    """Change rows as an earlier version, or another file system, would have them."""
    location = locate(db)
    engine = open_existing(location)
    with writing(engine, location) as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def rows(db: str, query: str) -> list[dict[str, Any]]:
    return Catalog(db).query(query).dicts()


def states(db: str) -> list[str]:
    return sorted(row["state"] for row in rows(db, "checkpoint_trace"))


def hosts(db: str) -> set[tuple[str, int]]:
    return {(row["host"], row["is_last"]) for row in rows(db, "hosts")}


def copied(tree: Path) -> Path:
    """Put in place of a tree what `rsync -a` makes of it; return where it is itself now."""
    away = tree.rename(tree.with_name("away"))
    shutil.copytree(away, tree)
    return away


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "disk" / "tree"
    Training("first", "a1b2c3d4", weight=1.0).write(root)
    Training("second", "e5f6g7h8", begin=600, scores=(0.12345,), weight=2.0, hydra=True).write(root)
    return root


@pytest.fixture
def both(tree: Path, database: str) -> str:
    """A catalog of 0.4.0 in which two host names have a root each for one tree."""
    Catalog(database, host="pod-1").ingest([tree])
    away = copied(tree)
    Catalog(database, host="pod-2").ingest([tree])
    shutil.rmtree(tree)
    away.rename(tree)
    assert len(rows(database, "roots")) == 2
    change(
        database,
        "UPDATE file SET inode = (SELECT o.inode FROM file o WHERE o.path = file.path AND"
        " o.root_id = 1) WHERE root_id = 2",
        "UPDATE root_host SET inode = NULL",
    )
    return database


def test_pods_with_a_new_name_each_see_one_tree(tree: Path, database: str) -> None:
    first = Catalog(database, host="pod-1").ingest([tree])
    assert first.read > 0
    before = rows(database, "checkpoint_trace")
    for number in range(2, 9):
        done = Catalog(database, host=f"pod-{number}").ingest([tree])
        assert (done.read, done.missing, done.checkpoints) == (0, 0, 2)
        assert done.unchanged == first.seen
    assert rows(database, "checkpoint_trace") == before
    assert [row["host"] for row in rows(database, "roots")] == ["pod-8"]
    assert hosts(database) == {(f"pod-{one}", int(one == 8)) for one in range(1, 9)}
    assert rows(database, "duplicates") == []
    (best, _) = sorted(tree.rglob("best.ckpt"))
    assert Catalog(database, host="desk").trace(str(best)).copies == []


@pytest.mark.parametrize("is_emptied", [False, True])
def test_what_is_gone_is_gone_for_a_name_that_never_saw_it(
    tree: Path, database: str, *, is_emptied: bool
) -> None:
    Catalog(database, host="pod-1").ingest([tree])
    for path in [*tree.iterdir()] if is_emptied else [*tree.rglob("best.ckpt")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = Catalog(database, host="pod-2").ingest([tree])
    assert (done.missing_checkpoints, done.checkpoints) == (2, 2)
    assert states(database) == ["missing", "missing"]


def test_a_tree_that_is_not_mounted_takes_nothing_over(tree: Path, database: str) -> None:
    Catalog(database, host="node-1").ingest([tree])
    away = tree.rename(tree.with_name("away"))
    tree.mkdir()
    shown = call(database, "ingest", tree, "--host", "node-2").stdout
    assert f"{tree} is known of host node-1 as well" in shown
    assert "missing" not in states(database)
    # Mounted by now, it is the tree of node-1; then it is not again.
    tree.rmdir()
    away.rename(tree)
    assert Catalog(database, host="node-2").ingest([tree]).read == 0
    assert [row["host"] for row in rows(database, "roots")] == ["node-2"]
    Catalog(database, host="node-1").ingest([tree])
    tree.rename(away)
    tree.mkdir()
    Catalog(database, host="node-2").ingest([tree])
    assert "missing" not in states(database)


def test_a_copy_on_another_machines_disk_is_another_tree(tree: Path, database: str) -> None:
    Catalog(database, host="node-1").ingest([tree])
    copied(tree)
    shown = call(database, "ingest", tree, "--host", "node-2").stdout
    assert f"`catalog host move node-1 NEW --db {database}`" in shown.replace("'", "")
    assert len(states(database)) == 4
    assert "missing" not in states(database)
    # Nobody can tell the copy from a disk without lasting inodes: nothing is offered for deletion.
    assert [row["spare_bytes"] for row in rows(database, "duplicates")] == [0] * 4
    best = str(min(tree.rglob("best.ckpt")))
    with pytest.raises(Ambiguous) as told:
        Catalog(database, host="desk").trace(best)
    names = str(told.value).splitlines()[1:]
    assert [name.strip() for name in names] == [f"node-1:{best}", f"node-2:{best}"]
    traces = [Catalog(database, host="desk").trace(name.strip()) for name in names]
    assert len({found.checkpoint["checkpoint_id"] for found in traces}) == 2
    # On a machine of the two its own is meant.
    own = call(database, "trace", best, "-f", "json", "--host", "node-2").stdout
    assert json.loads(own)["checkpoint"] == traces[1].checkpoint


def test_the_roots_of_an_old_catalog_are_made_one(tree: Path, both: str) -> None:
    first, second = sorted(str(path) for path in tree.rglob("best.ckpt"))
    Catalog(both, host="pod-1").pin(first, "e5f6g7h8", "by pod-1")
    Catalog(both, host="pod-2").pin(second, "a1b2c3d4", "by pod-2")
    assert len(states(both)) == 4
    assert rows(both, "duplicates") == []
    assert Catalog(both, host="desk").trace(first).copies == []
    done = Catalog(both, host="pod-3").ingest([tree])
    assert (done.read, done.checkpoints, done.linked) == (0, 2, 2)
    assert [row["host"] for row in rows(both, "roots")] == ["pod-3"]
    assert hosts(both) == {("pod-1", 0), ("pod-2", 0), ("pod-3", 1)}
    catalog = Catalog(both, host="desk")
    found = [catalog.trace(path).checkpoint for path in (first, second)]
    assert [(one["run"], one["decided_by"]) for one in found] == [
        ("e5f6g7h8", "person"), ("a1b2c3d4", "person")
    ]  # fmt: skip
    folders = [row["run_directory"] for row in rows(both, "run-directories")]
    assert len(folders) == len(set(folders))
    done = Catalog(both, host="pod-3").ingest([tree])
    assert (done.read, done.missing, done.checkpoints) == (0, 0, 2)


def test_a_recovery_of_either_root_is_verified_and_undone_after_they_are_one(
    tree: Path, both: str
) -> None:
    planned = Catalog(both, host="pod-2").recover().files
    assert "written" in {file.action for file in planned}
    Catalog(both, host="pod-3").ingest([tree])
    pod = Catalog(both, host="pod-3")
    assert {row["state"] for row in pod.verify_recoveries().dicts()} == {"unchanged"}
    assert {file.action for file in pod.undo_recovery(1).files} == {"removed"}
    assert not [*tree.rglob("*.config.json")]


def test_a_tree_inside_one_that_another_host_saw_is_a_part_of_it(tree: Path, database: str) -> None:
    Catalog(database, host="pod-1").ingest([tree])
    done = Catalog(database, host="pod-2").ingest([tree / "outputs"])
    assert (done.read, done.checkpoints) == (0, 2)
    Training("third", "i9j0k1l2", begin=1200, weight=4.0).write(tree)
    new = next(tree.glob("outputs/third-*"))
    assert Catalog(database, host="pod-3").ingest([new]).checkpoints == 3
    assert [row["path"] for row in rows(database, "roots")] == [str(tree)]
    # A folder around it has it as a tree of its own.
    done = Catalog(database, host="pod-4").ingest([tree.parent])
    assert done.checkpoints == 3
    assert {row["path"]: row["host"] for row in rows(database, "roots")} == {
        str(tree): "pod-4", str(tree.parent): "pod-4"
    }  # fmt: skip


def test_a_tree_inside_another_hosts_keeps_its_files_once_both_are_seen(
    tree: Path, database: str
) -> None:
    """Versions before 0.5.0 kept such files twice."""
    inner = tree / "outputs"
    Catalog(database, host="pod-1").ingest([tree])
    best = str(min(tree.rglob("best.ckpt")))
    Catalog(database, host="pod-1").pin(best, "e5f6g7h8", "I know.")
    away = copied(inner)
    Catalog(database, host="pod-2").ingest([inner])
    shutil.rmtree(inner)
    away.rename(inner)
    assert len(states(database)) == 4
    change(
        database,
        "UPDATE file SET inode = (SELECT o.inode FROM file o WHERE o.root_id = 1"
        " AND o.path = 'outputs/' || file.path) WHERE root_id = 2",
    )
    done = Catalog(database, host="pod-2").ingest([tree])
    assert (done.missing, done.checkpoints) == (0, 2)
    found = Catalog(database).trace(best).checkpoint
    assert (found["run"], found["decided_by"]) == ("e5f6g7h8", "person")


def test_a_place_of_a_host_that_is_gone_is_forgotten(tree: Path, database: str) -> None:
    Catalog(database, host="pod-1").ingest([tree])
    shutil.rmtree(tree)
    shown = call(database, "forget", tree, "--dry-run").stdout
    assert shown.startswith(f"{tree} of host pod-1: ")
    assert "2 checkpoints" in shown
    assert "of host pod-2" in refused(database, "forget", tree, "--host", "pod-2", "-y")
    call(database, "forget", tree, "--host", "pod-1", "-y")
    assert (rows(database, "roots"), rows(database, "hosts")) == ([], [])


def test_forget_asks_whose_place_it_is_where_several_hosts_know_it(
    tree: Path, database: str
) -> None:
    Catalog(database, host="node-1").ingest([tree])
    copied(tree)
    Catalog(database, host="node-2").ingest([tree])
    with pytest.raises(UsageError, match="--host: node-1, node-2"):
        Catalog(database, host="desk").forget(tree)
    told = refused(database, "forget", tree / "x", "-y", "--host", "desk")
    assert f"it knows {tree} (node-1), {tree} (node-2)" in told.replace("\n", " ")
    assert Catalog(database, host="node-2").forget(tree).checkpoints == 2
    assert [row["host"] for row in rows(database, "roots")] == ["node-1"]


def test_a_person_says_that_two_trees_are_one(tree: Path, database: str) -> None:
    Catalog(database, host="node-1").ingest([tree])
    copied(tree)
    Catalog(database, host="node-2").ingest([tree])
    assert "no tree of host node-3" in refused(database, "host", "move", "node-3", "storage")
    assert "2 trees" not in call(database, "host", "move", "node-1", "node-2").stdout
    assert len(states(database)) == 2
    assert hosts(database) == {("node-2", 1)}
    done = Catalog(database, host="node-2").ingest([tree])
    assert (done.read, done.checkpoints, done.missing_checkpoints) == (0, 2, 0)


def test_a_tree_is_moved_to_another_name_with_its_recoveries(tree: Path, database: str) -> None:
    Catalog(database, host="pod-1").ingest([tree])
    Catalog(database, host="pod-1").recover()
    storage = Catalog(database, host="storage")
    assert {row["state"] for row in storage.verify_recoveries().dicts()} == {"elsewhere"}
    shown = call(database, "host", "move", "pod-1", "storage", "--path", tree).stdout
    assert f"{tree} is a tree of storage now." in shown
    assert {row["state"] for row in storage.verify_recoveries().dicts()} == {"unchanged"}
    assert hosts(database) == {("storage", 1)}
    shutil.rmtree(tree)
    assert storage.ingest([tree]).missing_checkpoints == 2
    with pytest.raises(NotFound, match="pod-1"):
        storage.move_host("pod-1", "storage")


def test_a_name_for_the_host_is_given_by_option_and_variable(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = str(tmp_path / "named.db")
    monkeypatch.setenv("CATALOG_HOST", "storage")
    call(db, "ingest", tree)
    assert [row["host"] for row in rows(db, "roots")] == ["storage"]
    call(db, "ingest", tree, "--host", "other")
    assert hosts(db) == {("storage", 0), ("other", 1)}
    assert "storage" in call(db, "host", "list").stdout


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[2J", "x" * 300, "host:/path", " pod"])
def test_what_is_no_host_name_is_refused(
    name: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = str(tmp_path / "none.db")
    assert "name" in refused(db, "ingest", tree, "--host", name)
    with pytest.raises(UsageError):
        Catalog(db, host=name)
    if name and "\0" not in name:
        monkeypatch.setenv("CATALOG_HOST", name)
        assert "CATALOG_HOST" in refused(db, "ingest", tree)
    assert not os.path.lexists(db)


def test_a_tree_that_only_another_host_knows_is_gone_once_a_person_says_so(
    tree: Path, database: str
) -> None:
    Catalog(database, host="pod-1").ingest([tree])
    shutil.rmtree(tree)
    told = refused(database, "ingest", tree, "--host", "pod-2")
    assert f"{tree} does not exist on this machine" in told
    assert "say so with --host pod-1" in told
    call(database, "ingest", tree, "--host", "pod-1")
    assert states(database) == ["missing", "missing"]
