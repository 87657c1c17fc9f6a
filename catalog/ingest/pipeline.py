"""One ingest: scan the trees, read what is new or changed, write it, gather the runs.

A killed ingest leaves whole batches: what it wrote stands, the rest is read by the next
one, which ends in the same rows as one that was never killed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import func, insert, select, update

from catalog import __version__
from catalog.ingest.roots import Scope, scopes
from catalog.ingest.runs import gather_runs
from catalog.ingest.scan import Scan
from catalog.ingest.store import chunks, table_of
from catalog.ingest.write import BatchWriter, Reading
from catalog.schema.engine import writing
from catalog.schema.tables import File, Ingest, Problem
from catalog.sources import registry
from catalog.sources.facts import Facts, Item
from catalog.sources.facts import Problem as ProblemFact

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from catalog.schema.location import Location
    from catalog.settings import Settings

Progress: TypeAlias = Callable[[str, int, "int | None"], None]
"""Called with the stage, how much of it is done, and how much there is, if that is known."""

BATCH = 200
"""Items read and written in one transaction."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What an ingest did to files."""

    seen: int = 0
    read: int = 0
    unchanged: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalog remembers of a file: enough to tell whether it changed."""

    number: int
    signature: tuple[str, int, int, int, int]
    present: bool


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
            settings=json.dumps(asdict(settings)),
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
    problems = table_of(Problem)
    standing = connection.execute(
        select(func.count()).select_from(problems).where(problems.c.resolved_ingest_id.is_(None))
    ).scalar_one()
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


def read_trees(
    engine: Engine,
    location: Location,
    paths: Sequence[Path],
    *,
    ingest_id: int,
    host: str,
    now: str,
    progress: Progress,
) -> Counts:
    """Bring the rows of files and facts in line with the trees at `paths`.

    Args:
        engine: of a catalog at the newest schema.
        location: where that is, for messages.
        paths: checked, absolute folders.
        ingest_id: the ingest that this belongs to.
        host: name of this machine.
        now: UTC text of the start.
        progress: called as work goes on.
    """
    counts = Counts()
    with writing(engine, location) as connection:
        wanted = scopes(connection, paths, host, now)
    for scope in wanted:
        _read_scope(engine, location, scope, ingest_id, counts, progress)
    with writing(engine, location) as connection:
        gather_runs(connection)
    return counts


def _read_scope(
    engine: Engine,
    location: Location,
    scope: Scope,
    ingest_id: int,
    counts: Counts,
    progress: Progress,
) -> None:
    with engine.connect() as connection:
        known = _known(connection, scope)
    scan = Scan(scope.root, scope.below, scope.pruned)
    due: list[Item] = []
    returned: list[int] = []
    for listing in scan.listings():
        for item in registry.recognise(listing):
            counts.seen += 1
            old = known.pop(item.path, None)
            if old is not None and old.signature == _signature(item):
                counts.unchanged += 1
                if not old.present:
                    returned.append(old.number)
            else:
                due.append(item)
        progress("scan", counts.seen, None)
    gone = [old.number for old in known.values() if old.present]
    counts.missing += len(gone)
    progress("read", 0, len(due))
    done = 0
    for batch in _batches(due):
        readings = [_reading(scope.root, item) for item in batch]
        with writing(engine, location) as connection:
            BatchWriter(connection, scope.root_id, ingest_id).write(readings)
        done += len(readings)
        counts.read += len(readings)
        progress("read", done, len(due))
    with writing(engine, location) as connection:
        BatchWriter(connection, scope.root_id, ingest_id).problems(scan.problems, scope.below)
        _mark(connection, gone, state="missing", missing_ingest_id=ingest_id)
        _mark(connection, returned, state="present", missing_ingest_id=None)


def _known(connection: Connection, scope: Scope) -> dict[str, _Known]:
    table = table_of(File)
    query = select(
        table.c.path,
        table.c.id,
        table.c.state,
        table.c.reader,
        table.c.reader_version,
        table.c.size,
        table.c.mtime_ns,
        table.c.inode,
    ).where(table.c.root_id == scope.root_id)
    prefix = "" if scope.below == "." else f"{scope.below}/"
    if prefix:
        query = query.where(table.c.path.startswith(prefix, autoescape=True))
    return {
        path: _Known(int(number), (reader, version, size, mtime_ns, inode), state == "present")
        for path, number, state, reader, version, size, mtime_ns, inode in connection.execute(query)
        if path.startswith(prefix)  # LIKE does not tell a from A on SQLite
    }


def _signature(item: Item) -> tuple[str, int, int, int, int]:
    version = registry.readers()[item.reader].VERSION
    return (item.reader, version, item.size, item.mtime_ns, item.inode)


def _batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _reading(root: Path, item: Item) -> Reading:
    version = registry.readers()[item.reader].VERSION
    try:
        return Reading(item, registry.read(root, item), version)
    except OSError as error:
        problem = ProblemFact(
            "unreadable-file",
            f"The file cannot be read ({error.strerror or type(error).__name__}); "
            "check its permissions and its disk, then ingest again.",
        )
    except Exception as error:
        log.debug("reader %s failed on %s", item.reader, item.path, exc_info=True)
        problem = ProblemFact(
            "reader-failed",
            f"The reader {item.reader} failed on this file ({type(error).__name__}: {error}). "
            "This is a fault of catalog: please report it with the file.",
        )
    return Reading(item, Facts(problems=(problem,)), version, failed=True)


def _mark(connection: Connection, numbers: Iterable[int], **values: Any) -> None:
    table = table_of(File)
    for part in chunks(list(numbers)):
        connection.execute(update(table).where(table.c.id.in_(part)).values(**values))
