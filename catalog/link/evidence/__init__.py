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
    folder_names,
    identity,
    logs,
    numbers,
    paths,
    schedule,
    timings,
)
from catalog.link.evidence.observation import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    folder_names.project_and_second,
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

_CAN_SPEAK: dict[Weigher, Callable[[Subject, RunFolder, Context], bool]] = {
    identity.run_id_in_path: identity.may_name_run,
    identity.run_id_stated: lambda subject, _folder, _context: bool(subject.stated_run_ids),
    paths.name_stated: paths.is_called,
    folder_names.project_and_second: lambda subject, _folder, _context: subject.stamp_in_utc,
    artifacts.file_saved: lambda _subject, folder, _context: "saved-file" in folder.mentions,
    artifacts.artifact_logged: lambda _subject, folder, _context: (
        "artifact-checkpoint" in folder.mentions
    ),
    paths.started_from: paths.reads_or_goes_on,
    numbers.best_score: lambda subject, _folder, _context: subject.monitor is not None,
    numbers.twin_file: lambda subject, _folder, context: context.places.has_alike(subject),
    numbers.own_scores: lambda subject, _folder, _context: bool(subject.telling_scores),
    timings.timings: lambda subject, _folder, _context: bool(subject.telling_scores),
    schedule.learning_rate: lambda subject, _folder, context: (
        bool(subject.learning_rates) and bool(context.rate_names())
    ),
    configs.twin_job: lambda subject, _folder, context: context.places.twins.has_job(subject),
    architecture.architecture: architecture.has_sizes,
    clocks.written_during_run: lambda _subject, folder, _context: folder.started_at is not None,
}
"""Whether the others can see anything at all, of a checkpoint of one place and one `_sort`."""


def weigh(
    subject: Subject, folders: Iterable[RunFolder], context: Context
) -> list[tuple[RunFolder, list[Observation]]]:
    """Return, by run folder, everything that speaks for or against its run having written it."""
    of_place = context.of_place((subject.place, _sort(subject, context)))
    weighed = []
    for folder in folders:
        kept = of_place.get(folder.id)
        if kept is None:
            kept = of_place[folder.id] = list(_kept(subject, folder, context))
        seen: list[Observation] = []
        for known in kept:
            seen += known if isinstance(known, tuple) else known(subject, folder, context)
        weighed.append((folder, seen))
    return weighed


def _sort(subject: Subject, context: Context) -> tuple[object, ...]:
    """Return what a checkpoint states and has beside it, without the values."""
    return (
        subject.monitor is None,
        not subject.telling_scores,
        not subject.learning_rates,
        not subject.stated_run_ids,
        subject.architecture_id is None,
        context.places.has_alike(subject),
    )


def _kept(
    subject: Subject, folder: RunFolder, context: Context
) -> Iterator[tuple[Observation, ...] | Weigher]:
    """Yield what kinds of evidence see of all checkpoints of a place; themselves, if they may."""
    for weigher in WEIGHERS:
        if weigher in _OF_PLACE:
            if seen := tuple(weigher(subject, folder, context)):
                yield seen
        elif weigher not in _CAN_SPEAK or _CAN_SPEAK[weigher](subject, folder, context):
            yield weigher
