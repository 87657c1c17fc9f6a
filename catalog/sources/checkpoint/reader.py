"""The reader of checkpoints: which names it wants, and which module reads what it finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.byte_source import (
    LinkRefusedError,
    NotRegularFileError,
    open_inside,
)
from catalog.sources.checkpoint.directory import find_wholes, read_whole
from catalog.sources.checkpoint.safety import is_dangerous
from catalog.sources.checkpoint.single import read_file
from catalog.sources.facts import Checkpoint, Facts, Item, Problem
from catalog.sources.formats.registry import is_named_like_a_model, signs, suffixes
from catalog.sources.paths import below, item_of, join
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Listing

NAME: Final = "checkpoint"
VERSION: Final = 4
MOST_READ: Final = 64 * 1024
SIGNS = signs
_NOT_LOADED: Final = "No fingerprint is made of what is not whole."
_NAMED: Final = 3
"""Names of globals that a warning shows."""


def recognise(listing: Listing) -> list[Item]:
    """Return the checkpoints in one directory, by their names alone.

    A directory that is itself a checkpoint is one item, and so is each TensorFlow prefix; the
    parts of either are not listed again. Links that may not be followed, FIFOs and directories
    under a checkpoint's name are items too, so that `read` says what stands there.
    """
    items = find_wholes(NAME, listing)
    parts = {name for item in items for name in item.parts}
    items += [
        item_of(NAME, listing, entry)
        for entry in listing.entries
        if entry.kind != "directory"
        and entry.name not in parts
        and is_named_like_a_model(entry.name.lower())
    ]
    stray = listing.path != "." and listing.path.lower().endswith(suffixes())
    if stray and listing.path not in [item.path for item in items]:
        items.append(Item(NAME, listing.path, size=0, mtime_ns=0))
    return items


def claimed(item: Item) -> set[str]:
    """Return the directories below a checkpoint that belong to it; no other one is in them."""
    return {join(item.path, part.partition("/")[0]) for part in item.parts if "/" in part}


def read(root: Path, item: Item) -> Facts:
    """Read one checkpoint; it never raises for what the file holds.

    Args:
        root: the ingested tree.
        item: what `recognise` returned for it.
    """
    return _with_warning(_compared(_read(root, item)))


def _compared(facts: Facts) -> Facts:
    """Return the facts without a fingerprint where no library loads the weights that have it."""
    checkpoint = facts.checkpoint
    if checkpoint is None or checkpoint.weights_fingerprint is None:
        return facts
    if checkpoint.status in ("readable", "recognised"):
        return facts
    return facts.but(checkpoint=checkpoint.but(weights_fingerprint=None, weights_doubt=_NOT_LOADED))


def _with_warning(facts: Facts) -> Facts:
    """Return the facts with a problem where loading the checkpoint would run foreign code."""
    checkpoint = facts.checkpoint
    if checkpoint is None or checkpoint.safety != "dangerous":
        return facts
    # What is called in a way that only an attack does need not be dangerous by its name.
    names = [name for name in checkpoint.globals if is_dangerous(name)] or checkpoint.globals
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    message = (
        f"Its pickle would run {', '.join(names[:_NAMED])}{more} when it is loaded: do not load "
        "it, or with `torch.load(..., weights_only=True)` alone, which refuses."
    )
    return replace(facts, problems=(*facts.problems, Problem("dangerous-pickle", message)))


def _read(root: Path, item: Item) -> Facts:
    if item.parts:
        facts = read_whole(root, item)
        if facts.checkpoint is not None:  # `torch.load` reads no folder
            facts = facts.but(checkpoint=facts.checkpoint.but(default_load=None))
        return facts
    try:
        source = open_inside(root, below(root, item.path))
    except LinkRefusedError as error:
        return Facts(problems=(Problem(error.code, str(error)),))
    except NotRegularFileError:
        return _not_a_file(root, item)
    except OSError as error:
        reason = f"it cannot be opened: {error.strerror or error}"
        checkpoint = Checkpoint("unknown", "unreadable", reason=reason)
        return Facts(checkpoint, problems=(Problem("unreadable-file", sentence(reason)),))
    with source:
        return read_file(source, item.path)


def _not_a_file(root: Path, item: Item) -> Facts:
    if (root / item.path).is_dir():
        if item.is_link:
            return Facts()  # the directory is told of where it lies
        message = "A directory has a checkpoint's name, and holds no kind of checkpoint known here."
        return Facts(problems=(Problem("directory-named-checkpoint", message),))
    reason = "a FIFO, socket or device stands there; it was not opened"
    # No checkpoint, so none that waits to be mended; the problem says what stands there.
    checkpoint = Checkpoint("unknown", "foreign", reason=reason)
    return Facts(checkpoint, problems=(Problem("not-a-file", sentence(reason)),))
