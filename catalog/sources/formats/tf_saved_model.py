"""TensorFlow's SavedModel: the folder of `saved_model.pb`, with its variables in `variables/`.

The variables are a checkpoint of TensorFlow of their own
(<https://www.tensorflow.org/guide/saved_model>).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of, folders_of
from catalog.sources.formats.parts import failed
from catalog.sources.formats.tf_checkpoint import missing_shards
from catalog.sources.paths import split

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Entry, Item, Listing

NAME: Final = "tf-saved-model"

_MODEL: Final = "saved_model.pb"
_BESIDE: Final = frozenset({_MODEL, "keras_metadata.pb", "fingerprint.pb"})
_BELOW: Final = ("variables", "assets", "assets.extra")
_MAX_GRAPH: Final = 12 * 1024 * 1024
_BEGINS: Final = b"\x08\x01\x12"
"""`saved_model_schema_version` is 1, and `meta_graphs` follow (`saved_model.proto`)."""
_VARIABLES: Final = (b"VarHandleOp", b"VariableV2", b"VarIsInitializedOp")
"""Operations without which no graph has variables."""


def _find(listing: Listing) -> list[Whole]:
    files = files_of(listing)
    if _MODEL in files:
        parts: dict[str, Entry] = {name: files[name] for name in sorted(_BESIDE & files.keys())}
        for name in folders_of(listing):
            if name in _BELOW:
                parts |= files_below(listing, name)
        return [Whole(parts)]
    return []


def _read(root: Path, item: Item) -> Facts:
    variables = [part for part in item.parts if split(part)[0] == "variables"]
    lost = None
    if "variables/variables.index" in variables:
        lost = missing_shards(name for name in variables if name.startswith("variables/variables."))
    elif variables or _has_variables(root, item):
        lost = "its variables/variables.index is missing"
    if lost is not None:
        return failed(NAME, "truncated", lost, "missing-shards", "tensorflow")
    reason = "a TensorFlow SavedModel; its content is not read"
    return Facts(Checkpoint(NAME, "recognised", reason, "tensorflow"))


def _has_variables(root: Path, item: Item) -> bool:
    """Say whether a graph may have variables: only one that was read, and names none, has none."""
    with open_inside(root, f"{root}/{item.path}/{_MODEL}") as source:
        graph = source.read_at(0, _MAX_GRAPH + 1)
    if not graph.startswith(_BEGINS) or len(graph) > _MAX_GRAPH:
        return True
    return any(operation in graph for operation in _VARIABLES)


FOLDER: Final = FolderFormat(NAME, _find, _read, signs=(".pb",), precedence=70)
