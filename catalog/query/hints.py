"""Why a question has no rows: what a parameter names is not in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.errors import Ambiguous, NotFound
from catalog.query.find import find_checkpoint
from catalog.query.run import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.query.connection import Reader


def why_no_rows(reader: Reader, params: Mapping[str, str]) -> str | None:
    """Return a sentence that names a run or checkpoint which is not there, and near ones.

    Args:
        reader: an open catalog.
        params: what a question was given that has no rows.

    Returns:
        None where all that they name is there: then the question has no rows for other reasons.
    """
    for name, text in params.items():
        try:
            if name == "run":
                find_run(reader, text, exact=True)
            elif name == "checkpoint":
                find_checkpoint(reader, text)
        except NotFound as error:
            return str(error)
        except Ambiguous:
            continue
    return None
