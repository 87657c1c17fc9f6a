"""How right links are: on trees of known truth, on real trees, on random ones full of decoys.

`python -m benchmarks.eval_links` looks for the real trees beside the repository (or where
`CATALOG_SHARED` points) and leaves them out if they are not there. Exit code 1 if any link is
wrong.
"""

from __future__ import annotations

import argparse
import bisect
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog import Catalog
from tests.support.random_commands import write_command_tree
from tests.support.random_trees import write_tree

_EDGES = (-8, -4, -2, 0, 2, 4, 6, 10, 16)
"""Between the steps in which odds are counted."""
REPOSITORY = Path(__file__).resolve().parents[1]
_SCORES = """
SELECT f.path, l.verdict, l.score, COALESCE(u.tracker_run_id, u.identity) AS run
FROM link l JOIN file f ON f.id = l.checkpoint_id JOIN run u ON u.id = l.run_id
"""


@dataclass
class Tally:
    """What was said of checkpoints whose truth is known."""

    confusion: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Truth: verdict: how many."""
    groups: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Tree or scenario: outcome: how many."""
    scores: dict[int, Counter[bool]] = field(default_factory=lambda: defaultdict(Counter))
    """Odds, cut to steps of `_EDGES`: whether the run is the right one: how many candidates."""
    wrong: list[str] = field(default_factory=list)

    def add(self, group: str, path: str, expected: str, run: str | None, row: Any) -> None:
        """Count one checkpoint.

        Args:
            group: the tree or scenario to list it under.
            path: of the checkpoint.
            expected: linked, ambiguous, unlinked, or beyond: nothing on disk can tell.
            run: id of the run that wrote it; None if it left nothing.
            row: of `checkpoint_trace`.
        """
        said = row["verdict"]
        if said == "linked" and row["run"] != run:
            outcome = "beyond" if expected == "beyond" else "wrong"
            if outcome == "wrong":
                self.wrong.append(f"{group}: {path} is of {run}, linked to {row['run']}")
        elif said == "linked":
            outcome = "right"
        elif expected == "linked":
            outcome = "ambiguous" if said == "ambiguous" else "missed"
        else:
            outcome = "left open"
        self.confusion[expected][said] += 1
        self.groups[group][outcome] += 1

    def add_scores(self, catalog: Catalog, truth: dict[str, str | None]) -> None:
        """Count, for every candidate, its odds and whether it is the right run.

        A score compares one run with none; the odds compare it with all that are weighed as well:
        of two runs with equal scores each is right half of the time at best.
        """
        candidates: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        for row in catalog.sql(_SCORES).dicts():
            if row["path"] in truth:
                right = row["run"] == truth[row["path"]]
                candidates[row["path"]].append((row["score"], right))
        for found in candidates.values():
            for one, (score, right) in enumerate(found):
                others = [math.exp(other) for place, (other, _) in enumerate(found) if place != one]
                odds = score - math.log(1 + sum(others))
                self.scores[bisect.bisect_right(_EDGES, odds)][right] += 1

    def show(self) -> None:
        """Print the tables."""
        outcomes = ("right", "wrong", "ambiguous", "missed", "left open", "beyond")
        width = max(len(group) for group in self.groups)
        print(f"{'':<{width}}", *(f"{name:>9}" for name in outcomes))
        for group, counts in sorted(self.groups.items()):
            print(f"{group:<{width}}", *(f"{counts[name] or '':>9}" for name in outcomes))
        print("\ntruth \\ said   linked  ambiguous  unlinked")
        for truth, said in sorted(self.confusion.items()):
            figures = (said[name] for name in ("linked", "ambiguous", "unlinked"))
            print(f"{truth:<12}", *(f"{figure:>9}" for figure in figures))
        if self.scores:
            print("\nodds of a candidate    candidates  right")
            for step, right in sorted(self.scores.items()):
                total = right[True] + right[False]
                print(f"{_range(step):<22}{total:>11}  {right[True] / total:>5.1%}")
        for sentence in self.wrong:
            print(f"WRONG  {sentence}")


def _range(step: int) -> str:
    if step == 0:
        return f"below {_EDGES[0]:+d}"
    if step == len(_EDGES):
        return f"{_EDGES[-1]:+d} and more"
    return f"{_EDGES[step - 1]:+d} to {_EDGES[step]:+d}"


