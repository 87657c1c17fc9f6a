"""Evidence that names the run: its folder around the file, or its id."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import CERTAIN, CONTRADICTION, Observation
from catalog.link.evidence.paths import own_project
from catalog.link.places import artifact_run_id
from catalog.sources.run_ids import is_drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Said, Subject


WORD = 1.5
"""For an id that is a word in the path: people give such names to folders as well."""
WORD_IN_PROJECT = 3.0
"""For an id that is a word, in a folder of its project's name: Lightning's PROJECT/ID."""
WORD_IN_PLACE = 6.0
"""The same where it lies in the run's own project on disk: no other run of it bears that id."""


def inside_run_directory(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """A file in the run's own folder was put there by the run (W&B: `files/model-best.h5`)."""
    if folder.id in [above.id for above in subject.folders]:
        yield Observation(
            "inside-run-directory", CERTAIN, f"The checkpoint lies inside {folder.path}."
        )


def run_id_in_path(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Lightning's WandbLogger saves to PROJECT/RUN-ID/checkpoints unless told otherwise."""
    run_id = folder.tracker_run_id
    if run_id is None:
        return
    paths = (subject.path, *subject.remembered)
    of_artifact = artifact_run_id(subject.directory)
    if of_artifact == run_id:
        yield Observation(
            "run-id-in-path",
            _named_by_id(run_id, _in_place(WORD_IN_PROJECT, subject, folder, context)),
            f"It lies in an artifact of the run, {posixpath.basename(subject.directory)}.",
        )
        return
    if of_artifact is not None and is_drawn(of_artifact):
        yield Observation(
            "other-run-id-in-path",
            CONTRADICTION,
            f"It lies in an artifact of another run, {of_artifact}.",
        )
        return
    if run_id in subject.names_above:
        for path in paths:
            names = path.split("/")[:-1]
            if run_id not in names:
                continue
            where = "its path" if path == subject.path else "a path that it remembers"
            above = names[names.index(run_id) - 1] if names.index(run_id) else ""
            word = WORD
            if above and above == folder.project_name:
                word = _in_place(WORD_IN_PROJECT, subject, folder, context)
            yield Observation(
                "run-id-in-path",
                _named_by_id(run_id, word),
                f"The run's id {run_id} is a folder in {where}, {path}.",
            )
            return
    other = _id_of_another(paths, folder.project_name) if folder.project_name else None
    if other is not None:
        yield Observation(
            "other-run-id-in-path",
            CONTRADICTION,
            f"The path names another run of {folder.project_name}: {other}.",
        )


def _named_by_id(run_id: str, word: float) -> float:
    """Return how much an id tells: all, but for one that may be a word."""
    return CERTAIN if is_drawn(run_id) else word


def _in_place(elsewhere: float, subject: Subject, folder: RunFolder, context: Context) -> float:
    """Return what a word tells of a checkpoint: more where it lies in the run's own project."""
    own = own_project(subject, context)
    return WORD_IN_PLACE if own is not None and own == folder.project else elsewhere


def may_name_run(subject: Subject, folder: RunFolder, _context: Context) -> bool:
    """Tell whether paths of a checkpoint's place may hold the id of this run, or of another."""
    if folder.tracker_run_id is None:
        return False
    place = subject.place
    of_artifact = artifact_run_id(place.directory)
    if of_artifact is not None and is_drawn(of_artifact):
        return True  # of this run or of another
    if folder.tracker_run_id in place.names_above:
        return True
    project = f"{folder.project_name}/"
    return bool(folder.project_name) and any(
        project in f"{above}/" for above in (place.directory, *place.remembered)
    )


@lru_cache(maxsize=1_024)
def _id_of_another(paths: tuple[str, ...], project_name: str) -> str | None:
    """Return the first id in PROJECT/ID/checkpoints of the paths, for the run's project."""
    pattern = rf"(?:^|/){re.escape(project_name)}/([^/]+)/checkpoints(?:/|$)"
    for path in paths:
        match = re.search(pattern, posixpath.normpath(path))
        if match and is_drawn(match[1]):
            return match[1]
    return None


def run_id_stated(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """A `.metadata` sidecar, or the checkpoint itself, names the run."""
    if folder.tracker_run_id is None:
        return
    for said in subject.stated_run_ids:
        if _is_of(said.text, folder):
            yield Observation(
                "run-id-stated",
                _named_by_id(
                    folder.tracker_run_id,
                    CERTAIN if own_project(subject, context) == folder.project else WORD_IN_PROJECT,
                ),
                f"{_stating(said, subject)} names run {said.text}.",
                said.file_id,
            )
            return
    if subject.stated_run_ids:
        said = subject.stated_run_ids[0]
        yield Observation(
            "other-run-id-stated",
            CONTRADICTION,
            f"{_stating(said, subject)} names another run, {said.text}.",
            said.file_id,
        )


def _stating(said: Said, subject: Subject) -> str:
    return "The checkpoint" if said.file_id == subject.id else "A file beside the checkpoint"


def _is_of(text: str, folder: RunFolder) -> bool:
    """Tell whether an id, or ENTITY/PROJECT/ID, is of a run."""
    names = text.strip("/").split("/")
    if folder.tracker_run_id not in names:
        return False
    is_path = len(names) == 3 and names[-1] == folder.tracker_run_id
    return not is_path or folder.project_name in {None, names[1]}
