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
SELECT f.id AS checkpoint_id, r.path AS root, f.path AS path, f.state AS state,
       CASE WHEN SUBSTR(f.path, LENGTH(f.path) - LENGTH(CAST(:text AS TEXT)))
                 = '/' || CAST(:text AS TEXT) THEN 0 ELSE 1 END AS loose
FROM root r
CROSS JOIN file f
CROSS JOIN checkpoint k
WHERE f.root_id = r.id AND k.id = f.id AND {condition}
ORDER BY loose, r.path, f.path LIMIT {limit}
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
_BY_DIGEST = tuple(
    f"SUBSTR({column}, 1, LENGTH({digits})) = {digits}"
    for column, digits in (
        # Half a sum is kept of weights; 0.1.0 showed all of it.
        ("k.weights_fingerprint", "SUBSTR(CAST(:text AS TEXT), 1, 32)"),
        ("f.sha256", "CAST(:text AS TEXT)"),
        ("k.weights_sha256", "CAST(:text AS TEXT)"),
    )
)


def find_checkpoint(reader: Reader, text: str) -> int:
    """Return the number of the checkpoint that `text` means.

    Args:
        reader: an open catalog.
        text: its path (absolute, below the root, or relative to the working directory), a
            part of the path that no other has, or six or more digits of its weights'
            fingerprint or its SHA-256.

    Raises:
        NotFound: no checkpoint fits; the text names near ones.
        Ambiguous: several fit; the text names some of them.
    """
    wanted = text.strip().removeprefix("./").rstrip("/")
    ways = list(_WAYS)
    if _FINGERPRINT.fullmatch(wanted):
        ways[2:2] = _BY_DIGEST
    for condition in ways if wanted else ():
        values = {"text": wanted, "absolute": os.path.abspath(wanted)}  # noqa: PTH100 - a string, not a file
        sql = _FOUND.format(condition=condition, limit=_LOOKED_AT)
        used = {name: value for name, value in values.items() if f":{name}" in sql}
        found = reader.run(sql, used).dicts()
        if found:
            return _only([row for row in found if row["loose"] == found[0]["loose"]], text)
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
    rest = "\n  and others" if cut else f"\n  and {more} more" if more else ""
    raise Ambiguous(
        f"{count} checkpoints fit {text!r}; name one of them in full:"
        + "".join(f"\n  {visible(path)}" for path in shown)
        + rest
    )


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
