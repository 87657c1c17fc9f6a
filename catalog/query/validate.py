"""A person's statement on a training, checked point by point against what the files say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from catalog.errors import SourceError
from catalog.query.rows import Rows
from catalog.query.run import find_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from catalog.query.connection import Reader

_MOST_BYTES = 1024 * 1024
_KEYS = ("run", "experiment", "folder", "time", "zone", "config", "metrics", "variants")
_SAME_TIME = timedelta(seconds=1)
"""Claims are cut to seconds."""
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})$")

_RUN = "SELECT * FROM run_overview WHERE run_number = :id"
_CHECKPOINTS = """
SELECT f.path, f.modified_at
FROM link l JOIN file f ON f.id = l.checkpoint_id
WHERE l.run_id = :id AND l.verdict = 'linked' AND f.state = 'present'
ORDER BY f.path
"""
_BELOW = """
SELECT f.path, l.run_id AS run
FROM checkpoint c
JOIN file f ON f.id = c.id AND f.state = 'present'
LEFT JOIN link l ON l.checkpoint_id = c.id AND l.verdict = 'linked'
WHERE SUBSTR(f.path, 1, LENGTH(CAST(:folder AS TEXT))) = CAST(:folder AS TEXT)
ORDER BY f.path
"""
_VALUES = """
SELECT v.text, f.path AS file
FROM run_directory d
JOIN run_config c ON c.run_directory_id = d.id AND c.kind <> 'hydra-overrides'
JOIN config_value v ON v.config_id = c.config_id AND v.key = CAST(:key AS TEXT)
JOIN file f ON f.id = c.file_id
WHERE d.run_id = :id
ORDER BY CASE WHEN d.joined_by IS NULL THEN 0 ELSE 1 END, c.rank, f.path
"""
_SUMMARIES = """
SELECT s.value, f.path AS file
FROM run_directory d
JOIN metric_summary s ON s.run_directory_id = d.id
JOIN metric_name n ON n.id = s.metric_name_id AND n.name = CAST(:name AS TEXT)
JOIN file f ON f.id = s.file_id
WHERE d.run_id = :id AND s.value IS NOT NULL
ORDER BY CASE WHEN d.joined_by IS NULL THEN 0 ELSE 1 END, f.path
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a person states; every part but the run may be left out."""

    run: str
    """`ENTITY/PROJECT/ID`, `PROJECT/ID` or the id alone."""
    experiment: str | None = None
    folder: str | None = None
    """The folder that the checkpoints lie in, below its root."""
    time: datetime | None = None
    zone: str | None = None
    """The zone that the person names for the time; without one several readings are tried."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Value by dotted key."""
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """(value, tolerance) by name."""
    variants: int | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One part of a claim, and whether it holds."""

    point: str
    claimed: str
    found: str | None
    holds: bool
    note: str | None = None
    """Where it was found, and how it was read."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Every point of a claim."""

    points: list[Point]

    @property
    def hold(self) -> bool:
        """Whether all points do."""
        return all(point.holds for point in self.points)

    def rows(self) -> Rows:
        """Return a row for each point."""
        return Rows(
            ("point", "holds", "claimed", "found", "note"),
            [
                (one.point, "yes" if one.holds else "NO", one.claimed, one.found, one.note)
                for one in self.points
            ],
        )


def read_claim(path: Path) -> Claim:
    """Read a claim from a YAML file.

    Raises:
        SourceError: it cannot be read, or holds what no claim holds.
    """
    from catalog.sources.documents import read_yaml

    if not path.is_file():
        raise SourceError(f"{path} is no file; name a YAML file that states `run:` and more.")
    try:
        document = read_yaml(path, _MOST_BYTES)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if document.mapping is None:
        said = document.problems[0].message if document.problems else "It is empty."
        raise SourceError(f"{path} is no claim: {said}")
    stated = document.mapping
    for key in stated:
        if key not in _KEYS:
            raise SourceError(f"{path}: no claim has {key!r}; it takes {', '.join(_KEYS)}.")
    if not isinstance(stated.get("run"), str):
        raise SourceError(f"{path} names no run; write `run: ENTITY/PROJECT/ID`, or the id alone.")
    return _claim(path, stated)


