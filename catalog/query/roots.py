"""What the catalog knows at a place on disk, asked where the disk itself has nothing there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.query.connection import Reader

_ROOTS = "SELECT id, path FROM root WHERE host = CAST(:host AS TEXT)"
_BELOW = """
SELECT 1 FROM file
WHERE root_id = :root
  AND SUBSTR(path, 1, LENGTH(CAST(:folder AS TEXT)) + 1) = CAST(:folder AS TEXT) || '/'
LIMIT 1
"""


def knows(reader: Reader, host: str, path: Path) -> bool:
    """Say whether a path is a known root, lies around one, or holds known files of one.

    Args:
        reader: an open catalog.
        host: the machine that the path is of.
        path: absolute.
    """
    roots = {Path(root): int(number) for number, root in reader.run(_ROOTS, {"host": host}).rows}
    if any(root.is_relative_to(path) for root in roots):
        return True
    above = [root for root in roots if path.is_relative_to(root)]
    if not above:
        return False
    root = max(above, key=lambda one: len(one.parts))
    folder = path.relative_to(root).as_posix()
    return bool(reader.run(_BELOW, {"root": roots[root], "folder": folder}).rows)
