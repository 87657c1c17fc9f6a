"""`wandb-summary.json`: the last value of everything a run logged.

Names are W&B's own; nested objects are joined with a dot (`{"val": {"loss": 1}}` is
`val.loss`), as W&B's interface shows them. Bare NaN and Infinity are values. Histograms,
media and text are left out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from catalog.sources.documents import read_json
from catalog.sources.facts import Facts, Item, Listing, Plain, RunField, Summary
from catalog.sources.paths import below
from catalog.sources.plain import is_number, to_float
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb import ranks, run_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "wandb-summary"
VERSION = 2

_FILE = "wandb-summary.json"


def recognise(listing: Listing) -> list[Item]:
    """Return the summary file of the run directory that this listing is of, if any."""
    return run_directory.file_item(NAME, listing, _FILE)


def read(root: Path, item: Item) -> Facts:
    """Read one summary file.

    Raises:
        OSError: the file cannot be read.

    """
    place = run_directory.of_file(root, item)
    document = read_json(below(root, item.path))
    summary = document.mapping or {}
    return Facts(
        run_directory=place,
        fields=tuple(progress_fields(summary, ranks.SUMMARY)),
        summaries=tuple(Summary(*pair) for pair in numbers(summary)),
        problems=document.problems,
    )


def numbers(values: dict[str, Plain], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield (name, value) of the numbers in a summary or a history value.

    Args:
        values: decoded JSON; keys that begin with an underscore are W&B's own at the top, and
            an object with `_type` is a histogram or a medium.
        prefix: name of the object that holds them.

    """
    for key, value in values.items():
        if not prefix and key.startswith("_"):
            continue
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            if "_type" not in value:
                yield from numbers(value, name)
        elif is_number(value):
            yield name, to_float(value)


def progress_fields(summary: dict[str, Plain], rank: int) -> Iterator[RunField]:
    """Yield the fields in W&B's own summary keys.

    `_wandb.runtime` counts to the end of the run in whole seconds; `_runtime` only to the last
    logged row, so it ranks after it. Both may count from before the run's start: old clients go
    on counting over the folders of a resumed run.
    """
    field = partial(field_of, rank=rank)
    own = summary.get("_wandb")
    runtime = own.get("runtime") if isinstance(own, dict) else None
    if is_number(runtime):
        yield from field("runtime", _shortest(runtime))
    if is_number(logged := summary.get("_runtime")):
        yield from field_of("runtime", _shortest(logged), rank + 1)
        yield from field("row_runtime", _shortest(logged))
    if is_number(step := summary.get("_step")):
        yield from field("last_step", _shortest(step))
    if is_number(timestamp := summary.get("_timestamp")):
        yield from moment_field("last_timestamp", moment_of_epoch(timestamp), rank)


def _shortest(number: float) -> int | float:
    """Return whole numbers as integers, so that all sources spell them alike."""
    return int(number) if number == number // 1 and abs(number) < 2**53 else number
