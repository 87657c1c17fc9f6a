"""`catalog run`, `catalog query metrics --run` and `--evidence-at-risk`, as a user meets them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.cli.run_page import sparkline
from catalog.errors import Ambiguous, NotFound
from tests.support.torch_files import lightning_checkpoint, write_torch_zip
from tests.support.trainer_files import rewritten, write_trainer_checkpoint
from tests.support.trees import Training
from tests.support.wandb_files import write_hydra_directory, write_run_directory

if TYPE_CHECKING:
    from pathlib import Path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def output(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_page_tells_where_when_how_and_what(ocr_db: Path) -> None:
    page = output("run", "tit2247i", "--db", str(ocr_db))
    for said in (
        "ocr-team2/receipt-text-recognition-ocr-project/tit2247i",
        "finished  exit code 0",
        "2025-10-17 17:32:19Z  local time +09:00",
        "9b41e07c5d2f8a63e1704cd95ab83f26d0e7c814",
        "run-tit2247i.wandb  wandb-stream",
        "trainer.max_epochs  20",
        "val/hmean  0.952072  ▁",
        "4 checkpoints",
    ):
        assert said in page


def test_json_has_everything_and_csv_the_metrics(ocr_db: Path) -> None:
    page = json.loads(output("run", "tit2247i", "--db", str(ocr_db), "-f", "json"))
    assert page["run"]["state"] == "finished"
    assert {row["metric"] for row in page["metrics"]} >= {"val/hmean", "train/loss"}
    assert all(row["value"] != row["others"] for row in page["differences"])
    table = output("run", "tit2247i", "--db", str(ocr_db), "-f", "csv").splitlines()
    assert table[0].startswith("run,metric,summary")
    assert len(table) == 1 + len(page["metrics"])


@pytest.mark.parametrize(
    "name",
    [
        "tit2247i",
        "wandb:tit2247i",
        "wandb/run-20251018_023219-tit2247i",
        "20251018_023219",
    ],
)
def test_a_run_is_found_by_id_folder_and_part_of_it(ocr_db: Path, name: str) -> None:
    assert Catalog(ocr_db).run(name).run["run"] == "tit2247i"


def test_what_fits_no_run_or_several_is_told(ocr_db: Path) -> None:
    catalog = Catalog(ocr_db)
    with pytest.raises(NotFound, match="Near it: tit2247i"):
        catalog.run("tit2247j")
    with pytest.raises(Ambiguous, match="Several runs fit"):
        catalog.run("wandb/run-2025")
    assert invoke("run", "tit2247j", "--db", str(ocr_db)).exit_code == 1


def test_differences_are_to_what_most_siblings_have(tmp_path: Path) -> None:
    root = tmp_path / "tree" / "wandb"
    for number in range(5):
        config = {"lr": 0.1, "seed": number, "model": {"name": "unet"}}
        if number == 4:
            config = {"lr": 0.5, "seed": 4, "extra": None, "model": {"name": "unet"}}
        write_run_directory(
            root, f"run0000{number}", stamp=f"20251018_02321{number}", config=config
        )
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    page = catalog.run("run00004")
    assert page.siblings == 4
    found = {row["key"]: (row["value"], row["others"], row["share"]) for row in page.differences}
    assert found.pop("seed")[0] == "4"
    assert found == {"lr": ("0.5", "0.1", 4), "extra": ("null", None, 4)}


def tracked(root: Path, name: str, lr: float, **options: Any) -> None:
    second = int(name[-2:])
    write_run_directory(
        root / "wandb", name, stamp=f"20251018_0232{second:02}", config={"lr": lr}, **options
    )


def test_siblings_are_of_one_repository(tmp_path: Path) -> None:
    root, db = tmp_path / "tree", tmp_path / "c.db"
    ours, theirs = "git@example.org:team/ours.git", "https://example.org/team/theirs"
    for number in range(3):
        tracked(root / "ours", f"oursrn0{number}", 0.1, git_remote=ours)
        tracked(root / "theirs", f"theirs0{number}", 0.5, git_remote=theirs)
        tracked(root / "unknown", f"somrun0{number}", 0.9)
    # The same repository in another folder, under the other kind of address.
    tracked(root / "clone", "cloned03", 0.1, git_remote="https://user@example.org/team/ours")
    # In the same folder, without a word on a repository; and of another owner.
    tracked(root / "ours", "nogit004", 0.1)
    tracked(root / "ours", "others05", 0.5, entity="another", git_remote=ours)
    Catalog(db).ingest([root])
    page = Catalog(db).run("oursrn00")
    assert (page.siblings, page.differences, page.unclear_siblings) == (4, [], 3)
    drawn = output("run", "oursrn00", "--db", str(db))
    assert "not compared  with 3 other runs of ocr" in drawn
    page = Catalog(db).run("theirs01")
    assert (page.siblings, page.differences) == (2, [])
    # One that names no repository has the runs of its own folder beside it, and no others.
    page = Catalog(db).run("somrun00")
    assert (page.siblings, page.differences, page.unclear_siblings) == (2, [], 8)
    assert (
        json.loads(output("run", "somrun00", "--db", str(db), "-f", "json"))["unclear_siblings"]
        == 8
    )


def test_jobs_that_nobody_tracked_are_beside_those_of_their_own_project(tmp_path: Path) -> None:
    for project, lr in (("one", 0.1), ("two", 0.5)):
        for day in (18, 19):
            write_hydra_directory(
                tmp_path / "tree" / project / "outputs" / f"2025-10-{day}" / "02-32-17", {"lr": lr}
            )
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    page = catalog.run("one/outputs/2025-10-18/02-32-17")
    assert (page.siblings, page.differences, page.unclear_siblings) == (1, [], 2)


def test_a_run_without_a_config_is_compared_with_none(tmp_path: Path) -> None:
    for name, config in (("run00000", {"lr": 0.1}), ("run00001", {})):
        write_run_directory(tmp_path / "tree" / "wandb", name, config=config)
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    page = catalog.run("run00001")
    assert (page.siblings, page.differences) == (0, [])
    assert "beside it" not in output("run", "run00001", "--db", str(tmp_path / "c.db"))


def test_a_folder_is_taken_out_of_a_run_by_a_person(tmp_path: Path) -> None:
    job = write_hydra_directory(tmp_path / "tree" / "outputs" / "2025-10-18" / "02-32-17", {"a": 1})
    write_run_directory(job / "wandb", "a1b2c3d4")
    db = str(tmp_path / "c.db")
    assert invoke("ingest", str(tmp_path / "tree"), "--db", db).exit_code == 0
    folder = "outputs/2025-10-18/02-32-17"
    joined = "lies in the job's output folder"
    assert joined in output("run", "a1b2c3d4", "--db", db)
    assert joined not in output("run", "a1b2c3d4", "--apart", folder, "--db", db)
    assert joined in output("run", "a1b2c3d4", "--rejoin", folder, "--db", db)
    assert invoke("run", "a1b2c3d4", "--apart", "x", "--rejoin", "y", "--db", db).exit_code == 2


def test_a_page_harms_no_terminal(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "tree" / "wandb", "a1b2c3d4", display_name="red\x1b[31m")
    db = str(tmp_path / "c.db")
    invoke("ingest", str(tmp_path / "tree"), "--db", db)
    assert "\x1b" not in output("run", "a1b2c3d4", "--db", db)


def test_folders_in_several_trees_are_told_apart(tmp_path: Path) -> None:
    roots, db = [tmp_path / "tree", tmp_path / "backup"], str(tmp_path / "c.db")
    Training(named=True).write(roots[0])
    Catalog(db).ingest([roots[0]])
    folder = next(roots[0].glob("wandb/run-*"))
    assert str(roots[0]) not in output("run", "a1b2c3d4", "--db", db)
    shutil.copytree(roots[0], roots[1])
    Catalog(db).ingest([roots[1]])
    page = output("run", "a1b2c3d4", "--db", db)
    for root in roots:
        assert f"in  {root}/wandb/{folder.name}" in page
        assert page.count(f"{root}/outputs/") == 1
    rows = json.loads(output("query", "run-directories", "--db", db, "-f", "json"))
    assert sorted(row["root"] for row in rows) == sorted(map(str, roots))


def test_a_copy_of_the_latest_run_is_no_run_s_first_folder(tmp_path: Path) -> None:
    wandb = tmp_path / "tree" / "wandb"
    folder = write_run_directory(wandb, "a1b2c3d4", config={"lr": 0.1})
    shutil.copytree(folder, wandb / "latest-run")
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    (run,) = catalog.query("runs").dicts()
    assert (run["directories"], run["first_directory"]) == (2, f"wandb/{folder.name}")
    assert [row["path"] for row in catalog.run("a1b2c3d4").directories] == [
        f"wandb/{folder.name}",
        "wandb/latest-run",
    ]


def test_metrics_of_a_run_by_option(ocr_db: Path) -> None:
    short = output("query", "metrics", "--run", "tit2247i", "--db", str(ocr_db), "-f", "csv")
    long = output("query", "metrics", "-p", "run=tit2247i", "--db", str(ocr_db), "-f", "csv")
    assert short == long
    assert "val/hmean" in short


def test_configs_that_only_a_wandb_folder_holds_are_at_risk(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    Training(name="alone", run_id="aaaa1111").write(root)
    Training(name="with_job", run_id="bbbb2222", begin=600, hydra=True).write(root)
    db = str(tmp_path / "c.db")
    catalog = Catalog(db)
    catalog.ingest([root])
    (row,) = json.loads(output("query", "--evidence-at-risk", "--db", db, "-f", "json"))
    assert row["run"] == "aaaa1111"
    assert "W&B run folder only" in row["risk"]
    (config,) = root.glob("wandb/run-*aaaa1111/files/config.yaml")
    config.unlink()
    catalog.ingest([root])
    (row,) = catalog.query("evidence-at-risk").dicts()
    assert "W&B run folder only" in row["risk"], "others state it still"
    assert (root / row["config_file"]).exists()
    shutil.rmtree(root / "wandb")
    catalog.ingest([root])
    (row,) = catalog.query("evidence-at-risk").dicts()
    assert "the catalog alone still has it" in row["risk"]
    assert invoke("query", "--evidence-at-risk", "--fail-if-any", "--db", db).exit_code == 1


@pytest.mark.parametrize(
    ("directory", "is_outside"),
    [
        ("/scratch/me/wandb/run-20251018_023219-zzzz9999/files/checkpoints", True),
        ("/scratch/me/outputs/2025-10-18/02-32-17/checkpoints", True),
        ("/scratch/me/lightning_logs/version_3/checkpoints", True),
        ("/scratch/me/models", False),  # nothing says that a config lies there
        ("/scratch/me/wandb/run-20251018_023219-aaaa1111/files", False),  # it came with the tree
        ("{root}/outputs/2025-10-18/02-32-17", False),
    ],
)
def test_a_run_folder_outside_the_ingested_trees_is_a_risk(
    tmp_path: Path, directory: str, is_outside: bool
) -> None:
    root = tmp_path / "tree"
    write_run_directory(root / "wandb", "aaaa1111", config={"lr": 1})
    folder = directory.format(root=root)
    (root / "models").mkdir()
    write_torch_zip(root / "models" / "best.ckpt", lightning_checkpoint(directory=folder))
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([root])
    rows = catalog.query("evidence-at-risk").dicts()
    told = [(row["path"], row["config_file"], row["files"]) for row in rows]
    assert told == ([("models/best.ckpt", folder, 0)] if is_outside else [])
    assert all("outside the ingested trees" in row["risk"] for row in rows)


def test_a_sidecar_ends_the_risk(tmp_path: Path) -> None:
    Training(run_id="aaaa1111").write(tmp_path / "tree")
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    assert len(catalog.query("evidence-at-risk").rows) == 1
    catalog.recover()
    assert catalog.query("evidence-at-risk").rows == []


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([0.0, 1.0], "▁█"),
        ([0.0, None, float("nan"), 1.0], "▁  █"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([None], ""),
    ],
)
def test_sparklines(values: list[float | None], bars: str) -> None:
    assert sparkline(values) == bars


def test_runs_are_compared_key_by_key(tmp_path: Path) -> None:
    root = tmp_path / "tree" / "wandb"
    for number, rate in enumerate((0.1, 0.1, 0.5)):
        write_run_directory(
            root,
            f"run0000{number}",
            stamp=f"20251018_02321{number}",
            config={"lr": rate, "model": {"name": "unet"}, **({"only": 1} if number == 2 else {})},
            rows=[{"loss": 1.0 + number}, {"loss": 0.5}],
        )
    db = str(tmp_path / "c.db")
    Catalog(db).ingest([tmp_path / "tree"])
    two = json.loads(output("diff", "run00000", "run00001", "--db", db, "-f", "json"))
    assert two == []
    rows = json.loads(output("diff", "run00000", "run00001", "run00002", "--db", db, "-f", "json"))
    assert rows == [
        {"section": "config", "key": "lr", "run00000": "0.1", "run00001": "0.1", "run00002": "0.5"},
        {"section": "config", "key": "only", "run00000": None, "run00001": None, "run00002": "1"},
    ]
    assert invoke("diff", "run00000", "run00001", "nothing", "--db", db).exit_code == 1


def test_final_metrics_are_compared(ocr_db: Path) -> None:
    rows = Catalog(ocr_db).diff("tit2247i", "v91tqz0e").dicts()
    (score,) = (row for row in rows if (row["section"], row["key"]) == ("metric", "val/hmean"))
    assert score["tit2247i"] == pytest.approx(0.9520716071128845, abs=0)
    assert score["tit2247i"] != score["v91tqz0e"]


def test_packages_that_shape_a_training_are_shown(tmp_path: Path) -> None:
    folder = write_run_directory(tmp_path / "tree" / "wandb", "a1b2c3d4")
    (folder / "files" / "requirements.txt").write_text(
        "Torch==2.13.0+cpu\npytorch_lightning==2.4.0\npillow==11.0\n-e git+https://x/y\nbad==\n"
    )
    (tmp_path / "tree" / "requirements.txt").write_text("torch==1.0\n")
    db = str(tmp_path / "c.db")
    invoke("ingest", str(tmp_path / "tree"), "--db", db)
    (run,) = Catalog(db).query("run_overview").dicts()
    assert json.loads(run["packages"]) == {"pytorch-lightning": "2.4.0", "torch": "2.13.0+cpu"}
    assert "torch 2.13.0+cpu" in output("run", "a1b2c3d4", "--db", db)


def test_an_ingest_takes_how_much_history_to_keep(tmp_path: Path) -> None:
    write_run_directory(tmp_path / "tree" / "wandb", "a1b2c3d4", rows=[{"loss": 1.0}] * 5)
    db = str(tmp_path / "c.db")
    assert invoke("ingest", str(tmp_path / "tree"), "--db", db, "--history", "x").exit_code == 2
    output("ingest", str(tmp_path / "tree"), "--db", db, "--history", "last")
    assert len(Catalog(db).query("history", {"run": "a1b2c3d4", "metric": "loss"}).rows) == 1


def trainer_log(until: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for step in range(1, until + 1):
        rows.append({"step": step, "epoch": step, "loss": 1 / step})
        rows.append({"step": step, "epoch": step, "eval_loss": 2 / step})
    return rows


def test_value_and_curve_are_of_one_folder(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for step in (5, 10):  # `checkpoint-10` comes first by its name, `checkpoint-5` tells less
        folder = tree / "out" / f"checkpoint-{step}"
        write_trainer_checkpoint(folder, {"output_dir": "out"}, history=trainer_log(step))
    db = str(tmp_path / "catalog.db")
    Catalog(db).ingest([tree])
    for part in ("checkpoint-5", "checkpoint-10"):
        page = output("run", part, "--db", db).splitlines()
        (line,) = (line for line in page if " eval_loss  " in line)
        assert line.endswith("0.2 to 2 over 10 points")
        assert "eval_loss  0.2  █" in line
    (run,) = Catalog(db).query("runs").dicts()
    curves = Catalog(db).run(run["run"]).curves
    assert {curve["run_directory"] for curve in curves} == {"out/checkpoint-10"}


def test_one_history_under_two_names_is_shown_once(tmp_path: Path) -> None:
    tree, log = tmp_path / "tree", trainer_log(4)
    write_trainer_checkpoint(tree / "out" / "checkpoint-4", {"output_dir": "out"}, history=log)
    write_run_directory(tree / "wandb", "a1b2c3d4", rows=[*map(rewritten, log)])
    db = str(tmp_path / "catalog.db")
    Catalog(db).ingest([tree])
    page = output("run", "a1b2c3d4", "--db", db)
    assert "out/checkpoint-4  transformers" in page
    assert "eval/loss  0.5" in page
    assert "eval_loss" not in page
    # Programs get both, each with its folder.
    metrics = json.loads(output("run", "a1b2c3d4", "--db", db, "--format", "json"))["metrics"]
    assert {"eval_loss", "eval/loss"} <= {row["metric"] for row in metrics}


def test_pages_tell_what_is_damaged_of_what_they_show(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    rows = [{"loss": 1 / (1 + step)} for step in range(3_000)]
    folder = write_run_directory(tree / "wandb", "okrun001", rows=rows, config={"lr": 0.1})
    write_torch_zip(folder / "files" / "m.ckpt", lightning_checkpoint(epoch=1))
    (stream,) = folder.glob("*.wandb")
    data = bytearray(stream.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5_000] = bytes(5_000)
    stream.write_bytes(data)
    db = str(tmp_path / "catalog.db")
    Catalog(db).ingest([tree])
    page = output("run", "okrun001", "--db", db)
    assert "problem  damaged-stream" in page
    assert "its history is not whole" in page
    trace = output("trace", "m.ckpt", "--db", db)
    assert "problem  damaged-stream" in trace
    assert "its history is not whole" in trace
    (row,) = Catalog(db).query("metrics", {"run": "okrun001", "metric": "loss"}).dicts()
    assert "damaged" in row["gap"]
    assert row["points"] > 1_500
    assert row["last_step"] == 2_999
