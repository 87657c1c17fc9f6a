"""Wait until something changes in a tree, by the events of the file system or by looking."""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERVAL = 10.0
"""Seconds between two looks where there are no events."""

QUIET_MS = 2_000
"""Events are gathered until there was none for so long: a file is read when it is whole."""

MOST_FOLDERS = 100
"""Where more folders than this changed at once, the whole trees are looked through."""


def changes(paths: Sequence[Path], interval: float = INTERVAL) -> Iterator[list[Path]]:
    """Yield folders to ingest again, for ever: those where something changed, or all paths.

    With the package `watchfiles` the system tells what changed; without it, or where the file
    system gives no events (network mounts: set WATCHFILES_FORCE_POLLING), the trees are looked
    through every `interval` seconds, which opens no file that did not change. So they are as
    long as one of them is gone, for nothing tells when it is back.

    Args:
        paths: the trees, absolute.
        interval: seconds between two looks.
    """

    def are_there() -> bool:
        return all(path.is_dir() for path in paths)

    is_whole = are_there()
    while True:
        if find_spec("watchfiles") is None or not is_whole:
            time.sleep(interval)
            is_whole = are_there()  # before the look, which then sees all that came meanwhile
            yield list(paths)
            continue
        watchfiles = import_module("watchfiles")
        for changed in watchfiles.watch(*paths, watch_filter=None, step=QUIET_MS, debounce=60_000):
            is_whole = are_there()
            yield _folders([Path(path) for _change, path in changed], paths)
            if not is_whole:
                break
        else:
            return


def _folders(changed: Sequence[Path], paths: Sequence[Path]) -> list[Path]:
    """Return the nearest folders above what changed that are there, and the trees that are not."""
    folders = {path for path in paths if not path.is_dir()}
    for path in changed:
        folder = path.parent
        while not folder.is_dir():
            folder = folder.parent
        # What a folder is may depend on the one above it, so that is looked at as well; a change
        # at the top is one of the whole tree.
        above = folder.parent
        root = next((root for root in paths if folder.is_relative_to(root)), None)
        if root is not None:
            folders.add(above if above.is_relative_to(root) else root)
    return list(paths) if len(folders) > MOST_FOLDERS else sorted(folders)
