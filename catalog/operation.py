"""One ingest from beginning to end: read, gather, link, assess, close. Imported when needed.

The stages know nothing of each other; this is the one place that runs them in order, on a
database that is open for writing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.errors import DatabaseError
from catalog.ingest.pipeline import Counts, begin, finish, read_trees, settled
from catalog.ingest.runs import gather_runs
from catalog.ingest.stages import Stages
from catalog.link.linker import link_checkpoints
from catalog.recover.assess import assess
from catalog.recover.journal import close_batch
from catalog.schema.engine import writing
from catalog.schema.store import table_of
from catalog.schema.tables import Ingest
from catalog.sources.secrets import Policy, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from catalog.ingest.pipeline import Progress
    from catalog.schema.location import Location
    from catalog.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one ingest did."""

    ingest_id: int
    counts: Counts
    seconds: float
    stages: dict[str, float]


@dataclass(frozen=True, slots=True)
class Operation:
    """What every ingest of one `Catalog` shares."""

    engine: Engine
    location: Location
    settings: Settings
    host: str
    clock: Callable[[], str]

    def ingest(
        self,
        folders: Sequence[Path],
        *,
        cause: str = "ingest",
        progress: Progress | None = None,
        executor: Executor | None = None,
        recovery_id: int | None = None,
    ) -> Outcome:
        """Read trees and judge anew what that changes; where nothing did, nothing is judged.

        Args:
            folders: checked, absolute.
            cause: why, for the row of the ingest.
            progress: called with (stage, done, total).
            executor: reads the files; worker processes by default.
            recovery_id: the recovery whose work is looked at.
        """
        began = time.monotonic()
        stages = Stages()
        told = progress or silent
        with writing(self.engine, self.location) as connection:
            ingest_id = begin(connection, folders, self.settings, self.clock(), cause)
        try:
            with policy(self._redaction()):
                counts = read_trees(
                    self.engine,
                    self.location,
                    folders,
                    ingest_id=ingest_id,
                    host=self.host,
                    now=self.clock(),
                    settings=self.settings,
                    progress=told,
                    stages=stages,
                    executor=executor,
                )
            with writing(self.engine, self.location) as connection:
                now = self.clock()
                if (
                    counts.changed
                    or recovery_id is not None
                    or not settled(connection, ingest_id, self.settings)
                ):
                    with stages.stage("gather"):
                        gather_runs(connection)
                    with stages.stage("link"):
                        link_checkpoints(connection, self.settings, ingest_id, told)
                    with stages.stage("assess"):
                        assess(connection, self.settings, ingest_id, now, recovery_id)
                finish(connection, ingest_id, counts, now)
        except BaseException as error:
            self._close(
                ingest_id, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            )
            raise
        return Outcome(ingest_id, counts, time.monotonic() - began, stages.seconds)

    def judge(self, connection: Connection, now: str, cause: str = "decision") -> None:
        """Judge anew what a person's word changed: an ingest without news would not do it.

        Args:
            connection: inside a transaction.
            now: the present, UTC.
            cause: why, for the row of the ingest.
        """
        if connection.execute(select(table_of(Ingest).c.id).limit(1)).first() is None:
            return  # nothing was ever ingested
        ingest_id = begin(connection, [], self.settings, now, cause)
        link_checkpoints(connection, self.settings, ingest_id, silent)
        assess(connection, self.settings, ingest_id, now, None)
        finish(connection, ingest_id, Counts(), now)

    def look_at_recovery(self, folders: Sequence[Path], cause: str, batch: int) -> None:
        """Look at the folders that a recovery wrote to, then close its batch."""
        self.ingest(folders, cause=cause, recovery_id=batch)
        close_batch(self.engine, self.location, batch, self.clock())

    def _redaction(self) -> Policy:
        keys = frozenset(key.lower() for key in self.settings.secret_keys)
        return Policy(enabled=self.settings.redaction == "on", keys=keys)

    def _close(self, ingest_id: int, status: str) -> None:
        try:
            with writing(self.engine, self.location) as connection:
                finish(connection, ingest_id, Counts(), self.clock(), status)
        except DatabaseError:
            return  # what stopped the ingest stops this as well; the first error is the one to tell


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Take progress reports and do nothing."""
