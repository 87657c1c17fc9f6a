"""The questions that catalog knows by name: one SQL file each, and the public views."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from catalog.errors import UnknownQuery, UsageError
from catalog.query.comment import Comment, read_comment, without_comment
from catalog.query.rows import Rows
from catalog.schema.views import ORDER, view_text, with_states

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = Path(__file__).with_name("named")


class Query(NamedTuple):
    """One question with a name."""

    name: str
    kind: Literal["query", "view"]
    comment: Comment
    sql: str


@cache
def list_queries() -> tuple[Query, ...]:
    """Return every named query and then every view, each by name."""
    queries = [_query(path) for path in sorted(_FOLDER.glob("*.sql"), key=lambda path: path.stem)]
    return (*queries, *(_view(name) for name in sorted(ORDER)))


def queries() -> Rows:
    """Return the names, kinds, parameters and titles of all queries and views."""
    return Rows(
        ("name", "kind", "parameters", "title"),
        [
            (query.name, query.kind, _parameters(query.comment), query.comment.title)
            for query in list_queries()
        ],
    )


def resolve(
    name: str, params: Mapping[str, str] | None = None
) -> tuple[str, dict[str, str | None]]:
    """Return the SQL of a query or view and the values for all its placeholders.

    Args:
        name: of a query (`unusable`) or a view (`unusable_checkpoints`).
        params: values by parameter name; those left out get their defaults.

    Raises:
        UnknownQuery: no query or view has that name.
        UsageError: a parameter that it does not take, or a required one is missing.
    """
    query = _find(name)
    given = dict(params or {})
    known = {parameter.name: parameter for parameter in query.comment.parameters}
    for key in given:
        if key not in known:
            takes = _parameters(query.comment)
            raise UsageError(
                f"{query.name} has no parameter {key!r}: "
                + (f"it takes {takes}." if takes else "it takes none; filter with `catalog sql`.")
            )
    for parameter in known.values():
        if parameter.required and parameter.name not in given:
            raise UsageError(f"{query.name} needs -p {parameter.name}=VALUE: {parameter.help}.")
    return query.sql, {key: given.get(key, known[key].default) for key in known}


def _find(name: str) -> Query:
    if name in ORDER:
        return _view(name)
    path = _FOLDER / f"{name}.sql"
    if name.replace("-", "").isalnum() and path.is_file():
        return _query(path)
    near = difflib.get_close_matches(name, [query.name for query in list_queries()], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`catalog query` lists them all."
    raise UnknownQuery(f"There is no query or view named {name!r}: {hint}")


def _query(path: Path) -> Query:
    text = with_states(path.read_text(encoding="utf-8"))
    return Query(path.stem, "query", read_comment(text), without_comment(text))


def _view(name: str) -> Query:
    return Query(name, "view", read_comment(view_text(name)), f"SELECT * FROM {name}")  # noqa: S608 - from ORDER


def _parameters(comment: Comment) -> str:
    return ", ".join(
        parameter.name if parameter.required else f"[{parameter.name}]"
        for parameter in comment.parameters
    )
