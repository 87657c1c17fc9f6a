"""ONNX models: the verdicts are those of `onnx.load` and of reading each initializer (1.23)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from catalog import Catalog
from catalog.sources.checkpoint import reader
from tests.support.checkpoint_reading import checkpoint_of, facts, facts_of, items
from tests.support.onnx_files import model, number, tensor, text, varint

if TYPE_CHECKING:
    from pathlib import Path

NOT_CHECKED = "an ONNX model whose weights are all there; its graph is not checked"
WEIGHT = tensor("w", (4, 3), bytes(48))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_whole_model_is_recognised_with_its_initializers(tmp_path: Path) -> None:
    data = model(WEIGHT, tensor("b", (3,), bytes(24), data_type=7), properties={"epoch": "3"})
    found = checkpoint_of(write(tmp_path / "m.onnx", data))
    assert (found.format, found.status) == ("onnx", "recognised")
    assert found.reason == NOT_CHECKED
    assert [(one.name, one.dtype, one.shape) for one in found.tensors] == [
        ("w", "float32", (4, 3)), ("b", "int64", (3,)),
    ]  # fmt: skip
    assert found.parameter_count == 15
    assert found.hyper_parameters == {"epoch": "3"}
    assert found.statements == {"producer": "pytorch 2.4.0"}


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9, 0.99])
def test_a_cut_model_is_truncated(tmp_path: Path, share: float) -> None:
    data = model(WEIGHT)
    found = checkpoint_of(write(tmp_path / "m.onnx", data[: int(len(data) * share)]))
    assert found.status == "truncated"
    assert found.reason is not None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (model(graph=False), "truncated"),
        (model(WEIGHT, opset=False), "truncated"),
        (model(WEIGHT, opset=False, ir_version=2), "recognised"),
        (model(tensor("w", (4, 3), bytes(40))), "truncated"),
        (model(tensor("w", (4, 3), bytes(52))), "unreadable"),
        (model(tensor("w", (4, 3))), "unreadable"),
        (model(tensor("w", (4, 3), bytes(48), data_type=99)), "unreadable"),
        (model(tensor("w", (2,), more=text(4, bytes(8)))), "recognised"),
        (model(tensor("w", (2,), more=text(4, bytes(7)))), "unreadable"),
        (model(tensor("w", (2,), more=text(4, bytes(12)))), "unreadable"),
        (model(tensor("w", (2,), data_type=7, more=text(7, b"\1\x80\1"))), "recognised"),
        (model(tensor("w", (2,), data_type=7, more=text(7, b"\1\x80"))), "unreadable"),
        (model(tensor("w", (2,), data_type=8, more=text(6, "a") + text(6, "b"))), "recognised"),
        (model(tensor("w", (3,), bytes(2), data_type=22)), "recognised"),
        (model(tensor("w", (5,), bytes(2), data_type=22)), "truncated"),
        (model(WEIGHT, node=number(0, 1)), "unreadable"),
        (model(WEIGHT, node=b"\x3b"), "unreadable"),
        (model(WEIGHT, node=b"\x2a\x7f"), "unreadable"),
        (model(WEIGHT, node=text(5, varint(6 << 3 | 2) * 300)), "unreadable"),
        (model(WEIGHT) + b"\xf3\x01\xf4\x01", "recognised"),
        (model(WEIGHT) + b"\xf3\x01", "unreadable"),
        (model(WEIGHT) + b"\xf7\x01", "unreadable"),
    ],
)
def test_the_verdict_is_that_of_onnx(tmp_path: Path, data: bytes, status: str) -> None:
    assert checkpoint_of(write(tmp_path / "m.onnx", data)).status == status


def test_deep_nesting_is_refused_and_not_followed(tmp_path: Path) -> None:
    graph = text(2, "g")
    for _ in range(120):
        graph = text(1, text(5, text(6, graph)))
    data = number(1, 8) + text(7, graph) + text(8, number(2, 17))
    found = checkpoint_of(write(tmp_path / "m.onnx", data))
    assert found.status == "unreadable"


def test_fields_in_another_order_are_told_by_the_name(tmp_path: Path) -> None:
    data = model(WEIGHT)[2:] + number(1, 8)
    assert checkpoint_of(write(tmp_path / "m.onnx", data)).format == "onnx"


EXTERNAL = {
    "whole": ({"location": "m.onnx.data", "offset": "0", "length": "48"}, "recognised"),
    "to its end": ({"location": "m.onnx.data"}, "recognised"),
    "too short": ({"location": "m.onnx.data", "offset": "4", "length": "48"}, "truncated"),
    "less than the shape": ({"location": "m.onnx.data", "length": "40"}, "truncated"),
    "below": ({"location": "sub/data"}, "recognised"),
    "through a folder": ({"location": "sub/../m.onnx.data"}, "recognised"),
    "missing": ({"location": "other.data"}, "truncated"),
    "outside": ({"location": "../outer.data"}, "unreadable"),
    "absolute": ({"location": "/etc/passwd"}, "unreadable"),
    "a folder": ({"location": "sub"}, "unreadable"),
    "no file named": ({}, "unreadable"),
    "no number": ({"location": "m.onnx.data", "length": "x"}, "unreadable"),
    "negative": ({"location": "m.onnx.data", "offset": "-1"}, "unreadable"),
    "symbolic link": ({"location": "link.data"}, "recognised"),
    "hard link": ({"location": "hard.data"}, "recognised"),
}


@pytest.mark.parametrize("kind", EXTERNAL)
def test_data_files_are_parts_of_a_model(tmp_path: Path, kind: str) -> None:
    external, status = EXTERNAL[kind]
    folder = tmp_path / "a"
    (folder / "sub").mkdir(parents=True)
    for path in ("m.onnx.data", "sub/data", "../outer.data", "hard0.data"):
        (folder / path).write_bytes(bytes(48))
    (folder / "link.data").symlink_to("m.onnx.data")
    os.link(folder / "hard0.data", folder / "hard.data")
    write(folder / "m.onnx", model(tensor("w", (4, 3), external=external)))
    found = checkpoint_of(folder / "m.onnx")
    assert found.status == status
    assert (found.reason == NOT_CHECKED) == (status == "recognised" and "link" not in kind)


def test_a_model_and_its_data_file_are_one_item_that_changes_with_either(tmp_path: Path) -> None:
    data = write(tmp_path / "m.onnx.data", bytes(48))
    write(tmp_path / "m.onnx", model(tensor("w", (4, 3), external={"location": data.name})))
    write(tmp_path / "other.onnx", model(WEIGHT))
    before = items(tmp_path)
    assert set(before) == {"m.onnx", "other.onnx"}
    assert reader.read(tmp_path, before["m.onnx"]).checkpoint.status == "recognised"  # type: ignore[union-attr]
    data.unlink()
    after = items(tmp_path)
    assert after["m.onnx"].size != before["m.onnx"].size
    told = facts(tmp_path, "m.onnx")
    assert told.checkpoint is not None
    assert told.checkpoint.reason == "its data file m.onnx.data is missing"


def test_a_text_under_the_name_of_a_model_is_not_one(tmp_path: Path) -> None:
    told = facts_of(write(tmp_path / "m.onnx", b"<!DOCTYPE html>"))
    assert told.checkpoint is not None
    assert told.checkpoint.status == "foreign"


def test_equal_models_with_other_numbers_beside_them_are_not_equal(tmp_path: Path) -> None:
    for folder, name, content in (
        ("a", "w.bin", b"\0"), ("b", "w.bin", b"\1"), ("c", "w.bin", b"\0"),
        ("d", "m.onnx.data", b"\0"), ("e", "m.onnx.data", b"\1"),
    ):  # fmt: skip
        (tmp_path / "tree" / folder).mkdir(parents=True)
        (tmp_path / "tree" / folder / name).write_bytes(content * 48)
        data = model(tensor("w", (4, 3), external={"location": name}))
        write(tmp_path / "tree" / folder / "m.onnx", data)
    catalog = Catalog(tmp_path / "x.db")
    catalog.ingest(tmp_path / "tree", hashes=True)
    rows = catalog.sql("SELECT weights_sha256 FROM checkpoint ORDER BY id").rows
    a, b, c, d, e = (row[0] for row in rows)
    assert a == c
    assert len({a, b, d, e}) == 4
