"""Recovery on trees of known truth whose configs were taken away: all of it right, or nothing."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from catalog import Catalog


def restored(shared: Path, target: Path) -> Path:
    subprocess.run(
        [sys.executable, str(shared / "groundtruth" / "restore_mtimes.py"), str(target)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return target


@pytest.mark.shared
def test_what_is_recovered_is_what_the_run_used_and_nothing_else_is_written(
    shared: Path, tmp_path: Path
) -> None:
    tree = restored(shared, tmp_path / "trees")
    used: dict[str, object] = {}
    with (shared / "groundtruth" / "truth.csv").open(newline="") as file:
        truth = {row["path"]: row for row in csv.DictReader(file)}
    for path, row in truth.items():
        job = tree / row["hydra_dir"] / ".hydra" / "config.yaml"
        if row["hydra_dir"] and job.is_file():
            used[path] = yaml.safe_load(job.read_text())["model"]
    for sidecar in [*tree.rglob("*.config.json")]:
        sidecar.unlink()
    for folder in [*tree.rglob(".hydra")]:
        shutil.rmtree(folder)
    recovered: dict[str, object] = {}
    for root in sorted(path for path in tree.iterdir() if path.is_dir()):
        catalog = Catalog(tmp_path / f"{root.name}.db")
        catalog.ingest([root])
        for one in catalog.recover().files:
            if one.action == "written":
                written = json.loads((root / str(one.sidecar)).read_text())
                recovered[f"{root.name}/{one.checkpoint}"] = written
    assert len(recovered) >= 40
    assert {truth[path]["expected_status"] for path in recovered} == {"linked"}
    compared = {path: one for path, one in recovered.items() if path in used}
    assert len(compared) >= 40
    assert compared == {path: {"model": used[path]} for path in compared}
    beside = {path.name.partition(".")[2] for path in tree.rglob("*.config.json")}
    assert beside == {"config.json"}
    assert len([*tree.rglob("*.config.json")]) == len(recovered)
