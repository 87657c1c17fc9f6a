"""One file, read by what its first bytes say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import signatures
from catalog.sources.checkpoint.archives import read_archive
from catalog.sources.checkpoint.default_load import by_name, by_status
from catalog.sources.checkpoint.torch_legacy import read_pickles
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.formats import registry
from catalog.sources.paths import split
from catalog.sources.plain import sentence

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.formats.format import Format

_NOTHING: Final = ("foreign", "empty", "pointer")
"""Status of what holds no model."""


def read_file(source: ByteSource, own_path: str) -> Facts:
    """Read one checkpoint file; it never raises for what the file holds.

    Args:
        source: the file.
        own_path: its path, to find it among the paths that it names.
    """
    name = split(own_path)[1].lower()
    facts = _read(source, own_path, name)
    checkpoint = facts.checkpoint
    if checkpoint is not None and checkpoint.status in _NOTHING and registry.is_tentative(name):
        return Facts()  # data under a name that data has
    if checkpoint is None:
        return facts
    return replace(facts, checkpoint=by_name(by_status(checkpoint), name))


def _read(source: ByteSource, own_path: str, name: str) -> Facts:
    head = source.fetch(0, signatures.HEAD)
    kind = signatures.kind_of(head, source.size)
    strict = registry.strict_format_of(name)
    if kind not in ("empty", "pointer"):
        for each in registry.formats_named(name):
            facts = each.read_named(source, own_path) if each.read_named is not None else None
            if facts is not None:
                return _told(facts if strict in (None, each) else _refused(facts, strict))
    if kind == "zip":
        facts = read_archive(source, own_path)
        checkpoint = facts.checkpoint
        if strict is not None and strict.read_archive is not None:
            is_own = checkpoint is not None and checkpoint.format == strict.name
            strict = None if is_own else strict
        return _told(_refused(facts, strict))
    if kind == "empty":
        return _told(Facts(signatures.empty()))
    if kind == "pointer":
        return _told(Facts(signatures.pointer(source)))
    found = registry.format_of(head, source.size)
    if found is not None and found.read is not None:
        facts = found.read(source, own_path)
        return _told(facts if strict in (None, found) else _refused(facts, strict))
    if kind == "pickle":
        return _told(_refused(read_pickles(source, own_path), strict))
    return _told(Facts(signatures.foreign(source)))


def _refused(facts: Facts, strict: Format | None) -> Facts:
    """Return the facts of another format's content, which the loader of the name refuses.

    Args:
        facts: of the content.
        strict: the format of the name, None where any content is taken under it.
    """
    checkpoint = facts.checkpoint
    if strict is None or checkpoint is None:
        return facts
    if checkpoint.status not in ("readable", "recognised"):
        return facts
    reason = f"it is a file of the format {checkpoint.format} under the name of {strict.name}"
    problem = Problem("unreadable-checkpoint", sentence(f"{reason}, and is refused so"))
    checkpoint = checkpoint.but(status="unreadable", reason=reason)
    return facts.but(checkpoint=checkpoint, problems=(*facts.problems, problem))


def _told(facts: Facts) -> Facts:
    """Return the facts with a problem for every status that somebody should mend."""
    checkpoint: Checkpoint | None = facts.checkpoint
    if checkpoint is None or checkpoint.status in ("readable", "recognised") or facts.problems:
        return facts
    code = {
        "truncated": "truncated-checkpoint",
        "empty": "empty-file",
        "pointer": "git-lfs-pointer",
        "foreign": "foreign-content",
    }.get(checkpoint.status, "unreadable-checkpoint")
    problem = Problem(code, sentence(checkpoint.reason or checkpoint.status))
    return Facts(checkpoint, mentions=facts.mentions, problems=(problem,))
