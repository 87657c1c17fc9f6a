"""Models as people save them with torch: whole ones, pairs that look alike, and no models."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tests.oracle.models import (
    Average,
    OtherTiny,
    Packed,
    Scaled,
    Shifted,
    Tiny,
    array,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def saved(content: Any, **options: Any) -> bytes:
    """Return what `torch.save` writes."""
    target = io.BytesIO()
    torch.save(content, target, **options)
    return target.getvalue()


def lightning(
    state: Any, score: float = 0.5, callbacks: Any = None, epoch: int = 3
) -> dict[str, Any]:
    """Return a checkpoint as Lightning 2 lays it out, with an optimizer that has run."""
    model = Tiny(epoch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, score)
    optimizer.step()
    watched = {
        "monitor": "val/loss",
        "best_model_score": torch.tensor(score),
        "best_model_path": "/runs/1/checkpoints/best.ckpt",
        "current_score": torch.tensor(score),
        "dirpath": "/runs/1/checkpoints",
        "best_k_models": {"/runs/1/checkpoints/best.ckpt": torch.tensor(score)},
        "kth_best_model_path": "",
        "kth_value": torch.tensor(score),
        "last_model_path": "",
    }
    name = "ModelCheckpoint{'monitor': 'val/loss', 'mode': 'min', 'every_n_train_steps': 0}"
    return {
        "epoch": epoch,
        "global_step": epoch * 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": epoch}}}},
        "callbacks": {name: watched, **(callbacks or {})},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.001, "width": 8},
    }


def weights(seed: int = 0) -> Any:
    """Return the state dict of the small model."""
    return Tiny(seed).state_dict()


def changed(state: Any, name: str = "second.bias") -> Any:
    """Return a state dict of which the last number of one tensor differs."""
    copy = OrderedDict((key, value.clone()) for key, value in state.items())
    copy[name].view(-1)[-1] += 1
    return copy


def quantized(scale: float, zero: int = 3) -> Any:
    """Return a tensor of 8-bit numbers that a scale belongs to."""
    raw = torch.arange(-60, 60, dtype=torch.int8).reshape(12, 10)
    return torch._make_per_tensor_quantized_tensor(raw, scale, zero)


def channelwise(scale: float) -> Any:
    """Return a tensor of 8-bit numbers with a scale for each row."""
    raw = torch.arange(-60, 60, dtype=torch.int8).reshape(12, 10)
    scales = torch.full((12,), 0.5, dtype=torch.float64)
    scales[-1] = scale
    return torch._make_per_channel_quantized_tensor(
        raw, scales, torch.zeros(12, dtype=torch.int64), 0
    )


def distributed(seed: int, *, shards: bool = True) -> Any:
    """Return a DTensor of a mesh with one process; a process group must be open."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    return distribute_tensor(numbers(seed, 8, 8), mesh, [Shard(0) if shards else Replicate()])


def variants() -> Iterator[tuple[str, Any]]:
    """Yield models that are whole, and pairs that a hasty look takes for equal."""
    yield from _state_dicts()
    yield from _lightning_checkpoints()
    yield from _quantized()
    yield from _subclasses()
    yield from _two_models()
    yield from _beside_tensors()
    yield from _placeholders()
    yield from _views()
    yield from _modules()


def _state_dicts() -> Iterator[tuple[str, Any]]:
    """Yield state dicts, alone and under a key."""
    a = weights(0)
    b = weights(1)
    near = changed(a)
    yield "state dict", a
    yield "state dict, another seed", b
    yield "state dict, a number differs", near
    yield "state dict, names in another order", OrderedDict(reversed(list(a.items())))
    yield (
        "state dict, two biases change places",
        OrderedDict({**a, "norm.weight": a["norm.bias"], "norm.bias": a["norm.weight"]}),
    )
    yield "state dict under a key", {"state_dict": a, "epoch": 3, "arch": "tiny"}
    yield "state dict under model", {"model": a, "optimizer": lightning(a)["optimizer_states"][0]}
    yield "optimizer is a plain state dict", {"model": a, "optimizer": b}
    yield "optimizer is another plain state dict", {"model": a, "optimizer": near}


