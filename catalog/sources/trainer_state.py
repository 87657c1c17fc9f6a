"""`trainer_state.json` of the Hugging Face Trainer: its `log_history` is the run's metrics.

It lies in every `checkpoint-N/` and, after `save_state`, in the output folder itself; each holds
the history up to its own step. One output folder may hold checkpoints of several trainings
(seen: `max_steps` 1500 and 1689), so the field `training` tells them apart: by `max_steps` and
the first logged row, which a later checkpoint of the same training repeats.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from catalog.sources.documents import read_json
from catalog.sources.facts import (
    Facts,
    Item,
    Listing,
    Mention,
    Plain,
    RunDirectory,
    RunField,
    Series,
)
from catalog.sources.paths import is_file, item_of, split
from catalog.sources.plain import is_number, to_float
from catalog.sources.run_fields import field_of

if TYPE_CHECKING:
    from pathlib import Path

NAME = "trainer-state"
VERSION = 1
TRACKER = "transformers"
RANK = 10

MAX_BYTES = 64 * 1024 * 1024
_FILE = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-\d+")


def recognise(listing: Listing) -> list[Item]:
    """Return the state file of a checkpoint or an output folder."""
    return [
        item_of(NAME, listing, entry, run_directory=listing.path)
        for entry in listing.entries
        if entry.name == _FILE and is_file(entry)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one state file.

    Raises:
        OSError: the file cannot be read.

    """
    folder = split(item.path)[0]
    place = RunDirectory(folder, TRACKER)
    document = read_json(root / item.path, MAX_BYTES)
    if document.mapping is None:
        return Facts(run_directory=place, problems=document.problems)
    state = document.mapping
    history = state.get("log_history")
    rows = [row for row in history if isinstance(row, dict)] if isinstance(history, list) else []
    above, name = split(folder)
    output = above if _CHECKPOINT.fullmatch(name) else folder
    fields: list[RunField] = []
    fields += field_of("output", output, RANK)
    fields += field_of("training", _training(state, rows), RANK)
    fields += field_of("display_name", _name_of(root, output), RANK)
    for key in ("global_step", "max_steps", "epoch", "num_train_epochs", "best_metric"):
        value = state.get(key)
        if is_number(value):
            fields += field_of(key, value, RANK)
    if is_number(state.get("global_step")):
        fields += field_of("last_step", state["global_step"], RANK)
    best = state.get("best_model_checkpoint")
    mentions = (Mention("best-checkpoint", best),) if isinstance(best, str) and best else ()
    return Facts(run_directory=place, fields=tuple(fields), series=_series(rows), mentions=mentions)


def _training(state: dict[str, Plain], rows: list[dict[str, Plain]]) -> str:
    seen = json.dumps([state.get("max_steps"), rows[:1]], sort_keys=True)
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def _name_of(root: Path, folder: str) -> str:
    return root.absolute().name if folder == "." else split(folder)[1]


def _series(rows: list[dict[str, Plain]]) -> tuple[Series, ...]:
    columns: dict[str, list[tuple[int | None, float]]] = {}
    for row in rows:
        step = row.get("step")
        for name, value in row.items():
            if name != "step" and is_number(value):
                place = step if isinstance(step, int) else None
                columns.setdefault(name, []).append((place, to_float(value)))
    axes: dict[tuple[int | None, ...], tuple[int | None, ...]] = {}
    nothing: dict[int, tuple[None, ...]] = {}
    found = []
    for name, points in columns.items():
        steps = tuple(step for step, _ in points)
        found.append(
            Series(
                name,
                axes.setdefault(steps, steps),
                tuple(value for _, value in points),
                nothing.setdefault(len(points), (None,) * len(points)),
            )
        )
    return tuple(found)
