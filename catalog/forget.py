"""Take a tree, or a part of one, out of the catalog: every row that its files left."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from catalog.errors import NotFound, RecoveryError, UsageError
from catalog.ingest.removal import remove_files
from catalog.link.moves import same_files
from catalog.schema.hosts import known_roots
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import (
    Checkpoint,
    File,
    LinkDecision,
    Problem,
    RecoveryFile,
    Root,
    RunDirectory,
)
from catalog.sources.paths import is_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy import Column, ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class Extent:
    """What the catalog knows of a place on disk, and would not know any more."""

    host: str
    """The name of the host whose place it is."""
    files: int = 0
    gone: int = 0
    """Of the files, those that are not on disk any more: what they said cannot be read again."""
    checkpoints: int = 0
    run_directories: int = 0
    """All of them, where the whole place is forgotten."""
    decisions: int = 0
    """What people said with `catalog link` of these checkpoints, where they were not moved."""
    recovered: int = 0
    """Files that recoveries wrote for them; nothing can undo or verify these afterwards."""


@dataclass(slots=True)
class _Rows:
    """The rows of a place."""

    roots: list[int] = field(default_factory=list)
    """Those that lie in it as a whole."""
    files: set[int] = field(default_factory=set)
    gone: int = 0
    directories: set[int] = field(default_factory=set)
    problems: set[int] = field(default_factory=set)


def forget(
    connection: Connection,
    path: Path,
    host: str,
    *,
    named: str | None = None,
    missing_only: bool = False,
    dry: bool = False,
) -> Extent:
    """Delete every row of the files in a place; runs and links have to be judged anew then.

    Contents that nothing else states (configs, architectures, names of metrics) go as well.

    Args:
        connection: in a transaction.
        path: a folder or a file; it need not be there any more.
        host: name of this machine. Where it knows nothing there, what the only other host does
            that has seen the place is meant: that machine may be gone.
        named: the host whose place is meant, and no other's.
        missing_only: leave what was there at the last ingest.
        dry: only tell what would go.

    Raises:
        NotFound: the catalog knows nothing there.
        UsageError: only other hosts know the place, and several do.
        RecoveryError: a config that was recovered elsewhere was cut from a file in the place.
    """
    if named is not None:
        host = named
    elif not (hosts := _hosts(connection, path, host)):
        raise NotFound(_nothing(connection, path, None, missing_only=missing_only))
    elif len(hosts) > 1:
        raise UsageError(
            f"{path} is known of several hosts; say whose is meant with --host: {', '.join(hosts)}."
        )
    else:
        (host,) = hosts
    rows = _rows(connection, path, host, missing_only=missing_only)
    if not rows.files and not rows.roots:
        raise NotFound(_nothing(connection, path, named, missing_only=missing_only))
    moved = _moved_on(connection, rows.files)
    extent = _extent(connection, host, rows, moved)
    _check_sources(connection, rows.files, path)
    if not dry:
        _let_decisions_follow(connection, moved)
        remove_files(
            connection, rows.files, rows.directories, problems=rows.problems, roots=rows.roots
        )
    return extent


def _rows(connection: Connection, path: Path, host: str, *, missing_only: bool) -> _Rows:
    rows = _Rows()
    for root, below, is_whole in _parts(known_roots(connection, host), path):
        if is_whole and not missing_only:
            rows.roots.append(root)
        files = table_of(File)
        query = select(files.c.id, files.c.path, files.c.missing_ingest_id)
        for number, name, found_gone in fetched(connection, query.where(files.c.root_id == root)):
            is_gone = found_gone is not None  # what is left out by a pattern is there
            if is_in(name, below) and (is_gone or not missing_only):
                rows.files.add(int(number))
                rows.gone += is_gone
        if missing_only:
            continue
        for model, found in ((RunDirectory, rows.directories), (Problem, rows.problems)):
            table = table_of(model)
            query = select(table.c.id, table.c.path).where(table.c.root_id == root)
            found |= {int(one) for one, name in fetched(connection, query) if is_in(name, below)}
    return rows


def _hosts(connection: Connection, path: Path, host: str) -> list[str]:
    """Return the hosts whose place a path may be: this one alone, where it knows the place."""
    if any(_parts(known_roots(connection, host), path)):
        return [host]
    table = table_of(Root)
    rows = connection.execute(select(table.c.host, table.c.path, table.c.id).order_by(table.c.host))
    found = (other for other, root, number in rows if any(_parts({Path(root): number}, path)))
    return list(dict.fromkeys(found))


def _parts(roots: Mapping[Path, int], path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield (root, part of it, whether that is all of it) of a place."""
    # A link that led to a root may be gone by now, and the root may be named by the link.
    places = {Path(os.path.abspath(path)), path.resolve()}  # noqa: PTH100 - links as they are
    for root, number in roots.items():
        if any(root.is_relative_to(place) for place in places):
            yield number, ".", True
            continue
        inside = next((place for place in places if place.is_relative_to(root)), None)
        if inside is not None:
            yield number, inside.relative_to(root).as_posix(), False


