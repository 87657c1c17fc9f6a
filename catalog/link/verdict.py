"""From evidence to a verdict: the arithmetic, and when it is not enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from catalog.link.evidence.clocks import CLOCK_KINDS
from catalog.link.evidence.observation import PLACE_KINDS, REPEATABLE_KINDS, STRONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from catalog.link.evidence import Observation
    from catalog.link.subjects import RunFolder

Verdict = Literal["linked", "ambiguous", "candidate", "rejected"]

POSSIBLE = 4.5
"""Log-odds from which several runs that fit equally well are named as ambiguous: 90 to 1."""
THRESHOLD = 6.0
"""Log-odds from which a run counts as found: 400 to 1."""
CONTENT = 4.0
"""How much of that must come from content. Clocks alone never decide: on trees of known truth
"the next run after the stamp" was wrong for 1 file in 20."""
LEAD = 3.0
"""By how much the best must lead the next run: 20 to 1. Two that are closer are ambiguous."""
KEPT = 6
"""Runs kept for one checkpoint: the linked or ambiguous ones and the best of the others."""


TWIN_KINDS = frozenset({"twin-checkpoint", "twin-beside", "twin-job"})
"""Every kind that says the same command was run twice."""
_ELSEWHERE_KINDS = frozenset({"twin-checkpoint", "twin-job", "nearer-folder"})
_OF_THE_FOLDER = TWIN_KINDS | REPEATABLE_KINDS | PLACE_KINDS | {"stamps-fit", "went-on"}
"""Every kind that says the same of all runs that worked in a folder one after another."""
_SCORE_KINDS = ("score-recorded", "score-not-recorded", "metrics-recorded")
_COMMAND_KINDS = frozenset(
    f"{what}-{how}"
    for what in ("hyper-parameters", "arguments", "job-config")
    for how in ("equal", "differ")
)


@dataclass(slots=True)
class Judged:
    """A run, its best folder, the evidence, and what follows."""

    folder: RunFolder
    observations: list[Observation]
    verdict: Verdict = "candidate"
    decided_by: Literal["evidence", "person"] = "evidence"
    score: float = field(init=False)
    content: float = field(init=False)
    """The part of the fit that does not rest on clocks."""
    fit: float = field(init=False)
    """The score without the doubt that is cast on every run of the same command."""
    repeatable: float = field(init=False)
    """The part of the score that every run of the same command has."""
    lasting: float = field(init=False)
    """The part of the fit that tells the lives of a resumed training apart."""
    command: float = field(init=False)
    """The part of the score that says whether the command was the same."""

    def __post_init__(self) -> None:
        self.observations = _counted_once(self.observations)
        self.score = round(sum(one.weight for one in self.observations), 3)
        self.fit = self._sum(lambda one: one.kind not in TWIN_KINDS)
        self.content = self._sum(lambda one: one.kind not in CLOCK_KINDS | TWIN_KINDS)
        self.repeatable = self._sum(lambda one: one.kind in REPEATABLE_KINDS)
        self.lasting = self._sum(lambda one: one.kind not in _OF_THE_FOLDER)
        self.command = self._sum(lambda one: one.kind in _COMMAND_KINDS)

    def _sum(self, wanted: Callable[[Observation], bool]) -> float:
        return round(sum(one.weight for one in self.observations if wanted(one)), 3)

    @property
    def is_placed(self) -> bool:
        """Whether it is known to have worked in the checkpoint's folder."""
        return any(one.kind in PLACE_KINDS for one in self.observations)

    def saw(self, kind: str) -> bool:
        """Tell whether an observation of that kind was made."""
        return any(one.kind == kind for one in self.observations)


def _counted_once(observations: list[Observation]) -> list[Observation]:
    """Let kinds of evidence that follow from one another count once.

    An equal score, equal arguments and equal hyper-parameters all follow from the same command; a
    folder that is named and log lines that are shared both say that the run worked there. Seen
    together they prove little more than the strongest of them, so each further one counts a
    quarter of the one before. Where the run is known to have worked in the folder it does not
    matter that the command was run elsewhere as well.
    """
    if any(one.weight >= STRONG and one.kind not in REPEATABLE_KINDS for one in observations):
        observations = [one for one in observations if one.kind not in _ELSEWHERE_KINDS]
    share: dict[int, float] = {}
    for kinds in (REPEATABLE_KINDS, PLACE_KINDS):
        again = sorted(
            (one for one in observations if one.kind in kinds and one.weight > 0),
            key=lambda one: (-one.weight, one.kind),
        )
        share |= {id(one): 0.25**place for place, one in enumerate(again)}
    counted = [
        replace(one, weight=round(one.weight * share[id(one)], 2)) if id(one) in share else one
        for one in observations
    ]
    return [one for one in counted if one.weight]


def judge(weighed: Iterable[tuple[RunFolder, list[Observation]]]) -> list[Judged]:
    """Return verdicts on the runs of one checkpoint, the best first.

    Folders of one run are one candidate, told by its best folder. A run that nothing speaks
    for is left out.
    """
    best: dict[int, Judged] = {}
    for folder, seen in weighed:
        if folder.run_id is None:
            continue
        judged = Judged(folder, seen)
        run_id = folder.run_id
        other = best.get(run_id)
        if other is None or order_in_run(judged) < order_in_run(other):
            best[run_id] = judged
    ranked = sorted(
        (one for one in best.values() if any(seen.weight > 0 for seen in one.observations)),
        key=_order,
    )
    _decide(ranked)
    sure = [one for one in ranked if one.verdict in {"linked", "ambiguous"}]
    rest = [one for one in ranked if one.verdict not in {"linked", "ambiguous"}]
    return sure + rest[: max(0, KEPT - len(sure))]


def _decide(ranked: list[Judged]) -> None:
    for one in ranked:
        one.verdict = "rejected" if one.score < 0 else "candidate"
    if not ranked:
        return
    best = ranked[0]
    if best.fit >= POSSIBLE and best.content >= CONTENT:
        near = [one for one in ranked if one is best or _could_be(one, best)]
    else:
        # Only clocks tell these apart: every run that they allow is one of several.
        near = [one for one in ranked if one.content > 0 and one.saw("stamps-fit")]
        if len(near) == 1:
            return
    if len(near) > 1 or best.score >= THRESHOLD:
        for one in near:
            one.verdict = "linked" if len(near) == 1 else "ambiguous"


def _could_be(other: Judged, best: Judged) -> bool:
    """Tell whether a run fits nearly as well as the best one.

    A run of the same command that left no history would have had the same score: what the best
    one gains by its score does not tell the two apart. Nor does the score of the run so far, nor
    the folder's stamp, where the other run went on in the folder that the best one began.
    """
    if other.score > best.score - LEAD:
        return True
    if other.saw("went-on") or (best.saw("went-on") and other.is_placed):
        return other.lasting > best.lasting - LEAD
    blank = other.command > 0 and not any(other.saw(kind) for kind in _SCORE_KINDS)
    return (
        blank
        and best.saw("score-recorded")
        and best.command >= 0
        and other.fit - other.repeatable > best.fit - best.repeatable - LEAD
    )


def _order(judged: Judged) -> tuple[float, bool, str]:
    return (-judged.score, judged.folder.copy_of_latest, judged.folder.path)


def order_in_run(judged: Judged) -> tuple[bool, float, bool, str]:
    """Return the key by which the best folder of one run comes first."""
    # Of a resumed run's folders the one that was open when the file was written comes first,
    # though the stamp of the output folder fits the first one better.
    wrote = judged.saw("written-during-run") or judged.saw("inside-run-directory")
    return (not wrote, *_order(judged))
