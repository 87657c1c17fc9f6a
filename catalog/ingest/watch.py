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
    through every `interval` seconds, which opens no file that did not change.

    Args:
        paths: the trees, absolute.
        interval: seconds between two looks.
    """
    if find_spec("watchfiles") is None:
        while True:
            time.sleep(interval)
            yield list(paths)
    watchfiles = import_module("watchfiles")
    for changed in watchfiles.watch(*paths, watch_filter=None, step=QUIET_MS, debounce=60_000):
        yield _folders([Path(path) for _change, path in changed], paths)


def _folders(changed: Sequence[Path], paths: Sequence[Path]) -> list[Path]:
    """Return the nearest folders above what changed that are there."""
    folders: set[Path] = set()
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
