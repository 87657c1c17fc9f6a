"""How fast histories reach the database: a long `.wandb` file, its growth, a thousand short ones.

    python -m benchmarks.streams [--wandb PYTHON]

Compared are: our ingest into an empty catalog, end to end; our decoder alone; plain `executemany`
of the same points into the plainest table (no keys, no axis, no constraint); and, where PYTHON
is an interpreter with `wandb`, its own protobuf classes (C-backed) parsing every record and JSON
every value of a row, without any database. (Its `DataStore` is gone since 0.30, so the framing
is ours.)
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from catalog import Catalog
from catalog.sources.facts import Item
from catalog.sources.wandb import stream
from tests.support.wandb_files import field, finish, history, run, summary, write_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METRICS = ("train/loss", "train/acc", "val/loss", "val/hmean", "lr", "epoch")
LONG_ROWS = 50_000
SHORT_FILES, SHORT_ROWS = 1_000, 50
REPEATS = 3
SHOWN = 0.02
"""Tables and indexes with a smaller share of the database are not listed."""

_THEIRS = """
import json, sys, time
import wandb
from wandb.proto import wandb_internal_pb2 as pb
sys.path.insert(0, sys.argv[2])
from catalog.sources.wandb.framing import Frames
best = 1e9
for _ in range(3):
    begin = time.perf_counter()
    with open(sys.argv[1], "rb") as file:
        for data in Frames(file):
            record = pb.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                for item in record.history.item:
                    json.loads(item.value_json)
    best = min(best, time.perf_counter() - begin)
print(f"{best:.2f} wandb {wandb.__version__}")
"""


def main() -> None:
    """Make the files, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wandb", metavar="PYTHON", default=sys.executable)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        long = _write(root / "long", "longlong", LONG_ROWS)
        for number in range(SHORT_FILES):
            _write(root / "short", f"s{number:07}", SHORT_ROWS)
        points = LONG_ROWS * len(METRICS)
        print(f"One stream, {LONG_ROWS:,} rows of {len(METRICS)} metrics, {_size(long):.1f} MB:")
        _line("ingest, end to end", points, *_ingest(root / "long", root))
        _grow(long, root)
        item = Item(stream.NAME, long.name, 0, 0)
        _line("decoder alone", points, _best(lambda: stream.read(long.parent, item)))
        _line("plain executemany", points, _best(lambda: _plain(root / "plain.db", points)))
        _theirs(arguments.wandb, long, points)
        points = SHORT_FILES * SHORT_ROWS * len(METRICS)
        print(f"{SHORT_FILES:,} streams of {SHORT_ROWS} rows:")
        _line("ingest, end to end", points, *_ingest(root / "short", root))
        _by_table(root / "catalog.db", points)


def _write(root: Path, identity: str, rows: int) -> Path:
    path = root / "wandb" / f"run-20251018_023219-{identity}" / f"run-{identity}.wandb"
    return write_stream(path, _records(identity, rows))


def _records(identity: str, rows: int) -> Iterator[bytes]:
    """Yield what wandb 0.19 and later write for a row: two summary updates and the row itself."""
    chance = random.Random(identity)
    yield field(21, field(1, field(1, "0.19.11")))
    yield run(identity, started=1_760_722_339.0, project="benchmark")
    number = 3
    for step in range(rows):
        row = {name: chance.random() for name in METRICS[:-1]} | {"epoch": step // 100}
        row |= {"_step": step, "_runtime": step * 0.1, "_timestamp": 1_760_722_339 + step * 0.1}
        names = list(row)
        turn = chance.randrange(len(names))  # Go's maps have no order
        row = {name: row[name] for name in names[turn:] + names[:turn]}
        runtime = field(1, field(2, "_wandb") + field(2, "runtime") + field(16, str(step // 10)))
        for record in (field(3, runtime), summary(row), history(row, step=step)):
            yield field(1, number) + record
            number += 1
    yield finish()


def _ingest(tree: Path, root: Path) -> tuple[float, float]:
    """Return (seconds, bytes a point) of an ingest into an empty catalog."""
    empty = root / "empty"
    empty.mkdir(exist_ok=True)
    times = []
    grown = 0
    for _ in range(REPEATS):
        db = root / "catalog.db"
        for path in root.glob("catalog.db*"):
            path.unlink()
        catalog = Catalog(db)
        catalog.ingest([empty])
        before = _bytes(db)
        begin = time.perf_counter()
        catalog.ingest([tree])
        times.append(time.perf_counter() - begin)
        grown = _bytes(db) - before
        ((points,),) = catalog.sql("SELECT COUNT(*) FROM metric_point").rows
    return min(times), grown / points


def _grow(path: Path, root: Path) -> None:
    """Cut the last hundredth of a stream off, ingest, put it back and ingest again."""
    whole = path.read_bytes()
    db = root / "catalog.db"
    times = []
    for _ in range(REPEATS):
        for old in root.glob("catalog.db*"):
            old.unlink()
        catalog = Catalog(db)
        path.write_bytes(whole[: len(whole) * 99 // 100])
        catalog.ingest([path.parents[2]])
        path.write_bytes(whole)
        begin = time.perf_counter()
        catalog.ingest([path.parents[2]])
        times.append(time.perf_counter() - begin)
    points = LONG_ROWS * len(METRICS)
    _line("the last hundredth of it", points // 100, min(times))


def _by_table(db: Path, points: int) -> None:
    """Print the bytes a point of tables and indexes, where SQLite can tell them."""
    with closing(sqlite3.connect(db)) as connection:
        try:
            sizes = connection.execute(
                "SELECT name, SUM(pgsize), SUM(payload) FROM dbstat GROUP BY name ORDER BY 2 DESC"
            ).fetchall()
        except sqlite3.OperationalError:
            return  # built without the table
    whole = sum(size for _, size, _ in sizes)
    for name, size, payload in sizes:
        if size >= SHOWN * whole:
            print(f"    {name:36} {size / points:6.2f} bytes a point, {payload / size:.0%} full")


def _bytes(db: Path) -> int:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return db.stat().st_size


def _plain(db: Path, points: int) -> None:
    db.unlink(missing_ok=True)
    rows = [(number % 6, number // 6, 0.5, 1e9) for number in range(points)]
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("CREATE TABLE point (metric INT, step INT, value REAL, time REAL)")
        connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?)", rows)
        connection.commit()


def _theirs(python: str, path: Path, points: int) -> None:
    repository = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [python, "-c", _THEIRS, str(path), repository], check=False, capture_output=True, text=True
    )
    if done.returncode:
        print(f"  {'wandb, no database':24} {python} has no wandb")
        return
    seconds, version = done.stdout.split(maxsplit=1)
    _line(f"{version.strip()}, no database", points, float(seconds))


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _line(name: str, points: int, seconds: float, size: float | None = None) -> None:
    stored = f", {size:.1f} bytes a point" if size is not None else ""
    print(f"  {name:24} {seconds:6.2f} s  {points / seconds:10,.0f} points/s{stored}")


def _size(path: Path) -> float:
    return path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
