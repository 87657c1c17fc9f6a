"""Why a question has no rows: what a parameter names is not in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from catalog.errors import Ambiguous, NotFound
from catalog.query.find import COMPARED, find_checkpoint, near_it
from catalog.query.run import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.query.connection import Reader


class _Names(NamedTuple):
    """Names that a parameter is one of, whatever run or file it is asked of."""

    column: str
    table: str
    none: str
    elsewhere: str


_NAMES = {
    "metric": _Names(
        "name",
        "metric_name",
        "No run recorded a metric",
        "`catalog query metrics -p run=RUN` lists those of a run.",
    ),
    "key": _Names(
        "key",
        "config_value",
        "No config states a key",
        "`catalog query config -p run=RUN` lists those of a run.",
    ),
}


def why_no_rows(reader: Reader, params: Mapping[str, str]) -> str | None:
    """Return a sentence that names what is not there of what was asked for, and near ones.

    Args:
        reader: an open catalog.
        params: what a question was given that has no rows.

    Returns:
        None where every run, checkpoint, metric and config key that they name is there: then the
        question has no rows for other reasons.
    """
    for name, text in params.items():
        try:
            if name == "run":
                find_run(reader, text, exact=True)
            elif name == "checkpoint":
                find_checkpoint(reader, text)
            elif name in _NAMES:
                _find_name(reader, _NAMES[name], text)
        except NotFound as error:
            return str(error)
        except Ambiguous:
            continue
    return None


def _find_name(reader: Reader, names: _Names, text: str) -> None:
    column, table = names.column, names.table
    there = f"SELECT 1 FROM {table} WHERE {column} = CAST(:text AS TEXT)"  # noqa: S608 - from _NAMES
    if reader.run(there, {"text": text}, row_limit=1).rows:
        return
    some = f"SELECT DISTINCT {column} FROM {table} ORDER BY {column}"  # noqa: S608 - from _NAMES
    known = [str(known) for (known,) in reader.run(some, row_limit=COMPARED).rows]
    raise NotFound(f"{names.none} {text!r}. {near_it(text, known, names.elsewhere)}")
