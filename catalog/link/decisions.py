"""A person's word on a checkpoint and a run: kept for ever, and stronger than all evidence."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select

from catalog.errors import NotFound, UsageError
from catalog.link.evidence.observation import CERTAIN, Observation
from catalog.link.moves import same_files
from catalog.link.verdict import Judged
from catalog.schema.store import chunks, table_of
from catalog.schema.tables import File, LinkDecision, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from catalog.link.subjects import RunFolder


class Decision(NamedTuple):
    """What a person said of a run."""

    run_id: int
    decision: str
    reason: str
    decided_at: str

    @property
    def observation(self) -> Observation:
        """Return the person's word as a piece of evidence."""
        pinned = self.decision == "pinned"
        return Observation(
            "person" if pinned else "person-against",
            CERTAIN if pinned else -CERTAIN,
            f"{self.decision} by a person on {self.decided_at[:10]}: {self.reason}",
        )


def load_decisions(connection: Connection) -> dict[int, list[Decision]]:
    """Return the decisions on each checkpoint, at every place where it lies now.

    Where it is gone from all of them, at the last one.
    """
    table, runs, files = table_of(LinkDecision), table_of(Run), table_of(File)
    found: dict[int, list[Decision]] = defaultdict(list)
    rows = connection.execute(
        select(table, runs.c.id.label("run_id"))
        .join(runs, runs.c.identity == table.c.run_identity)
        .order_by(table.c.decided_at, table.c.id)
    ).all()
    places = same_files(connection) if rows else {}
    moved = {one for row in rows for one in places.get(int(row.checkpoint_id), ())}
    gone: set[int] = set()
    for part in chunks(sorted(moved)):
        found_gone = files.c.id.in_(part) & files.c.missing_ingest_id.is_not(None)
        gone.update(connection.execute(select(files.c.id).where(found_gone)).scalars())
    for row in rows:
        number = int(row.checkpoint_id)
        everywhere = places.get(number, [number])
        decision = Decision(int(row.run_id), row.decision, row.reason, row.decided_at)
        for place in [one for one in everywhere if one not in gone] or everywhere[-1:]:
            found[place].append(decision)
    return {place: _last_words(said) for place, said in found.items()}


def _last_words(said: list[Decision]) -> list[Decision]:
    """Return the last word on each run, and of pins the last one alone.

    More than one stands there where people spoke of one file at two places, before it was known
    to be one.

    Args:
        said: in order of time.
    """
    last = {one.run_id: one for one in said}
    pinned = [one for one in said if one.decision == "pinned" and last[one.run_id] is one]
    return [one for one in last.values() if one.decision != "pinned" or one is pinned[-1]]


def say(
    connection: Connection,
    checkpoint: int,
    run: int | None,
    decision: str | None,
    reason: str,
    now: str,
) -> None:
    """Keep a person's word, or take it back; what was said before on the same two is replaced.

    Args:
        connection: in a transaction.
        checkpoint: number of the checkpoint.
        run: number of the run; None takes back what was said of any run.
        decision: `pinned` or `rejected`; None takes back.
        reason: in the person's words.
        now: UTC text.

    Raises:
        UsageError: there is no reason, or the run is none that checkpoints are linked to.
        NotFound: there is nothing to take back.
    """
    table, runs = table_of(LinkDecision), table_of(Run)
    about = table.c.checkpoint_id.in_(same_files(connection).get(checkpoint, [checkpoint]))
    identity = None
    if run is not None:
        found = connection.execute(select(runs.c.identity, runs.c.tracker).where(runs.c.id == run))
        identity, tracker = found.one()
        if tracker != "wandb":
            raise UsageError(
                f"A {tracker} folder says where a checkpoint lies and is no tracked run; name a "
                "W&B run."
            )
    condition = about if identity is None else about & (table.c.run_identity == identity)
    removed = connection.execute(delete(table).where(condition)).rowcount
    if decision is None:
        if not removed:
            raise NotFound("Nobody pinned or rejected that; `catalog query decisions` lists all.")
        return
    if not reason.strip():
        raise UsageError("Say why: --reason TEXT, for those who come later.")
    if decision == "pinned":
        # Only one run wrote a file: a new pin takes the place of an old one.
        connection.execute(delete(table).where(about & (table.c.decision == "pinned")))
    connection.execute(
        insert(table).values(
            checkpoint_id=checkpoint,
            run_identity=identity,
            decision=decision,
            reason=reason.strip(),
            decided_at=now,
        )
    )


def apply(
    judged: list[Judged], decisions: list[Decision], folders: Mapping[int, RunFolder]
) -> list[Judged]:
    """Return the verdicts with the person's word on top; what evidence says stays visible.

    Args:
        judged: what evidence says, without the runs that a person rejected.
        decisions: on this checkpoint.
        folders: the folder to show for each run, by run.
    """
    by_run = {one.folder.run_id: one for one in judged}
    result = list(judged)
    for decision in decisions:
        folder = folders.get(decision.run_id)
        if folder is None:
            continue
        own = by_run.get(decision.run_id)
        observations = [decision.observation, *(own.observations if own is not None else ())]
        spoken = Judged(own.folder if own is not None else folder, observations)
        spoken.decided_by = "person"
        if decision.decision == "pinned":
            spoken.verdict = "linked"
            for one in result:
                if one.verdict in {"linked", "ambiguous"}:
                    one.verdict = "candidate"
            result = [spoken, *(one for one in result if one is not own)]
        else:
            spoken.verdict = "rejected"
            result = [*(one for one in result if one is not own), spoken]
    return result
