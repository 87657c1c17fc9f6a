"""What became of known files that a scan did not find: gone, or there and left out.

A file that a pattern leaves out is not gone, and neither is one that is told of as a part of a
checkpoint now, and was one by itself before. It keeps all that is known of it, as a missing one
does, but no ingest found it gone: `file.missing_ingest_id` stays empty.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from catalog.ingest.scan import VIRTUAL_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from catalog.ingest.ignore import Ignored
    from catalog.ingest.known import Left
    from catalog.ingest.scan import Scan


class Absent(NamedTuple):
    """The numbers of the files that are absent in another way than before."""

    gone: list[int]
    left_out: list[int]


def absent(scan: Scan, files: Iterable[Left], is_part: Callable[[str], bool]) -> Absent:
    """Tell of known files that were not found why they were not.

    What lies below a folder that cannot be listed just now stays as it was: a disk that fails for
    a moment takes nothing away.

    Args:
        scan: which is over.
        files: those of its tree that it did not find.
        is_part: says of a path whether it is in a checkpoint that is a folder.
    """
    result = Absent([], [])
    patterns = _Patterns(scan)
    unlisted = tuple(folder if folder == "." else f"{folder}/" for folder in scan.unlisted)
    for one in files:
        if "." in unlisted or one.path.startswith(unlisted):
            continue
        if not scan.is_gone and (
            patterns.leave_out(one.path)
            or (is_part(one.path) and os.path.lexists(scan.root / one.path))
        ):
            if not one.is_left_out:
                result.left_out.append(one.number)
        elif not one.is_gone:
            result.gone.append(one.number)
    return result


class _Patterns:
    """The patterns that hold in each folder of a tree, looked up when asked for."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._known: dict[str, tuple[Ignored | None, bool]] = {}

    def leave_out(self, path: str) -> bool:
        """Say whether a file or directory is there and left out."""
        whole = self._scan.root / path
        if not os.path.lexists(whole):
            return False
        ignored, is_entered = self._in(path.rpartition("/")[0] or ".")
        if not is_entered:
            return True
        if not whole.is_dir():
            return ignored is not None and ignored.matches(path)
        # A checkpoint that is a directory is none without its parts.
        inside, is_entered = self._in(path)
        return not is_entered or (
            inside is not None
            and any(
                inside.matches(f"{path}/{name}") or inside.matches(f"{path}/{name}/")
                for name in _names(whole)
            )
        )

    def _in(self, folder: str) -> tuple[Ignored | None, bool]:
        """Return the patterns for what lies in a folder, and whether a scan enters it."""
        if folder not in self._known:
            scan = self._scan
            ignored, is_entered = scan.patterns_above(), True
            if folder not in {scan.below, "."}:
                ignored, is_entered = self._in(folder.rpartition("/")[0] or ".")
                is_entered &= ignored is None or not ignored.matches(f"{folder}/")
            is_entered &= not os.path.lexists(scan.root / folder / VIRTUAL_ENVIRONMENT)
            self._known[folder] = scan.with_patterns_of(folder, ignored), is_entered
        return self._known[folder]


def _names(folder: os.PathLike[str]) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
