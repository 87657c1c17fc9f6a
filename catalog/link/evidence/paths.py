"""Evidence from places: common folders, folders that a run names, other projects."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from catalog.link.evidence.clocks import lived_then
from catalog.link.evidence.context import Stated
from catalog.link.evidence.numbers import STEP_COUNTERS
from catalog.link.evidence.observation import CONTRADICTION, ELSEWHERE, STRONG, Observation
from catalog.link.inputs import is_checkpoint
from catalog.link.keys import says_holding, says_loading, says_reading, says_writing
from catalog.link.names import called_alike
from catalog.link.places import folder_of, own_folder, tells_training
from catalog.link.subjects import Said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

OWN_PROJECT = 2.5
"""For the folder of the run's own project, while no other run of it is known."""
WENT_ON = 0.5
"""For a run that resumed a training: it may have written to the same folder, or to its own."""
ONLY_READ = -12.0
"""Against an evaluation: it has the arguments, the output folder and the clock of the training, all
that a link takes and more."""
NAMED = 3.0
"""For a folder under a key that may mean where checkpoints are read as well (`checkpoint_dir`)."""
OTHER_PROJECT = -4.0
"""Against a run of another project, when the checkpoint's own project has runs as well."""
SAME_JOB = 12.0
"""For a run inside the job's folder: only a second run of the same job could be meant."""
SHARED_JOB = 0.5
"""For one of several runs inside it, or in a folder that every job of the project works in."""

NAMED_TWICE = 4.5
"""For the name of a training that both the folder bears and the file begins with: not enough for
a link, but where several runs bear it, each of them may have written the file."""

NAMED_ALONE = 6.0
"""For a name that one run of all has, and one training's folder or file in its own project; not
where another training saved the same numbers: a run that only read has its name, too."""

SHORTEST_NAME = 5
"""Letters of a name that is no mere word."""
SHORTEST_TRAINING = 3
"""The same where its key says that it is a training's name."""
_TRAINING = re.compile(r"(?:^|[._])(?:exp|experiment|run)_?name$", re.IGNORECASE)
"""Keys under which nothing but a training's name stands."""
_NAME = re.compile(r"name|experiment|exp_|exp$|_id$|version|tag", re.IGNORECASE)
"""Keys of a config under which a training's name stands."""
_DIGITS = re.compile(r"\d+")


