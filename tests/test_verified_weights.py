"""Equal weights that were read, and those that files only state: a stated sum can lie."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.ingest import hashing
from catalog.sources.checkpoint import sums
from catalog.sources.checkpoint.sums import verified_sum
from catalog.sources.paths import open_regular
from tests.support.recovery import MODEL, catalog_of, project
from tests.support.torch_files import (
    FakeTensor,
    lightning_checkpoint,
    write_torch_legacy,
    write_torch_zip,
)
from tests.support.trainer_files import write_trainer_checkpoint
from tests.support.trees import Training

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = bytes(range(64))
_GENERATOR = 0x104C11DB7
SAME_CRC = bytes(
    number ^ delta
    for number, delta in zip(
        NUMBERS,
        sum(1 << bit for bit in range(33) if _GENERATOR >> (32 - bit) & 1).to_bytes(64, "little"),
        strict=True,
    )
)
"""Other numbers with the CRC-32 of `NUMBERS`: they differ by the CRC's own polynomial."""


def call(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


def write(path: Path, numbers: bytes = NUMBERS, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = lightning_checkpoint(state_dict={"w": FakeTensor("uint8", (64,), numbers)})
    return write_torch_zip(path, content, "weights", **options)


def deflated(path: Path) -> Path:
    """Pack the entries of an archive anew: torch reads them as before."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def flipped(path: Path, *, of: str) -> Path:
    """Change one bit in the bytes of an entry, as a disk or a cable does."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(of)
    content = bytearray(path.read_bytes())
    names, extra = struct.unpack_from("<HH", content, entry.header_offset + 26)
    content[entry.header_offset + 30 + names + extra + entry.compress_size // 2] ^= 4
    path.write_bytes(content)
    return path


def duplicates(db: Path | str) -> list[dict[str, Any]]:
    return Catalog(db).query("duplicates").dicts()


def checkpoints(db: Path | str) -> dict[str, dict[str, Any]]:
    rows = Catalog(db).sql(
        "SELECT f.path, c.weights_sha256, c.damage, f.sha256 FROM checkpoint c "
        "JOIN file f ON f.id = c.id"
    )
    return {row["path"]: row for row in rows.dicts()}


def problems(db: Path | str) -> list[tuple[str, str]]:
    return [(row["path"], row["code"]) for row in Catalog(db).query("problems").dicts()]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are read whole, once for each time."""
    names: list[str] = []

    def open_one(path: Path) -> BinaryIO:
        names.append(path.name)
        return open_regular(path)

    monkeypatch.setattr(sums, "open_regular", open_one)
    return names


# Damage


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("entry", ["weights/data/0", "weights/data.pkl", "weights/version"])
def test_a_flipped_bit_is_a_problem_and_the_good_file_is_not_spare(
    tmp_path: Path, database: str, entry: str, *, packed: bool
) -> None:
    tree = tmp_path / "tree"
    good, bad = write(tree / "good.ckpt"), write(tree / "flipped.ckpt")
    if packed:
        deflated(good), deflated(bad)
    flipped(bad, of=entry)
    call("ingest", tree, "-q", "--db", database)
    # Before the bytes are read, what the files state frees nothing.
    assert {row["spare_bytes"] for row in duplicates(database)} <= {0}
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert duplicates(database) == []
    found = checkpoints(database)
    assert entry in found["flipped.ckpt"]["damage"]
    assert found["flipped.ckpt"]["weights_sha256"] is None
    assert found["good.ckpt"]["damage"] is None
    assert found["good.ckpt"]["weights_sha256"] is not None
    assert ("flipped.ckpt", "damaged-bytes") in problems(database)
    assert "good.ckpt" not in dict(problems(database))
    for name in ("good", "flipped"):
        assert Catalog(database).trace(f"{name}.ckpt").copies == []


def test_of_a_damaged_and_two_good_ones_one_good_one_is_kept(tmp_path: Path, database: str) -> None:
    tree = tmp_path / "tree"
    flipped(write(tree / "a.ckpt"), of="weights/data/0")
    size = write(tree / "b.ckpt").stat().st_size
    write(tree / "c.ckpt")
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert [(row["path"], row["equality"], row["spare_bytes"]) for row in duplicates(database)] == [
        ("b.ckpt", "verified", 0),
        ("c.ckpt", "verified", size),
    ]
    (numbers,) = Catalog(database).query("overview").dicts()
    assert (numbers["spare_bytes"], numbers["stated_spare_bytes"]) == (size, 0)


@pytest.mark.parametrize("stays_as_it_is", [False, True])
def test_damage_is_a_problem_until_the_bytes_fit(
    tmp_path: Path, empty_db: Path, *, stays_as_it_is: bool
) -> None:
    file = write(tmp_path / "tree" / "a.ckpt")
    good = file.read_bytes()
    flipped(file, of="weights/data/0")
    before = file.stat()
    call("ingest", tmp_path / "tree", "-q", "--hash", "--db", empty_db)
    call("ingest", tmp_path / "tree", "-q", "--db", empty_db)
    assert problems(empty_db) == [("a.ckpt", "damaged-bytes")]
    file.write_bytes(good)
    if stays_as_it_is:  # the disk erred, and the file is as it was
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    call("ingest", tmp_path / "tree", "-q", "--hash", "--db", empty_db)
    assert problems(empty_db) == []
    assert checkpoints(empty_db)["a.ckpt"]["damage"] is None
    assert checkpoints(empty_db)["a.ckpt"]["weights_sha256"] is not None


def test_a_newer_reader_forgets_neither_damage_nor_sums(
    tmp_path: Path, empty_db: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "tree" / "a.ckpt")
    flipped(write(tmp_path / "tree" / "b.ckpt"), of="weights/data/0")
    call("ingest", tmp_path / "tree", "-q", "--hash", "--db", empty_db)
    before = checkpoints(empty_db)
    opened.clear()
    monkeypatch.setattr("catalog.sources.checkpoint.reader.VERSION", 99)
    call("ingest", tmp_path / "tree", "-q", "--db", empty_db)
    assert (checkpoints(empty_db), opened) == (before, [])
    assert problems(empty_db) == [("b.ckpt", "damaged-bytes")]


def test_sums_that_are_left_out_are_no_statement(tmp_path: Path, database: str) -> None:
    tree = tmp_path / "tree"
    write(tree / "a.ckpt", crcs=False)
    write(tree / "b.ckpt", crcs=False)
    flipped(write(tree / "c.ckpt", crcs=False), of="weights/data/0")
    call("ingest", tree, "-q", "--db", database)
    assert duplicates(database) == []
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert problems(database) == []
    assert [(row["path"], row["equality"]) for row in duplicates(database)] == [
        ("a.ckpt", "verified"),
        ("b.ckpt", "verified"),
    ]


def test_a_cut_copy_is_equal_to_nothing(tmp_path: Path, database: str) -> None:
    tree = tmp_path / "tree"
    content = write(tree / "good.ckpt").read_bytes()
    for name in ("cut", "cut too"):
        (tree / f"{name}.ckpt").write_bytes(content[:-40])
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert duplicates(database) == []
    assert checkpoints(database)["cut.ckpt"]["weights_sha256"] is None


def test_a_damaged_part_damages_the_folder(tmp_path: Path, empty_db: Path) -> None:
    folder = tmp_path / "tree" / "out"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    tensor = FakeTensor("uint8", (64,), NUMBERS)
    part = write_torch_zip(folder / "pytorch_model.bin", {"w": tensor}, "weights")
    flipped(part, of="weights/data/0")
    call("ingest", tmp_path / "tree", "-q", "--hash", "--db", empty_db)
    damage = checkpoints(empty_db)["out"]["damage"]
    assert damage.startswith("pytorch_model.bin: ")
    assert "weights/data/0" in damage


def test_a_large_header_of_safetensors_is_summed_by_tensor(tmp_path: Path) -> None:
    entry = {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}
    found = []
    for note in ("", "x" * (9 << 20)):
        header = json.dumps({"__metadata__": {"note": note}, "w": entry}).encode()
        path = tmp_path / "model.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header + NUMBERS)
        found.append(verified_sum(path))
    assert found[0].weights_sha256 == found[1].weights_sha256
    assert {one.basis for one in found} == {"weights"}


def test_an_entry_that_states_little_and_holds_much_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights/data/0", bytes(1 << 28))
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("weights/data/0").file_size
    content = path.read_bytes().replace(struct.pack("<L", size), struct.pack("<L", 100))
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert "weights/data/0" in (verified_sum(path).damage or "")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


# Sums

storages = st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=4)
containers = st.fixed_dictionaries(
    {
        "top": st.sampled_from(["archive", "best"]),
        "form": st.sampled_from(["stored", "without sums", "deflated"]),
        "epoch": st.integers(0, 3),
    }
)


@given(storages, storages, st.booleans(), containers, containers)
@settings(max_examples=60, deadline=None)
def test_sums_are_equal_where_the_bytes_of_all_storages_are(
    one: list[bytes],
    other: list[bytes],
    same: bool,
    first: dict[str, Any],
    second: dict[str, Any],
) -> None:
    other = one if same else other
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, numbers, form in (("a", one, first), ("b", other, second)):
            tensors = {
                f"w{place}": FakeTensor("uint8", (8,), part) for place, part in enumerate(numbers)
            }
            content = lightning_checkpoint(state_dict=tensors, epoch=form["epoch"])
            path = Path(folder, f"{name}.ckpt")
            write_torch_zip(path, content, form["top"], crcs=form["form"] != "without sums")
            if form["form"] == "deflated":
                deflated(path)
            found.append(verified_sum(path))
    assert found[0].damage is found[1].damage is None
    assert (found[0].weights_sha256 == found[1].weights_sha256) is (one == other)


@given(storages, storages, st.booleans())
@settings(max_examples=40, deadline=None)
def test_of_safetensors_the_tensors_count_and_the_metadata_does_not(
    one: list[bytes],
    other: list[bytes],
    same: bool,
) -> None:
    other = one if same else other
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for note, numbers in (("x", one), ("longer", other)):
            header: dict[str, Any] = {"__metadata__": {"note": note}}
            for place, _ in enumerate(numbers):
                header[f"w{place}"] = {
                    "dtype": "U8",
                    "shape": [8],
                    "data_offsets": [8 * place, 8 * place + 8],
                }
            text = json.dumps(header).encode()
            path = Path(folder, f"{note}.safetensors")
            path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(numbers))
            found.append(verified_sum(path).weights_sha256)
    assert (found[0] == found[1]) is (one == other)


def test_equal_weights_are_found_under_different_containers(tmp_path: Path, database: str) -> None:
    tree = tmp_path / "tree"
    write(tree / "stored.ckpt")
    deflated(write(tree / "deflated.ckpt"))
    write(tree / "without sums.ckpt", crcs=False)
    # Nothing but their whole content tells of these.
    content = lightning_checkpoint(state_dict={"w": FakeTensor("uint8", (64,), NUMBERS)})
    for name in ("old.pt", "older.pt"):
        write_torch_legacy(tree / name, content)
    call("ingest", tree, "-q", "--hash", "--db", database)
    rows = duplicates(database)
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row["weights_fingerprint"], set()).add(row["path"])
    assert {row["equality"] for row in rows} == {"verified"}
    assert sorted(groups.values(), key=len) == [
        {"old.pt", "older.pt"},
        {"stored.ckpt", "deflated.ckpt", "without sums.ckpt"},
    ]


def test_what_was_not_read_makes_a_group_a_stated_one(tmp_path: Path, database: str) -> None:
    tree = tmp_path / "tree"
    for name in ("a", "b"):
        size = write(tree / f"{name}.ckpt").stat().st_size
    call("ingest", tree, "-q", "--hash", "--db", database)
    write(tree / "c.ckpt")
    call("ingest", tree, "-q", "--db", database)
    rows = duplicates(database)
    assert [(row["copies"], row["equality"], row["spare_bytes"]) for row in rows] == [
        (3, "stated", 0)
    ] * 3
    assert sum(row["stated_spare_bytes"] for row in rows) == 2 * size
    call("ingest", tree, "-q", "--hash", "--db", database)
    rows = duplicates(database)
    assert {row["equality"] for row in rows} == {"verified"}
    assert sum(row["spare_bytes"] for row in rows) == 2 * size


def test_bytes_outdo_equal_sums(tmp_path: Path, database: str) -> None:
    assert zlib.crc32(NUMBERS) == zlib.crc32(SAME_CRC)
    tree = tmp_path / "tree"
    for name, numbers in (("a", NUMBERS), ("b", NUMBERS), ("c", SAME_CRC)):
        write(tree / f"{name}.ckpt", numbers)
    call("ingest", tree, "-q", "--db", database)
    assert len({row["weights_fingerprint"] for row in duplicates(database)}) == 1
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert [(row["path"], row["equality"]) for row in duplicates(database)] == [
        ("a.ckpt", "verified"),
        ("b.ckpt", "verified"),
    ]
    copies = Catalog(database).trace("a.ckpt").copies
    assert [(row["path"], row["equality"]) for row in copies] == [("b.ckpt", "verified")]


# Work


def test_each_file_is_opened_once_whatever_names_it_has(
    tmp_path: Path, database: str, opened: list[str]
) -> None:
    tree = tmp_path / "tree"
    one = write(tree / "a.ckpt")
    os.link(one, tree / "hard.ckpt")
    (tree / "soft.ckpt").symlink_to("a.ckpt")
    write(tree / "b.ckpt")
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert sorted(opened) == ["a.ckpt", "b.ckpt"]
    # A name that came later is known by the others.
    os.link(one, tree / "later.ckpt")
    (tree / "later soft.ckpt").symlink_to("a.ckpt")
    call("ingest", tree, "-q", "--hash", "--db", database)
    assert sorted(opened) == ["a.ckpt", "b.ckpt"]
    found = checkpoints(database)
    assert len({row["weights_sha256"] for row in found.values()}) == 1
    rows = duplicates(database)
    assert {row["equality"] for row in rows} == {"verified"}
    assert {row["path"]: row["name_kind"] for row in rows} == {
        "a.ckpt": "file",
        "b.ckpt": "file",
        "hard.ckpt": "hard link",
        "later.ckpt": "hard link",
        "later soft.ckpt": "symbolic link",
        "soft.ckpt": "symbolic link",
    }
    assert sum(row["spare_bytes"] for row in rows) == one.stat().st_size


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    numbers = FakeTensor(shape=(16 << 20,))  # 64 MB of zeros
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint(state_dict={"w": numbers}))
    tracemalloc.start()
    try:
        assert verified_sum(path).basis == "weights"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_hash_that_was_killed_goes_on(
    tmp_path: Path, empty_db: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    for number in range(25):
        write(tree / f"{number:02}.ckpt", bytes([number]) * 64)
    whole = verified_sum

    def stopped(path: Path) -> sums.Verified:
        if path.name == "22.ckpt":
            raise KeyboardInterrupt
        return whole(path)

    monkeypatch.setattr(hashing, "verified_sum", stopped)
    with pytest.raises(KeyboardInterrupt):
        Catalog(empty_db).ingest([tree], hashes=True)
    summed = [row for row in checkpoints(empty_db).values() if row["weights_sha256"]]
    assert len(summed) == 20
    monkeypatch.setattr(hashing, "verified_sum", whole)
    opened.clear()
    Catalog(empty_db).ingest([tree], hashes=True)
    assert sorted(opened) == [f"{number}.ckpt" for number in range(20, 25)]


# Reading what is listed, without storing anything


def gone(file: Path) -> None:
    file.unlink()


def changed(file: Path) -> None:
    os.utime(file, (1, 1))


def other(file: Path) -> None:
    before = file.stat()
    write(file, SAME_CRC)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def damaged(file: Path) -> None:
    before = file.stat()
    flipped(file, of="weights/data/0")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("happens", "equality", "detail"),
    [
        (None, "verified", None),
        (gone, "not verified", "No such file"),
        (changed, "not verified", "changed since it was ingested"),
        (other, "differs", "Its weights are not those of a.ckpt."),
        (damaged, "damaged", "weights/data/0"),
    ],
)
def test_what_is_listed_is_read_and_nothing_is_stored(
    tmp_path: Path,
    empty_db: Path,
    happens: Callable[[Path], None] | None,
    equality: str,
    detail: str | None,
) -> None:
    tree = tmp_path / "tree"
    for name in ("a", "b", "c"):
        size = write(tree / f"{name}.ckpt").stat().st_size
    write_trainer_checkpoint(tree / "out" / "checkpoint-5", {"output_dir": "out"})
    call("ingest", tree, "-q", "--db", empty_db)
    if happens is not None:
        happens(tree / "c.ckpt")
    content = empty_db.read_bytes()
    empty_db.chmod(0o444)
    for question in (["--duplicates"], ["duplicates"]):
        result = call("query", *question, "--verify", "-f", "json", "--db", empty_db)
        rows = json.loads(result.stdout)
        assert {row["equality"] for row in rows} == {equality}
        assert [row["path"] for row in rows] == ["a.ckpt", "b.ckpt", "c.ckpt"]
        assert detail is None or detail in rows[2]["detail"]
        # What was read and is equal can go, whatever else is in the group.
        spare = [0, size, size if happens is None else 0]
        assert [row["spare_bytes"] for row in rows] == spare
    assert empty_db.read_bytes() == content


def test_what_is_listed_is_opened_once_and_not_on_another_host(
    tmp_path: Path, database: str, opened: list[str]
) -> None:
    one = write(tmp_path / "here" / "a.ckpt")
    os.link(one, tmp_path / "here" / "hard.ckpt")
    (tmp_path / "here" / "soft.ckpt").symlink_to("a.ckpt")
    write(tmp_path / "there" / "b.ckpt")
    Catalog(database, host="here").ingest([tmp_path / "here"])
    Catalog(database, host="there").ingest([tmp_path / "there"])
    opened.clear()
    found = Catalog(database, host="here").verify_duplicates().dicts()
    assert opened == ["a.ckpt"]
    assert {row["equality"] for row in found} == {"not verified"}
    details = {row["path"]: row["detail"] for row in found}
    assert details.pop("b.ckpt") == (
        "It is on the host there; run this there. If that is this one, set CATALOG_HOST=there."
    )
    assert set(details.values()) == {None}


def test_a_limit_is_of_what_is_read(tmp_path: Path, empty_db: Path, opened: list[str]) -> None:
    for name, first in (("a", 1), ("b", 1), ("c", 2), ("d", 2)):
        write(tmp_path / "tree" / f"{name}.ckpt", bytes([first]) * 64)
    call("ingest", tmp_path / "tree", "-q", "--db", empty_db)
    opened.clear()
    rows = Catalog(empty_db).verify_duplicates(limit=1)
    assert len(rows.rows) == len(opened) == 2  # the whole group
    assert rows.truncated


def test_only_the_list_of_duplicates_is_verified(empty_db: Path) -> None:
    for question in ([], ["usable"], ["--problems"]):
        result = CliRunner().invoke(app, ["query", *question, "--verify", "--db", str(empty_db)])
        assert result.exit_code == 2
        assert "`catalog query duplicates --verify`" in result.stderr


# Comparing two


def test_a_comparison_says_on_what_it_rests(tmp_path: Path) -> None:
    good, copy = write(tmp_path / "good.ckpt"), write(tmp_path / "copy.ckpt")
    bad = flipped(write(tmp_path / "bad.ckpt"), of="weights/data/0")
    liar = write(tmp_path / "liar.ckpt", SAME_CRC)
    for side in (copy, bad, liar):
        stated = call("diff", good, side)
        assert stated.stdout == ""
        assert "equal as both files state them; --verify reads" in stated.stderr
    assert call("diff", good, copy, "--verify").stderr == "Nothing differs.\n"
    for side, change, told in ((bad, "not compared", "weights/data/0"), (liar, "changed", "")):
        (row,) = json.loads(call("diff", good, side, "--verify", "-f", "json").stdout)
        assert (row["section"], row["key"], row["change"]) == ("checkpoint", "weights", change)
        assert told in row["right"]


def test_what_a_hash_found_counts_in_a_comparison(tmp_path: Path, empty_db: Path) -> None:
    tree = tmp_path / "tree"
    write(tree / "good.ckpt"), write(tree / "copy.ckpt"), write(tree / "liar.ckpt", SAME_CRC)
    flipped(write(tree / "bad.ckpt"), of="weights/data/0")
    catalog = Catalog(empty_db)
    catalog.ingest([tree])
    assert catalog.diff("good.ckpt", "copy.ckpt").note
    catalog.ingest([tree], hashes=True)
    found = catalog.diff("good.ckpt", "copy.ckpt")
    assert (list(found.rows), found.note) == ([], None)
    for side, change in (("bad.ckpt", "not compared"), ("liar.ckpt", "changed")):
        (row,) = catalog.diff("good.ckpt", side).dicts()
        assert (row["key"], row["change"]) == ("weights", change)


# What follows from equal weights


def lying(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint with a sidecar, and one of another run that states the same of other weights."""
    root = tmp_path / "tree"
    first, second = project(
        root, Training("one"), Training("two", "b2c3d4e5", begin=600, config={})
    )
    for file, numbers in ((first, NUMBERS), (second, SAME_CRC)):
        when = file.stat().st_mtime
        content = lightning_checkpoint(
            state_dict={"w": FakeTensor("uint8", (64,), numbers)},
            epoch=1,
            best_k={"best.ckpt": 0.7231270074844360},
            directory=f"/home/team/project/outputs/{file.parents[1].name}/checkpoints",
        )
        write_torch_zip(file, content, "weights")
        os.utime(file, (when, when))
    first.with_suffix(".config.json").write_text(json.dumps({"model": MODEL}))
    return root, second


def equal_weights_used(catalog: Catalog) -> bool:
    return "equal-weights" in {row["source"] for row in catalog.explain_recovery().dicts()}


@pytest.mark.parametrize("is_damaged", [False, True])
def test_no_config_comes_from_weights_that_are_not_equal(
    tmp_path: Path, *, is_damaged: bool
) -> None:
    root, file = lying(tmp_path)
    if is_damaged:
        damaged(file)
    catalog = catalog_of(root)
    assert equal_weights_used(catalog)
    catalog.ingest([root], hashes=True)
    assert not equal_weights_used(catalog)


def test_a_config_comes_from_weights_that_are_equal(tmp_path: Path) -> None:
    root, file = lying(tmp_path)
    shutil.copy2(next(root.glob("outputs/one*/checkpoints/best.ckpt")), file)
    catalog = catalog_of(root)
    catalog.ingest([root], hashes=True)
    assert equal_weights_used(catalog)


def test_a_pin_stays_with_the_weights_that_it_was_put_on(tmp_path: Path, empty_db: Path) -> None:
    root = tmp_path / "tree"
    Training("one").write(root)
    old = write(root / "ckpt" / "old.pt")
    catalog = Catalog(empty_db)
    catalog.ingest([root], hashes=True)
    catalog.pin("old.pt", "a1b2c3d4", "I trained it.")
    old.rename(root / "ckpt" / "moved.pt")
    catalog.ingest([root])
    (move,) = catalog.trace("moved.pt").moves
    assert (move["path"], move["equality"]) == ("ckpt/old.pt", "stated")
    assert "equal as stated" in call("trace", "moved.pt", "--db", empty_db).stdout
    catalog.ingest([root], hashes=True)
    (move,) = catalog.trace("moved.pt").moves
    assert move["equality"] == "verified"
    assert catalog.trace("moved.pt").checkpoint["decided_by"] == "person"


def test_a_move_that_the_bytes_refute_takes_no_pin_along(tmp_path: Path, empty_db: Path) -> None:
    root = tmp_path / "tree"
    Training("one").write(root)
    old = write(root / "ckpt" / "old.pt")
    catalog = Catalog(empty_db)
    catalog.ingest([root], hashes=True)
    catalog.pin("old.pt", "a1b2c3d4", "I trained it.")
    old.unlink()
    write(root / "ckpt" / "foreign.pt", SAME_CRC)
    catalog.ingest([root], hashes=True)
    assert catalog.trace("foreign.pt").moves == []
    assert catalog.trace("foreign.pt").checkpoint["decided_by"] != "person"


def test_a_group_can_be_asked_for_by_the_sum_that_names_it(tmp_path: Path, database: str) -> None:
    """Where the files state nothing, the sum of their bytes does."""
    write(tmp_path / "tree" / "a.ckpt", crcs=False)
    write(tmp_path / "tree" / "other.ckpt", bytes(64))
    call("ingest", tmp_path / "tree", "-q", "--hash", "--db", database)
    digest = checkpoints(database)["a.ckpt"]["weights_sha256"]
    assert Catalog(database).trace(digest[:12]).checkpoint["path"] == "a.ckpt"
