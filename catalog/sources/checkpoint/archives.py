"""Checkpoints that are zip archives: torch's own, and those of other formats."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import torch_zip
from catalog.sources.checkpoint.contents import describe, with_doubt, with_safety
from catalog.sources.checkpoint.default_load import unknown, with_default_load
from catalog.sources.checkpoint.numbers import Numbers
from catalog.sources.checkpoint.skeleton import Skeleton, SkeletonError, load
from catalog.sources.checkpoint.tensors import sizes_of, storage_bytes
from catalog.sources.checkpoint.weights import Weights
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.formats import registry
from catalog.sources.plain import clean, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import Sums, ZipDirectory, ZipEntry

MAX_PICKLE: Final = 12 * 1024 * 1024
"""Some 120 bytes a tensor, those of optimizers included: 100,000 tensors."""
_MAX_REPEATED: Final = 4
_MAX_SMALL: Final = 65_536


def read_archive(source: ByteSource, own_path: str) -> Facts:
    """Read a zip archive; it never raises for what the file holds.

    Args:
        source: the file.
        own_path: its path, to find it among the paths that it names.
    """
    if source.size <= torch_zip.WHOLE:
        source.fetch(0, source.size)
    try:
        directory = torch_zip.read_directory(source)
    except torch_zip.ZipError as error:
        return _cut(source, own_path) if error.code == "zip-cut" else _damaged(source, error)
    try:
        return _by_entries(source, directory, own_path)
    except torch_zip.ZipError as error:
        return _damaged(source, error)


def read_root(source: ByteSource) -> tuple[Skeleton, Numbers] | None:
    """Return the skeleton of a torch archive, None where there is none to be read."""
    try:
        directory = torch_zip.read_directory(source)
        entry = directory.entries.get(directory.top + "data.pkl")
        if entry is None:
            return None
        skeleton = load(torch_zip.read_entry(source, entry, MAX_PICKLE))
        return skeleton, _numbers(source, directory)
    except (torch_zip.ZipError, SkeletonError):
        return None


def read_weights(source: ByteSource) -> tuple[Weights, ZipDirectory] | None:
    """Return the weights of a torch archive and its directory, None where they cannot be told.

    The storage of a key is the entry `directory.top + "data/" + key`.
    """
    try:
        directory = torch_zip.read_directory(source)
        entry = directory.entries.get(directory.top + "data.pkl")
        if entry is None:
            return None
        data = torch_zip.read_entry(source, entry, MAX_PICKLE)
        skeleton = load(data)
    except (torch_zip.ZipError, SkeletonError):
        return None
    if any(_flaw(directory, entry, data, skeleton)):
        return None
    return Weights(skeleton.root, skeleton.found), directory


def _by_entries(source: ByteSource, directory: ZipDirectory, own_path: str) -> Facts:
    found = registry.format_of_archive(directory.entries, directory.top)
    if found is not None and found.read_archive is not None:
        return found.read_archive(source, directory, own_path)
    if directory.top + "data.pkl" in directory.entries:
        return _torch(source, directory, own_path)
    reason = "it is a zip archive without a data.pkl"
    return Facts(Checkpoint("zip", "foreign", reason=reason, bytes_read=source.bytes_read))


def _torch(source: ByteSource, directory: ZipDirectory, own_path: str) -> Facts:
    top = directory.top
    entry = directory.entries[top + "data.pkl"]
    data = torch_zip.read_entry(source, entry, MAX_PICKLE)
    checkpoint = Checkpoint("torch-zip", "readable")
    problems = []
    if directory.shift:
        reason = f"{directory.shift:,} bytes are before the archive, torch refuses it so"
        checkpoint = replace(checkpoint, status="unreadable", reason=reason)
        problems.append(Problem("bytes-before-archive", f"{reason[0].upper()}{reason[1:]}."))
    others = _other_pickles(directory, entry)
    if others:
        checkpoint = _judged_by(source, others, checkpoint)
        message = f"The archive holds {len(others) + 1} files data.pkl; readers may differ."
        problems.append(Problem("several-pickles", message))
    try:
        skeleton = load(data)
    except SkeletonError as error:
        if error.code == "pickle-cut" and MAX_PICKLE <= len(data) < entry.size:
            longer = f"it is longer than {MAX_PICKLE >> 20} MB"
            error = SkeletonError("pickle-limit", longer, error.found)
        checkpoint = with_doubt(with_safety(_with_error(checkpoint, error), error.found))
        if error.code == "pickle-limit" or len(data) < entry.size:
            checkpoint = checkpoint.but(default_load=unknown("Its data.pkl was not read whole."))
        message = f"The data.pkl in the archive cannot be read: {error}."
        return _finished(Facts(checkpoint), source, [*problems, Problem(error.code, message)])

    sums_of: Callable[[list[str]], Sums | None] | str = partial(directory.sums_of, f"{top}data/")
    flaw, doubt = _flaw(directory, entry, data, skeleton)
    if torch_zip.misses_an_entry(source, directory):
        flaw = "an entry is not where the directory of the archive says"
    flaw = flaw or _refused_entry(source, directory)
    if flaw and checkpoint.status == "readable":
        checkpoint = replace(checkpoint, status="unreadable", reason=flaw)
    if flaw or doubt:
        sums_of = doubt or sentence(flaw)
    checkpoint = with_safety(checkpoint, skeleton.found)
    # torch looks at no checksum; a file that it refuses for other causes is told so later.
    if checkpoint.status == "readable" or flaw == _CHANGED:
        checkpoint = with_default_load(checkpoint, data, skeleton.found)
    if others:
        checkpoint = with_doubt(checkpoint)
    numbers = _numbers(source, directory)
    facts = describe(checkpoint, skeleton, numbers, own_path, sums_of, source)
    return replace(facts, problems=(*facts.problems, *problems)) if problems else facts


_CHANGED: Final = "its data.pkl does not fit its checksum, bytes of it have changed"
_CUT: Final = "The end of the file is missing."
_KNOWN: Final = frozenset(
    {
        "data.pkl", "byteorder", "version", ".data/version", ".format_version",
        ".storage_alignment", ".data/serialization_id",
    }
)  # fmt: skip
"""Entries that torch writes beside the storages."""


def _flaw(
    directory: ZipDirectory, entry: ZipEntry, data: bytes, skeleton: Skeleton
) -> tuple[str, str]:
    """Compare an archive with what its pickle names.

    torch reads each storage whole and wants it to be of the size that the pickle states
    (`torch/csrc/jit/serialization/inline_container.cc`, `getRecord`; `torch/serialization.py`,
    `load_tensor`); it checks no CRC.

    Returns:
        What torch refuses or what is damaged, without a full stop; and a sentence why the sums of
        the archive do not tell all of its weights. Each is empty where there is nothing to tell.
    """
    top = directory.top
    names = directory.entries
    if entry.crc and entry.crc != zlib.crc32(data):
        return _CHANGED, ""
    keys, sizes = sizes_of(skeleton.found)
    sums = directory.sums_of(f"{top}data/", keys) if keys else ((), ())
    if sums is None:
        lost = sum(f"{top}data/{key}" not in names for key in keys)
        return f"{lost:,} of its {len(keys):,} storages are missing", ""
    if sizes != tuple(sums[1]):
        for key, wanted, size in zip(keys, sizes, sums[1], strict=True):
            if wanted is not None and wanted != size:
                shown = clean(key)[:40]
                return f"its storage {shown} has {size:,} bytes in place of {wanted:,}", ""
    if top + "version" not in names and top + ".data/version" not in names:
        return "its entry version is missing, torch refuses it so", ""
    if directory.repeated:
        return "", "Names of entries are there twice: readers may take the one or the other."
    if len(names) != len(keys) + sum(top + name in names for name in _KNOWN):
        return "", "The archive holds entries that its pickle does not name."
    return "", ""


_VERSIONS: Final = range(1, 11)
"""Of the archive's layout, which torch reads (`caffe2/serialize/versions.h`)."""


