"""TorchServe model archives: a zip with `MAR-INF/MANIFEST.json`.

Format: `model-archiver/model_archiver/manifest_components/` of TorchServe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.documents import parse_json
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.plain import DocumentError
from catalog.sources.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory

_MANIFEST: Final = "MAR-INF/MANIFEST.json"


def _contains(names: Collection[str], _top: str) -> bool:
    return _MANIFEST in names


def _read(source: ByteSource, directory: ZipDirectory, _own_path: str) -> Facts:
    """Describe a model archive by its manifest."""
    from catalog.sources.checkpoint.archives import small_entry

    try:
        manifest = parse_json(small_entry(source, directory, _MANIFEST))
    except DocumentError:
        manifest = None
    model = manifest.get("model") if isinstance(manifest, dict) else None
    statements = redact({"model": model})[0] if isinstance(model, dict) else None
    checkpoint = Checkpoint(
        "mar",
        "recognised",
        "a TorchServe archive; its content is not read",
        framework="torch",
        statements=statements,
        bytes_read=source.bytes_read,
    )
    return Facts(checkpoint)


FORMAT: Final = Format("mar", suffixes=(".mar",), contains=_contains, read_archive=_read)
