"""Sums of a checkpoint's bytes: what is told by them was read, and is not merely stated.

Each file is opened and read once, in memory that does not grow with it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from catalog.errors import SourceError
from catalog.sources.checkpoint import signatures
from catalog.sources.checkpoint.byte_source import ByteSource
from catalog.sources.checkpoint.stretches import Layout, archive_layout, safetensors_layout
from catalog.sources.checkpoint.weight_names import WEIGHTS
from catalog.sources.formats.onnx import data_files
from catalog.sources.formats.registry import is_named_like_a_model
from catalog.sources.paths import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

_BLOCK: Final = 1 << 20
_MOST_PARTS: Final = 20_000
_TRAINING_STATE: Final = re.compile(
    r"(?:training_args|optimizer|scheduler)\.bin|(?:optimizer|scheduler|scaler)\.pt"
    r"|rng_state(?:_\d+)?\.pth"
)
"""What a Trainer keeps beside the weights, to go on (`transformers/trainer.py`)."""
_SHARDED: Final = re.compile(r"pytorch_model_fsdp_\d+/")
_OTHER_CHECKPOINT: Final = re.compile(r"checkpoint-\d+|\..*")
_TENSORFLOW_PART: Final = re.compile(r"\.(?:index|data-\d{5}-of-\d{5})")


class Verified(NamedTuple):
    """What the bytes of one checkpoint tell."""

    sha256: str | None
    """Of the content; None for a folder."""
    md5: str | None
    """The same in base64, as the artifacts of W&B state it (`wandb/sdk/lib/hashutil.py`)."""
    weights_sha256: str | None
    """SHA-256 over the bytes of the weights; None where they are damaged, or there are none."""
    damage: str | None
    """A sentence where the bytes do not fit what the file states of them."""
    basis: Literal["weights", "content"]
    """Whether `weights_sha256` is of the weights alone: then different sums are different weights.
    One of the whole content says only that equal files hold equal weights."""
    size: int = 0
    mtime_ns: int = 0
    """Of the file, when all was read."""


def verified_sum(path: Path, names: Sequence[str] | None = None) -> Verified:
    """Read a checkpoint whole and return what its bytes tell.

    Args:
        path: a file; a folder that is one checkpoint; or the `X.index` of TensorFlow, whose
            `X.data-*` belong to it.
        names: of the files that a folder consists of, by their paths below it; all files in it
            where they are not given.

    Raises:
        SourceError: a file cannot be read.
    """
    try:
        if path.is_dir():
            files = _files(path) if names is None else (path / name for name in names)
            parts = [(one.relative_to(path).as_posix(), one) for one in sorted(files)]
            return _of_parts(_of_weights(parts))
        if path.suffix == ".index" and path.is_file():
            shards = _tensorflow_parts(path)
            if len(shards) > 1:
                return _of_parts([(one.name.removeprefix(path.stem), one) for one in shards])
        return _of_model(path) if path.suffix.lower() == ".onnx" else _of_file(path)
    except OSError as error:
        raise SourceError(f"{error.filename or path}: {error.strerror or error}.") from error


def _of_model(path: Path) -> Verified:
    """Return what an ONNX model tells; its tensors may be in files beside it."""
    with open_regular(path) as file:
        names = data_files(ByteSource(file.fileno(), 0, os.fstat(file.fileno()).st_size, None))
    found = _of_file(path)
    if names == []:
        return found
    weights = None
    if names is not None:
        weights = _of_parts([(name, path.parent / name) for name in names]).weights_sha256
        weights = hashlib.sha256(f"onnx\n{found.sha256}\n{weights}\n".encode()).hexdigest()
    return found._replace(weights_sha256=weights, basis="content")


def _of_file(path: Path) -> Verified:
    with open_regular(path) as file:
        source = ByteSource(file.fileno(), 0, os.fstat(file.fileno()).st_size, None)
        layout = _layout(source)
        sha256, md5 = _read(file, layout)
        status = os.fstat(file.fileno())
        damage = layout.damage()
        weights = None if damage else layout.weights_sha256()
    basis: Literal["weights", "content"] = "content" if weights is None else "weights"
    if weights is None and damage is None and status.st_size:
        weights = sha256
    return Verified(sha256, md5, weights, damage, basis, status.st_size, status.st_mtime_ns)


def _layout(source: ByteSource) -> Layout:
    head = source.read_at(0, signatures.HEAD)
    if signatures.kind_of(head, source.size) == "zip":
        return archive_layout(source)
    if head[8:9] == b"{":
        return safetensors_layout(source)
    return Layout()


def _read(file: BinaryIO, layout: Layout) -> tuple[str, str]:
    """Read a file from end to end; return its SHA-256 in hex and its MD5 in base64."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    waiting = iter(layout.stretches)
    stretch = next(waiting, None)
    begin = 0
    while block := file.read(_BLOCK):
        sha256.update(block)
        md5.update(block)
        view, end = memoryview(block), begin + len(block)
        while stretch is not None and stretch.begin <= end:
            part = view[max(stretch.begin - begin, 0) : stretch.end - begin]
            if part:
                stretch.feed(part)
            if stretch.end > end:
                break
            stretch.finish()
            stretch = next(waiting, None)
        begin = end
    return sha256.hexdigest(), base64.b64encode(md5.digest()).decode()


def _of_parts(parts: list[tuple[str, Path]]) -> Verified:
    """Return what the parts of a checkpoint tell: names and sums, or that of the only one."""
    total = hashlib.sha256(b"parts\n")
    basis: Literal["weights", "content"] = "weights"
    found = None
    for name, part in parts:
        found = _of_file(part)
        if found.damage is not None:
            return Verified(None, None, None, f"{name}: {found.damage}", found.basis)
        if found.basis == "content":
            basis = "content"
        total.update(name.encode("utf-8", "surrogateescape") + b"\0")
        total.update(f"{found.weights_sha256}\n".encode())
    if found is None:
        return Verified(None, None, None, None, "content")
    weights = found.weights_sha256 if len(parts) == 1 else total.hexdigest()
    return Verified(None, None, weights, None, basis)


def _of_weights(parts: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Return the parts of a folder that hold its weights.

    Those that are named like a model's and are not a Trainer's own state; or those in the folders
    that accelerate shards a model into; without any, all files.
    """
    named = [
        (name, one)
        for name, one in parts
        if not _TRAINING_STATE.fullmatch(one.name)
        and (WEIGHTS.fullmatch(one.name) or is_named_like_a_model(one.name.lower()))
    ]
    if any(WEIGHTS.fullmatch(one.name) for _, one in named):
        return named
    sharded = [(name, one) for name, one in parts if _SHARDED.match(name)]
    return sharded or parts


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, but for those of checkpoints of their own.

    Raises:
        OSError: it cannot be listed, or holds more than any checkpoint.
    """
    left = _MOST_PARTS
    pending = [folder]
    while pending:
        for one in sorted(pending.pop().iterdir()):
            left -= 1
            if left < 0:
                raise OSError(None, f"it holds more than {_MOST_PARTS:,} files", str(folder))
            if one.is_file():
                yield one
            elif (
                one.is_dir() and not one.is_symlink() and not _OTHER_CHECKPOINT.fullmatch(one.name)
            ):
                pending.append(one)


def _tensorflow_parts(index: Path) -> list[Path]:
    prefix = index.name.removesuffix(".index")
    return sorted(
        one
        for one in index.parent.iterdir()
        if one.name.startswith(prefix) and _TENSORFLOW_PART.fullmatch(one.name[len(prefix) :])
    )
