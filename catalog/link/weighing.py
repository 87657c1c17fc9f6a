"""All that weighing needs, loaded from the rows, and one checkpoint's candidates weighed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.link.candidates import Finder
from catalog.link.evidence import weigh
from catalog.link.evidence.context import Context
from catalog.link.evidence.numbers import metrics_of
from catalog.link.inputs import Inputs
from catalog.link.loading import Configs, load_folders, load_subjects
from catalog.link.names import Names
from catalog.link.neighbours import Neighbours
from catalog.link.rarity import with_rarity
from catalog.link.subjects import is_run
from catalog.link.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from catalog.link.decisions import Decision
    from catalog.link.places import Place
    from catalog.link.subjects import RunFolder, Subject
    from catalog.link.verdict import Judged
    from catalog.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """The rows of one linking in memory."""

    folders: list[RunFolder]
    runs: list[RunFolder]
    """The folders that a checkpoint can be linked to."""
    folder_of_run: dict[int, RunFolder]
    """The first folder of each run."""
    subjects: list[Subject]
    finder: Finder
    context: Context


def load(connection: Connection, settings: Settings) -> Work:
    """Load every checkpoint and every run folder, with the indexes over them."""
    folders = load_folders(connection)
    runs = [folder for folder in folders if is_run(folder)]
    subjects = load_subjects(connection, folders)
    names = Names(connection, runs, subjects)
    finder = Finder(connection, runs, subjects, names, settings)
    inputs = Inputs(connection, folders, subjects, names)
    context = Context(
        connection,
        settings,
        Configs(connection),
        finder.by_project,
        Neighbours(subjects, folders, inputs, settings.link_tolerance),
        inputs,
        names,
    )
    first: dict[int, RunFolder] = {}
    for folder in sorted(runs, key=lambda one: (one.is_gone, one.copy_of_latest, one.path)):
        first.setdefault(folder.run_id or 0, folder)
    return Work(folders, runs, first, subjects, finder, context)


def prepare(
    work: Work, subjects: Iterable[Subject], candidates: Mapping[int, Sequence[RunFolder]]
) -> None:
    """Load what the weighing of checkpoints asks for, in few queries.

    Args:
        work: what is loaded already.
        subjects: the checkpoints.
        candidates: the run folders to weigh, by checkpoint.
    """
    work.context.let_go()
    runs_of: dict[str, set[int]] = defaultdict(set)
    config_ids: set[int] = set()
    seen: set[tuple[int, Place, tuple[str, ...]]] = set()
    rates = work.context.rate_names()
    for subject in subjects:
        found = candidates[subject.id]
        metrics = metrics_of(subject, rates)
        # Checkpoints of one training have one and the same list of candidates.
        alike = (id(found), subject.place, metrics)
        if alike in seen:
            continue
        seen.add(alike)
        runs = {folder.run_id for folder in found if folder.run_id is not None}
        for metric in metrics:
            runs_of[metric] |= runs
        for folder in (*found, *subject.folders):
            config_ids.update(config_id for config_id, _file in folder.config)
        if subject.config_id is not None:
            config_ids.add(subject.config_id)
    work.context.configs.load(config_ids)
    asked: dict[frozenset[int], list[str]] = defaultdict(list)
    for metric, runs in runs_of.items():
        asked[frozenset(runs)].append(metric)
    for some, names in asked.items():
        work.context.load_recorded(some, names)


def weigh_candidates(
    work: Work,
    subject: Subject,
    candidates: Iterable[RunFolder],
    decisions: Sequence[Decision] = (),
) -> list[Judged]:
    """Return the verdicts of evidence on one checkpoint, without runs that a person rejected."""
    rejected = {one.run_id for one in decisions if one.decision == "rejected"}
    weighed = (folder for folder in candidates if folder.run_id not in rejected)
    judged = judge(with_rarity(weigh(subject, weighed, work.context)))
    for one in judged:
        one.folder = work.finder.original(one.folder)
    return judged
