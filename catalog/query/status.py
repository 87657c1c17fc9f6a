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
SELECT f.id AS checkpoint, r.path AS root, f.path AS path, f.size AS size,
       f.modified_at AS modified_at, m.state AS state
FROM migration m
JOIN file f ON f.id = m.checkpoint_id
JOIN root r ON r.id = f.root_id
"""
# What trackers call the experiment of a checkpoint: that of the run it is linked to, else of the
# run in whose folder it is; of either the project or the group, else the name of its Hydra job.
_NAMED = """
SELECT n.checkpoint AS checkpoint, n.name AS name
FROM (
    SELECT l.checkpoint_id AS checkpoint, COALESCE(u.project, u.group_name) AS name, 1 AS place
    FROM link l JOIN run u ON u.id = l.run_id
    WHERE l.verdict = 'linked'
    UNION ALL
    SELECT cd.checkpoint_id, COALESCE(u.project, u.group_name), 2
    FROM checkpoint_directory cd
    JOIN run_directory d ON d.id = cd.run_directory_id
    JOIN run u ON u.id = d.run_id
    UNION ALL
    SELECT cd.checkpoint_id, x.value, 3
    FROM checkpoint_directory cd
    JOIN run_field x ON x.run_directory_id = cd.run_directory_id AND x.name = 'job_name'
    UNION ALL
    SELECT l.checkpoint_id, x.value, 4
    FROM link l
    JOIN run_directory d ON d.run_id = l.run_id
    JOIN run_field x ON x.run_directory_id = d.id AND x.name = 'job_name'
    WHERE l.verdict = 'linked'
) n
WHERE n.name IS NOT NULL AND n.name <> ''
ORDER BY n.checkpoint, n.place, n.name
"""
# Folders of no name of their own: what tools call theirs, and which checkpoint it is.
_ANONYMOUS = re.compile(
    r"checkpoints?|ckpts?|weights|models?|saved?|saved_models?|checkpoint-\d+|outputs?|out|results?"
    r"|runs?|logs?|lightning_logs|tb_logs|tensorboard|multirun|experiments?|exps?|artifacts?|train"
    r"|trainings?|last|latest|best|final|best_model|final_model|files|data|tmp|\.",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"version_\d+|\d+|\d\d-\d\d-\d\d|\d{4}-\d\d-\d\d(?:[_T-]\d\d-\d\d-\d\d)?|\d{8}[_-]\d{6}",
    re.IGNORECASE,
)
_JOB = re.compile(r"\d{1,4}")
"""A job of a sweep, whose jobs are one experiment."""
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
        group: one of `GROUPS`. An experiment is the W&B project of its run, else the group, else
            the name of the Hydra job, else the folder that tells trainings apart
            (`experiment_of`); age is counted from the modification time, a month as 30 days.
        now: UTC text, for the age.
    """
    present = datetime.fromisoformat(now).astimezone(UTC)
    named = _named(reader) if group == "experiment" else {}
    name_of: Callable[[dict[str, Any]], str] = {
        "root": lambda row: str(row["root"]),
        "experiment": lambda row: named.get(row["checkpoint"]) or experiment_of(row["path"]),
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


def _named(reader: Reader) -> dict[int, str]:
    """Return the experiments that trackers name, by checkpoint."""
    names: dict[int, str] = {}
    for checkpoint, name in reader.run(_NAMED).rows:
        names.setdefault(checkpoint, name)
    return names


def experiment_of(path: str) -> str:
    """Return the folder that tells a training from others; `.` for none.

    It is the innermost one with a name of its own, without the stamp at its end; where no folder
    has one, the dates and versions, which are one experiment for all jobs of a sweep.
    """
    folders = path.split("/")[:-1]
    for folder in reversed(folders):
        name = _STAMP.sub("", folder)
        if name and not _ANONYMOUS.fullmatch(folder) and not _NUMBERED.fullmatch(folder):
            return name
    numbered = [folder for folder in folders if _NUMBERED.fullmatch(folder)]
    if len(numbered) > 1 and _JOB.fullmatch(numbered[-1]):
        numbered.pop()
    return "/".join(numbered) or "."


def _age(modified_at: str | None, now: datetime) -> str:
    if modified_at is None:
        return _UNDATED
    days = (now - datetime.fromisoformat(modified_at)).total_seconds() / 86_400
    return next((name for months, name in _AGES if days < months * _MONTH_DAYS), _OLDEST)


def _size(size: int) -> str:
    return next((name for limit, name in _SIZES if size < limit), _LARGEST)
