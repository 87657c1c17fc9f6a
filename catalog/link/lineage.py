"""Which checkpoints runs started from: what they name, found among the files that are known."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.link.inputs import Input
from catalog.link.places import own_folder
from catalog.schema.store import Store, fetched, table_of
from catalog.schema.tables import Lineage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from catalog.link.inputs import Inputs
    from catalog.link.subjects import RunFolder, Subject

FORK = "forked-from"
_Row = tuple[str, str, int | None, int]


def write_lineage(
    connection: Connection,
    folders: Iterable[RunFolder],
    subjects: Iterable[Subject],
    inputs: Inputs,
    moves: Mapping[int, int],
) -> None:
    """Bring `lineage` in line with what runs and jobs name.

    Args:
        connection: in a transaction.
        folders: every run directory and job folder.
        subjects: every checkpoint.
        inputs: what the folders name.
        moves: the checkpoint that a missing one is now.
    """
    known = Parents(subjects)
    table = table_of(Lineage)
    before: dict[int, dict[_Row, int]] = defaultdict(dict)
    for row in fetched(connection, select(table)):
        before[int(row.run_directory_id)][row.path, row.named_as, row.parent_id, row.file_id] = int(
            row.id
        )
    store = Store(connection)
    for folder in folders:
        old = before.pop(folder.id, {})
        # A run that was forked from another names no file of it.
        forks = [Input(one.text, FORK, one.file_id) for one in folder.mentions.get(FORK, ())]
        for named in (*inputs.of(folder), *forks):
            parent = None if named.named_as == FORK else known.find(named.path, folder)
            while parent is not None and parent in moves:
                parent = moves[parent]
            if old.pop((named.path, named.named_as, parent, named.file_id), None) is None:
                store.add(
                    Lineage,
                    {
                        "id": store.number(Lineage),
                        "run_directory_id": folder.id,
                        "path": named.path,
                        "named_as": named.named_as,
                        "parent_id": parent,
                        "file_id": named.file_id,
                    },
                )
        if old:
            before[folder.id] = old
    store.delete(Lineage, "id", [number for rows in before.values() for number in rows.values()])
    store.flush()


class Parents:
    """Checkpoints by their names, to find the one that a path means."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self._subjects = subjects

    @cached_property
    def _by_name(self) -> dict[str, list[Subject]]:
        by_name: dict[str, list[Subject]] = defaultdict(list)
        for subject in self._subjects:
            by_name[posixpath.basename(subject.path)].append(subject)
        return by_name

    def find(self, path: str, folder: RunFolder) -> int | None:
        """Return the checkpoint that a run's path means, None if none or several may be.

        The very path counts most, then the path below the run's project. After a move the tail of
        the path has to do: down to a folder whose name tells one training from another.
        """
        wanted = posixpath.normpath(path.replace("\\", "/"))
        places = [wanted, posixpath.normpath(posixpath.join(folder.project, wanted))]
        alike = self._by_name.get(posixpath.basename(wanted), [])
        for place in places:
            for subject in alike:
                if subject.host == folder.host and subject.path == place:
                    return subject.id
        telling = own_folder(wanted)
        if telling is None:
            return None
        least = len(wanted.removeprefix(posixpath.dirname(telling)).strip("/").split("/"))
        lengths = [(_common_tail(subject.path, wanted), subject) for subject in alike]
        longest = max((length for length, _ in lengths), default=0)
        found = [subject for length, subject in lengths if length == longest]
        if longest < least or len(found) != 1:
            return None
        return found[0].id


def _common_tail(left: str, right: str) -> int:
    count = 0
    for one, other in zip(reversed(left.split("/")), reversed(right.split("/")), strict=False):
        if one != other or not one:
            break
        count += 1
    return count
