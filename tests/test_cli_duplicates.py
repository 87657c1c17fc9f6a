"""`catalog query --duplicates` and `catalog ingest --hash`: equal weights, equal content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.sources.checkpoint import sums as sums_module
from catalog.sources.paths import open_regular
from tests.support.torch_files import FakeTensor, lightning_checkpoint, write_torch_zip
from tests.support.trainer_files import write_trainer_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def call(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.stderr
    return result


def write(path: Path, first: int = 1, **others: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensor = FakeTensor("uint8", (64,), bytes([first]) * 64)
    return write_torch_zip(path, lightning_checkpoint(state_dict={"w": tensor}, **others))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two files with equal weights, other names of one of them, and another model."""
    tree = tmp_path / "tree"
    one = write(tree / "best.ckpt")
    write(tree / "last.ckpt", note="x" * 500)  # more in it than in the other
    os.link(one, tree / "hard.ckpt")
    (tree / "soft.ckpt").symlink_to("best.ckpt")
    write(tree / "other.ckpt", first=2)
    return tree


def duplicates(db: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        call("query", "--duplicates", "-f", "json", "--db", db).stdout
    )
    return rows


def test_names_of_one_file_are_told_from_copies(tree: Path, database: str) -> None:
    call("ingest", tree, "-q", "--hash", "--db", database)
    rows = duplicates(database)
    assert {row["path"]: row["name_kind"] for row in rows} == {
        "best.ckpt": "file",
        "hard.ckpt": "hard link",
        "last.ckpt": "file",
        "soft.ckpt": "symbolic link",
    }
    # The larger one is kept, so the smaller one can go, with its other names.
    smaller = (tree / "best.ckpt").stat().st_size
    assert {row["copies"] for row in rows} == {2}
    assert {row["path"]: row["spare_bytes"] for row in rows if row["spare_bytes"]} == {
        "best.ckpt": smaller
    }


def test_other_names_alone_are_no_duplicates(tmp_path: Path, empty_db: Path) -> None:
    one = write(tmp_path / "tree" / "best.ckpt")
    os.link(one, tmp_path / "tree" / "hard.ckpt")
    (tmp_path / "tree" / "soft.ckpt").symlink_to("best.ckpt")
    call("ingest", tmp_path / "tree", "-q", "--db", empty_db)
    assert duplicates(str(empty_db)) == []


def test_copies_in_two_roots_are_found(tmp_path: Path, empty_db: Path) -> None:
    one = write(tmp_path / "one" / "best.ckpt")
    (tmp_path / "two").mkdir()
    shutil.copy2(one, tmp_path / "two" / "renamed.pt")
    call("ingest", tmp_path / "one", tmp_path / "two", "-q", "--hash", "--db", empty_db)
    rows = duplicates(str(empty_db))
    assert [row["copies"] for row in rows] == [2, 2]
    # Of equal ones the first that was met is kept.
    assert [(row["path"], row["spare_bytes"]) for row in rows] == [
        ("best.ckpt", 0),
        ("renamed.pt", one.stat().st_size),
    ]


def test_groups_stand_together_and_those_that_free_most_come_first(
    tmp_path: Path, empty_db: Path
) -> None:
    sizes = {}
    for name, first, more in (("a1", 1, 0), ("a2", 1, 300), ("b1", 2, 600), ("b2", 2, 0)):
        file = write(tmp_path / "tree" / f"{name}.ckpt", first, note="x" * more)
        sizes[name] = file.stat().st_size
    sizes["b3"] = write(tmp_path / "tree" / "b3.ckpt", 2, note="y").stat().st_size
    call("ingest", tmp_path / "tree", "-q", "--hash", "--db", empty_db)
    rows = duplicates(str(empty_db))
    assert [row["path"].removesuffix(".ckpt") for row in rows] == ["b1", "b2", "b3", "a1", "a2"]
    assert [row["spare_bytes"] for row in rows] == [0, sizes["b2"], sizes["b3"], sizes["a1"], 0]
    (numbers,) = Catalog(empty_db).query("overview").dicts()
    assert numbers["spare_bytes"] == sizes["a1"] + sizes["b2"] + sizes["b3"]