def _refused_entry(source: ByteSource, directory: ZipDirectory) -> str:
    """Return what torch refuses of an archive's small entries and names, empty if nothing.

    Source: `PyTorchStreamReader::init` and `getAllRecords` in
    `caffe2/serialize/inline_container.cc`; `_load` in `torch/serialization.py`.
    """
    top, names = directory.top, directory.entries
    if not directory.is_one_folder:
        return "an entry is not in the folder of the others, torch refuses it so"
    if directory.flaw:
        return directory.flaw
    if directory.misstates_sizes:
        return "its directory gives an entry two sizes, torch refuses it so"
    for name in ("version", ".data/version"):
        if top + name in names:
            text = _small_text(source, directory, top + name).strip()[:20]
            if not text.isdigit() or int(text) not in _VERSIONS:
                return "its entry version names none that torch reads"
            break
    order = top + "byteorder"
    if order in names and _small_text(source, directory, order) not in (b"little", b"big"):
        return "its entry byteorder is neither little nor big"
    alignment = top + ".storage_alignment"
    if alignment in names and not _small_text(source, directory, alignment).strip().isdigit():
        return "its entry .storage_alignment is no number"
    identity = top + ".data/serialization_id"
    if identity in names:
        try:
            _small_text(source, directory, identity).decode()
        except UnicodeDecodeError:
            return "its entry .data/serialization_id is no text"
    return ""


