"""What a checkpoint's verdict rests on, as one digest: where it is unchanged, so is the verdict."""

from __future__ import annotations

import marshal
from collections import defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from catalog import __version__
from catalog.link.evidence.paths import own_project, project_tails
from catalog.link.subjects import is_run
from catalog.schema.store import Store, chunks, fetched, table_of
from catalog.schema.tables import File, LinkBasis, MetricSeries, MetricSummary, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from catalog.link.decisions import Decision
    from catalog.link.evidence.context import Context
    from catalog.link.places import Place
    from catalog.link.subjects import RunFolder, Subject


_FORM = 2
"""Of `marshal`: the last one that writes equal values alike, whatever objects they are."""


class Bases:
    """Digests of the inputs of weighing, made from rows that are in memory anyway."""

    def __init__(
        self, connection: Connection, folders: Iterable[RunFolder], context: Context
    ) -> None:
        self._context = context
        self._place: Place | None = None
        self._candidates: Sequence[RunFolder] = ()
        self._kept = b""
        metrics = _metrics(connection)
        tokens: dict[int, list[bytes]] = defaultdict(list)
        self._folders: dict[int, bytes] = {}
        for folder in folders:
            token = _digest(folder.token, metrics.get(folder.id))
            self._folders[folder.id] = token
            if folder.run_id is not None and is_run(folder):
                tokens[folder.run_id].append(token)
        # What all folders of a run come to, those of other tools included, decides on its states.
        runs = table_of(Run)
        query = select(runs.c.id, runs.c.arguments)
        arguments = {int(number): text for number, text in fetched(connection, query)}
        self._runs = {
            number: _digest(parts, arguments.get(number)) for number, parts in tokens.items()
        }

    def of(
        self,
        subject: Subject,
        candidates: Sequence[RunFolder],
        decisions: Sequence[tuple[Decision, int | None]],
        copies: Sequence[int],
        siblings: Sequence[int],
    ) -> bytes:
        """Return the digest of everything that the verdict on a checkpoint is made from.

        Args:
            subject: the checkpoint.
            candidates: the run folders that are weighed.
            decisions: a person's word, with the folder that is shown for the run.
            copies: the files that have its weights and remember its places.
            siblings: the files of its training.
        """
        places = self._context.places
        beside: object = None
        if places.has_alike(subject) or places.twins.has_job(subject):
            beside = (
                [
                    (other.path, other.main_score, other.best_paths, other.config_id)
                    for other in places.rivals(subject)
                ],
                [
                    (
                        (twin := places.twins.checkpoint(subject, folder)) and twin.path,
                        places.twins.job(subject, folder),
                    )
                    for folder in candidates
                ],
            )
        said = [(*one, shown) for one, shown in decisions]
        called = self._context.called.rests_on(subject)
        return _digest(
            self._of_place(subject, candidates),
            subject.token,
            beside,
            said,
            copies,
            siblings,
            called,
        )

    def _of_place(self, subject: Subject, candidates: Sequence[RunFolder]) -> bytes:
        """Return the digest of what checkpoints of one place share, which come one after another.

        `Finder.find` gives them one and the same list.
        """
        place = subject.place
        if candidates is not self._candidates or place is not self._place:
            self._place, self._candidates = place, candidates
            self._kept = self._shared(subject, candidates)
        return self._kept

    def _shared(self, subject: Subject, candidates: Sequence[RunFolder]) -> bytes:
        places = self._context.places
        job = subject.job
        tails = project_tails(subject)
        return _digest(
            __version__,
            self._context.settings.link_tolerance,
            [(folder.id, self._folders.get(folder.id)) for folder in subject.folders],
            own_project(subject, self._context),
            sorted(places.went_on_from(subject)),
            job is not None and places.is_shared(job),
            [
                (
                    self._runs[folder.run_id or 0],
                    folder.id,
                    places.between(subject, folder),
                    places.is_project(folder),
                    places.works_on(folder, job),
                    [
                        (tail, sorted(found))
                        for tail in tails
                        if (found := places.remembered_in(folder.host, f"{folder.project}/{tail}"))
                    ],
                    sorted(places.folders_of(folder.run_id or 0)),
                )
                for folder in candidates
            ],
        )


def stored(connection: Connection) -> dict[int, bytes]:
    """Return the digests of the last judging, by checkpoint."""
    table = table_of(LinkBasis)
    return {
        int(number): digest
        for number, digest in fetched(connection, select(table.c.checkpoint_id, table.c.digest))
    }


def write_bases(
    connection: Connection, before: Mapping[int, bytes], now: Mapping[int, bytes]
) -> None:
    """Keep the digests that changed."""
    store = Store(connection)
    changed = [number for number, digest in now.items() if before.get(number) != digest]
    for part in chunks([number for number in changed if number in before]):
        store.delete(LinkBasis, "checkpoint_id", part)
    store.insert_rows(
        LinkBasis, ("checkpoint_id", "digest"), ((number, now[number]) for number in changed)
    )


def _metrics(connection: Connection) -> dict[int, list[object]]:
    """Return, by run directory, what changes whenever any of its metrics does."""
    files = table_of(File)
    found: dict[int, list[object]] = defaultdict(list)
    for model in (MetricSeries, MetricSummary):
        table = table_of(model)
        for number, *rest in fetched(
            connection,
            select(
                table.c.run_directory_id,
                func.count(),
                func.min(table.c.id),
                func.max(table.c.id),
                func.max(files.c.read_ingest_id),
            )
            .join(files, files.c.id == table.c.file_id)
            .group_by(table.c.run_directory_id),
        ):
            found[int(number)].append(tuple(rest))
    return found


def _digest(*parts: Any) -> bytes:
    """Return the digest of plain values: texts, numbers, bytes, tuples and lists of them.

    `marshal` writes them several times as fast as `repr`.
    """
    return sha256(marshal.dumps(parts, _FORM)).digest()[:16]
