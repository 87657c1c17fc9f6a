"""One ingest: scan the trees, read what is new or changed, write it, gather the runs.

A killed ingest leaves whole batches: what it wrote stands, the rest is read by the next
one, which ends in the same rows as one that was never killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import insert, select, text, update

from catalog import __version__
from catalog.ingest.absent import absent
from catalog.ingest.bookmarks import Bookmarks
from catalog.ingest.hosts import same_path, take_over
from catalog.ingest.known import Known
from catalog.ingest.reading import read_items
from catalog.ingest.roots import Scope, moved_away, scopes
from catalog.ingest.scan import MAX_DEPTH, Scan
from catalog.ingest.workers import WORTH_A_POOL, workers
from catalog.ingest.write import BatchWriter, Memory
from catalog.results import ForeignTree, LostTree
from catalog.schema.engine import writing
from catalog.schema.hosts import known_roots
from catalog.schema.store import chunks, table_of
from catalog.schema.tables import Checkpoint, File, Ingest
from catalog.sources import registry
from catalog.sources.paths import split

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from catalog.ingest.reading import Reading
    from catalog.ingest.stages import Stages
    from catalog.ingest.workers import Workers
    from catalog.schema.location import Location
    from catalog.settings import Settings
    from catalog.sources.facts import Item

Progress: TypeAlias = Callable[[str, int, "int | None"], None]
"""Called with the stage, how much of it is done, and how much there is, if that is known."""

BATCH = 200
"""Most items that are read in one go."""
BATCH_COST = 8 * 1024 * 1024
WRITTEN = 1_000
"""Most items that are written in one transaction: what a statement costs is shared by them."""
WRITTEN_COST = 64 * 1024 * 1024
COST_OF_A_FILE = 64 * 1024
MOST_READ = 1024 * 1024
"""A batch is full at so many bytes; a file counts what opening it costs, and its size up to what
is read of a large one (of a checkpoint some kilobytes, of a stream all)."""


@dataclass(slots=True)
class Counts:
    """What an ingest did to files."""

    seen: int = 0
    read: int = 0
    unchanged: int = 0
    missing: int = 0
    returned: int = 0
    """Known files that were missing and are there again, unchanged."""
    left_out: int = 0
    """Known files that are there and that a pattern leaves out from now on."""
    lost: list[LostTree] = field(default_factory=list)
    """The trees where nothing is that was there."""
    elsewhere: list[ForeignTree] = field(default_factory=list)
    """New trees whose paths are known of other hosts as well."""
    regrouped: bool = False
    """Whether trees belong together in another way than before."""

    @property
    def changed(self) -> bool:
        """Whether any row of facts is another than before."""
        return bool(self.read or self.missing or self.returned or self.left_out or self.regrouped)


def begin(
    connection: Connection, paths: Sequence[Path], settings: Settings, now: str, cause: str
) -> int:
    """Write the row of a new ingest and return its number."""
    done = connection.execute(
        insert(table_of(Ingest)).values(
            status="running",
            cause=cause,
            started_at=now,
            finished_at=None,
            catalog_version=__version__,
            paths=json.dumps([str(path) for path in paths]),
            settings=json.dumps(settings._asdict()),
            files_seen=0,
            files_read=0,
            files_unchanged=0,
            files_missing=0,
            problems=0,
        )
    )
    return int(done.inserted_primary_key[0])  # type: ignore[index]


def finish(
    connection: Connection, ingest_id: int, counts: Counts, now: str, status: str = "finished"
) -> None:
    """Close the row of an ingest."""
    standing = connection.execute(text("SELECT COUNT(*) FROM open_problems")).scalar_one()
    table = table_of(Ingest)
    connection.execute(
        update(table)
        .where(table.c.id == ingest_id)
        .values(
            status=status,
            finished_at=now,
            files_seen=counts.seen,
            files_read=counts.read,
            files_unchanged=counts.unchanged,
            files_missing=counts.missing,
            problems=standing,
        )
    )


def settled(connection: Connection, ingest_id: int, settings: Settings) -> bool:
    """Say whether the ingest before this one judged all rows, in the same way as now.

    If it did and no row of facts changed since, judging again would come to the same.
    """
    table = table_of(Ingest)
    before = connection.execute(
        select(table.c.status, table.c.catalog_version, table.c.settings)
        .where(table.c.id < ingest_id)
        .order_by(table.c.id.desc())
        .limit(1)
    ).first()
    return before is not None and tuple(before) == (
        "finished",
        __version__,
        json.dumps(settings._asdict()),
    )


def read_trees(
    engine: Engine,
    location: Location,
    paths: Sequence[Path],
    *,
    ingest_id: int,
    host: str,
    now: str,
    settings: Settings,
    progress: Progress,
    stages: Stages,
    executor: Executor | None = None,
    jobs: int | None = None,
) -> Counts:
    """Bring the rows of files and facts in line with the trees at `paths`.

    Args:
        engine: of a catalog at the newest schema.
        location: where that is, for messages.
        paths: checked, absolute folders.
        ingest_id: the ingest that this belongs to.
        host: name of this machine.
        now: UTC text of the start.
        settings: what to leave out, and how much of histories to keep.
        progress: called as work goes on.
        stages: is told where the time goes.
        executor: reads the files; without one, processes of our own if there is enough to read.
        jobs: how many of our own; by default one for each core.
    """
    counts = Counts()
    with writing(engine, location) as connection:
        counts.regrouped = take_over(connection, paths, host)
        before = known_roots(connection, host).keys()
        wanted = scopes(connection, paths, host, now)
        new = [scope.root for scope in wanted if scope.root not in before]
        counts.elsewhere = [ForeignTree(*tree) for tree in same_path(connection, new, host)]
    gone = [path for path in paths if not path.is_dir()]

    def read(scope: Scope) -> None:
        tree = _Tree(engine, location, scope, ingest_id, settings, counts, progress, stages)
        is_named = tree.top in paths or any(tree.top.is_relative_to(path) for path in gone)
        with stages.stage("read"):
            tree.read(readers, is_named=is_named)

    with workers(executor, jobs) as readers:
        for scope in wanted:
            read(scope)
        if counts.read:
            with stages.stage("known"), engine.connect() as connection:
                left_behind = moved_away(connection, wanted, ingest_id, host)
            for scope in left_behind:
                read(scope)
    return counts


class _Tree:
    """One root, or a part of it, brought in line."""

    def __init__(
        self,
        engine: Engine,
        location: Location,
        scope: Scope,
        ingest_id: int,
        settings: Settings,
        counts: Counts,
        progress: Progress,
        stages: Stages,
    ) -> None:
        self._engine = engine
        self._location = location
        self.top = scope.root / scope.below
        """Absolute path of the folder that was asked for."""
        self._ingest_id = ingest_id
        self._settings = settings
        self._counts = counts
        self._progress = progress
        self._stages = stages
        self._returned: list[int] = []
        self._memory = Memory()
        ignored = None
        if settings.ignore:
            from catalog.ingest.ignore import Ignored

            ignored = Ignored().within(".", settings.ignore)
        self._scan = Scan(scope.root, scope.below, scope.pruned, ignored)
        self._scan.below = _outermost(self._scan)
        self._scope = replace(scope, below=self._scan.below)
        self._walk = registry.Walk()
        self._is_empty = True

    def read(self, readers: Workers, *, is_named: bool) -> None:
        """Scan, read what is due and write it as it comes, then mark what is gone.

        Args:
            readers: read the files.
            is_named: a person asked for this very folder, and is told where it is gone already.
        """
        with self._stages.stage("known"), self._engine.connect() as connection:
            known = Known(connection, self._scope)
        self._bookmarks = Bookmarks(
            self._engine, self._scope.root_id, usable=self._settings.history == "full"
        )
        due = self._due(known)
        with self._stages.stage("scan"):
            first = list(islice(due, WORTH_A_POOL))
        items = chain(first, due)
        self._progress("read", 0, None)
        root = self._scope.root
        batches = map(self._bookmarks.put_into, self._timed(_batches(items)))
        if len(first) == WORTH_A_POOL and readers.possible:
            readings = readers.read(root, batches)
        else:
            readings = ((batch, read_items(root, batch)) for batch in batches)
        waiting: list[tuple[Item, Reading]] = []
        cost = 0
        for batch, said in readings:
            waiting.extend(zip(batch, said, strict=True))
            cost += sum(map(_cost, batch))
            if len(waiting) >= WRITTEN or cost >= WRITTEN_COST:
                self._write(waiting)
                waiting, cost = [], 0
        if waiting:
            self._write(waiting)
        self._mark_all(known, is_named=is_named)

    def _timed(self, batches: Iterator[list[Item]]) -> Iterator[list[Item]]:
        while True:
            with self._stages.stage("scan"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _due(self, known: Known) -> Iterator[Item]:
        counts = self._counts
        for listing in self._scan.listings():
            for item in self._walk.recognise(listing):
                counts.seen += 1
                self._is_empty = False
                number = known.take(item)
                if number is None:
                    yield item
                    continue
                counts.unchanged += 1
                if number:
                    self._returned.append(number)
            self._progress("scan", counts.seen, None)

    def _write(self, readings: list[tuple[Item, Reading]]) -> None:
        with self._stages.stage("write"), writing(self._engine, self._location) as connection:
            BatchWriter(
                connection,
                self._scope.root_id,
                self._ingest_id,
                memory=self._memory,
                history=self._settings.history,
            ).write(self._bookmarks.checked(connection, self._scope.root, readings))
        self._counts.read += len(readings)
        self._progress("read", self._counts.read, None)

    def _mark_all(self, known: Known, *, is_named: bool) -> None:
        with self._stages.stage("mark"), writing(self._engine, self._location) as connection:
            writer = BatchWriter(connection, self._scope.root_id, self._ingest_id)
            writer.problems(self._scan.problems, self._scope.below)
            gone, left_out = absent(self._scan, known.left(connection), self._walk.holds)
            _mark(connection, gone, state="missing", missing_ingest_id=self._ingest_id)
            _mark(connection, left_out, state="missing", missing_ingest_id=None)
            _mark(connection, self._returned, state="present", missing_ingest_id=None)
            if self._is_empty and not self._scan.unlisted and (gone or is_named):
                self._tell_lost(connection)
        self._counts.missing += len(gone)
        self._counts.left_out += len(left_out)
        self._counts.returned += len(self._returned)

    def _tell_lost(self, connection: Connection) -> None:
        """Note that nothing is in the tree that was there, if anything was."""
        files, table = table_of(File), table_of(Checkpoint)
        rows = connection.execute(
            select(files.c.path, table.c.status)
            .outerjoin(table, table.c.id == files.c.id)
            .where(
                files.c.root_id == self._scope.root_id,
                files.c.state == "missing",
                files.c.missing_ingest_id.is_not(None),
            )
        )
        prefix = "" if self._scope.below == "." else f"{self._scope.below}/"
        known = [status for path, status in rows if path.startswith(prefix)]
        if known:
            checkpoints = sum(status is not None for status in known)
            self._counts.lost.append(LostTree(str(self.top), self._scan.is_gone, checkpoints))


def _outermost(scan: Scan) -> str:
    """Return where a scan is to begin: at the checkpoint that the folder is a part of, if any."""
    start = folder = scan.below
    for _ in range(MAX_DEPTH):
        if folder == ".":
            break
        inner, folder = folder, split(folder)[0]
        above = Scan(scan.root, folder, scan.pruned, scan.ignored)
        walk = registry.Walk()
        for listing in islice(above.listings(), 1):
            walk.recognise(listing)
        if walk.claims(inner):
            start = folder
    return start


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut items into batches by how much of each is likely to be read."""
    batch: list[Item] = []
    cost = 0
    for item in items:
        batch.append(item)
        cost += _cost(item)
        if cost >= BATCH_COST or len(batch) == BATCH:
            yield batch
            batch, cost = [], 0
    if batch:
        yield batch


def _cost(item: Item) -> int:
    return COST_OF_A_FILE + min(item.size, _most_read(item.reader))


@cache
def _most_read(reader: str) -> int:
    return int(getattr(registry.readers()[reader], "MOST_READ", MOST_READ))


def _mark(connection: Connection, numbers: Iterable[int], **values: Any) -> None:
    table = table_of(File)
    for part in chunks(list(numbers)):
        connection.execute(update(table).where(table.c.id.in_(part)).values(**values))