def _ingested(folder: Path, tree: Path) -> tuple[Catalog, dict[str, Any]]:
    catalog = Catalog(folder / f"{tree.name}.db", host="here")
    catalog.ingest([tree])
    return catalog, {row["path"]: row for row in catalog.query("checkpoint_trace").dicts()}


def known_truth(shared: Path, folder: Path) -> Tally:
    """Judge the trees that real tools wrote, with the times they had."""
    tree, tally = folder / "groundtruth", Tally()
    script = shared / "groundtruth" / "restore_mtimes.py"
    subprocess.run([sys.executable, str(script), str(tree)], check=True)
    catalog, rows = _ingested(folder, tree)
    truth: dict[str, str | None] = {}
    with (shared / "groundtruth" / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if (
                row["expected_status"] in {"linked", "ambiguous", "unlinked"}
                and row["path"] in rows
            ):
                run = row["wandb_run_id"] or None
                truth[row["path"]] = run
                group = f"{row['root']} {row['scenario']}"
                tally.add(group, row["path"], row["expected_status"], run, rows[row["path"]])
    tally.add_scores(catalog, truth)
    return tally


def real_trees(shared: Path, folder: Path) -> Tally:
    """Compare with what was found by hand on trees from public repositories."""
    tally = Tally()
    for name, links in json.loads((shared / "corpus" / "links.json").read_text()).items():
        _, rows = _ingested(folder, shared / "corpus" / name)
        for link in links.get("checkpoints", []):
            path = link["checkpoint"]
            row = rows.get(path) or rows.get(path.rpartition("/")[0])
            if row is None or link["confidence"] == "likely":
                continue
            said = {**row, "run": row["run_directory"]}
            expected = {"certain": "linked", "ambiguous": "ambiguous"}.get(
                link["confidence"], "unlinked"
            )
            tally.add(name, path, expected, link["run"], said)
    return tally


def random_trees(seeds: range, folder: Path) -> Tally:
    """Judge random trees with decoys."""
    tally = Tally()
    for seed in seeds:
        tree = write_tree(folder / f"random{seed}", seed)
        catalog, rows = _ingested(folder, tree.root)
        for path, run in tree.truth.items():
            expected = "beyond" if path in tree.beyond else "linked" if run else "unlinked"
            tally.add(tree.told[path], path, expected, run, rows[path])
        tally.add_scores(catalog, tree.truth)
    return tally


def command_trees(seeds: range, folder: Path) -> Tally:
    """Judge random trees of Hydra's command lines, by whether what is on disk decides."""
    tally = Tally()
    for seed in seeds:
        tree = write_command_tree(folder / f"commands{seed}", seed)
        catalog, rows = _ingested(folder, tree.root)
        for path, run in tree.truth.items():
            if path in tree.decidable:
                group, expected = "decidable", "linked"
            elif path in tree.beyond:
                group, expected = "beyond", "beyond"
            else:
                group, expected = "undecidable", "ambiguous" if run else "unlinked"
            tally.add(group, path, expected, run, rows[path])
        tally.add_scores(catalog, tree.truth)
    return tally


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=300, help="how many random trees")
    parser.add_argument("--first", type=int, default=0, help="seed of the first of them")
    asked = parser.parse_args()
    shared = Path(os.environ.get("CATALOG_SHARED", REPOSITORY.parent / "shared"))
    tallies = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if (shared / "groundtruth").is_dir():
            tallies.append(("Trees of known truth", known_truth(shared, folder)))
            tallies.append(("Real trees", real_trees(shared, folder)))
        else:
            print(f"No real trees at {shared}; only random ones are judged.")
        seeds = range(asked.first, asked.first + asked.random)
        tallies.append((f"{asked.random} random trees", random_trees(seeds, folder)))
        title = f"{asked.random} random trees of Hydra's command lines"
        tallies.append((title, command_trees(seeds, folder)))
    for title, tally in tallies:
        print(f"\n## {title}\n")
        tally.show()
    sys.exit(any(tally.wrong for _, tally in tallies))


if __name__ == "__main__":
    main()
