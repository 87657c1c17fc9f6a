"""Which of the checkpoints that a run names it wrote itself: it did not start from these."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from catalog.link.config_texts import config_texts
from catalog.link.keys import says_reading, says_saving, says_writing
from catalog.link.limits import CLOCK_SLACK, WRITE_SLACK
from catalog.link.names import plain_stem
from catalog.link.places import says_nothing
from catalog.sources.run_ids import is_drawn
from catalog.sources.stamps import stamp_of_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from catalog.link.inputs import Input
    from catalog.link.names import Names
    from catalog.link.parents import Parents
    from catalog.link.subjects import RunFolder

_SLACK = timedelta(seconds=CLOCK_SLACK)
_WRITE_SLACK = timedelta(seconds=WRITE_SLACK)
_READ_ROLES = frozenset({"restored-from", "artifact-used"})
_PATTERNS = ("%out%", "%save%", "%log%", "%work%", "%run%", "%dirpath%")
"""One of which is in every key that `says_writing`."""
_IDS = re.compile(r"[^A-Za-z0-9]+")


class Outputs:
    """Tells what runs wrote, from what they name, their times, and the times of files.

    Args:
        connection: to the catalog.
        folders: every run directory and job folder.
        parents: finds the file that a path means.
        names: of all runs.
        config_ids: the configs that name checkpoints.
    """

    def __init__(
        self,
        connection: Connection,
        folders: Iterable[RunFolder],
        parents: Parents,
        names: Names,
        config_ids: Collection[int],
    ) -> None:
        self._parents = parents
        self._names = names
        self._lives = Counter(folder.run_id or 0 for folder in folders if not folder.copy_of_latest)
        self._named: dict[int, list[str]] = defaultdict(list)
        for config_id, key, text in config_texts(connection, config_ids, _PATTERNS):
            if text and says_writing(key) and not says_reading(key):
                self._named[config_id].append(text)

    def wrote(self, folder: RunFolder, named: Input) -> bool:
        """Tell whether a run surely wrote a file that it names.

        Its key says so, or the file was last written while the run lived, or it bears the run's
        name, or its path what was not there before: the drawn id, or the second of its start.
        """
        if named.named_as in _READ_ROLES and not named.key:
            return False
        if says_saving(named.key):
            return True
        if self._bears_its_name(folder, named.path):
            return True
        if says_reading(named.key):
            return False
        before = self._written_by(folder, named)
        return before is True or (before is None and self._is_called(folder, named.path))

    def may_have_written(self, folder: RunFolder, named: Input) -> bool:
        """Tell whether a file lies where the run wrote, and nothing says that it was there before.

        A run that names such a file, and not as what it reads, is not said to have started from it.
        """
        if (named.named_as in _READ_ROLES and not named.key) or says_reading(named.key):
            return False
        if self._written_by(folder, named) is not None:
            return False
        seconds = _seconds_after_stamp(folder, named.path)
        return (seconds is not None and 0 <= seconds <= WRITE_SLACK) or any(
            _is_directly_in(named.path, output, folder) for output in self._outputs(folder)
        )

    def _is_called(self, folder: RunFolder, path: str) -> bool:
        """Tell whether a file has the name of the run: `Data/x13.pth` in the run `x 13`."""
        plain = plain_stem(path)
        return plain is not None and self._names.of_run(folder, plain) is not None

    def _bears_its_name(self, folder: RunFolder, path: str) -> bool:
        """Tell whether a path bears the run's id or start; a resumed run found such files."""
        if folder.run_id is not None and self._lives[folder.run_id] > 1:
            return False
        run_id = folder.tracker_run_id
        if run_id is not None and is_drawn(run_id) and run_id in _IDS.split(path):
            return True
        return _seconds_after_stamp(folder, path) == 0

    def _written_by(self, folder: RunFolder, named: Input) -> bool | None:
        """Tell by its time whether a file was written while the run lived, None if unknown."""
        file = self._parents.subject(named.path, folder)
        written_at = None if file is None else file.written_at
        if written_at is None or folder.started_at is None:
            return None
        if written_at < folder.started_at - _SLACK:
            return False
        if folder.ended_at is not None and written_at <= folder.ended_at + _WRITE_SLACK:
            return True
        return None

    def _outputs(self, folder: RunFolder) -> Iterator[str]:
        yield folder.path
        if folder.job_path is not None and not folder.reused:
            yield folder.job_path
        for role in ("output-dir", "logging-dir"):
            for said in folder.mentions.get(role, ()):
                yield said.text
        for config_id, _file in folder.config:
            yield from self._named.get(config_id, ())


def _seconds_after_stamp(folder: RunFolder, path: str) -> float | None:
    """Return how long after the stamp in a path a run started, by one and the same clock."""
    stamp = stamp_of_path(posixpath.dirname(path)) if folder.stamp is not None else None
    if stamp is None or stamp.in_utc or folder.stamp is None:
        return None
    return (folder.stamp - datetime.fromisoformat(stamp.text)).total_seconds()


def _is_directly_in(path: str, output: str, folder: RunFolder) -> bool:
    """Tell whether a file lies in a folder, or in one of no name in it (`checkpoints/`)."""
    file, place = (
        posixpath.normpath(posixpath.join(folder.project, one.replace("\\", "/")))
        for one in (path, output)
    )
    if not file.startswith(f"{place}/"):
        return False
    return all(map(says_nothing, file.removeprefix(f"{place}/").split("/")[:-1]))
