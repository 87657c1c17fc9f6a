"""One ingest from beginning to end: read, gather, link, assess, close. Imported when needed.

The stages know nothing of each other; this is the one place that runs them in order, on a
database that is open for writing.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.errors import DatabaseError
from catalog.ingest.pipeline import Counts, begin, finish, read_trees, settled
from catalog.ingest.stages import Stages
from catalog.schema.engine import writing
from catalog.schema.store import table_of
from catalog.schema.tables import Ingest
from catalog.sources.secrets import Policy, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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
        jobs: int | None = None,
        recovery_id: int | None = None,
    ) -> Outcome:
        """Read trees and judge anew what that changes; where nothing did, nothing is judged.

        Args:
            folders: checked, absolute.
            cause: why, for the row of the ingest.
            progress: called with (stage, done, total).
            executor: reads the files; worker processes by default.
            jobs: how many worker processes; by default one for each core.
            recovery_id: the recovery whose work is looked at.

        Raises:
            UsageError: the setting `ignore` holds what is no pattern.
        """
        if self.settings.ignore:
            from catalog.ingest.ignore import checked

            checked(self.settings.ignore)
        began = time.monotonic()
        stages = Stages()
        told = progress or silent
        with writing(self.engine, self.location) as connection:
            ingest_id = begin(connection, folders, self.settings, self.clock(), cause)
        try:
            with policy(self._redaction()), _without_collector():
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
                    jobs=jobs,
                )
            with writing(self.engine, self.location) as connection:
                now = self.clock()
                is_settled = settled(connection, ingest_id, self.settings)
                if counts.changed or recovery_id is not None or not is_settled:
                    # What a recovery noted, what came back unread and what is left out from now
                    # on leaves no trace in files.
                    unseen = counts.returned or counts.left_out or counts.regrouped
                    partly = is_settled and recovery_id is None and not unseen
                    self._judge(
                        connection, ingest_id, now, recovery_id, told, stages, partly=partly
                    )
                finish(connection, ingest_id, counts, now)
        except BaseException as error:
            self._close(
                ingest_id, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            )
            raise
        return Outcome(ingest_id, counts, time.monotonic() - began, stages.seconds)

    def hash(self, folders: Sequence[Path], progress: Progress | None, ingest_id: int) -> None:
        """Read the checkpoints whose bytes nobody looked at, and judge anew by what they tell.

        Artifacts that runs logged state the sums of their files; equal weights are known to be
        equal; and a file may be damaged.

        Args:
            folders: checked, absolute.
            progress: as in `ingest`.
            ingest_id: the ingest that asks for it.
        """
        from catalog.ingest.hashing import hash_checkpoints

        told = progress or silent
        if hash_checkpoints(self.engine, self.location, folders, self.host, told, ingest_id):
            with writing(self.engine, self.location) as connection:
                self.judge(connection, self.clock(), "hash")

    def judge(
        self, connection: Connection, now: str, cause: str = "decision", *, gather: bool = False
    ) -> None:
        """Judge anew what a person's word changed: an ingest without news would not do it.

        Args:
            connection: inside a transaction.
            now: the present, UTC.
            cause: why, for the row of the ingest.
            gather: whether what files say of runs changed as well.
        """
        if connection.execute(select(table_of(Ingest).c.id).limit(1)).first() is None:
            return  # nothing was ever ingested
        ingest_id = begin(connection, [], self.settings, now, cause)
        # One that was killed may have left files whose runs nobody gathered: the next ingest
        # would take this judging for a whole one.
        gather = gather or not settled(connection, ingest_id, self.settings)
        self._judge(connection, ingest_id, now, None, silent, Stages(), gather=gather)
        finish(connection, ingest_id, Counts(), now)

    def look_at_recovery(self, folders: Sequence[Path], cause: str, batch: int) -> None:
        """Look at the folders that a recovery wrote to, then close its batch."""
        self.ingest(folders, cause=cause, recovery_id=batch)
        from catalog.recover.journal import close_batch

        close_batch(self.engine, self.location, batch, self.clock())

    def _judge(
        self,
        connection: Connection,
        ingest_id: int,
        now: str,
        recovery_id: int | None,
        told: Progress,
        stages: Stages,
        *,
        gather: bool = True,
        partly: bool = False,
    ) -> None:
        """Gather runs, link and assess.

        Args:
            connection: in a transaction.
            ingest_id: the ingest that this belongs to.
            now: UTC text.
            recovery_id: the recovery whose work is looked at.
            told: called as work goes on.
            stages: is told where the time goes.
            gather: whether files were read since runs were gathered.
            partly: the ingest before judged all that stood there then; what cannot have changed
                keeps its state.
        """
        # Imported here, for where nothing changed none of it is needed.
        from catalog.ingest.runs import gather_runs
        from catalog.link.linker import link_checkpoints
        from catalog.recover.affected import affected
        from catalog.recover.assess import assess

        with _without_collector():
            if gather:
                with stages.stage("gather"):
                    gather_runs(connection)
            with stages.stage("link"):
                linked = link_checkpoints(connection, self.settings, ingest_id, told)
            with stages.stage("assess"):
                scope = None
                if partly:
                    scope = affected(
                        connection, ingest_id, linked.weighed, linked.runs, linked.folders
                    )
                assess(connection, self.settings, ingest_id, now, recovery_id, scope)

    def _redaction(self) -> Policy:
        keys = frozenset(key.lower() for key in self.settings.secret_keys)
        return Policy(enabled=self.settings.redaction == "on", keys=keys)

    def _close(self, ingest_id: int, status: str) -> None:
        try:
            with writing(self.engine, self.location) as connection:
                finish(connection, ingest_id, Counts(), self.clock(), status)
        except DatabaseError:
            return  # what stopped the ingest stops this as well; the first error is the one to tell


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let Python look for no cycles: in hundreds of thousands of rows there are none to find.

    Looking takes a fifth of the time of linking.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Take progress reports and do nothing."""
