"""`catalog recover --verify`: read back everything that recoveries ever wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.query.named import resolve
from catalog.query.rows import Rows
from catalog.recover.content import sha256_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from catalog.query.connection import Reader

SOUND = "unchanged"
_AT_HAND = """
SELECT r.host, r.path FROM root r
WHERE r.host = CAST(:host AS TEXT)
   OR r.id IN (SELECT root_id FROM root_host WHERE host = CAST(:host AS TEXT))
"""
COLUMNS = ("recovery", "file", "state", "checkpoint", "note")


def verify(reader: Reader, host: str) -> Rows:
    """Return a row for each file that stands as written in the journal.

    The state is `unchanged`, `changed`, `removed`, `stale` (the link it rests on was since
    overruled) or `elsewhere` (the tree is on another host).

    Args:
        reader: an open catalog.
        host: name of this machine.
    """
    rows: list[tuple[object, ...]] = []
    at_hand = {tuple(tree) for tree in reader.run(_AT_HAND, {"host": host}).rows}
    for row in reader.run(*resolve("recovered-files")).dicts():
        state, note = _state(row, at_hand)
        rows.append((row["recovery"], row["file"], state, row["checkpoint"], note))
    return Rows(COLUMNS, rows)


def _state(row: Mapping[str, object], at_hand: Collection[object]) -> tuple[str, str]:
    if (row["host"], row["root"]) not in at_hand:
        return "elsewhere", f"The tree is on {row['host']}; verify it there, or ingest it here."
    file = Path(str(row["root"])) / str(row["file"])
    if not file.parent.is_dir():
        return "removed", "Its folder is not there: if it was moved, ingest it where it lies now."
    if not os.path.lexists(file):
        return "removed", "It is gone; `catalog recover` writes it again."
    if file.is_symlink() or sha256_of(file) != row["sha256"]:
        return "changed", "Its content is not what was written."
    if row["run"] != row["run_now"]:
        now = row["run_now"] or "no run"
        return "stale", f"It was cut from {row['run']}; the checkpoint is linked to {now} now."
    return SOUND, ""
