"""Which root a path belongs to, so that no file is ever kept under two roots."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from catalog.errors import SourceError
from catalog.schema.tables import Root

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def checked_paths(paths: Sequence[Path]) -> list[Path]:
    """Return the absolute, real paths of the folders to ingest, each once.

    Raises:
        SourceError: a path does not exist, is no folder, or may not be listed.
    """
    real: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path} does not exist; name a folder that holds training output.")
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

    A path inside a known root is a part of that root. Roots inside a path keep being roots
    of their own, and are scanned along with it.
    """
    known = {
        Path(path): int(number)
        for number, path in connection.execute(
            select(Root.id, Root.path).where(Root.host == host).order_by(Root.id)  # type: ignore[call-overload]
        )
    }
    wanted: dict[tuple[Path, str], None] = {}
    for path in sorted(paths):
        above = [root for root in known if path.is_relative_to(root)]
        if above:
            root = max(above, key=lambda root: len(root.parts))
        else:
            root = path
            known[root] = _add(connection, root, host, now)
        wanted[root, path.relative_to(root).as_posix()] = None
        for inner in known:
            if inner != root and inner.is_relative_to(path):
                wanted[inner, "."] = None
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
            other_root == root and other != below and _covers(other, below)
            for other_root, other in wanted
        )
    ]


def _covers(outer: str, inner: str) -> bool:
    return outer == "." or inner.startswith(f"{outer}/")


def _add(connection: Connection, root: Path, host: str, now: str) -> int:
    done = connection.execute(insert(Root).values(host=host, path=str(root), added_at=now))
    return int(done.inserted_primary_key[0])  # type: ignore[index]
