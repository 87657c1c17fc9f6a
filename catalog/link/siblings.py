"""Checkpoints of one training are of one run: what is known of one holds for the others.

A training is told by what its files share: the folder, the folders that their callback remembers,
the config, the architecture, the metric that is watched. Two trainings may share all of that, so
nothing is taken over where a run went on from another's file, where two runs are linked, or where
steps and times do not ascend together.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import Observation
from catalog.link.verdict import decide

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from catalog.link.subjects import Subject
    from catalog.link.verdict import Judged

SIBLING = 2.0
"""For the run that another file of the training is linked to."""
LISTED = 4.0
"""The same where that file lists this one among its run's best."""
AGAINST = -2.0
"""An observation that weighs less speaks against the run: then nothing is taken over."""
_LIVED_THEN = frozenset({"written-during-run", "step-recorded"})
"""One of which the run needs for each file: a resumed training lists those of its first life."""
_MOST = 200
"""Files of one training that are compared."""


def siblings_of(subjects: Iterable[Subject]) -> dict[int, list[Subject]]:
    """Return, by checkpoint, all files of its training, itself included; lone ones are left out."""
    groups: dict[object, list[Subject]] = defaultdict(list)
    for subject in subjects:
        if subject.place.remembered:
            key = (subject.place, subject.framework, subject.architecture_id, subject.monitor)
            groups[key].append(subject)
    return {
        subject.id: group
        for group in groups.values()
        if 1 < len(group) <= _MOST
        for subject in group
    }


def agree(
    group: Iterable[Subject], verdicts: dict[int, list[Judged]], rivals: Collection[int] = ()
) -> None:
    """Let what is known of one file of a training count for the others.

    Args:
        group: files of one training, each of which is judged.
        verdicts: by checkpoint; lists are replaced where one changes.
        rivals: the files beside which another training's lies under the same name.
    """
    linked = [
        (one, subject)
        for subject in group
        for one in verdicts[subject.id]
        if one.verdict == "linked"
    ]
    judged = [one for subject in group for one in verdicts[subject.id]]
    if len({one.folder.run_id for one, _ in linked}) != 1 or any(
        one.saw("went-on") for one in judged
    ):
        return
    if any(one.verdict == "ambiguous" for one in judged):
        return
    for subject in group:
        own = verdicts[subject.id]
        if subject.id in rivals or not own or any(one.decided_by == "person" for one in own):
            continue
        first = own[0]
        if first.verdict != "candidate" or first.folder.run_id != linked[0][0].folder.run_id:
            continue
        if first.kinds.isdisjoint(_LIVED_THEN) or any(
            seen.weight < AGAINST for seen in first.observations
        ):
            continue
        sources = [source for _one, source in linked if _ascend(source, subject)]
        if len(sources) == len(linked):
            verdicts[subject.id] = _with(own, subject, sources)


def _ascend(one: Subject, other: Subject) -> bool:
    """Tell whether of two files the one with more steps was written later, as far as is known."""
    if one.written_at is None or other.written_at is None:
        return True
    mine = (one.global_step or 0, one.epoch or 0)
    its = (other.global_step or 0, other.epoch or 0)
    if mine == its:
        return True
    return (mine < its) == (
        one.written_at <= other.written_at
    ) or one.written_at == other.written_at


def _with(own: list[Judged], subject: Subject, sources: list[Subject]) -> list[Judged]:
    listing = next((one for one in sources if _lists(one, subject)), None)
    source = listing or sources[0]
    seen = Observation(
        "sibling-linked",
        SIBLING if listing is None else LISTED,
        f"{source.path} is of the same training"
        f"{' and lists it among its best files' if listing else ''}, and linked to the run.",
    )
    return decide([own[0].having(seen), *own[1:]])


def _lists(source: Subject, subject: Subject) -> bool:
    """Tell whether a file names another, by folder and name, as one of its run's best."""
    tail = "/".join(subject.path.split("/")[-2:])
    return any(path == tail or path.endswith(f"/{tail}") for path in source.best_paths)
