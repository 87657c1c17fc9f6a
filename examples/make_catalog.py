#!/usr/bin/env python3
"""Make `catalog.db.example`: the catalog that ingesting the example project gives.

    make_catalog.py [TARGET]

The tree is ingested from a temporary copy with its times restored. What differs from machine
to machine (place, host, inodes, present time) is set to what the story says, so that making it
again gives the same rows.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from restore_times import restore

from catalog import Catalog

EXAMPLES = Path(__file__).resolve().parent

HOST = "gpu-box"
ROOT = "/home/team/ocr-project"
BEGIN = datetime(2025, 10, 18, 7, 25, 36, tzinfo=UTC)
"""When the seed's report was written: 16:25:36 KST."""


def clock() -> Callable[[], str]:
    """Return a clock that starts at `BEGIN` and goes on by a second each time it is asked."""
    ticks = count()
    return lambda: (BEGIN + timedelta(seconds=next(ticks))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def make(target: Path) -> None:
    """Write the example catalog to `target`, which must not exist."""
    with TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "ocr-project"
        restore(EXAMPLES / "ocr-project", EXAMPLES / "ocr-project.mtimes.csv", tree)
        Catalog(target, host=HOST, clock=clock()).ingest([tree])
        with closing(sqlite3.connect(target)) as connection:
            connection.execute("UPDATE root SET path = ?", (ROOT,))
            connection.execute("UPDATE ingest SET paths = json_array(?)", (ROOT,))
            connection.execute("UPDATE file SET inode = 0")
            connection.execute("UPDATE root_host SET inode = 0")
            # Digests of what each link rests on, absolute paths among it: the next ingest
            # weighs everything anew without them.
            connection.execute("DELETE FROM link_basis")
            for column in ("link_evidence.detail", "problem.message", "migration.reason"):
                table, name = column.split(".")
                connection.execute(
                    f"UPDATE {table} SET {name} = replace({name}, ?, ?)", (str(tree), ROOT)
                )
            connection.commit()
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("VACUUM")


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else EXAMPLES.parent / "catalog.db.example")
    place.unlink(missing_ok=True)
    make(place)
    print(f"{place}: {place.stat().st_size:,} bytes")