def test_files_without_sums_of_their_own_are_compared_by_hash(
    tmp_path: Path, database: str
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    header = b'{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    for name, numbers in (("a", b"1234"), ("b", b"1234"), ("c", b"1235")):
        content = struct.pack("<Q", len(header)) + header + numbers
        (tree / f"{name}.safetensors").write_bytes(content)
    call("ingest", tree, "-q", "--db", database)
    assert duplicates(database) == []
    call("ingest", tree, "-q", "--hash", "--db", database)
    rows = duplicates(database)
    assert [(row["path"], row["copies"]) for row in rows] == [
        ("a.safetensors", 2),
        ("b.safetensors", 2),
    ]
    assert [row["spare_bytes"] for row in rows] == [0, len(header) + 12]
    # A trace takes the same for equal.
    catalog = Catalog(database)
    assert [row["path"] for row in catalog.trace("a.safetensors").copies] == ["b.safetensors"]
    assert catalog.trace("c.safetensors").copies == []


def test_folders_of_equal_weights_are_duplicates(tmp_path: Path, database: str) -> None:
    tree = tmp_path / "tree"
    first = write_trainer_checkpoint(tree / "out" / "checkpoint-5", {"output_dir": "out"})
    shutil.copytree(first, tree / "kept")
    write_trainer_checkpoint(tree / "other", {"output_dir": "out"}, width=5)
    (tree / "kept" / "README.md").write_text("kept for the paper")
    call("ingest", tree, "-q", "--db", database)
    assert duplicates(database) == []
    call("ingest", tree, "-q", "--hash", "--db", database)
    found = ["kept", "out/checkpoint-5"]
    assert [(row["path"], row["copies"]) for row in duplicates(database)] == [
        (path, 2) for path in found
    ]
    assert [row["path"] for row in Catalog(database).trace("kept").copies] == found[1:]
    # What changes since has no sum until it is taken again.
    write_trainer_checkpoint(tree / "kept", {"output_dir": "out"}, width=6)
    call("ingest", tree, "-q", "--db", database)
    assert duplicates(database) == []
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert duplicates(database) == []


def sums(db: Path | str) -> dict[str, str | None]:
    return {row["path"]: row["sha256"] for row in Catalog(db).sql("SELECT * FROM file").dicts()}


@pytest.fixture
def read_whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are hashed."""
    names: list[str] = []
    whole = open_regular

    def opened(path: Path) -> BinaryIO:
        names.append(path.name)
        return whole(path)

    monkeypatch.setattr(sums_module, "open_regular", opened)
    return names


def test_nothing_is_hashed_unless_asked_for(
    tree: Path, empty_db: Path, read_whole: list[str]
) -> None:
    call("ingest", tree, "-q", "--db", empty_db)
    assert set(sums(empty_db).values()) == {None}
    assert read_whole == []


def test_hashes_are_taken_once_and_again_for_what_changed(
    tree: Path, database: str, read_whole: list[str]
) -> None:
    call("ingest", tree, "-q", "--hash", "--db", database)
    found = sums(database)
    for name in ("best.ckpt", "hard.ckpt", "last.ckpt", "other.ckpt"):
        assert found[name] == hashlib.sha256((tree / name).read_bytes()).hexdigest()
    assert found["soft.ckpt"] is None
    # Two names of one file are read once.
    assert sorted(read_whole) == ["best.ckpt", "last.ckpt", "other.ckpt"]
    read_whole.clear()
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert read_whole == []
    write(tree / "other.ckpt", first=3)
    call("ingest", tree, "-q", "--db", database)
    assert sums(database)["other.ckpt"] is None
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert read_whole == ["other.ckpt"]


def test_a_sum_outlives_a_newer_reader(
    tree: Path, empty_db: Path, read_whole: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("ingest", tree, "-q", "--hash", "--db", empty_db)
    before = sums(empty_db)
    read_whole.clear()
    monkeypatch.setattr("catalog.sources.checkpoint.reader.VERSION", 99)
    call("ingest", tree, "-q", "--hash", "--db", empty_db)
    assert (sums(empty_db), read_whole) == (before, [])


def test_a_checkpoint_is_found_by_the_beginning_of_its_sum(tree: Path, empty_db: Path) -> None:
    call("ingest", tree, "-q", "--hash", "--db", empty_db)
    digest = sums(empty_db)["other.ckpt"]
    assert digest is not None
    traced = json.loads(call("trace", digest[:12], "-f", "json", "--db", empty_db).stdout)
    assert traced["checkpoint"]["path"] == "other.ckpt"
    assert traced["checkpoint"]["sha256"] == digest


def test_a_file_that_changed_meanwhile_gets_no_sum(
    tree: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = open_regular

    def grown(path: Path) -> BinaryIO:
        with path.open("ab") as file:
            file.write(b"\0")
        return whole(path)

    monkeypatch.setattr(sums_module, "open_regular", grown)
    call("ingest", tree, "-q", "--hash", "--db", empty_db)
    assert set(sums(empty_db).values()) == {None}


def test_bytes_by_dtype_are_a_view(tree: Path, database: str) -> None:
    call("ingest", tree, "-q", "--db", database)
    found = Catalog(database).query("checkpoint_dtypes").dicts()
    assert {(row["dtype"], row["tensors"], row["tied"], row["bytes"]) for row in found} == {
        ("uint8", 1, 0, 64)
    }
    assert len(found) == 5
