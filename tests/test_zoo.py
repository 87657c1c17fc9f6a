"""A part of the zoo of `tests/oracle`, with the verdicts of the real libraries kept beside it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog
from catalog.states import USABLE

ZOO = Path(__file__).resolve().parent / "files" / "zoo"
VERDICTS: list[dict[str, Any]] = json.loads((ZOO / "verdicts.json").read_text())
ROWS = """
SELECT f.path, c.weights_fingerprint, c.weights_sha256, m.state
FROM checkpoint c JOIN file f ON f.id = c.id JOIN migration m ON m.checkpoint_id = c.id
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What catalog says of each file or folder of the zoo, with `--hash`."""
    folder = tmp_path_factory.mktemp("zoo")
    shutil.copytree(ZOO, folder / "zoo")
    for path in folder.rglob("*"):
        os.utime(path, (1_760_000_000, 1_760_000_000))
    Catalog(folder / "catalog.db").ingest([folder / "zoo"], hashes=True)
    with closing(sqlite3.connect(folder / "catalog.db")) as connection:
        connection.row_factory = sqlite3.Row
        return {row["path"]: dict(row) for row in connection.execute(ROWS)}


def _usable(rows: dict[str, dict[str, Any]], path: str) -> list[str]:
    return [
        found
        for found, row in rows.items()
        if (found == path or found.startswith(f"{path}/")) and row["state"] in USABLE
    ]


def test_nothing_that_the_library_refuses_is_usable(rows: dict[str, dict[str, Any]]) -> None:
    wrong = {
        verdict["path"]: verdict["what"]
        for verdict in VERDICTS
        if not verdict["accepted"] and _usable(rows, verdict["path"])
    }
    assert wrong == {}


def test_what_the_library_loads_is_usable_or_not_yet_read(rows: dict[str, dict[str, Any]]) -> None:
    wrong = {
        verdict["path"]: rows.get(verdict["path"])
        for verdict in VERDICTS
        if verdict["accepted"]
        and rows.get(verdict["path"], {}).get("state") not in (*USABLE, "unchecked")
    }
    assert wrong == {}


@pytest.mark.parametrize("column", ["weights_fingerprint", "weights_sha256"])
def test_nothing_is_equal_that_the_library_tells_apart(
    rows: dict[str, dict[str, Any]], column: str
) -> None:
    groups = defaultdict(set)
    for verdict in VERDICTS:
        if stated := rows.get(verdict["path"], {}).get(column):
            groups[stated].add((verdict["weights"], verdict["path"]))
    assert [group for group in groups.values() if len({weights for weights, _ in group}) > 1] == []


def test_the_zoo_stays_small() -> None:
    assert sum(path.stat().st_size for path in ZOO.rglob("*") if path.is_file()) < 300_000
