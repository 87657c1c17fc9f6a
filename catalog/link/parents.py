"""The checkpoint that a path means, among those that are known."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from catalog.link.places import own_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.link.subjects import RunFolder, Subject


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
        """Return the number of the checkpoint that a run's path means, None if there is none."""
        subject = self.subject(path, folder)
        return None if subject is None else subject.id

    def subject(self, path: str, folder: RunFolder) -> Subject | None:
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
                    return subject
        telling = own_folder(wanted)
        if telling is None:
            return None
        least = len(wanted.removeprefix(posixpath.dirname(telling)).strip("/").split("/"))
        lengths = [(_common_tail(subject.path, wanted), subject) for subject in alike]
        longest = max((length for length, _ in lengths), default=0)
        found = [subject for length, subject in lengths if length == longest]
        if longest < least or len(found) != 1:
            return None
        return found[0]


def _common_tail(left: str, right: str) -> int:
    count = 0
    for one, other in zip(reversed(left.split("/")), reversed(right.split("/")), strict=False):
        if one != other or not one:
            break
        count += 1
    return count
