"""Weigh the candidates of checkpoints and bring the link rows in line with the verdicts."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from catalog.link.basis import Bases, stored, write_bases
from catalog.link.copies import copies_of, inherit
from catalog.link.decisions import apply, load_decisions
from catalog.link.lineage import write_lineage
from catalog.link.moves import follow_moves
from catalog.link.weighing import load, prepare, weigh_candidates
from catalog.schema.store import CHUNK, Store, chunks, fetched, table_of
from catalog.schema.tables import CheckpointDirectory, Link, LinkEvidence, RunField
from catalog.sources.stores.mlflow import MODEL_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from catalog.ingest.pipeline import Progress
    from catalog.link.subjects import RunFolder, Subject, Surroundings
    from catalog.link.verdict import Judged
    from catalog.settings import Settings

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Linking:
    """What one linking did."""

    weighed: frozenset[int]
    """Checkpoints whose evidence was weighed; of the others nothing had changed."""
    runs: frozenset[int]
    """The runs that those had links to before."""
    folders: frozenset[int]
    """The run directories that checkpoints lay in before and do no more."""


def link_checkpoints(
    connection: Connection, settings: Settings, ingest_id: int, progress: Progress
) -> Linking:
    """Judge the checkpoints whose evidence changed and write the verdicts that differ.

    The result depends on the rows alone, not on the order in which they came, nor on how often
    this was done.

    Args:
        connection: in a transaction.
        settings: `link_tolerance` is used.
        ingest_id: the ingest that the new verdicts belong to.
        progress: called as work goes on.
    """
    moves = follow_moves(connection)
    work = load(connection, settings)
    before, now, candidates = stored(connection), {}, {}
    groups = copies_of(work.subjects)
    decisions = load_decisions(connection)
    bases = Bases(connection, work.folders, work.context)
    for subject in work.subjects:
        candidates[subject.id] = found = work.finder.find(subject)
        now[subject.id] = bases.of(
            subject,
            found,
            [
                (one, shown.id if (shown := work.folder_of_run.get(one.run_id)) else None)
                for one in decisions.get(subject.id, ())
            ],
            [other.id for other in groups.get(subject.id, ())],
        )
    due = _due(work.subjects, before, now, groups)
    runs: set[int] = set()
    alone: dict[int, list[Judged]] = {}
    copied: dict[int, list[Judged]] = {}
    for done, subject in enumerate(due, 1):
        if done % CHUNK == 1:
            # Only verdicts that others depend on are kept until all are there.
            runs |= _write_links(connection, alone, ingest_id)
            alone.clear()
            prepare(work, due[done - 1 : done - 1 + CHUNK], candidates)
        spoken = decisions.get(subject.id, [])
        judged = weigh_candidates(work, subject, candidates[subject.id], spoken)
        kept = copied if subject.id in groups else alone
        kept[subject.id] = apply(judged, spoken, work.folder_of_run)
        progress("link", done, len(due))
    inherit({id(groups[number]): groups[number] for number in copied}.values(), copied)
    runs |= _write_links(connection, alone | copied, ingest_id)
    write_bases(connection, before, now)
    left = _write_places(connection, work.subjects, work.folders)
    write_lineage(connection, work.folders, work.subjects, work.context.inputs, moves)
    weighed = frozenset(subject.id for subject in due)
    return Linking(weighed, frozenset(runs), frozenset(left))


def _due(
    subjects: Sequence[Subject],
    before: Mapping[int, bytes],
    now: Mapping[int, bytes],
    groups: Mapping[int, Sequence[Subject]],
) -> list[Subject]:
    """Return the checkpoints to judge: what changed, and the copies of what changed."""
    changed = {subject.id for subject in subjects if before.get(subject.id) != now[subject.id]}
    changed |= {other.id for number in list(changed) for other in groups.get(number, ())}
    return [subject for subject in subjects if subject.id in changed]


def _write_links(
    connection: Connection, verdicts: dict[int, list[Judged]], ingest_id: int
) -> set[int]:
    """Write the links that differ from those before; return the runs of those before."""
    before = _links_before(connection, sorted(verdicts))
    runs = {int(facts[0]) for old in before.values() for facts in old.values()}
    store = Store(connection)
    stale: list[int] = []
    links: list[_Row] = []
    evidence: list[_Row] = []
    for checkpoint_id, judged in verdicts.items():
        old = before.get(checkpoint_id)
        if old:
            if set(old.values()) == {_facts(one) for one in judged}:
                continue
            stale += old
        for one in judged:
            folder = one.folder
            number = store.number(Link)
            links.append(
                (
                    number,
                    checkpoint_id,
                    folder.run_id,
                    folder.id,
                    one.verdict,
                    one.decided_by,
                    one.score,
                    ingest_id,
                )
            )
            evidence += [
                (number, position, kind, weight, detail, file_id)
                for position, (kind, weight, detail, file_id, _shared) in enumerate(
                    one.observations
                )
            ]
    store.delete(LinkEvidence, "link_id", stale)
    store.delete(Link, "id", stale)
    store.insert_rows(Link, _LINK, links)
    store.insert_rows(LinkEvidence, _EVIDENCE, evidence)
    return runs


_LINK = (
    "id", "checkpoint_id", "run_id", "run_directory_id", "verdict", "decided_by", "score",
    "ingest_id",
)  # fmt: skip
_EVIDENCE = ("link_id", "position", "kind", "weight", "detail", "run_file_id")


def _facts(one: Judged) -> _Row:
    return (
        one.folder.run_id,
        one.folder.id,
        one.verdict,
        one.decided_by,
        one.score,
        tuple(
            sorted(
                (seen.kind, seen.weight, seen.detail, seen.run_file_id or 0)
                for seen in one.observations
            )
        ),
    )


def _links_before(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[int, _Row]]:
    links, evidence = table_of(Link), table_of(LinkEvidence)
    before: dict[int, dict[int, _Row]] = defaultdict(dict)
    for part in chunks(numbers):
        seen: dict[int, list[_Row]] = defaultdict(list)
        for number, kind, weight, detail, file_id in fetched(
            connection,
            select(
                evidence.c.link_id,
                evidence.c.kind,
                evidence.c.weight,
                evidence.c.detail,
                evidence.c.run_file_id,
            )
            .join(links, links.c.id == evidence.c.link_id)
            .where(links.c.checkpoint_id.in_(part)),
        ):
            seen[int(number)].append((kind, weight, detail, file_id or 0))
        for row in connection.execute(
            select(links).where(links.c.checkpoint_id.in_(part))
        ).mappings():
            before[int(row["checkpoint_id"])][int(row["id"])] = (
                row["run_id"],
                row["run_directory_id"],
                row["verdict"],
                row["decided_by"],
                row["score"],
                tuple(sorted(seen[int(row["id"])])),
            )
    return before


def _write_places(
    connection: Connection, subjects: Sequence[Subject], folders: Iterable[RunFolder]
) -> set[int]:
    """Write the folders that checkpoints lie in; return those that they lie in no more.

    A run whose record is a row of a database (MLflow) has its files in a folder that bears its id,
    or that of a model which it logged.
    """
    table = table_of(CheckpointDirectory)
    by_id = {
        folder.tracker_run_id: folder
        for folder in folders
        if folder.tracker == _MLFLOW and _DRAWN.fullmatch(folder.tracker_run_id or "")
    }
    by_id |= _logged_models(connection, by_id.values())
    before: dict[int, dict[str, int]] = {}
    for checkpoint, tracker, folder in fetched(
        connection,
        select(table.c.checkpoint_id, table.c.tracker, table.c.run_directory_id),
    ):
        before.setdefault(checkpoint, {})[tracker] = folder
    stale: set[int] = set()
    left: set[int] = set()
    rows: list[_Row] = []
    around: Surroundings | None = None
    nearest: dict[str, int] = {}
    for subject in subjects:
        if subject.surroundings is not around:  # one for all checkpoints of a folder
            around = subject.surroundings
            nearest = {above.tracker: above.id for above in reversed(around.folders)}
            for name in subject.directory.split("/") if by_id else ():
                if name in by_id:
                    nearest[_MLFLOW] = by_id[name].id
        old = before.get(subject.id, _NOWHERE)
        if old == nearest:
            continue
        if old:
            stale.add(subject.id)
            left.update(old.values())
        rows += [(subject.id, tracker, number) for tracker, number in nearest.items()]
    store = Store(connection)
    store.delete(CheckpointDirectory, "checkpoint_id", sorted(stale))
    store.insert_rows(CheckpointDirectory, ("checkpoint_id", "tracker", "run_directory_id"), rows)
    return left


def _logged_models(
    connection: Connection, folders: Iterable[RunFolder]
) -> dict[str | None, RunFolder]:
    """Return the runs that state, or of which it is stated, that they logged a model, by its id."""
    by_number = {folder.id: folder for folder in folders}
    if not by_number:
        return {}
    fields = table_of(RunField)
    rows = fetched(
        connection,
        select(fields.c.value, fields.c.run_directory_id).where(fields.c.name == MODEL_FIELD),
    )
    return {model: by_number[number] for model, number in rows if number in by_number}


_NOWHERE: dict[str, int] = {}
_MLFLOW = "mlflow"
_DRAWN = re.compile(r"[0-9a-f]{32}")
"""Ids that MLflow draws (`uuid4().hex`): no other folder is called so by chance."""
