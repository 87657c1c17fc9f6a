"""Every kind of evidence, one small function each.

Each takes a checkpoint, a run folder and the context, and yields what it observes. A weight is
meant as log-odds: 0 says nothing, +3 speaks for the link about 20 to 1, -3 against it as much. What
sums of them are worth is measured (docs/linking.md). An observation that is missing is never
evidence against; a contradiction is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from catalog.link.evidence import (
    architecture,
    artifacts,
    clocks,
    configs,
    identity,
    logs,
    numbers,
    paths,
    schedule,
    timings,
)
from catalog.link.evidence.observation import Observation
from catalog.link.evidence.paths import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

Weigher: TypeAlias = "Callable[[Subject, RunFolder, Context], Iterator[Observation]]"

WEIGHERS: tuple[Weigher, ...] = (
    identity.inside_run_directory,
    identity.run_id_in_path,
    identity.run_id_stated,
    paths.same_job_folder,
    paths.folder_named,
    paths.other_job_folder,
    paths.name_stated,
    artifacts.file_saved,
    artifacts.artifact_logged,
    paths.sibling_named,
    paths.started_from,
    paths.other_project,
    numbers.best_score,
    numbers.twin_file,
    numbers.own_scores,
    numbers.step_reached,
    timings.timings,
    schedule.learning_rate,
    configs.hyper_parameters,
    configs.arguments,
    configs.job_config,
    configs.twin_job,
    architecture.architecture,
    logs.shared_lines,
    clocks.stamps,
    clocks.nearer_folder,
    clocks.written_during_run,
)

__all__ = ["WEIGHERS", "Observation", "Weigher", "weigh"]


_OF_PLACE: frozenset[Weigher] = frozenset(
    {
        identity.inside_run_directory,
        paths.same_job_folder,
        paths.folder_named,
        paths.other_job_folder,
        paths.sibling_named,
        paths.other_project,
        configs.hyper_parameters,
        configs.arguments,
        configs.job_config,
        logs.shared_lines,
        clocks.stamps,
        clocks.nearer_folder,
    }
)
"""Those that see the same of every checkpoint of one `Subject.place`."""


def weigh(subject: Subject, folder: RunFolder, context: Context) -> list[Observation]:
    """Return everything that speaks for or against the folder's run having written it."""
    of_place = context.of_place(place_of(subject))
    kept = of_place.get(folder.id)
    if kept is None:
        kept = of_place[folder.id] = [
            known
            for weigher in WEIGHERS
            if (known := _known(weigher, subject, folder, context)) != ()
        ]
    seen: list[Observation] = []
    for known in kept:
        seen += known if isinstance(known, tuple) else known(subject, folder, context)
    return seen


def _known(
    weigher: Weigher, subject: Subject, folder: RunFolder, context: Context
) -> tuple[Observation, ...] | Weigher:
    """Return what a kind of evidence sees of all checkpoints of a place, else itself."""
    return tuple(weigher(subject, folder, context)) if weigher in _OF_PLACE else weigher
