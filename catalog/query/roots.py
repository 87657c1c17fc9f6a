"""What the catalog knows at a place on disk, asked where the disk itself has nothing there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import DatabaseMissing, NotACatalog, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.query.connection import Reader

_ROOTS = """
SELECT id, path FROM root
WHERE host = CAST(:host AS TEXT)
   OR id IN (SELECT root_id FROM root_host WHERE host = CAST(:host AS TEXT))
"""
_BELOW = """
SELECT 1 FROM file
WHERE root_id = :root
  AND SUBSTR(path, 1, LENGTH(CAST(:folder AS TEXT)) + 1) = CAST(:folder AS TEXT) || '/'
LIMIT 1
"""


def knows(opened: Callable[[], Reader], host: str, path: Path) -> bool:
    """Say whether a path is a known root, lies around one, or holds known files of one.

    Args:
        opened: opens the catalog; where there is none, nothing is known.
        host: the machine that the path is of.
        path: absolute; nothing is there.

    Raises:
        SourceError: only other hosts know it. It may be gone, or not be mounted here.
    """
    try:
        with opened() as reader:
            if _knows(reader, host, path):
                return True
            others = reader.run("SELECT DISTINCT host FROM root ORDER BY host").rows
            for (other,) in others:
                if other != host and _knows(reader, other, path):
                    raise SourceError(
                        f"{path} does not exist on this machine, whose name is {host}, but is "
                        f"known of host {other}. If it is gone, say so with --host {other}."
                    )
            return False
    except (DatabaseMissing, NotACatalog):
        return False  # nothing was ever ingested


def _knows(reader: Reader, host: str, path: Path) -> bool:
    roots = {Path(root): int(number) for number, root in reader.run(_ROOTS, {"host": host}).rows}
    if any(root.is_relative_to(path) for root in roots):
        return True
    above = [root for root in roots if path.is_relative_to(root)]
    if not above:
        return False
    root = max(above, key=lambda one: len(one.parts))
    folder = path.relative_to(root).as_posix()
    return bool(reader.run(_BELOW, {"root": roots[root], "folder": folder}).rows)
