"""Trees of very many files: what their number costs, the first time and when nothing changed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.make_tree import Size, tree_of
from benchmarks.measure import process, script
from benchmarks.page import Figure
from benchmarks.peers import INGEST

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Taken
    from benchmarks.page import Page

_FILES_OF_AN_EXPERIMENT = 80


class _Measured(NamedTuple):
    files: int
    """Files and folders below the tree."""
    known: int
    """Of these, what a reader takes."""
    cold: Taken
    again: Taken
    find: float
    """Processor seconds."""


def many_files(page: Page, figures: list[Figure], work: Path, files: int) -> None:
    """Ingest trees of a hundredth, a tenth and all of so many files, twice each."""
    measured = [
        _measure(work, max(_FILES_OF_AN_EXPERIMENT, files // part)) for part in (100, 10, 1)
    ]
    page.text("## Many files")
    page.text(
        "Trees in which each experiment has one checkpoint, a W&B run directory, a Hydra folder "
        "(two of three), and some 65 files that tell nothing. All in processor seconds; "
        "`find` is `find TREE -printf '%p %s %T@'`."
    )
    page.table(
        (
            "files and folders", "read", "first ingest", "MB", "nothing changed", "MB", "`find`",
            "nothing changed / `find`",
        ),
        [
            (
                f"{one.files:,}",
                f"{one.known:,}",
                f"{one.cold.cpu:.1f}",
                f"{one.cold.megabytes:.0f}",
                f"{one.again.cpu:.2f}",
                f"{one.again.megabytes:.0f}",
                f"{one.find:.2f}",
                f"{one.again.cpu / one.find:.1f}",
            )
            for one in measured
        ],
    )  # fmt: skip
    first, last = measured[0], measured[-1]
    told = json.loads(last.again.output)
    page.text(
        "Of the largest, where nothing changed, by stage: "
        + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in told["stages"].items())
        + ". `find` asks for the state of every file; we ask only for that of files that a reader "
        "wants, and spend the time on listing directories and on asking the readers whose "
        "signs a directory holds. Importing SQLAlchemy and the tables takes a good half second, "
        "whatever the size."
    )
    slope = math.log(last.cold.cpu / first.cold.cpu) / math.log(last.files / first.files)
    ratio = last.again.cpu / last.find
    most = max(last.cold.megabytes, last.again.megabytes)
    figures += [
        Figure(
            f"growth {first.files:,} → {last.files:,} files, first ingest (CPU)",
            "slope ≤ 1.05",
            f"{slope:.2f}",
            slope <= 1.05,
        ),
        Figure(
            f"nothing changed in {last.files:,} files, against `find` (CPU)",
            "≤ 2 times",
            f"{ratio:.1f} times",
            ratio <= 2,
        ),
        Figure("files opened where nothing changed", "0", str(told["read"]), told["read"] == 0),
        Figure(f"memory at {last.files:,} files", "≤ 300 MB", f"{most:.0f} MB", most <= 300),
    ]


def _measure(work: Path, files: int) -> _Measured:
    experiments = files // _FILES_OF_AN_EXPERIMENT
    tree = tree_of(work, Size(experiments, checkpoints=1, points=2, noise=64), "-wide")
    db = work / "many-files.db"
    db.unlink(missing_ok=True)
    number = sum(1 for _ in tree.rglob("*"))  # which also warms the cache
    cold = script(INGEST, db, tree)
    _, find = process(["find", tree, "-printf", r"%p %s %T@\n"], times=3)
    again = min((script(INGEST, db, tree) for _ in range(2)), key=lambda one: one.cpu)
    return _Measured(number, json.loads(again.output)["seen"], cold, again, find)
