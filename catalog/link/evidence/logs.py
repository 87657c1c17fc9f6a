"""Evidence from log lines that two files share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.link.evidence.observation import STRONG, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

LOG_LINES = STRONG + 2.0
"""Two processes do not write the same line in the same millisecond, twice."""
IN_SHARED_FOLDER = 0.5
"""The same where several runs worked in the folder and appended to one log."""


def shared_lines(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Hydra's job log and W&B's output hold the same lines, stamps to the millisecond."""
    job = subject.job
    if job is None:
        return
    theirs = {said.text: said.file_id for said in folder.mentions.get("log-line", ())}
    shared = [said for said in job.mentions.get("log-line", ()) if said.text in theirs]
    if len(shared) > 1:
        yield Observation(
            "log-lines-shared",
            IN_SHARED_FOLDER if context.places.is_shared(job) else LOG_LINES,
            f"The job's log and the run's output share {len(shared)} lines, to the millisecond.",
            theirs[shared[0].text],
        )
