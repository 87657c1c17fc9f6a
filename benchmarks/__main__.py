"""Measure what docs/performance.md tells, and write it.

    python -m benchmarks [--peers PYTHON] [--experiments N] [--copies N] [--work FOLDER]

PYTHON is an interpreter that has torch, PyYAML and MLflow (those that it lacks are left out).
The work folder keeps trees and catalogs, so that a second run finds them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import catalog
from benchmarks.make_catalog import make_catalog
from benchmarks.make_tree import Size, tree_of
from benchmarks.many_files import many_files
from benchmarks.measure import process, quickest, script
from benchmarks.page import Figure, Page
from benchmarks.peers import INGEST, MLFLOW_SEARCH, TORCH_LOOP
from catalog.query.connection import open_reader
from catalog.query.named import list_queries, resolve
from catalog.schema.location import locate
from catalog.settings import Settings

PAGE_FILE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
COMMAND = Path(sys.executable).with_name("catalog")
PAGE = 200
LIGHT = (  # what is taken out to weigh the rest
    "metric_point", "metric_axis_point", "metric_axis", "metric_series", "metric_summary",
    "architecture_tensor",
)  # fmt: skip


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description="Measure, and write docs/performance.md.")
    parser.add_argument("--peers", type=Path, default=Path(sys.executable))
    parser.add_argument("--experiments", type=int, default=2500)
    parser.add_argument("--copies", type=int, default=250)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        page = Page()
        figures: list[Figure] = []
        _start(page, figures, _large(work, given.copies), work)
        _queries(page, figures, _large(work, given.copies), given.peers, work)
        _ingest(page, figures, work, given.experiments, given.peers)
        many_files(page, figures, work, given.files)
        head = Page()
        _head(head, figures)
        PAGE_FILE.write_text("\n".join([*head.lines, *page.lines]).rstrip() + "\n")
    print(f"{PAGE_FILE} is written.")


def _head(page: Page, figures: list[Figure]) -> None:
    page.text("# Performance")
    page.text("<!-- made by `make bench`; do not edit -->")
    page.text(
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with catalog {catalog.__version__}, Python "
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores "
        f"({platform.machine()}, {platform.system()}), warm cache. Load of the machine while it "
        f"was measured: {os.getloadavg()[2]:.1f} (15-minute average; "
        "anything above 1 means that others were at work on it, and that the seconds below are "
        "too high). Peers ran in the same session on the same files."
    )
    page.table(("figure", "wanted", "found", ""), [figure.row for figure in figures])
    reasons = [f"- {one.name}: {one.why}" for one in figures if one.why and not one.met]
    if reasons:
        page.text("What stands in the way of those that are not met:", "", *reasons)


def _large(work: Path, copies: int) -> Path:
    db = work / f"large-{copies}.db"
    if not db.exists():
        make_catalog(db, copies)
    return db


def _some_checkpoint(db: Path) -> str:
    with closing(sqlite3.connect(db)) as connection:
        (path,) = connection.execute(
            "SELECT f.path FROM checkpoint c JOIN file f ON f.id = c.id ORDER BY c.id DESC LIMIT 1"
        ).fetchone()
    return str(path)


def _start(page: Page, figures: list[Figure], db: Path, work: Path) -> None:
    # As an installed package has it: compiled once, whatever the caller's environment says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(work / "compiled")
    bare = process([sys.executable, "-c", "pass"], times=20)
    typer = process([sys.executable, "-c", "import typer"], times=20)
    rows = [_start_row("`python -c pass`", bare, bare), _start_row("`import typer`", typer, bare)]
    for name, words, most in (
        ("`catalog --help`", ["--help"], 0.120),
        ("`catalog query --unusable`", ["query", "--unusable", "--db", db], 0.120),
        ("`catalog trace PATH`", ["trace", _some_checkpoint(db), "--db", db], 0.150),
    ):
        taken = process([COMMAND, *words], times=20)
        rows.append(_start_row(name, taken, bare))
        wanted = f"≤ {most * 1000:.0f} ms"
        figures.append(Figure(f"{name}, whole process", wanted, _ms(taken[0]), taken[0] <= most))
        if words[0] != "trace":
            ratio = taken[1] / bare[1]
            figures.append(
                Figure(
                    f"{name} against a bare Python", "≤ 6 times", f"{ratio:.1f} times", ratio <= 6
                )
            )
    page.text("## Start-up")
    page.text(
        "Whole processes, the best of 20, their modules compiled before as an installation does; "
        "the catalog holds what the next section says."
    )
    page.table(("process", "ms", "CPU ms", "times a bare Python (CPU)"), rows)
    page.text(
        f"`import typer` takes {typer[1] / bare[1]:.1f} times a bare Python, nearly all of it "
        "modules of the standard library. `catalog` imports it with those that a command does not "
        "use waiting (`catalog/cli/lazy.py`), and without looking for garbage. What a query adds "
        "is sqlite3, reading the schema and the rows, and printing; a trace asks more, and on a "
        "terminal loads rich to draw it, which is not measured here."
    )


def _start_row(name: str, taken: tuple[float, float], bare: tuple[float, float]) -> tuple[str, ...]:
    return name, _ms(taken[0]), _ms(taken[1]), _times(taken[1], bare[1])


def _queries(page: Page, figures: list[Figure], db: Path, peers: Path, work: Path) -> None:
    with closing(sqlite3.connect(db)) as connection:
        counts = {
            name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
            for name in ("checkpoint", "run", "metric_point", "file")
        }
        (run,) = connection.execute(
            "SELECT tracker_run_id FROM run WHERE tracker_run_id IS NOT NULL "
            "ORDER BY id DESC LIMIT 1"
        ).fetchone()
    known = {"run": run, "metric": "val/hmean", "checkpoint": _some_checkpoint(db)}
    taken: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for query in list_queries():
        given = {
            one.name: known.get(one.name, "x") for one in query.comment.parameters if one.required
        }

        def ask(name: str = query.name, given: dict[str, str] = given) -> None:
            with open_reader(locate(db), Settings(sql_time_limit=60.0)) as reader:
                reader.run(*resolve(name, given), row_limit=PAGE)

        taken[query.name] = quickest(ask, 3)
        began = time.process_time()
        ask()
        cpu[query.name] = time.process_time() - began
    slow = {name: seconds for name, seconds in taken.items() if seconds > 0.2}
    figures.append(
        Figure(
            f"named queries and views, first page ({len(taken)})",
            "≤ 200 ms each",
            f"{len(taken) - len(slow)} of {len(taken)}, median "
            f"{statistics.median(taken.values()) * 1000:.0f} ms",
            not slow,
        )
    )
    page.text("## Queries")
    page.text(
        f"A catalog of {counts['checkpoint']:,} checkpoints, {counts['run']:,} runs, "
        f"{counts['file']:,} files and {counts['metric_point']:,} metric points "
        f"({db.stat().st_size / 1e9:.2f} GB); the first {PAGE} rows, opening included, the "
        "quickest of 3, and the CPU time of one more. Those that take the longest:"
    )
    longest = sorted(taken.items(), key=lambda one: -one[1])[:12]
    page.table(
        ("query or view", "ms", "CPU ms"),
        [(f"`{name}`", _ms(seconds), _ms(cpu[name])) for name, seconds in longest],
    )
    page.text(
        "Those that add up go once through an index that holds what is counted; those that list "
        "walk along an index and stop at the end of the page. `tests/test_query_plans.py` counts "
        "the steps, and names all that any of them goes through from end to end. "
        "`unusable-evidence` adds up every observation on every unusable checkpoint, some "
        "170,000 rows; an index that holds them would take 190 bytes a checkpoint."
    )
    rows = []
    shell = shutil.which("sqlite3")
    if shell:
        sql = f"SELECT * FROM unusable_checkpoints LIMIT {PAGE}"
        theirs, _cpu = process([shell, "-readonly", db, sql], times=5)
        ours, _cpu = process([COMMAND, "sql", sql, "--db", db], times=5)
        rows.append(
            (
                "`sqlite3` shell, the same SQL, whole process",
                _ms(theirs),
                _ms(ours),
                _times(ours, theirs),
            )
        )
    if _has(peers, "mlflow"):
        found = script(
            MLFLOW_SEARCH, work / f"mlflow-{os.getpid()}.db", str(counts["run"]), python=peers
        )
        seconds = float(found.output.split()[-3])
        version = found.output.split()[-1]
        rows.append(
            (
                f"MLflow {version}, `search_runs` for {PAGE} of as many runs (query `runs`)",
                _ms(seconds),
                _ms(taken["runs"]),
                _times(taken["runs"], seconds),
            )
        )
    if rows:
        page.table(("peer", "theirs, ms", "ours, ms", "ours / theirs"), rows)


def _ingest(page: Page, figures: list[Figure], work: Path, experiments: int, peers: Path) -> None:
    page.text("## Ingest")
    sizes = sorted({max(25, experiments // 25), max(50, experiments // 5), experiments})
    rows, points = [], []
    for size in sizes:
        tree = tree_of(work, Size(size))
        db = work / "ingest.db"
        for _ in range(2):  # the first time the cache is warmed
            db.unlink(missing_ok=True)
            taken = script(INGEST, db, tree)
        told = json.loads(taken.output)
        points.append((told["checkpoints"], taken.cpu))
        rows.append(
            (
                f"{told['checkpoints']:,}",
                f"{told['read']:,}",
                f"{told['seconds']:.1f}",
                f"{taken.cpu:.1f}",
                f"{told['checkpoints'] / told['seconds']:,.0f}",
                f"{taken.megabytes:.0f}",
            )
        )
    page.text(
        "Trees of `benchmarks/make_tree.py`: each experiment has four checkpoints of 50 to 249 "
        "tensors, a W&B run directory with a stream of 50 steps, a Hydra folder (two of three), "
        "files that tell nothing. The second of two ingests, each into a new database."
    )
    page.table(
        ("checkpoints", "files read", "seconds", "CPU seconds", "checkpoints a second", "MB"), rows
    )
    rate = told["checkpoints"] / told["seconds"]
    alone = told["checkpoints"] / taken.cpu * min(2, os.cpu_count() or 1)
    stages = told["stages"]
    last = sum(stages.get(name, 0) for name in ("gather", "link", "assess"))
    figures.append(
        Figure(
            "cold ingest",
            "≥ 1,500 checkpoints/s",
            f"{rate:,.0f}/s; {alone:,.0f}/s by CPU seconds on two free cores",
            rate >= 1500,
            f"{taken.cpu:.1f} processor seconds for {told['read']:,} files would take two cores "
            f"{taken.cpu / 2:.1f} s if they shared all of it; gathering runs, linking and judging, "
            f"{last:.1f} s, are the work of one core, when all is written. The stages are below.",
        )
    )
    slope = math.log(points[-1][1] / points[0][1]) / math.log(points[-1][0] / points[0][0])
    figures.append(
        Figure(
            f"growth {points[0][0]:,} → {points[-1][0]:,} checkpoints",
            "slope ≤ 1.05",
            f"{slope:.2f} (CPU)",
            slope <= 1.05,
        )
    )
    page.text(
        "Where the time of the largest went (`catalog ingest --profile`); `read` is waiting for "
        "the readers. Until all is written both cores are busy, with readers and the one writer; "
        "gathering runs, linking and judging use one of them:"
    )
    page.table(("stage", "seconds"), [(name, f"{seconds:.2f}") for name, seconds in stages.items()])
    if _has(peers, "torch"):
        sample = min(500, told["checkpoints"])
        theirs = script(TORCH_LOOP, tree, str(sample), str(told["checkpoints"]), python=peers)
        seconds, count, version = theirs.output.split()
        theirs_rate = int(count) / float(seconds)
        page.text(
            f'The usual way, a loop of `torch.load(map_location="meta", mmap=True)` (torch '
            f"{version}) with yaml and json in one process, does {theirs_rate:,.0f} checkpoints a "
            f"second on the same tree ({count} of them), without writing or linking anything: "
            f"ours is {rate / theirs_rate:.1f} times as fast."
        )
        figures.append(
            Figure(
                "cold ingest against a loop of torch.load",
                "≥ 50 times",
                f"{rate / theirs_rate:.1f} times",
                rate >= 50 * theirs_rate,
                f"that would be {50 * theirs_rate:,.0f} checkpoints a second, or "
                f"{20 / theirs_rate:.2f} ms for each with the other files of its training; to "
                "write their rows alone takes "
                f"{1000 * stages['write'] / told['checkpoints']:.2f} ms.",
            )
        )
    _again(page, tree, db)
    _weight(page, figures, db, told["checkpoints"])


def _again(page: Page, tree: Path, db: Path) -> None:
    """One run in a hundred has other summaries."""
    summaries = sorted(tree.rglob("wandb-summary.json"))
    changed = summaries[::100] or summaries[:1]
    for path in changed:
        path.write_text(path.read_text() + " ")
    taken = script(INGEST, db, tree)
    told = json.loads(taken.output)
    page.text(
        f"After {len(changed)} of {told['seen']:,} files were changed: {told['read']} opened, "
        f"{told['seconds']:.1f} s, of which linking and judging "
        f"{sum(told['stages'].get(name, 0) for name in ('gather', 'link', 'assess')):.1f} s."
    )


def _weight(page: Page, figures: list[Figure], db: Path, checkpoints: int) -> None:
    with closing(sqlite3.connect(db)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM metric_point").fetchone()
    light, no_points = db.with_suffix(".light"), db.with_suffix(".nopoints")
    sizes = {}
    for copy, tables in (
        (no_points, ("metric_point", "metric_axis_point")),
        (light, LIGHT),
        (db.with_suffix(".all"), ()),
    ):
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(db)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            for table in tables:
                connection.execute(f"DELETE FROM {table}")
            connection.execute("VACUUM")
        sizes[tables] = copy.stat().st_size
        if tables == LIGHT:
            _by_table(page, copy, checkpoints)
        copy.unlink()
    whole, bare, without = sizes[()], sizes[LIGHT], sizes["metric_point", "metric_axis_point"]
    each = bare / checkpoints
    figures.append(
        Figure(
            "database without tensors and histories",
            "≤ 2 KB a checkpoint",
            f"{each:,.0f} bytes",
            each <= 2048,
            "a path stands in its row and in the index that finds it, each piece of evidence is a "
            "sentence, and what every file says of its run is kept. The bytes by table are below; "
            "sentences stored once would save some 260, paths by folder 130.",
        )
    )
    point = (whole - without) / count
    figures.append(Figure("a metric point", "≤ 25 bytes", f"{point:.1f} bytes", point <= 25))


def _by_table(page: Page, light: Path, checkpoints: int) -> None:
    """Tell what the database without tensors and histories is made of."""
    with closing(sqlite3.connect(light)) as connection:
        try:
            rows = connection.execute(
                "SELECT m.tbl_name, SUM(CASE WHEN m.type = 'table' THEN s.pgsize ELSE 0 END), "
                "SUM(CASE WHEN m.type = 'index' THEN s.pgsize ELSE 0 END) "
                "FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
                "GROUP BY m.tbl_name ORDER BY SUM(s.pgsize) DESC"
            ).fetchall()
        except sqlite3.OperationalError:
            return  # this SQLite was built without `dbstat`
        counts = {
            name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]
            for name, *_sizes in rows
        }
    page.text("What the database takes, in bytes a checkpoint, without tensors and histories:")
    page.table(
        ("table", "rows a checkpoint", "rows", "indexes"),
        [
            (
                f"`{name}`",
                f"{counts[name] / checkpoints:.2f}",
                f"{table / checkpoints:,.0f}",
                f"{indexes / checkpoints:,.0f}",
            )
            for name, table, indexes in rows
            if (table + indexes) / checkpoints >= 1
        ],
    )


def _has(python: Path, module: str) -> bool:
    asked = [str(python), "-c", f"import importlib.util as u; assert u.find_spec('{module}')"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def _times(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.1f}"


if __name__ == "__main__":
    main()
