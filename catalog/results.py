"""What the methods of `Catalog` that change something return.

Apart from `catalog.api`, so that a command that reads does not make these classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from catalog.operation import Outcome


@dataclass(frozen=True, slots=True)
class LostTree:
    """A known tree, or a folder of one, where nothing is that was there."""

    path: str
    is_gone: bool
    """Whether the folder itself is gone; that of a disk that is not mounted is still there."""
    checkpoints: int
    """How many known checkpoints are missing for that."""


@dataclass(frozen=True, slots=True)
class ForeignTree:
    """A tree of another host at a path that was ingested here; nothing shows that both are one."""

    path: str
    host: str


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What one ingest did, and what stands in the catalog after it."""

    ingest_id: int
    seen: int
    """Files that a reader recognised."""
    read: int
    """Of these, opened: new, changed, or last read by an older reader."""
    unchanged: int
    """Of these, not opened again."""
    missing: int
    """Known files that were newly found gone."""
    problems: int
    """Problems that are open now, those of earlier ingests included."""
    checkpoints: int
    """All in the catalog, as are the counts that follow."""
    usable: int
    unchecked: int
    """Recognised, and their content is not read: neither usable nor unusable."""
    unusable: int
    not_a_model: int
    """Other data under the name of a checkpoint."""
    missing_checkpoints: int
    """Known checkpoints that are gone now."""
    left_out_checkpoints: int
    """Known checkpoints that are there and that `.catalogignore` or a setting leaves out now."""
    trashed_checkpoints: int
    """Known checkpoints that `catalog` moved to its trash."""
    migrated: int
    """Of the usable ones, those by a config that `catalog recover` wrote."""
    doubted: int
    """Of the usable ones, those whose config something speaks against."""
    newly_left_out: int
    """Files of which this ingest found that they are left out now."""
    lost: tuple[LostTree, ...]
    """The trees where nothing is that was there; nothing known of them is forgotten."""
    unread: dict[str, int]
    """Files that look like models and are not read, by their kind, the most first: compressed
    copies, part files, formats that are recognised alone; the query `unchecked` lists them."""
    elsewhere: tuple[ForeignTree, ...]
    """Trees of other hosts at the paths of trees that are new with this ingest."""
    linked: int
    """Checkpoints whose run is known; with those that follow these are all that are there, other
    data under a checkpoint's name left aside."""
    ambiguous: int
    unlinked: int
    seconds: float
    stages: dict[str, float]
    """Seconds by stage: known (what the catalog knows of the tree), scan, read (waiting for
    readers), write, mark (what is gone), gather (runs from what their files say), link, assess."""


def summary_of(
    done: Outcome, standing: Mapping[str, Any], unread: Mapping[str, int]
) -> IngestSummary:
    """Return the summary of an ingest.

    Args:
        done: what it did.
        standing: the row of the query `ingest-summary` after it.
        unread: the kinds and counts of the query `unchecked-kinds` after it.
    """
    counts = done.counts
    return IngestSummary(
        ingest_id=done.ingest_id,
        seen=counts.seen,
        read=counts.read,
        unchanged=counts.unchanged,
        missing=counts.missing,
        newly_left_out=counts.left_out,
        lost=tuple(counts.lost),
        unread=dict(unread),
        elsewhere=tuple(counts.elsewhere),
        **standing,
        seconds=done.seconds,
        stages=done.stages,
    )


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """What an upgrade found and did."""

    found: str | None
    head: str
    pending: tuple[str, ...]
    copy: Path | None
    """The copy made before; None where nothing was pending."""
