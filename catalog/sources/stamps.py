"""Points in time: stamps in folder names, ISO texts, seconds since the epoch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from catalog.sources.facts import Moment

_COMPACT = re.compile(r"(?:^|[_.-])(\d{4})(\d{2})(\d{2})[_-](\d{2})(\d{2})(\d{2})(?!\d)")
_DASHED = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})[_T-](\d{2})-(\d{2})-(\d{2})(?!\d)")
_EPOCH = re.compile(r"(?:^|[_.-])(1\d{9})(?![\d])")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_TIME = re.compile(r"(\d{2})-(\d{2})-(\d{2})")
_OFFSET = re.compile(r"(?:Z|z|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A start time as a folder's name tells it."""

    text: str
    """`YYYY-MM-DDTHH:MM:SS`, without zone."""
    in_utc: bool = False
    """True for seconds since the epoch; otherwise it is the writer's local time."""


@lru_cache(maxsize=4_096)
def stamp_of_path(path: str) -> Stamp | None:
    """Return the innermost stamp in a path's folder names.

    Known spellings: `NAME_YYYYMMDD_HHMMSS`, `YYYY-MM-DD/HH-MM-SS` (Hydra's default, two
    folders), `YYYY-MM-DD_HH-MM-SS`, and ten digits of epoch seconds.

    Args:
        path: names with `/` between them.

    """
    names = path.split("/")
    for index in range(len(names) - 1, -1, -1):
        if stamp := stamp_of_name(names[index]):
            return stamp
        if index and (time := _TIME.fullmatch(names[index])):
            date = _DATE.fullmatch(names[index - 1])
            if date and (text := _iso(*date.groups(), *time.groups())):
                return Stamp(text)
    return None


@lru_cache(maxsize=4_096)
def stamp_of_name(name: str) -> Stamp | None:
    """Return the last stamp in one folder's name, or None."""
    for pattern in (_COMPACT, _DASHED):
        for match in reversed(list(pattern.finditer(name))):
            if text := _iso(*match.groups()):
                return Stamp(text)
    if epoch := _EPOCH.search(name):
        moment = datetime.fromtimestamp(int(epoch[1]), UTC)
        return Stamp(moment.strftime("%Y-%m-%dT%H:%M:%S"), in_utc=True)
    return None


def _iso(*parts: str) -> str | None:
    try:
        return datetime(*(int(part) for part in parts)).isoformat()  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return None


def moment_of_text(raw: str, *, assume_utc: bool = False) -> Moment | None:
    """Return the moment of an ISO 8601 text, or None if it is none.

    Args:
        raw: such as `2026-11-24T00:05:04.403142Z`, with an offset, or without any.
        assume_utc: take a text without offset for UTC (wandb up to 0.17 writes UTC bare).
            Otherwise such a moment has no `utc`.

    """
    text = raw.strip()
    if len(text) < len("YYYYMMDDTHHMM"):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        if not assume_utc:
            return Moment(raw=raw)
        return Moment(raw=raw, utc=_utc(moment.replace(tzinfo=UTC)), zone="Z", basis="assumed")
    try:
        utc = _utc(moment.astimezone(UTC))
    except OverflowError:
        return None
    stated = _OFFSET.search(text)
    zone = stated[0].upper() if stated else "Z"
    return Moment(raw=raw, utc=utc, zone=zone, basis="stated")


def moment_of_epoch(seconds: float, raw: str | None = None) -> Moment | None:
    """Return the moment of seconds since 1970 UTC, or None if no calendar holds it.

    Args:
        seconds: may have a fraction; rounded to microseconds.
        raw: the text that was read, where it differs from the number's own.

    """
    try:
        utc = _utc(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return None
    return Moment(raw=raw if raw is not None else repr(seconds), utc=utc, zone="Z", basis="stated")


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
