"""Walk a tree once, with one stat a file, and never out of it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from catalog.sources.facts import Entry, Listing, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SKIPPED = frozenset({".git", "node_modules", "__pycache__", "site-packages", ".hg", ".svn"})
"""Folders that hold no training output and may hold a million files."""


@dataclass(slots=True)
class Scan:
    """A walk over one tree or a part of it.

    Args:
        root: absolute path of the tree.
        below: where to start, relative to the root; `.` for all of it.
        pruned: absolute paths that are not entered (trees that are roots of their own).
    """

    root: Path
    below: str = "."
    pruned: Collection[str] = ()
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    """(path below the root, problem) of what could not be listed."""

    def listings(self) -> Iterator[Listing]:
        """Yield every directory, parents first, names in order.

        Links to directories are not entered; a virtual environment (a folder with
        `pyvenv.cfg`) and the folders of `SKIPPED` are left out.
        """
        pending = [self.below]
        while pending:
            path = pending.pop()
            listing = self._list(path)
            if listing is None:
                continue
            yield listing
            prefix = "" if path == "." else f"{path}/"
            pending.extend(
                f"{prefix}{entry.name}"
                for entry in reversed(listing.entries)
                if entry.kind == "directory"
                and entry.name not in SKIPPED
                and str(self.root / prefix / entry.name) not in self.pruned
            )

    def _list(self, path: str) -> Listing | None:
        folder = self.root if path == "." else self.root / path
        entries: list[Entry] = []
        try:
            with os.scandir(folder) as names:
                for name in names:
                    entry = self._entry(path, name)
                    if entry is not None:
                        entries.append(entry)
        except OSError as error:
            self.problems.append(
                (
                    path,
                    Problem(
                        "unreadable-folder",
                        f"The folder cannot be listed ({error.strerror}); "
                        "give yourself permission to read it, then ingest again.",
                    ),
                )
            )
            return None
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            return None
        entries.sort(key=lambda entry: entry.name)
        return Listing(path, tuple(entries))

    def _entry(self, parent: str, found: os.DirEntry[str]) -> Entry | None:
        try:
            found.name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(found.name).decode("utf-8", "backslashreplace")
            self.problems.append(
                (
                    shown if parent == "." else f"{parent}/{shown}",
                    Problem(
                        "undecodable-name",
                        "The name is not UTF-8 and cannot be kept as text; "
                        "rename it, then ingest again.",
                    ),
                )
            )
            return None
        try:
            status = found.stat(follow_symlinks=False)
        except OSError:
            return None  # it vanished between the listing and the look
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            return self._link(found, status)
        if stat.S_ISDIR(mode):
            return Entry(found.name, "directory")
        if stat.S_ISREG(mode):
            return Entry(found.name, "file", status.st_size, status.st_mtime_ns, status.st_ino)
        return Entry(found.name, "other", 0, status.st_mtime_ns, status.st_ino)

    def _link(self, found: os.DirEntry[str], status: os.stat_result) -> Entry:
        target: str | None = None
        where: Literal["inside", "outside", "dead"] = "dead"
        aim = status
        try:
            target = os.fsencode(os.readlink(found.path)).decode("utf-8", "backslashreplace")
            real = Path(os.path.realpath(found.path))
            aim = real.stat()
        except OSError:
            pass
        else:
            where = "inside" if real.is_relative_to(self.root) else "outside"
        is_file = where == "inside" and stat.S_ISREG(aim.st_mode)
        seen = aim if is_file else status
        size = aim.st_size if is_file else 0
        return Entry(found.name, "link", size, seen.st_mtime_ns, seen.st_ino, target, where)
