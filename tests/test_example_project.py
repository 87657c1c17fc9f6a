"""The example project holds what its README, manifest and truth say, and times can be restored."""

from __future__ import annotations

import csv
import importlib.util
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PROJECT = EXAMPLES / "ocr-project"
MANIFEST = EXAMPLES / "ocr-project.mtimes.csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(scope="module")
def restore() -> Callable[[Path, Path, Path], None]:
    spec = importlib.util.spec_from_file_location("restore_times", EXAMPLES / "restore_times.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[Path, Path, Path], None] = module.restore
    return function


def test_manifest_names_every_file_and_no_other() -> None:
    assert {row["path"] for row in rows(MANIFEST)} == files_below(PROJECT)


def test_truth_covers_every_checkpoint_and_names_runs_that_exist() -> None:
    truth = rows(EXAMPLES / "truth.csv")
    assert {row["path"] for row in truth} == {
        path for path in files_below(PROJECT) if path.endswith(".ckpt")
    }
    assert [row["usable"] for row in truth].count("yes") == 24
    assert [row["usable"] for row in truth].count("no") == 18
    for row in truth:
        assert (PROJECT / row["run_directory"]).is_dir()
        assert row["run_directory"].endswith(row["wandb_run_id"])
        sidecar = PROJECT / row["path"].replace(".ckpt", ".config.json")
        assert sidecar.is_file() == (row["usable"] == "yes")


def test_unusable_checkpoints_have_no_config_where_inference_looks() -> None:
    for row in rows(EXAMPLES / "truth.csv"):
        if row["usable"] == "no":
            folder = (PROJECT / row["path"]).parent
            for place in (folder, folder.parent):
                assert [*place.glob("*.yaml"), *place.glob("*.json")] == []
            for place in (folder.parent, folder.parent.parent):
                assert not (place / ".hydra").exists()


def test_links_stay_inside_the_project() -> None:
    links = [path for path in PROJECT.rglob("*") if path.is_symlink()]
    assert links
    for link in links:
        assert not link.readlink().is_absolute()
        assert link.resolve().is_relative_to(PROJECT)
        assert link.exists()


def test_restore_gives_each_file_its_time_and_keeps_links(
    restore: Callable[[Path, Path, Path], None], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    restore(PROJECT, MANIFEST, copy)
    assert files_below(copy) == files_below(PROJECT)
    for row in rows(MANIFEST):
        assert (copy / row["path"]).lstat().st_mtime_ns == int(row["mtime_ns"])
    assert (copy / "wandb" / "latest-run").is_symlink()
    last = next(copy.glob("outputs/*_33-unknown*/checkpoints/last.ckpt"))
    written = datetime.fromtimestamp(last.stat().st_mtime, timezone(timedelta(hours=9)))
    assert f"{written:%Y-%m-%d %H:%M:%S}" == "2025-10-18 04:29:34"


def test_restore_refuses_a_target_that_exists(
    restore: Callable[[Path, Path, Path], None], tmp_path: Path
) -> None:
    with pytest.raises(FileExistsError):
        restore(PROJECT, MANIFEST, tmp_path)
