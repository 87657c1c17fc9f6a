"""`catalog inspect`: one file, no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

import catalog
from catalog.cli.main import app
from catalog.errors import SourceError
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    write_torch_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

WEIGHT = FakeTensor(shape=(4, 3))


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def told(*arguments: str | Path) -> dict[str, Any]:
    result = call(*arguments, "-f", "json")
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def best(tmp_path: Path) -> Path:
    content = lightning_checkpoint(
        state_dict={
            "emb.weight": WEIGHT,
            "emb.scale": FakeTensor("float16", (8,)),
            "head.weight": WEIGHT,
        },
        hyper_parameters={"lr": 0.01, "model": {"layers": 2}},
        best_k={"best.ckpt": 0.75, "best-v1.ckpt": 0.5},
        mode="max",
    )
    return write_torch_zip(tmp_path / "best.ckpt", content)


def test_a_checkpoint_tells_what_it_is(best: Path) -> None:
    one = told(best)
    assert {key: one[key] for key in ("format", "framework", "epoch", "global_step")} == {
        "format": "torch-zip",
        "framework": "lightning",
        "epoch": 3,
        "global_step": 400,
    }
    assert (one["monitor"], one["best_score"], one["own_score"]) == ("val/hmean", 0.75, 0.75)
    assert [score for _, score in one["best_k"]] == [0.75, 0.5]
    assert one["hyper_parameters"] == {"lr": 0.01, "model": {"layers": 2}}
    assert one["learning_rates"] == [0.001]
    assert (one["safety"], one["size"]) == ("plain", best.stat().st_size)


def test_tied_weights_are_counted_once(best: Path) -> None:
    one = told(best)
    assert (one["tensor_count"], one["tied_count"]) == (3, 1)
    assert one["bytes_by_dtype"] == {"float32": 48, "float16": 16}
    assert "tensors" not in one


def test_tensors_are_listed_when_asked_for(best: Path) -> None:
    assert told(best, "--tensors")["tensors"] == [
        {"name": "emb.weight", "dtype": "float32", "shape": [4, 3], "bytes": 48, "shares": None},
        {"name": "emb.scale", "dtype": "float16", "shape": [8], "bytes": 16, "shares": None},
        {
            "name": "head.weight",
            "dtype": "float32",
            "shape": [4, 3],
            "bytes": 48,
            "shares": "emb.weight",
        },
    ]
    lines = call(best, "--tensors", "-f", "csv").stdout.splitlines()
    assert lines[1] == 'emb.weight,float32,"[4, 3]",48,'
    assert len(lines) == 4


def test_the_table_gives_a_line_a_fact(best: Path) -> None:
    lines = [line.split(maxsplit=1) for line in call(best).stdout.splitlines()[2:]]
    facts = {line[0]: line[1] for line in lines}
    assert facts["hyper_parameters.model.layers"] == "2"
    assert facts["bytes_by_dtype.float32"] == "48"
    assert "reason" not in facts


def test_python_gets_the_same(best: Path) -> None:
    found = catalog.inspect(best)
    assert (found.checkpoint.epoch, len(found.tensors), found.verdict) == (3, 3, None)


def test_a_link_is_followed(best: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.pt"
    link.parent.mkdir()
    link.symlink_to(best)
    assert told(link)["path"] == str(best.resolve())


def test_a_directory_is_one_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    write_torch_zip(folder / "pytorch_model.bin", {"w": WEIGHT})
    (folder / "trainer_state.json").write_text('{"global_step": 500, "epoch": 2.0}')
    one = told(folder)
    assert (one["format"], one["global_step"], one["tensor_count"]) == ("hf-trainer", 500, 1)
    assert one["size"] > (folder / "pytorch_model.bin").stat().st_size
    # A part of it is a file like any other.
    assert told(folder / "pytorch_model.bin")["format"] == "torch-zip"


def test_a_prefix_of_tensorflow_is_named_by_its_index(tmp_path: Path) -> None:
    (tmp_path / "model.index").write_bytes(b"\0\0\0")
    (tmp_path / "model.data-00000-of-00001").write_bytes(b"1234")
    one = told(tmp_path / "model.index")
    assert (one["format"], one["size"]) == ("tf-checkpoint", 7)


@pytest.mark.parametrize(
    ("content", "status", "part"),
    [
        (b"", "empty", "no content"),
        (b"hello, this is text\n", "foreign", "text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 99\n", "pointer", "LFS"),
        (b"PK\x03\x04 and no more of it", "truncated", "the end of the archive is missing"),
    ],
)
def test_what_is_no_checkpoint_is_told_with_a_sentence(
    tmp_path: Path, content: bytes, status: str, part: str
) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    result = call(path, "-f", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["status"] == status
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"catalog: {path} is {status}: ")
    assert part in line


@pytest.mark.parametrize("kind", ["nothing", "dead link", "folder", "empty folder"])
def test_what_cannot_be_looked_at_is_refused_with_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "dead link":
        path.symlink_to(tmp_path / "gone.ckpt")
    elif kind != "nothing":
        path.mkdir()
    if kind == "folder":
        write_torch_zip(path / "a.ckpt", {"w": WEIGHT})
    result = call(path)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"catalog: {path} ")
    with pytest.raises(SourceError):
        catalog.inspect(path)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    os.mkfifo(path)
    result = call(path)
    assert result.exit_code == 1
    assert "it was not opened" in result.stderr


def test_a_hostile_file_ends_in_a_verdict(tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    evil = FakeObject(FakeGlobal("os", "system"), (f"touch {harm}",))
    path = write_torch_zip(tmp_path / "evil.ckpt", {"state_dict": {"w": WEIGHT}, "x": evil})
    one = told(path)
    assert (one["safety"], one["globals"]) == ("dangerous", ["os.system"])
    assert not harm.exists()


def test_names_in_a_file_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", {"\x1b[31mred": WEIGHT})
    assert "\x1b" not in call(path, "--tensors").stdout


def test_no_database_is_made_or_needed(
    best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_DB", str(tmp_path / "no" / "such.db"))
    told(best)
    assert not (tmp_path / "no").exists()


def test_nothing_heavy_is_loaded(best: Path) -> None:
    code = (
        "import json, sys; from catalog.cli.main import app; app(sys.argv[1:], standalone_mode="
        "False); print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(best)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"alembic", "numpy", "rich", "sqlalchemy", "sqlite3", "sqlmodel", "torch", "yaml"}
    assert loaded & heavy == set()
