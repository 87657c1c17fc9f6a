"""`Catalog`: everything that the command line does, as methods.

Importing this module is cheap: what a method needs is imported when it is called, so that
a program that only reads a SQLite catalog never loads SQLAlchemy.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.query.connection import open_reader
from catalog.schema.location import locate
from catalog.settings import Settings

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

    from catalog.ingest.pipeline import Progress
    from catalog.query.rows import Rows
    from catalog.query.trace import Trace
    from catalog.recover.recovery import RecoveryResult
    from catalog.schema.upgrade import SchemaStatus


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What one ingest did, and what stands in the catalog after it."""

    ingest_id: int
    seen: int
    read: int
    unchanged: int
    missing: int
    problems: int
    checkpoints: int
    usable: int
    unusable: int
    linked: int
    ambiguous: int
    unlinked: int
    seconds: float


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """What an upgrade found and did."""

    found: str | None
    head: str
    pending: tuple[str, ...]
    copy: Path | None
    """The copy made before; None where nothing was pending."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Catalog:
    """A catalog of checkpoints, runs and configs in one database.

    Args:
        db: a SQLite file or a URL of SQLAlchemy's form; else `$CATALOG_DB`, else `catalog.db`
            in the working directory. It is made by the first ingest.
        settings: where they differ from the defaults.
        host: name under which this machine's trees are kept.
        clock: gives the present as UTC text; for tests and reproducible databases.

    Every method raises a `CatalogError` whose text can be shown to a user. Methods that read
    open the database read-only, for as long as the call lasts.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        *,
        host: str | None = None,
        clock: Callable[[], str] = _now,
    ) -> None:
        self.location = locate(db)
        self.settings = settings or Settings()
        self._host = host or platform.node() or "localhost"
        self._clock = clock

    def ingest(
        self, paths: Sequence[str | os.PathLike[str]], *, progress: Progress | None = None
    ) -> IngestSummary:
        """Read trees, or what changed in them, and judge all checkpoints anew.

        Args:
            paths: folders; at least one.
            progress: called with (stage, done, total) as work goes on.

        Raises:
            SourceError: a path does not exist, is no folder, or cannot be listed.
            DatabaseError: the database cannot be used.
        """
        from catalog.ingest.roots import checked_paths
        from catalog.schema.upgrade import open_for_writing

        folders = checked_paths([Path(path) for path in paths])
        engine = open_for_writing(self.location)
        try:
            return self._ingest(engine, folders, progress or _silent, "ingest", None)
        finally:
            engine.dispose()

    def query(
        self, name: str, params: Mapping[str, str] | None = None, *, limit: int | None = None
    ) -> Rows:
        """Return the rows of a named query or a view.

        Raises:
            UnknownQuery: there is none of that name.
        """
        from catalog.query.named import resolve

        sql, values = resolve(name, params or {})
        with open_reader(self.location, self.settings) as reader:
            return reader.run(sql, values, row_limit=limit)

    def queries(self) -> Rows:
        """Return name, kind and title of every query and view."""
        from catalog.query.named import queries

        return queries()

    def sql(self, text: str, params: Mapping[str, str] | None = None) -> Rows:
        """Return the rows of a SELECT, within the limits of the settings.

        Raises:
            QueryError: it is no SELECT, has an error, or takes too long.
        """
        with open_reader(self.location, self.settings) as reader:
            return reader.run(text, params or {}, row_limit=self.settings.sql_row_limit)

    def trace(self, checkpoint: str) -> Trace:
        """Return everything that is known of one checkpoint.

        Args:
            checkpoint: its path, a part of it that no other has, or six digits or more of its
                weights' fingerprint.

        Raises:
            NotFound: there is none like that.
            Ambiguous: there are several.
        """
        from catalog.query.trace import trace

        with open_reader(self.location, self.settings) as reader:
            return trace(reader, checkpoint)

    def status(self) -> Rows:
        """Return how many checkpoints are in which state now."""
        return self.query("migration_status")

    def progress(self) -> Rows:
        """Return how many checkpoints were in which state after each ingest and recovery."""
        return self.query("migration_progress")

    def report(self) -> str:
        """Return the report on all checkpoints as Markdown; each number in it is a query's."""
        from catalog.report.markdown import report

        with open_reader(self.location, self.settings) as reader:
            return report(reader, now=self._clock())

    def recover(self, *, dry_run: bool = False, only: str | None = None) -> RecoveryResult:
        """Write the missing sidecars of checkpoints whose run states the config.

        Args:
            dry_run: plan only; nothing is written anywhere.
            only: take only checkpoints whose path contains this text.

        Raises:
            DatabaseError: the database cannot be used.
        """
        from catalog.recover.recovery import RecoveryResult, plan, recover, settle_journal
        from catalog.schema.engine import explained
        from catalog.schema.upgrade import open_existing

        engine = open_existing(self.location, durable=True)
        try:
            if not dry_run:
                settle_journal(engine, self.location, self._clock())
            with explained(self.location), engine.connect() as connection:
                planned = plan(connection, self.settings, self._host, only)
            if dry_run:
                return RecoveryResult(None, tuple(one.shown for one in planned))
            result = recover(engine, self.location, planned, self._clock)
            if result.batch is not None:
                touched = sorted({one.folder for one in planned if one.shown.action == "write"})
                self._ingest(engine, touched, _silent, f"recovery {result.batch}", result.batch)
            return result
        finally:
            engine.dispose()

    def schema_status(self) -> SchemaStatus:
        """Return the schema's version and what an upgrade would do."""
        from catalog.schema.upgrade import schema_status

        return schema_status(self.location)

    def upgrade(self) -> UpgradeResult:
        """Bring the database to the newest schema; a SQLite file is copied first."""
        from catalog.schema.upgrade import upgrade

        before, copy = upgrade(self.location)
        return UpgradeResult(before.found, before.head, before.pending, copy)

    def backup(self, target: str | os.PathLike[str]) -> Path:
        """Copy the SQLite file while others may use it; `target` must not exist."""
        from catalog.schema.upgrade import backup

        return backup(self.location, Path(target))

    def _ingest(
        self,
        engine: Engine,
        folders: Sequence[Path],
        progress: Progress,
        cause: str,
        recovery_id: int | None,
    ) -> IngestSummary:
        from catalog.ingest.pipeline import begin, finish, read_trees
        from catalog.link.linker import link_checkpoints
        from catalog.recover.assess import assess
        from catalog.schema.engine import writing

        began = time.monotonic()
        with writing(engine, self.location) as connection:
            ingest_id = begin(connection, folders, self.settings, self._clock(), cause)
        counts = None
        try:
            counts = read_trees(
                engine,
                self.location,
                folders,
                ingest_id=ingest_id,
                host=self._host,
                now=self._clock(),
                progress=progress,
            )
            with writing(engine, self.location) as connection:
                link_checkpoints(connection, self.settings, ingest_id, progress)
                now = self._clock()
                assess(connection, self.settings, ingest_id, now, recovery_id)
                finish(connection, ingest_id, counts, now)
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            self._close(engine, ingest_id, status)
            raise
        (summary,) = self.query("ingest-summary").dicts()
        return IngestSummary(
            ingest_id=ingest_id,
            seen=counts.seen,
            read=counts.read,
            unchanged=counts.unchanged,
            missing=counts.missing,
            **summary,
            seconds=time.monotonic() - began,
        )

    def _close(self, engine: Engine, ingest_id: int, status: str) -> None:
        from catalog.errors import DatabaseError
        from catalog.ingest.pipeline import Counts, finish
        from catalog.schema.engine import writing

        try:
            with writing(engine, self.location) as connection:
                finish(connection, ingest_id, Counts(), self._clock(), status)
        except DatabaseError:
            return  # what stopped the ingest stops this as well; the first error is the one to tell


def _silent(_stage: str, _done: int, _total: int | None) -> None:
    """Take progress reports and do nothing."""
