"""The zoo's files that torch writes: archives, the legacy form, TorchScript, exported programs."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tests.oracle.damage import PNG, Zoo, zipped
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

ZIP = "torch-zip"


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
    """Return a DTensor of a mesh with one process; `_single_process` must be open."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    return distribute_tensor(numbers(seed, 8, 8), mesh, [Shard(0) if shards else Replicate()])


def script(seed: int = 0) -> bytes:
    """Return the small model as TorchScript."""
    target = io.BytesIO()
    torch.jit.save(torch.jit.script(Tiny(seed).eval()), target)
    return target.getvalue()


def exported(seed: int = 0) -> bytes:
    """Return the small model as an exported program."""
    target = io.BytesIO()
    torch.export.save(torch.export.export(Tiny(seed).eval(), (torch.ones(2, 16),)), target)
    return target.getvalue()


def variants() -> Iterator[tuple[str, Any]]:
    """Yield models that are whole, and pairs that a hasty look takes for equal."""
    a, b = weights(0), weights(1)
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
    yield "quantized", {"w": quantized(0.1), "b": numbers(1, 12)}
    yield "quantized, another scale", {"w": quantized(0.2), "b": numbers(1, 12)}
    yield "quantized, another zero", {"w": quantized(0.1, 4), "b": numbers(1, 12)}
    yield "quantized by channel", {"w": channelwise(0.1)}
    yield "quantized by channel, one scale differs", {"w": channelwise(0.2)}
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


def _distributed_variants() -> Iterator[tuple[str, Any]]:
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


def fill_zip(zoo: Zoo) -> None:
    """Add torch's zip archives."""
    content = saved(lightning(weights()))
    data = weights()["first.weight"].numpy().tobytes()
    zoo.damage_file(ZIP, "model.ckpt", "torch", content, data)
    for note, model in variants():
        is_model = note not in ("placeholders", "empty tensors")
        zoo.write(saved(model), ZIP, "whole", "model.pt", "torch", note=note, is_model=is_model)
    for note, model in _distributed_variants():
        zoo.write(saved(model), ZIP, "whole", "model.pt", "torch", note=note)
    for note, other in no_models():
        zoo.write(saved(other), ZIP, "wrong type", "model.pt", "torch", note=note, is_model=False)
    for part in ("/data/0", "/data.pkl", "/version", "/byteorder", "/.format_version"):
        zoo.write(
            zipped(content, {part: None}),
            ZIP,
            "part missing",
            "model.ckpt",
            "torch",
            note=f"without {part}",
        )
    _parts_of_another_size(zoo, content)
    _other_writers(zoo)


