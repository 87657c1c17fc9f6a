"""Progress of an ingest on stderr: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress: TypeAlias = Callable[[str, int, int | None], None]
    """Called with a stage, how much of it is done, and of how much (None: not known yet)."""

_LINE_SECONDS = 5.0
"""Seconds between two plain lines of one stage."""
_REDRAW = 0.1
"""Seconds between two drawings of the bars."""


@contextmanager
def showing(*, quiet: bool) -> Iterator[Progress | None]:
    """Give a callback that shows progress until the block ends; None if quiet."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # Drawn from here and not from a thread: processes are not forked beside threads.
    bars = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    with bars:
        tasks = {}
        drawn = 0.0

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal drawn
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            now = time.monotonic()
            due = now - drawn > _REDRAW or done == total
            bars.update(tasks[stage], completed=done, total=total, refresh=due)
            if due:
                drawn = now

        yield show


def _lines() -> Progress:
    """Write a line when a stage ends, and every few seconds while it lasts."""
    written = time.monotonic()

    def show(stage: str, done: int, total: int | None) -> None:
        nonlocal written
        now = time.monotonic()
        if done != total and now - written < _LINE_SECONDS:
            return
        written = now
        sys.stderr.write(f"{stage}: {done}" + (f" of {total}\n" if total is not None else "\n"))

    return show
