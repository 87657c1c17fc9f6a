"""`catalog diff`: only what differs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.query.diff import Subject, differences, flatten
from tests.support.rows import BEST, RUN, fill
from tests.support.torch_files import FakeTensor, lightning_checkpoint, write_torch_zip
from tests.support.trainer_files import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["diff", *map(str, arguments)])


def told(*arguments: str | Path) -> list[tuple[Any, ...]]:
    result = call(*arguments, "-f", "json")
    assert result.exit_code == 0, result.stderr
    return [tuple(row.values()) for row in json.loads(result.stdout)]


def write(path: Path, *, epoch: int = 3, **hyper_parameters: Any) -> Path:
    tensors = {"w": FakeTensor(shape=(4, 3)), "b": FakeTensor(shape=(4,))}
    if "hidden" in hyper_parameters:
        tensors = {"w": FakeTensor(shape=(4, 5)), "v": FakeTensor("float16", (4,))}
    content = lightning_checkpoint(
        state_dict=tensors, epoch=epoch, hyper_parameters=hyper_parameters, best_k={}
    )
    return write_torch_zip(path, content)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    same: dict[str, Any] = {"seed": 1, "nan": math.nan, "layers": [1, 2]}
    one = write(tmp_path / "tree" / "a.ckpt", lr=0.1, model={"name": "x", "old": 1}, **same)
    two = write(
        tmp_path / "tree" / "b.ckpt", epoch=5, lr=0.2, model={"name": "x"}, hidden=5, **same
    )
    return one, two


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()


EXPECTED = [
    ("checkpoint", "epoch", "changed", 3, 5),
    ("checkpoint", "parameter_count", "changed", 16, 24),
    ("checkpoint", "tensor_bytes", "changed", 64, 88),
    ("hyper-parameters", "lr", "changed", 0.1, 0.2),
    ("hyper-parameters", "model.old", "only left", 1, None),
    ("hyper-parameters", "hidden", "only right", None, 5),
    ("architecture", "w", "changed", "float32 [4, 3]", "float32 [4, 5]"),
    ("architecture", "b", "only left", "float32 [4]", None),
    ("architecture", "v", "only right", None, "float16 [4]"),
]


def without_weights(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[1] != "weights_fingerprint"]


def test_only_differing_keys_are_printed(pair: tuple[Path, Path]) -> None:
    rows = told(*pair)
    assert sorted(map(str, without_weights(rows))) == sorted(map(str, EXPECTED))
    assert [row[1] for row in rows].count("weights_fingerprint") == 1


def test_the_catalog_says_the_same_as_the_disk(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "catalog.db"
    Catalog(db).ingest([tmp_path / "tree"])
    monkeypatch.setenv("CATALOG_DB", str(db))
    on_disk = told(*pair)
    assert sorted(map(str, told("a.ckpt", "b.ckpt"))) == sorted(map(str, on_disk))
    assert told(pair[0], "a.ckpt") == told("b.ckpt", pair[1]) == []


def test_equal_ones_differ_in_nothing(pair: tuple[Path, Path]) -> None:
    result = call(pair[0], pair[0], "--fail-if-any")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing differs.\n")


@pytest.mark.parametrize("folder", [False, True])
def test_weights_without_a_fingerprint_are_compared_by_content(
    tmp_path: Path, *, folder: bool
) -> None:
    sides = []
    for name, last in (("a", b"\1"), ("b", b"\2"), ("c", b"\1")):
        side = tmp_path / "tree" / (name if folder else f"{name}.safetensors")
        weights = side / "model.safetensors" if folder else side
        weights.parent.mkdir(exist_ok=True)
        write_safetensors(weights, {"w": [2, 2]})
        weights.write_bytes(weights.read_bytes()[:-1] + last)
        if folder:
            (side / "config.json").write_text('{"model_type": "bert"}')
        sides.append(side)
    one, other, copy = sides
    assert told(one, copy) == []
    ((section, key, change, left, right),) = told(one, other)
    assert (section, key, change) == ("checkpoint", "weights", "changed")
    assert left != right
    assert call(one, other, "--fail-if-any").exit_code == 1


def test_weights_that_nobody_hashed_are_not_called_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_safetensors(tmp_path / "tree" / f"{name}.safetensors", {"w": [2, 2]})
    monkeypatch.setenv("CATALOG_DB", str(tmp_path / "c.db"))
    monkeypatch.chdir(tmp_path)
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    names = ("a.safetensors", "b.safetensors")
    ((section, key, change, *doubts),) = told(*names)
    assert (section, key, change) == ("checkpoint", "weights", "not compared")
    assert all("--hash" in doubt for doubt in doubts)
    assert call(*names, "--fail-if-any").exit_code == 1
    catalog.ingest([tmp_path / "tree"], hashes=True)
    assert told(*names) == []


def test_a_difference_can_fail_a_script(pair: tuple[Path, Path]) -> None:
    assert call(*pair, "--fail-if-any").exit_code == 1


def test_what_is_neither_on_disk_nor_in_the_catalog_is_refused(
    pair: tuple[Path, Path], empty_db: Path
) -> None:
    result = call(pair[0], "nowhere.ckpt", "--db", empty_db)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nowhere.ckpt" in result.stderr


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text("abc", min_size=1, max_size=2), PLAIN, max_size=5)


@given(DOCUMENTS, DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_exchanging_the_sides_exchanges_the_columns(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    left = Subject("left", {"config": dict(flatten(one))})
    right = Subject("right", {"config": dict(flatten(two))})
    there = {(found.key, repr(found.left), repr(found.right)) for found in differences(left, right)}
    back = {(found.key, repr(found.right), repr(found.left)) for found in differences(right, left)}
    assert there == back
    assert differences(left, left) == []
    if not there:
        assert left.sections["config"].keys() == right.sections["config"].keys()


def test_one_and_true_are_not_equal() -> None:
    left, right = (Subject("x", {"config": {"a": value}}) for value in (1, True))
    assert len(differences(left, right)) == 1


def test_a_run_is_not_compared_with_what_is_none(
    empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(empty_db)
    monkeypatch.setenv("CATALOG_DB", str(empty_db))
    for sides in ((RUN, BEST), (BEST, RUN), ("nosuch", RUN)):
        result = call(*sides)
        assert result.exit_code == 2
        assert f"{RUN!r} is a run and" in result.stderr
    assert "No checkpoint fits 'nosuch'" in call("nosuch", BEST).stderr


def test_what_cannot_be_read_is_not_called_equal(tmp_path: Path) -> None:
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / name).write_text(name)
    result = CliRunner().invoke(app, ["diff", str(tmp_path / "a.ckpt"), str(tmp_path / "b.ckpt")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a.ckpt is foreign" in result.stderr


def test_where_there_is_no_catalog_the_side_that_is_not_on_disk_is_named(
    pair: tuple[Path, Path],
) -> None:
    wrong = pair[1].with_name("misspelt.ckpt")
    for sides in ((pair[0], wrong), (wrong, pair[0]), (wrong, wrong)):
        result = call(*sides)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"catalog: {wrong} is not on disk. There is no catalog at")
