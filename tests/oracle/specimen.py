"""What is in the zoo, as its manifest lists it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "zoo.json"

DAMAGES: Final = (
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
"""Columns of the table. The zoo has a specimen, or a reason, for each format and each of them."""


@dataclass(frozen=True)
class Specimen:
    """One model of the zoo: a file, or a folder whose parts belong together."""

    path: str
    """Relative to the zoo, `/` between parts."""
    format: str
    """Row of the table, e.g. `torch-zip`."""
    damage: str
    """Column of the table, one of `DAMAGES`."""
    judge: str
    """Whose verdict counts: the name of a function in `verdicts.py`."""
    note: str = ""
    """What is special about it, a few words."""
    is_model: bool = True
    """Whether a model's weights are in it: a library loads an optimizer's state as well."""
    is_told_by_code: bool = False
    """Whether only the model's own code knows that a tensor is missing: no file says so."""


@dataclass(frozen=True)
class EmptyCell:
    """A cell of the table that no specimen is in."""

    format: str
    damage: str
    """One of `DAMAGES`, or `all`."""
    reason: str


def write_manifest(folder: Path, specimens: list[Specimen], empty: list[EmptyCell]) -> None:
    """Write the list of specimens and of empty cells into the zoo's folder."""
    content = {
        "specimens": [asdict(specimen) for specimen in specimens],
        "empty": [asdict(cell) for cell in empty],
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")


def read_manifest(folder: Path) -> tuple[Specimen, ...]:
    """Return the specimens of a zoo."""
    content: Any = json.loads((folder / MANIFEST).read_text())
    return tuple(Specimen(**fields) for fields in content["specimens"])


def empty_cells(folder: Path) -> tuple[EmptyCell, ...]:
    """Return the cells that no specimen is in, with the reasons."""
    content: Any = json.loads((folder / MANIFEST).read_text())
    return tuple(EmptyCell(**fields) for fields in content["empty"])
