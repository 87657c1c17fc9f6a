"""Links that `wandb.save` leaves in a run's `files/`: each leads to the checkpoint that was saved.

The client links instead of copying (`Run._save` in `wandb/sdk/wandb_run.py`, since 0.8), keeping
the path below the base folder, so a link may lie some folders deeper. Only its text is read: on
another machine, or after a move, it is dead, and still names the file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from catalog.sources.facts import Facts, Item, Listing, Mention
from catalog.sources.formats.registry import names_a_checkpoint
from catalog.sources.paths import join, split
from catalog.sources.wandb import run_directory

if TYPE_CHECKING:
    from pathlib import Path

NAME = "wandb-saved-link"
VERSION = 2


def recognise(listing: Listing) -> list[Item]:
    """Return the links to checkpoints in or below a run's `files/`."""
    links = [
        entry
        for entry in listing.entries
        if entry.kind == "link" and names_a_checkpoint(entry.target or "")
    ]
    holder = _run_directory(listing.path) if links else None
    if holder is None:
        return []
    return [
        Item(
            reader=NAME,
            path=join(listing.path, entry.name),
            size=0,
            mtime_ns=entry.mtime_ns,
            inode=entry.inode,
            is_link=True,
            run_directory=holder,
        )
        for entry in links
    ]


def read(root: Path, item: Item) -> Facts:
    """Read where one link leads.

    Raises:
        OSError: it is gone, or no link any more.

    """
    target = os.fsencode(os.readlink(root / item.path)).decode("utf-8", "backslashreplace")
    holder = item.run_directory or split(item.path)[0]
    return Facts(
        run_directory=run_directory.describe(root, holder),
        mentions=(Mention("saved-file", target),),
    )


def _run_directory(path: str) -> str | None:
    """Return the run directory whose `files/` a folder is, or lies in."""
    names = path.split("/")
    for place in range(len(names) - 1, 0, -1):
        if names[place] == "files":
            holder = "/".join(names[:place])
            if run_directory.is_named(holder):
                return holder
    return None
