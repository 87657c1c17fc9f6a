"""A copy of a linked checkpoint was written by the same run, wherever it lies now."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import CERTAIN, Observation
from catalog.link.verdict import Judged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.link.subjects import Subject


def copies_of(subjects: Iterable[Subject]) -> dict[int, list[Subject]]:
    """Return, by checkpoint, all files with its weights that remember the same places as it does.

    It is one of them itself. Checkpoints that nothing is a copy of are left out.
    """
    alike: dict[str, list[Subject]] = defaultdict(list)
    for subject in subjects:
        if subject.weights is not None and subject.remembered:
            alike[subject.weights].append(subject)
    groups: dict[tuple[str, tuple[str, ...]], list[Subject]] = defaultdict(list)
    for weights, several in alike.items():
        if len(several) > 1:
            for subject in several:
                groups[weights, tuple(sorted(subject.remembered))].append(subject)
    return {subject.id: group for group in groups.values() if len(group) > 1 for subject in group}


def inherit(groups: Iterable[list[Subject]], verdicts: dict[int, list[Judged]]) -> None:
    """Let copies that lie away from home follow the file that they are copies of.

    A copy does not lie where it remembers being written: that file, or another, does, and more is
    known of it. Where the files at home are of several runs, or of none that is known, a copy is
    not linked either; but a person's word on it stands.

    Args:
        groups: copies of one another, each of which is judged.
        verdicts: by checkpoint; the lists of copies are replaced.
    """
    for group in groups:
        home = [subject for subject in group if is_at_home(subject)]
        origins = [_linked(verdicts[subject.id]) for subject in home]
        runs = {one.folder.run_id if one is not None else None for one in origins}
        origin = origins[0] if len(runs) == 1 else None
        for subject in group:
            own = verdicts[subject.id]
            if not home or subject in home or any(one.decided_by == "person" for one in own):
                continue
            linked = _linked(own)
            if origin is None and linked is not None:
                linked.verdict = "candidate"
            elif origin is not None and (
                linked is None or linked.folder.run_id != origin.folder.run_id
            ):
                verdicts[subject.id] = _with(own, origin, home[0])


def is_at_home(subject: Subject) -> bool:
    """Tell whether a checkpoint lies in the folder that it remembers, as far as names tell."""
    tail = subject.path.split("/")[-3:]
    folder = tail[:-1]
    return any(
        path.split("/")[-3:] == tail or posixpath.normpath(path).split("/")[-2:] == folder
        for path in subject.remembered
    )


def _linked(judged: list[Judged]) -> Judged | None:
    return next((one for one in judged if one.verdict == "linked"), None)


def _with(judged: list[Judged], origin: Judged, source: Subject) -> list[Judged]:
    seen = Observation(
        "copy-of",
        CERTAIN,
        f"It has the weights of {source.path} and remembers the same places.",
    )
    own = next((one for one in judged if one.folder.run_id == origin.folder.run_id), None)
    linked = Judged(origin.folder, [seen, *(own.observations if own is not None else ())])
    linked.verdict = "linked"
    others = [one for one in judged if one is not own]
    for one in others:
        if one.verdict in {"linked", "ambiguous"}:
            one.verdict = "candidate"
    return [linked, *others]
