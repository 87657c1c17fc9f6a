"""Times as the catalog keeps them: UTC text, and what can be told of local zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BARE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - `isoformat` writes no zone behind it
HALF_HOUR = 1800


def utc_text(moment: datetime) -> str:
    """Return an aware time as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def utc_of_ns(nanoseconds: int) -> str | None:
    """Return nanoseconds since 1970 as UTC text; a file system may state years beyond 9999."""
    try:
        moment = _BARE_EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None
    return moment.isoformat(timespec="microseconds") + "Z"


def parse_utc(text: str) -> datetime:
    """Read the text that `utc_text` made."""
    return datetime.fromisoformat(text)


def zone_between(stamp: str, utc: str, *, slack: float = 120.0) -> str | None:
    """Return the offset of the machine whose local clock said `stamp` when it was `utc`.

    A tracker names a folder by local time and states the same start in UTC, some seconds
    apart; all zones in use differ from UTC by whole quarters of an hour and nearly all by whole
    halves, so rounding the difference to half an hour tells the zone.

    Args:
        stamp: local time without zone, `YYYY-MM-DDTHH:MM:SS`.
        utc: UTC text.
        slack: seconds that the two may differ by after rounding.

    Returns:
        `+09:00` or the like, None if the difference fits no zone.
    """
    difference = (
        datetime.fromisoformat(stamp).replace(tzinfo=UTC) - parse_utc(utc)
    ).total_seconds()
    offset = round(difference / HALF_HOUR) * HALF_HOUR
    if abs(difference - offset) > slack or not -12 * 3600 <= offset <= 14 * 3600:
        return None
    sign = "-" if offset < 0 else "+"
    hours, seconds = divmod(abs(offset), 3600)
    return f"{sign}{hours:02d}:{seconds // 60:02d}"


def local_to_utc(stamp: str, zone: str) -> str:
    """Return local time without zone as UTC text, given the offset of its zone."""
    return utc_text(datetime.fromisoformat(f"{stamp}{zone}"))
