"""HDF5 files and Keras archives: the verdicts are those of h5py 3.16 and keras 3.15.

The files of `files/hdf5/` are h5py's own; what is damaged is made of them here.
"""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from tests.support.checkpoint_reading import checkpoint_of, codes, facts_of

FILES = Path(__file__).parent / "files/hdf5"
MODEL = "a Keras model in HDF5; its content is not read"
WEIGHTS = "Keras weights only, the architecture is not in it; its content is not read"
DATA = "HDF5 data without the marks of a model"


def content(name: str) -> bytes:
    """Return one of the files beside the tests."""
    if (FILES / name).is_file():
        return (FILES / name).read_bytes()
    return gzip.decompress((FILES / f"{name}.gz").read_bytes())


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "form", "status", "reason"),
    [
        ("model.h5", "keras-h5", "recognised", MODEL),
        ("model-latest.h5", "keras-h5", "recognised", MODEL),
        ("user-block.h5", "keras-h5", "recognised", MODEL),
        ("late.h5", "keras-h5", "recognised", MODEL),
        ("many-attributes.h5", "keras-h5", "recognised", MODEL),
        ("weights.h5", "keras-h5", "recognised", WEIGHTS),
        ("keras3.weights.h5", "keras-h5", "recognised", WEIGHTS),
        ("data.h5", "hdf5", "foreign", DATA),
        ("data-latest.h5", "hdf5", "foreign", DATA),
        ("many-data.h5", "hdf5", "recognised", None),
    ],
)
def test_the_root_group_tells_models_weights_and_data(
    tmp_path: Path, name: str, form: str, status: str, reason: str | None
) -> None:
    found = checkpoint_of(write(tmp_path / name, content(name)))
    assert (found.format, found.status) == (form, status)
    assert reason is None or found.reason == reason
    assert found.bytes_read < 100_000


@pytest.mark.parametrize("name", ["model.h5", "model-latest.h5", "user-block.h5", "data.h5"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_cut_file_is_truncated(tmp_path: Path, name: str, share: float) -> None:
    data = content(name)
    told = facts_of(write(tmp_path / "model.h5", data[: int(len(data) * share)]))
    assert told.checkpoint is not None
    assert told.checkpoint.status == "truncated"
    assert codes(told) == ["truncated-checkpoint"]


def test_a_cut_file_tells_both_ends(tmp_path: Path) -> None:
    found = checkpoint_of(write(tmp_path / "model.h5", content("late.h5")[:100_000]))
    assert found.reason == "truncated file: eof = 100,000, its superblock states 1,603,664"


def test_bytes_behind_its_end_are_no_damage(tmp_path: Path) -> None:
    found = checkpoint_of(write(tmp_path / "model.h5", content("model.h5") + b"zzz"))
    assert found.reason == MODEL


def test_a_user_block_that_was_put_before_is_stepped_over(tmp_path: Path) -> None:
    found = checkpoint_of(write(tmp_path / "model.h5", bytes(512) + content("model.h5")))
    assert found.reason == MODEL


def flipped(data: bytes, place: int, bit: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("name", "place", "bit", "part"),
    [
        ("model.h5", 1, 1, "signature"),
        ("model.h5", 8, 0x40, "unknown version"),
        ("model.h5", 13, 1, "size of addresses"),
        ("model-latest.h5", 30, 1, "checksum"),
        ("model-latest.h5", 60, 1, "checksum"),
    ],
)
def test_damage_of_the_structure_is_unreadable(
    tmp_path: Path, name: str, place: int, bit: int, part: str
) -> None:
    found = checkpoint_of(write(tmp_path / "model.h5", flipped(content(name), place, bit)))
    assert found.status == "unreadable"
    assert part in str(found.reason)


@pytest.mark.parametrize(
    "name", ["model.h5", "model-latest.h5", "many-attributes.h5", "weights.h5"]
)
def test_no_flipped_bit_makes_the_reader_fail(tmp_path: Path, name: str) -> None:
    data = content(name)
    path = tmp_path / "model.h5"
    for place in range(0, min(len(data), 2_000), 7):
        for bit in (0x01, 0x80):
            found = checkpoint_of(write(path, flipped(data, place, bit)))
            assert found.status in ("recognised", "foreign", "truncated", "unreadable")


CONFIG = ("config.json", b'{"class_name": "Sequential"}')
METADATA = ("metadata.json", b'{"keras_version": "3.5.0"}')


def keras(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("entries", "status", "part"),
    [
        ([METADATA, CONFIG, ("model.weights.h5", content("keras3.weights.h5"))], "recognised", ""),
        (
            [METADATA, ("model.weights.h5", content("keras3.weights.h5"))],
            "truncated",
            "config.json",
        ),
        ([METADATA, CONFIG], "truncated", "its weights are missing"),
        ([METADATA, CONFIG, ("model.weights.h5", b"")], "truncated", "no content"),
        (
            [METADATA, CONFIG, ("model.weights.h5", content("keras3.weights.h5")[:3000])],
            "truncated",
            "model.weights.h5: truncated file",
        ),
        ([METADATA, CONFIG, ("model.weights.h5", bytes(3000))], "unreadable", "signature"),
        (
            [METADATA, ("config.json", b"{"), ("model.weights.h5", content("data.h5"))],
            "unreadable",
            "config.json is damaged",
        ),
    ],
)
def test_a_keras_archive_has_what_keras_reads(
    tmp_path: Path, entries: list[tuple[str, bytes]], status: str, part: str
) -> None:
    found = checkpoint_of(keras(tmp_path / "m.keras", *entries))
    assert (found.format, found.status, found.framework_version) == ("keras-zip", status, "3.5.0")
    assert part in str(found.reason)
