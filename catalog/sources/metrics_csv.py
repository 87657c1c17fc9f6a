"""Metric tables: Lightning's `metrics.csv` and Ultralytics' `results.csv`.

Lightning's CSVLogger writes one row a logging call, so most cells are empty; Ultralytics pads
names and cells with blanks. A blank is no value, `nan` is one.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from catalog.sources.facts import Facts, Item, Listing, Problem, RunDirectory, Series
from catalog.sources.paths import is_file, item_of, open_regular, split
from catalog.sources.places import VERSION_FOLDER, place_of
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "metrics-csv"
VERSION = 2

MAX_BYTES = 64 * 1024 * 1024
MAX_COLUMNS = 5_000
MAX_POINTS = 5_000_000

_LIGHTNING, _ULTRALYTICS = "metrics.csv", "results.csv"


def recognise(listing: Listing) -> list[Item]:
    """Return metric tables that lie in a run's folder.

    `metrics.csv` is Lightning's in a `version_N`, beside `hparams.yaml` (which the same logger
    writes) or beside `.hydra`; `results.csv` is Ultralytics' beside `weights/`, `args.yaml` or
    `opt.yaml`. Elsewhere these names stand for anything.
    """
    names = {entry.name for entry in listing.entries}
    in_version = bool(VERSION_FOLDER.fullmatch(split(listing.path)[1]))
    wanted = set()
    if in_version or names & {"hparams.yaml", ".hydra"}:
        wanted.add(_LIGHTNING)
    if names & {"weights", "args.yaml", "opt.yaml"}:
        wanted.add(_ULTRALYTICS)
    return [
        item_of(NAME, listing, entry, run_directory=listing.path)
        for entry in listing.entries
        if entry.name in wanted and is_file(entry)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one table, up to `MAX_BYTES` and `MAX_POINTS`.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    if name == _ULTRALYTICS:
        place = RunDirectory(folder, "ultralytics")
    else:
        place = place_of(root, folder, "lightning")
    with open_regular(root / item.path) as file:
        text = io.TextIOWrapper(
            io.BytesIO(file.read(MAX_BYTES)), "utf-8-sig", "replace", newline=""
        )
        is_cut = bool(file.read(1))
    series, problems = _columns(csv.reader(text))
    if is_cut:
        problems.append(
            Problem("too-large", f"Only the first {MAX_BYTES:,} bytes of the table were read.")
        )
    return Facts(run_directory=place, series=series, problems=tuple(problems))


def _columns(rows: Iterator[list[str]]) -> tuple[tuple[Series, ...], list[Problem]]:
    """Return one series a column, on the steps of the column `step`, or else `epoch`."""
    try:
        header = [clean(name.strip()) for name in next(rows, [])]
    except csv.Error as error:
        return (), [Problem("unreadable-table", f"No valid CSV: {error}.")]
    if not any(header):
        return (), [Problem("empty-file", "The table is empty.")]
    if len(header) > MAX_COLUMNS:
        return (), [Problem("too-large", f"The table has more than {MAX_COLUMNS:,} columns.")]
    axis = next((name for name in ("step", "epoch") if name in header), None)
    if axis is None:
        return (), [Problem("unreadable-table", "The table has no column step or epoch.")]
    axis_index = header.index(axis)
    metrics = [(i, name) for i, name in enumerate(header) if name and name != axis]
    steps: dict[str, list[int | None]] = {name: [] for _, name in metrics}
    values: dict[str, list[float]] = {name: [] for _, name in metrics}
    problems: list[Problem] = []
    points = ragged = texts = 0
    try:
        for row in rows:
            if len(row) != len(header):
                ragged += bool(row)
                continue
            step = _step(row[axis_index])
            for index, name in metrics:
                cell = row[index].strip()
                if not cell:
                    continue
                try:
                    value = float(cell)
                except ValueError:
                    texts += 1
                    continue
                steps[name].append(step)
                values[name].append(value)
                points += 1
            if points > MAX_POINTS:
                problems.append(
                    Problem("history-cut", f"Only the first {MAX_POINTS:,} points were read.")
                )
                break
    except csv.Error as error:
        problems.append(Problem("unreadable-table", f"No valid CSV after some rows: {error}."))
    if ragged or texts:
        problems.append(
            Problem(
                "malformed-row",
                f"{ragged:,} rows of another length than the header and {texts:,} cells that are "
                "no number were left out.",
            )
        )
    return (
        tuple(
            Series(name, tuple(steps[name]), tuple(values[name]), (None,) * len(values[name]))
            for name in values
            if values[name]
        ),
        problems,
    )


def _step(cell: str) -> int | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return int(number) if abs(number) < 2**63 else None
