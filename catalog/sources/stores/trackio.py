"""Trackio: one SQLite file a project, `trackio/PROJECT.db`.

Table `metrics` (run_id, run_name, timestamp in ISO 8601, step, metrics as JSON, where NaN and
infinities are written as text), `configs` (run_id, config as JSON). Older versions have no run_id:
there the name tells a run. Keys of a config that begin with an underscore are Trackio's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from catalog.sources.documents import parse_json
from catalog.sources.facts import (
    Config,
    Facts,
    Item,
    Listing,
    Plain,
    Problem,
    RunDirectory,
    RunField,
    Series,
)
from catalog.sources.paths import is_file, item_of, join, split
from catalog.sources.plain import DocumentError, clean, is_number, to_float
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redaction_problem
from catalog.sources.stamps import moment_of_text
from catalog.sources.stores.database import NotReadable, Tables, opened

if TYPE_CHECKING:
    from pathlib import Path

NAME = "trackio"
VERSION = 1
RANK = 10

_FOLDER = "trackio"
_MAX_JSON = 4 * 1024 * 1024
_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def recognise(listing: Listing) -> list[Item]:
    """Return the databases in a folder called `trackio`."""
    if split(listing.path)[1] != _FOLDER:
        return []
    return [
        item_of(NAME, listing, entry)
        for entry in listing.entries
        if is_file(entry) and entry.name.endswith(".db")
    ]


def read(root: Path, item: Item) -> Facts:
    """Read all runs of one project.

    Raises:
        OSError: the file cannot be read.

    """
    try:
        with opened(root / item.path) as tables:
            return _read(tables, item.path)
    except NotReadable as error:
        return Facts(problems=(error.problem,))


@dataclass(slots=True)
class _Run:
    name: str
    config: dict[str, Plain] = field(default_factory=dict)
    created: str | None = None
    last: str | None = None
    points: dict[str, list[tuple[int | None, float, float | None]]] = field(default_factory=dict)


def _read(tables: Tables, path: str) -> Facts:
    runs: dict[str, _Run] = {}
    malformed = 0
    for identity, name, text, created in tables.rows(
        "configs", ("run_id", "run_name", "config", "created_at"), '"id"'
    ):
        run = runs.setdefault(str(identity or name), _Run(clean(str(name))))
        run.created = created if isinstance(created, str) else None
        document = _object(text)
        malformed += document is None
        run.config = document or {}
    times: dict[str, float | None] = {}
    for identity, name, at, step, text in tables.rows(
        "metrics", ("run_id", "run_name", "timestamp", "step", "metrics"), '"id"'
    ):
        run = runs.setdefault(str(identity or name), _Run(clean(str(name))))
        document = _object(text)
        malformed += document is None
        if at not in times:
            times[at] = _seconds(at)
        run.last = at
        place = step if isinstance(step, int) else None
        for key, value in (document or {}).items():
            number = _NOT_FINITE.get(value) if isinstance(value, str) else value
            if is_number(number):
                run.points.setdefault(key, []).append((place, to_float(number), times[at]))
    problems = list(tables.problems)
    if malformed:
        problems.append(
            Problem("malformed-row", f"{malformed:,} rows hold no JSON object and were left out.")
        )
    return Facts(
        parts=tuple(_facts(path, identity, run) for identity, run in runs.items()),
        problems=tuple(problems),
    )


def _facts(path: str, identity: str, run: _Run) -> Facts:
    own = {key: value for key, value in run.config.items() if key.startswith("_")}
    user = {key: value for key, value in run.config.items() if key not in own}
    config, secrets = redact(user)
    fields: list[RunField] = [*field_of("display_name", run.name, RANK)]
    fields += field_of("project", split(path)[1].removesuffix(".db"), RANK)
    fields += field_of("group", own.get("_Group"), RANK)
    fields += field_of("username", own.get("_Username"), RANK)
    created = own.get("_Created")
    start = created if isinstance(created, str) else run.created
    fields += moment_field("started_at", moment_of_text(start or ""), RANK)
    fields += moment_field("last_timestamp", moment_of_text(run.last or ""), RANK)
    series = []
    for name, points in run.points.items():
        steps, values, times = zip(*points, strict=True)
        series.append(Series(name, steps, values, times))
    return Facts(
        run_directory=RunDirectory(join(path, clean(identity)), NAME, clean(identity)),
        fields=tuple(fields),
        configs=(Config("trackio-config", config, RANK),) if config else (),
        series=tuple(series),
        problems=redaction_problem(secrets),
    )


def _object(text: object) -> dict[str, Plain] | None:
    data = text.encode() if isinstance(text, str) else text
    if not isinstance(data, bytes) or len(data) > _MAX_JSON:
        return None
    try:
        value = parse_json(data)
    except DocumentError:
        return None
    return value if isinstance(value, dict) else None


def _seconds(text: object) -> float | None:
    from datetime import datetime

    moment = moment_of_text(text) if isinstance(text, str) else None
    return datetime.fromisoformat(moment.utc).timestamp() if moment and moment.utc else None
