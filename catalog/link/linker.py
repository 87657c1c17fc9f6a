"""Weigh every checkpoint's candidates and bring the link rows in line with the verdicts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from catalog.ingest.store import Store, table_of
from catalog.link.candidates import Finder
from catalog.link.evidence import weigh
from catalog.link.evidence.context import Context
from catalog.link.subjects import Configs, is_run, load_folders, load_subjects
from catalog.link.verdict import Judged, judge
from catalog.schema.tables import CheckpointDirectory, Link, LinkEvidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from catalog.ingest.pipeline import Progress
    from catalog.link.subjects import Subject
    from catalog.settings import Settings

_Row = tuple[Any, ...]


def link_checkpoints(
    connection: Connection, settings: Settings, ingest_id: int, progress: Progress
) -> None:
    """Judge all checkpoints anew and write the verdicts that changed.

    The result depends on the rows alone, not on the order in which they came.

    Args:
        connection: in a transaction.
        settings: `link_tolerance` is used.
        ingest_id: the ingest that the new verdicts belong to.
        progress: called as work goes on.
    """
    folders = load_folders(connection)
    runs = [folder for folder in folders if is_run(folder)]
    subjects = load_subjects(connection, folders)
    finder = Finder(connection, runs, settings)
    context = Context(
        connection,
        settings,
        Configs(connection),
        finder.by_project,
    )
    verdicts: dict[int, list[Judged]] = {}
    for done, subject in enumerate(subjects, 1):
        verdicts[subject.id] = judge(
            (folder, weigh(subject, folder, context)) for folder in finder.find(subject)
        )
        for one in verdicts[subject.id]:
            one.folder = finder.original(one.folder)
        progress("link", done, len(subjects))
    _write_links(connection, verdicts, ingest_id)
    _write_places(connection, subjects)


def _write_links(connection: Connection, verdicts: dict[int, list[Judged]], ingest_id: int) -> None:
    before = _links_before(connection)
    store = Store(connection)
    stale: list[int] = []
    for checkpoint_id, judged in verdicts.items():
        old = before.pop(checkpoint_id, {})
        new = {_facts(one) for one in judged}
        if set(old.values()) == new:
            continue
        stale += old
        for one in judged:
            number = store.number(Link)
            store.add(
                Link,
                {
                    "id": number,
                    "checkpoint_id": checkpoint_id,
                    "run_id": one.folder.run_id,
                    "run_directory_id": one.folder.id,
                    "verdict": one.verdict,
                    "score": one.score,
                    "ingest_id": ingest_id,
                },
            )
            for observation in one.observations:
                store.add(
                    LinkEvidence,
                    {
                        "id": store.number(LinkEvidence),
                        "link_id": number,
                        "kind": observation.kind,
                        "weight": observation.weight,
                        "detail": observation.detail,
                        "run_file_id": observation.run_file_id,
                    },
                )
    store.delete(LinkEvidence, "link_id", stale)
    store.delete(Link, "id", stale)
    store.flush()


def _facts(one: Judged) -> _Row:
    return (
        one.folder.run_id,
        one.folder.id,
        one.verdict,
        one.score,
        tuple(
            sorted(
                (seen.kind, seen.weight, seen.detail, seen.run_file_id or 0)
                for seen in one.observations
            )
        ),
    )


def _links_before(connection: Connection) -> dict[int, dict[int, _Row]]:
    links, evidence = table_of(Link), table_of(LinkEvidence)
    seen: dict[int, list[_Row]] = defaultdict(list)
    for number, *rest in connection.execute(
        select(
            evidence.c.link_id,
            evidence.c.kind,
            evidence.c.weight,
            evidence.c.detail,
            evidence.c.run_file_id,
        )
    ):
        kind, weight, detail, file_id = rest
        seen[int(number)].append((kind, weight, detail, file_id or 0))
    before: dict[int, dict[int, _Row]] = defaultdict(dict)
    for row in connection.execute(select(links)).mappings():
        before[int(row["checkpoint_id"])][int(row["id"])] = (
            row["run_id"],
            row["run_directory_id"],
            row["verdict"],
            row["score"],
            tuple(sorted(seen[int(row["id"])])),
        )
    return before


def _write_places(connection: Connection, subjects: Sequence[Subject]) -> None:
    table = table_of(CheckpointDirectory)
    before: dict[int, dict[str, int]] = defaultdict(dict)
    for checkpoint, tracker, folder in connection.execute(
        select(table.c.checkpoint_id, table.c.tracker, table.c.run_directory_id)
    ):
        before[int(checkpoint)][tracker] = int(folder)
    store = Store(connection)
    stale: set[int] = set()
    for subject in subjects:
        nearest: dict[str, int] = {}
        for above in subject.folders:
            nearest.setdefault(above.tracker, above.id)
        if before.get(subject.id, {}) == nearest:
            continue
        stale.add(subject.id)
        for tracker, number in nearest.items():
            store.add(
                CheckpointDirectory,
                {
                    "checkpoint_id": subject.id,
                    "tracker": tracker,
                    "run_directory_id": number,
                },
            )
    store.delete(CheckpointDirectory, "checkpoint_id", sorted(stale))
    store.flush()
