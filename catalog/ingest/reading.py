"""Read items, here or in worker processes, and bring what they say into the form that is written.

Sums and canonical texts are made where a file is read, and a list of tensors travels as one
text: sending ten thousand small objects to another process takes longer than making them.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from catalog.schema.canonical import canonical, digest
from catalog.sources import registry
from catalog.sources.facts import Facts, Item, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from catalog.sources.facts import Plain, Tensor

log = logging.getLogger(__name__)


class Document(NamedTuple):
    """A content with the name that it is stored once under."""

    sha256: str
    text: str
    """Canonical JSON."""


class Reading(NamedTuple):
    """What one item says, and which version of its reader heard it."""

    facts: Facts
    """Without the tensors of a checkpoint: they are in `architecture`."""
    reader_version: int
    failed: bool = False
    """The file could not be read: what it said before stands, and the next ingest tries again."""
    architecture: Document | None = None
    """[name, dtype, shape, shares] of each tensor."""
    hyper_parameters: Document | None = None
    statements: Document | None = None
    globals: Document | None = None
    """The names of all globals, a sorted list."""
    configs: tuple[tuple[Document, ...], ...] = ()
    """Of the facts and then of each of their parts: the documents of their configs, in order."""


def read_items(root: Path, items: Sequence[Item]) -> list[Reading]:
    """Read some items below `root`; it never raises for what a file holds."""
    return [read_item(root, item) for item in items]


def read_item(root: Path, item: Item) -> Reading:
    """Read one item; what goes wrong becomes a problem in its facts."""
    version = registry.readers()[item.reader].VERSION
    try:
        return _prepared(registry.read(root, item), version)
    except OSError as error:
        problem = Problem(
            "unreadable-file",
            f"The file cannot be read ({error.strerror or type(error).__name__}); "
            "check its permissions and its disk, then ingest again.",
        )
    except Exception as error:
        log.debug("reader %s failed on %s", item.reader, item.path, exc_info=True)
        problem = Problem(
            "reader-failed",
            f"The reader {item.reader} failed on this file ({type(error).__name__}: {error}). "
            "This is a fault of catalog: please report it with the file.",
        )
    return failed(problem, version)


def failed(problem: Problem, version: int) -> Reading:
    """Return the reading of a file that told nothing but a problem."""
    return Reading(Facts(problems=(problem,)), version, failed=True)


def _prepared(facts: Facts, version: int) -> Reading:
    architecture = hyper_parameters = statements = names = None
    checkpoint = facts.checkpoint
    if checkpoint is not None:
        if checkpoint.statements:
            statements = _document(checkpoint.statements)
        if checkpoint.every_global:
            names = _names(checkpoint.every_global)
        if checkpoint.hyper_parameters:
            hyper_parameters = _document(checkpoint.hyper_parameters)
        if checkpoint.tensors:
            if not checkpoint.has_other_weights:  # else two models that differ would be one
                architecture = _architecture(checkpoint.tensors)
            facts = facts.but(checkpoint=checkpoint.but(tensors=()))
    configs = tuple(
        tuple(_document(config.document) for config in part.configs)
        for part in (facts, *facts.parts)
    )
    return Reading(
        facts,
        version,
        architecture=architecture,
        hyper_parameters=hyper_parameters,
        statements=statements,
        globals=names,
        configs=configs,
    )


_known: dict[int, tuple[tuple[Tensor, ...], Document]] = {}
"""By the identity of the tensors, which are held with it: a reader gives the very same object for
checkpoints of one model."""
_MOST_KNOWN = 16
_LONGEST = 2 * 1024 * 1024
"""Characters of a text that is kept: some 20,000 tensors."""


def _architecture(tensors: tuple[Tensor, ...]) -> Document:
    known = _known.get(id(tensors))
    if known is not None:
        return known[1]
    made = _document([[one.name, one.dtype, list(one.shape), one.shares] for one in tensors])
    if len(made.text) <= _LONGEST:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[id(tensors)] = (tensors, made)
    return made


@lru_cache(maxsize=256)
def _names(names: tuple[str, ...]) -> Document:
    """Return the list of a pickle's globals: checkpoints of one training name the same."""
    return _document(list(names))


def _document(content: Plain) -> Document:
    text = canonical(content)
    return Document(digest(text), text)
