"""Walk a tree once, never out of it, and ask for the state of a file only if a reader wants it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from catalog.sources.facts import Entry, Listing, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from catalog.ingest.ignore import Ignored

SKIPPED = frozenset({".git", "node_modules", "__pycache__", "site-packages", ".hg", ".svn"})
"""Folders that hold no training output and may hold a million files."""

UNREAD = (
    ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".svg", ".wav", ".mp3",
    ".flac", ".mp4", ".avi", ".py", ".pyc", ".npy",
)  # fmt: skip
"""Endings that no reader wants: pictures, sound and code, of which a tree may hold a million."""

IGNORE_FILE = ".catalogignore"
VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
"""The name that tells of a folder that it is one; such a folder is not entered."""
MAX_IGNORE_FILE = 1024 * 1024
"""Characters of patterns that are read of one file."""
MAX_DEPTH = 5
"""Levels of directories below one that are looked at to tell what it is."""
MAX_AHEAD = 256
"""Directories below one that are looked at for the same."""


_set = object.__setattr__  # the type checker holds an entry to be frozen


class _Folder(Entry):
    """A directory, of which nothing is asked but its name."""

    __slots__ = ()
    kind = "directory"
    size = mtime_ns = inode = 0
    target = link = None

    def __init__(self, name: str) -> None:
        _set(self, "name", name)


class _File(Entry):
    """A regular file whose state is asked for when a reader first looks at it."""

    __slots__ = ("_found",)
    _found: os.DirEntry[str]
    kind = "file"
    target = link = None

    def __init__(self, found: os.DirEntry[str]) -> None:
        _set(self, "name", found.name)
        _set(self, "_found", found)

    def __getattr__(self, name: str) -> object:
        # Called for the slots that are not set yet, and for nothing else.
        if name not in {"size", "mtime_ns", "inode"}:
            raise AttributeError(name)
        try:
            status = self._found.stat(follow_symlinks=False)
            state = (status.st_size, status.st_mtime_ns, status.st_ino)
        except OSError:
            state = (0, 0, 0)  # it vanished between the listing and the look; reading it will tell
        size, mtime_ns, inode = state
        _set(self, "size", size)
        _set(self, "mtime_ns", mtime_ns)
        _set(self, "inode", inode)
        return size if name == "size" else mtime_ns if name == "mtime_ns" else inode


class _Kept(NamedTuple):
    """What is kept of a directory's entries."""

    entries: tuple[Entry, ...] | None
    """None for a directory that cannot be listed, or is not looked into."""
    ignored: Ignored | None
    """What holds for the directories in it."""


class _Lister:
    """Lists the directories in one directory, a bounded number of them and to a bounded depth."""

    __slots__ = ("_budget", "_depth", "_found", "_path", "_scan")

    def __init__(
        self, scan: Scan, path: str, found: _Kept, depth: int = MAX_DEPTH, *budget: list[int]
    ) -> None:
        self._scan = scan
        self._path = path
        self._found = found
        self._depth = depth
        self._budget = budget[0] if budget else [MAX_AHEAD]

    def list(self, name: str) -> Listing | None:
        """Return a directory as the walk will, see `Listing.below`."""
        scan, entries = self._scan, self._found.entries or ()
        prefix = "" if self._path == "." else f"{self._path}/"
        is_there = any(one.name == name and one.kind == "directory" for one in entries)
        if not is_there or not self._depth or not scan.enters(prefix, name):
            return None
        path = f"{prefix}{name}"
        found = scan.ahead.get(path)
        if found is None:
            if not self._budget[0]:
                return None
            self._budget[0] -= 1
            found = scan.ahead[path] = scan.kept(path, self._found.ignored)
        if found.entries is None:
            return None
        inner = _Lister(scan, path, found, self._depth - 1, self._budget)
        return Listing(path, found.entries, inner.list)


