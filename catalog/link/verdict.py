"""From evidence to a verdict: the arithmetic, and when it is not enough."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from catalog.link.evidence.clocks import CLOCK_KINDS
from catalog.link.evidence.observation import (
    PLACE_KINDS,
    REPEATABLE_KINDS,
    STRONG,
    Observation,
)
from catalog.link.limits import CONTENT, LEAD, POSSIBLE, THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.link.subjects import RunFolder

Verdict = Literal["linked", "ambiguous", "candidate", "rejected"]

KEPT = 6
"""Runs kept for one checkpoint: the linked or ambiguous ones and the best of the others."""


TWIN_KINDS = frozenset({"twin-checkpoint", "twin-beside", "twin-job"})
"""Every kind that says the same command was run twice."""
_CLOCKS_AND_TWINS = CLOCK_KINDS | TWIN_KINDS
_ELSEWHERE_KINDS = frozenset({"twin-checkpoint", "twin-job", "nearer-folder"})
_OF_THE_FOLDER = TWIN_KINDS | REPEATABLE_KINDS | PLACE_KINDS | {"stamps-fit", "went-on"}
"""Every kind that says the same of all runs that worked in a folder one after another."""
_STAMP_KINDS = frozenset({"stamps-fit", "run-before-folder", "run-after-folder"})
_SCORE_KINDS = frozenset({"score-recorded", "score-not-recorded", "metrics-recorded"})
_COMMAND_KINDS = frozenset(
    f"{what}-{how}"
    for what in ("hyper-parameters", "arguments", "job-config")
    for how in ("equal", "differ")
) | {"sweep-values-equal"}


@dataclass(slots=True)
class Judged:
    """A run, its best folder, the evidence, and what follows."""

    folder: RunFolder
    observations: list[Observation]
    verdict: Verdict = "candidate"
    decided_by: Literal["evidence", "person"] = "evidence"
    score: float = field(init=False)
    kinds: frozenset[str] = field(init=False)
    """Of its observations."""

    def __post_init__(self) -> None:
        self.observations = _counted_once(self.observations)
        kinds, weights, *_ = zip(*self.observations, strict=True) if self.observations else ((), ())
        self.kinds = frozenset(kinds)
        self.score = round(sum(weights), 3)

    @property
    def content(self) -> float:
        """The part of the fit that does not rest on clocks, whether others share it or not."""
        return round(
            sum(
                [
                    weight + shared
                    for kind, weight, _detail, _file_id, shared in self.observations
                    if kind not in _CLOCKS_AND_TWINS
                ]
            ),
            3,
        )

    @property
    def fit(self) -> float:
        """The score without the doubt that is cast on every run of the same command."""
        return self._without(TWIN_KINDS)

    @property
    def repeatable(self) -> float:
        """The part of the score that every run of the same command has."""
        return self._only(REPEATABLE_KINDS)

    @property
    def lasting(self) -> float:
        """The part of the fit that tells the lives of a resumed training apart."""
        return self._without(_OF_THE_FOLDER)

    @property
    def unstamped(self) -> float:
        """The score without what the folder's stamp says."""
        return self._without(_STAMP_KINDS)

    @property
    def command(self) -> float:
        """The part of the score that says whether the command was the same."""
        return self._only(_COMMAND_KINDS)

    def _only(self, kinds: frozenset[str]) -> float:
        return round(sum([one.weight for one in self.observations if one.kind in kinds]), 3)

    def _without(self, kinds: frozenset[str]) -> float:
        if self.kinds.isdisjoint(kinds):
            return self.score
        return round(sum([one.weight for one in self.observations if one.kind not in kinds]), 3)

    @property
    def is_placed(self) -> bool:
        """Whether it is known to have worked in the checkpoint's folder."""
        return not self.kinds.isdisjoint(PLACE_KINDS)

    @property
    def named_folder(self) -> bool:
        """Whether the run itself says that it worked in the checkpoint's own folder."""
        return any(one.weight >= STRONG and one.kind in PLACE_KINDS for one in self.observations)

    def having(self, more: Observation) -> Judged:
        """Return the same with one more observation, which counts in full."""
        other = copy(self)
        other.observations = [*self.observations, more]
        other.kinds = self.kinds | {more.kind}
        other.score = round(self.score + more.weight, 3)
        return other

    def saw(self, kind: str) -> bool:
        """Tell whether an observation of that kind was made."""
        return kind in self.kinds


