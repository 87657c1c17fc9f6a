"""What an ingest promises: read once, lose nothing, end in the same rows whatever happened."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from catalog import Catalog
from catalog.errors import SourceError
from catalog.sources import registry
from catalog.sources.facts import Facts, Item
from tests.support.database import facts
from tests.support.torch_files import FakeTensor, lightning_checkpoint, write_torch_zip
from tests.support.trees import Training


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    Training().write(root)
    Training("det_r50", "e5f6g7h8", scores=(0.3, 0.6123456), begin=600, hydra=True).write(root)
    return root


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that readers were asked to open, in order."""
    paths: list[str] = []
    real = registry.read

    def read(root: Path, item: Item) -> Facts:
        paths.append(item.path)
        return real(root, item)

    monkeypatch.setattr(registry, "read", read)
    return paths


def trace(db: Path) -> dict[str, tuple[str, str | None]]:
    return {
        f"{row['root']}/{row['path']}".rpartition("/outputs/")[2].partition("-")[0]: (
            row["verdict"],
            row["run"],
        )
        for row in Catalog(db).sql("SELECT * FROM checkpoint_trace").dicts()
    }


def test_what_changed_is_read_and_nothing_else(
    tree: Path, empty_db: Path, opened: list[str]
) -> None:
    catalog = Catalog(empty_db)
    first = catalog.ingest([tree])
    assert first.read == first.seen == len(opened)
    opened.clear()
    catalog.ingest([tree])
    assert opened == []
    changed = next(tree.glob("wandb/*a1b2c3d4/files/wandb-summary.json"))
    changed.write_text('{"val/hmean": 0.99}')
    summary = catalog.ingest([tree])
    assert opened == [changed.relative_to(tree).as_posix()]
    assert (summary.read, summary.missing) == (1, 0)


