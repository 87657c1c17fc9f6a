"""A large catalog without a large tree, for measuring queries.

    python -m benchmarks.make_catalog TARGET.db --copies 250

A tree of a hundred trainings is ingested once, and its rows are written again under other
numbers and names: 250 copies are 100,000 checkpoints, 25,000 runs and 10 million metric
points, in the proportions of real ones, whatever tables the schema has.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.make_tree import Size, make_tree
from catalog import Catalog
from catalog.schema.tables import TABLES, metadata

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

POINTS = 134
"""Logged steps a training: 400 points with three metrics."""

_SHARED = {
    "root", "root_host", "setting", "ingest", "architecture", "architecture_tensor", "global_set",
    "global_set_name", "metric_name", "recovery",
}  # fmt: skip
"""Tables whose rows all copies refer to."""
_REFERENCES = {("metric_series", "points_of"): "metric_series"}
"""Columns that hold numbers of a table without a foreign key."""
_NAMES = {
    ("file", "path"): "'copy' || :copy || '/' || path",
    ("problem", "path"): "'copy' || :copy || '/' || path",
    ("run_directory", "path"): "'copy' || :copy || '/' || path",
    ("sidecar", "directory"): "'copy' || :copy || '/' || directory",
    ("run", "identity"): "identity || '-' || :copy",
    ("run", "tracker_run_id"): "tracker_run_id || :copy",
    ("run_directory", "tracker_run_id"): "tracker_run_id || :copy",
    ("config", "sha256"): "sha256 || ':' || :copy",
    ("checkpoint", "weights_fingerprint"): "weights_fingerprint || ':' || :copy",
}
"""What must differ from copy to copy."""


def make_catalog(db: Path, copies: int, seed: int = 7) -> None:
    """Write a catalog of `copies` times a hundred trainings."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        make_tree(tree, Size(100, points=POINTS), seed)
        Catalog(db).ingest([tree])
    multiply(db, copies)


def multiply(db: Path, copies: int) -> None:
    """Write the rows of a catalog `copies - 1` more times."""
    tables = [metadata.tables[str(model.__tablename__)] for model in TABLES]
    copied = [table for table in tables if table.name not in _SHARED]
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        strides = {
            table.name: connection.execute(f"SELECT MAX(id) FROM {table.name}").fetchone()[0] or 0
            for table in copied
            if "id" in table.c
        }
        statements = [_statement(table, strides) for table in copied]
        connection.execute("BEGIN")
        for copy in range(1, copies):
            for statement in statements:
                connection.execute(statement, {"copy": copy})
        connection.commit()


def _statement(table: Table, strides: dict[str, int]) -> str:
    values = ", ".join(_value(table, column, strides) for column in table.c)
    names = ", ".join(f'"{column.name}"' for column in table.c)
    # Only the rows of the first copy are copied: they are those with the lowest numbers.
    first = next(iter(table.primary_key.columns))
    stride = strides[_numbered(first)]
    return (
        f'INSERT INTO "{table.name}" ({names}) SELECT {values} FROM "{table.name}" '
        f"WHERE {first.name} <= {stride}"
    )


def _value(table: Table, column: Column[object], strides: dict[str, int]) -> str:
    named = _NAMES.get((table.name, column.name))
    if named is not None:
        return named
    numbered = _REFERENCES.get((table.name, column.name)) or _numbered(column)
    if numbered in strides and (
        column.foreign_keys or column.name == "id" or (table.name, column.name) in _REFERENCES
    ):
        return f'"{column.name}" + :copy * {strides[numbered]}'
    return f'"{column.name}"'


def _numbered(column: Column[object]) -> str:
    """Return the table whose numbers a column holds."""
    for key in column.foreign_keys:
        return _numbered(key.column)
    return column.table.name


def main() -> None:
    """Write a catalog."""
    parser = argparse.ArgumentParser(description="Write a large catalog.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--copies", type=int, default=250)
    given = parser.parse_args()
    make_catalog(given.target, given.copies)
    print(f"{given.target}: {given.target.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
