"""MLflow's file store and database, Trackio's database: many runs in one place."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from catalog import Catalog
from tests.support.reading import codes, fields, read_tree
from tests.support.torch_files import FakeTensor, write_torch_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FIRST, SECOND = "a" * 32, "0123456789abcdef" * 2


def write_mlruns(root: Path, run: str = FIRST) -> Path:
    """Write one run as MLflow's file store does."""
    experiment = root / "mlruns" / "402213355957674022"
    folder = experiment / run
    files = {
        "meta.yaml": (
            "artifact_uri: file:///old/place\nend_time: 1760722400500\nexperiment_id: '4022'\n"
            "lifecycle_stage: active\nrun_name: first\nstart_time: 1760722339000\nstatus: 3\n"
            "user_id: kim\n"
        ),
        "params/lr": "0.1",
        "params/model/name": "unet",
        "params/hf_token": "hf_" + "a" * 34,
        "tags/mlflow.runName": "renamed",
        "tags/mlflow.source.name": "train.py",
        "tags/mlflow.source.git.commit": "2c6f1f1",
        "metrics/val/loss": "1760722340000 1.5 0\n1760722341000 0.5 1\n1760722342000 nan 2\n",
        "metrics/acc": "1760722340000 0.25 0\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (experiment / "meta.yaml").write_text("experiment_id: '4022'\nname: exp A\n")
    return folder


def write_mlflow_database(path: Path) -> None:
    """Write two runs into the tables of MLflow's database that are read."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
            CREATE TABLE runs (run_uuid TEXT, name TEXT, user_id TEXT, status TEXT,
                               start_time BIGINT, end_time BIGINT, experiment_id INTEGER);
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT,
                                  step BIGINT, is_nan BOOLEAN);
            INSERT INTO experiments VALUES (1, 'exp B');
            """
        )
        rows = [
            (FIRST, "one", "kim", "FINISHED", 1760722339000, 1760722400500, 1),
            (SECOND, "two", "kim", "FAILED", 1760722339000, None, 1),
        ]
        connection.executemany("INSERT INTO runs VALUES (?,?,?,?,?,?,?)", rows)
        connection.execute("INSERT INTO params VALUES ('lr', '0.1', ?)", (FIRST,))
        connection.execute("INSERT INTO tags VALUES ('mlflow.source.name', 'a.py', ?)", (SECOND,))
        points = [
            ("val/loss", 1.5, 1760722340000, FIRST, 0, 0),
            ("val/loss", 0.0, 1760722341000, FIRST, 1, 1),
            ("val/loss", 2.5, 1760722340000, SECOND, 0, 0),
        ]
        connection.executemany("INSERT INTO metrics VALUES (?,?,?,?,?,?)", points)
        connection.commit()


def write_trackio(path: Path, *, with_ids: bool = True) -> None:
    """Write one run as Trackio does; older versions knew names only."""
    identity = "run_id TEXT, " if with_ids else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"""
            CREATE TABLE metrics (id INTEGER PRIMARY KEY, {identity}timestamp TEXT, run_name TEXT,
                                  step INTEGER, metrics TEXT);
            CREATE TABLE configs (id INTEGER PRIMARY KEY, {identity}run_name TEXT, config TEXT,
                                  created_at TEXT);
            """
        )
        given = {"run_id": FIRST} if with_ids else {}
        config = {"lr": 0.1, "model": {"n": 3}, "_Created": "2025-10-17T17:32:19+00:00"}
        insert(
            connection, "configs",
            {**given, "run_name": "run one", "config": json.dumps(config).encode(),
             "created_at": "2025-10-17T17:32:20+00:00"},
        )  # fmt: skip
        for step, loss in enumerate([1.0, "NaN", 0.25]):
            insert(
                connection, "metrics",
                {**given, "timestamp": f"2025-10-17T17:33:0{step}+00:00", "run_name": "run one",
                 "step": step, "metrics": json.dumps({"loss": loss, "note": "hi"})},
            )  # fmt: skip
        connection.commit()


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()])


