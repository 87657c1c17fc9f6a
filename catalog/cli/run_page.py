"""A run as a page that can be read in seconds."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from catalog.cli.tree import Branch, print_tree
from catalog.query.run import last_value
from catalog.query.values import counted, gone_text, shown, visible
from catalog.schema.canonical import common_metric, float32

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog.query.run import Record, RunPage

_FEW = 12
_BARS = "▁▂▃▄▅▆▇█"


def draw(page: RunPage) -> None:
    """Print a run to stdout; lines are cut nowhere, and folded only on a terminal."""
    run = page.run
    name = "/".join(filter(None, (run["entity"], run["project"], run["run"])))
    tree = Branch(visible(f"{name}  {run['display_name'] or ''}".strip()), style="bold")
    _line(tree, "state", run["state"], run["state_basis"])
    _line(tree, "start", shown("at", run["started_at"]), _zone(run))
    _line(tree, "end", shown("at", run["ended_at"]), run["ended_basis"])
    _line(tree, "where", " ".join(filter(None, (run["host"], run["program"]))), run["arguments"])
    _line(tree, "git", run["git_commit"], run["git_remote"])
    versions = [
        run["tracker_version"] and f"{run['tracker']} {run['tracker_version']}",
        run["python_version"] and f"Python {run['python_version']}",
    ]
    packages = json.loads(run["packages"] or "{}")
    installed = ", ".join(f"{name} {version}" for name, version in packages.items())
    _line(tree, "with", ", ".join(filter(None, versions)), installed)
    rows = (*page.directories, *page.checkpoints)
    # A path below the root says where only as long as there is one root.
    is_spread = len({row["root"] for row in rows}) > 1
    for row in page.directories:
        place = _place(row, "path", is_spread=is_spread)
        gone = gone_text(row["directory_state"])
        note = row["join_detail"] or row["beginning"]
        _line(tree, "in", f"{place}{gone}  {row['tracker']}", note)
    for row in page.configs[:1]:
        place = _place(row, "file", is_spread=is_spread) + gone_text(row["file_state"])
        _line(tree, "config", f"{place}  {row['kind']}", None)
    _add_differences(tree, page)
    _add_curves(tree, page)
    linked = [row for row in page.checkpoints if row["verdict"] == "linked"]
    _add_checkpoints(tree, linked, "", is_spread=is_spread)
    others = [row for row in page.checkpoints if row["verdict"] != "linked"]
    _add_checkpoints(tree, others, " in its folders, with no W&B run", is_spread=is_spread)
    for row in page.problems[:_FEW]:
        _line(tree, "problem", f"{row['code']}  {row['path']}", row["message"])
    if len(page.problems) > _FEW:
        tree.add(Branch(f"and {len(page.problems) - _FEW} more problems", style="dim"))
    print_tree(tree)


def _place(row: Record, column: str, *, is_spread: bool) -> str:
    return f"{row['root'].rstrip('/')}/{row[column]}" if is_spread else str(row[column])


def _zone(run: Record) -> str | None:
    if not run["started_zone"]:
        return None
    return f"local time {run['started_zone']}"


def _add_differences(tree: Branch, page: RunPage) -> None:
    if page.unclear_siblings:
        named = f"of {page.run['project']}" if page.run["project"] else "without a project's name"
        _line(
            tree,
            "not compared",
            f"with {counted(page.unclear_siblings, 'other run')} {named}",
            "no git remote or folder tells whether they are of the same project",
        )
    if not page.siblings:
        return
    title = f"differs from {counted(page.siblings, 'run')} beside it"
    if not page.differences:
        _line(tree, title, "in nothing", None)
        return
    branch = tree.add(Branch(title))
    for row in page.differences[:_FEW]:
        mine = "absent" if row["value"] is None else row["value"]
        usual = "absent" if row["others"] is None else row["others"]
        _line(branch, row["key"], mine, f"{row['share']} of {page.siblings} have {usual}")
    if len(page.differences) > _FEW:
        branch.add(Branch(f"and {len(page.differences) - _FEW} more (--format json)", style="dim"))


def _add_curves(tree: Branch, page: RunPage) -> None:
    if not page.metrics:
        return
    branch = tree.add(Branch("metrics"))
    drawn = {curve["metric"]: sparkline(curve["values"]) for curve in page.curves}
    told = _told_once(page)
    told.sort(key=lambda row: row["metric"] not in drawn)
    several = Counter(row["metric"] for row in page.metrics)
    for row in told[:_FEW]:
        value = last_value(row)
        text = value if isinstance(value, str) else shown("value", value)
        notes = list(_history_notes(row))
        if several[row["metric"]] > 1:
            notes.append(f"in {row['run_directory']}")
        _line(
            branch,
            row["metric"],
            f"{text}  {drawn.get(row['metric'], '')}".strip(),
            ", ".join(notes),
        )
    if len(told) > _FEW:
        branch.add(Branch(f"and {len(told) - _FEW} more (catalog query metrics)", style="dim"))


def _history_notes(row: Record) -> Iterator[str]:
    """Yield what a metric's history holds, and what it does not."""
    points = counted(row["points"], "point") if row["points"] else None
    if points and row["lowest"] is not None:
        low, high = shown("value", row["lowest"]), shown("value", row["highest"])
        if row["finite"] is not None and row["finite"] < row["points"]:
            points = f"{row['finite']:,} finite of {points}"
        yield f"{low} to {high} over {points}"
    if row["last_special"]:
        since = "" if row["special_from"] is None else f" since step {row['special_from']:,}"
        yield f"{row['last_special']}{since}"
    if row["gap"]:
        yield "its history is not whole"


