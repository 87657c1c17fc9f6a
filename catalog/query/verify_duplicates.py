"""Whether checkpoints that are listed as equal are so: their bytes are read, nothing is stored."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.errors import SourceError
from catalog.ingest.wholes import verified_sum
from catalog.query.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from catalog.query.connection import Reader
    from catalog.sources.checkpoint.sums import Verified

COLUMNS: Final = (
    "weights_fingerprint", "equality", "copies", "name_kind", "path", "size", "spare_bytes",
    "detail", "root",
)  # fmt: skip
_LISTED: Final = """
SELECT d.weights_fingerprint, d.copies, d.name_kind, d.path, d.size, d.root, d.checkpoint_id,
       r.host, f.mtime_ns, f.inode
FROM duplicate_checkpoints d
JOIN file f ON f.id = d.checkpoint_id
JOIN root r ON r.id = f.root_id
WINDOW same AS (PARTITION BY d.weights_fingerprint)
ORDER BY SUM(d.spare_bytes) OVER same DESC, SUM(d.stated_spare_bytes) OVER same DESC,
         d.weights_fingerprint, d.path
"""


class _Found(NamedTuple):
    """What came of reading one file of a group."""

    weights: str | None
    detail: str | None
    """Why it is not known, or what is damaged."""
    is_damaged: bool = False


def verify_duplicates(
    reader: Reader,
    host: str,
    limit: int | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Rows:
    """Read what `duplicates` lists; see `Catalog.verify_duplicates`.

    Args:
        reader: an open catalog; it is not asked while files are read.
        host: name of this machine.
        limit: of as many rows as that, and the rest of the last group, files are read.
        progress: called with (stage, done, total).
    """
    listed = reader.run(_LISTED).dicts()
    groups = [list(rows) for _, rows in groupby(listed, itemgetter("weights_fingerprint"))]
    count, wanted = 0, 0
    while wanted < len(groups) and (limit is None or count < limit):
        count += len(groups[wanted])
        wanted += 1
    told = progress or (lambda *_: None)
    told("verify", 0, count)
    rows: list[tuple[Any, ...]] = []
    for group in groups[:wanted]:
        known: dict[tuple[int, int], _Found] = {}
        found = []
        for row in group:
            found.append(_read(row, host, known))
            told("verify", len(rows) + len(found), count)
        rows += _judged(group, found)
    return Rows(COLUMNS, rows, truncated=wanted < len(groups))


def _elsewhere(host: str) -> str:
    return (
        f"It is on the host {host}; run this there. If that is this one, set CATALOG_HOST={host}."
    )


def _read(row: dict[str, Any], host: str, known: dict[tuple[int, int], _Found]) -> _Found:
    """Read one file; one that has several names is read once."""
    if row["host"] != host:
        return _Found(None, _elsewhere(row["host"]))
    place = Path(row["root"], row["path"])
    try:
        status = place.stat()
        same = (status.st_dev, status.st_ino)
        if same not in known:
            known[same] = _told(verified_sum(place))
        after = place.stat()
    except SourceError as error:
        return _Found(None, f"It cannot be read: {error}")
    except OSError as error:
        return _Found(None, f"It cannot be read: {error.strerror or error}.")
    is_file = row["inode"] != 0
    if is_file and (after.st_size, after.st_mtime_ns) != (row["size"], row["mtime_ns"]):
        return _Found(None, "It changed since it was ingested; ingest it again.")
    return known[same]


def _told(sums: Verified) -> _Found:
    if sums.damage is not None:
        return _Found(None, sums.damage, is_damaged=True)
    if sums.weights_sha256 is None:
        return _Found(None, "It holds no weights that can be compared.")
    return _Found(sums.weights_sha256, None)


def _judged(group: Sequence[dict[str, Any]], found: Sequence[_Found]) -> list[tuple[Any, ...]]:
    """Return the rows of a group, with what is told of all and of each."""
    sums = {one.weights for one in found if one.weights is not None}
    if any(one.is_damaged for one in found):
        equality = "damaged"
    elif len(sums) > 1:
        equality = "differs"
    elif all(one.weights is not None for one in found):
        equality = "verified"
    else:
        equality = "not verified"
    largest = _largest(group, found)
    most = max(largest.values(), key=lambda row: row["size"], default=None)
    rows = []
    for row, one in zip(group, found, strict=True):
        mate = largest.get(one.weights or "")
        is_spare = mate is not None and mate is not row and row["name_kind"] == "file"
        detail = one.detail
        if detail is None and len(sums) > 1 and most is not None and mate is not most:
            detail = f"Its weights are not those of {most['path']}."
        rows.append(
            (
                row["weights_fingerprint"],
                equality,
                row["copies"],
                row["name_kind"],
                row["path"],
                row["size"],
                row["size"] if is_spare else 0,
                detail,
                row["root"],
            )
        )
    return rows


def _largest(group: Sequence[dict[str, Any]], found: Sequence[_Found]) -> dict[str, dict[str, Any]]:
    """Return the file that is kept of those with the same sum, by the sum."""
    kept: dict[str, dict[str, Any]] = {}
    pairs = zip(group, found, strict=True)
    for row, one in sorted(pairs, key=lambda pair: (-pair[0]["size"], pair[0]["checkpoint_id"])):
        if one.weights is not None and row["name_kind"] == "file":
            kept.setdefault(one.weights, row)
    return kept