def test_a_changed_file_replaces_what_it_said(tree: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    changed = next(tree.glob("wandb/*a1b2c3d4/files/wandb-summary.json"))
    changed.write_text('{"val/hmean": 0.99, "new": 1}')
    catalog.ingest([tree])
    rows = catalog.sql(
        "SELECT n.name, s.value FROM metric_summary s "
        "JOIN metric_name n ON n.id = s.metric_name_id JOIN file f ON f.id = s.file_id "
        "WHERE f.path LIKE '%a1b2c3d4%summary.json' ORDER BY n.name"
    )
    assert rows.rows == [("new", 1.0), ("val/hmean", 0.99)]


def test_a_file_that_vanished_is_marked_and_kept_and_may_come_back(
    tree: Path, empty_db: Path, opened: list[str]
) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    gone = next(tree.glob("outputs/det_r18*/checkpoints/best.ckpt"))
    kept = Path(shutil.move(gone, tree.parent / "kept.ckpt"))
    summary = catalog.ingest([tree])
    assert summary.missing == 1
    (row,) = catalog.sql(
        "SELECT presence, state, run FROM checkpoint_trace WHERE path LIKE '%det_r18%'"
    ).dicts()
    assert row == {"presence": "missing", "state": "missing", "run": "a1b2c3d4"}
    shutil.move(kept, gone)
    opened.clear()
    assert catalog.ingest([tree]).missing == 0
    assert opened == []
    assert trace(empty_db)["det_r18"] == ("linked", "a1b2c3d4")


def test_order_and_number_of_ingests_do_not_matter(tree: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.db", tmp_path / "parts.db"
    Catalog(whole).ingest([tree])
    Catalog(parts).ingest([tree / "wandb"])
    # The runs come first, under a root of their own; the whole tree follows.
    Catalog(parts).ingest([tree / "outputs"])
    assert trace(whole) == trace(parts)
    assert trace(whole)["det_r18"] == ("linked", "a1b2c3d4")


def test_a_part_of_a_known_root_is_no_root_of_its_own(tree: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    first = catalog.ingest([tree])
    part = catalog.ingest([tree / "outputs"])
    assert catalog.sql("SELECT COUNT(*) AS n FROM root").dicts() == [{"n": 1}]
    assert (part.read, part.missing) == (0, 0)
    assert part.seen < first.seen


def test_a_root_above_a_known_one_keeps_both_and_no_file_twice(tree: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree / "outputs"])
    catalog.ingest([tree])
    names = [
        row["path"].rpartition("/")[2]
        for row in catalog.sql("SELECT path FROM checkpoint_trace").dicts()
    ]
    assert names == ["best.ckpt", "best.ckpt"]
    assert trace(empty_db)["det_r18"] == ("linked", "a1b2c3d4")


def test_one_bad_file_is_one_problem_and_the_rest_is_read(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registry.read

    def read(root: Path, item: Item) -> Facts:
        if item.path.endswith("config.yaml") and "a1b2c3d4" in item.path:
            raise ValueError("no reader is perfect")
        return real(root, item)

    monkeypatch.setattr(registry, "read", read)
    summary = Catalog(empty_db).ingest([tree])
    assert summary.problems == 1
    (problem,) = Catalog(empty_db).query("problems").dicts()
    assert problem["code"] == "reader-failed"
    assert trace(empty_db)["det_r18"] == ("linked", "a1b2c3d4")


def test_a_file_that_cannot_be_read_keeps_what_it_said_and_is_tried_again(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    changed = next(tree.glob("wandb/*a1b2c3d4/files/config.yaml"))
    changed.write_text(changed.read_text() + "\n")
    real = registry.read

    def read(root: Path, item: Item) -> Facts:
        if item.path.endswith("a1b2c3d4/files/config.yaml"):
            raise PermissionError(13, "Permission denied")
        return real(root, item)

    with monkeypatch.context() as patched:
        patched.setattr(registry, "read", read)
        assert catalog.ingest([tree]).problems == 1
    stated = (
        "SELECT COUNT(*) AS n FROM config_flat WHERE kind = 'wandb-config' AND run = 'a1b2c3d4'"
    )
    assert catalog.sql(stated).dicts()[0]["n"] > 0
    again = catalog.ingest([tree])
    assert (again.read, again.problems) == (1, 0)


def test_paths_that_cannot_be_ingested(tree: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    with pytest.raises(SourceError, match="does not exist"):
        catalog.ingest([tree / "nowhere"])
    with pytest.raises(SourceError, match="is a file"):
        catalog.ingest([next(tree.glob("wandb/*/files/config.yaml"))])


def test_skipped_folders_and_links_out_of_the_tree(tree: Path, empty_db: Path) -> None:
    outside = tree.parent / "elsewhere"
    Training("outside").write(outside)
    (tree / "link").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    for folder in (".git", "node_modules", "venv/lib"):
        shutil.copytree(outside, tree / folder / "copy")
    (tree / "venv" / "pyvenv.cfg").write_text("")
    Catalog(empty_db).ingest([tree])
    assert sorted(trace(empty_db)) == ["det_r18", "det_r50"]


def test_names_that_are_no_utf8_are_a_problem(tree: Path, empty_db: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/caf\xe9.ckpt")).write_bytes(b"x")
    assert Catalog(empty_db).ingest([tree]).problems == 1
    (problem,) = Catalog(empty_db).query("problems").dicts()
    assert problem["code"] == "undecodable-name"
    assert "caf" in problem["path"]


def test_a_fifo_does_not_block(tree: Path, empty_db: Path) -> None:
    before = Catalog(empty_db).ingest([tree])
    os.mkfifo(tree / "pipe.ckpt")
    after = Catalog(empty_db).ingest([tree])
    (row,) = (
        Catalog(empty_db)
        .sql("SELECT status FROM checkpoint_trace WHERE path = 'pipe.ckpt'")
        .dicts()
    )
    assert row["status"] == "foreign"
    (problem,) = Catalog(empty_db).query("problems").dicts()
    assert (problem["path"], problem["code"]) == ("pipe.ckpt", "not-a-file")
    assert after.unusable == before.unusable  # it is no checkpoint that could be mended


_KILLED = """
import os, sys
from pathlib import Path
from catalog import Catalog
from catalog.ingest import pipeline
pipeline.BATCH = pipeline.WRITTEN = 2
db, tree, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls = 0
def progress(stage, done, total):
    global calls
    calls += 1
    if calls == limit:
        os._exit(137)
Catalog(db).ingest([Path(tree)], progress=progress)
"""


@pytest.mark.parametrize("limit", [3, 9, 12, 15, 18])
def test_a_killed_ingest_is_completed_by_the_next(tree: Path, tmp_path: Path, limit: int) -> None:
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(killed), str(tree), str(limit)], check=False
    )
    assert done.returncode == 137
    Catalog(killed).ingest([tree])
    Catalog(whole).ingest([tree])
    assert facts(killed) == facts(whole)
    with closing(sqlite3.connect(killed)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_two_ingests_at_once_give_the_rows_of_one(tree: Path, tmp_path: Path) -> None:
    both, whole = tmp_path / "both.db", tmp_path / "whole.db"
    Catalog(both).ingest([tree / "wandb"])
    code = "import sys; from catalog import Catalog; Catalog(sys.argv[1]).ingest([sys.argv[2]])"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(both), str(tree)]) for _ in range(2)
    ]
    assert [process.wait() for process in started] == [0, 0]
    Catalog(whole).ingest([tree / "wandb"])
    Catalog(whole).ingest([tree])
    assert facts(both) == facts(whole)


def test_an_interrupted_ingest_says_so(tree: Path, empty_db: Path) -> None:
    def progress(stage: str, _done: int, _total: int | None) -> None:
        if stage == "read":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Catalog(empty_db).ingest([tree], progress=progress)
    rows = Catalog(empty_db).sql("SELECT status FROM ingest").rows
    assert rows == [("interrupted",)]


def test_one_folder_may_be_named_without_a_list(tree: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    assert catalog.ingest(str(tree)).seen == catalog.ingest(tree).seen > 0
    with pytest.raises(SourceError, match="at least one"):
        catalog.ingest([])


def test_the_problem_of_a_file_that_is_gone_stands_no_more(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "b.ckpt").write_bytes(bytes(range(50)))
    catalog = Catalog(tmp_path / "c.db")
    assert catalog.ingest([tree]).problems == 1
    (tree / "b.ckpt").rename(tmp_path / "b.ckpt")
    assert catalog.ingest([tree]).problems == 0
    assert catalog.query("problems").rows == []
    (tmp_path / "b.ckpt").rename(tree / "b.ckpt")
    assert catalog.ingest([tree]).problems == 1


def test_a_checkpoint_is_overwritten_by_one_of_another_model_and_config(
    tmp_path: Path, database: str
) -> None:
    """What it refers to now came into the catalog with it, in one and the same batch."""
    path = tmp_path / "tree" / "best.ckpt"
    path.parent.mkdir()
    for width in (2, 3):
        tensor = FakeTensor("uint8", (width,), bytes(width))
        content = lightning_checkpoint(state_dict={"w": tensor}, hyper_parameters={"width": width})
        write_torch_zip(path, content)
        Catalog(database).ingest([path.parent])
        found = Catalog(database).sql(
            "SELECT t.parameter_count, v.text FROM checkpoint_trace t "
            "JOIN checkpoint c ON c.id = t.checkpoint_id "
            "JOIN config_value v ON v.config_id = c.config_id AND v.key = 'width'"
        )
        assert found.rows == [(width, str(width))]