def _small_text(source: ByteSource, directory: ZipDirectory, name: str) -> bytes:
    """Return an entry of a few bytes, from what was read already where torch wrote it."""
    entry = directory.entries[name]
    if entry.method or entry.size > _MAX_SMALL:
        return small_entry(source, directory, name)
    return torch_zip.read_part(source, entry, 0, entry.size)


def _finished(facts: Facts, source: ByteSource, problems: list[Problem]) -> Facts:
    checkpoint = facts.checkpoint and replace(facts.checkpoint, bytes_read=source.bytes_read)
    return replace(facts, checkpoint=checkpoint, problems=(*facts.problems, *problems))


def _with_error(checkpoint: Checkpoint, error: SkeletonError) -> Checkpoint:
    """Return an archive's checkpoint marked by what is wrong with its data.pkl."""
    if checkpoint.status == "unreadable":
        return checkpoint
    reason = f"its data.pkl cannot be read: {error}"
    limit = error.code == "pickle-limit"
    return replace(checkpoint, status="recognised" if limit else "unreadable", reason=reason)


def _other_pickles(directory: ZipDirectory, own: ZipEntry) -> list[ZipEntry]:
    """Return the further `data.pkl` of an archive, since another reader may take one of them."""
    if directory.raw.count(b"data.pkl") <= 1:
        return []
    every = [*directory.entries.values(), *directory.repeated]
    return [each for each in every if each is not own and each.name.endswith("data.pkl")]


def _judged_by(source: ByteSource, others: list[ZipEntry], checkpoint: Checkpoint) -> Checkpoint:
    for entry in others[:_MAX_REPEATED]:
        try:
            found = load(torch_zip.read_entry(source, entry, MAX_PICKLE)).found
        except SkeletonError as error:
            found = error.found
        except torch_zip.ZipError:
            continue
        checkpoint = with_safety(checkpoint, found)
    return checkpoint


def _numbers(source: ByteSource, directory: ZipDirectory) -> Numbers:
    """Return the reader of single numbers in the archive's storages."""
    top = directory.top

    def read(key: str, offset: int, length: int) -> bytes:
        entry = directory.entries.get(f"{top}data/{key}")
        if entry is None:
            return b""
        try:
            return torch_zip.read_part(source, entry, offset, length)
        except torch_zip.ZipError:
            return b""

    order = small_entry(source, directory, top + "byteorder")
    return Numbers(read, big_endian=order == b"big")


def small_entry(source: ByteSource, directory: ZipDirectory, name: str) -> bytes:
    """Return an entry of an archive up to 64 kB, nothing where there is none or it is damaged."""
    entry = directory.entries.get(name)
    try:
        return b"" if entry is None else torch_zip.read_entry(source, entry, _MAX_SMALL)
    except torch_zip.ZipError:
        return b""


def _cut(source: ByteSource, own_path: str) -> Facts:
    """Read an archive without its end: torch writes data.pkl first, so it may still be whole."""
    checkpoint = Checkpoint("zip", "truncated", reason="the end of the archive is missing")
    first = torch_zip.first_entry(source)
    if first is None or not first[0].endswith("/data.pkl"):
        return _finished(Facts(checkpoint), source, [])
    checkpoint = replace(checkpoint, format="torch-zip")
    try:
        skeleton = load(source.read_at(first[1], MAX_PICKLE))
    except SkeletonError as error:
        checkpoint = with_doubt(with_safety(checkpoint, error.found))
        return _finished(Facts(checkpoint), source, [])
    checkpoint = with_safety(checkpoint, skeleton.found)
    stored = [storage_bytes(each.dtype, each.length) for each in skeleton.found.storages.values()]
    missing = sum(size or 0 for size in stored) - (source.size - first[1] - skeleton.end)
    if None not in stored and missing > 0:
        reason = f"the end of the archive is missing, at least {missing:,} bytes"
        checkpoint = replace(checkpoint, reason=reason)
    return _finished(describe(checkpoint, skeleton, Numbers(), own_path, _CUT), source, [])


def _damaged(source: ByteSource, error: torch_zip.ZipError) -> Facts:
    checkpoint = Checkpoint("zip", "unreadable", reason=str(error), bytes_read=source.bytes_read)
    return Facts(checkpoint, problems=(Problem(error.code, f"Unreadable archive: {error}."),))
