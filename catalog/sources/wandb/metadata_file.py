"""`wandb-metadata.json`: machine, program, git state and start of a W&B run.

`startedAt` is UTC in every version, though written without a zone up to 0.17. `heartbeatAt` is
a sign of life: up to 0.9 it moves, from 0.10 on it was written once, at the start. `email` is
personal and not stored.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from catalog.sources.documents import read_json
from catalog.sources.facts import Facts, Item, Listing, Plain, RunField
from catalog.sources.paths import below
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact_arguments, redact_text, redaction_problem
from catalog.sources.stamps import moment_of_text
from catalog.sources.wandb import ranks, run_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "wandb-metadata"
VERSION = 2

_FILE = "wandb-metadata.json"
_TEXTS = {
    "host": "host",
    "os": "os",
    "username": "username",
    "executable": "executable",
    "program": "program",
    "codePath": "code_path",
    "root": "root",
    "cudaVersion": "cuda_version",
    "gpu_count": "gpu_count",
    "cpu_count": "cpu_count",
    "state": "state",
    "mode": "mode",
    "project": "project",
    "jobType": "job_type",
    "exitcode": "exit_code",
}


def recognise(listing: Listing) -> list[Item]:
    """Return the metadata file of the run directory that this listing is of, if any."""
    return run_directory.file_item(NAME, listing, _FILE)


def read(root: Path, item: Item) -> Facts:
    """Read one metadata file.

    Raises:
        OSError: the file cannot be read.

    """
    place = run_directory.of_file(root, item)
    document = read_json(below(root, item.path))
    if document.mapping is None:
        return Facts(run_directory=place, problems=document.problems)
    arguments = shown_arguments(document.mapping)
    return Facts(
        run_directory=place,
        fields=tuple(metadata_fields(document.mapping, ranks.METADATA, arguments)),
        problems=redaction_problem(_secret_keys(document.mapping, arguments)),
    )


def shown_arguments(metadata: dict[str, Plain]) -> list[str]:
    """Return the command line in W&B metadata without credentials."""
    return redact_arguments(texts(metadata.get("args")))


def metadata_fields(
    metadata: dict[str, Plain], rank: int, arguments: list[str]
) -> Iterator[RunField]:
    """Yield the run fields in W&B metadata, from this file or from a copy of it elsewhere.

    Args:
        metadata: the decoded object.
        rank: of the source.
        arguments: its `shown_arguments`.

    """
    field = partial(field_of, rank=rank)
    for key, name in _TEXTS.items():
        yield from field(name, metadata.get(key))
    python = metadata.get("python")
    if isinstance(python, str):
        # 0.19 and later write `CPython 3.12.9`.
        yield from field("python_version", python.rpartition(" ")[2])
    yield from field("args", list[Plain](arguments))
    git = metadata.get("git")
    if isinstance(git, dict):
        yield from git_fields(git.get("remote"), git.get("commit"), rank)
    yield from field("gpu", _gpu(metadata))
    started = metadata.get("startedAt")
    if isinstance(started, str):
        yield from moment_field("started_at", moment_of_text(started, assume_utc=True), rank)
    heartbeat = metadata.get("heartbeatAt")
    if isinstance(heartbeat, str):
        yield from moment_field("heartbeat", moment_of_text(heartbeat, assume_utc=True), rank)


def git_fields(remote: Plain, commit: Plain, rank: int) -> Iterator[RunField]:
    """Yield a run's git remote, without a password in it, and commit."""
    if isinstance(remote, str):
        yield from field_of("git_remote", redact_text(remote), rank)
    yield from field_of("git_commit", commit, rank)


def texts(value: Plain) -> list[str]:
    """Return the strings of a list; anything else is an empty list."""
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def _gpu(metadata: dict[str, Plain]) -> Plain:
    """Return the name of the first GPU, whichever of four spellings the version had."""
    if isinstance(metadata.get("gpu"), str):
        return metadata["gpu"]
    for key in ("gpu_nvidia", "gpu_amd", "gpu_devices"):
        devices = metadata.get(key)
        if isinstance(devices, list) and devices and isinstance(devices[0], dict):
            return devices[0].get("name")
    apple = metadata.get("apple")
    return apple.get("name") if isinstance(apple, dict) else None


def _secret_keys(metadata: dict[str, Plain], arguments: list[str]) -> tuple[str, ...]:
    git = metadata.get("git")
    remote = git.get("remote") if isinstance(git, dict) else None
    found = []
    if arguments != texts(metadata.get("args")):
        found.append("args")
    if isinstance(remote, str) and redact_text(remote) != remote:
        found.append("git.remote")
    return tuple(found)