def _claim(path: Path, stated: Mapping[str, Any]) -> Claim:
    time = stated.get("time")
    zone = stated.get("zone")
    variants = stated.get("variants")
    moment = None
    if time is not None:
        try:
            moment = datetime.fromisoformat(str(time))
        except ValueError as error:
            raise SourceError(
                f"{path}: {time!r} is no time; write it as 2025-10-17 19:29:34, with a zone "
                "(+09:00) where you know it."
            ) from error
    if zone is not None and _offset(str(zone)) is None:
        raise SourceError(f"{path}: {zone!r} is no zone; write an offset such as +09:00.")
    if variants is not None and (not isinstance(variants, int) or isinstance(variants, bool)):
        raise SourceError(f"{path}: variants takes a whole number, not {variants!r}.")
    config, metrics = stated.get("config") or {}, stated.get("metrics") or {}
    if not isinstance(config, dict) or not isinstance(metrics, dict):
        raise SourceError(f"{path}: config and metrics take `key: value` lines.")
    return Claim(
        run=str(stated["run"]),
        experiment=_text(stated.get("experiment")),
        folder=_text(stated.get("folder")),
        time=moment,
        zone=_text(zone),
        config=dict(_flat(config)),
        metrics={str(name): _tolerant(path, name, value) for name, value in metrics.items()},
        variants=variants,
    )


def _tolerant(path: Path, name: object, value: Any) -> tuple[float, float]:
    """Return a number and by how much it may be off: half of its last digit, unless stated."""
    tolerance = None
    if isinstance(value, dict):
        value, tolerance = value.get("value"), value.get("tolerance")
    numbers = [one for one in (value, tolerance) if one is not None]
    if value is None or any(isinstance(one, bool | str | list | dict) for one in numbers):
        raise SourceError(
            f"{path}: {name} takes a number, or `{{value: 0.952, tolerance: 0.001}}`."
        )
    if tolerance is None:
        digits = len(f"{value!r}".partition(".")[2]) if "e" not in f"{value!r}" else 9
        tolerance = 0.5 * 10**-digits
    return float(value), float(tolerance)


def validate(reader: Reader, claim: Claim) -> Verdicts:
    """Check every point of a claim.

    Args:
        reader: an open catalog.
        claim: what a person states.

    Raises:
        NotFound: there is no run of that id.
        Ambiguous: several runs have it.
    """
    number = find_run(reader, claim.run.rpartition("/")[2])
    run = reader.run(_RUN, {"id": number}).dicts()[0]
    files = reader.run(_CHECKPOINTS, {"id": number}).dicts()
    return Verdicts([*_points(reader, claim, number, run, files)])


def _points(
    reader: Reader, claim: Claim, number: int, run: dict[str, Any], files: list[dict[str, Any]]
) -> Iterator[Point]:
    names = [run["entity"], run["project"], run["run"]]
    stated = claim.run.split("/")
    own = [name or "" for name in names][-len(stated) :]
    yield Point("run", claim.run, "/".join(filter(None, names)), stated == own)
    if claim.experiment is not None:
        yield _experiment(claim.experiment, run, files)
    if claim.folder is not None:
        yield _folder(reader, claim.folder, number, run)
    if claim.time is not None:
        yield _time(claim.time, claim.zone, run, files)
    for key, value in claim.config.items():
        found = reader.run(_VALUES, {"id": number, "key": key}).dicts()
        texts = [row["text"] for row in found]
        holds = bool(texts) and _same(texts[0], value)
        yield Point(
            f"config {key}", _shown(value), texts[0] if texts else None, holds,
            found[0]["file"] if found else "No config of the run has this key.",
        )  # fmt: skip
    for name, (value, tolerance) in claim.metrics.items():
        found = reader.run(_SUMMARIES, {"id": number, "name": name}).dicts()
        near = next((row for row in found if abs(row["value"] - value) <= tolerance), None)
        row = near or (found[0] if found else None)
        yield Point(
            f"metric {name}", f"{value:g} ± {tolerance:g}", f"{row['value']:.7g}" if row else None,
            near is not None, row["file"] if row else "The run's summary has no such metric.",
        )  # fmt: skip
    if claim.variants is not None:
        below = [row for row in files if claim.folder is None or _below(row["path"], claim.folder)]
        listed = ", ".join(row["path"].rpartition("/")[2] for row in below[:8])
        yield Point(
            "variants", str(claim.variants), str(len(below)), len(below) == claim.variants, listed
        )


