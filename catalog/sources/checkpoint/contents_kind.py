"""Whether what a torch file holds is a model, and what else it is.

A model is weights under a key that tells it (`state_dict`, `model`), a pickled module, or tensors
with names as modules give them. Where it cannot be told, it is said so: such a file is recognised,
and nothing is claimed of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.inert import Call, TensorStub
from catalog.sources.checkpoint.training_state import is_optimizer
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from catalog.sources.checkpoint.weights import Weights
    from catalog.sources.facts import CheckpointStatus

_OF_A_MODULE: Final = re.compile(
    r"\.|(?:^|_)(?:weights?|bias|kernel|scale|gamma|beta|alpha|running_\w+|lora_\w+|"
    r"[a-z]*embed\w*)(?:$|_)|^[wb]\d*$",
    re.IGNORECASE,
)
"""Names that modules give to parameters: dotted, or those that `torch.nn` and people use."""
_OF_DATA: Final = frozenset(
    {
        "data", "dataset", "datasets", "x", "y", "xs", "ys", "train", "val", "valid", "validation",
        "test", "dev", "features", "feature", "label", "labels", "target", "targets", "input",
        "inputs", "output", "outputs", "input_ids", "attention_mask", "token_type_ids",
        "position_ids", "image", "images", "img", "imgs", "mask", "masks", "index", "indices",
        "idx", "ids", "tokens", "text", "texts", "sentences", "embeddings", "samples", "batch",
        "batches", "mean", "std", "min", "max", "lengths", "length", "classes", "x_train",
        "y_train", "x_test", "y_test", "x_val", "y_val", "train_data", "test_data", "val_data",
    }
)  # fmt: skip
"""Names of tensors that are data wherever all tensors of a file have such."""


def kind_of(root: object, weights: Weights) -> tuple[CheckpointStatus, str | None]:
    """Return `readable` for a model, else another status and the reason.

    Args:
        root: the root of the pickle, in stand-ins.
        weights: what is known of its weights.
    """
    model = weights.model
    if not weights.has_any:
        return "foreign", _without_weights(root)
    if type(root) is TensorStub:
        return "foreign", "it holds a single tensor and no model"
    if not model.stubs:
        if type(root) is dict and _HOLDING_A_MODEL.intersection(
            key for key in root if type(key) is str
        ):
            return "readable", None
        return (
            "recognised",
            f"it holds numbers in {_shown(root)}; whether it is a model is not known",
        )
    if model.placeholder_count + model.empty_count == len(model.stubs) and not _is_deepspeed(root):
        reason = f"all of its {len(model.stubs):,} tensors are placeholders without numbers"
        return "truncated", reason
    if not model.is_root:
        return "readable", None
    names = [stub.name for stub in model.stubs]
    if any(map(_OF_A_MODULE.search, names)) and not _OF_DATA.issuperset(map(str.lower, names)):
        return "readable", None
    shown = ", ".join(clean(name)[:40] for name in names[:3])
    if _OF_DATA.issuperset(name.lower() for name in names):
        return "foreign", f"it holds data ({shown}) and no model"
    return "recognised", f"its tensors ({shown}) are not named like a model's; that is not known"


def _is_deepspeed(root: object) -> bool:
    """Say whether other files of the folder hold the numbers: `formats/deepspeed.py` looks."""
    return type(root) is dict and "ds_version" in root


_HOLDING_A_MODEL: Final = frozenset(
    {
        "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network",
        "weights",
    }
)  # fmt: skip
"""Keys that tell of a model, in whatever form its weights are."""


def _without_weights(root: object) -> str:
    if is_optimizer(root) or (type(root) is dict and any(map(_names_an_optimizer, root.items()))):
        return "it holds the state of an optimizer and no model"
    if type(root) is dict and "state_dict" in root:
        return "its state_dict holds no tensor"
    return f"it holds {_shown(root)} and no weights"


def _names_an_optimizer(item: tuple[object, object]) -> bool:
    key, value = item
    return (type(key) is str and "optim" in key.lower() and bool(value)) or is_optimizer(value)


def _shown(root: object) -> str:
    if type(root) is Call:
        return f"an object of the class {clean(root.class_name or 'unknown')[:100]}"
    return {
        dict: "a mapping", list: "a list", tuple: "a tuple", str: "a text", bytes: "bytes",
        int: "a number", float: "a number",
    }.get(type(root), "a value")  # fmt: skip
