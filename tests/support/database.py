"""Look at a SQLite catalog as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def rows_of_all_tables(db: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, sorted, by table."""
    with closing(sqlite3.connect(db)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names
        }


def facts(db: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a catalog says, whatever numbers its rows have and whenever it was made."""
    questions = {
        "checkpoints": "SELECT path, format, status, epoch, global_step, verdict, run, "
        "run_directory, round(score, 6), state, reason FROM checkpoint_trace",
        "runs": "SELECT run, state, started_at, ended_at, directories FROM run_overview",
        "configs": "SELECT owner, run, file, kind, key, type, text, number FROM config_flat",
        "metrics": "SELECT run, run_directory, metric, summary, points, lowest FROM run_metrics",
        "problems": "SELECT path, code, message FROM open_problems",
        "files": "SELECT path, reader, state, size, mtime_ns FROM file",
    }
    with closing(sqlite3.connect(db)) as connection:
        return {name: sorted(connection.execute(sql), key=repr) for name, sql in questions.items()}