def _parts_of_another_size(zoo: Zoo, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        storage = archive.read(next(n for n in archive.namelist() if n.endswith("/data/0")))
        pickled = archive.read(next(n for n in archive.namelist() if n.endswith("/data.pkl")))
    for note, changes in (
        ("a storage is empty", {"/data/0": b""}),
        ("a storage is cut", {"/data/0": storage[:-4]}),
        ("a storage is too long", {"/data/0": storage + bytes(64)}),
        ("the pickle is cut", {"/data.pkl": pickled[:-1]}),
        ("the pickle is empty", {"/data.pkl": b""}),
        ("the version is a word", {"/version": b"three\n"}),
        ("the version is of the future", {"/version": b"99\n"}),
        ("the byte order is unknown", {"/byteorder": b"middle"}),
    ):
        zoo.write(zipped(content, changes), ZIP, "part missing", "model.ckpt", "torch", note=note)
    for note, other in (
        ("a picture in a zip", {"/data.pkl": None, "/version": PNG}),
        ("a picture for the pickle", {"/data.pkl": PNG}),
    ):
        zoo.write(
            zipped(content, other),
            ZIP,
            "wrong type",
            "model.ckpt",
            "torch",
            note=note,
            is_model=False,
        )


def _other_writers(zoo: Zoo) -> None:
    a, near = weights(0), changed(weights(0))
    content = saved(a)

    def write(content: bytes, note: str) -> None:
        zoo.write(content, ZIP, "other writer", "model.pt", "torch", note=note)

    for protocol in (1, 3, 4, 5):
        write(saved(a, pickle_protocol=protocol), f"protocol {protocol}")
    write(zipped(content), "stored by Python")
    write(zipped(content, is_stream=True), "stored by Python, sizes behind the data")
    write(zipped(content, zip64=True), "fields of large files")
    write(zipped(content, method=zipfile.ZIP_DEFLATED), "compressed")
    write(zipped(content, method=zipfile.ZIP_BZIP2), "compressed by a method that torch has not")
    write(
        zipped(content, rename=lambda name: name.replace("archive/", "epoch=3/", 1)),
        "another folder",
    )
    write(zipped(content, rename=lambda name: name.replace("archive/", "", 1)), "no folder")
    write(
        zipped(content, rename=lambda name: name.replace("archive/", "a/b/", 1)),
        "a folder in a folder",
    )
    write(
        zipped(content, rename=lambda name: name.replace("/data/1", "/data/one")),
        "a storage under another name",
    )
    write(zipped(content, {"/byteorder": b"big"}), "big end first")
    write(content + b"\0" * 100, "100 bytes behind the end")
    write(content + b"\0" * 70_000, "70,000 bytes behind the end")
    write(b"#!header\n" * 4 + content, "bytes before the start")
    write(content + content, "twice in one file")
    crc32 = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    write(saved(a), "no sums")
    write(saved(near), "no sums, a number differs")
    torch.serialization.set_crc32_options(crc32)
    # A name other than `archive` and other alignment, as `torch.save` to a path gives.
    path = zoo.place(ZIP, "other writer", "epoch=3-step=10.ckpt", "torch", "saved to a path")
    torch.save(a, path)
    write(_cast_bytes(content), "the pickle's end is padded")


def _cast_bytes(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickled = archive.read("archive/data.pkl")
    return zipped(content, {"/data.pkl": pickled + bytes(32)})


def fill_legacy(zoo: Zoo) -> None:
    """Add files of torch before 1.6, and bare pickles."""
    legacy = "torch-legacy"
    content = saved(lightning(weights()), _use_new_zipfile_serialization=False)
    zoo.damage_file(
        legacy, "model.pth", "torch", content, weights()["first.weight"].numpy().tobytes()
    )
    keep = (
        "state dict",
        "lightning, a",
        "quantized",
        "sparse",
        "subclass",
        "numpy",
        "a whole module",
        "view",
        "place",
        "two",
    )
    for note, model in variants():
        if note.startswith(keep):
            made = saved(model, _use_new_zipfile_serialization=False)
            is_model = note != "placeholders"
            zoo.write(made, legacy, "whole", "model.pth", "torch", note=note, is_model=is_model)
    for note, other in no_models():
        made = saved(other, _use_new_zipfile_serialization=False)
        zoo.write(made, legacy, "wrong type", "model.pth", "torch", note=note, is_model=False)
    tail = weights()["first.weight"].numpy().tobytes()
    where = content.index(tail)
    missing = content[: where - 8] + content[where + len(tail) :]
    zoo.write(missing, legacy, "part missing", "model.pth", "torch", note="without a storage")
    for protocol in (1, 3, 4, 5):
        made = saved(weights(), _use_new_zipfile_serialization=False, pickle_protocol=protocol)
        zoo.write(made, legacy, "other writer", "model.pth", "torch", note=f"protocol {protocol}")
    zoo.write(
        content + bytes(40),
        legacy,
        "other writer",
        "model.pth",
        "torch",
        note="40 bytes behind the end",
    )
    _fill_pickle(zoo)


def _fill_pickle(zoo: Zoo) -> None:
    format = "pickle"
    model = {"params": {"w": array(1, 16, 8), "b": array(2, 8)}, "step": 3}
    content = pickle.dumps(model, 4)
    zoo.damage_file(format, "params.pkl", "pickled", content, array(1, 16, 8).tobytes())
    zoo.write(
        content,
        format,
        "wrong type",
        "params.pt",
        "torch",
        note="a bare pickle that torch.load is asked for",
    )
    zoo.write(
        pickle.dumps(["cat", "dog"]),
        format,
        "wrong type",
        "names.pkl",
        "pickled",
        note="labels",
        is_model=False,
    )
    for protocol in (2, 3, 5):
        zoo.write(
            pickle.dumps(model, protocol),
            format,
            "other writer",
            "params.pkl",
            "pickled",
            note=f"protocol {protocol}",
        )
    zoo.write(
        saved(weights()),
        format,
        "other writer",
        "weights.pkl",
        "torch",
        note="a torch archive under this name",
    )
    zoo.empty(format, "part missing", "a bare pickle is one part")


def fill_programs(zoo: Zoo) -> None:
    """Add TorchScript and exported programs."""
    data = numbers(0, 8, 16).numpy().tobytes()
    for format, name, judge, make, parts in (
        (
            "torchscript",
            "model.pt",
            "torchscript",
            script,
            ("/constants.pkl", "/data.pkl", "/data/0", "/version", "/models.py"),
        ),
        ("torch-export", "model.pt2", "exported", exported, ()),
    ):
        content = make(0)
        zoo.damage_file(format, name, judge, content, data)
        zoo.write(make(1), format, "whole", name, judge, note="another seed")
        zoo.write(zipped(content), format, "other writer", name, judge, note="stored by Python")
        zoo.write(
            content + bytes(100),
            format,
            "other writer",
            name,
            judge,
            note="100 bytes behind the end",
        )
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
        for part in parts or ["/" + one.split("/", 1)[1] for one in names if not one.endswith("/")]:
            if not any(one.endswith(part) for one in names):
                continue
            zoo.write(
                zipped(content, {part: None}),
                format,
                "part missing",
                name,
                judge,
                note=f"without {part}",
            )
        zoo.write(
            zipped(content, method=zipfile.ZIP_DEFLATED),
            format,
            "other writer",
            name,
            judge,
            note="compressed",
        )
    zoo.write(
        script(),
        "torchscript",
        "other writer",
        "model.ckpt",
        "torchscript",
        note="named as a checkpoint",
    )
    zoo.write(
        exported(),
        "torch-export",
        "other writer",
        "model.pt",
        "exported",
        note="named as a checkpoint",
    )
    zoo.write(
        saved(weights()),
        "torch-export",
        "wrong type",
        "model.pt2",
        "exported",
        note="a state dict under this name",
    )