def _lightning_checkpoints() -> Iterator[tuple[str, Any]]:
    """Yield Lightning's checkpoints."""
    a = weights(0)
    b = weights(1)
    near = changed(a)
    yield "lightning, best", lightning(a)
    yield "lightning, last: scores and optimizer differ", lightning(a, 0.25, epoch=9)
    yield "lightning, a number differs", lightning(near)
    yield (
        "lightning, early stopping",
        lightning(
            a,
            callbacks={
                "EarlyStopping{'monitor': 'val/loss', 'mode': 'min'}": {
                    "wait_count": 1,
                    "best_score": torch.tensor(0.3),
                }
            },
        ),
    )
    yield (
        "lightning, early stopping with another score",
        lightning(
            a,
            callbacks={
                "EarlyStopping{'monitor': 'val/loss', 'mode': 'min'}": {
                    "wait_count": 4,
                    "best_score": torch.tensor(0.1),
                }
            },
        ),
    )
    yield (
        "lightning, average in a callback",
        lightning(a, callbacks={"EMACallback": {"ema_state_dict": b}}),
    )
    yield (
        "lightning, another average in a callback",
        lightning(a, callbacks={"EMACallback": {"ema_state_dict": changed(b)}}),
    )
    yield "lightning, average in an object", lightning(a, callbacks={"Mean": Average(b)})
    yield "lightning, another average in an object", lightning(a, callbacks={"Mean": Average(near)})
    yield (
        "lightning, tensor in the hyper-parameters",
        {**lightning(a), "hyper_parameters": {"class_weights": numbers(5, 8)}},
    )
    yield (
        "lightning, another tensor in the hyper-parameters",
        {**lightning(a), "hyper_parameters": {"class_weights": numbers(6, 8)}},
    )


def _quantized() -> Iterator[tuple[str, Any]]:
    """Yield quantized tensors."""
    yield "quantized", {"w": quantized(0.1), "b": numbers(1, 12)}
    yield "quantized, another scale", {"w": quantized(0.2), "b": numbers(1, 12)}
    yield "quantized, another zero", {"w": quantized(0.1, 4), "b": numbers(1, 12)}
    yield "quantized by channel", {"w": channelwise(0.1)}
    yield "quantized by channel, one scale differs", {"w": channelwise(0.2)}


def _subclasses() -> Iterator[tuple[str, Any]]:
    """Yield subclasses of a tensor."""
    yield "subclass", {"w": numbers(1, 8, 8).as_subclass(Scaled)}
    yield "another subclass", {"w": numbers(1, 8, 8).as_subclass(Shifted)}
    yield "subclass, numbers differ", {"w": numbers(2, 8, 8).as_subclass(Scaled)}
    yield "subclass with a scale", {"w": _with(numbers(1, 8, 8).as_subclass(Scaled), scale=0.5)}
    yield (
        "subclass with another scale",
        {"w": _with(numbers(1, 8, 8).as_subclass(Scaled), scale=0.7)},
    )
    yield (
        "subclass with a tensor as scale",
        {"w": _with(numbers(1, 8, 8).as_subclass(Scaled), scale=numbers(3, 1))},
    )
    yield (
        "subclass with another tensor as scale",
        {"w": _with(numbers(1, 8, 8).as_subclass(Scaled), scale=numbers(4, 1))},
    )
    yield (
        "parameter with an attribute",
        {"w": _with(torch.nn.Parameter(numbers(1, 8, 8)), scale=0.5)},
    )
    yield (
        "parameter with another attribute",
        {"w": _with(torch.nn.Parameter(numbers(1, 8, 8)), scale=0.7)},
    )
    yield "packed", {"w": Packed(numbers(1, 8, 8).char(), numbers(1, 1))}
    yield "packed, another scale", {"w": Packed(numbers(1, 8, 8).char(), numbers(2, 1))}
    yield "packed, another payload", {"w": Packed((numbers(1, 8, 8) * 9).char(), numbers(1, 1))}


