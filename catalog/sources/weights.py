"""What a config says of sizes against the shapes of the tensors, where that can be told for sure.

Two cases are certain. A Hydra node whose `_target_` is a layer of `torch.nn`, and whose place in
the config is the layer's place in the state dict, names that layer's sizes by torch's own argument
names. And a Hugging Face config of a listed `model_type` names the shape of the word embeddings
(`vocab_size` by `hidden_size`; the models' own `nn.Embedding(config.vocab_size,
config.hidden_size)`). Anything else, such as a bare `hidden: 8`, is left alone: code may use it as
it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Shapes = Mapping[str, tuple[int, ...]]

_CONVOLUTION = (("out_channels", 0), ("in_channels", 1))
_LAYERS = {
    "Linear": (("out_features", 0), ("in_features", 1)),
    "Conv1d": _CONVOLUTION,
    "Conv2d": _CONVOLUTION,
    "Conv3d": _CONVOLUTION,
    "Embedding": (("num_embeddings", 0), ("embedding_dim", 1)),
}
"""Argument of a layer of `torch.nn`, and the axis of its `weight` that has this size."""
_WORD_EMBEDDINGS = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "camembert", "layoutlm"),
        "embeddings.word_embeddings.weight",
    ),
    **dict.fromkeys(("llama", "mistral", "qwen2", "gemma"), "embed_tokens.weight"),
}
_MODULES = ("torch.nn.", "torch.nn.modules.")
_MAX_NODES = 10_000


def names_sizes(document: dict[str, Any]) -> bool:
    """Say whether a config can be compared with tensors at all; most cannot."""
    if document.get("model_type") in _WORD_EMBEDDINGS:
        return True
    return any(_layer_kind(node) for _, node in _nodes(document))


def contradiction(document: dict[str, Any], shapes: Shapes) -> str:
    """Return a sentence on the first size that the tensors disprove; empty if there is none.

    Args:
        document: a config, or sections of one.
        shapes: of the checkpoint's tensors, by name.
    """
    for key, value, tensor, axis in _sizes(document, shapes):
        shape = shapes[tensor]
        if axis < len(shape) and shape[axis] != value:
            shown = " by ".join(map(str, shape))
            return f"it says {key} is {value}, but the tensor {tensor} is {shown}."
    return ""


def _sizes(document: dict[str, Any], shapes: Shapes) -> Iterator[tuple[str, int, str, int]]:
    """Yield (key, size, tensor, axis) for all sizes that can be compared."""
    if not shapes:
        return
    ending = _WORD_EMBEDDINGS.get(str(document.get("model_type")))
    tensor = _only(shapes, ending) if ending else None
    if tensor is not None:
        for name, axis in (("vocab_size", 0), ("hidden_size", 1)):
            if _is_size(document.get(name)):
                yield name, document[name], tensor, axis
    for place, node in _nodes(document):
        yield from _layer(place, node, shapes)


def _nodes(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    pending: list[tuple[tuple[str, ...], dict[str, Any]]] = [((), document)]
    for _ in range(_MAX_NODES):
        if not pending:
            return
        place, node = pending.pop()
        yield place, node
        pending.extend(
            ((*place, key), part) for key, part in node.items() if isinstance(part, dict)
        )


def _layer_kind(node: dict[str, Any]) -> str:
    """Return the name of the layer of `torch.nn` that a Hydra node makes; empty for another."""
    target = node.get("_target_")
    if not isinstance(target, str) or not target.startswith(_MODULES):
        return ""
    kind = target.rpartition(".")[2]
    return kind if kind in _LAYERS else ""


def _layer(
    place: tuple[str, ...], node: dict[str, Any], shapes: Shapes
) -> Iterator[tuple[str, int, str, int]]:
    kind = _layer_kind(node)
    # Below a section: `model.head` is the layer `head` of the model.
    if not kind or len(place) < 2:
        return
    tensor = _only(shapes, f"{'.'.join(place[1:])}.weight")
    if tensor is None:
        return
    for name, axis in _LAYERS[kind]:
        grouped = name == "in_channels" and node.get("groups", 1) != 1
        if _is_size(node.get(name)) and not grouped:
            yield ".".join((*place, name)), node[name], tensor, axis


def _only(shapes: Shapes, ending: str) -> str | None:
    """Return the tensor of that name, whatever stands before it, if there is exactly one."""
    found = [name for name in shapes if name == ending or name.endswith(f".{ending}")]
    return found[0] if len(found) == 1 else None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
