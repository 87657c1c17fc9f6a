"""Directories of archives: those that are laid out like one before are read in one step."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from catalog.sources.checkpoint import torch_zip
from catalog.sources.checkpoint.archives import MAX_PICKLE
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.torch_zip import ZipDirectory, ZipError, read_directory
from tests.support.checkpoint_reading import checkpoint_of
from tests.support.torch_files import FakeTensor, lightning_checkpoint, write_torch_zip, write_zip

if TYPE_CHECKING:
    from pathlib import Path


def archive(path: Path, value: float) -> Path:
    """Write one of the checkpoints of a training: only its weights tell it from others."""
    state = {
        f"layer.{n}.weight": FakeTensor(shape=(4,), data=struct.pack("<4f", *[value + n] * 4))
        for n in range(30)
    }
    return write_torch_zip(path, lightning_checkpoint(state_dict=state))


def directory_of(path: Path) -> ZipDirectory:
    with open_inside(path.parent, path) as source:
        return read_directory(source)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no archive have been met before."""
    monkeypatch.setattr(torch_zip, "_LAYOUTS", {})
    monkeypatch.setattr(torch_zip, "_MET_ONCE", {})


@pytest.mark.usefixtures("fresh")
def test_what_is_laid_out_alike_is_read_alike(tmp_path: Path) -> None:
    paths = [archive(tmp_path / f"{number}.ckpt", number) for number in range(4)]
    found = [directory_of(path) for path in paths]
    assert torch_zip._LAYOUTS
    for one in found:
        line_by_line = torch_zip._line_by_line(one.raw, len(one.entries), 0)
        assert one.entries == line_by_line.entries
        assert list(one.entries) == list(line_by_line.entries)
    prints = [checkpoint_of(path).weights_fingerprint for path in paths]
    assert None not in prints
    assert len(set(prints)) == len(paths)
    copy = tmp_path / "copy.ckpt"
    copy.write_bytes(paths[2].read_bytes())
    assert checkpoint_of(copy).weights_fingerprint == prints[2]


@pytest.mark.usefixtures("fresh")
def test_a_damaged_directory_of_known_layout_is_still_damaged(tmp_path: Path) -> None:
    for number in range(2):
        directory_of(archive(tmp_path / f"{number}.ckpt", number))
    path = archive(tmp_path / "damaged.ckpt", 9)
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 1] = 0
    path.write_bytes(data)
    with pytest.raises(ZipError, match="damaged"):
        directory_of(path)


@pytest.mark.usefixtures("fresh")
def test_another_name_in_a_directory_of_the_same_size_is_seen(tmp_path: Path) -> None:
    for number in range(2):
        directory_of(archive(tmp_path / f"{number}.ckpt", number))
    path = archive(tmp_path / "other.ckpt", 9)
    path.write_bytes(path.read_bytes().replace(b"archive/data/7", b"archive/dat_/7"))
    found = directory_of(path)
    assert "archive/dat_/7" in found.entries
    assert "archive/data/7" not in found.entries
    assert checkpoint_of(path).weights_fingerprint is None  # one of its sums is not there


def storages(path: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        return {one.filename: one for one in archive.infolist()}


def test_torch_refuses_what_is_not_as_its_pickle_states(tmp_path: Path) -> None:
    """Verdicts of torch 2.13 on each of these: it loads none of them."""
    content = {"state_dict": {"w": FakeTensor(shape=(3,)), "b": FakeTensor(shape=(1,))}}
    whole = write_torch_zip(tmp_path / "whole.ckpt", content)
    raw = whole.read_bytes()
    entries = storages(whole)
    data = {name: raw_of(whole, name) for name in entries}
    first = next(name for name in entries if name.endswith("data/0"))

    def reason(**changes: bytes | None) -> str:
        parts = [(name, changes.get(name.rpartition("/")[2], part)) for name, part in data.items()]
        path = write_zip(
            tmp_path / "odd.ckpt", [(name, part) for name, part in parts if part is not None]
        )
        found = checkpoint_of(path)
        assert (found.status, found.weights_fingerprint) == ("unreadable", None)
        return found.reason or ""

    assert checkpoint_of(whole).status == "readable"
    assert reason(**{"0": None}) == "1 of its 2 storages are missing"
    assert reason(**{"0": bytes(8)}) == "its storage 0 has 8 bytes in place of 12"
    assert reason(**{"0": bytes(16)}) == "its storage 0 has 16 bytes in place of 12"
    assert "version is missing" in reason(version=None)
    flipped = bytearray(raw)
    flipped[entries[first].header_offset + 2] ^= 1
    whole.write_bytes(flipped)
    found = checkpoint_of(whole)
    assert (found.status, found.reason) == (
        "unreadable",
        "an entry is not where the directory of the archive says",
    )


def test_a_pickle_that_does_not_fit_its_sum_is_damaged(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", {"state_dict": {"some_name": FakeTensor()}})
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"some_name", b"same_name", 1))
    found = checkpoint_of(path)
    assert (found.status, found.weights_fingerprint) == ("unreadable", None)
    assert "checksum" in (found.reason or "")


def raw_of(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def test_a_pickle_beyond_the_limit_is_recognised_and_not_damaged(tmp_path: Path) -> None:
    content = {"state_dict": {"w": FakeTensor(shape=(2,))}, "notes": "x" * (MAX_PICKLE + 9)}
    found = checkpoint_of(write_torch_zip(tmp_path / "a.pt", content))
    assert found.status == "recognised"
    assert found.reason == "its data.pkl cannot be read: it is longer than 12 MB"
