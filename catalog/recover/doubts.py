"""Configs that a later job may have written over: what speaks against one that is found.

A second job into the same folder (a fixed `hydra.run.dir`, an output folder that is used again)
writes its `config.yaml` over that of the first, whose checkpoints stay. Such a config is younger
than the checkpoint; but so is each config in a tree that was copied without its times, or checked
out by Git. So the times of one file against another are a doubt only together with a sign of that
later job:

- a checkpoint beside this one that is younger than the config, as the later job's own is;
- a run that started after the checkpoint, and about when the config was written: runs and event
  files state their start themselves, which no copy changes;
- for Hydra, whose jobs write their config first and their log afterwards: a log that was written
  for the last time before the config (by the job before), or well after it (by the job of the
  config, which the checkpoint is older than).

A copy writes file after file: what was copied before the config is as old as the config itself.
So the first and the third sign count only where nothing in the folder was written right before
the config. `hparams.yaml` is written again and again by the very job that it is of (Lightning's
`CSVLogger`), so that only the second sign counts for it.

With `hydra.run.dir: .` each job of a project works in the project's own folder: `.hydra` there is
of the last one, whatever the times.
"""

from __future__ import annotations

import posixpath
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, select, true

from catalog.schema.job_folders import shared_job_folders
from catalog.schema.store import chunks, fetched, table_of
from catalog.schema.tables import Checkpoint, File, Link, Run, RunDirectory

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

SLACK_NS = 1_000_000_000
"""Two files whose times are no further apart were written together."""
_START_NS = 120 * 1_000_000_000
"""So long after its config a job's tracker may start: it imports its libraries first."""
_HYDRA = ".hydra/config.yaml"
_REWRITTEN = "hparams.yaml"
_EVENTS = re.compile(r"(?:.*/)?events\.out\.tfevents\.(\d{9,11})\.[^/]*")
"""TensorBoard's event files: the name states the second of their start."""


class Written(NamedTuple):
    """A file, and when it was written for the last time."""

    root_id: int
    path: str
    """Below its root."""
    mtime_ns: int


class _Folder(NamedTuple):
    """What is known of the folder that a config is of."""

    checkpoints: tuple[Written, ...]
    logs: tuple[Written, ...]
    """Of Hydra's jobs."""
    starts: tuple[tuple[int, str], ...]
    """Nanoseconds since 1970, and the run or the event file that states them."""


class Doubts:
    """Says of configs whether a later job wrote them; looks at a folder when it is asked for."""

    def __init__(self, connection: Connection) -> None:
        """Take the database; nothing is read yet."""
        self._connection = connection
        self._folders: dict[tuple[int, str], _Folder] = {}
        self._shared: set[tuple[int, str]] | None = None

    def later_job(self, checkpoint: Written, config: Written) -> str:
        """Return why a config is likely to be of a later job than a checkpoint; empty if not.

        Args:
            checkpoint: a checkpoint.
            config: the config of a whole folder that inference or recovery finds for it.

        Returns:
            A sentence that names the config.
        """
        if not is_later(config, checkpoint):
            return ""
        folder, is_job = _folder_of(config.path)
        known = self._folder(config.root_id, folder)
        sign = _start(checkpoint, config, known)
        if not sign and posixpath.basename(config.path) != _REWRITTEN:
            sign = _order(checkpoint, config, known, is_job=is_job)
        if not sign:
            return ""
        return (
            f"{config.path} was written {_span(config.mtime_ns - checkpoint.mtime_ns)} after the "
            f"checkpoint, {sign}: a later job may have written it over."
        )

    def last_job(self, config: Written) -> str:
        """Return why a config is of the last of several jobs only; empty if it is not.

        Args:
            config: the config of a whole folder that inference finds.

        Returns:
            A sentence that names the config.
        """
        folder, is_job = _folder_of(config.path)
        if not is_job or (config.root_id, folder) not in self._shared_folders():
            return ""
        return (
            f"{config.path} is of the last job only: several worked in "
            f"{'the root' if folder == '.' else folder}."
        )

    def _shared_folders(self) -> set[tuple[int, str]]:
        """Return the job folders that are of no single job, with several runs or jobs inside."""
        if self._shared is None:
            table = table_of(RunDirectory)
            shared = shared_job_folders(self._connection)
            self._shared = set()
            for part in chunks(sorted(shared)):
                for number, root_id, path in self._connection.execute(
                    select(table.c.id, table.c.root_id, table.c.path).where(table.c.id.in_(part))
                ).all():
                    several = self._connection.execute(
                        select(table.c.run_id)
                        .where(
                            table.c.root_id == root_id,
                            below(self._connection, table.c.path, path),
                            table.c.tracker.in_(("hydra", "wandb")),
                            table.c.run_id.is_not(None),
                            table.c.id != number,
                        )
                        .distinct()
                        .limit(2)
                    ).all()
                    if len(several) > 1:
                        self._shared.add((int(root_id), path))
        return self._shared

    def _folder(self, root_id: int, folder: str) -> _Folder:
        if (root_id, folder) not in self._folders:
            self._folders[root_id, folder] = self._load(root_id, folder)
        return self._folders[root_id, folder]

    def _load(self, root_id: int, folder: str) -> _Folder:
        files, table = table_of(File), table_of(Checkpoint)
        inside = and_(
            files.c.root_id == root_id,
            files.c.state == "present",
            below(self._connection, files.c.path, folder),
        )
        checkpoints: dict[int, Written] = {}
        for number, path, mtime in fetched(
            self._connection,
            select(files.c.id, files.c.path, files.c.mtime_ns)
            .join(table, table.c.id == files.c.id)
            .where(inside)
            .order_by(files.c.mtime_ns, files.c.path),
        ):
            checkpoints[int(number)] = Written(root_id, path, int(mtime))
        logs: list[Written] = []
        starts: list[tuple[int, str]] = []
        for path, mtime in fetched(
            self._connection,
            select(files.c.path, files.c.mtime_ns)
            .where(inside, files.c.reader.in_(("hydra", "tensorboard")))
            .order_by(files.c.path),
        ):
            if found := _EVENTS.fullmatch(path):
                starts.append((int(found[1]) * 1_000_000_000, path))
            elif path.endswith(".log") and (posixpath.dirname(path) or ".") == folder:
                logs.append(Written(root_id, path, int(mtime)))
        starts += self._runs(root_id, folder, list(checkpoints))
        return _Folder(tuple(checkpoints.values()), tuple(logs), tuple(sorted(starts)))

    def _runs(self, root_id: int, folder: str, checkpoints: list[int]) -> list[tuple[int, str]]:
        """Return the starts of the runs that are in a folder, or wrote checkpoints there."""
        runs, folders, links = table_of(Run), table_of(RunDirectory), table_of(Link)
        query = select(runs.c.started_at, runs.c.tracker_run_id, runs.c.identity).distinct()
        queries = [
            query.join(folders, folders.c.run_id == runs.c.id).where(
                folders.c.root_id == root_id, below(self._connection, folders.c.path, folder)
            ),
            *(
                query.join(links, links.c.run_id == runs.c.id).where(
                    links.c.verdict == "linked", links.c.checkpoint_id.in_(part)
                )
                for part in chunks(checkpoints)
            ),
        ]
        return [
            (_nanoseconds(started), f"run {name or identity}")
            for one in queries
            for started, name, identity in self._connection.execute(
                one.where(runs.c.started_at.is_not(None))
            )
        ]


