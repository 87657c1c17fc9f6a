from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from catalog.sources.facts import Mention
from tests.support.reading import codes, fields, items, read_tree
from tests.support.wandb_files import write_hydra_directory, write_run_directory

if TYPE_CHECKING:
    from pathlib import Path

JOB = "outputs/ocr-unknown_training_20251018_023219"


def test_a_job_directory(tmp_path: Path) -> None:
    write_hydra_directory(
        tmp_path / JOB,
        {"exp": "ocr", "model": {"n": "${n}"}, "n": 4, "out": "${hydra:runtime.output_dir}"},
        overrides=["n=4", "+db.password=x"],
        output_dir="/home/old/" + JOB,
        log_lines=["[2025-10-18 02:32:20,123][train][INFO] - start"],
    )
    tree = read_tree(tmp_path)
    assert sorted(tree) == [
        f"{JOB}/.hydra/config.yaml", f"{JOB}/.hydra/hydra.yaml", f"{JOB}/.hydra/overrides.yaml",
        f"{JOB}/train.log",
    ]  # fmt: skip
    for facts in tree.values():
        assert facts.run_directory is not None
        assert (facts.run_directory.path, facts.run_directory.tracker) == (JOB, "hydra")
        assert facts.run_directory.stamp == "2025-10-18T02:32:19"
    config = tree[f"{JOB}/.hydra/config.yaml"].configs[0]
    assert config.kind == "hydra-config"
    assert config.document == {
        "exp": "ocr", "model": {"n": 4}, "n": 4, "out": "${hydra:runtime.output_dir}",
    }  # fmt: skip
    assert config.unresolved == ("out",)
    overrides = tree[f"{JOB}/.hydra/overrides.yaml"]
    assert overrides.configs[0].document == {"overrides": ["n=4", "+db.password=<redacted>"]}
    assert json.loads(fields(overrides)["overrides"]) == ["n=4", "+db.password=<redacted>"]
    assert codes(overrides) == ["secret-redacted"]
    own = tree[f"{JOB}/.hydra/hydra.yaml"]
    assert own.mentions == (Mention("output-dir", "/home/old/" + JOB),)
    found = fields(own)
    assert (found["hydra_version"], found["mode"], found["job_name"]) == ("1.3.2", "RUN", "train")
    assert "job_num" not in found  # `???` is no value
    assert [m.role for m in tree[f"{JOB}/train.log"].mentions] == ["log-line"]


def test_job_log_and_w_and_b_output_share_their_lines(tmp_path: Path) -> None:
    line = "[2026-11-24 00:21:17,123][lightning][INFO] - GPU available: False"
    write_hydra_directory(tmp_path / "out", {}, log_lines=[line])
    write_run_directory(
        tmp_path / "wandb", "abc", output_lines=["INFO: x", f"\x1b[36m{line}\x1b[0m"]
    )
    said = [
        {m.text for m in facts.mentions if m.role == "log-line"}
        for path, facts in read_tree(tmp_path).items()
        if path.endswith((".log", ".wandb")) and "debug" not in path
    ]
    assert len(said) == 3
    assert said[0] == said[1] == said[2] != set()


@pytest.mark.parametrize(
    ("path", "stamp"),
    [
        ("outputs/2026-11-23/23-58-36", "2026-11-23T23:58:36"),
        ("multirun/2025-12-07/11-44-08/1", "2025-12-07T11:44:08"),
        ("multirun/data.n_labeled=100,data.n_workers=0", None),
    ],
)
def test_stamps_of_the_known_layouts(tmp_path: Path, path: str, stamp: str | None) -> None:
    write_hydra_directory(tmp_path / path, {"a": 1})
    places = {facts.run_directory for facts in read_tree(tmp_path).values()}
    assert [(place.path, place.stamp) for place in places if place] == [(path, stamp)]


def test_hydra_in_the_project_itself(tmp_path: Path) -> None:
    write_hydra_directory(tmp_path / "project", {"a": 1}, log_lines=["x"])
    assert {item.run_directory for item in items(tmp_path / "project")} == {"."}


def test_a_job_as_the_root_takes_the_stamp_from_its_own_name(tmp_path: Path) -> None:
    folder = write_hydra_directory(tmp_path / "2026-11-23" / "23-58-36", {"a": 1})
    (place,) = {facts.run_directory for facts in read_tree(folder).values()}
    assert place is not None
    assert place.stamp == "2026-11-23T23:58:36"


def test_a_sweep_is_no_job(tmp_path: Path) -> None:
    write_hydra_directory(tmp_path / "sweep" / "0", {"a": 1}, num=0)
    sweep = {"hydra": {"mode": "MULTIRUN", "overrides": {"task": ["a=1,2"]}, "job": {"num": "???"}}}
    (tmp_path / "sweep" / "multirun.yaml").write_text(yaml.safe_dump(sweep))
    facts = read_tree(tmp_path)["sweep/multirun.yaml"]
    assert facts.run_directory is not None
    assert facts.run_directory.tracker == "hydra-sweep"
    assert facts.configs == ()
    assert fields(facts) == {"mode": "MULTIRUN", "overrides": '["a=1,2"]'}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("overrides.yaml", "a: 1", "not-a-list"),
        ("overrides.yaml", "[", "unreadable-yaml"),
        ("config.yaml", "", "empty-file"),
        ("hydra.yaml", "- 1", "not-a-mapping"),
        ("hydra.yaml", "{", "unreadable-yaml"),
    ],
)
def test_broken_files_are_problems_of_their_job(
    tmp_path: Path, name: str, content: str, code: str
) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / name).write_text(content)
    (facts,) = read_tree(tmp_path).values()
    assert codes(facts) == [code]
    assert facts.run_directory is not None


@pytest.mark.parametrize("content", ["hydra: 1", "hydra: {runtime: [1], job: null}", "{}"])
def test_a_hydra_file_of_another_shape_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "hydra.yaml").write_text(content)
    (facts,) = read_tree(tmp_path).values()
    assert facts.fields == ()


def test_logs_elsewhere_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("[2025-10-18 02:32:20,123] x\n")
    assert list(items(tmp_path)) == []
