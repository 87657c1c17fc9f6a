"""`Catalog`: everything that the command line does, as methods.

Importing this module is cheap: what a method needs is imported when it is called, so that
a program that only reads a SQLite catalog never loads SQLAlchemy.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import SourceError, UsageError
from catalog.hosts import own_host
from catalog.query.connection import open_reader
from catalog.schema.location import locate
from catalog.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from sqlalchemy import Connection, Engine

    from catalog.forget import Extent
    from catalog.ingest.hosts import MovedHost
    from catalog.ingest.pipeline import Progress
    from catalog.link.explain import Explanation
    from catalog.operation import Operation
    from catalog.query.connection import Reader
    from catalog.query.lineage import Family
    from catalog.query.rows import Rows, Stream
    from catalog.query.run import RunPage
    from catalog.query.trace import Trace
    from catalog.query.validate import Verdicts
    from catalog.recover.recovery import RecoveryResult
    from catalog.recover.undo import UndoResult
    from catalog.results import IngestSummary, UpgradeResult
    from catalog.schema.upgrade import SchemaStatus
    from catalog.settings import Value


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_LONGEST_COUNT = 0.5
"""Seconds that counting the rows of a list may take: the list itself is there already."""


class Catalog:
    """A catalog of checkpoints, runs and configs in one database.

    Args:
        db: a SQLite file or a URL of SQLAlchemy's form; else `$CATALOG_DB`, else `catalog.db`
            in the working directory. It is made by the first ingest.
        settings: the values that differ, for this object, from what the catalog keeps and from
            the defaults; or whole `Settings`, which are taken as they are.
        host: name under which this machine's trees are kept; else `$CATALOG_HOST`, else what the
            machine calls itself.
        clock: gives the present as UTC text; for tests and reproducible databases.

    Every method raises a `CatalogError` whose text can be shown to a user. Methods that read
    open the database read-only, for as long as the call lasts.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | None = None,
        settings: Settings | Mapping[str, Value] | None = None,
        *,
        host: str | None = None,
        clock: Callable[[], str] = _now,
    ) -> None:
        self.location = locate(db)
        self._given = settings or {}
        self._host = own_host(host)
        self._clock = clock

    @cached_property
    def settings(self) -> Settings:
        """What this object works by: what it was given, what the catalog keeps, the defaults.

        Raises:
            DatabaseError: there is a database, and it cannot be read.
        """
        if isinstance(self._given, Settings):
            return self._given
        return Settings.of({**self.kept_settings(), **self._given})

    def kept_settings(self) -> dict[str, Value]:
        """Return the settings that the catalog keeps; none where there is no catalog yet."""
        from catalog.query.kept import kept_settings

        return kept_settings(self.location)

    def _reader(self) -> Reader:
        """Open the catalog for reading, once for what it keeps and what is asked of it."""
        if "settings" in self.__dict__ or isinstance(self._given, Settings):
            return open_reader(self.location, self.settings)
        from catalog.query.kept import kept_in

        reader = open_reader(self.location, Settings())
        try:
            self.__dict__["settings"] = Settings.of({**kept_in(reader), **self._given})
            reader.limit_time(self.settings.sql_time_limit)
        except BaseException:
            reader.close()
            raise
        return reader

    def keep_settings(
        self, values: Mapping[str, Value] | None = None, *, forget: Iterable[str] = ()
    ) -> None:
        """Keep settings in the catalog, for whoever works with it, and judge anew by them.

        What an ingest reads and leaves out follows with the next one.

        Args:
            values: the settings to keep.
            forget: names of those that shall have their defaults again.

        Raises:
            UsageError: no such setting, or a pattern in `ignore` that is none.
        """
        from catalog.ingest.ignore import checked
        from catalog.schema import kept
        from catalog.schema.engine import writing
        from catalog.schema.upgrade import open_for_writing

        checked(Settings.of(values or {}).ignore)
        engine = open_for_writing(self.location)
        try:
            with writing(engine, self.location) as connection:
                now = self._clock()
                kept.keep(connection, values or {}, now)
                kept.forget(connection, forget)
            self.__dict__.pop("settings", None)  # read anew, now that they are there to be read
            with writing(engine, self.location) as connection:
                self._operation(engine).judge(connection, now, "settings")
        finally:
            engine.dispose()

    def ingest(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        progress: Progress | None = None,
        hashes: bool = False,
        executor: Executor | None = None,
        jobs: int | None = None,
    ) -> IngestSummary:
        """Read trees, or what changed in them, and judge all checkpoints anew.

        Args:
            paths: a folder, or several. Of one that is gone and was ingested before, all that is
                known is missing from now on, until it is back.
            progress: called with (stage, done, total) as work goes on.
            hashes: read the checkpoints whose bytes nobody looked at whole: for their SHA-256, for
                that of their weights, and for what is damaged in them.
            executor: reads the files, such as that of a cluster whose machines see the same
                paths; by default worker processes do, where there are enough files for it.
            jobs: how many worker processes; by default one for each core. Where each file takes
                a while to open, as on a network disk, more are quicker.

        Raises:
            SourceError: a path does not exist and was never ingested, is no folder, or cannot be
                listed.
        """
        from catalog.ingest.roots import checked_paths
        from catalog.results import summary_of
        from catalog.schema.upgrade import open_for_writing

        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        if not paths:
            raise SourceError("There is no folder to ingest; name at least one.")
        folders = checked_paths([Path(path) for path in paths], self._knows)
        engine = open_for_writing(self.location)
        try:
            operation = self._operation(engine)
            done = operation.ingest(folders, progress=progress, executor=executor, jobs=jobs)
            if hashes:
                operation.hash(folders, progress, done.ingest_id)
            (standing,) = self.query("ingest-summary").dicts()
            unread = {row["kind"]: row["files"] for row in self.query("unchecked-kinds").dicts()}
        finally:
            engine.dispose()
        return summary_of(done, standing, unread)

    def watch(self, paths: Sequence[str | os.PathLike[str]]) -> Iterator[IngestSummary]:
        """Ingest again whenever something changes in the trees, for ever; see `ingest`.

        Yields:
            What each of these ingests did.
        """
        from catalog.ingest.roots import checked_paths
        from catalog.ingest.watch import changes

        watched = checked_paths([Path(path) for path in paths], self._knows)
        for folders in changes(watched):
            # A tree of its own that vanished is news; any other folder's is told by the one above.
            there = [folder for folder in folders if folder.is_dir() or folder in watched]
            if there:
                yield self.ingest(there)

    def _knows(self, path: Path) -> bool:
        from catalog.query.roots import knows

        return knows(self._reader, self._host, path)

    def forget(
        self,
        path: str | os.PathLike[str],
        *,
        host: str | None = None,
        missing_only: bool = False,
        dry_run: bool = False,
    ) -> Extent:
        """Take what lies in a place out of the catalog; an ingest that comes by reads it again.

        Args:
            path: a tree, a folder or a file; it need not be there any more.
            host: whose it is, where that is not this machine; it need not be there any more.
            missing_only: only what was gone at the last ingest.
            dry_run: only tell what would be forgotten.

        Raises:
            NotFound: the catalog knows nothing there.
            UsageError: several hosts know the place, and this one does not.
            RecoveryError: a recovery's journal, which stays, names a file in it as its source.
        """
        from catalog.forget import forget

        with self._deciding(reading=dry_run) as (operation, connection):
            extent = forget(
                connection,
                Path(path),
                self._host,
                named=host,
                missing_only=missing_only,
                dry=dry_run,
            )
            if not dry_run:
                operation.judge(connection, self._clock(), "forget", gather=True)
        return extent

    def move_host(
        self, old: str, new: str, *, root: str | os.PathLike[str] | None = None
    ) -> MovedHost:
        """Say that what a host has seen is another's: a new name of one machine, or of one disk.

        Args:
            old: the name until now.
            new: the name from now on. What it knows at the same paths is one tree with it.
            root: only this tree.

        Raises:
            NotFound: the catalog knows no such tree of that host.
            UsageError: the new name is none, or the old one.
        """
        from catalog.ingest.hosts import move_host

        with self._deciding() as (operation, connection):
            moved = move_host(connection, old, new, None if root is None else Path(root))
            operation.judge(connection, self._clock(), "host", gather=True)
        return moved

    def query(
        self, name: str, params: Mapping[str, str] | None = None, *, limit: int | None = None
    ) -> Rows:
        """Return the rows of a named query or a view.

        Raises:
            UnknownQuery: there is none of that name.
        """
        from catalog.query.named import resolve

        sql, values = resolve(name, params or {})
        with self._reader() as reader:
            return reader.run(sql, values, row_limit=limit)

    def verify_duplicates(
        self, *, limit: int | None = None, progress: Progress | None = None
    ) -> Rows:
        """Read the files that the query `duplicates` lists, and say which are equal; store nothing.

        A row for each file. `equality` is of its group: `verified` (the weights of all of them are
        the same bytes), `differs`, `damaged` (the bytes of some do not fit what the file states of
        them), or `not verified` (some cannot be read here). `detail` is of the file: what is
        damaged, or why it is not verified. `spare_bytes` counts what is verified alone.

        Args:
            limit: read the groups of the first so many rows only.
            progress: called with (stage, done, total) as work goes on.
        """
        from catalog.query.verify_duplicates import verify_duplicates

        with self._reader() as reader:
            return verify_duplicates(reader, self._host, limit, progress)

    def why_no_rows(self, params: Mapping[str, str]) -> str | None:
        """Return what of the runs, checkpoints, metrics and config keys in `params` is not there.

        For a query without rows: a misspelt name gives none, either. None if all are there.
        """
        from catalog.query.hints import why_no_rows

        with self._reader() as reader:
            return why_no_rows(reader, params)

    def queries(self) -> Rows:
        """Return name, kind and title of every query and view."""
        from catalog.query.named import queries

        return queries()

    def count(self, name: str, params: Mapping[str, str] | None = None) -> int | None:
        """Return how many rows a named query or a view has; None if that takes half a second.

        Raises:
            UnknownQuery: there is none of that name.
        """
        from catalog.errors import QueryLimit
        from catalog.query.named import resolve

        sql, values = resolve(name, params or {})
        counting = f"SELECT COUNT(*) FROM (\n{sql.strip()}\n) listed"  # noqa: S608 - a named query
        with self._reader() as reader:
            reader.limit_time(min(self.settings.sql_time_limit, _LONGEST_COUNT))
            try:
                ((rows,),) = reader.run(counting, values).rows
            except QueryLimit:
                return None
        return int(rows)

    @contextmanager
    def stream(self, name: str, params: Mapping[str, str] | None = None) -> Iterator[Stream]:
        """Give all rows of a named query or a view one after another, in little memory.

        Raises:
            UnknownQuery: there is none of that name.
        """
        from catalog.query.named import resolve

        sql, values = resolve(name, params or {})
        with self._reader() as reader:
            yield reader.stream(sql, values)

    @contextmanager
    def stream_sql(self, text: str, params: Mapping[str, str] | None = None) -> Iterator[Stream]:
        """Give all rows of a SELECT one after another, in little memory and within the time limit.

        Raises:
            QueryError: it is no SELECT, has an error, or takes too long.
        """
        with self._reader() as reader:
            yield reader.stream(text, params or {})

    def sql(
        self, text: str, params: Mapping[str, str] | None = None, *, limit: int | None = None
    ) -> Rows:
        """Return the rows of a SELECT, within the limits of the settings.

        Args:
            text: one statement, with `:name` where a value goes.
            params: the values.
            limit: most rows to return, in place of the setting `sql_row_limit`.

        Raises:
            QueryError: it is no SELECT, has an error, or takes too long.
        """
        with self._reader() as reader:
            most = self.settings.sql_row_limit if limit is None else limit
            return reader.run(text, params or {}, row_limit=most)

    def trace(self, checkpoint: str) -> Trace:
        """Return everything that is known of one checkpoint.

        Args:
            checkpoint: its path, a part of it that no other has, or six digits or more of its
                weights' fingerprint or SHA-256.

        Raises:
            NotFound: there is none like that.
            Ambiguous: there are several.
        """
        from catalog.query.trace import trace

        with self._reader() as reader:
            return trace(reader, checkpoint, self._host)

    def diff(self, left: str, right: str, *more: str, verify: bool = False) -> Rows:
        """Return what differs between two checkpoints or several runs, a row for each such key.

        `Rows.note` says so where weights are equal only as both files state them.

        Args:
            left: a path on disk, or what `trace` takes for one in the catalog; or a run's id,
                folder or display name.
            right: the same.
            more: further runs.
            verify: read the weights of both checkpoints, whatever the files state of them.

        Raises:
            SourceError: a path leads to a folder that is no checkpoint.
            NotFound: a checkpoint is neither on disk nor in the catalog, or there is no such run.
            UsageError: one is a run, and the other none; or runs are to be verified.
            Ambiguous: several in the catalog fit.
        """
        from catalog.query.diff import compare

        return compare(self._reader, left, right, *more, verify=verify)

    def run(self, name: str) -> RunPage:
        """Return everything that is known of one run.

        Args:
            name: its id, one of its folders or a part of one, or its display name.

        Raises:
            NotFound: there is none like that.
            Ambiguous: there are several.
        """
        from catalog.query.run import run_page

        with self._reader() as reader:
            return run_page(reader, name)

    def keep_apart(self, name: str, folder: str, *, apart: bool = True) -> None:
        """Take a folder out of the run that evidence joined it to, or undo that.

        Args:
            name: the run, as in `run`.
            folder: path of the run directory, below its root.
            apart: False to let evidence decide again.

        Raises:
            NotFound: there is no such run, or the folder was never joined to one.
            Ambiguous: several runs fit.
        """
        from catalog.ingest.runs import keep_apart
        from catalog.query.run import find_run

        with self._reader() as reader:
            number = find_run(reader, name)
        with self._deciding() as (operation, connection):
            keep_apart(connection, number, folder.rstrip("/"), apart=apart)
            operation.judge(connection, self._clock())

    def status(self) -> Rows:
        """Return how many checkpoints are in which state now."""
        return self.query("migration_status")

    def pin(self, checkpoint: str, run: str, reason: str) -> Trace:
        """Say that a run wrote a checkpoint; that stands until `unpin`, whatever is ingested.

        Args:
            checkpoint: as in `trace`.
            run: as in `run`.
            reason: why, for those who come later.

        Raises:
            NotFound: there is no such checkpoint or run.
            Ambiguous: several fit.
            UsageError: no reason is given, or the run is none that checkpoints are linked to.
        """
        return self._say(checkpoint, run, "pinned", reason)

    def reject(self, checkpoint: str, run: str, reason: str) -> Trace:
        """Say that a run did not write a checkpoint; see `pin`."""
        return self._say(checkpoint, run, "rejected", reason)

    def unpin(self, checkpoint: str, run: str | None = None) -> Trace:
        """Take back what was said of a checkpoint and one run, or all runs.

        Raises:
            NotFound: there is no such checkpoint or run, or nothing was said of them.
            Ambiguous: several fit.
        """
        return self._say(checkpoint, run, None, "")

    def why_not(self, checkpoint: str, run: str) -> Explanation:
        """Return what speaks for and against a run having written a checkpoint.

        Raises:
            NotFound: there is no such checkpoint or run.
            Ambiguous: several fit.
        """
        from catalog.link.explain import explain
        from catalog.query.find import find_checkpoint
        from catalog.query.run import find_run
        from catalog.schema.engine import explained
        from catalog.schema.upgrade import open_existing

        with self._reader() as reader:
            number = find_checkpoint(reader, checkpoint, self._host)
            run_number = find_run(reader, run)
        engine = open_existing(self.location)
        try:
            with explained(self.location), engine.connect() as connection:
                return explain(connection, self.settings, number, run_number)
        finally:
            engine.dispose()

    def lineage(self, checkpoint: str) -> Family:
        """Return the checkpoints that one came from, and those that came from it.

        Raises:
            NotFound: there is none like that.
            Ambiguous: there are several.
        """
        from catalog.query.lineage import family

        with self._reader() as reader:
            return family(reader, checkpoint, self._host)

    def validate(self, claim: str | os.PathLike[str]) -> Verdicts:
        """Check a person's statement on a checkpoint and its run, point by point.

        Args:
            claim: a YAML file; `docs/linking.md` says what may stand in it.

        Raises:
            SourceError: it cannot be read, or holds what no claim holds.
            NotFound: it names a checkpoint or run that is not there.
        """
        from catalog.query.validate import read_claim, validate

        stated = read_claim(Path(claim))
        with self._reader() as reader:
            return validate(reader, stated)

    def status_by(self, group: str) -> Rows:
        """Return checkpoints and bytes in each state by `root`, `experiment`, `age` or `size`.

        Raises:
            UsageError: it is none of these.
        """
        from catalog.query.status import GROUPS, status_by

        if group not in GROUPS:
            raise UsageError(f"There is no grouping by {group!r}: it takes {', '.join(GROUPS)}.")
        with self._reader() as reader:
            return status_by(reader, group, self._clock())

    def progress(self) -> Rows:
        """Return how many checkpoints were in which state after each ingest and recovery."""
        return self.query("migration_progress")

    def report(self, *, rows: int = 200) -> str:
        """Return the report on all checkpoints as Markdown; each number in it is a query's.

        Args:
            rows: most rows of one table; the numbers are of everything.
        """
        from catalog.report.markdown import report

        with self._reader() as reader:
            return report(reader, now=self._clock(), most=rows)

    def recover(
        self, *, dry_run: bool = False, only: str | None = None, prefer: str | None = None
    ) -> RecoveryResult:
        """Write the missing sidecars of checkpoints whose run states the config.

        What a killed recovery or undo left open is completed first.

        Args:
            dry_run: plan only; nothing is written anywhere.
            only: take only checkpoints whose path contains this text.
            prefer: the source that decides where sources disagree: a kind such as
                `wandb-stream`, or a part of its file's path.

        Raises:
            UsageError: there is no such source to prefer, or settings contradict each other.
            DatabaseBusy: another recovery is at work on this catalog.
            DatabaseError: the database cannot be used.
        """
        from catalog.recover.journal import settle, tidy
        from catalog.recover.lock import only_recovery
        from catalog.recover.recovery import RecoveryResult, plan, recover
        from catalog.schema.engine import explained
        from catalog.schema.upgrade import open_existing

        engine = open_existing(self.location, durable=not dry_run, reading=dry_run)
        try:
            if dry_run:
                with explained(self.location), engine.connect() as connection:
                    planned = plan(connection, self.settings, self._host, only, prefer)
                return RecoveryResult(None, tuple(one.shown for one in planned))
            operation = self._operation(engine)
            look = operation.look_at_recovery
            with only_recovery(engine, self.location):
                settle(engine, self.location, self._host, look)
                if bereft := tidy(engine, self.location, self._host):
                    operation.ingest(bereft)
                with explained(self.location), engine.connect() as connection:
                    planned = plan(connection, self.settings, self._host, only, prefer)
                return recover(engine, self.location, planned, self.settings, self._clock, look)
        finally:
            engine.dispose()

    def undo_recovery(self, batch: int) -> UndoResult:
        """Remove what a recovery wrote, but for files that were changed since.

        Args:
            batch: number of the recovery.

        Raises:
            NotFound: there is no such recovery.
            DatabaseBusy: another recovery is at work on this catalog.
            DatabaseError: the database cannot be used.
        """
        from catalog.recover.journal import settle
        from catalog.recover.lock import only_recovery
        from catalog.recover.undo import undo
        from catalog.schema.upgrade import open_existing

        engine = open_existing(self.location, durable=True)
        try:
            look = self._operation(engine).look_at_recovery
            with only_recovery(engine, self.location):
                settle(engine, self.location, self._host, look)
                result = undo(engine, self.location, self._host, batch)
                if result.folders:
                    look(sorted(result.folders), f"undo of recovery {batch}", batch)
                return result
        finally:
            engine.dispose()

    def verify_recoveries(self) -> Rows:
        """Return a row for each file that recoveries wrote: unchanged, changed, removed, stale."""
        from catalog.recover.verify import verify

        with self._reader() as reader:
            return verify(reader, self._host)

    def explain_recovery(self, *, only: str | None = None, prefer: str | None = None) -> Rows:
        """Return every source that was looked at for every unusable checkpoint, in order.

        Args:
            only: take only checkpoints whose path contains this text.
            prefer: see `recover`.

        Raises:
            UsageError: there is no such source to prefer.
        """
        from catalog.recover.explain import explain
        from catalog.schema.engine import explained
        from catalog.schema.upgrade import open_existing

        engine = open_existing(self.location, reading=True)
        try:
            with explained(self.location), engine.connect() as connection:
                return explain(connection, self.settings, only, prefer)
        finally:
            engine.dispose()

    def schema_status(self) -> SchemaStatus:
        """Return the schema's version and what an upgrade would do."""
        from catalog.schema.upgrade import schema_status

        return schema_status(self.location)

    def upgrade(self) -> UpgradeResult:
        """Bring the database to the newest schema; a SQLite file is copied first."""
        from catalog.results import UpgradeResult
        from catalog.schema.upgrade import upgrade

        before, copy = upgrade(self.location)
        return UpgradeResult(before.found, before.head, before.pending, copy)

    def backup(self, target: str | os.PathLike[str]) -> Path:
        """Copy the SQLite file while others may use it; `target` must not exist."""
        from catalog.schema.upgrade import backup

        return backup(self.location, Path(target))

    @contextmanager
    def _deciding(self, *, reading: bool = False) -> Iterator[tuple[Operation, Connection]]:
        """One transaction in an existing catalog, with the means to judge anew."""
        from catalog.schema.engine import writing
        from catalog.schema.upgrade import open_existing

        engine = open_existing(self.location, reading=reading)
        try:
            with writing(engine, self.location) as connection:
                yield self._operation(engine), connection
        finally:
            engine.dispose()

    def _operation(self, engine: Engine) -> Operation:
        from catalog.operation import Operation

        return Operation(engine, self.location, self.settings, self._host, self._clock)

    def _say(self, checkpoint: str, run: str | None, decision: str | None, reason: str) -> Trace:
        """Keep or take back a person's word, and judge anew what it changes."""
        from catalog.link.decisions import say
        from catalog.query.find import find_checkpoint
        from catalog.query.run import find_run

        with self._reader() as reader:
            number = find_checkpoint(reader, checkpoint, self._host)
            run_number = None if run is None else find_run(reader, run)
        with self._deciding() as (operation, connection):
            now = self._clock()
            say(connection, number, run_number, decision, reason, now)
            operation.judge(connection, now)
        return self.trace(checkpoint)