def _experiment(claimed: str, run: dict[str, Any], files: list[dict[str, Any]]) -> Point:
    if run["display_name"] == claimed:
        return Point("experiment", claimed, claimed, True, "the run's display name")
    folder = next(
        (part for row in files for part in row["path"].split("/")[:-1] if part == claimed), None
    )
    if folder is not None:
        return Point("experiment", claimed, folder, True, "a folder of its checkpoints")
    return Point("experiment", claimed, run["display_name"], False, "the run's display name")


def _folder(reader: Reader, claimed: str, number: int, run: dict[str, Any]) -> Point:
    rows = reader.run(_BELOW, {"folder": f"{claimed.strip('/')}/"}).dicts()
    others = [row["path"] for row in rows if row["run"] != number]
    found = f"{len(rows) - len(others)} of {len(rows)} checkpoints are of {run['run']}"
    note = f"not {others[0]}" if others else None
    return Point("folder", claimed, found, bool(rows) and not others, note)


def _time(claimed: datetime, zone: str | None, run: dict[str, Any], files: list[Any]) -> Point:
    """Compare a time with all that the run and its files state, in each zone it may be read in."""
    text = claimed.isoformat(sep=" ")
    moments = [("the run's start", run["started_at"]), ("the run's end", run["ended_at"])]
    moments += [(f"writing of {row['path']}", row["modified_at"]) for row in files]
    nearest: tuple[timedelta, datetime, str] | None = None
    for reading, moment in _readings(claimed, zone, run["started_zone"]):
        for what, stated in moments:
            if stated is not None:
                other = datetime.fromisoformat(stated)
                found = (abs(other - moment), other, f"{what}, {reading}")
                if nearest is None or found[0] < nearest[0]:
                    nearest = found
    if nearest is None:
        return Point("time", text, None, False, "No file states a time.")
    gap, other, note = nearest
    holds = gap < _SAME_TIME
    return Point(
        "time",
        text,
        f"{other:%Y-%m-%d %H:%M:%SZ}",
        holds,
        note if holds else f"{_length(gap)} off: {note}",
    )


def _readings(
    claimed: datetime, zone: str | None, local: str | None
) -> Iterator[tuple[str, datetime]]:
    if claimed.tzinfo is not None:
        yield "read in the zone that it states", claimed.astimezone(UTC)
        return
    if zone is not None:
        offset = _offset(zone)
        if offset is not None:
            yield f"read as {zone}", claimed.replace(tzinfo=offset).astimezone(UTC)
        return
    yield "read as UTC", claimed.replace(tzinfo=UTC)
    offset = _offset(local) if local else None
    if offset is not None and offset != UTC:
        yield f"read as the run's local time, {local}", claimed.replace(tzinfo=offset)


def _offset(text: str) -> timezone | None:
    if text.upper() in {"Z", "UTC"}:
        return UTC
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    length = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-length if match[1] == "-" else length) if length < timedelta(days=1) else None


def _length(gap: timedelta) -> str:
    seconds = int(gap.total_seconds())
    return f"{seconds} s" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.strip('/')}/")


def _same(text: str | None, value: Any) -> bool:
    if text == _shown(value):
        return True
    try:
        return not isinstance(value, bool) and float(text or "") == float(value)
    except (TypeError, ValueError):
        return False


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
