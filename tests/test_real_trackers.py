"""What the trackers' own packages write is what the catalog reads back.

They are not needed for anything else: the tests take the interpreter that the environment
variable CATALOG_TRACKERS_PYTHON names, or else this one, and are skipped where it lacks them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.sources import tensorboard
from catalog.sources.facts import Item

PYTHON = os.environ.get("CATALOG_TRACKERS_PYTHON", sys.executable)


@cache
def has(package: str) -> bool:
    found = subprocess.run(
        [
            PYTHON,
            "-c",
            f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({package!r}))",
        ],
        check=False,
    )
    return found.returncode == 0


def run_script(package: str, script: str, folder: Path, *arguments: str) -> None:
    """Run a script in a folder with the trackers' interpreter."""
    if not has(package):
        pytest.skip(f"{PYTHON} has no {package} (set CATALOG_TRACKERS_PYTHON to one that has)")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.py").write_text(script)
    environment = {
        **os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "TZ": "Asia/Kolkata",
        "DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "1", "MLFLOW_ALLOW_FILE_STORE": "true",
        "TRACKIO_DIR": str(folder / "trackio"), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [PYTHON, "script.py", *arguments], cwd=folder, env=environment, check=False,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def ingested(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tmp_path / "tree"])
    return catalog


def history(catalog: Catalog, run: str, metric: str) -> list[tuple[Any, ...]]:
    rows = catalog.query("history", {"run": run, "metric": metric}).rows
    return [(step, float(special) if special else value) for step, value, special, *_ in rows]


def config(catalog: Catalog, run: str, kind: str) -> dict[str, str]:
    rows = catalog.query("config", {"run": run}).dicts()
    return {row["key"]: row["text"] for row in rows if row["kind"] == kind}


WANDB = """
import json, wandb
run = wandb.init(project="real", id="real0001", name="a name", group="g", job_type="train",
                 tags=["x", "y"], notes="words",
                 config={"lr": 1e-08, "model": {"name": "unet", "layers": [1, 2]}, "none": None,
                         "big": 2**53 + 1, "text": "h\\u00e9", "flag": True})
run.config.update({"late": 7})
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch")
run.define_metric("score", summary="max")
run.define_metric("score", step_metric="epoch", step_sync=False)
run.define_metric("nested.a.b", summary="min", step_metric="epoch", step_sync=False)
run.define_metric("nested.a.b", summary="last", overwrite=True)
for step in range(25):
    row = {"train/loss": 1 / (step + 3), "score": float(step % 7), "nested": {"a": {"b": step / 3}}}
    if step % 5 == 4:
        row |= {"epoch": step // 5, "val/loss": 2 / (step + 7)}
    run.log(row)
run.log({"odd": float("nan")})
run.log({"odd": float("inf")})
run.summary["final/best"] = 0.123456789012345
with open("model.bin", "wb") as file:
    file.write(b"weights")
artifact = wandb.Artifact("model", type="model")
artifact.add_file("model.bin")
run.log_artifact(artifact)
for used in (artifact, "model:latest"):
    try:
        run.use_artifact(used)
    except TypeError as error:  # what an offline run can never tell
        print(error, file=open("refused.txt", "a"))
run.finish(exit_code=3)
"""


