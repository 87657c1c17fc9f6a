"""`config.yaml` of a W&B run, and a sweep's `sweep-SWEEP/config-RUN.yaml`.

Every key is wrapped: `{desc: null, value: X}` up to 0.17, `{value: X}` from 0.18; `_wandb` holds
what the client says of itself, from 0.21 on with a copy of the metadata under `e`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from catalog.sources.documents import Document, read_yaml
from catalog.sources.facts import Config, Facts, Item, Listing, Plain, RunDirectory, RunField
from catalog.sources.interpolation import unresolved_keys
from catalog.sources.paths import below, is_file, item_of, join, split
from catalog.sources.plain import is_number
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redaction_problem
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb import ranks, run_directory
from catalog.sources.wandb.metadata_file import metadata_fields, shown_arguments
from catalog.sources.wandb.values import as_logged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "wandb-config"
VERSION = 2

_SWEEP_FOLDER = re.compile(r"sweep-([A-Za-z0-9_-]+)")
_SWEEP_CONFIG = re.compile(r"config-(.+)\.yaml", re.DOTALL)


def recognise(listing: Listing) -> list[Item]:
    """Return `config.yaml` of a run directory, or the run configs of a sweep's folder."""
    folder = split(listing.path)[1]
    if _SWEEP_FOLDER.fullmatch(folder):
        # The folder is of many runs and none of them lies in it: each file stands for its run.
        return [
            item_of(NAME, listing, entry, run_directory=join(listing.path, entry.name))
            for entry in listing.entries
            if is_file(entry) and _SWEEP_CONFIG.fullmatch(entry.name)
        ]
    holder = run_directory.holder_of(listing, "files")
    if not (run_directory.is_named(holder) or run_directory.companions(listing)):
        return []
    return [
        item_of(NAME, listing, entry, run_directory=holder)
        for entry in listing.entries
        if entry.name == "config.yaml" and is_file(entry)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one W&B configuration file.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    sweep = _SWEEP_FOLDER.fullmatch(split(folder)[1])
    sweep_config = _SWEEP_CONFIG.fullmatch(name) if sweep else None
    fields: list[RunField] = []
    if sweep and sweep_config:
        place = RunDirectory(item.path, run_directory.TRACKER, tracker_run_id=sweep_config[1])
        fields += field_of("sweep_id", sweep[1], ranks.NAMES_AND_LOGS)
        rank = ranks.CONFIG_SWEEP
    else:
        place = run_directory.of_file(root, item)
        rank = ranks.CONFIG_FILE
    document = _read(below(root, item.path))
    if document.mapping is None:
        return Facts(run_directory=place, fields=tuple(fields), problems=document.problems)
    user, own = unwrap(document.mapping)
    config, secrets = redact(as_logged(user))
    configs = (Config("wandb-config", config, rank, unresolved_keys(config)),) if config else ()
    fields += _own_fields(own)
    return Facts(
        run_directory=place,
        fields=tuple(fields),
        configs=configs,
        problems=redaction_problem(secrets),
    )


def unwrap(document: dict[str, Plain]) -> tuple[dict[str, Plain], dict[str, Plain]]:
    """Return (the user's keys, W&B's own `_wandb`) without their wrapping."""
    unwrapped = {key: _unwrapped(value) for key, value in document.items()}
    own = unwrapped.pop("_wandb", None)
    unwrapped.pop("wandb_version", None)
    return unwrapped, own if isinstance(own, dict) else {}


def _unwrapped(value: Plain) -> Plain:
    if isinstance(value, dict) and "value" in value and value.keys() <= {"value", "desc"}:
        return value["value"]
    return value


def _read(path: str) -> Document:
    return read_yaml(path, dotless_floats=_by_go_writer)


def _by_go_writer(data: bytes) -> bool:
    """Say whether a Go client (0.18 and later) wrote the file, which prints floats as `1e-08`.

    The Python writers before it begin with `wandb_version` and print `1.0e-08`; there, a plain
    `1e-08` is text.
    """
    return not re.search(rb"^wandb_version:", data, re.MULTILINE)


def _own_fields(own: dict[str, Plain]) -> Iterator[RunField]:
    field = partial(field_of, rank=ranks.CONFIG)
    for key in ("cli_version", "python_version"):
        yield from field(key, own.get(key))
    writers = own.get("e")
    if isinstance(writers, dict):
        # One writer in every file seen; of several the last to start tells of this directory.
        copies = [copy for copy in writers.values() if isinstance(copy, dict)]
        copies.sort(key=lambda copy: str(copy.get("startedAt", "")))
        if copies:
            last = copies[-1]
            yield from metadata_fields(last, ranks.CONFIG, shown_arguments(last))
    started = own.get("start_time")
    if is_number(started):
        yield from moment_field("started_at", moment_of_epoch(started), ranks.CONFIG)