def same_job_folder(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Hydra changed into the output folder: W&B's folder and the checkpoint both lie in it."""
    job = subject.job
    if job is not None and folder.path.startswith(f"{job.path}/"):
        yield Observation(
            "same-job-folder",
            SHARED_JOB if context.places.is_shared(job) else SAME_JOB,
            f"Run and checkpoint lie in one job folder, {job.path}.",
        )


def other_job_folder(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """The run worked inside the output folder of another job."""
    job, other = subject.job, folder.job_path
    if job is None or other is None or job.path == other:
        return
    if not (_covers(other, job.path) or _covers(job.path, other)):
        yield Observation(
            "other-job-folder",
            CONTRADICTION,
            f"The run lies in another job's folder, {other}.",
        )


def folder_named(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The run's config or logs name the folder that the checkpoint lies in as their output.

    Folders are compared by the tail of their path, since trees get moved; the tail reaches up
    to a name that tells (a stamp, an experiment), not to `checkpoints` alone. A path of a
    checkpoint file is what a run reads (resume, evaluation), and no evidence of who wrote it;
    nor is a folder under a key that speaks of reading.
    """
    found: tuple[float, Said, str] | None = None
    for said, weight in _named(folder, context):
        key = _key_in(said, subject, folder)
        if key is None:
            continue
        weight = min(weight, _most(said, key, subject, folder, context))
        if found is None or weight > found[0]:
            found = (weight, said, key)
    if found is not None:
        weight, said, key = found
        yield Observation(
            "folder-named",
            weight,
            f"The run names {said.text}, the checkpoint's folder is {key}.",
            said.file_id,
        )


def where_named(said: Said, subject: Subject, folder: RunFolder, context: Context) -> float:
    """Return how much it tells that a run names a folder: 0 if it is not the checkpoint's."""
    key = _key_in(said, subject, folder)
    return 0.0 if key is None else _most(said, key, subject, folder, context)


def _key_in(said: Said, subject: Subject, folder: RunFolder) -> str | None:
    """Return the checkpoint's folder as a path names it, None if it does not."""
    keys = subject.place.keys
    return next((key.whole for key in keys if key.named_by(said.text)), None) or _at_its_place(
        said.text, folder, subject
    )


def name_stated(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The run's config or arguments hold the name of the checkpoint's folder, or of the file."""
    for plain, shared in called_alike(context.called, subject, folder):
        if (
            context.called.decides(plain)
            and own_project(subject, context) == folder.project
            and context.places.twins.checkpoint(subject, folder) is None
        ):
            yield Observation(
                "name-stated",
                NAMED_ALONE,
                f"The run's {shared.key} is {shared.text}, as the checkpoint's folder or file, "
                "and no other run's.",
                shared.file_id,
            )
            return
    called = _called(folder, context)
    if not called:
        return
    stem = posixpath.splitext(posixpath.basename(subject.path))[0]
    above = posixpath.basename(subject.directory)
    names = {key.anchor.rpartition("/")[2] for key in subject.place.keys} | {stem}
    names = {name for name in names if len(name) >= SHORTEST_NAME and tells_training(name)}
    for name, key, file_id in called:
        if name == above and _TRAINING.search(key) and stem.startswith((f"{name}_", f"{name}-")):
            yield Observation(
                "name-stated",
                NAMED_TWICE,
                f"The run's {key} is {name}: the folder's name, and the beginning of the file's.",
                file_id,
            )
            return
        if name in names:
            yield Observation(
                "name-stated",
                NAMED,
                f"The run's {key} is {name}, as the checkpoint's folder or file.",
                file_id,
            )
            return


def _called(folder: RunFolder, context: Context) -> list[tuple[str, str, int]]:
    """Return what a run's config calls it: (name, key, file) of all that can be a name."""
    if folder.id not in context.names:
        context.names[folder.id] = [
            (text, key, file_id)
            for config_id, file_id in folder.config
            for text, key in _stated(config_id, context).names
        ]
    return context.names[folder.id]


def sibling_named(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The run names the folder beside the checkpoint's as its output: another training's."""
    here = dict(subject.place.written_to)
    keys = subject.place.keys
    other: Said | None = None
    for said, weight in _named(folder, context):
        if any(key.named_by(said.text) for key in keys):
            return
        theirs = own_folder(f"{said.text}/")
        if (
            weight == STRONG
            and theirs is not None
            and any(_beside(own, theirs, moved) for own, moved in here.items())
        ):
            other = other or said
    if other is not None:
        yield Observation(
            "other-folder-named",
            ELSEWHERE,
            f"The run's output is {other.text}, the checkpoint was written to {next(iter(here))}.",
            other.file_id,
        )


def _beside(own: str, theirs: str, moved: bool) -> bool:
    """Tell whether two folders lie side by side; of a moved one only the last names count."""
    if own == theirs:
        return False
    alike = _DIGITS.sub("#", own) == _DIGITS.sub("#", theirs)
    if not moved:
        return alike or posixpath.dirname(own) == posixpath.dirname(theirs)
    tails = [path.split("/")[-2:] for path in (own, theirs)]
    patterns = [_DIGITS.sub("#", "/".join(tail)) for tail in tails]
    return tails[0] != tails[1] and patterns[0] == patterns[1] and "#" in patterns[0]


def started_from(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The run names a file or the folder of this training as its input.

    One that trained on may have written there as well: it lived when the file was written, or
    recorded the file's epoch or a later one. Else it only read: an evaluation, an export.
    """
    if folder.run_id is None:
        return
    read = _read_from(subject, folder, context)
    if read is None and folder.run_id not in context.places.went_on_from(subject):
        return
    reached = context.reached(folder.run_id, "epoch")
    trained = reached is not None and reached[1] >= max(subject.epoch or 0, 1)
    if reached is None:
        # Without epochs: a stream that came to its end with one row, or none, is an evaluation's,
        # unless that row counts steps of a training.
        points = context.longest_history(folder.run_id)
        steps = [context.reached(folder.run_id, name) for name in STEP_COUNTERS]
        trained = points is None or points > 1 or not folder.is_ended
        trained = trained or any(step is not None and step[1] >= 1 for step in steps)
    elif read is None and not context.has_whole_history(folder.run_id, "epoch"):
        trained = True  # for all that is known
    if trained or lived_then(subject, folder):
        yield Observation("went-on", WENT_ON, "The run started from a file of this training.")
    else:
        yield Observation(
            "read-by-run",
            ONLY_READ,
            "The run started from a file of this training, and recorded no training up to it.",
            None if read is None else read.file_id,
        )


def reads_or_goes_on(subject: Subject, folder: RunFolder, context: Context) -> bool:
    """Tell whether a run names the training of a checkpoint's place as its input."""
    return (
        folder.run_id in context.places.went_on_from(subject)
        or _read_from(subject, folder, context) is not None
    )


def _read_from(subject: Subject, folder: RunFolder, context: Context) -> Said | None:
    return next(
        (
            said
            for said in _read_folders(folder, context)
            if any(key.named_by(said.text) for key in subject.place.keys)
        ),
        None,
    )


def is_called(_subject: Subject, folder: RunFolder, context: Context) -> bool:
    """Tell whether a run states anything that can be the name of a training."""
    return context.called.is_called(folder) or bool(_called(folder, context))


def _named(folder: RunFolder, context: Context) -> list[tuple[Said, float]]:
    """Return the folders that a run names as its output, with what each can tell."""
    if folder.id not in context.named:
        found = [
            (said, STRONG)
            for role in ("output-dir", "logging-dir")
            for said in folder.mentions.get(role, ())
        ]
        found += [
            (Said(text, file_id), weight)
            for config_id, file_id in folder.config
            for text, weight in _stated(config_id, context).outputs
        ]
        context.named[folder.id] = list(dict.fromkeys(found))
    return context.named[folder.id]


def _read_folders(folder: RunFolder, context: Context) -> tuple[Said, ...]:
    """Return the folders that a run names as places where checkpoints are read."""
    if folder.id not in context.read_from:
        context.read_from[folder.id] = tuple(
            Said(text, file_id)
            for config_id, file_id in folder.config
            for text in _stated(config_id, context).inputs
        )
    return context.read_from[folder.id]


def _stated(config_id: int, context: Context) -> Stated:
    """Return the folders and names in a config; the files of one run often share it."""
    stated = context.stated.get(config_id)
    if stated is None:
        stated = context.stated[config_id] = Stated([], [], [])
        for key, value in context.configs.flat(config_id).items():
            text = value.text
            if value.type != "str" or not text:
                continue
            if "/" in text and not is_checkpoint(text):
                weight = _as_output(key)
                if weight:
                    stated.outputs.append((text, weight))
                if _is_for_reading(key):
                    stated.inputs.append(text)
            if _is_name(text, key):
                stated.names.append((text, key))
    return stated


def _is_name(text: str, key: str) -> bool:
    """Tell whether a value can be a training's name."""
    for_names, for_trainings = _names_what(key)
    return (for_names and len(text) >= SHORTEST_NAME and tells_training(text)) or (
        for_trainings and len(text) >= SHORTEST_TRAINING
    )


@lru_cache(maxsize=4_096)
def _names_what(key: str) -> tuple[bool, bool]:
    """Return whether names stand under a key of a config, and whether names of trainings do."""
    return (_NAME.search(key) is not None, _TRAINING.search(key) is not None)


def _is_for_reading(key: str) -> bool:
    """Tell whether checkpoints are read from a folder under a config's key."""
    return (says_reading(key) and says_holding(key)) or says_loading(key)


def _as_output(key: str) -> float:
    """Return how much a folder under a config's key tells of where a run wrote."""
    if says_reading(key):
        return 0.0
    return NAMED if says_holding(key) and not says_writing(key) else STRONG


def _names(text: str, key: str) -> bool:
    return f"/{key}/" in f"/{posixpath.normpath(text)}/"


def _most(said: Said, key: str, subject: Subject, folder: RunFolder, context: Context) -> float:
    """Return the most that a named folder can tell: little where other trainings wrote there."""
    if f"/{key}/" in folder.path or _is_project_of(said.text, subject, folder, context):
        return SHARED_JOB if context.places.is_project(folder) else OWN_PROJECT
    if not _covers(folder.project, subject.path) and own_project(subject, context) is not None:
        return NAMED  # two projects that lay in the same place at different times
    return STRONG


def _is_project_of(text: str, subject: Subject, folder: RunFolder, context: Context) -> bool:
    """Tell whether a path is where the run's whole project lay: all its runs wrote below it.

    It is, where a file that remembers lying below it lies at the same place below the project.
    """
    root = f"{posixpath.normpath(text)}/"
    for inside in subject.remembered_folders:
        if inside.startswith(root):
            place = posixpath.join(folder.project, inside.removeprefix(root))
            if place == subject.directory or inside in context.places.remembered_in(
                folder.host, place
            ):
                return True
    return False


def project_tails(subject: Subject) -> list[str]:
    """Return where below a run's project the folders that it remembers may lie."""
    tails: dict[str, None] = {}
    for folder in subject.remembered_folders:
        start = len(folder)
        while start >= 0:
            start = folder.rfind("/", 0, start)
            tails[folder[start + 1 :]] = None
    return list(tails)


def _at_its_place(text: str, folder: RunFolder, subject: Subject) -> str | None:
    """Return a relative path that leads from the run's project to the checkpoint's folder.

    Even a name that says nothing (`./results`) does when it is the very place.
    """
    if text.startswith("/") or not text.strip("./"):
        return None
    place = posixpath.normpath(posixpath.join(folder.project, text))
    if folder.path.startswith(f"{place}/"):
        return None  # the folder of all output, W&B's own included
    inside = place.startswith(f"{folder.project}/") and subject.path.startswith(f"{place}/")
    return place if inside else None


def other_project(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The checkpoint lies in a project with runs of its own, and this run is of another one."""
    if _covers(folder.project, subject.path):
        return
    own = own_project(subject, context)
    if own is not None:
        yield Observation(
            "other-project",
            OTHER_PROJECT,
            f"The checkpoint belongs to the project {own}, the run to {folder.project}.",
        )


def own_project(subject: Subject, context: Context) -> str | None:
    """Return the innermost folder above a checkpoint that has runs of its own."""
    place = (subject.host, subject.directory)
    if place not in context.own_projects:
        context.own_projects[place] = _find_project(*place, context.projects)
    return context.own_projects[place]


def _find_project(host: str, above: str, projects: Mapping[str, Sequence[RunFolder]]) -> str | None:
    while above != folder_of(above):
        if any(one.host == host for one in projects.get(above, ())):
            return above
        above = folder_of(above)
    return None


def _covers(folder: str, path: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")
