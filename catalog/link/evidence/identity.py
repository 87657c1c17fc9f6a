"""Evidence that names the run: its folder around the file, or its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.link.evidence.observation import CERTAIN, FAIR, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject


def inside_run_directory(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """A file in the run's own folder was put there by the run (W&B: `files/model-best.h5`)."""
    if any(above.id == folder.id for above in subject.folders):
        yield Observation(
            "inside-run-directory", CERTAIN, f"The checkpoint lies inside {folder.path}."
        )


def run_id_in_path(subject: Subject, folder: RunFolder, _context: Context) -> Iterator[Observation]:
    """Lightning's WandbLogger saves to PROJECT/RUN-ID/checkpoints unless told otherwise."""
    run_id = folder.tracker_run_id
    if run_id is None:
        return
    for where, path in (
        ("its path", subject.path),
        *(("a path that it remembers", path) for path in subject.remembered),
    ):
        if run_id in path.split("/")[:-1]:
            yield Observation(
                "run-id-in-path",
                CERTAIN if is_random_id(run_id) else FAIR,
                f"The run's id {run_id} is a folder in {where}, {path}.",
            )
            return


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


def is_random_id(run_id: str) -> bool:
    """Tell an id that the tracker drew (8 of a-z and 0-9) from a word that a person gave."""
    return len(run_id) == 8 and run_id.isalnum() and any(sign.isdigit() for sign in run_id)
