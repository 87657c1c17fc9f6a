"""Which framework wrote a checkpoint, and where it keeps epoch, step and hyper-parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint import lightning
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH_KEYS: Final = ("epoch", "current_epoch")
_STEP_KEYS: Final = (
    "global_step", "global_steps", "step", "iteration", "iter", "iter_num", "num_updates",
    "num_timesteps",
)  # fmt: skip
_HYPER_PARAMETER_KEYS: Final = (
    "hyper_parameters", "hparams", "hyperparameters", "train_args", "config", "cfg", "args", "opt",
    "model_args", "training_args",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Training:
    """What a checkpoint's root says of the training, in the stand-ins of its pickle."""

    framework: str | None = None
    """None where no key tells."""
    version: str | None = None
    epoch: int | None = None
    global_step: int | None = None
    hyper_parameters: object = None


def training_of(root: dict[Any, Any], number: Callable[[object], float | None]) -> Training:
    """Recognise the framework by its keys.

    Args:
        root: the checkpoint's root.
        number: gives the number in a value of the checkpoint.
    """

    def whole(*places: object) -> int | None:
        for place in places:
            found = None if place is None else number(place)
            if found is not None and found.is_integer() and 0 <= found < 1 << 63:
                return int(found)
        return None

    def first(keys: tuple[str, ...]) -> object:
        return next((root[key] for key in keys if root.get(key) is not None), None)

    epoch = whole(*map(root.get, _EPOCH_KEYS))
    step = whole(*map(root.get, _STEP_KEYS))
    if lightning.is_lightning(root):
        version = _text(root[lightning.VERSION_KEY])
        # Before 1.0 Lightning wrote them under `hparams`.
        hyper_parameters = first(("hyper_parameters", "hparams"))
        return Training("lightning", version, epoch, step, hyper_parameters)

    hyper_parameters = first(_HYPER_PARAMETER_KEYS)
    meta, extra = _mapping(root.get("meta")), _mapping(root.get("extra_state"))
    if "train_args" in root and ("train_metrics" in root or "date" in root):
        return Training(
            "ultralytics", _text(root.get("version")), epoch, step, root.get("train_args")
        )
    if meta and ("mmengine_version" in meta or "mmcv_version" in meta):
        version = _text(meta.get("mmengine_version")) or _text(meta.get("mmcv_version"))
        epoch, step = whole(meta.get("epoch")), whole(meta.get("iter"))
        return Training("openmmlab", version, epoch, step, meta)
    if "optimizer_history" in root:
        history = root["optimizer_history"]
        last = _mapping(history[-1]) if isinstance(history, list) and history else {}
        position = _mapping(extra.get("train_iterator"))
        hyper_parameters = first(("cfg", "args"))
        epoch, step = whole(position.get("epoch")), whole(last.get("num_updates"))
        return Training("fairseq", None, epoch, step, hyper_parameters)
    if "ds_version" in root:
        return Training("deepspeed", _text(root["ds_version"]), epoch, step, hyper_parameters)
    if "arch" in root and "args" in root and "metric" in root:
        return Training("timm", None, epoch, step, root["args"])
    return Training(None, None, epoch, step, hyper_parameters)


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return clean(value[:100]) if isinstance(value, str) else None
