"""Why a run is not the one that wrote a checkpoint: its evidence weighed, and what it lacks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from catalog.link.decisions import apply, load_decisions
from catalog.link.evidence import weigh
from catalog.link.limits import CONTENT, LEAD, THRESHOLD
from catalog.link.verdict import Judged, order_in_run
from catalog.link.weighing import load, weigh_candidates
from catalog.query.rows import Rows
from catalog.schema.store import table_of
from catalog.schema.tables import File, Run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catalog.link.subjects import Subject
    from catalog.link.weighing import Work
    from catalog.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """What speaks for and against one run, and why that is not enough, or is."""

    checkpoint: str
    """Absolute path."""
    run: str
    verdict: str
    """linked, ambiguous, candidate, rejected, or unrelated where nothing on disk ties the two."""
    score: float
    reasons: list[str]
    """Sentences, the weightiest first."""
    evidence: list[dict[str, Any]]
    """Kind, weight, detail and file of each observation."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def rows(self) -> Rows:
        """Return the evidence as rows."""
        columns = ("kind", "weight", "detail", "file")
        return Rows(columns, [tuple(piece[name] for name in columns) for piece in self.evidence])


def explain(
    connection: Connection, settings: Settings, checkpoint_id: int, run_id: int
) -> Explanation:
    """Weigh one run for one checkpoint, whether or not anything suggests it.

    Args:
        connection: the database; nothing is written.
        settings: those of linking.
        checkpoint_id: number of the checkpoint.
        run_id: number of the run.
    """
    work = load(connection, settings)
    subject = next(one for one in work.subjects if one.id == checkpoint_id)
    decisions = load_decisions(connection).get(checkpoint_id, [])
    found = work.finder.find(subject)
    judged = apply(weigh_candidates(work, subject, found, decisions), decisions, work.folder_of_run)
    own = next((one for one in judged if one.folder.run_id == run_id), None)
    verdict = own.verdict if own is not None else "unrelated"
    if own is None:
        own = _weighed(work, subject, run_id)
    name = connection.execute(
        select(table_of(Run).c.tracker_run_id, table_of(Run).c.identity).where(
            table_of(Run).c.id == run_id
        )
    ).one()
    files = {
        int(number): path
        for number, path in connection.execute(
            select(table_of(File).c.id, table_of(File).c.path).where(
                table_of(File).c.id.in_(
                    [seen.run_file_id for seen in own.observations if seen.run_file_id]
                    if own is not None
                    else []
                )
            )
        )
    }
    return Explanation(
        checkpoint=subject.path,
        run=name[0] or name[1],
        verdict=verdict,
        score=own.score if own is not None else 0.0,
        reasons=_reasons(own, verdict, [one for one in judged if one is not own]),
        evidence=[
            {
                "kind": seen.kind,
                "weight": seen.weight,
                "detail": seen.detail,
                "file": files.get(seen.run_file_id or 0),
            }
            for seen in sorted(
                own.observations if own is not None else (), key=lambda seen: -abs(seen.weight)
            )
        ],
    )


def _weighed(work: Work, subject: Subject, run_id: int) -> Judged | None:
    """Weigh a run that no index suggests; None if it is none that checkpoints are linked to."""
    folders = (folder for folder in work.runs if folder.run_id == run_id)
    weighed = (Judged(*one) for one in weigh(subject, folders, work.context))
    return min(weighed, key=order_in_run, default=None)


def _reasons(own: Judged | None, verdict: str, others: list[Judged]) -> list[str]:
    if own is None:
        return [
            "It is no W&B run: verdicts are about these. A trace tells whose folder it lies in."
        ]
    if verdict == "linked":
        return ["It is the run that the checkpoint is linked to."]
    best = max(others, key=lambda one: (one.verdict == "linked", one.score), default=None)
    reasons = [seen.detail for seen in sorted(own.observations, key=_weight) if seen.weight < 0]
    if not any(seen.weight > 0 for seen in own.observations):
        reasons.append("Nothing on disk speaks for it.")
    elif verdict != "ambiguous" and own.score < THRESHOLD:
        reasons.append(
            f"All of it adds up to {own.score:+.1f}; a link takes {THRESHOLD:+.1f}, "
            f"{CONTENT:+.1f} of it from something other than clocks."
        )
    if best is not None and best.folder.tracker_run_id is not None and best.score > own.score:
        reasons.append(f"{best.folder.tracker_run_id} fits better ({best.score:+.1f}).")
    if verdict == "ambiguous":
        names = [one.folder.tracker_run_id for one in others if one.verdict == "ambiguous"]
        reasons.append(
            f"{', '.join(filter(None, names))} fits as well, within {LEAD:g}: nothing on disk "
            "tells them apart."
        )
    return reasons


def _weight(seen: Any) -> float:
    return float(seen.weight)