def ingested(root: Path, tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([root])
    return catalog


def test_the_file_store_s_runs_have_names_times_and_states(tmp_path: Path) -> None:
    write_mlruns(tmp_path / "tree")
    (run,) = ingested(tmp_path / "tree", tmp_path).query("runs").dicts()
    assert run["run"] == FIRST
    assert (run["tracker"], run["display_name"], run["project"]) == ("mlflow", "renamed", "exp A")
    assert (run["state"], run["git_commit"]) == ("finished", "2c6f1f1")
    assert run["started_at"] == "2025-10-17T17:32:19.000000Z"
    assert run["ended_at"] == "2025-10-17T17:33:20.500000Z"


def test_the_file_store_s_metrics_and_params_are_whole(tmp_path: Path) -> None:
    write_mlruns(tmp_path / "tree")
    catalog = ingested(tmp_path / "tree", tmp_path)
    history = catalog.query("history", {"run": FIRST, "metric": "val/loss"}).rows
    assert [row[:4] for row in history] == [
        (0, 1.5, None, 1760722340.0), (1, 0.5, None, 1760722341.0), (2, None, "nan", 1760722342.0),
    ]  # fmt: skip
    params = catalog.query("config", {"run": FIRST}).dicts()
    assert {row["key"]: row["text"] for row in params} == {
        "lr": "0.1", "model/name": "unet", "hf_token": "<redacted>",
    }  # fmt: skip


def test_a_metric_that_grows_is_read_again_and_nothing_else(tmp_path: Path) -> None:
    folder = write_mlruns(tmp_path / "tree")
    catalog = ingested(tmp_path / "tree", tmp_path)
    with (folder / "metrics" / "val" / "loss").open("a") as file:
        file.write("1760722343000 0.125 3\n")
    assert catalog.ingest([tmp_path / "tree"]).read == 1
    history = catalog.query("history", {"run": FIRST, "metric": "val/loss"}).rows
    assert [row[0] for row in history] == [0, 1, 2, 3]


def test_lines_that_are_no_points_are_told(tmp_path: Path) -> None:
    folder = write_mlruns(tmp_path)
    (folder / "metrics" / "acc").write_bytes(b"1 x 0\n\xff\n1760722340000 0.5 1\n")
    facts = read_tree(tmp_path)[f"mlruns/402213355957674022/{FIRST}/metrics"]
    assert codes(facts) == ["malformed-row"]
    assert facts.series[0].values == (0.5,)


def test_the_database_s_runs_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    write_mlflow_database(tmp_path / "tree" / "mlflow.db")
    catalog = ingested(tmp_path / "tree", tmp_path)
    found = {row["run"]: row for row in catalog.query("runs").dicts()}
    assert {run: row["state"] for run, row in found.items()} == {
        FIRST: "finished", SECOND: "failed",
    }  # fmt: skip
    first = catalog.query("history", {"run": FIRST, "metric": "val/loss"}).rows
    assert [row[:3] for row in first] == [(0, 1.5, None), (1, None, "nan")]
    second = catalog.query("history", {"run": SECOND, "metric": "val/loss"}).rows
    assert [row[:3] for row in second] == [(0, 2.5, None)]


def test_a_checkpoint_below_a_folder_of_the_run_s_id_is_told_of_it(tmp_path: Path) -> None:
    """MLflow's database says what ran, its artifacts lie where they were configured to."""
    tree = tmp_path / "tree"
    tree.mkdir()
    write_mlflow_database(tree / "mlflow.db")
    for run, path in ((FIRST, "store/@/artifacts/model/model.pt"), (SECOND, "1/@/last.ckpt")):
        (tree / path.replace("@", run)).parent.mkdir(parents=True)
        write_torch_zip(tree / path.replace("@", run), {"w": FakeTensor("uint8", (2,), b"ab")})
    catalog = ingested(tree, tmp_path)
    for run, name in ((FIRST, "model.pt"), (SECOND, "last.ckpt")):
        found = catalog.trace(name)
        assert [(row["tracker"], row["run"]) for row in found.places] == [("mlflow", run)]
        assert [row["path"] for row in catalog.run(run).checkpoints] == [found.checkpoint["path"]]
    (config,) = (row for row in catalog.trace("model.pt").configs if row["kind"] == "mlflow-params")
    assert (config["file"], config["of_what"]) == ("mlflow.db", "folder of mlflow")


MODEL = "m-" + "9b7cf009f42d47f0" * 2


def model_file(tree: Path, path: str) -> None:
    (tree / path).parent.mkdir(parents=True)
    write_torch_zip(tree / path, {"w": FakeTensor("uint8", (2,), b"ab")})


def test_a_logged_model_is_told_of_the_run_that_logged_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    experiment = write_mlruns(tree).parent
    model_file(tree, f"mlruns/{experiment.name}/models/{MODEL}/artifacts/data/model.pth")
    (experiment / "models" / MODEL / "meta.yaml").write_text(
        f"model_id: {MODEL}\nname: model\nsource_run_id: {FIRST}\nstatus: 2\n"
    )
    other = MODEL.replace("9b", "0c")  # of a run that is not in the store
    model_file(tree, f"mlruns/{experiment.name}/models/{other}/artifacts/other.pth")
    (experiment / "models" / other / "meta.yaml").write_text(f"source_run_id: {SECOND}\n")
    catalog = ingested(tree, tmp_path)
    found = catalog.trace("model.pth")
    assert [(row["tracker"], row["run"]) for row in found.places] == [("mlflow", FIRST)]
    assert [row["path"] for row in catalog.run(FIRST).checkpoints] == [found.checkpoint["path"]]
    assert "mlflow-params" in {row["kind"] for row in found.configs}
    assert catalog.trace("other.pth").places == []
    assert len(catalog.query("runs").rows) == 1


def test_a_logged_model_of_a_server_is_told_of_the_run_that_logged_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    write_mlflow_database(tree / "mlflow.db")
    with closing(sqlite3.connect(tree / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE logged_models (model_id TEXT, source_run_id TEXT)")
        connection.execute("INSERT INTO logged_models VALUES (?, ?)", (MODEL, SECOND))
    model_file(tree, f"mlartifacts/1/models/{MODEL}/artifacts/model.ckpt")
    catalog = ingested(tree, tmp_path)
    (place,) = catalog.trace("model.ckpt").places
    assert (place["tracker"], place["run"]) == ("mlflow", SECOND)


@pytest.mark.parametrize("with_ids", [True, False])
def test_trackio_s_runs(tmp_path: Path, with_ids: bool) -> None:
    write_trackio(tmp_path / "tree" / "trackio" / "proj.db", with_ids=with_ids)
    catalog = ingested(tmp_path / "tree", tmp_path)
    (run,) = catalog.query("runs").dicts()
    assert (run["display_name"], run["project"]) == ("run one", "proj")
    assert run["started_at"] == "2025-10-17T17:32:19.000000Z"
    history = catalog.query("history", {"run": "run one", "metric": "loss"}).rows
    assert [row[:3] for row in history] == [(0, 1.0, None), (1, None, "nan"), (2, 0.25, None)]
    config = catalog.query("config", {"run": run["run"]}).dicts()
    assert {row["key"] for row in config} == {"lr", "model.n"}


def test_a_database_that_is_read_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    write_mlflow_database(path)
    before = path.read_bytes(), sorted(one.name for one in tmp_path.iterdir())
    read_tree(tmp_path)
    assert (path.read_bytes(), sorted(one.name for one in tmp_path.iterdir())) == before


def test_what_waits_in_a_write_ahead_log_is_told(tmp_path: Path) -> None:
    write_mlflow_database(tmp_path / "mlflow.db")
    (tmp_path / "mlflow.db-wal").write_bytes(b"something")
    assert codes(read_tree(tmp_path)["mlflow.db"]) == ["wal-not-read"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "foreign-file"),
        (b"no database", "foreign-file"),
        (b"SQLite format 3\0" + bytes(100), "unreadable-database"),
    ],
)
def test_what_is_no_database_is_a_problem(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    assert codes(read_tree(tmp_path)["mlflow.db"]) == [code]


def test_a_view_in_a_table_s_place_is_not_run(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute(
            "CREATE VIEW runs AS WITH RECURSIVE n(run_uuid) AS "
            "(SELECT 1 UNION ALL SELECT run_uuid + 1 FROM n) SELECT * FROM n"
        )
    facts = read_tree(tmp_path)["mlflow.db"]
    assert facts.parts == ()


def test_any_cut_of_a_database_is_survived(tmp_path: Path) -> None:
    write_mlflow_database(tmp_path / "whole.db")
    whole = (tmp_path / "whole.db").read_bytes()
    for size in range(40, len(whole), 1499):
        (tmp_path / "mlflow.db").write_bytes(whole[:size])
        assert codes(read_tree(tmp_path)["mlflow.db"]) in (
            ["truncated-database"],
            ["unreadable-database"],
        )


def test_old_forms_of_meta_are_read(tmp_path: Path) -> None:
    folder = write_mlruns(tmp_path)
    (folder / "meta.yaml").write_text("name: old\nstatus: 5\nstart_time: 1\nend_time: null\n")
    said = fields(read_tree(tmp_path)[f"mlruns/402213355957674022/{FIRST}/meta.yaml"])
    assert (said["display_name"], said["state"]) == ("old", "killed")


def test_a_schema_with_bytes_that_are_no_text_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    write_mlflow_database(path)
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE runs", b"CREATE \xbb\xbbBLE runs"))
    assert codes(read_tree(tmp_path)["mlflow.db"]) == ["unreadable-database"]


@pytest.mark.parametrize("store", ["files", "database"])
def test_the_end_is_that_of_its_record_and_a_deleted_run_is_told(
    tmp_path: Path, store: str
) -> None:
    tree = tmp_path / "tree"
    if store == "files":
        meta = write_mlruns(tree) / "meta.yaml"
        meta.write_text(meta.read_text().replace("stage: active", "stage: deleted"))
    else:
        tree.mkdir()
        write_mlflow_database(tree / "mlflow.db")
        with closing(sqlite3.connect(tree / "mlflow.db")) as connection:
            connection.execute("ALTER TABLE runs ADD COLUMN lifecycle_stage TEXT")
            connection.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE end_time > 0")
            connection.commit()
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tree])
    run = catalog.run(FIRST).run
    assert (run["ended_at"], run["ended_basis"]) == (
        "2025-10-17T17:33:20.500000Z",
        "its record states the end",
    )
    assert run["state"] == "finished"
    assert run["state_basis"] == "its metadata say finished; deleted at its tracker"
    if store == "database":  # the other has no end: its last point is a sign of life
        other = catalog.run(SECOND).run
        assert other["ended_at"] == "2025-10-17T17:32:20.000000Z"
        assert other["ended_basis"] == "time of the last logged row"
