"""The analysts' interface: one SQL file a view, made anew after every upgrade.

Each file begins with comment lines that describe the view and its columns (they become
the docs), followed by one SELECT that SQLite and PostgreSQL both take.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

ORDER = (
    "checkpoint_file",
    "checkpoint_in_run",
    "run_overview",
    "run_config_chosen",
    "run_metrics",
    "config_flat",
    "checkpoint_trace",
    "unusable_checkpoints",
    "migration_status",
    "migration_progress",
    "ambiguous_links",
    "duplicate_checkpoints",
    "checkpoint_dtypes",
    "checkpoint_globals",
    "open_problems",
    "data_sources",
)
"""Every view, each after those that it reads from."""


def view_text(name: str) -> str:
    """Return the text of a view's file, its leading comment included."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


def make_views(connection: Connection) -> None:
    """Drop all views and make them from their files, in the caller's transaction."""
    for name in reversed(ORDER):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    for name in ORDER:
        # A driver that formats with % would take a literal one for a placeholder.
        select = (
            view_text(name).replace("%", "%%")
            if connection.dialect.name != "sqlite"
            else (view_text(name))
        )
        connection.exec_driver_sql(f"CREATE VIEW {name} AS\n{select}")
