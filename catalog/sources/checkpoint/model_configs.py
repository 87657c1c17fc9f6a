"""The configs that Hugging Face libraries build a model from, and which of them they refuse.

transformers tells the model by `model_type`, or by code that `auto_map` names
(`models/auto/configuration_auto.py`, 5.24), PEFT by `peft_type` (`peft/config.py`, 0.21). A config
of another library has neither: diffusers' has `_class_name`, timm's `architecture` or
`pretrained_cfg`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from catalog.sources.checkpoint.weight_files import ModelFolder
    from catalog.sources.facts import CheckpointStatus, Plain

CONFIG: Final = "config.json"
ADAPTER_CONFIG: Final = "adapter_config.json"
_OF_OTHERS: Final = ("_class_name", "architecture", "pretrained_cfg")


class Verdict(NamedTuple):
    """What a config makes of a folder whose weights are whole."""

    status: CheckpointStatus
    reason: str
    """Without capital and full stop."""


def of_model(folder: ModelFolder) -> Verdict | None:
    """Return what is wrong with the config of a model, None where a library takes it.

    Trainer and accelerate save the weights of a plain module without one, so what lacks it is not
    said to be damaged.
    """
    if CONFIG not in folder.parts:
        reason = "it has no config.json: transformers refuses it, and a plain module needs its code"
        return Verdict("recognised", reason)
    config = folder.mapping(CONFIG)
    if config is None:
        return _unread(folder, CONFIG)
    if isinstance(config.get("model_type"), str) or _has_code(config.get("auto_map")):
        return None
    if any(config.get(key) for key in _OF_OTHERS):
        return None
    reason = "its config.json has no model_type, by which transformers tells what model it is"
    return Verdict("recognised", reason)


def of_adapter(folder: ModelFolder) -> Verdict | None:
    """Return what is wrong with the config of an adapter, None where PEFT takes it."""
    if ADAPTER_CONFIG not in folder.parts:
        return Verdict("truncated", "its adapter_config.json is missing, which PEFT reads first")
    config = folder.mapping(ADAPTER_CONFIG)
    if config is None:
        return _unread(folder, ADAPTER_CONFIG)
    if isinstance(config.get("peft_type"), str):
        return None
    return Verdict("unreadable", "its adapter_config.json has no peft_type, PEFT refuses it so")


def of_component(folder: ModelFolder, name: str) -> Verdict | None:
    """Return what is wrong with the config of a pipeline's component, whose class is known.

    Args:
        folder: of the component.
        name: of the config.
    """
    if name not in folder.parts:
        return Verdict("truncated", f"{name} is missing")
    return _unread(folder, name) if folder.mapping(name) is None else None


def _unread(folder: ModelFolder, name: str) -> Verdict:
    if any(one.code == "too-large" and one.message.startswith(name) for one in folder.problems):
        return Verdict("recognised", f"its {name} is too large to be read")
    return Verdict("unreadable", f"its {name} is no JSON object, from which the model is built")


def _has_code(auto_map: Plain) -> bool:
    return isinstance(auto_map, dict) and bool(auto_map.get("AutoConfig"))
