"""From evidence to a verdict: the arithmetic, and when it is not enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from catalog.link.evidence.clocks import CLOCK_KINDS
from catalog.link.evidence.configs import JOB_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.link.evidence import Observation
    from catalog.link.subjects import RunFolder

Verdict = Literal["linked", "ambiguous", "candidate", "rejected"]

THRESHOLD = 4.5
"""Log-odds from which a run counts as found: 90 to 1."""
CONTENT = 4.0
"""How much of that must come from content. Clocks alone never decide: on trees of known truth
"the next run after the stamp" was wrong for 1 file in 20."""
LEAD = 3.0
"""By how much the best must lead the next run: 20 to 1. Two that are closer are ambiguous."""
KEPT = 6
"""Runs kept for one checkpoint: the linked or ambiguous ones and the best of the others."""


@dataclass(slots=True)
class Judged:
    """A run, its best folder, the evidence, and what follows."""

    folder: RunFolder
    observations: list[Observation]
    verdict: Verdict = "candidate"
    score: float = field(init=False)
    content: float = field(init=False)
    """The part of the score that does not rest on clocks."""

    def __post_init__(self) -> None:
        self.score = sum(one.weight for one in self.observations)
        self.content = sum(one.weight for one in self.observations if one.kind not in CLOCK_KINDS)

    def saw(self, kind: str) -> bool:
        """Tell whether an observation of that kind was made."""
        return any(one.kind == kind for one in self.observations)


def judge(weighed: Iterable[tuple[RunFolder, list[Observation]]]) -> list[Judged]:
    """Return verdicts on the runs of one checkpoint, the best first.

    Folders of one run are one candidate, told by its best folder. A run that nothing speaks
    for is left out.
    """
    best: dict[int, Judged] = {}
    for judged in _without_shared_job(
        [(folder, seen) for folder, seen in weighed if folder.run_id is not None]
    ):
        run_id = judged.folder.run_id or 0
        other = best.get(run_id)
        if other is None or _order_in_run(judged) < _order_in_run(other):
            best[run_id] = judged
    ranked = sorted(
        (one for one in best.values() if any(seen.weight > 0 for seen in one.observations)),
        key=_order,
    )
    _decide(ranked)
    sure = [one for one in ranked if one.verdict in {"linked", "ambiguous"}]
    rest = [one for one in ranked if one.verdict not in {"linked", "ambiguous"}]
    return sure + rest[: max(0, KEPT - len(sure))]


def _without_shared_job(weighed: list[tuple[RunFolder, list[Observation]]]) -> list[Judged]:
    """Leave out what a job folder says of its last job where several runs worked in it.

    A second job in the same folder overwrites `.hydra/`; its config and overrides then say
    nothing of the files that the first one wrote.
    """
    inside = {
        folder.run_id
        for folder, seen in weighed
        if any(one.kind in {"log-lines-shared", "same-job-folder"} for one in seen)
    }
    if len(inside) > 1:
        return [
            Judged(folder, [one for one in seen if one.kind not in JOB_KINDS])
            for folder, seen in weighed
        ]
    return [Judged(folder, seen) for folder, seen in weighed]


def _decide(ranked: list[Judged]) -> None:
    for one in ranked:
        one.verdict = "rejected" if one.score < 0 else "candidate"
    if not ranked or ranked[0].score < THRESHOLD:
        return
    if ranked[0].content >= CONTENT:
        near = [one for one in ranked if one.score > ranked[0].score - LEAD]
    else:
        # Only clocks tell these apart: every run that they allow is one of several.
        near = [one for one in ranked if one.content > 0 and one.saw("stamps-fit")]
        if len(near) == 1:
            return
    for one in near:
        one.verdict = "linked" if len(near) == 1 else "ambiguous"


def _order(judged: Judged) -> tuple[float, bool, str]:
    return (-judged.score, judged.folder.copy_of_latest, judged.folder.path)


def _order_in_run(judged: Judged) -> tuple[bool, float, bool, str]:
    # Of a resumed run's folders the one that was open when the file was written comes first,
    # though the stamp of the output folder fits the first one better.
    wrote = judged.saw("written-during-run") or judged.saw("inside-run-directory")
    return (not wrote, *_order(judged))
