"""What every query gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_STATE_OF_FILE = """CASE WHEN {0}.state = 'present' THEN 'present'
            WHEN {0}.missing_ingest_id IS NOT NULL THEN 'gone'
            WHEN {0}.id IS NOT NULL THEN 'left out' END"""


_PRESENT, _MISSING = "w.state = 'present'", "w.state = 'missing'"
_GONE = "w.missing_ingest_id IS NOT NULL"


def file_state(alias: str) -> str:
    """Return the SQL of what became of a file: present, gone or left out, as the pages tell it.

    Args:
        alias: of the table `file` in the statement.
    """
    return _STATE_OF_FILE.format(alias)


def directory_state(alias: str) -> str:
    """Return the SQL of what became of a run's folder: present while a file is that tells of it.

    Args:
        alias: of the table `run_directory` in the statement.
    """

    def exists(condition: str) -> str:
        return " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} o JOIN file w ON w.id = o.file_id "  # noqa: S608 - names from here
            f"WHERE o.run_directory_id = {alias}.id AND {condition})"
            for table in ("run_field", "run_config", "metric_series", "metric_summary")
        )

    return (
        f"CASE WHEN {exists(_PRESENT)} THEN 'present' "
        f"WHEN {exists(_GONE)} THEN 'gone' "
        f"WHEN {exists(_MISSING)} THEN 'left out' END"
    )


class Rows(NamedTuple):
    """A table of plain values: None, int, float, str (and bytes, where a query makes some)."""

    columns: tuple[str, ...]
    """Names, each of them once."""
    rows: Sequence[tuple[Any, ...]]
    truncated: bool = False
    """True where a limit cut the rows off: there are more."""
    note: str | None = None
    """A sentence on what the rows rest on, where a person should know it."""
    total: int | None = None
    """How many there are, where a limit cut the rows off and they were counted."""

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as a mapping from column to value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Stream(NamedTuple):
    """Rows that are fetched as they are taken, once: as many as there are, in little memory."""

    columns: tuple[str, ...]
    """Names, each of them once."""
    rows: Iterator[tuple[Any, ...]]
    """Taking one raises what `Reader.run` raises, also after others were given."""


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names with `_2`, `_3`, ... behind those that came before (`SELECT a, a`)."""
    taken: dict[str, None] = {}
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken[candidate] = None
    return tuple(taken)
