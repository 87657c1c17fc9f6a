"""What differs between runs: their facts, their configs, and where their metrics ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.errors import Ambiguous, NotFound
from catalog.query.named import resolve
from catalog.query.rows import Rows
from catalog.query.run import config_of, find_run, last_value, value_text
from catalog.query.values import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.query.connection import Reader

_FACTS = (
    "state", "project", "group_name", "job_type", "program", "arguments", "host", "git_commit",
    "python_version", "tracker_version",
)  # fmt: skip
_RUN = f"""
SELECT o.run, u.identity, {", ".join(f"o.{name}" for name in _FACTS)}
FROM run_overview o JOIN run u ON u.id = o.run_number
WHERE o.run_number = :id
"""  # noqa: S608 - the names above

_GONE = """
SELECT DISTINCT k.config_file, k.file_state
FROM run_config_chosen k
JOIN run u ON u.id = k.run_number
JOIN run_directory d ON d.id = k.run_directory_id AND d.joined_by IS NULL
WHERE u.identity = :identity AND k.file_state <> 'present'
ORDER BY k.config_file
"""
_OWN = """
SELECT d.path FROM run_directory d JOIN run u ON u.id = d.run_id
WHERE u.identity = :identity AND d.joined_by IS NULL
"""


def are_runs(reader: Reader, names: Sequence[str]) -> bool:
    """Say whether each name is, exactly, a run's id, folder or display name."""
    try:
        for name in names:
            find_run(reader, name, exact=True)
    except (NotFound, Ambiguous):
        return False
    return True


def compare_runs(reader: Reader, names: Sequence[str]) -> Rows:
    """Return a row for each key that the runs do not agree on, with a column a run.

    Args:
        reader: an open catalog.
        names: two or more runs, see `catalog.query.run.run_page`.

    Raises:
        NotFound: a name fits no run.
        Ambiguous: a name fits several.
    """
    numbers = [find_run(reader, name) for name in names]
    runs = [reader.run(_RUN, {"id": number}).dicts()[0] for number in numbers]
    configs = config_of(reader, numbers)
    sections: list[tuple[str, list[dict[str, Any]]]] = [
        ("run", [{name: run[name] for name in _FACTS if run[name] is not None} for run in runs]),
        (
            "config",
            [
                {key: value_text(value) for key, value in configs[number].items()}
                for number in numbers
            ],
        ),
        ("metric", [_finals(reader, run["identity"]) for run in runs]),
    ]
    rows: list[tuple[Any, ...]] = []
    for section, sides in sections:
        for key in sorted({key for side in sides for key in side}):
            values = [side.get(key) for side in sides]
            if any(value != values[0] for value in values) or not all(key in s for s in sides):
                rows.append((section, key, *values))
    note = " ".join(_told_as_read(reader, run) for run in runs).strip() or None
    return Rows(("section", "key", *_titles(runs)), rows, note=note)


def _told_as_read(reader: Reader, run: dict[str, Any]) -> str:
    """Return a sentence on the configs of a run that are not there any more; empty for none."""
    found = reader.run(_GONE, {"identity": run["identity"]}).rows
    return " ".join(
        f"{visible(file)}, which states the config of {visible(run['run'])}, is {state}."
        for file, state in found
    )


def _titles(runs: list[dict[str, Any]]) -> list[str]:
    """Return a column's name for each run; one that is named twice gets its place."""
    names = [str(run["run"]) for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({place})"
        for place, name in enumerate(names, start=1)
    ]


def _finals(reader: Reader, identity: str) -> dict[str, Any]:
    """Return where each metric ended; what other tools' folders tell fills gaps."""
    own = {path for (path,) in reader.run(_OWN, {"identity": identity}).rows}
    found: dict[str, Any] = {}
    rows = reader.run(*resolve("metrics", {"run": identity})).dicts()
    for row in sorted(rows, key=lambda row: row["run_directory"] in own):
        value = last_value(row)
        if value is not None:
            found[row["metric"]] = value
    return found
