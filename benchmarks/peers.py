"""What people would otherwise run, as scripts for an interpreter that has torch and MLflow."""

from __future__ import annotations

TORCH_LOOP = """
# The usual way: load each checkpoint without its numbers, and the files of each run.
import json, pathlib, torch, yaml
root, most = pathlib.Path(sys.argv[1]), int(sys.argv[2])
checkpoints = sorted(root.rglob("*.ckpt"))[:most]
share = len(checkpoints) / max(1, int(sys.argv[3]))
began = time.perf_counter()
for path in checkpoints:
    loaded = torch.load(path, map_location="meta", mmap=True, weights_only=False)
    loaded["epoch"], {key: tuple(one.shape) for key, one in loaded["state_dict"].items()}
for pattern, read in (("*.yaml", yaml.safe_load), ("*.json", json.load)):
    found = sorted(root.rglob(pattern))
    for path in found[:max(1, int(len(found) * share))]:
        with open(path) as file:
            read(file)
print(time.perf_counter() - began, len(checkpoints), torch.__version__)
"""
"""Arguments: tree, how many checkpoints, of how many. Prints seconds, checkpoints, version."""

MLFLOW_SEARCH = """
# One run is logged, and its rows are written again under other ids.
import pathlib, sqlite3, uuid, mlflow
db, runs = sys.argv[1], int(sys.argv[2])
mlflow.set_tracking_uri(f"sqlite:///{db}")
with mlflow.start_run() as run:
    mlflow.log_params({"lr": 0.1, "model": "unet"})
    mlflow.log_metrics({"hmean": 0.9, "loss": 0.1})
connection = sqlite3.connect(db)
ids = [{"run": uuid.uuid4().hex, "n": number} for number in range(runs - 1)]
for table in ("runs", "params", "tags", "latest_metrics", "metrics"):
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = [":run" if name == "run_uuid" else "start_time + :n" if name == "start_time"
              else "value * (:n % 100) / 100.0" if name == "value" and "metrics" in table else name
              for name in names]
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table} "
        f"WHERE run_uuid = '{run.info.run_id}'", ids)
connection.commit()
best = 1e9
for _ in range(3):
    began = time.perf_counter()
    found = mlflow.search_runs(max_results=200, order_by=["start_time DESC"],
                               output_format="list")
    best = min(best, time.perf_counter() - began)
print(best, len(found), mlflow.__version__)
"""
"""Arguments: a new database, how many runs. Prints seconds, rows, version."""

INGEST = """
from catalog import Catalog
done = Catalog(sys.argv[1]).ingest([sys.argv[2]])
import json
print(json.dumps({"seconds": done.seconds, "stages": done.stages, "read": done.read,
                  "seen": done.seen, "checkpoints": done.checkpoints, "linked": done.linked}))
"""
"""Ours. Arguments: database, tree."""
