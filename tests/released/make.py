"""Make `VERSION.db` for the schema as it is now; see the README beside this script."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))


def main() -> int:
    from catalog import Catalog
    from catalog.schema.version import HEAD
    from tests.support.trees import Training

    target = HERE / f"{HEAD}.db"
    if target.exists():
        sys.stderr.write(f"{target} exists; a released schema is kept as it was.\n")
        return 1
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        Training().write(tree)
        Training("det_r50", "e5f6g7h8", scores=(0.3, 0.6123456), begin=600, hydra=True).write(tree)
        catalog = Catalog(target, host="example")
        catalog.ingest([tree])
        catalog.recover()
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("UPDATE root SET path = '/home/team/project'")
        connection.execute("UPDATE ingest SET paths = '[\"/home/team/project\"]'")
        connection.commit()
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("VACUUM")
    sys.stdout.write(f"{target}: {target.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
