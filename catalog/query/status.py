"""How far the migration is, by root, experiment, age or size of the checkpoints."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from catalog.query.rows import Rows
from catalog.states import BY_NAME, COUNTED, NAMES, STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.query.connection import Reader

_FILES = """
SELECT r.path AS root, f.path AS path, f.size AS size, f.modified_at AS modified_at,
       m.state AS state
FROM migration m
JOIN file f ON f.id = m.checkpoint_id
JOIN root r ON r.id = f.root_id
"""
# Folders that say nothing of an experiment, and the stamps of single runs.
_ANONYMOUS = re.compile(
    r"checkpoints?|ckpts?|weights|models?|checkpoint-\d+|version_\d+|\d+|\d\d-\d\d-\d\d"
    r"|\d{4}-\d\d-\d\d(?:[_T-]\d\d-\d\d-\d\d)?",
    re.IGNORECASE,
)
_STAMP = re.compile(r"[_.-]?\d{8}[_-]\d{6}$")
_MONTH_DAYS = 30
_AGES = ((1, "under 1 month"), (3, "1 to 3 months"), (12, "3 to 12 months"))
_OLDEST, _UNDATED = "over 12 months", "not known"
_SIZES = ((10**7, "under 10 MB"), (10**8, "10 to 100 MB"), (10**9, "100 MB to 1 GB"))
_LARGEST = "over 1 GB"

GROUPS = ("root", "experiment", "age", "size")


def status_by(reader: Reader, group: str, now: str) -> Rows:
    """Return how many checkpoints of each group are in which state, and bytes.

    Args:
        reader: an open catalog.
        group: one of `GROUPS`. An experiment is the innermost folder with a name of its own,
            without the stamp at its end; age is counted from the modification time, a month as
            30 days.
        now: UTC text, for the age.
    """
    present = datetime.fromisoformat(now).astimezone(UTC)
    name_of: Callable[[dict[str, Any]], str] = {
        "root": lambda row: str(row["root"]),
        "experiment": lambda row: experiment_of(row["path"]),
        "age": lambda row: _age(row["modified_at"], present),
        "size": lambda row: _size(row["size"]),
    }[group]
    found: dict[str, dict[str, int]] = {}
    for row in reader.run(_FILES).dicts():
        counts = found.setdefault(name_of(row), dict.fromkeys((*NAMES, "bytes", "unusable"), 0))
        state = BY_NAME[row["state"]]
        counts[state.name] += 1
        if not state.is_absent:
            counts["bytes"] += row["size"]
        if state.is_unusable:
            counts["unusable"] += row["size"]
    order = {
        "age": [name for _, name in _AGES] + [_OLDEST, _UNDATED],
        "size": [name for _, name in _SIZES] + [_LARGEST],
    }.get(group, sorted(found))
    return Rows(
        (group, "checkpoints", *(one.column for one in STATES), "bytes", "unusable_bytes"),
        [
            (
                name,
                sum(found[name][state] for state in NAMES),
                *(sum(found[name][kind] for kind in COUNTED[state]) for state in NAMES),
                found[name]["bytes"],
                found[name]["unusable"],
            )
            for name in order
            if name in found
        ],
    )


def experiment_of(path: str) -> str:
    """Return the name of the experiment that a checkpoint's folders tell; `.` for none."""
    for folder in reversed(path.split("/")[:-1]):
        name = _STAMP.sub("", folder)
        if name and not _ANONYMOUS.fullmatch(name):
            return name
    return "."


def _age(modified_at: str | None, now: datetime) -> str:
    if modified_at is None:
        return _UNDATED
    days = (now - datetime.fromisoformat(modified_at)).total_seconds() / 86_400
    return next((name for months, name in _AGES if days < months * _MONTH_DAYS), _OLDEST)


def _size(size: int) -> str:
    return next((name for limit, name in _SIZES if size < limit), _LARGEST)