def test_wandb_offline_equals_what_was_logged(tmp_path: Path) -> None:
    run_script("wandb", WANDB, tmp_path / "tree")
    catalog = ingested(tmp_path)
    run = catalog.run("real0001").run
    assert (run["project"], run["display_name"], run["group_name"], run["job_type"]) == (
        "real", "a name", "g", "train",
    )  # fmt: skip
    assert (json.loads(run["tags"]), run["notes"]) == (["x", "y"], "words")
    assert (run["state"], run["state_basis"]) == ("failed", "exit code 3")
    assert (run["started_zone"], run["started_basis"]) == ("+05:30", "stated")
    assert config(catalog, "real0001", "wandb-stream") == {
        "lr": "1e-08", "model.name": "unet", "model.layers": "[1,2]", "none": None,
        "big": str(2**53 + 1), "text": "hé", "flag": "true", "late": "7",
    }  # fmt: skip
    assert history(catalog, "real0001", "train/loss") == [(n, 1 / (n + 3)) for n in range(25)]
    assert history(catalog, "real0001", "nested.a.b") == [(n, n / 3) for n in range(25)]
    assert history(catalog, "real0001", "val/loss") == [(n, 2 / (n + 7)) for n in range(4, 25, 5)]
    assert history(catalog, "real0001", "epoch") == [(n, n // 5) for n in range(4, 25, 5)]
    assert repr(history(catalog, "real0001", "odd")) == "[(25, nan), (26, inf)]"
    metrics = {row["metric"]: row for row in catalog.query("metrics", {"run": "real0001"}).dicts()}
    assert metrics["val/loss"]["step_metric"] == "epoch"
    assert metrics["score.max"]["summary"] == 6.0
    defined = catalog.sql(
        "SELECT n.name, d.step_metric, d.summary FROM metric_definition d "
        "JOIN metric_name n ON n.id = d.metric_name_id ORDER BY n.name"
    )
    assert defined.rows == [
        ("nested.a.b", None, "last"), ("score", "epoch", "max"), ("val/loss", "epoch", None),
    ]  # fmt: skip
    assert metrics["final/best"]["summary"] == 0.123456789012345
    digests = {
        text
        for (text,) in catalog.sql("SELECT text FROM mention WHERE role = 'artifact-digest'").rows
    }
    assert base64.b64encode(hashlib.md5(b"weights").digest()).decode() in digests
    assert (tmp_path / "tree" / "refused.txt").read_text().count("offline") == 2


GROWING = """
import wandb
with wandb.init(project="real", id="real0002", config={"lr": 0.1}) as run:
    for step in range(2_000):
        run.log({"loss": 1 / (step + 3), "val": step} if step % 5 else {"loss": float(step)})
"""


def test_a_wandb_stream_cut_anywhere_is_read_on(tmp_path: Path) -> None:
    run_script("wandb", GROWING, tmp_path / "whole")
    (stream,) = (tmp_path / "whole").glob("wandb/offline-run-*/run-real0002.wandb")
    whole = stream.read_bytes()
    copy = tmp_path / "tree" / "wandb" / stream.parent.name / stream.name
    copy.parent.mkdir(parents=True)
    for part in (0.1, 0.4, 0.7, 1):
        copy.write_bytes(whole[: round(len(whole) * part)])
        catalog = ingested(tmp_path)
    assert history(catalog, "real0002", "loss") == [
        (n, 1 / (n + 3) if n % 5 else n) for n in range(2_000)
    ]
    assert history(catalog, "real0002", "val") == [(n, n) for n in range(2_000) if n % 5]
    assert catalog.run("real0002").run["state"] == "finished"
    assert config(catalog, "real0002", "wandb-stream") == {"lr": "0.1"}


TENSORBOARD = """
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter("runs/a") as writer:
    for step in range(50):
        writer.add_scalar("train/loss", 1 / (step + 3), step * 10, walltime=1760722339.25 + step)
    writer.add_scalar("odd", float("nan"), 3)
    writer.add_histogram("weights", __import__("torch").arange(100.0), 1)
    writer.add_hparams({"lr": 0.1, "name": "unet", "amp": True}, {"hp/score": 0.5})
"""


def test_tensorboard_s_writer_equals_what_was_logged(tmp_path: Path) -> None:
    if not has("torch"):
        pytest.skip(f"{PYTHON} has no torch")
    run_script("tensorboard", TENSORBOARD, tmp_path / "tree")
    catalog = ingested(tmp_path)
    (run,) = catalog.query("runs").dicts()
    assert (run["tracker"], run["first_directory"]) == ("tensorboard", "runs/a")
    rows = catalog.query("history", {"run": "runs/a", "metric": "train/loss"}).rows
    assert [row[:4] for row in rows] == [
        (n * 10, struct.unpack("<f", struct.pack("<f", 1 / (n + 3)))[0], None, 1760722339.25 + n)
        for n in range(50)
    ]
    assert repr(history(catalog, "runs/a", "odd")) == "[(3, nan)]"
    assert config(catalog, run["run"], "tensorboard-hparams") == {
        "lr": "0.1", "name": "unet", "amp": "1",
    }  # fmt: skip


LIGHTNING = """
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
for make in (CSVLogger, TensorBoardLogger):
    logger = make("logs", name=make.__name__)
    logger.log_hyperparams({"lr": 0.1, "model": {"name": "unet"}})
    for step in range(20):
        logger.log_metrics({"train/loss": 1 / 2 ** step}, step=step)
        if step % 5 == 4:
            logger.log_metrics({"val/loss": 3 / 2 ** step}, step=step)
    logger.save()
    logger.finalize("success")
"""


def test_lightning_s_loggers_equal_what_was_logged(tmp_path: Path) -> None:
    if not has("tensorboard"):
        pytest.skip(f"{PYTHON} has no tensorboard")
    run_script("lightning", LIGHTNING, tmp_path / "tree")
    catalog = ingested(tmp_path)
    for folder in ("logs/CSVLogger/version_0", "logs/TensorBoardLogger/version_0"):
        run = catalog.run(folder).run
        assert run["tracker"] == "lightning"
        assert history(catalog, folder, "train/loss") == [(n, 1 / 2**n) for n in range(20)]
        assert history(catalog, folder, "val/loss") == [(n, 3 / 2**n) for n in range(4, 20, 5)]
        assert config(catalog, run["run"], "hparams") == {"lr": "0.1", "model.name": "unet"}


HYDRA = """
import hydra, logging
@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(config):
    logging.getLogger("train").info("lr is %s", config.lr)
from hydra.core.config_store import ConfigStore
ConfigStore.instance().store("config", {"lr": 0.1, "out": "${hydra:runtime.output_dir}",
                                        "twice": "${lr}"})
main()
"""


def test_hydra_s_multirun_is_a_run_a_job(tmp_path: Path) -> None:
    run_script(
        "hydra", HYDRA, tmp_path / "tree", "-m", "lr=0.1,0.2,0.3", "hydra.sweep.dir=sweep",
        "hydra.sweep.subdir=${hydra.job.num}",
    )  # fmt: skip
    catalog = ingested(tmp_path)
    found = {
        row["first_directory"]: row["run"]
        for row in catalog.query("runs", {"tracker": "hydra"}).dicts()
    }
    assert set(found) == {"sweep/0", "sweep/1", "sweep/2"}
    for number, rate in enumerate(("0.1", "0.2", "0.3")):
        said = config(catalog, found[f"sweep/{number}"], "hydra-config")
        assert (said["lr"], said["twice"]) == (rate, rate)
        assert said["out"] == "${hydra:runtime.output_dir}"


DVCLIVE = """
from dvclive import Live
with Live(dir="exp", save_dvc_exp=False, dvcyaml=None) as live:
    live.log_params({"lr": 0.1})
    for step in range(10):
        live.log_metric("train/loss", 1 / (step + 3))
        live.next_step()
"""


def test_dvclive_equals_what_was_logged(tmp_path: Path) -> None:
    run_script("dvclive", DVCLIVE, tmp_path / "tree")
    catalog = ingested(tmp_path)
    assert history(catalog, "exp", "train/loss") == [(n, 1 / (n + 3)) for n in range(10)]
    assert config(catalog, catalog.run("exp").run["run"], "dvclive-params") == {"lr": "0.1"}


MLFLOW = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("exp A")
with mlflow.start_run(run_name="first"):
    mlflow.log_params({"lr": 0.1})
    for step in range(10):
        mlflow.log_metric("val/loss", 1 / (step + 3), step=step)
    mlflow.log_metric("odd", float("nan"), step=1)
"""


@pytest.mark.parametrize("store", ["file:./mlruns", "sqlite:///mlflow.db"])
def test_mlflow_equals_what_was_logged(tmp_path: Path, store: str) -> None:
    if store.startswith("sqlite") and not has("sqlalchemy"):
        pytest.skip(f"{PYTHON} has no sqlalchemy")
    run_script("mlflow", MLFLOW, tmp_path / "tree", store)
    catalog = ingested(tmp_path)
    (run,) = catalog.query("runs").dicts()
    assert (run["display_name"], run["project"], run["state"]) == ("first", "exp A", "finished")
    assert history(catalog, run["run"], "val/loss") == [(n, 1 / (n + 3)) for n in range(10)]
    assert repr(history(catalog, run["run"], "odd")) == "[(1, nan)]"
    assert config(catalog, run["run"], "mlflow-params") == {"lr": "0.1"}


TRACKIO = """
import trackio
trackio.init(project="proj", name="one", config={"lr": 0.1})
for step in range(10):
    trackio.log({"loss": 1 / (step + 3)})
trackio.finish()
"""


def test_trackio_equals_what_was_logged(tmp_path: Path) -> None:
    run_script("trackio", TRACKIO, tmp_path / "tree")
    catalog = ingested(tmp_path)
    (run,) = catalog.query("runs").dicts()
    assert (run["display_name"], run["project"]) == ("one", "proj")
    assert history(catalog, run["run"], "loss") == [(n, 1 / (n + 3)) for n in range(10)]
    assert config(catalog, run["run"], "trackio-config") == {"lr": "0.1"}


EVENTS = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = {}
for path in sys.argv[1:]:
    events = EventAccumulator(path, size_guidance={"scalars": 0})
    events.Reload()
    found[path] = {
        tag: [[one.step, one.value, one.wall_time] for one in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
json.dump(found, open("found.json", "w"))
"""


@pytest.mark.shared
def test_real_event_files_equal_what_tensorboard_reads(tmp_path: Path, shared: Path) -> None:
    paths = [str(path) for path in sorted(shared.rglob("events.out.tfevents.*"))]
    assert paths
    run_script("tensorboard", EVENTS, tmp_path, *paths)
    wanted = json.loads((tmp_path / "found.json").read_text())
    for path in paths:
        place = Path(path)
        facts = tensorboard.read(place.parent, Item(tensorboard.NAME, place.name, 0, 0))
        got = {
            one.name: [list(row) for row in zip(one.steps, one.values, one.times, strict=True)]
            for one in facts.series
        }
        assert repr(dict(sorted(got.items()))) == repr(dict(sorted(wanted[path].items())))
