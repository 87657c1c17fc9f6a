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
from catalog.link.neighbours import Neighbours
from catalog.link.rarity import with_rarity
from catalog.link.subjects import Configs, is_run, load_folders, load_subjects
from catalog.link.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from catalog.link.decisions import Decision
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
    finder = Finder(connection, runs, subjects, settings)
    inputs = Inputs(connection)
    context = Context(
        connection,
        settings,
        Configs(connection),
        finder.by_project,
        Neighbours(subjects, folders, inputs, settings.link_tolerance),
        inputs,
    )
    first: dict[int, RunFolder] = {}
    for folder in sorted(runs, key=lambda one: (one.copy_of_latest, one.path)):
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
    runs_of: dict[str, set[int]] = defaultdict(set)
    config_ids: set[int] = set()
    for subject in subjects:
        found = candidates[subject.id]
        runs = {folder.run_id for folder in found if folder.run_id is not None}
        for metric in metrics_of(subject, work.context.rate_names()):
            runs_of[metric] |= runs
        for folder in (*found, *subject.folders):
            config_ids.update(config_id for config_id, _file in folder.config)
        if subject.config_id is not None:
            config_ids.add(subject.config_id)
    work.context.configs.load(config_ids)
    alike: dict[frozenset[int], list[str]] = defaultdict(list)
    for metric, runs in runs_of.items():
        alike[frozenset(runs)].append(metric)
    for some, metrics in alike.items():
        work.context.load_recorded(some, metrics)


def weigh_candidates(
    work: Work,
    subject: Subject,
    candidates: Iterable[RunFolder],
    decisions: Sequence[Decision] = (),
) -> list[Judged]:
    """Return the verdicts of evidence on one checkpoint, without runs that a person rejected."""
    rejected = {one.run_id for one in decisions if one.decision == "rejected"}
    judged = judge(
        with_rarity(
            [
                (folder, weigh(subject, folder, work.context))
                for folder in candidates
                if folder.run_id not in rejected
            ]
        )
    )
    for one in judged:
        one.folder = work.finder.original(one.folder)
    return judged
