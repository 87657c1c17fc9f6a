"""The reader for PostgreSQL: a read-only transaction with a time limit, through SQLAlchemy."""

from __future__ import annotations

import shlex
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from catalog import __version__
from catalog.errors import CatalogError, DatabaseError, QueryError, QueryLimit
from catalog.query.rows import Rows, Stream, unique_names
from catalog.schema.engine import no_url
from catalog.schema.version import LAST_WORKED, VERSION_TABLE, check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import CursorResult

    from catalog.schema.location import Location
    from catalog.settings import Settings

_BATCH = 1_000
"""Rows of an export that are fetched at once."""
_QUERY_CANCELED = "57014"
_READ_ONLY = "25006"
_CONNECTION_CLASS = "08"
_UNDEFINED = {"42703", "42P01"}
"""A column, a table or view that is not there."""


class PostgresqlReader:
    """A reader (see `catalog.query.connection`) on one PostgreSQL database."""

    def __init__(self, location: Location, settings: Settings) -> None:
        self._shown = location.shown
        self._time_limit = settings.sql_time_limit
        try:
            # A server-side cursor (DECLARE ... CURSOR) takes one SELECT and nothing else,
            # and it hands out rows as they are fetched.
            engine = create_engine(
                location.url,
                execution_options={
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                    "stream_results": True,
                },
            )
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise DatabaseError(
                f"{location.shown}: its driver is not installed ({error}); "
                "try `pip install 'catalog[postgresql]'`."
            ) from error
        except (ArgumentError, ValueError):
            raise no_url(location) from None
        self._engine = engine
        try:
            self._connection = engine.connect()
        except DBAPIError as error:
            engine.dispose()
            raise DatabaseError(
                f"{self._shown} cannot be read: {_first_line(error)}. Check the URL and the server."
            ) from error
        try:
            check(self._version(), self._shown)
            # Compiling a statement takes longer than the first page of any of ours.
            self._set("jit", "off")
            self.limit_time(settings.sql_time_limit)
        except BaseException:
            self.close()
            raise

    def run(
        self, sql: str, params: Mapping[str, Any] | None = None, *, row_limit: int | None = None
    ) -> Rows:
        """Answer one SELECT; see `catalog.query.connection.Reader.run`."""
        try:
            result = self._execute(sql, params)
            names = unique_names(result.keys())
            fetched = result.fetchall() if row_limit is None else result.fetchmany(row_limit + 1)
            result.close()
        except SQLAlchemyError as error:
            self._connection.rollback()
            raise self._explain(error) from error
        rows = [tuple(map(_plain, row)) for row in fetched]
        if row_limit is None:
            return Rows(names, rows)
        return Rows(names, rows[:row_limit], truncated=len(rows) > row_limit)

    def stream(self, sql: str, params: Mapping[str, Any] | None = None) -> Stream:
        """Answer one SELECT row by row; see `catalog.query.connection.Reader.stream`."""
        began = time.monotonic()
        try:
            result = self._execute(sql, params)
            names = unique_names(result.keys())
        except SQLAlchemyError as error:
            self._connection.rollback()
            raise self._explain(error) from error
        return Stream(names, self._batches(result, began + self._time_limit - time.monotonic()))

    def _batches(self, result: CursorResult[Any], left: float) -> Iterator[tuple[Any, ...]]:
        """Fetch rows for as many seconds as are left; those of who takes them do not count."""
        while True:
            began = time.monotonic()
            try:
                rows = result.fetchmany(_BATCH)
            except SQLAlchemyError as error:
                self._connection.rollback()
                raise self._explain(error) from error
            left -= time.monotonic() - began
            for row in rows:
                yield tuple(map(_plain, row))
            if len(rows) < _BATCH:
                result.close()
                return
            if left <= 0:
                # The server's own limit is of each fetch.
                raise self._too_long()

    def _execute(self, sql: str, params: Mapping[str, Any] | None) -> CursorResult[Any]:
        if not sql.strip():
            raise QueryError("There is no statement to run; write a SELECT.")
        # Without values the text is not looked through for `:name`, so that a colon in a
        # literal stays one; the driver still takes a single % for a placeholder.
        return (
            self._connection.execute(text(sql), dict(params))
            if params
            else self._connection.exec_driver_sql(sql.replace("%", "%%"))
        )

    def limit_time(self, seconds: float) -> None:
        """See `catalog.query.connection.Reader.limit_time`."""
        self._time_limit = seconds
        self._set("statement_timeout", str(max(1, int(seconds * 1000))))
        self._connection.commit()

    def _set(self, name: str, value: str) -> None:
        # Literally: SET takes no placeholders. Both are ours.
        self._connection.exec_driver_sql(
            f"SET {name} = {value}", execution_options={"stream_results": False}
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _version(self) -> str | None:
        if not inspect(self._connection).has_table(VERSION_TABLE):
            return None
        sql = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a constant
        found = self._connection.exec_driver_sql(sql).scalar()
        return None if found is None else str(found)

    def _other_version(self) -> str | None:
        """Return the version of catalog that worked last on the database, where it is not ours."""
        found = self._connection.exec_driver_sql(LAST_WORKED).scalar()
        self._connection.rollback()
        return None if found in (None, __version__) else str(found)

    def _too_long(self) -> QueryLimit:
        return QueryLimit(
            f"The query took longer than {self._time_limit:g} s and was stopped; narrow it, "
            "or allow more with --set sql_time_limit=SECONDS."
        )

    def _explain(self, error: SQLAlchemyError) -> CatalogError:
        state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
        if state == _QUERY_CANCELED:
            return self._too_long()
        if state == _READ_ONLY:
            return QueryError("`catalog sql` only reads: give it one SELECT (or WITH ... SELECT).")
        if state.startswith(_CONNECTION_CLASS):
            return DatabaseError(f"{self._shown}: the connection was lost: {_first_line(error)}.")
        if state in _UNDEFINED and (made_by := self._other_version()):
            upgrade = f"catalog db upgrade --db {shlex.quote(self._shown)}"
            return QueryError(
                f"The views of {self._shown} are those of catalog {made_by}: {_first_line(error)}. "
                f"`{upgrade}` makes them anew, and so does any command that writes."
            )
        return QueryError(
            f"The database did not understand the query: {_first_line(error)}. "
            "`catalog sql` only reads, one SELECT at a time; `catalog query` lists the views."
        )


def _plain(value: Any) -> Any:
    """Return sums of big integers, which PostgreSQL calls numeric, as the numbers they are."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _first_line(error: SQLAlchemyError) -> str:
    said = str(getattr(error, "orig", None) or error).strip()
    return said.partition("\n")[0].rstrip(".") if said else type(error).__name__
