"""What recovery writes: the sidecar in the shape that inference wants, and where it came from.

Nothing here touches a database, so that the callbacks in `catalog.integrations` use it as well.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from catalog.settings import Settings

SHAPES = ("sections", "bare", "whole")
PLACES = ("beside", "inside")
PROVENANCE_SUFFIX = ".provenance.json"
PROVENANCE_KEY = "_provenance"
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """How sidecars look, from the settings."""

    sections: tuple[str, ...]
    shape: str
    provenance: str
    suffix: str

    @classmethod
    def of(cls, settings: Settings) -> Shape:
        """Return the shape that the settings ask for.

        Raises:
            UsageError: they contradict each other.
        """
        shape, provenance = settings.sidecar_shape, settings.provenance
        if shape not in SHAPES:
            raise UsageError(f"--set sidecar_shape={shape}: it takes {', '.join(SHAPES)}.")
        if provenance not in PLACES:
            raise UsageError(f"--set provenance={provenance}: it takes {', '.join(PLACES)}.")
        if shape == "bare" and len(settings.config_sections) != 1:
            raise UsageError(
                "sidecar_shape=bare writes one section alone, and config_sections names "
                f"{len(settings.config_sections)}: use sidecar_shape=sections."
            )
        if shape == "bare" and provenance == "inside":
            raise UsageError(
                "sidecar_shape=bare leaves no place for provenance inside the sidecar: "
                "use provenance=beside."
            )
        if not settings.sidecar_suffixes:
            raise UsageError("sidecar_suffixes is empty: name at least one ending to write.")
        return cls(settings.config_sections, shape, provenance, settings.sidecar_suffixes[0])

    def sidecar(self, document: Mapping[str, Any], provenance: Mapping[str, Any] | None) -> bytes:
        """Return the bytes of a sidecar.

        Args:
            document: holds all the sections.
            provenance: where it came from, to stand inside; None to leave it out.
        """
        if self.shape == "bare":
            body = dict(document[self.sections[0]])
        elif self.shape == "whole":
            body = dict(document)
        else:
            body = {name: document[name] for name in self.sections}
        if provenance is not None:
            body[PROVENANCE_KEY] = dict(provenance)
        if self.suffix.endswith((".yaml", ".yml")):
            import yaml

            # JSON would do for YAML 1.2, but 1.1 readers take its `1e-05` for text.
            return bytes(
                yaml.safe_dump(body, sort_keys=False, allow_unicode=True, encoding="utf-8")
            )
        return json_bytes(body)


def holder_of(document: Mapping[str, Any], sections: Sequence[str]) -> Mapping[str, Any]:
    """Return the mapping with the sections: the document, or its only part that has them all.

    Lightning's `save_hyperparameters()` keeps the argument's name: `{"cfg": {"model": ...}}`.
    """
    if all(name in document for name in sections):
        return document
    inside = [
        part
        for part in document.values()
        if isinstance(part, dict) and all(name in part for name in sections)
    ]
    return inside[0] if len(inside) == 1 else document


def json_bytes(value: Any) -> bytes:
    """Return a JSON document as it is written to disk."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(
        "utf-8", "surrogateescape"
    )


def sha256(content: bytes) -> str:
    """Return the digest of bytes, as the journal keeps it."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(path: Path) -> str | None:
    """Return the digest of a file without ever holding it whole; None if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