def _told_once(page: RunPage) -> list[Record]:
    """Return one row of each metric: of the folder whose history is drawn, or that tells most.

    What a Trainer's own log and a tracker's tell under two names is told once.
    """
    drawn = {(curve["metric"], curve["run_directory"]) for curve in page.curves}
    own = {row["path"] for row in page.directories if row["joined_by"] is None}
    best: dict[str, Record] = {}
    for row in sorted(
        page.metrics,
        key=lambda row: (
            (row["metric"], row["run_directory"]) not in drawn,
            row["run_directory"] not in own,
            -(row["points"] or 0),
        ),
    ):
        best.setdefault(row["metric"], row)
    kept: dict[tuple[object, ...], Record] = {}
    for name in sorted(best, key=lambda name: ("/" not in name, name)):
        row = best[name]
        ends = row["lowest"], row["highest"]
        alike: tuple[object, ...] = (name,)
        if None not in ends:
            alike = (common_metric(name), row["points"], *map(float32, ends))
        kept.setdefault(alike, row)
    return sorted(kept.values(), key=lambda row: str(row["metric"]))


def _add_checkpoints(
    tree: Branch, checkpoints: list[Record], where: str, *, is_spread: bool
) -> None:
    if not checkpoints:
        return
    branch = tree.add(Branch(counted(len(checkpoints), "checkpoint") + where))
    for row in checkpoints[:_FEW]:
        said = [f"epoch {row['epoch']}"] if row["epoch"] is not None else []
        if row["own_score"] is not None:
            said.append(f"score {shown('score', row['own_score'])}")
        place = _place(row, "path", is_spread=is_spread)
        _line(branch, row["state"] or "", place, ", ".join(said))
    if len(checkpoints) > _FEW:
        branch.add(Branch(f"and {len(checkpoints) - _FEW} more", style="dim"))


def sparkline(values: Sequence[float | None]) -> str:
    """Return one bar a value, from the least to the greatest; a blank for what is not finite."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    # Halves first: the span of two doubles may be more than a double holds.
    span = high / 2 - low / 2
    bars = []
    for value in values:
        if value is None or not math.isfinite(value):
            bars.append(" ")
        else:
            share = (value / 2 - low / 2) / span if span else 0.0
            bars.append(_BARS[min(int(share * len(_BARS)), len(_BARS) - 1)])
    return "".join(bars)


def _line(tree: Branch, label: str, text: Any, dim: str | None) -> None:
    if not text and not dim:
        return
    line = Branch()
    line.append(f"{visible(label)}  ", style="dim")
    line.append(visible(str(text or "")))
    if dim:
        line.append(f"  {visible(dim)}", style="dim")
    tree.add(line)