def _two_models() -> Iterator[tuple[str, Any]]:
    """Yield several models, arrays and lists."""
    a = weights(0)
    b = weights(1)
    near = changed(a)
    yield "two models", {"model": a, "ema": b}
    yield "two models, the second differs", {"model": a, "ema": changed(b)}
    yield "generator and discriminator", {"generator": a, "discriminator": b}
    yield "generator and another discriminator", {"generator": a, "discriminator": near}
    yield "numpy", {"state_dict": {"w": array(1, 8, 8)}, "epoch": 1}
    yield "numpy, numbers differ", {"state_dict": {"w": array(2, 8, 8)}, "epoch": 1}
    yield "numpy beside tensors", {**a, "extra": array(1, 8)}
    yield "numpy beside tensors, numbers differ", {**a, "extra": array(2, 8)}
    yield "lists of tensors", {"weights": [numbers(1, 8, 8), numbers(2, 8)], "epoch": 1}
    yield (
        "lists of tensors, one differs",
        {"weights": [numbers(1, 8, 8), numbers(3, 8)], "epoch": 1},
    )
    yield "a list of tensors", [numbers(1, 8, 8), numbers(2, 8)]
    yield "a list of tensors, one differs", [numbers(1, 8, 8), numbers(3, 8)]
    yield "a tensor", numbers(1, 8, 8)
    yield "another tensor", numbers(2, 8, 8)


def _beside_tensors() -> Iterator[tuple[str, Any]]:
    """Yield what is no tensor and counts."""
    a = weights(0)
    b = weights(1)
    near = changed(a)
    yield "numbers in lists beside tensors", {"state_dict": {**a, "table": [0.25, 0.5, 0.75]}}
    yield "other numbers in lists beside tensors", {"state_dict": {**a, "table": [0.25, 0.5, 0.9]}}
    yield "bytes beside tensors", {**a, "first._extra_state": io.BytesIO(b"scale 1").getvalue()}
    yield (
        "other bytes beside tensors",
        {**a, "first._extra_state": io.BytesIO(b"scale 2").getvalue()},
    )
    yield "a file in memory beside tensors", {**a, "first._extra_state": io.BytesIO(saved(b))}
    yield (
        "another file in memory beside tensors",
        {**a, "first._extra_state": io.BytesIO(saved(near))},
    )


def _placeholders() -> Iterator[tuple[str, Any]]:
    """Yield tensors without all their numbers."""
    a = weights(0)
    yield "placeholders", {name: value.to("meta") for name, value in a.items()}
    yield (
        "placeholders beside a tensor",
        {"w": torch.empty(8, 8, device="meta"), "b": numbers(1, 8)},
    )
    yield (
        "placeholders beside another tensor",
        {"w": torch.empty(8, 8, device="meta"), "b": numbers(2, 8)},
    )
    yield "empty tensors", {name: torch.empty(0) for name in a}
    yield "sparse", {"w": torch.sparse_coo_tensor([[0, 3]], [1.0, 2.0], (8,))}
    yield "sparse, places differ", {"w": torch.sparse_coo_tensor([[0, 4]], [1.0, 2.0], (8,))}
    yield "sparse, numbers differ", {"w": torch.sparse_coo_tensor([[0, 3]], [1.0, 3.0], (8,))}
    yield "sparse rows", {"w": numbers(1, 8, 8).to_sparse_csr()}
    yield "sparse rows, numbers differ", {"w": numbers(2, 8, 8).to_sparse_csr()}


