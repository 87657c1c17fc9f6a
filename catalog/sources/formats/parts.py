"""What is told of the files of a checkpoint without reading them: missing, empty, cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import signatures
from catalog.sources.checkpoint.byte_source import (
    LinkRefusedError,
    NotRegularFileError,
    open_inside,
)
from catalog.sources.checkpoint.single import sentence
from catalog.sources.facts import Checkpoint, Facts, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus

MAX_LOOKED_AT: Final = 4_096
"""Parts that are opened; of a larger number the first ones."""
MAX_RANKS: Final = 1 << 20
"""Processes that a file may claim; the largest trainings known have some 100,000."""

_ZIP_END: Final = b"PK\5\6"
_END_RECORD: Final = 22
"""Bytes of the record at the end of an archive that has no comment: torch writes none."""


def missing(number: int, whole: int, noun: str) -> str:
    """Return a reason: `1 of its 2 optimizer files is missing`.

    Args:
        number: of what is missing.
        whole: how many there would be.
        noun: one of them, `optimizer file`.
    """
    many = f"{number:,} of its {whole:,} {noun}s"
    if whole == 1:
        return f"its {noun} is missing"
    return f"{many} {'is' if number == 1 else 'are'} missing"


def failed(
    form: str,
    status: CheckpointStatus,
    reason: str,
    code: str,
    framework: str | None = None,
    remedy: str | None = None,
) -> Facts:
    """Return the facts of a checkpoint that no library loads, with a problem that says so.

    Args:
        form: the format.
        status: what is wrong.
        reason: a sentence without capital and full stop.
        code: of the problem.
        framework: that wrote it.
        remedy: what to do, a sentence, for the problem.
    """
    message = sentence(reason) if remedy is None else f"{sentence(reason)} {remedy}"
    checkpoint = Checkpoint(form, status, reason, framework)
    return Facts(checkpoint, problems=(Problem(code, message),))


def foreign(form: str, reason: str) -> Facts:
    """Return the facts of what is not a model."""
    return Facts(Checkpoint(form, "foreign", reason))


def size_of(root: Path, path: str) -> int | None:
    """Return the bytes of a file below a root, None where it cannot be opened."""
    try:
        with open_inside(root, f"{root}/{path}") as source:
            return source.size
    except OSError:
        return None


def fault_of(
    root: Path, folder: str, name: str, archive_ends: int | None = None
) -> tuple[CheckpointStatus, str] | None:
    """Return what is wrong with one of torch's files by its two ends, None where nothing is seen.

    Args:
        root: the ingested tree.
        folder: the checkpoint.
        name: of the file, below the folder.
        archive_ends: where in it an archive ends, if it is not one as a whole.
    """
    try:
        with open_inside(root, f"{root}/{folder}/{name}") as source:
            head = source.read_at(0, signatures.HEAD)
            kind = signatures.kind_of(head, source.size)
            end = source.size if archive_ends is None else archive_ends
            tail = source.read_at(max(end - _END_RECORD, 0), _END_RECORD)
    except LinkRefusedError:
        return "truncated", f"{name} is a link that leads nowhere in the tree"
    except NotRegularFileError:
        return "unreadable", f"{name} is no file"
    except OSError as error:
        return "unreadable", f"{name} cannot be opened ({error.strerror or type(error).__name__})"
    if kind == "empty":
        return "truncated", f"{name} is empty"
    if kind == "pointer":
        return "pointer", f"{name} is a Git LFS pointer"
    if not head.strip(b"\0"):
        return "unreadable", f"{name} holds zeros"
    if kind == "other" and archive_ends is None:
        return "unreadable", f"{name} is none of torch's files"
    if (kind == "zip" or archive_ends) and not tail.startswith(_ZIP_END):
        return "truncated", f"{name} is cut: the end of its archive is missing"
    return None


def first_fault(
    root: Path, folder: str, names: Iterable[str]
) -> tuple[CheckpointStatus, str] | None:
    """Return what is wrong with the first of some files that something is wrong with."""
    for name in list(names)[:MAX_LOOKED_AT]:
        fault = fault_of(root, folder, name)
        if fault is not None:
            return fault
    return None


def with_fault(facts: Facts, fault: tuple[CheckpointStatus, str] | None, code: str) -> Facts:
    """Return the facts of a checkpoint, a part of which is damaged.

    Args:
        facts: of the checkpoint; what was found to be wrong before stays.
        fault: status and reason, or None.
        code: of the problem.
    """
    checkpoint = facts.checkpoint
    if fault is None or checkpoint is None or checkpoint.status not in ("readable", "recognised"):
        return facts
    status, reason = fault
    problem = Problem(code, sentence(reason))
    return facts.but(
        checkpoint=checkpoint.but(status=status, reason=reason),
        problems=(*facts.problems, problem),
    )
