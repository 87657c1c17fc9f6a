"""DVCLive: `plots/metrics/**/NAME.tsv`, `metrics.json` and `params.yaml` in one folder.

A table has the columns `step`, NAME and, up to version 1, `timestamp` in milliseconds; then the
tables lie in the folder `dvclive` itself, with the summary in `dvclive.json` beside that folder.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from catalog.sources.documents import read_json, read_yaml
from catalog.sources.facts import (
    Config,
    Facts,
    Item,
    Listing,
    Problem,
    RunDirectory,
    RunField,
    Series,
    Summary,
)
from catalog.sources.paths import is_file, item_of, join, read_at_most, split
from catalog.sources.places import folder_above, metric_name
from catalog.sources.plain import clean, is_number, leaves, to_float
from catalog.sources.run_fields import field_of
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from pathlib import Path

NAME = "dvclive"
VERSION = 1
RANK = 10

_MAX_BYTES = 64 * 1024 * 1024
_TABLES = ("plots", "metrics")
_FOLDER, _SUMMARY, _OLD_SUMMARY, _PARAMS = "dvclive", "metrics.json", "dvclive.json", "params.yaml"


def recognise(listing: Listing) -> list[Item]:
    """Return the metric tables, the summary and the parameters of a DVCLive folder."""
    tables = folder_above(listing.path, _TABLES)
    is_named = split(listing.path)[1] == _FOLDER
    has_plots = any(e.name == "plots" and e.kind == "directory" for e in listing.entries)
    names = {entry.name for entry in listing.entries}
    found = []
    for entry in listing.entries:
        if not is_file(entry):
            continue
        holder = None
        if entry.name.endswith(".tsv") and (tables or is_named):
            holder = tables[0] if tables else listing.path
        elif entry.name == _OLD_SUMMARY and _FOLDER in names:
            holder = join(listing.path, _FOLDER)
        elif (
            entry.name in (_SUMMARY, _PARAMS)
            and (has_plots or is_named)
            and (entry.name == _SUMMARY or _SUMMARY in names)
        ):
            holder = listing.path
        if holder is not None:
            found.append(item_of(NAME, listing, entry, run_directory=holder))
    return found


def read(root: Path, item: Item) -> Facts:
    """Read one file of a DVCLive folder.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    place = RunDirectory(item.run_directory or folder, NAME)
    if name.endswith(".tsv"):
        return _table(root, item.path, place)
    if name == _PARAMS:
        document = read_yaml(root / item.path)
        config, secrets = redact(document.mapping or {})
        return Facts(
            run_directory=place,
            configs=(Config("dvclive-params", config, RANK),) if config else (),
            problems=(*document.problems, *redaction_problem(secrets)),
        )
    document = read_json(root / item.path)
    values = document.mapping or {}
    step = values.pop("step", None)
    fields: list[RunField] = list(field_of("last_step", step, RANK)) if is_number(step) else []
    return Facts(
        run_directory=place,
        fields=tuple(fields),
        summaries=tuple(
            Summary(key.replace(".", "/"), to_float(value))
            for key, value in leaves(values)
            if is_number(value)
        ),
        problems=document.problems,
    )


def _table(root: Path, path: str, place: RunDirectory) -> Facts:
    folder, name = split(path)
    found = folder_above(folder, _TABLES)
    metric = metric_name(found[1] if found else ".", name.removesuffix(".tsv"))
    text = read_at_most(root / path, _MAX_BYTES).decode("utf-8-sig", "replace")
    try:
        rows = list(csv.reader(text.splitlines(), delimiter="\t"))
    except csv.Error as error:
        problem = Problem("unreadable-table", f"No valid table: {error}.")
        return Facts(run_directory=place, problems=(problem,))
    header = rows[0] if rows else []
    stem = metric.rpartition("/")[2]
    if "step" not in header or stem not in header:
        problem = Problem("unreadable-table", f"The table has no columns step and {stem}.")
        return Facts(run_directory=place, problems=(problem,))
    step_at, value_at = header.index("step"), header.index(stem)
    time_at = header.index("timestamp") if "timestamp" in header else None
    points: list[tuple[int, float, float | None]] = []
    malformed = 0
    for row in rows[1:]:
        try:
            time = int(row[time_at]) / 1000 if time_at is not None else None
            points.append((int(row[step_at]), float(row[value_at]), time))
        except (ValueError, IndexError, OverflowError):
            malformed += bool(row)
    problems = (
        (Problem("malformed-row", f"{malformed:,} rows are no points and were left out."),)
        if malformed
        else ()
    )
    if not points:
        return Facts(run_directory=place, problems=problems)
    steps, values, times = zip(*points, strict=True)
    return Facts(
        run_directory=place,
        series=(Series(clean(metric), steps, values, times),),
        problems=problems,
    )
