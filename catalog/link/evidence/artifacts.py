"""Evidence from what a run gave to W&B: files that it saved, and artifacts that it logged."""

from __future__ import annotations

import json
import posixpath
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from catalog.link.evidence.observation import STRONG, Observation
from catalog.link.evidence.paths import where_named
from catalog.link.numbers import tells
from catalog.schema.canonical import float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import RunFolder, Subject

SAVED = STRONG + 1.0
"""For a file that the run gave to `wandb.save`: it names folder and file, as few others do."""
SAME_BYTES = STRONG + 4.0
"""For an artifact with the file's MD5: who logs a checkpoint has it, and seldom from elsewhere."""
LOGGED = STRONG
"""For an artifact of the file's name, size and score; a repeated command logs the same."""
LOGGED_UNSCORED = 2.0
"""For name and size alone: files of one model differ in size by the length of their paths."""


class Logged(NamedTuple):
    """A checkpoint inside an artifact, as `artifact-checkpoint` mentions keep it."""

    name: str
    size: int | None
    digest: str
    score: float | None


def file_saved(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """W&B's link in the run's `files/` leads to the checkpoint, dead or not.

    Paths are compared by the tail that tells which training it is, since trees get moved.
    """
    name = posixpath.basename(subject.path)
    for said in folder.mentions.get("saved-file", ()):
        if posixpath.basename(said.text) != name:
            continue
        most = where_named(
            said._replace(text=posixpath.dirname(said.text)), subject, folder, context
        )
        if most:
            yield Observation(
                "file-saved",
                min(SAVED, most + 1.0),
                f"The run gave {said.text} to W&B, which linked it.",
                said.file_id,
            )
            return


def artifact_logged(
    subject: Subject, folder: RunFolder, _context: Context
) -> Iterator[Observation]:
    """The run logged an artifact with a file of this name and size, and with its score.

    Lightning's `WandbLogger(log_model=...)` states the file's own name and its score in the
    artifact's metadata (`original_filename`, `score`). Where files were hashed, the manifest's
    digest decides.
    """
    if subject.size is None:
        return
    name = posixpath.basename(subject.path)
    best: Observation | None = None
    for said in folder.mentions.get("artifact-checkpoint", ()):
        logged = parsed(said.text)
        if logged is not None and logged.digest == subject.md5:
            yield Observation(
                "artifact-logged",
                SAME_BYTES,
                f"The run logged an artifact with the very bytes of {name} (MD5).",
                said.file_id,
            )
            return
        if logged is None or logged.name != name or logged.size != subject.size:
            continue
        text = f"The run logged an artifact with {name} of {logged.size:,} bytes"
        if logged.score is not None and subject.known_scores:
            if float32(logged.score) not in subject.known_scores:
                continue
            if tells(logged.score):
                text = f"{text} and the score {logged.score!r}."
                yield Observation("artifact-logged", LOGGED, text, said.file_id)
                return
        best = best or Observation("artifact-logged", LOGGED_UNSCORED, f"{text}.", said.file_id)
    if best is not None:
        yield best


@lru_cache(maxsize=4_096)
def parsed(text: str) -> Logged | None:
    """Return what an `artifact-checkpoint` mention says."""
    try:
        return Logged(*json.loads(text))
    except (ValueError, TypeError):
        return None