def is_later(one: Written, other: Written) -> bool:
    """Say whether one file was written after another, and not along with it."""
    return one.mtime_ns > other.mtime_ns + SLACK_NS


def below(connection: Connection, path: ColumnElement[str], folder: str) -> ColumnElement[bool]:
    """Return the condition that a path is below a folder; below `.` is all."""
    if folder == ".":
        return true()
    if connection.dialect.name == "sqlite":
        # Texts are compared byte by byte, so that the index of paths serves; `0` comes after `/`.
        return and_(path >= f"{folder}/", path < f"{folder}0")
    return path.startswith(f"{folder}/", autoescape=True)


def _folder_of(config: str) -> tuple[str, bool]:
    """Return the folder that a config is of, and whether it is a Hydra job's."""
    if config == _HYDRA or config.endswith(f"/{_HYDRA}"):
        return posixpath.dirname(posixpath.dirname(config)) or ".", True
    return posixpath.dirname(config) or ".", False


def _start(checkpoint: Written, config: Written, known: _Folder) -> str:
    """Return which run started between the two; empty if none is known to."""
    for started, name in known.starts:
        if checkpoint.mtime_ns + SLACK_NS < started <= config.mtime_ns + _START_NS:
            return f"and {name} started in that time"
    return ""


def _order(checkpoint: Written, config: Written, known: _Folder, *, is_job: bool) -> str:
    """Return which file's time tells of a later job; empty if none does."""
    beside = posixpath.dirname(checkpoint.path)
    others = [
        one
        for one in known.checkpoints
        if is_job or posixpath.dirname(one.path) == beside or config.root_id != checkpoint.root_id
    ]
    logs = known.logs if is_job else ()
    if any(
        config.mtime_ns - SLACK_NS <= one.mtime_ns <= config.mtime_ns for one in (*others, *logs)
    ):
        return ""
    for one in others:
        if one.mtime_ns > config.mtime_ns:
            return f"and before {one.path}"
    for one in logs:
        if is_later(config, one):
            return f"and after the last line of {one.path}"
        if is_later(one, config):
            return f"by the job that went on to write {one.path}"
    return ""


def _nanoseconds(moment: str) -> int:
    """Return UTC text as nanoseconds since 1970."""
    since = datetime.fromisoformat(moment).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1_000


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def _span(nanoseconds: int) -> str:
    """Return a time in its largest unit of which there is more than one."""
    seconds = nanoseconds // 1_000_000_000
    size, unit = next((one for one in _UNITS if seconds >= 2 * one[0]), _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}{'s' * (count != 1)}"