@dataclass(slots=True)
class Scan:
    """A walk over one tree or a part of it.

    Args:
        root: absolute path of the tree.
        below: where to start, relative to the root; `.` for all of it.
        pruned: absolute paths that are not entered (trees that are roots of their own).
        ignored: patterns of what to leave out, to which `.catalogignore` files in the tree add.
    """

    root: Path
    below: str = "."
    pruned: Collection[str] = ()
    ignored: Ignored | None = None
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    """(path below the root, problem) of what could not be listed."""
    unlisted: list[str] = field(default_factory=list)
    """Folders below the root that are there and cannot be listed."""
    is_gone: bool = False
    """Whether there was no such folder as the one to start with."""
    ahead: dict[str, _Kept] = field(default_factory=dict)
    """Directories that were listed for one above them, until the walk comes to them."""

    def listings(self) -> Iterator[Listing]:
        """Yield every directory, parents first, names in order.

        Links to directories are not entered; a virtual environment (a folder with
        `pyvenv.cfg`), the folders of `SKIPPED` and what is ignored are left out.
        """
        pending = [(self.below, self.patterns_above())]
        while pending:
            path, ignored = pending.pop()
            found = self.ahead.pop(path, None) or self.kept(path, ignored)
            if found.entries is None:
                continue
            yield Listing(path, found.entries, _Lister(self, path, found).list)
            prefix = "" if path == "." else f"{path}/"
            pending.extend(
                (f"{prefix}{entry.name}", found.ignored)
                for entry in reversed(found.entries)
                if entry.kind == "directory" and self.enters(prefix, entry.name)
            )

    def enters(self, prefix: str, name: str) -> bool:
        """Say whether a directory is looked into, by its place."""
        if name in SKIPPED:
            return False
        return not (self.pruned and str(self.root / prefix / name) in self.pruned)

    def kept(self, path: str, ignored: Ignored | None) -> _Kept:
        """List a directory, without what is ignored.

        Args:
            path: relative to the root.
            ignored: what the directories above it leave out.
        """
        entries = self._list(path)
        if entries is None or VIRTUAL_ENVIRONMENT in entries:
            return _Kept(None, ignored)
        prefix = "" if path == "." else f"{path}/"
        if IGNORE_FILE in entries:
            ignored = self.with_patterns_of(path, ignored)
        kept = [entries[name] for name in sorted(entries)]
        if ignored is not None:
            kept = [
                entry
                for entry in kept
                if not ignored.matches(
                    f"{prefix}{entry.name}{'/' if entry.kind == 'directory' else ''}"
                )
            ]
        return _Kept(tuple(kept), ignored)

    def patterns_above(self) -> Ignored | None:
        """Return what the folders above `below` ignore."""
        ignored = self.ignored
        above = "."
        for name in self.below.split("/") if self.below != "." else ():
            ignored = self.with_patterns_of(above, ignored)
            above = name if above == "." else f"{above}/{name}"
        return ignored

    def with_patterns_of(self, folder: str, ignored: Ignored | None) -> Ignored | None:
        """Return patterns with those that a folder's own file adds to them."""
        path = self.root / folder / IGNORE_FILE
        if not path.is_file():
            return ignored
        from catalog.ingest.ignore import Ignored

        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                lines = file.read(MAX_IGNORE_FILE).splitlines()
        except OSError as error:
            self.problems.append(
                (
                    f"{folder}/{IGNORE_FILE}",
                    Problem(
                        "unreadable-ignore-file",
                        f"Its patterns cannot be read ({error.strerror}), so nothing is left out "
                        "for its sake; give yourself permission to read it, then ingest again.",
                    ),
                )
            )
            return ignored
        return (ignored or Ignored()).within(folder, lines)

    def _list(self, path: str) -> dict[str, Entry] | None:
        folder = str(self.root) if path == "." else f"{self.root}/{path}"
        entries: dict[str, Entry] = {}
        try:
            with os.scandir(folder) as names:
                for found in names:
                    name = found.name
                    if name.endswith(UNREAD):
                        continue
                    # The kind stands in the directory; only links and oddities need a look.
                    if not name.isascii() and not self._is_text(path, name):
                        continue
                    if found.is_file(follow_symlinks=False):
                        entries[name] = _File(found)
                    elif found.is_dir(follow_symlinks=False):
                        entries[name] = _Folder(name)
                    elif (entry := self._odd(found)) is not None:
                        entries[name] = entry
        except (FileNotFoundError, NotADirectoryError):
            # Below the start it vanished between two listings.
            self.is_gone = self.is_gone or path == self.below
            return None
        except OSError as error:
            self.unlisted.append(path)
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
        return entries

    def _is_text(self, parent: str, name: str) -> bool:
        """Say whether a name can be kept; one that cannot becomes a problem."""
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode("utf-8", "backslashreplace")
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
            return False
        return True

    def _odd(self, found: os.DirEntry[str]) -> Entry | None:
        """Return the entry of what is no regular file and no directory."""
        try:
            status = found.stat(follow_symlinks=False)
        except OSError:
            return None  # it vanished between the listing and the look
        if stat.S_ISLNK(status.st_mode):
            return self._link(found, status)
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
