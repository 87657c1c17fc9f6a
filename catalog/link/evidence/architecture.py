"""Evidence from the tensors' shapes: a run that built a layer of another size did not write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.link.evidence.observation import Observation
from catalog.sources.weights import contradiction, names_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import Flat, RunFolder, Subject

OTHER_SIZE = -4.0
"""Against a run whose config builds a layer of another size. No more, for code may change a value
after it was logged: a run that recorded the file's own score stays its run, and `recover` says that
its config contradicts the weights."""


def architecture(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Sizes that the run's config names for certain, against the shapes in the checkpoint.

    Only what `catalog.sources.weights` can tell: layers of `torch.nn` that Hydra builds, and word
    embeddings of Hugging Face's models. Sizes that agree say nothing: runs of a project share them.
    """
    number = subject.architecture_id
    if number is None or not folder.config:
        return
    config_id, file_id = folder.config[0]
    pair = (config_id, number)
    if pair not in context.contradictions:
        document = _sized(config_id, context)
        context.contradictions[pair] = (
            contradiction(document, context.shapes(number)) if document else ""
        )
    wrong = context.contradictions[pair]
    if wrong:
        yield Observation(
            "architecture-differs", OTHER_SIZE, f"Of the run's config, {wrong}", file_id
        )


def has_sizes(subject: Subject, folder: RunFolder, context: Context) -> bool:
    """Tell whether both sides state sizes: the checkpoint's tensors, the run's config."""
    return (
        subject.architecture_id is not None
        and bool(folder.config)
        and bool(_sized(folder.config[0][0], context))
    )


def _sized(config_id: int, context: Context) -> dict[str, Any]:
    document = context.sized.get(config_id)
    if document is None:
        document = context.sized[config_id] = _with_sizes(context.configs.flat(config_id))
    return document


def _with_sizes(flat: Flat) -> dict[str, Any]:
    """Return a config as a document, empty where no size in it can be compared."""
    if "model_type" not in flat and not any(key.endswith("_target_") for key in flat):
        return {}  # most of them
    document: dict[str, Any] = {}
    for key, value in flat.items():
        *above, name = key.split(".")
        node = document
        for part in above:
            child = node.setdefault(part, {})
            node = child if isinstance(child, dict) else {}
        is_whole = value.type == "int" and value.number is not None
        node[name] = int(value.number or 0) if is_whole else value.text
    return document if names_sizes(document) else {}
