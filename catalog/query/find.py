"""Find the one checkpoint that a person means: by path, by a part of it, or by its weights."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, Any

from catalog.errors import Ambiguous, NotFound
from catalog.query.values import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.query.connection import Reader

_FINGERPRINT = re.compile(r"[0-9a-f]{6,}")
_SHOWN = 5
_LOOKED_AT = 1_000
COMPARED = 2_000
"""Names that are compared when a near one is looked for; it takes some milliseconds."""
_FOUND = """
SELECT f.id AS checkpoint_id, r.host AS host, r.path AS root, f.path AS path, f.state AS state,
       f.size AS size, f.mtime_ns AS mtime_ns, f.inode AS inode,
       COALESCE((SELECT MAX(h.seen_at) FROM root_host h WHERE h.root_id = r.id), '') AS seen_at,
       CASE WHEN SUBSTR(f.path, LENGTH(f.path) - LENGTH(CAST(:text AS TEXT)))
                 = '/' || CAST(:text AS TEXT) THEN 0 ELSE 1 END AS loose
FROM root r
CROSS JOIN file f
CROSS JOIN checkpoint k
WHERE f.root_id = r.id AND k.id = f.id AND {condition}
ORDER BY loose, r.path, f.path, r.host LIMIT {limit}
"""
_WAYS = (
    # What is below the root, where the path begins with the root.
    (
        "SUBSTR(CAST(:absolute AS TEXT), 1, LENGTH(RTRIM(r.path, '/')) + 1)"
        " = RTRIM(r.path, '/') || '/'"
        " AND f.path = SUBSTR(CAST(:absolute AS TEXT), LENGTH(RTRIM(r.path, '/')) + 2)"
    ),
    "f.path = CAST(:text AS TEXT)",
    "REPLACE(f.path, CAST(:text AS TEXT), '') <> f.path",
)
"""From the strictest to the loosest; the first that finds something decides. The first two look
paths up, the last one looks at all of them, in the index alone; whole names at the end of a path
(`loose` is 0) come before other parts of it."""
_HOSTS = "SELECT root_id FROM root_host WHERE host = CAST(:host AS TEXT)"
_ON_HOST = f"{_WAYS[0]} AND (r.host = CAST(:host AS TEXT) OR r.id IN ({_HOSTS}))"
"""A path behind the name of a host, as several that fit are shown."""
_BY_DIGEST = tuple(
    f"SUBSTR({column}, 1, LENGTH({digits})) = {digits}"
    for column, digits in (
        # Half a sum is kept of weights; 0.1.0 showed all of it.
        ("k.weights_fingerprint", "SUBSTR(CAST(:text AS TEXT), 1, 32)"),
        ("f.sha256", "CAST(:text AS TEXT)"),
        ("k.weights_sha256", "CAST(:text AS TEXT)"),
    )
)


def find_checkpoint(reader: Reader, text: str, host: str | None = None) -> int:
    """Return the number of the checkpoint that `text` means.

    Args:
        reader: an open catalog.
        text: its path (absolute, below the root, or relative to the working directory), a
            part of the path that no other has, or six or more digits of its weights'
            fingerprint or its SHA-256; or `HOST:/PATH`, where several hosts have that path.
        host: of files that several hosts have at one path, this one's is meant.

    Raises:
        NotFound: no checkpoint fits; the text names near ones.
        Ambiguous: several fit; the text names some of them.
    """
    wanted = text.strip().removeprefix("./").rstrip("/")
    ways = list(_WAYS)
    if _FINGERPRINT.fullmatch(wanted):
        ways[2:2] = _BY_DIGEST
    values = {"text": wanted, "absolute": os.path.abspath(wanted)}  # noqa: PTH100 - a string, not a file
    named, colon, path = wanted.partition(":/")
    if colon and named and path:
        ways.append(_ON_HOST)
    for condition in ways if wanted else ():
        if condition is _ON_HOST:
            values = {"text": f"/{path}", "absolute": f"/{path}", "host": named}
        sql = _FOUND.format(condition=condition, limit=_LOOKED_AT)
        used = {name: value for name, value in values.items() if f":{name}" in sql}
        found = reader.run(sql, used).dicts()
        if found:
            return _only([row for row in found if row["loose"] == found[0]["loose"]], text, host)
    raise NotFound(f"No checkpoint fits {text!r}. {_near(reader, wanted)}")


def _only(found: list[dict[str, Any]], text: str, host: str | None) -> int:
    present = _each_once([row for row in found if row["state"] == "present"] or found, host)
    if len(present) == 1:
        return int(present[0]["checkpoint_id"])
    shown = [_name(row, present) for row in present[:_SHOWN]]
    more = len(present) - len(shown)
    cut = len(found) == _LOOKED_AT
    count = f"{_LOOKED_AT} or more" if cut else str(len(present))
    rest = "\n  and others" if cut else f"\n  and {more} more" if more else ""
    raise Ambiguous(
        f"{count} checkpoints fit {text!r}; name one of them in full:"
        + "".join(f"\n  {visible(path)}" for path in shown)
        + rest
    )


def _each_once(rows: list[dict[str, Any]], host: str | None) -> list[dict[str, Any]]:
    """Return the rows without those of one file that several hosts have seen at one path.

    Args:
        rows: of files.
        host: of different files at one path, its own is meant.
    """
    places: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        places.setdefault(_absolute(row), []).append(row)
    meant: set[int] = set()
    for several in places.values():
        several.sort(key=lambda row: (row["host"] == host, row["seen_at"]), reverse=True)
        first = several[0]
        if first["host"] == host:
            meant.add(first["checkpoint_id"])
            continue
        files: dict[tuple[int, ...], dict[str, Any]] = {}
        for row in several:
            # A folder has no inode of its own.
            files.setdefault((row["size"], row["mtime_ns"], row["inode"]), row)
        meant.update(row["checkpoint_id"] for row in files.values())
    return [row for row in rows if row["checkpoint_id"] in meant]


def _absolute(row: dict[str, Any]) -> str:
    return f"{row['root'].rstrip('/')}/{row['path']}"


def _name(row: dict[str, Any], among: list[dict[str, Any]]) -> str:
    """Return a checkpoint's name that no other of several has."""
    if len({other["host"] for other in among}) > 1:
        return f"{row['host']}:{_absolute(row)}"
    return _absolute(row) if len({other["root"] for other in among}) > 1 else str(row["path"])


def _near(reader: Reader, text: str) -> str:
    # The same file name is the best hint; the rest fills up what is compared.
    name = text.rpartition("/")[2]
    rows = reader.run(
        "SELECT path FROM checkpoint_file ORDER BY"
        " CASE WHEN REPLACE(path, CAST(:name AS TEXT), '') <> path THEN 0 ELSE 1 END, path",
        {"name": name},
        row_limit=COMPARED,
    )
    paths = [str(path) for (path,) in rows.rows]
    if not paths:
        return "The catalog holds none yet; read some with `catalog ingest PATH`."
    return near_it(text, paths, "`catalog query checkpoints` lists them all.")


def near_it(text: str, known: Iterable[str], otherwise: str) -> str:
    """Return the sentence that follows where something is not there: the names nearest to it.

    Args:
        text: what was asked for.
        known: names that are there.
        otherwise: the sentence where none of them is near.
    """
    # One path may be in several trees; as a hint it is one.
    near = difflib.get_close_matches(text, list(dict.fromkeys(known)), n=3)
    return f"Near it: {', '.join(near)}." if near else otherwise
