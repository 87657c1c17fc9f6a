"""Evidence from places: common folders, folders that a run names, other projects."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import STRONG, Observation
from catalog.link.places import key_folders
from catalog.link.subjects import Said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

OTHER_PROJECT = -4.0
"""Against a run of another project, when the checkpoint's own project has runs as well."""
SAME_JOB = 12.0
"""For a run inside the job's folder: only a second run of the same job could be meant."""


def same_job_folder(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """Hydra changed into the output folder: W&B's folder and the checkpoint both lie in it."""
    job = subject.job
    if job is not None and folder.path.startswith(f"{job.path}/"):
        yield Observation(
            "same-job-folder", SAME_JOB, f"Run and checkpoint lie in one job folder, {job.path}."
        )


def folder_named(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The run's config or logs name the folder that the checkpoint lies in as their output.

    Folders are compared by the tail of their path, since trees get moved; the tail reaches up
    to a name that tells (a stamp, an experiment), not to `checkpoints` alone. A path of a
    checkpoint file is what a run reads (resume, evaluation), and no evidence of who wrote it.
    """
    keys = key_folders(subject)
    for said in _named(folder, context):
        key = next((key for key in keys if _names(said.text, key)), None) or _at_its_place(
            said.text, folder, subject
        )
        if key is not None:
            yield Observation(
                "folder-named",
                STRONG,
                f"The run names {said.text}, the checkpoint's folder is {key}.",
                said.file_id,
            )
            return


def _named(folder: RunFolder, context: Context) -> Iterator[Said]:
    for role in ("output-dir", "logging-dir"):
        yield from folder.mentions.get(role, ())
    for config_id, file_id in folder.config:
        for value in context.configs.flat(config_id).values():
            text = value.text
            if value.type == "str" and text and "/" in text and not _is_checkpoint(text):
                yield Said(text, file_id)


def _names(text: str, key: str) -> bool:
    return f"/{key}/" in f"/{posixpath.normpath(text)}/"


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


def _is_checkpoint(text: str) -> bool:
    return text.endswith((".ckpt", ".pt", ".pth", ".safetensors", ".bin", ".h5"))


def other_project(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The checkpoint lies in a project with runs of its own, and this run is of another one."""
    if _covers(folder.project, subject.path):
        return
    above = posixpath.dirname(subject.path)
    while above != posixpath.dirname(above):
        if any(one.host == subject.host for one in context.projects.get(above, ())):
            yield Observation(
                "other-project",
                OTHER_PROJECT,
                f"The checkpoint belongs to the project {above}, the run to {folder.project}.",
            )
            return
        above = posixpath.dirname(above)


def _covers(folder: str, path: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")
