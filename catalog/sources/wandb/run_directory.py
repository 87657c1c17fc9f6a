"""W&B run directories: recognised by their names, wherever they lie.

Names (https://docs.wandb.ai, and 1,480 directories seen): `run-STAMP-ID`, `offline-run-STAMP-ID`,
`dryrun-STAMP-ID` (0.8), with STAMP = `YYYYMMDD_HHMMSS` and everything after the next hyphen the
id, which may hold hyphens, dots and blanks. `latest-run` and `latest-run.PID` are links to one
of them, or real copies where a tool followed the link. From 0.10 on the files lie in `files/`
and `logs/` and the stamp is local time; in 0.8 they lie in the directory itself and the stamp
is UTC.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from catalog.sources.facts import Entry, Item, Listing, RunDirectory
from catalog.sources.paths import is_file, item_of, split

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(run|offline-run|dryrun)-(\d{8})_(\d{6})-(.+)", re.DOTALL)
_LATEST = re.compile(r"latest-run(?:\.\d+)?")
_STREAM = re.compile(r"run-(.+)\.wandb", re.DOTALL)

TRACKER = "wandb"


def is_named(path: str) -> bool:
    """Say whether the last name of a path is that of a run directory."""
    name = split(path)[1]
    return bool(_NAME.fullmatch(name) or _LATEST.fullmatch(name))


def stream_id(name: str) -> str | None:
    """Return the run id in a stream's file name, `run-ID.wandb`, or None."""
    match = _STREAM.fullmatch(name)
    return match[1] if match else None


def holder_of(listing: Listing, subfolder: str) -> str:
    """Return the run directory of files in this listing: the parent of `files/` or `logs/`.

    Args:
        listing: a directory with run files in it.
        subfolder: `files` or `logs`; any other directory is itself the run directory (0.8).

    """
    folder, name = split(listing.path)
    return folder if name == subfolder else listing.path


def companions(listing: Listing) -> bool:
    """Say whether files lie here that only W&B writes, so that a `config.yaml` is W&B's too."""
    return any(
        entry.name in {"wandb-metadata.json", "wandb-summary.json"} for entry in listing.entries
    )


def describe(
    root: Path, path: str, *, flat: bool = False, run_id: str | None = None
) -> RunDirectory:
    """Return what the name and place of a run directory tell.

    Args:
        root: the ingested root.
        path: the run directory, relative to it.
        flat: whether a file of the 0.8 layout was found directly in it.
        run_id: an id that a file states, for directories whose name has none.

    """
    name = split(path)[1] if path != "." else root.absolute().name
    named = _described(path, name, flat and not _has_subfolders(root / path))
    return named or RunDirectory(
        path=path,
        tracker=TRACKER,
        tracker_run_id=run_id or _id_inside(root / path),
        copy_of_latest=bool(_LATEST.fullmatch(name)),
    )


@lru_cache(maxsize=256)
def _described(path: str, name: str, stamp_in_utc: bool) -> RunDirectory | None:
    """Return what a name tells, None where it is none of a run: each is asked for several files."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    prefix, date, time, identity = match.groups()
    mode: Literal["online", "offline"] = "online" if prefix == "run" else "offline"
    return RunDirectory(
        path=path,
        tracker=TRACKER,
        tracker_run_id=identity,
        mode=mode,
        stamp=_stamp(date + time),
        stamp_in_utc=stamp_in_utc,
    )


def _stamp(digits: str) -> str | None:
    if not digits.isascii():
        return None
    fields = [digits[:4], *(digits[place : place + 2] for place in range(4, 14, 2))]
    try:
        return datetime(*map(int, fields)).isoformat()  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return None


def _id_inside(folder: Path) -> str | None:
    """Return the id of the only stream in a folder; None for none or several."""
    ids = {identity for name in _names(folder) if (identity := stream_id(name))}
    return ids.pop() if len(ids) == 1 else None


def _has_subfolders(folder: Path) -> bool:
    return any(name in {"files", "logs"} or stream_id(name) for name in _names(folder))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def file_item(reader: str, listing: Listing, name: str) -> list[Item]:
    """Return the item of the file of that name in a run's `files/` (0.8: the run's own folder)."""
    entry = entry_named(listing, name)
    if entry is None or not is_file(entry):
        return []
    return [item_of(reader, listing, entry, run_directory=holder_of(listing, "files"))]


def of_file(root: Path, item: Item) -> RunDirectory:
    """Return the run directory of an item that `file_item` made."""
    folder = split(item.path)[0]
    holder = item.run_directory or folder
    return describe(root, holder, flat=holder == folder)


def entry_named(listing: Listing, name: str) -> Entry | None:
    """Return the entry of that name, or None."""
    return next((entry for entry in listing.entries if entry.name == name), None)