def _counted_once(observations: list[Observation]) -> list[Observation]:
    """Let kinds of evidence that follow from one another count once.

    An equal score, equal arguments and equal hyper-parameters all follow from the same command; a
    folder that is named and log lines that are shared both say that the run worked there. Seen
    together they prove little more than the strongest of them, so each further one counts a
    quarter of the one before. Where the run is known to have worked in the folder it does not
    matter that the command was run elsewhere as well.
    """
    repeated: list[Observation] = []
    placed: list[Observation] = []
    is_known = is_elsewhere = False
    for one in observations:
        kind, weight, _detail, _file_id, _shared = one
        if kind in REPEATABLE_KINDS:
            if weight > 0:
                repeated.append(one)
            continue
        is_known = is_known or weight >= STRONG
        if kind in PLACE_KINDS:
            if weight > 0:
                placed.append(one)
        elif kind in _ELSEWHERE_KINDS:
            is_elsewhere = True
    if is_known and is_elsewhere:
        observations = [one for one in observations if one.kind not in _ELSEWHERE_KINDS]
    again: dict[int, Observation] = {}
    for several in (repeated, placed):
        if len(several) > 1:
            several.sort(key=_weightiest)
            for place, one in enumerate(several):
                if place:
                    again[id(one)] = _weighted(one, 0.25**place)
    if again:
        observations = [again.get(id(one), one) for one in observations]
    return [one for one in observations if one.weight]


def _weightiest(one: Observation) -> tuple[float, str]:
    return (-one.weight, one.kind)


def _weighted(one: Observation, share: float) -> Observation:
    kind, weight, detail, file_id, shared = one
    return Observation(
        kind,
        round(weight * share, 2),
        detail,
        file_id,
        round(shared * share, 2) if shared else shared,
    )


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
    ranked = [one for one in best.values() if any(seen.weight > 0 for seen in one.observations)]
    if len(ranked) > 1:
        ranked.sort(key=_order)
    _decide(ranked)
    sure = [one for one in ranked if one.verdict in {"linked", "ambiguous"}]
    rest = [one for one in ranked if one.verdict not in {"linked", "ambiguous"}]
    return sure + rest[: max(0, KEPT - len(sure))]


def decide(ranked: list[Judged]) -> list[Judged]:
    """Return runs in order with their verdicts, after a score has changed.

    Args:
        ranked: all runs that were judged for one checkpoint.
    """
    ranked = sorted(ranked, key=_order)
    _decide(ranked)
    return ranked


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

    A run of the same command or folder that left no history may well have had the same score: what
    the best one gains by its score does not tell the two apart. Nor does the score of the run so
    far, nor the folder's stamp, where the other run went on in the folder that the best one began.
    """
    if other.score > best.score - LEAD:
        return True
    if other.named_folder and best.named_folder and other.unstamped > best.unstamped - LEAD:
        return True  # both worked in the folder, whose stamp tells only who made it
    if other.saw("went-on") or (best.saw("went-on") and other.is_placed):
        return other.lasting > best.lasting - LEAD
    return (
        best.saw("score-recorded")
        and other.kinds.isdisjoint(_SCORE_KINDS)
        and (other.command > 0 or (other.command == 0 and other.named_folder))
        and best.command >= 0
        and other.fit - other.repeatable > best.fit - best.repeatable - LEAD
    )


def _order(judged: Judged) -> tuple[float, bool, bool, str]:
    folder = judged.folder
    return (-judged.score, folder.is_gone, folder.copy_of_latest, folder.path)


def order_in_run(judged: Judged) -> tuple[bool, float, bool, bool, str]:
    """Return the key by which the best folder of one run comes first."""
    # Of a resumed run's folders the one that was open when the file was written comes first,
    # though the stamp of the output folder fits the first one better.
    kinds = ("written-during-run", "written-at-end", "inside-run-directory")
    wrote = any(map(judged.saw, kinds))
    return (not wrote, *_order(judged))
