"""Whether a tree that another host name saw is the one that is on this machine's disk.

A container has a new name each time, and one disk may be mounted by several machines: a host name
tells nothing. What tells is the disk. A file that the catalog knows under another host name is
looked for at the same absolute path; its device-independent identity is size, modification time in
nanoseconds and inode.

- A file with all three agrees. One with the same size and time and another inode differs: that is
  what `rsync -a` leaves on another machine's disk. One that was changed, or is gone, says nothing.
- Of up to 200 known files at least one agrees, and no more differ than agree: it is **the same
  tree**. It is seen by one more host name; nothing is read again, and what is gone is missing.
- More differ than agree: **another tree**. Some network disks give no lasting inodes and cannot be
  told from a copy; `catalog host move` is how a person says that it is one tree.
- None agrees or differs (all files are gone or changed): the folder itself tells, by its inode.
  A small number is the top of any file system, and tells nothing. If it tells nothing either, the
  tree is a machine's own only if it was shown to be that before: what is empty, or not mounted
  just now, takes nothing over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from catalog.errors import NotFound, UsageError
from catalog.hosts import checked_host
from catalog.ingest.merge import drop_overlap, merge_roots
from catalog.schema.hosts import host_labels, known_roots
from catalog.schema.store import table_of
from catalog.schema.tables import File, Root, RootHost

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection

_LOOKED_AT = 200
"""Files of one tree that are looked for; on a network disk each look takes a millisecond."""
_TOP_INODES = 1_024
"""Inodes up to here may be the top of a file system: 1 or 2, XFS 128, Btrfs 256."""
_MOST_INODE = 2**63 - 1


class Verdict(Enum):
    """What the disk says of a tree that another host name saw."""

    SAME = "same"
    OTHER = "other"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class MovedHost:
    """The trees that have another host name now."""

    roots: tuple[str, ...]
    merged: int
    """How many of them the new name knew already: each is one tree now."""


@dataclass(slots=True)
class _Tree:
    """A root that nobody saw under this host's name since another one did."""

    number: int
    path: Path
    inodes: dict[str, int | None] = field(default_factory=dict)
    """By the names of the hosts that saw it."""
    last: str = ""

    def is_near(self, paths: Iterable[Path]) -> bool:
        """Say whether it is one of some folders, around one, or inside one."""
        return any(
            self.path.is_relative_to(path) or path.is_relative_to(self.path) for path in paths
        )


def take_over(connection: Connection, paths: Sequence[Path], host: str) -> bool:
    """Let known trees at some folders be this host's too, where they are what is on its disk.

    Two roots that turn out to be one tree are made one.

    Args:
        connection: in a transaction.
        paths: checked, absolute.
        host: name of this machine.

    Returns:
        Whether trees belong together in another way than before: all has to be judged anew then.
    """
    trees = [tree for tree in _foreign(connection, host) if tree.is_near(paths)]
    if not trees:
        return False
    before = host_labels(connection)
    for tree in trees:
        verdict = look(connection, tree.number, tree.path, _parts(tree, paths))
        if verdict is Verdict.SILENT:
            verdict = _folder(tree, host)
        if verdict is Verdict.SAME:
            assign(connection, tree.number, tree.path, host)
        elif host in tree.inodes:
            _unname(connection, tree.number, host)
    after = host_labels(connection)
    return any(after.get(number) != label for number, label in before.items())


def assign(connection: Connection, number: int, path: Path, host: str) -> None:
    """Give a root to a host; with what that host knows at the place already it is one tree.

    Args:
        connection: in a transaction; runs and links may have to be judged anew.
        number: of the root.
        path: of the root.
        host: name of the machine.
    """
    others = {
        root: other for root, other in known_roots(connection, host).items() if other != number
    }
    if path in others:
        kept, gone = sorted((number, others.pop(path)))
        merge_roots(connection, kept, gone)
        number = kept
    for root, other in sorted(others.items()):
        if root.is_relative_to(path):
            drop_overlap(connection, (number, path), (other, root))
        elif path.is_relative_to(root):
            drop_overlap(connection, (other, root), (number, path))
    table = table_of(Root)
    connection.execute(update(table).where(table.c.id == number).values(host=host))


def move_host(connection: Connection, old: str, new: str, root: Path | None) -> MovedHost:
    """Give the trees of a host to another name; see `Catalog.move_host`.

    Args:
        connection: in a transaction; runs and links have to be judged anew.
        old: the name until now, as it was kept.
        new: the name from now on.
        root: only this tree.

    Raises:
        NotFound: the catalog knows no such tree of that host.
        UsageError: the new name is none, or the old one.
    """
    if checked_host(new, "The new name") == old:
        raise UsageError(f"Trees of {old} have that name already; give them another one.")
    places = None
    if root is not None:
        places = {Path(os.path.abspath(root)), root.resolve()}  # noqa: PTH100 - links as they are
    names = table_of(RootHost)
    moved, merged = [], 0
    for path, number in known_roots(connection, old).items():
        if places is not None and path not in places:
            continue
        merged += path in known_roots(connection, new)
        assign(connection, number, path, new)
        now = known_roots(connection, new)[path]
        its = names.c.root_id == now
        if connection.execute(select(names.c.host).where(its, names.c.host == new)).first() is None:
            # The folder may be another one where the new name looks: its inode tells nothing yet.
            connection.execute(
                update(names).where(its, names.c.host == old).values(host=new, inode=None)
            )
        _unname(connection, now, old)
        moved.append(str(path))
    if not moved:
        raise NotFound(_no_tree(connection, old, root))
    return MovedHost(tuple(moved), merged)


