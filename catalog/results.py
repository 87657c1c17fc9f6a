"""What the methods of `Catalog` that change something return.

Apart from `catalog.api`, so that a command that reads does not make these classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What one ingest did, and what stands in the catalog after it."""

    ingest_id: int
    seen: int
    read: int
    unchanged: int
    missing: int
    problems: int
    checkpoints: int
    usable: int
    unusable: int
    missing_checkpoints: int
    """Known checkpoints that are gone now; `missing` counts files that were newly found gone."""
    linked: int
    ambiguous: int
    unlinked: int
    seconds: float
    stages: dict[str, float]
    """Seconds by stage: known (what the catalog knows of the tree), scan, read (waiting for
    readers), write, mark (what is gone), gather (runs from what their files say), link, assess."""


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """What an upgrade found and did."""

    found: str | None
    head: str
    pending: tuple[str, ...]
    copy: Path | None
    """The copy made before; None where nothing was pending."""
