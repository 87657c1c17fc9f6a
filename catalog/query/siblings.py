"""Which runs are of one project: those that a run's config can be compared with."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.query.connection import Reader

_LOOKED_AT = 2_000
"""Runs of the same project name that are looked at, those that started nearest first."""

_NEAREST = """
SELECT u.id AS number, u.entity, u.git_remote
FROM run u
WHERE u.id <> :id AND u.tracker = CAST(:tracker AS TEXT)
  AND (u.project = CAST(:project AS TEXT)
       OR (u.project IS NULL AND CAST(:project AS TEXT) IS NULL))
  AND EXISTS (SELECT 1 FROM run_directory d WHERE d.run_id = u.id AND d.root_id IN
              (SELECT o.root_id FROM run_directory o WHERE o.run_id = :id))
ORDER BY CASE WHEN u.started_at < CAST(:started AS TEXT) THEN 0 ELSE 1 END,
         CASE WHEN u.started_at < CAST(:started AS TEXT) THEN u.started_at END DESC,
         u.started_at, u.id
"""
_FOLDERS = """
SELECT d.run_id AS run, d.root_id AS root, d.path
FROM run_directory d
WHERE d.run_id IN ({numbers}) AND d.joined_by IS NULL
"""
_OUTPUTS = frozenset(
    {
        "wandb", "outputs", "multirun", "lightning_logs", "mlruns", "runs", "logs", "tb_logs",
        "results",
    }
)  # fmt: skip
"""Folders that tools make in a project's folder."""
_ADDRESS = re.compile(r"(?:\w+://)?(?:[^/@]*@)?([^/:]+)(?::\d+(?=/))?[:/]+(.+?)(?:\.git)?/*")


def siblings(reader: Reader, run: Mapping[str, Any], most: int) -> tuple[list[int], int]:
    """Return the runs of a run's project that started nearest to it.

    A project is of one name in its tracker, of one owner there as far as both name one, and of
    one repository. Where a run names no repository, the folder that it worked in tells.

    Args:
        reader: an open catalog.
        run: its row of `run_overview`.
        most: of how many to return the numbers.

    Returns:
        The numbers, and how many runs of that name may be of the project or of another one.
    """
    only = int(run["run_number"])
    named = reader.run(
        _NEAREST,
        {
            "id": only,
            "tracker": run["tracker"],
            "project": run["project"],
            "started": run["started_at"],
        },
        row_limit=_LOOKED_AT,
    ).dicts()
    named = [one for one in named if not _differ(run["entity"], one["entity"])]
    places = _places(reader, [only, *(int(one["number"]) for one in named)])
    repository = _repository(run["git_remote"])
    found: list[int] = []
    unclear = 0
    for one in named:
        number, other = int(one["number"]), _repository(one["git_remote"])
        if repository is not None and other is not None:
            is_sibling = repository == other
        else:
            is_sibling = not places[only].isdisjoint(places[number])
            unclear += not is_sibling
        if is_sibling and len(found) < most:
            found.append(number)
    return found, unclear


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _repository(remote: str | None) -> str | None:
    """Return where a repository lies, however its address is written."""
    if not remote:
        return None
    match = _ADDRESS.fullmatch(remote)
    return f"{match[1].lower()}/{match[2]}" if match else remote


def _places(reader: Reader, numbers: list[int]) -> dict[int, set[tuple[int, str]]]:
    """Return the folders of the projects that runs worked in, each with its root."""
    listed = ", ".join(map(str, numbers))
    found: dict[int, set[tuple[int, str]]] = defaultdict(set)
    for run, root, path in reader.run(_FOLDERS.format(numbers=listed)).rows:
        found[int(run)].add((int(root), _project_folder(str(path))))
    return found


def _project_folder(path: str) -> str:
    names = path.split("/")
    end = next((place for place, name in enumerate(names) if name in _OUTPUTS), len(names) - 1)
    return "/".join(names[:end])