def _views() -> Iterator[tuple[str, Any]]:
    """Yield views of one storage, odd dtypes."""
    base = numbers(1, 8, 8)
    yield "view", {"w": base[:4]}
    yield "view of another part", {"w": base[4:]}
    yield "view with rows as columns", {"w": base.t()}
    yield "view as it is", {"w": base}
    yield "same bytes as integers", {"w": base.view(torch.int32)}
    wave = torch.complex(numbers(1, 8), numbers(2, 8))
    yield "complex", {"w": wave}
    yield "complex, conjugate", {"w": wave.conj()}
    yield "negative view", {"w": wave.conj().imag}
    yield "no negative view", {"w": wave.imag}
    yield "nested tensor", {"w": torch.nested.nested_tensor([numbers(1, 4), numbers(2, 6)])}
    yield (
        "nested tensor, split elsewhere",
        {
            "w": torch.nested.nested_tensor(
                list(torch.cat([numbers(1, 4), numbers(2, 6)]).split([5, 5]))
            )
        },
    )
    yield "a storage", {"w": numbers(1, 8).untyped_storage(), "b": numbers(1, 2)}
    yield "another storage", {"w": numbers(2, 8).untyped_storage(), "b": numbers(1, 2)}
    yield (
        "8-bit floats",
        {"w": numbers(1, 8, 8).to(torch.float8_e4m3fn), "b": numbers(1, 8).bfloat16()},
    )
    yield "a number of no dimension", {"w": numbers(1, 8, 8), "step": torch.tensor(3)}


def _modules() -> Iterator[tuple[str, Any]]:
    """Yield pickled modules, and what is beside weights."""
    a = weights(0)
    yield "a whole module", Tiny(0)
    yield "a whole module, another seed", Tiny(1)
    yield "a whole module, another number", Tiny(0, slope=0.7)
    yield "a whole module of another class", OtherTiny(0)
    yield "a whole module under a key", {"model": Tiny(0).half(), "epoch": 4, "ema": Tiny(1)}
    yield (
        "a whole module under a key, another average",
        {"model": Tiny(0).half(), "epoch": 4, "ema": Tiny(2)},
    )
    yield (
        "parameters in a module's list",
        {"net": torch.nn.ParameterList([numbers(1, 8), numbers(2, 8)])},
    )
    yield (
        "other parameters in a module's list",
        {"net": torch.nn.ParameterList([numbers(1, 8), numbers(3, 8)])},
    )
    yield "a type and a device beside", {**a, "dtype": torch.float16, "device": torch.device("cpu")}
    yield (
        "a path in the hyper-parameters",
        {**lightning(a), "hyper_parameters": {"root": Path("/data")}},
    )
    yield "numpy numbers beside", {"state_dict": a, "loss": np.float64(0.5)}


def _with(tensor: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(tensor, name, value)
    return tensor


def distributed_variants() -> Iterator[tuple[str, Any]]:
    """Yield DTensors, which a group of one process makes."""
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield "distributed", {"w": distributed(1)}
    yield "distributed, numbers differ", {"w": distributed(2)}
    yield "distributed, placed otherwise", {"w": distributed(1, shards=False)}
    dist.destroy_process_group()


def no_models() -> Iterator[tuple[str, Any]]:
    """Yield what `torch.save` writes as well, and is no model."""
    trained = lightning(weights())
    yield "optimizer alone", trained["optimizer_states"][0]
    yield "optimizer under a key", {"optimizer": trained["optimizer_states"][0], "epoch": 3}
    yield "random state", {"torch": torch.get_rng_state(), "numpy": [1, 2], "step": 4}
    yield (
        "scheduler alone",
        {"last_epoch": 3, "_step_count": 4, "base_lrs": [0.1], "_last_lr": [0.1]},
    )
    yield "a vocabulary", {"itos": ["the", "of"], "stoi": {"the": 0, "of": 1}}
    yield "numbers where the state dict is", {"state_dict": 7, "epoch": 1}
    yield (
        "texts where the tensors are",
        {"state_dict": {"first.weight": "none", "first.bias": "none"}},
    )
    yield "nothing", {}
    yield "no value", None
    yield "a text", "best.ckpt"
    yield "a split", {"train": list(range(50)), "val": list(range(50, 60))}
