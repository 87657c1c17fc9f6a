"""What catalog says of the zoo: `python -m tests.oracle.ours ZOO RESULT`.

Two catalogs: one as `catalog ingest` makes it, one with `--hash`. Neither loads anything.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from catalog import Catalog
from tests.oracle.specimen import read_manifest

_ROWS: Final = """
SELECT f.path, c.format, c.status, c.reason, c.loads_by_default, c.loads_torch,
       c.weights_fingerprint, c.weights_doubt, c.weights_sha256, c.damage, m.state
FROM checkpoint c JOIN file f ON f.id = c.id LEFT JOIN migration m ON m.checkpoint_id = c.id
"""


def main(zoo: Path, result: Path) -> None:
    """Ingest the zoo twice and write what the catalogs say, by path."""
    with tempfile.TemporaryDirectory() as folder:
        read = _said(Path(folder, "read.db"), zoo, hashes=False)
        hashed = _said(Path(folder, "hashed.db"), zoo, hashes=True)
    found = {}
    for specimen in read_manifest(zoo):
        row: dict[str, Any] = read.get(specimen.path, {"status": "no row", "state": None})
        row["below"] = {
            path: other["state"]
            for path, other in read.items()
            if path.startswith(f"{specimen.path}/")
        }
        verified = hashed.get(specimen.path, {})
        row["hashed_state"] = verified.get("state")
        row["damage"] = verified.get("damage")
        row["weights_sha256"] = verified.get("weights_sha256")
        found[specimen.path] = row
    result.write_text(json.dumps(found, indent=1))


def _said(database: Path, zoo: Path, *, hashes: bool) -> dict[str, dict[str, Any]]:
    Catalog(database).ingest([zoo], hashes=hashes)
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return {row["path"]: dict(row) for row in connection.execute(_ROWS)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
