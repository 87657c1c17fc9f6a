"""What is in the zoo, as its manifest lists it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MANIFEST = "zoo.json"


@dataclass(frozen=True)
class Specimen:
    """One model of the zoo: a file, or a folder whose parts belong together."""

    path: str
    """Relative to the zoo, `/` between parts."""
    format: str
    """Row of the table, e.g. `torch-zip`."""
    damage: str
    """Column of the table: see `DAMAGES`."""
    judge: str
    """Which library's verdict counts: the name of a function in `verdicts.py` (`torch`, ...)."""
    note: str = ""
    """What is special about it, a few words."""
    family: str = ""
    """Specimens of one family are compared with each other for equality."""


DAMAGES = (
    "whole",
    "cut near the start",
    "cut in the middle",
    "cut by a byte",
    "bit flipped in data",
    "bit flipped in structure",
    "part missing",
    "wrong type",
    "other writer",
)


def write_manifest(folder: Path, specimens: list[Specimen], empty: list[dict[str, str]]) -> None:
    """Write the list of specimens, and of cells that have none with the reason."""
    content = {"specimens": [asdict(specimen) for specimen in specimens], "empty": empty}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")


def read_manifest(folder: Path) -> tuple[Specimen, ...]:
    """Return the specimens of a zoo."""
    content: Any = json.loads((folder / MANIFEST).read_text())
    return tuple(Specimen(**fields) for fields in content["specimens"])
