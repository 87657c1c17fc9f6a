"""One training that several tools recorded is one run, by evidence, and can be taken apart."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.errors import NotFound
from tests.support.event_files import write_scalars
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.trees import START, Training
from tests.support.wandb_files import write_hydra_directory, write_run_directory

LOSS = [1.5, 1.25, 0.75, 0.625]


def ingested(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tmp_path / "tree"])
    return catalog


def folders(catalog: Catalog) -> dict[str, tuple[str | None, str | None]]:
    """Return (run, joined_by) of each folder."""
    rows = catalog.sql(
        "SELECT d.path, u.tracker || ':' || COALESCE(u.tracker_run_id, '') AS run, d.joined_by "
        "FROM run_directory d LEFT JOIN run u ON u.id = d.run_id"
    )
    return {path: (run, by) for path, run, by in rows.rows}


def job(root: Path, name: str, **options: Any) -> Path:
    return write_hydra_directory(root / "outputs" / name, {"lr": 1}, **options)


def tracked(parent: Path, run: str = "a1b2c3d4", **options: Any) -> Path:
    rows = [{"train/loss": value, "epoch": step} for step, value in enumerate(LOSS)]
    return write_run_directory(parent, run, **({"rows": rows} | options))


def test_a_run_inside_a_job_is_the_job_s(tmp_path: Path) -> None:
    folder = job(tmp_path / "tree", "2025-10-18/02-32-17")
    tracked(folder / "wandb")
    catalog = ingested(tmp_path)
    assert folders(catalog) == {
        "outputs/2025-10-18/02-32-17": ("wandb:a1b2c3d4", "inside-job"),
        "outputs/2025-10-18/02-32-17/wandb/run-20251018_023219-a1b2c3d4": ("wandb:a1b2c3d4", None),
    }
    (run,) = catalog.query("runs").dicts()
    assert (run["tracker"], run["directories"], run["joined_directories"]) == ("wandb", 2, 1)


def test_two_runs_inside_one_job_join_neither(tmp_path: Path) -> None:
    folder = job(tmp_path / "tree", "2025-10-18/02-32-17")
    tracked(folder / "wandb")
    tracked(folder / "wandb", "bbbb2222", stamp="20251018_023300")
    assert {by for _, by in folders(ingested(tmp_path)).values()} == {None}


def test_a_job_folder_that_is_the_project_holds_many_jobs_runs(tmp_path: Path) -> None:
    write_hydra_directory(tmp_path / "tree", {"lr": 1})
    tracked(tmp_path / "tree" / "wandb")
    assert {by for _, by in folders(ingested(tmp_path)).values()} == {None}


def test_a_config_that_names_the_output_folder_joins_it(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    job(root, "a", output_dir="/old/place/outputs/a")
    job(root, "b", output_dir="/old/place/outputs/b")
    tracked(root / "wandb", config={"paths": {"output_dir": "/old/place/outputs/b"}})
    found = folders(ingested(tmp_path))
    assert found["outputs/b"] == ("wandb:a1b2c3d4", "job-named")
    assert found["outputs/a"] == ("hydra:", None)


def test_shared_log_lines_join_and_one_line_does_not(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    lines = [f"[2025-10-18 02:32:2{n},123][train][INFO] - line {n}" for n in range(3)]
    job(root, "a", log_lines=lines[:1])
    job(root, "b", log_lines=lines)
    tracked(root / "wandb", output_lines=lines)
    found = folders(ingested(tmp_path))
    assert found["outputs/b"] == ("wandb:a1b2c3d4", "same-log")
    assert found["outputs/a"] == ("hydra:", None)


@pytest.mark.parametrize(
    ("stamp", "by"),
    [
        ("2025-10-18/02-32-17", "same-command"),
        ("2025-10-18/02-32-30", None),  # after the run
        ("2025-10-18/02-20-00", None),  # long before
    ],
)
def test_the_same_command_joins_only_what_started_next(
    tmp_path: Path, stamp: str, by: str | None
) -> None:
    root = tmp_path / "tree"
    job(root, stamp, overrides=["seed=7", "lr=0.1"])
    tracked(root / "wandb", args=["seed=7", "lr=0.1"])
    assert folders(ingested(tmp_path))[f"outputs/{stamp}"][1] == by


def test_two_jobs_of_one_command_join_neither(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for second in ("15", "17"):
        job(root, f"2025-10-18/02-32-{second}", overrides=["seed=7"])
    tracked(root / "wandb", args=["seed=7"])
    assert {by for _, by in folders(ingested(tmp_path)).values()} == {None}


def test_tensorboard_beside_a_run_is_joined_by_what_it_recorded(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    tracked(root / "wandb")
    tracked(root / "wandb", "bbbb2222", stamp="20251018_024000", rows=[{"train/loss": 3.0}] * 4)
    write_scalars(root / "tb" / "one", {"train/loss": LOSS, "lr": [0.1, 0.01, 0.001, 0.0001]})
    write_scalars(root / "tb" / "other", {"train/loss": [9.0, 8.0, 7.0, 6.0]})
    found = folders(ingested(tmp_path))
    assert found["tb/one"] == ("wandb:a1b2c3d4", "same-metrics")
    assert found["tb/other"] == ("tensorboard:", None)


def test_two_runs_with_equal_curves_leave_it_a_run_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    tracked(root / "wandb")
    tracked(root / "wandb", "bbbb2222", stamp="20251018_023220")
    write_scalars(root / "tb", {"train/loss": LOSS})
    assert folders(ingested(tmp_path))["tb"] == ("tensorboard:", None)


def test_curves_of_another_day_are_not_the_same(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    tracked(root / "wandb")
    write_scalars(root / "tb", {"train/loss": LOSS}, started=int(START) + 86_400)
    assert folders(ingested(tmp_path))["tb"] == ("tensorboard:", None)


def test_learning_rates_and_counters_join_nothing(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    rates = [0.1, 0.05, 0.025, 0.0125]
    tracked(root / "wandb", rows=[{"lr": rate, "epoch": n} for n, rate in enumerate(rates)])
    write_scalars(root / "tb", {"lr": rates, "epoch": [0.0, 1.0, 2.0, 3.0]})
    assert folders(ingested(tmp_path))["tb"] == ("tensorboard:", None)


def test_all_of_one_training_is_one_run(tmp_path: Path) -> None:
    folder = job(tmp_path / "tree", "2025-10-18/02-32-17")
    tracked(folder / "wandb")
    version = folder / "lightning_logs" / "version_0"
    write_scalars(version, {"train/loss": LOSS})
    (version / "hparams.yaml").write_text("lr: 1\n")
    write_scalars(folder / "tb", {"other": [1.0, 2.0, 3.0]})
    catalog = ingested(tmp_path)
    assert {run for run, _ in folders(catalog).values()} == {"wandb:a1b2c3d4"}
    assert len(catalog.query("runs").rows) == 1


def test_lone_outputs_are_runs_and_link_to_nothing(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    Training(run_id=None, hydra=True).write(root)
    write_scalars(root / "tb", {"loss": [1.0]})
    catalog = ingested(tmp_path)
    assert {row["tracker"] for row in catalog.query("runs").dicts()} == {"hydra", "tensorboard"}
    (checkpoint,) = catalog.query("checkpoint_trace").dicts()
    assert (checkpoint["verdict"], checkpoint["run"]) == ("unlinked", None)


def test_joins_do_not_depend_on_how_often_or_in_which_order_trees_are_read(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    folder = job(root, "2025-10-18/02-32-17")
    tracked(root / "wandb", args=["x=1"], config={"output_dir": str(folder)})
    write_scalars(root / "tb", {"train/loss": LOSS})
    once = ingested(tmp_path)
    piecewise = Catalog(tmp_path / "piecewise.db")
    for part in ("tb", "outputs", "wandb"):
        piecewise.ingest([root / part])
    wanted = {by for _, by in folders(once).values()}
    assert {by for _, by in folders(piecewise).values()} == wanted == {
        None, "job-named", "same-metrics",
    }  # fmt: skip
    before = once.query("run-directories").rows
    assert once.ingest([root]).read == 0
    assert once.query("run-directories").rows == before


def test_a_person_takes_a_folder_out_and_lets_it_back(tmp_path: Path) -> None:
    folder = job(tmp_path / "tree", "2025-10-18/02-32-17")
    tracked(folder / "wandb")
    catalog = ingested(tmp_path)
    path = "outputs/2025-10-18/02-32-17"
    catalog.keep_apart("a1b2c3d4", path)
    assert folders(catalog)[path] == ("hydra:", None)
    (folder / "new.log").write_text("something\n")
    catalog.ingest([tmp_path / "tree"])
    assert folders(catalog)[path] == ("hydra:", None)
    catalog.keep_apart("a1b2c3d4", path, apart=False)
    assert folders(catalog)[path] == ("wandb:a1b2c3d4", "inside-job")


def test_taking_out_what_was_never_in_is_refused(tmp_path: Path) -> None:
    tracked(tmp_path / "tree" / "wandb")
    catalog = ingested(tmp_path)
    with pytest.raises(NotFound, match="was joined to this run"):
        catalog.keep_apart("a1b2c3d4", "wandb/run-20251018_023219-a1b2c3d4")
    with pytest.raises(NotFound, match="No run fits"):
        catalog.keep_apart("nothing", "x")


def test_what_a_joined_folder_says_fills_gaps_and_overrides_nothing(tmp_path: Path) -> None:
    folder = job(tmp_path / "tree", "2025-10-18/02-32-17")
    tracked(folder / "wandb", host="gpu1")
    write_scalars(folder / "tb", {"train/loss": LOSS}, started=int(START) - 5)
    (run,) = ingested(tmp_path).query("run_overview").dicts()
    assert run["host"] == "gpu1"
    assert run["started_at"] == "2025-10-17T17:32:19.000000Z"


@pytest.mark.shared
@pytest.mark.parametrize(
    "tree",
    ["A-lightning24-hydra-wandb019-online", "A-lightning24-hydra-wandb019-offline",
     "H-same-second", "K-hf-trainer"],
)  # fmt: skip
def test_no_job_is_joined_to_another_run_than_wrote_its_checkpoints(
    shared: Path, tmp_path: Path, tree: str
) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([shared / "groundtruth" / tree])
    joined = {
        f"{tree}/{path}": run.partition(":")[2]
        for path, (run, by) in folders(catalog).items()
        if by is not None and run is not None
    }
    with (shared / "groundtruth" / "truth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith(f"{tree}/")]
    checked = [
        (folder, run, row["wandb_run_id"])
        for row in rows
        for folder, run in joined.items()
        if row["hydra_dir"] == folder or row["path"].startswith(f"{folder}/")
    ]
    assert len(checked) >= 6
    assert [one for one in checked if one[1] != one[2]] == []


def several_joins(root: Path, run: str) -> None:
    """Write one training for each kind of evidence; `run` begins the id of its run."""
    inside = job(root, "2025-10-18/01-00-00")
    tracked(inside / "wandb", f"{run}1", rows=[{"a": n * 1.5} for n in range(4)])
    write_scalars(inside / "tb", {"other": [1.0, 2.0, 3.0]})
    job(root, "named", output_dir="/old/place/outputs/named")
    tracked(
        root / "wandb",
        f"{run}2",
        stamp="20251018_011000",
        config={"output_dir": "/old/place/outputs/named"},
        rows=[{"b": 1.0}],
    )
    lines = [f"[2025-10-18 01:32:2{n},123][train][INFO] - line {n}" for n in range(3)]
    job(root, "logged", log_lines=lines)
    tracked(
        root / "wandb", f"{run}3", stamp="20251018_012000", output_lines=lines, rows=[{"c": 1.0}]
    )
    job(root, "2025-10-18/02-32-17", overrides=["seed=7", "lr=0.1"])
    tracked(root / "wandb", f"{run}4", args=["seed=7", "lr=0.1"])
    write_scalars(root / "tb", {"train/loss": LOSS})


@pytest.mark.parametrize("run", ["a1b2c3d", "general-"])
@pytest.mark.parametrize("depth", [".", "inner/project"])
def test_a_copy_of_the_tree_takes_no_join_apart(tmp_path: Path, run: str, depth: str) -> None:
    root, copy = tmp_path / "tree", tmp_path / "backup"
    several_joins(root / "inner" / "project", run)
    (root / "notes.txt").write_text("x")
    shutil.copytree(root / depth, copy)
    alone = ingested(tmp_path)
    before = {path.removeprefix("inner/project/"): by for path, (_, by) in folders(alone).items()}
    assert {by for by in before.values() if by} == {
        "inside-job", "job-named", "same-log", "same-command", "same-metrics",
    }  # fmt: skip
    runs = len(alone.query("runs").rows)
    alone.ingest([copy])
    rows = alone.sql("SELECT d.path, d.joined_by, d.root_id FROM run_directory d").rows
    for number in (1, 2):
        found = {path.removeprefix("inner/project/"): by for path, by, at in rows if at == number}
        assert found == before
    # An id that its tracker drew is the same run anywhere, one that a person gave is not.
    assert len(alone.query("runs").rows) == (runs if run != "general-" else 2 * runs)
    other_way = Catalog(tmp_path / "other.db")
    other_way.ingest([copy])
    other_way.ingest([root])
    rows = other_way.sql("SELECT d.path, d.joined_by FROM run_directory d").rows
    assert {path.removeprefix("inner/project/"): by for path, by in rows} == before


def test_another_run_in_another_tree_that_fits_as_well_still_leaves_it_open(tmp_path: Path) -> None:
    root, other = tmp_path / "tree", tmp_path / "other"
    job(root, "a", output_dir="/old/place/outputs/a")
    tracked(root / "wandb", config={"output_dir": "/old/place/outputs/a"})
    write_scalars(root / "tb", {"train/loss": LOSS})
    tracked(other / "wandb", "bbbb2222", config={"output_dir": "/old/place/outputs/a"})
    catalog = ingested(tmp_path)
    assert {by for _, by in folders(catalog).values()} == {None, "job-named", "same-metrics"}
    catalog.ingest([other])
    assert {by for _, by in folders(catalog).values()} == {None}


def test_a_run_that_was_not_finished_goes_through_the_jobs_of_a_sweep(tmp_path: Path) -> None:
    """Its config is the last job's, and later calls of `wandb.init` leave folders of no run."""
    root = tmp_path / "tree"
    lines = []
    for number, rate in enumerate((0.1, 0.2, 0.3)):
        name = f"multirun/2025-10-18/02-32-17/{number}"
        lines.append([f"[2025-10-18 02:3{number}:19,00{n}][train][INFO] - {n}" for n in range(3)])
        folder = write_hydra_directory(
            root / name, {"lr": rate, "seed": 1, "model": {"hidden": 8}},
            overrides=[f"lr={rate}"], num=number, log_lines=lines[-1],
        )  # fmt: skip
        content = lightning_checkpoint(epoch=number, state_dict={"w": scalar(rate)})
        (folder / "checkpoints").mkdir()
        write_torch_zip(folder / "checkpoints" / "best.ckpt", content)
        if number:
            logs = (
                root
                / f"wandb/offline-run-20251018_023{number}18-a{number}b{number}c{number}d4/logs"
            )
            logs.mkdir(parents=True)
            (logs / "debug.log").write_text(
                f"2025-10-18 02:3{number}:18,498 INFO    MainThread:1 [wandb_init.py:init():789] "
                "wandb.init called with sweep_config: {}\n"
                f"config: {{'lr': {rate}, 'seed': 1, 'model': {{'hidden': 8}}, '_wandb': {{}}}}\n"
            )
    tracked(
        root / "wandb", config={"lr": 0.3, "seed": 1, "model": {"hidden": 8}}, offline=True,
        args=["-m", "lr=1e-1,2e-1,3e-1"], output_lines=[line for some in lines for line in some],
    )  # fmt: skip
    catalog = ingested(tmp_path)
    rows = catalog.query("checkpoint_trace").dicts()
    assert [(row["verdict"], row["run"]) for row in rows] == [("linked", "a1b2c3d4")] * 3
    for row in rows:
        kinds = [one["kind"] for one in catalog.trace(row["path"]).candidates[0]["evidence"]]
        assert not [kind for kind in kinds if kind.endswith("-differ")], row["path"]
    assert {
        row["run"]
        for row in catalog.sql(
            "SELECT u.tracker_run_id AS run FROM link l JOIN run u ON u.id = l.run_id"
        ).dicts()
    } == {"a1b2c3d4"}
    notes = catalog.explain_recovery().dicts()
    refused = {row["note"] for row in notes if row["source"].startswith("wandb")}
    assert all("went through several jobs" in note for note in refused)


@pytest.mark.parametrize("given", ["lr=2e-2", "lr=0.02"])
def test_a_job_is_not_joined_to_another_run_for_the_form_of_its_command(
    tmp_path: Path, given: str
) -> None:
    """`-cn other lr=0.02`, and `lr=0.02` right after it, whose job folder was deleted."""
    root = tmp_path / "tree"
    job(root, "2025-10-18/02-32-17", overrides=["lr=0.02"])
    tracked(root / "wandb", args=["-cn", "other", given])
    catalog = ingested(tmp_path)
    assert folders(catalog)["outputs/2025-10-18/02-32-17"] == ("wandb:a1b2c3d4", "same-command")
    tracked(root / "wandb", "e5f6a7b8", args=[given], stamp="20251018_023229")
    catalog.ingest([root])
    assert folders(catalog)["outputs/2025-10-18/02-32-17"] == ("hydra:", None)
