"""`wandb-history.jsonl`: the history of a W&B run up to 0.9, one JSON object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.sources.documents import parse_json
from catalog.sources.facts import Facts, Item, Listing, Problem, RunField
from catalog.sources.paths import is_file, item_of, open_regular, split
from catalog.sources.plain import DocumentError
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb import ranks, run_directory
from catalog.sources.wandb.history import MAX_POINTS, History

if TYPE_CHECKING:
    from pathlib import Path

NAME = "wandb-history"
VERSION = 1

_FILE = "wandb-history.jsonl"
_MAX_LINE = 4 * 1024 * 1024


def recognise(listing: Listing) -> list[Item]:
    """Return the history file of a run directory in the flat layout of 0.8."""
    entry = run_directory.entry_named(listing, _FILE)
    if entry is None or not is_file(entry):
        return []
    return [item_of(NAME, listing, entry, run_directory=listing.path)]


def read(root: Path, item: Item) -> Facts:
    """Read one history file, line by line; lines that are no JSON are counted and left out.

    Raises:
        OSError: the file cannot be read.

    """
    history = History()
    bad = 0
    with open_regular(root / item.path) as file:
        while line := file.readline(_MAX_LINE):
            if not line.strip(b"\0 \t\r\n"):
                continue
            try:
                row = parse_json(line)
            except DocumentError:
                bad += 1
                continue
            if isinstance(row, dict):
                history.add_row(row)
    fields: list[RunField] = []
    if history.last_timestamp is not None:
        moment = moment_of_epoch(history.last_timestamp)
        fields += moment_field("last_timestamp", moment, ranks.STREAM)
    fields += field_of("last_step", history.last_step, ranks.STREAM)
    problems: list[Problem] = []
    if bad:
        problems.append(Problem("malformed-line", f"{bad:,} lines are no JSON and were left out."))
    if history.is_cut:
        problems.append(
            Problem(
                "history-cut",
                f"The file holds more than {MAX_POINTS:,} metric points; later ones were left out.",
            )
        )
    folder = split(item.path)[0]
    return Facts(
        run_directory=run_directory.describe(root, folder, flat=True),
        fields=tuple(fields),
        series=history.series(),
        problems=tuple(problems),
    )