def _no_tree(connection: Connection, host: str, root: Path | None) -> str:
    table = table_of(Root)
    hosts = connection.execute(select(table.c.host).distinct().order_by(table.c.host)).scalars()
    known = ", ".join(hosts) or "none at all"
    place = "" if root is None else f" at {root}"
    return f"The catalog knows no tree of host {host}{place}; it knows the hosts {known}."


def note_seen(
    connection: Connection, roots: Iterable[tuple[int, Path]], host: str, now: str
) -> None:
    """Note that a host looked at some trees; those that are not there are not seen."""
    table, names = table_of(Root), table_of(RootHost)
    for number, path in roots:
        inode = inode_of(path)
        if inode is None:
            continue
        other = (table.c.id == number) & (table.c.host != host)
        connection.execute(update(table).where(other).values(host=host))
        its = (names.c.root_id == number) & (names.c.host == host)
        values = {"seen_at": now, "inode": inode}
        if not connection.execute(update(names).where(its).values(values)).rowcount:
            connection.execute(insert(names).values(root_id=number, host=host, **values))


def same_path(connection: Connection, paths: Collection[Path], host: str) -> list[tuple[str, str]]:
    """Return path and host of the trees at some paths that are kept as another machine's."""
    return [
        (str(tree.path), tree.last)
        for tree in _foreign(connection, host)
        if tree.path in paths and host not in tree.inodes
    ]


def look(connection: Connection, number: int, root: Path, parts: Iterable[str]) -> Verdict:
    """Compare what the catalog knows of a tree with what is on disk, as above.

    Args:
        connection: of a catalog at the newest schema.
        number: of the root.
        root: its absolute path.
        parts: folders of it, the first that says something decides.
    """
    for below in parts:
        agree = differ = 0
        for path, size, mtime_ns, inode in _sample(connection, number, below):
            try:
                found = (root / path).lstat()
            except OSError:
                continue
            if (found.st_size, found.st_mtime_ns) == (size, mtime_ns):
                agree += found.st_ino == inode
                differ += found.st_ino != inode
        if agree or differ:
            return Verdict.SAME if agree >= differ else Verdict.OTHER
    return Verdict.SILENT


def inode_of(folder: Path) -> int | None:
    """Return the inode of a folder; None where there is none."""
    try:
        return folder.stat().st_ino & _MOST_INODE
    except OSError:
        return None


def _folder(tree: _Tree, host: str) -> Verdict:
    """Say what the folder itself tells, where none of its files tells anything."""
    found = inode_of(tree.path)
    if found is not None and found > _TOP_INODES and found == tree.inodes.get(tree.last):
        return Verdict.SAME
    if host not in tree.inodes:
        return Verdict.SILENT
    # It was this machine's before. A folder of another inode is what a mount hides.
    own = tree.inodes[host]
    return Verdict.SAME if found is None or own is None or own == found else Verdict.OTHER


def _foreign(connection: Connection, host: str) -> list[_Tree]:
    """Return the roots that another host name saw last, in the order of their numbers."""
    roots, names = table_of(Root), table_of(RootHost)
    trees: dict[int, _Tree] = {}
    for number, path, last, name, inode in connection.execute(
        select(roots.c.id, roots.c.path, roots.c.host, names.c.host, names.c.inode)
        .outerjoin(names, names.c.root_id == roots.c.id)
        .where(roots.c.host != host)
        .order_by(roots.c.id)
    ):
        tree = trees.setdefault(number, _Tree(int(number), Path(path), last=last))
        if name is not None:
            tree.inodes[name] = inode
    return list(trees.values())


def _parts(tree: _Tree, paths: Iterable[Path]) -> list[str]:
    """Return the folders of a tree that are asked for, then all of it."""
    inside = (path for path in paths if path.is_relative_to(tree.path))
    return list(dict.fromkeys((*(path.relative_to(tree.path).as_posix() for path in inside), ".")))


def _sample(connection: Connection, root: int, below: str) -> list[tuple[str, int, int, int]]:
    """Return (path, size, time, inode) of known files, spread over a part of a tree."""
    table = table_of(File)
    condition = (
        (table.c.root_id == root)
        & (table.c.state == "present")
        & (table.c.inode != 0)  # a directory has none of its own
        & table.c.is_link.is_(False)
    )
    if below != ".":
        condition &= table.c.path.startswith(f"{below}/", autoescape=True)
    counted = select(func.count(), func.min(table.c.id)).where(condition)
    count, first = connection.execute(counted).one()
    step = -(-count // _LOOKED_AT) or 1
    query = (
        select(table.c.path, table.c.size, table.c.mtime_ns, table.c.inode)
        .where(condition, (table.c.id - (first or 0)) % step == 0)
        .order_by(table.c.id)
        .limit(_LOOKED_AT)
    )
    rows = connection.execute(query).all()
    return [(path, int(size), int(mtime_ns), int(inode)) for path, size, mtime_ns, inode in rows]


def _unname(connection: Connection, root: int, host: str) -> None:
    """Note that what a host has at the path of a tree is another tree by now."""
    names = table_of(RootHost)
    connection.execute(delete(names).where(names.c.root_id == root, names.c.host == host))
