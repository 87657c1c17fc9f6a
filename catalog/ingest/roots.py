"""Which root a path belongs to, so that no file is ever kept under two roots."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from catalog.errors import SourceError
from catalog.ingest.hosts import note_seen
from catalog.schema.hosts import known_roots
from catalog.schema.store import table_of
from catalog.schema.tables import Checkpoint, File, Root
from catalog.sources.paths import is_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Scope:
    """What one path of an ingest means: a root, and the part of it to look at."""

    root_id: int
    root: Path
    below: str
    """Relative to the root, `.` for all of it."""
    pruned: frozenset[str]
    """Roots inside this one: they are scanned as their own."""


def checked_paths(paths: Sequence[Path], is_known: Callable[[Path], bool]) -> list[Path]:
    """Return the absolute, real paths of the folders to ingest, each once.

    Args:
        paths: as a person names them.
        is_known: says of an absolute path that does not exist whether the catalog knows what lay
            there: that it is gone is news, then.

    Raises:
        SourceError: a path does not exist and was never known, is no folder, or may not be listed.
    """
    real: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            gone = Path(os.path.realpath(path))
            if not is_known(gone):
                raise SourceError(
                    f"{path} does not exist; name a folder that holds training output."
                )
            real[gone] = None
            continue
        if not path.is_dir():
            raise SourceError(
                f"{path} is a file; `catalog ingest` takes folders. Name the folder it lies in."
            )
        if not os.access(path, os.R_OK | os.X_OK):
            raise SourceError(f"{path} cannot be listed: give yourself permission to read it.")
        real[path.resolve()] = None
    return list(real)


def scopes(connection: Connection, paths: Sequence[Path], host: str, now: str) -> list[Scope]:
    """Return what to scan for some checked paths; new roots are written.

    A path inside a known root is a part of that root; which those are of other host names,
    `catalog.ingest.hosts.take_over` found out before. Roots inside a path keep being roots
    of their own, and are scanned along with it. Of a path that is gone and above known roots
    these alone are looked at.
    """
    known = known_roots(connection, host)
    wanted: dict[tuple[Path, str], None] = {}
    for path in sorted(paths):
        above = [root for root in known if path.is_relative_to(root)]
        if above:
            root = max(above, key=lambda root: len(root.parts))
            wanted[root, path.relative_to(root).as_posix()] = None
        elif path.is_dir():
            known[path] = _add(connection, path, host, now)
            wanted[path, "."] = None
        for inner in known:
            if inner.is_relative_to(path):
                wanted[inner, "."] = None
    looked_at = {known[root]: root for root, _below in wanted}
    note_seen(connection, looked_at.items(), host, now)
    return [
        Scope(
            known[root],
            root,
            below,
            frozenset(
                str(other) for other in known if other != root and other.is_relative_to(root)
            ),
        )
        for root, below in wanted
        if not any(
            other_root == root and other != below and is_in(below, other)
            for other_root, other in wanted
        )
    ]


def moved_away(
    connection: Connection, looked_at: Sequence[Scope], ingest_id: int, host: str
) -> list[Scope]:
    """Return the roots that are gone and whose checkpoints this ingest found elsewhere.

    A tree that was moved is ingested where it lies now; without a look at its old place its files
    would stand as present there for ever, and what people said of them would stay behind.
    """
    whole = {scope.root_id for scope in looked_at if scope.below == "."}
    gone = {
        number: path
        for path, number in known_roots(connection, host, last=True).items()
        if number not in whole and not os.path.lexists(path)
    }
    if not gone:
        return []
    files, table = table_of(File), table_of(Checkpoint)
    new, old, now, before = files.alias(), files.alias(), table.alias(), table.alias()
    found = connection.execute(
        select(old.c.root_id)
        .distinct()
        .select_from(new)
        .join(now, now.c.id == new.c.id)
        .join(before, before.c.weights_fingerprint == now.c.weights_fingerprint)
        .join(old, old.c.id == before.c.id)
        .where(
            new.c.first_ingest_id == ingest_id,
            old.c.root_id != new.c.root_id,
            old.c.root_id.in_(gone),
            old.c.state == "present",
            old.c.size == new.c.size,
        )
    ).scalars()
    # Nothing is there to be scanned, so nothing is pruned.
    return [Scope(number, gone[number], ".", frozenset()) for number in sorted(found)]


def _add(connection: Connection, root: Path, host: str, now: str) -> int:
    done = connection.execute(insert(Root).values(host=host, path=str(root), added_at=now))
    return int(done.inserted_primary_key[0])  # type: ignore[index]
