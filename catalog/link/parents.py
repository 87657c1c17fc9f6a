"""The checkpoint that a path means, among those that are known."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from catalog.link.places import folder_of, own_folder, tells_training

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

    def base_of(self, subject: Subject, path: str) -> int | None:
        """Return the number of the model that a checkpoint names as its base, None if unknown.

        A relative path starts at one of the folders above it. After a move the tail has to do, or
        a name that tells one model from others.
        """
        wanted = posixpath.normpath(path.replace("\\", "/"))
        alike = [
            other
            for other in self._by_name.get(posixpath.basename(wanted), ())
            if other is not subject
        ]
        above = subject.directory
        places = {wanted}
        while above != folder_of(above):
            places.add(posixpath.normpath(posixpath.join(above, wanted)))
            above = folder_of(above)
        for other in alike:
            if other.host == subject.host and other.path in places:
                return other.id
        name = posixpath.basename(wanted)
        return self._by_tail(wanted, alike, 1 if tells_training(name) else 2)

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
        found = self._by_tail(wanted, alike, least)
        return next((one for one in alike if one.id == found), None)

    @staticmethod
    def _by_tail(wanted: str, alike: Iterable[Subject], least: int) -> int | None:
        """Return the only one of some checkpoints whose path ends most like the one wanted."""
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
