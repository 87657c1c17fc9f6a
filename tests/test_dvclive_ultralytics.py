"""DVCLive's folders, Ultralytics' arguments, Lightning's list of best models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalog import Catalog
from tests.support.reading import codes, read_tree


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


DVCLIVE = {
    "exp/dvclive/plots/metrics/train/loss.tsv": "step\tloss\n0\t1.0\n1\t0.5\n",
    "exp/dvclive/plots/metrics/acc.tsv": "step\tacc\n0\t0.25\n1\tnan\n",
    "exp/dvclive/metrics.json": json.dumps({"train": {"loss": 0.5}, "acc": 0.75, "step": 1}),
    "exp/dvclive/params.yaml": "lr: 0.1\nmodel:\n  name: unet\n",
}


def test_a_folder_of_dvclive_is_one_run(tmp_path: Path) -> None:
    write(tmp_path / "tree", DVCLIVE)
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tmp_path / "tree"])
    (run,) = catalog.query("runs").dicts()
    assert (run["tracker"], run["first_directory"]) == ("dvclive", "exp/dvclive")
    metrics = {
        row["metric"]: (row["summary"], row["points"], row["last_step"])
        for row in catalog.query("metrics", {"run": "exp/dvclive"}).dicts()
    }
    assert metrics == {"train/loss": (0.5, 2, 1), "acc": (0.75, 2, 1)}
    config = catalog.query("config", {"run": run["run"]}).dicts()
    assert {row["key"] for row in config} == {"lr", "model.name"}


def test_the_old_form_of_dvclive_has_times_and_its_summary_beside_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "dvclive/loss.tsv": "timestamp\tstep\tloss\n1760722339000\t0\t0.5\n",
            "dvclive.json": '{"step": 0, "loss": 0.5}',
        },
    )
    tree = read_tree(tmp_path)
    assert tree["dvclive/loss.tsv"].series[0].times == (1760722339.0,)
    places = {one.run_directory.path for one in tree.values() if one.run_directory}
    assert places == {"dvclive"}


@pytest.mark.parametrize("text", ["", "a\tb\n", "step\tother\n1\t2\n"])
def test_a_table_without_its_columns_is_a_problem(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"dvclive/loss.tsv": text})
    assert codes(read_tree(tmp_path)["dvclive/loss.tsv"]) == ["unreadable-table"]


def test_files_of_these_names_elsewhere_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"a/metrics.json": "{}", "a/params.yaml": "x: 1", "a/args.yaml": "x: 1"})
    assert read_tree(tmp_path) == {}


def test_the_arguments_of_ultralytics_are_the_run_s_config(tmp_path: Path) -> None:
    write(
        tmp_path / "tree",
        {
            "runs/exp/args.yaml": "model: yolov8n.pt\nname: exp\nsave_dir: runs/exp\nlr0: 0.01\n",
            "runs/exp/results.csv": "epoch, metrics/mAP50\n0, 0.5\n1, 0.625\n",
        },
    )
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tmp_path / "tree"])
    (run,) = catalog.query("runs").dicts()
    assert (run["tracker"], run["display_name"]) == ("ultralytics", "exp")
    (metric,) = catalog.query("metrics", {"run": "exp"}).dicts()
    assert (metric["metric"], metric["final"]) == ("metrics/mAP50", 0.625)
    assert ("lr0", "0.01") in {
        (row["key"], row["text"]) for row in catalog.query("config", {"run": run["run"]}).dicts()
    }


def test_the_list_of_best_models_names_paths(tmp_path: Path) -> None:
    long = "/home/kim/" + "deep/" * 30 + "epoch=7-step=80.ckpt"
    write(tmp_path, {"ck/best_k_models.yaml": f"? {long}\n: 0.5\n/home/kim/a.ckpt: 0.25\n"})
    (facts,) = read_tree(tmp_path).values()
    assert [mention.text for mention in facts.mentions] == [long, "/home/kim/a.ckpt"]


@pytest.mark.shared
def test_real_lists_and_arguments_are_read(shared: Path) -> None:
    best = [
        facts
        for path, facts in read_tree(shared / "corpus" / "vime").items()
        if path.endswith("best_k_models.yaml")
    ]
    assert best
    assert all(facts.mentions and not facts.problems for facts in best)
    yolo = read_tree(shared / "corpus" / "Yolov4-DOTA")
    assert yolo["runs/exp/opt.yaml"].configs[0].document["name"] == "exp"
