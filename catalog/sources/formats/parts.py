"""What is told of the files of a checkpoint without reading them: missing, empty, cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from catalog.sources.checkpoint import signatures
from catalog.sources.checkpoint.byte_source import (
    LinkRefusedError,
    NotRegularFileError,
    open_inside,
)
from catalog.sources.checkpoint.contents import MAX_GLOBALS, with_doubt
from catalog.sources.checkpoint.safety import VERDICTS
from catalog.sources.checkpoint.single import read_file
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus

MAX_READ: Final = 1_024
"""Parts that are read beside the first one."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes of them that are read: an optimizer's skeleton has some 100 kB."""
MAX_LOOKED_AT: Final = 4_096
"""Parts whose ends are looked at; of a larger number the first ones."""
MAX_RANKS: Final = 1 << 20
"""Processes that a file may claim; the largest trainings known have some 100,000."""

_ZIP: Final = b"PK\3\4"
_ZIP_END: Final = b"PK\5\6"
_FAULTS: Final = ("truncated", "empty", "pointer", "unreadable")
_TORCH: Final = ("torch-zip", "torch-legacy", "torchscript")
_UNREAD: Final = ("pickle-limit", "pickle-cut")
"""Codes of what torch may well open, and is not read to its end."""
_END_RECORD: Final = 22
"""Bytes of the record at the end of an archive that has no comment: torch writes none."""

_NO_MODEL: Final = Checkpoint("unknown", "foreign", "it is data of an unknown kind")


class Fault(NamedTuple):
    """What is wrong with a file, so that the checkpoint cannot be loaded."""

    status: CheckpointStatus
    reason: str
    """Names the file; without capital and full stop."""


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
    root: Path, folder: str, name: str, archive: tuple[int, int] | None = None
) -> Fault | None:
    """Return what is wrong with a file by its two ends, None where nothing is seen.

    Args:
        root: the ingested tree.
        folder: the checkpoint.
        name: of the file, below the folder.
        archive: where in it one of torch's archives begins and ends, if it is one.
    """
    try:
        with open_inside(root, f"{root}/{folder}/{name}") as source:
            head = source.read_at(0, signatures.HEAD)
            kind = signatures.kind_of(head, source.size)
            begin, end = archive or (0, 0)
            start = source.read_at(begin, len(_ZIP))
            tail = source.read_at(max(end - _END_RECORD, 0), _END_RECORD)
    except LinkRefusedError:
        return Fault("truncated", f"{name} is a link that leads nowhere in the tree")
    except NotRegularFileError:
        return Fault("unreadable", f"{name} is no file")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Fault("unreadable", f"{name} cannot be opened ({reason})")
    if kind == "empty":
        return Fault("truncated", f"{name} is empty")
    if kind == "pointer":
        return Fault("pointer", f"{name} is a Git LFS pointer; fetch it with `git lfs pull`")
    if not head.strip(b"\0"):
        return Fault("unreadable", f"{name} holds zeros")
    if archive is not None and start == _ZIP and not tail.startswith(_ZIP_END):
        return Fault("truncated", f"{name} is damaged: no archive ends where one should")
    return None


def of_torch(facts: Facts) -> Checkpoint:
    """Return what was read of a file that `torch.save` writes: other data under its name is damage.

    What torch wrote and is no model by itself, such as an optimizer's state, stays what it is.
    """
    one = facts.checkpoint or _NO_MODEL
    if one.format in _TORCH or one.status in _FAULTS or is_unread(facts):
        return one
    return one.but(status="unreadable", reason=f"{one.reason or one.format}, and no file of torch")


def without_equals(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint that is equal to none where it is damaged, whatever of it is whole."""
    if checkpoint.status not in _FAULTS or checkpoint.weights_fingerprint is None:
        return checkpoint
    return checkpoint.but(
        weights_fingerprint=None, weights_doubt=sentence(checkpoint.reason or checkpoint.status)
    )


def is_unread(facts: Facts) -> bool:
    """Say whether a file may well be torch's own, and was not read to the end of its pickle."""
    return any(problem.code in _UNREAD for problem in facts.problems)


def with_parts(root: Path, folder: str, names: Sequence[str], facts: Facts) -> Facts:
    """Return the facts of a checkpoint with what is wrong of its other files, each torch's own.

    They are read as the first one was, so that nothing is called whole, or its pickles plain, that
    was not looked at. Of very many only the ends are looked at, and the checkpoint is recognised.

    Args:
        root: the ingested tree.
        folder: the checkpoint.
        names: of its other files, below the folder.
        facts: of the checkpoint; what was found to be wrong before stays.
    """
    checkpoint = facts.checkpoint
    if checkpoint is None or checkpoint.status != "readable":
        return facts
    faults: list[Fault] = []
    read = 0
    unread = None
    for number, name in enumerate(names[:MAX_LOOKED_AT]):
        is_read = number < MAX_READ and read < MAX_BYTES
        archive = None if is_read else (0, size_of(root, f"{folder}/{name}") or 0)
        fault = fault_of(root, folder, name, archive)
        if fault is None and is_read:
            with open_inside(root, f"{root}/{folder}/{name}") as source:
                told = read_file(source, f"{folder}/{name}")
                read += source.bytes_read
            part = of_torch(told)
            checkpoint = judged_with(checkpoint, part)
            if part.status in _FAULTS:
                fault = Fault(part.status, f"{name}: {part.reason}")
            elif is_unread(told):
                unread = unread or f"{name}: {part.reason or 'it is not read to its end'}"
        elif fault is None:
            unread = unread or f"{number:,} of its {len(names):,} further files are read at most"
        faults += [fault] if fault else []
    checkpoint = checkpoint.but(bytes_read=checkpoint.bytes_read + read)
    if unread or len(names) > MAX_LOOKED_AT:
        checkpoint = with_doubt(checkpoint).but(status="recognised", reason=unread)
    facts = facts.but(checkpoint=checkpoint)
    return with_fault(facts, faults[0], "damaged-part") if faults else facts


def with_name(facts: Facts, name: str) -> Facts:
    """Return the facts of a file as those of its folder: what is wrong is told with its name."""
    checkpoint = facts.checkpoint
    if checkpoint is None:
        return facts
    return facts.but(
        checkpoint=checkpoint.but(reason=f"{name}: {checkpoint.reason}"),
        problems=tuple(Problem(one.code, f"{name}: {one.message}") for one in facts.problems),
    )


def judged_with(checkpoint: Checkpoint, part: Checkpoint) -> Checkpoint:
    """Return the checkpoint with the verdict on the pickles of a part: the worse one stays."""
    verdicts = [one.safety for one in (checkpoint, part) if one.safety is not None]
    return checkpoint.but(
        safety=max(verdicts, key=VERDICTS.index) if verdicts else None,
        globals=tuple(sorted({*checkpoint.globals, *part.globals})[:MAX_GLOBALS]),
        every_global=tuple(sorted({*checkpoint.every_global, *part.every_global})),
    )


def with_fault(facts: Facts, fault: Fault, code: str) -> Facts:
    """Return the facts of a checkpoint, a part of which is damaged.

    Args:
        facts: of the checkpoint.
        fault: what is wrong.
        code: of the problem.
    """
    checkpoint = facts.checkpoint
    if checkpoint is None:
        return facts
    problem = Problem(code, sentence(fault.reason))
    return facts.but(
        checkpoint=checkpoint.but(status=fault.status, reason=fault.reason),
        problems=(*facts.problems, problem),
    )
