"""What a test asks of a link: verdict, run, and the evidence that decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog import Catalog
from catalog.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def traced(tmp_path: Path, part: str, **settings: Any) -> tuple[str, str | None, dict[str, float]]:
    """Return verdict and run of a checkpoint, and the evidence of the first candidate.

    Args:
        tmp_path: holds `tree`, which is ingested into `catalog.db` beside it.
        part: of the checkpoint's path.
        settings: where they differ from the defaults.
    """
    catalog = Catalog(tmp_path / "catalog.db", Settings.of(settings), host="here")
    catalog.ingest([tmp_path / "tree"])
    found = catalog.trace(part)
    first = found.candidates[0]["evidence"] if found.candidates else []
    kinds = {piece["kind"]: piece["weight"] for piece in first}
    return found.checkpoint["verdict"], found.checkpoint["run"], kinds
