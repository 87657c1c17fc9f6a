"""The parts of checkpoints that are folders, as closely as torch looks at them, and their sums."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from catalog import Catalog
from catalog.ingest.wholes import verified_sum
from tests.support.folder_files import write_distributed, write_trainer_state
from tests.test_checkpoint_folders import (
    SHAPES,
    only,
    size_below,
    trainer_deepspeed,
    trainer_fsdp,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(empty_db: Path) -> Catalog:
    return Catalog(empty_db)


def flip(path: Path, at: int, bit: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("sign", "offset"),
    [
        (b"PK\3\4", 0),  # no entry begins there
        (b"PK\1\2", 8),  # encrypted
        (b"PK\1\2", 10),  # packed by an unknown method
        (b"PK\1\2", 20),  # a stored entry of two sizes
        (b"PK\1\2", 35),  # on another disk
        (b"PK\1\2", 50),  # in another folder
        (b"PK\5\6", 4),  # of several disks
        (b"PK\5\6", 10),  # two numbers of entries
    ],
)
@pytest.mark.parametrize("folder", ["step-100", "checkpoint-100/pytorch_model_fsdp_0"])
def test_a_slice_whose_archive_torch_refuses_damages_the_folder(
    catalog: Catalog, tree: Path, folder: str, sign: bytes, offset: int
) -> None:
    if folder != "step-100":
        write_trainer_state(tree / "checkpoint-100")
    shard = write_distributed(tree / folder, SHAPES, ranks=2) / "__0_0.distcp"
    # The first of the two slices: the ends of the file are those of the other one.
    flip(shard, shard.read_bytes().index(sign) + offset)
    row = only(catalog, tree, folder.partition("/")[0])
    assert row["status"] == "unreadable"
    assert "the slice of 'model.a' in __0_0.distcp is damaged" in row["reason"]


@pytest.mark.parametrize(
    "text",
    [b"TensorStorageMetadata", b"ChunkStorageMetadata", b"MetadataIndex", b"_StorageInfo",
     b"TensorProperties", b"bfloat16", b"properties", b"chunks", b"offsets", b"sizes", b"fqn"],
)  # fmt: skip
def test_a_bit_in_the_names_of_metadata_is_damage(
    catalog: Catalog, tree: Path, text: bytes
) -> None:
    path = write_distributed(tree / "step-100", SHAPES) / ".metadata"
    flip(path, path.read_bytes().index(text) + 2)
    row = only(catalog, tree, "step-100")
    assert row["status"] in {"unreadable", "truncated"}
    assert row["reason"].startswith("its .metadata ")
    assert len(row["problems"]) == 1


def test_a_slice_of_another_shape_than_stated_is_damage(catalog: Catalog, tree: Path) -> None:
    folder = write_distributed(tree / "step-100", SHAPES)
    smaller = write_distributed(tree / "other", {**SHAPES, "a": (4, 8)})
    shutil.copy(smaller / "__0_0.distcp", folder)
    shutil.rmtree(smaller)
    row = only(catalog, tree, "step-100")
    assert row["status"] == "unreadable"
    assert "its tensor is [4, 8], and .metadata states [8, 4]" in row["reason"]


def test_more_slices_than_are_read_are_only_recognised(
    catalog: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sources.formats.distributed_slices.MAX_SLICES", 2)
    write_distributed(tree / "step-100", SHAPES)
    row = only(catalog, tree, "step-100")
    assert (row["status"], row["problems"]) == ("recognised", [])
    assert "slices are read at most" in row["reason"]


@pytest.mark.parametrize(
    ("write", "part"),
    [
        (trainer_fsdp, "pytorch_model_fsdp_0/__0_0.distcp"),
        (trainer_fsdp, "pytorch_model_fsdp_0/__1_0.distcp"),
        (trainer_fsdp, "pytorch_model_fsdp_0/.metadata"),
        (trainer_deepspeed, "global_step100/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt"),
        (trainer_deepspeed, "global_step100/zero_pp_rank_0_mp_rank_00_model_states.pt"),
    ],
)
def test_a_byte_of_a_part_in_a_folder_below_counts(
    tmp_path: Path, write: Callable[[Path], Path], part: str
) -> None:
    folder = write(tmp_path)
    # Beside the checkpoint's own parts: what counts is not all that is in the folder.
    (folder / "notes.txt").write_text("first")
    before = verified_sum(folder)
    (folder / "notes.txt").write_text("second")
    assert verified_sum(folder) == before
    assert before.damage is None
    assert before.weights_sha256 is not None
    # The numbers of a tensor are up to 64 bytes behind the name of their entry.
    content = (folder / part).read_bytes()
    flip(folder / part, content.index(b"/data/0") + 72 if b"/data/0" in content else 50)
    after = verified_sum(folder)
    assert after.weights_sha256 != before.weights_sha256
    assert after.weights_sha256 is not None or after.damage is not None


def test_a_byte_of_any_slice_that_misses_its_sum_is_damage(tmp_path: Path) -> None:
    folder = write_distributed(tmp_path / "step-100", SHAPES)
    shard = folder / "__0_0.distcp"
    assert verified_sum(folder).damage is None
    at = shard.read_bytes().index(b"/data/0") + 72
    for _ in SHAPES:
        flip(shard, at)
        assert "__0_0.distcp: The bytes of its entry" in (verified_sum(folder).damage or "")
        flip(shard, at)
        end = shard.read_bytes().index(b"PK\5\6", at)
        at = shard.read_bytes().find(b"/data/0", end) + 72
    assert at == 71


def write_package(folder: Path) -> Path:
    data = folder / "Data/com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(b"\x08\x07")
    (data / "weights/weight.bin").write_bytes(bytes(64))
    entries = {
        "A": {"path": "com.apple.CoreML/model.mlmodel"},
        "B": {"path": "com.apple.CoreML/weights"},
    }
    (folder / "Manifest.json").write_text(json.dumps({"itemInfoEntries": entries}))
    return folder


def test_core_ml_package_is_one_checkpoint(catalog: Catalog, tree: Path) -> None:
    folder = write_package(tree / "net.mlpackage")
    row = only(catalog, tree, "net.mlpackage")
    assert (row["format"], row["status"]) == ("coreml-package", "recognised")
    assert (row["size"], row["problems"]) == (size_below(folder), [])


@pytest.mark.parametrize("part", ["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"])
def test_core_ml_package_without_a_part_is_not_whole(
    catalog: Catalog, tree: Path, part: str
) -> None:
    (write_package(tree / "net.mlpackage") / part).unlink()
    row = only(catalog, tree, "net.mlpackage")
    assert row["status"] == "truncated"
    assert part.rpartition("/")[2] in row["reason"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"itemInfoEntries": {"A": 1}}', "[" * 9999])
def test_core_ml_manifest_that_says_nothing_is_not_whole(
    catalog: Catalog, tree: Path, text: str
) -> None:
    (write_package(tree / "net.mlpackage") / "Manifest.json").write_text(text)
    assert only(catalog, tree, "net.mlpackage")["status"] == "unreadable"
