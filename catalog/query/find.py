"""Find the one checkpoint that a person means: by path, by a part of it, or by its weights."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, Any

from catalog.errors import Ambiguous, NotFound

if TYPE_CHECKING:
    from catalog.query.connection import Reader

_FINGERPRINT = re.compile(r"[0-9a-f]{6,}")
_SHOWN = 5
_LOOKED_AT = 1_000
_COMPARED = 2_000
"""Paths that are compared when a near match is looked for; it takes some milliseconds."""
_FOUND = """
SELECT c.checkpoint_id, c.root, c.path, c.state
FROM checkpoint_file c JOIN checkpoint k ON k.id = c.checkpoint_id
WHERE {condition}
ORDER BY c.root, c.path LIMIT {limit}
"""
_WAYS = (
    "c.root || '/' || c.path = CAST(:absolute AS TEXT)",
    "c.path = CAST(:text AS TEXT)",
    "SUBSTR(c.path, LENGTH(c.path) - LENGTH(CAST(:text AS TEXT))) = '/' || CAST(:text AS TEXT)",
    "REPLACE(c.path, CAST(:text AS TEXT), '') <> c.path",
)
"""From the strictest to the loosest; the first that finds something decides."""
_BY_WEIGHTS = "SUBSTR(k.weights_fingerprint, 1, LENGTH(CAST(:text AS TEXT))) = CAST(:text AS TEXT)"


def find_checkpoint(reader: Reader, text: str) -> int:
    """Return the number of the checkpoint that `text` means.

    Args:
        reader: an open catalog.
        text: its path (absolute, below the root, or relative to the working directory), a
            part of the path that no other has, or six or more digits of its weights'
            fingerprint.

    Raises:
        NotFound: no checkpoint fits; the text names near ones.
        Ambiguous: several fit; the text names some of them.
    """
    wanted = text.strip().removeprefix("./").rstrip("/")
    ways = list(_WAYS)
    if _FINGERPRINT.fullmatch(wanted):
        ways.insert(2, _BY_WEIGHTS)
    for condition in ways if wanted else ():
        values = {"text": wanted, "absolute": os.path.abspath(wanted)}  # noqa: PTH100 - a string, not a file
        used = {name: value for name, value in values.items() if f":{name}" in condition}
        found = reader.run(_FOUND.format(condition=condition, limit=_LOOKED_AT), used).dicts()
        if found:
            return _only(found, text)
    raise NotFound(f"No checkpoint fits {text!r}. {_near(reader, wanted)}")


def _only(found: list[dict[str, Any]], text: str) -> int:
    present = [row for row in found if row["state"] == "present"] or found
    if len(present) == 1:
        return int(present[0]["checkpoint_id"])
    several_roots = len({row["root"] for row in present}) > 1
    shown = [
        f"{row['root']}/{row['path']}" if several_roots else row["path"] for row in present[:_SHOWN]
    ]
    more = len(present) - len(shown)
    cut = len(found) == _LOOKED_AT
    count = f"{_LOOKED_AT} or more" if cut else str(len(present))
    rest = ", and others." if cut else f", and {more} more." if more else "."
    raise Ambiguous(
        f"{count} checkpoints fit {text!r}; name one of them in full: {', '.join(shown)}{rest}"
    )


def _near(reader: Reader, text: str) -> str:
    # The same file name is the best hint; the rest fills up what is compared.
    name = text.rpartition("/")[2]
    rows = reader.run(
        "SELECT path FROM checkpoint_file ORDER BY"
        " CASE WHEN REPLACE(path, CAST(:name AS TEXT), '') <> path THEN 0 ELSE 1 END, path",
        {"name": name},
        row_limit=_COMPARED,
    )
    paths = [str(path) for (path,) in rows.rows]
    if not paths:
        return "The catalog holds none yet; read some with `catalog ingest PATH`."
    near = difflib.get_close_matches(text, paths, n=3)
    if near:
        return f"Near it: {', '.join(near)}."
    return "`catalog query checkpoints` lists them all."
