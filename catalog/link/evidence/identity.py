"""Evidence that names the run: its folder around the file, or its id."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import CERTAIN, CONTRADICTION, Observation
from catalog.link.places import artifact_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject


WORD = 1.5
"""For an id that is a word in the path: people give such names to folders as well."""
WORD_IN_PROJECT = 3.0
"""For an id that is a word, in a folder of its project's name: Lightning's PROJECT/ID."""


def inside_run_directory(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """A file in the run's own folder was put there by the run (W&B: `files/model-best.h5`)."""
    if folder.id in [above.id for above in subject.folders]:
        yield Observation(
            "inside-run-directory", CERTAIN, f"The checkpoint lies inside {folder.path}."
        )


def run_id_in_path(subject: Subject, folder: RunFolder, _context: Context) -> Iterator[Observation]:
    """Lightning's WandbLogger saves to PROJECT/RUN-ID/checkpoints unless told otherwise."""
    run_id = folder.tracker_run_id
    if run_id is None:
        return
    paths = (subject.path, *subject.remembered)
    of_artifact = artifact_run_id(subject.directory)
    if of_artifact is not None and is_random_id(of_artifact):
        yield (
            Observation(
                "run-id-in-path",
                CERTAIN,
                f"It lies in an artifact of the run, {posixpath.basename(subject.directory)}.",
            )
            if of_artifact == run_id
            else Observation(
                "other-run-id-in-path",
                CONTRADICTION,
                f"It lies in an artifact of another run, {of_artifact}.",
            )
        )
        return
    if run_id in subject.names_above:
        for path in paths:
            names = path.split("/")[:-1]
            if run_id not in names:
                continue
            where = "its path" if path == subject.path else "a path that it remembers"
            above = names[names.index(run_id) - 1] if names.index(run_id) else ""
            word = WORD_IN_PROJECT if above and above == folder.project_name else WORD
            yield Observation(
                "run-id-in-path",
                CERTAIN if is_random_id(run_id) else word,
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


def may_name_run(subject: Subject, folder: RunFolder, _context: Context) -> bool:
    """Tell whether paths of a checkpoint's place may hold the id of this run, or of another."""
    if folder.tracker_run_id is None:
        return False
    place = subject.place
    of_artifact = artifact_run_id(place.directory)
    if of_artifact is not None and is_random_id(of_artifact):
        return True
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
        if match and is_random_id(match[1]):
            return match[1]
    return None


def run_id_stated(subject: Subject, folder: RunFolder, _context: Context) -> Iterator[Observation]:
    """A `.metadata` sidecar, or the checkpoint itself, names the run."""
    for said in subject.stated_run_ids:
        if folder.tracker_run_id is not None and folder.tracker_run_id in said.text.split("/"):
            yield Observation(
                "run-id-stated",
                CERTAIN,
                f"A file beside the checkpoint names run {said.text}.",
                said.file_id,
            )
            return
    if subject.stated_run_ids and folder.tracker_run_id is not None:
        said = subject.stated_run_ids[0]
        yield Observation(
            "other-run-id-stated",
            CONTRADICTION,
            f"A file beside the checkpoint names another run, {said.text}.",
            said.file_id,
        )


def is_random_id(run_id: str) -> bool:
    """Tell an id that the tracker drew (8 of a-z and 0-9) from a word that a person gave."""
    return len(run_id) == 8 and run_id.isalnum() and any(sign.isdigit() for sign in run_id)
