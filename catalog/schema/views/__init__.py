"""The analysts' interface: one SQL file a view, made anew after every upgrade.

Each file begins with comment lines that describe the view and its columns (they become
the docs), followed by one SELECT that SQLite and PostgreSQL both take. What it says of states
is filled in from the one table of them, `catalog.states`: see `with_states`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.states import ABSENT, COUNTED, OTHER, STATES, UNUSABLE, USABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

ORDER = (
    "checkpoint_state",
    "checkpoint_file",
    "checkpoint_in_run",
    "run_overview",
    "run_config_chosen",
    "metric_life",
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
GAPS = (
    "damaged-stream",
    "truncated-stream",
    "damaged-record",
    "malformed-record",
    "malformed-row",
    "oversized-record",
    "history-cut",
)
"""Problems of a file that leave a gap in the histories that it tells."""


def view_text(name: str) -> str:
    """Return the text of a view's file, its leading comment included."""
    return with_states(Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8"))


def with_states(sql: str) -> str:
    """Return the text of a view or a query with what it says of states filled in.

    Args:
        sql: with `{USABLE}`, `{UNUSABLE}`, `{ABSENT}` and `{OTHER}` for the names of the states of
            a kind, as SQL has them between the brackets of an IN; `{STATE_COLUMNS}` for the names
            of the columns of all states; `{STATE_ROWS}` for the rows of the view
            `checkpoint_state`; `{STATE_SUMS}` for a column per state of what `d.delta` adds up to;
            and `{GAPS}` for the problems that leave gaps in histories.
    """
    if "{" not in sql:
        return sql
    for token, text in _filling().items():
        sql = sql.replace(token, text)
    return sql


@cache
def _filling() -> dict[str, str]:
    sums = (
        f"COALESCE(SUM(CASE WHEN d.state IN ({_listed(COUNTED[one.name])}) THEN d.delta END), 0)\n"
        f"           AS {one.column}"
        for one in STATES
    )
    rows = (
        f"SELECT {place} AS place, {_quoted(one.name)} AS state, {_quoted(one.meaning)} AS meaning,"
        f"\n           {int(one.is_usable)} AS is_usable, {int(one.is_unusable)} AS is_unusable, "
        f"{int(one.is_absent)} AS is_absent, "
        f"{_quoted(one.part_of) if one.part_of else 'CAST(NULL AS TEXT)'} AS part_of"
        for place, one in enumerate(STATES, start=1)
    )
    return {
        "{GAPS}": _listed(GAPS),
        "{USABLE}": _listed(USABLE),
        "{UNUSABLE}": _listed(UNUSABLE),
        "{ABSENT}": _listed(ABSENT),
        "{OTHER}": _listed(OTHER),
        "{STATE_COLUMNS}": ", ".join(one.column for one in STATES),
        "{STATE_SUMS}": ",\n       ".join(sums),
        "{STATE_ROWS}": "\n    UNION ALL ".join(rows),
    }


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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
