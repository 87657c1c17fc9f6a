"""Readings of a file that grows, put together and compared with one reading of all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from catalog.sources.facts import Facts, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


def grown(
    path: Path, cuts: Iterable[int], read: Callable[[Path, str | None], Facts]
) -> tuple[Facts, int]:
    """Cut a file at each place in turn, then restore it, and read what came each time.

    Args:
        path: the file.
        cuts: bytes that it has at first, then, and so on.
        read: called with the file and the bookmark of the reading before.

    Returns:
        All that was told, as one reading of the whole would tell it, and how many readings went
        on where the one before had ended. After each, what was told is compared.

    """
    whole = path.read_bytes()
    series: tuple[Series, ...] = ()
    bookmark = None
    continued = 0
    for cut in [*cuts, len(whole)]:
        path.write_bytes(whole[:cut])
        facts = read(path, bookmark)
        series, bookmark = _together(series, facts), facts.bookmark
        continued += facts.continues
        cold = read(path, None)
        assert _told(replace(facts, series=series)) == _told(cold)
        # Without one the next reading is whole again, where what is new alone has no places.
        assert bookmark in (None, cold.bookmark)
    return replace(facts, series=series), continued


def _together(before: Sequence[Series], after: Facts) -> tuple[Series, ...]:
    """Put the points of a later reading behind those of an earlier one."""
    if not after.continues:
        return after.series
    found = {one.name: one for one in before}
    for one in after.series:
        old = found.get(one.name, Series(one.name, (), (), ()))
        found[one.name] = Series(
            one.name, old.steps + one.steps, old.values + one.values, old.times + one.times
        )
    return tuple(found.values())


def _told(facts: Facts) -> str:
    # repr, since NaN is not equal to itself.
    return repr(replace(facts, bookmark=None, continues=False))