def _extent(connection: Connection, host: str, rows: _Rows, moved: Mapping[int, int]) -> Extent:
    decisions, written = table_of(LinkDecision), table_of(RecoveryFile)
    stands = written.c.state != "removed"
    return Extent(
        host=host,
        files=len(rows.files),
        gone=rows.gone,
        checkpoints=_count(connection, table_of(Checkpoint).c.id, rows.files),
        run_directories=len(rows.directories),
        decisions=_count(connection, decisions.c.checkpoint_id, rows.files - moved.keys()),
        recovered=_count(connection, written.c.checkpoint_id, rows.files, stands),
    )


def _count(
    connection: Connection,
    column: Column[int],
    numbers: Collection[int],
    *where: ColumnElement[bool],
) -> int:
    """Return how many rows of a column's table have one of the numbers in it."""
    return sum(
        connection.execute(
            select(func.count()).select_from(column.table).where(column.in_(part), *where)
        ).scalar_one()
        for part in chunks(sorted(numbers))
    )


def _moved_on(connection: Connection, files: Collection[int]) -> dict[int, int]:
    """Return, of checkpoints that lie outside the place as well, the last of those places."""
    found: dict[int, int] = {}
    for number, places in same_files(connection).items():
        others = [place for place in places if place not in files]
        if number in files and others:
            found[number] = others[-1]
    return found


def _check_sources(connection: Connection, files: Collection[int], path: Path) -> None:
    """Refuse where the journal of a recovery, which is kept, names a source in the place."""
    table = table_of(RecoveryFile)
    for part in chunks(sorted(files)):
        for batch, checkpoint in connection.execute(
            select(table.c.recovery_id, table.c.checkpoint_id).where(
                table.c.source_file_id.in_(part)
            )
        ):
            if checkpoint not in files:
                raise RecoveryError(
                    f"Recovery {batch} cut a config for a checkpoint elsewhere from a file in "
                    f"{path}; forget that checkpoint first, or together with it."
                )


def _let_decisions_follow(connection: Connection, moved: Mapping[int, int]) -> None:
    """Keep what a person said of a checkpoint that lies elsewhere now."""
    table = table_of(LinkDecision)
    for before, now in moved.items():
        # What was said of it where it lies now stands; of other runs the older word is kept too.
        said = select(table.c.run_identity).where(table.c.checkpoint_id == now)
        runs = connection.execute(said).scalars().all()
        connection.execute(
            update(table)
            .where(table.c.checkpoint_id == before, table.c.run_identity.not_in(runs))
            .values(checkpoint_id=now)
        )


def _nothing(connection: Connection, path: Path, named: str | None, *, missing_only: bool) -> str:
    of_host = "" if named is None else f" of host {named}"
    if missing_only:
        return (
            f"No file{of_host} that the catalog knows in {path} is missing; "
            "`catalog query roots` counts."
        )
    table = table_of(Root)
    roots = connection.execute(
        select(table.c.path, table.c.host).order_by(table.c.path, table.c.host)
    ).all()
    known = ", ".join(f"{root} ({host})" for root, host in roots) or "no tree at all"
    return f"The catalog knows nothing{of_host} in {path}; it knows {known}."
