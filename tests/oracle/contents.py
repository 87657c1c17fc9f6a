"""What a library loaded, tensor by tensor: a digest of each, by its place in the whole.

Training state is left out as the issue's rule has it: optimizers, schedulers, scalers, random
states, loops, and the values of ModelCheckpoint and EarlyStopping. All else that is a tensor or an
array counts wherever it is, and bytes; numbers and texts where tensors are beside them.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any, Final

import numpy as np
import torch

_STATE_KEYS: Final = frozenset(
    {
        "optimizer_states",
        "lr_schedulers",
        "loops",
        "scheduler",
        "lr_scheduler",
        "scaler",
        "rng_state",
    }
)
_CALLBACKS: Final = ("ModelCheckpoint", "EarlyStopping")
_DEPTH: Final = 12


def digests(loaded: Any) -> dict[str, str]:
    """Return a digest of each weight by its place; equal models have equal results."""
    found: dict[str, str] = {}
    if isinstance(loaded, dict):
        with_tensors = [key for key, value in loaded.items() if _holds_tensors(value)]
        for key, value in loaded.items():
            if _is_training_state(key, value):
                continue
            if key == "callbacks" and isinstance(value, dict):
                value = {n: v for n, v in value.items() if not str(n).startswith(_CALLBACKS)}
            _walk(value, str(key), found, key in with_tensors and key != "hyper_parameters", 0)
    else:
        _walk(loaded, "", found, counts_plain=True, depth=0)
    return _without_common_key(found)


def _without_common_key(found: dict[str, str]) -> dict[str, str]:
    """Take away the one key that all of it is under: `state_dict` says nothing of the weights."""
    first = {name.split("/", 1)[0] for name in found}
    if len(first) == 1 and all("/" in name for name in found):
        return {name.split("/", 1)[1]: value for name, value in found.items()}
    return found


def _is_training_state(key: Any, value: Any) -> bool:
    if key in _STATE_KEYS:
        return True
    is_optimizer = isinstance(value, dict) and {"state", "param_groups"} <= value.keys()
    return key == "param_groups" or (is_optimizer and str(key).startswith("optim"))


def _holds_tensors(value: Any, depth: int = 0) -> bool:
    if isinstance(value, torch.Tensor | np.ndarray | torch.nn.Module):
        return True
    if depth > _DEPTH:
        return False
    if isinstance(value, dict):
        return any(_holds_tensors(one, depth + 1) for one in value.values())
    return isinstance(value, list | tuple) and any(_holds_tensors(one, depth + 1) for one in value)


def _walk(value: Any, place: str, found: dict[str, str], counts_plain: bool, depth: int) -> None:
    if depth > _DEPTH:
        return
    if isinstance(value, torch.Tensor):
        found[place] = _of_tensor(value)
    elif isinstance(value, torch.UntypedStorage | torch.TypedStorage):
        found[place] = _sum("storage", bytes(value.untyped()))
    elif isinstance(value, np.ndarray | np.generic) and (value.ndim or counts_plain):
        found[place] = _sum(f"array {value.dtype} {value.shape}", value.tobytes())
    elif isinstance(value, io.BytesIO):
        found[place] = _sum("bytes", value.getvalue())
    elif isinstance(value, dict):
        for key, one in value.items():
            _walk(one, f"{place}/{key}", found, counts_plain, depth + 1)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            _walk(one, f"{place}/{number}", found, counts_plain, depth + 1)
    elif isinstance(value, bytes | bytearray | str | int | float):
        if counts_plain or isinstance(value, bytes | bytearray):
            found[place] = _sum(type(value).__name__, repr(value).encode())
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        found[place] = _sum(
            "object", f"{type(value).__module__}.{type(value).__qualname__}".encode()
        )
        _walk(vars(value), place, found, counts_plain, depth + 1)


def _of_tensor(tensor: Any) -> str:
    kind = type(tensor)
    described = f"{kind.__module__}.{kind.__qualname__} {tensor.dtype} {tensor.layout}"
    described += f" {tuple(_shape(tensor))}"
    beside = {key: value for key, value in vars(tensor).items() if not key.startswith("_")}
    parts: dict[str, str] = {}
    _walk(beside, "", parts, counts_plain=True, depth=1)
    described += repr(sorted(parts.items()))
    if hasattr(tensor, "placements"):
        described += f" {tensor.placements}"
        return _sum(described, _raw(tensor.to_local()))
    if "payload" in beside:
        return _sum(described, b"")
    if tensor.is_quantized:
        described += f" {tensor.qscheme()}"
        if tensor.qscheme() == torch.per_tensor_affine:
            described += f" {tensor.q_scale()} {tensor.q_zero_point()}"
        else:
            described += f" {tensor.q_per_channel_scales().tolist()}"
            described += f" {tensor.q_per_channel_zero_points().tolist()}"
        return _sum(described, _raw(tensor.int_repr()))
    if tensor.is_nested:
        return _sum(
            described, b"".join(_raw(one) + repr(one.shape).encode() for one in tensor.unbind())
        )
    return _sum(described, b"".join(_raw(part) for part in _parts(tensor)))


def _shape(tensor: Any) -> Any:
    return () if tensor.is_nested else tensor.shape


def _parts(tensor: Any) -> list[Any]:
    if tensor.layout == torch.sparse_coo:
        tensor = tensor.coalesce()
        return [tensor.indices(), tensor.values()]
    if tensor.layout == torch.sparse_csr:
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    return [tensor]


def _raw(tensor: Any) -> bytes:
    if tensor.device.type == "meta":
        return b"no numbers"
    plain = (
        tensor.detach()
        .as_subclass(torch.Tensor)
        .resolve_conj()
        .resolve_neg()
        .contiguous()
        .flatten()
    )
    return plain.clone().view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def _sum(described: str, raw: bytes) -> str:
    return hashlib.sha256(described.encode() + b"\n" + raw).hexdigest()[:24]
