"""Run records of real trees, against counts made without the readers."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from catalog.sources.facts import Facts
from tests.support.reading import codes, fields, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.shared

Trees = dict[Path, dict[str, Facts]]

OFFLINE = "A-lightning24-hydra-wandb019-offline"

EXPECTED_PROBLEMS = {"empty-stream", "truncated-stream", "empty-file"}
"""All that is wrong in these trees; their guide names each case."""


@pytest.fixture(scope="module")
def trees(shared: Path) -> Trees:
    roots = [p for top in ("corpus", "groundtruth") for p in (shared / top).iterdir() if p.is_dir()]
    return {root: read_tree(root) for root in sorted(roots)}


def each(trees: Trees, suffix: str) -> Iterator[tuple[Path, Facts]]:
    for root, tree in trees.items():
        for path, facts in tree.items():
            if path.endswith(suffix):
                yield root / path, facts


def files(trees: Trees, pattern: str) -> set[Path]:
    return {
        p for root in trees for p in root.rglob(pattern) if p.is_file() and not _linked(root, p)
    }


def _linked(root: Path, path: Path) -> bool:
    return any(parent.is_symlink() for parent in [path, *path.parents] if parent != root.parent)


def numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, part in value.items():
            is_own = not name and key.startswith("_")
            if not is_own and not (isinstance(part, dict) and "_type" in part):
                yield from numbers(part, f"{name}.{key}" if name else key)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)


def test_only_known_problems(trees: Trees) -> None:
    found = {code for tree in trees.values() for facts in tree.values() for code in codes(facts)}
    assert found == EXPECTED_PROBLEMS


@pytest.mark.parametrize(
    "pattern",
    ["run-*.wandb", "wandb-metadata.json", "wandb-summary.json", "wandb-history.jsonl",
     ".hydra/config.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml", "multirun.yaml",
     "sweep-*/config-*.yaml", "logs/debug.log", "files/output.log", "metrics.csv", "results.csv",
     "trainer_state.json", "events.out.tfevents.*", "best_k_models.yaml", "opt.yaml"],
)  # fmt: skip
def test_every_file_is_read(trees: Trees, pattern: str) -> None:
    wanted = files(trees, pattern)
    assert wanted
    assert wanted <= {root / path for root, tree in trees.items() for path in tree}


def test_empty_streams_are_those_of_zero_bytes(trees: Trees) -> None:
    empty = {path for path, facts in each(trees, ".wandb") if "empty-stream" in codes(facts)}
    assert empty == {path for path in files(trees, "run-*.wandb") if path.stat().st_size <= 7}


def test_summaries_hold_every_number_of_the_file(trees: Trees) -> None:
    for path, facts in each(trees, "wandb-summary.json"):
        text = path.read_text().rstrip("\0")
        expected = dict(numbers(json.loads(text))) if text else {}
        got = {one.name: one.value for one in facts.summaries}
        assert repr(got) == repr(expected), path


def test_whole_streams_agree_with_the_summary_written_beside_them(trees: Trees) -> None:
    compared = 0
    for path, facts in each(trees, ".wandb"):
        beside = path.parent / "files" / "wandb-summary.json"
        if facts.problems or not beside.is_file() or "exit_code" not in fields(facts):
            continue
        stream = {one.name: one.value for one in facts.summaries}
        for name, value in numbers(json.loads(beside.read_text())):
            assert math.isclose(stream[name], value, rel_tol=1e-12), (path, name)
            compared += 1
    assert compared > 250


def test_history_ends_at_the_summary(trees: Trees) -> None:
    compared = agree = 0
    for _, facts in each(trees, ".wandb"):
        last = {series.name: series.values[-1] for series in facts.series}
        for one in facts.summaries:
            if one.name in last:
                compared += 1
                agree += repr(last[one.name]) == repr(one.value)
    assert compared > 300
    assert agree / compared > 0.95  # the others asked for another summary than the last value


def test_streams_and_metadata_agree_on_id_host_and_start(trees: Trees) -> None:
    compared = 0
    for path, facts in each(trees, ".wandb"):
        said = fields(facts)
        metadata = trees_of(trees, path.parent / "files" / "wandb-metadata.json")
        if "run_id" not in said:
            continue
        assert said["run_id"] == path.stem.removeprefix("run-")
        if metadata is not None:
            other = fields(metadata)
            assert said.get("host", other["host"]) == other["host"]
            assert said["started_at"][:16] == other["started_at"][:16] or (
                abs(int(said["started_at"][17:19]) - int(other["started_at"][17:19])) > 50
            )
            compared += 1
    assert compared > 80


def trees_of(trees: Trees, path: Path) -> Facts | None:
    for root, tree in trees.items():
        if path.is_relative_to(root):
            return tree.get(path.relative_to(root).as_posix())
    return None


def test_w_and_b_configs_are_what_a_safe_loader_reads(trees: Trees) -> None:
    compared = 0
    for path, facts in each(trees, "files/config.yaml"):
        document = yaml.safe_load(path.read_text())
        keys = set(document) - {"wandb_version", "_wandb"}
        if "_content" in keys:
            keys = set(document["_content"]["value"])
        assert facts.configs or not keys
        for config in facts.configs:
            assert set(config.document) == keys
            for key, value in config.document.items():
                if isinstance(value, (int, bool)) or value is None:
                    assert document[key]["value"] == value, (path, key)
                    compared += 1
    assert compared > 900


def test_one_run_has_one_config_whichever_file_tells_it(trees: Trees) -> None:
    compared = 0
    for path, facts in each(trees, "files/config.yaml"):
        for stream_path in path.parents[1].glob("run-*.wandb"):
            stream = trees_of(trees, stream_path)
            if stream and stream.configs and facts.configs and not stream.problems:
                assert stream.configs[0].document.keys() == facts.configs[0].document.keys()
                compared += 1
    assert compared > 40


def test_offline_runs_have_their_config_from_stream_or_debug_log(trees: Trees) -> None:
    for root in [root for root in trees if root.name in {"gait_modeling", OFFLINE}]:
        tree = trees[root]
        configs: dict[str, set[str]] = {}
        for facts in tree.values():
            place = facts.run_directory
            if place and place.mode == "offline" and not place.stamp_in_utc:
                kinds = configs.setdefault(place.path, set())
                kinds |= {config.kind for config in facts.configs}
        assert len(configs) in {29, 4}
        assert all(configs.values()), root


def test_hydra_configs_are_what_a_safe_loader_reads(trees: Trees) -> None:
    for path, facts in each(trees, ".hydra/config.yaml"):
        document = yaml.safe_load(path.read_text())
        (config,) = facts.configs
        if "${" not in path.read_text():
            assert config.document == document, path
        assert config.document.keys() == document.keys()


def test_tables_hold_every_filled_cell(trees: Trees) -> None:
    for path, facts in [*each(trees, "metrics.csv"), *each(trees, "results.csv")]:
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        axis = [name.strip() for name in rows[0]].index("step" if "step" in rows[0] else "epoch")
        cells = sum(bool(c.strip()) for row in rows[1:] for i, c in enumerate(row) if i != axis)
        assert sum(len(series.values) for series in facts.series) == cells


def test_ids_and_endings_are_those_of_the_truth(shared: Path, trees: Trees) -> None:
    with (shared / "groundtruth" / "runs.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    for run in truth:
        root = shared / "groundtruth" / run["root"]
        path = run["wandb_run_dir"].removeprefix(run["root"] + "/")
        of_run = [
            facts
            for facts in trees[root].values()
            if facts.run_directory and facts.run_directory.path == path
        ]
        assert of_run, path
        assert {f.run_directory.tracker_run_id for f in of_run if f.run_directory} == {
            run["wandb_run_id"]
        }
        exits = {fields(facts)["exit_code"] for facts in of_run if "exit_code" in fields(facts)}
        if run["exit"] == "-9":
            assert exits == set()
        elif run["exit"] == "0":
            assert exits == {"0"}
        else:
            assert exits <= {"0", "1", "255"}


def test_the_restored_checkpoint_of_the_resumed_run_is_named(trees: Trees) -> None:
    restored = {
        mention.text
        for root, tree in trees.items()
        for facts in tree.values()
        for mention in facts.mentions
        if mention.role == "restored-from" and root.name.startswith("A-")
    }
    assert [path.rpartition("/")[2] for path in restored] == ["last.ckpt"]


def test_nothing_personal_is_kept(trees: Trees) -> None:
    said = {f.value for tree in trees.values() for facts in tree.values() for f in facts.fields}
    assert not any("@example.com" in value for value in said)
