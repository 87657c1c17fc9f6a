"""Names, types, shapes and numbers equal what torch itself reads; skipped where torch is absent."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest

from catalog.query.inspect import inspect
from catalog.sources.checkpoint.archives import read_root
from catalog.sources.checkpoint.byte_source import open_inside
from tests.support.checkpoint_reading import checkpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

torch: Any = pytest.importorskip("torch", reason="torch is not installed")

DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
    "bool", "complex64", "complex128",
)  # fmt: skip


def _model() -> Any:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.Conv2d(3, 4, (3, 5))]
    return torch.nn.Sequential(OrderedDict(zip("abc", layers, strict=True)))


def _odd_tensors() -> dict[str, Any]:
    base = torch.arange(60.0).reshape(3, 4, 5)
    state = {name: torch.ones(2, 3).to(getattr(torch, name)) for name in DTYPES}
    return {
        **state,
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "large": torch.zeros(70_000),
        "six": torch.zeros(1, 2, 1, 2, 1, 2),
        "base": base,
        "view": base[1],
        "transposed": base.transpose(0, 2),
        "tied": base,
        "parameter": torch.nn.Parameter(torch.zeros(2)),
    }


def _lightning(state: Any) -> dict[str, Any]:
    model = _model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    sum(one.sum() for one in model.parameters()).backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    score = torch.tensor(0.123456789)
    return {
        "epoch": 7,
        "global_step": 1234,
        "pytorch-lightning_version": "2.5.5",
        "state_dict": state,
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [scheduler.state_dict()],
        "callbacks": {
            "ModelCheckpoint{'monitor': 'val/loss', 'mode': 'min'}": {
                "monitor": "val/loss",
                "best_model_score": score,
                "best_model_path": "x/best.ckpt",
                "best_k_models": {"x/best.ckpt": score.to(torch.float64)},
                "current_score": score.to(torch.bfloat16),
            }
        },
        "hyper_parameters": {"lr": 3e-4, "size": torch.Size([2, 3]), "dtype": torch.float16},
    }


LAYOUTS: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "state_dict alone": lambda state: (state, ""),
    "lightning": lambda state: (_lightning(state), "state_dict"),
    "model": lambda state: ({"model": state, "epoch": 3}, "model"),
    "module": lambda state: ({"module": state, "global_steps": 3}, "module"),
    "model_state_dict": lambda state: ({"model_state_dict": state, "epoch": 3}, "model_state_dict"),
    "compiled": lambda state: (
        {"state_dict": {f"_orig_mod.{name}": one for name, one in state.items()}}, "state_dict",
    ),
    "forward module": lambda state: (
        {"state_dict": {f"_forward_module.{name}": one for name, one in state.items()}},
        "state_dict",
    ),
    "timm": lambda state: (
        {"state_dict": state, "arch": "vit", "args": {"opt": "adamw"}, "metric": 0.5}, "state_dict",
    ),
    "fairseq": lambda state: (
        {"model": state, "optimizer_history": [{"num_updates": 3}], "args": None}, "model",
    ),
    "mmengine": lambda state: (
        {"meta": {"epoch": 1, "iter": 3, "mmengine_version": "0.10"}, "state_dict": state},
        "state_dict",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", ["zip", "legacy"])
@pytest.mark.parametrize("odd", [False, True], ids=["module", "odd tensors"])
def test_tensors_are_those_that_torch_reads(
    tmp_path: Path, layout: str, way: str, odd: bool
) -> None:
    state = _odd_tensors() if odd else _model().state_dict()
    content, place = LAYOUTS[layout](state)
    path = tmp_path / "any.bin"
    torch.save(content, path, _use_new_zipfile_serialization=way == "zip")
    loaded = torch.load(path, weights_only=False)
    expected = loaded[place] if place else loaded
    found = checkpoint_of(path)
    assert found.status == "readable"
    assert [(one.name, one.dtype, one.shape) for one in found.tensors] == [
        (name, str(one.dtype).removeprefix("torch."), tuple(one.shape))
        for name, one in expected.items()
    ]
    assert found.parameter_count == sum(one.numel() for one in expected.values())
    assert found.safety == "plain"


@pytest.mark.parametrize("way", ["zip", "legacy"])
def test_scalars_are_those_that_torch_reads(tmp_path: Path, way: str) -> None:
    path = tmp_path / "best.ckpt"
    torch.save(_lightning(_model().state_dict()), path, _use_new_zipfile_serialization=way == "zip")
    loaded = torch.load(path, weights_only=False)
    (callback,) = loaded["callbacks"].values()
    found = checkpoint_of(path)
    assert (found.epoch, found.global_step) == (loaded["epoch"], loaded["global_step"])
    assert found.best_score == callback["best_model_score"].item()
    assert found.own_score == callback["best_k_models"]["x/best.ckpt"].item()
    assert found.learning_rates == (loaded["optimizer_states"][0]["param_groups"][0]["lr"],)
    assert found.hyper_parameters == {"lr": 3e-4, "size": [2, 3], "dtype": "torch.float16"}


@pytest.mark.parametrize("name", DTYPES[:9])
def test_one_element_tensors_of_every_type(tmp_path: Path, name: str) -> None:
    value = torch.tensor([3.0, 7.0]).to(getattr(torch, name))[1]
    path = tmp_path / "a.pt"
    torch.save({"w": torch.zeros(2), "value": value}, path)
    with open_inside(tmp_path, path) as source:
        read = read_root(source)
        assert read is not None
        skeleton, number = read
        assert number(skeleton.root["value"]) == 7.0


def test_a_module_that_was_pickled_whole(tmp_path: Path) -> None:
    model = _model()
    path = tmp_path / "whole.pt"
    torch.save(model, path)
    found = checkpoint_of(path)
    assert [(one.name, one.shape) for one in found.tensors] == [
        (name, tuple(one.shape)) for name, one in model.state_dict().items()
    ]
    # Names of classes that are on no list: never shown as clean.
    assert found.safety == "unknown"


def test_an_optimizer_that_was_pickled_whole_is_named(tmp_path: Path) -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    path = tmp_path / "whole.pt"
    torch.save({"model": model.state_dict(), "optimizer": optimizer}, path)
    found = checkpoint_of(path)
    assert (found.optimizers, found.learning_rates) == (("SGD",), (0.5,))


def test_tied_weights_share_the_first(tmp_path: Path) -> None:
    model = torch.nn.ModuleDict({"emb": torch.nn.Embedding(5, 4), "head": torch.nn.Linear(4, 5)})
    model["head"].weight = model["emb"].weight
    path = tmp_path / "tied.pt"
    torch.save(model.state_dict(), path)
    shared = {one.name: one.shares for one in checkpoint_of(path).tensors}
    assert shared == {"emb.weight": None, "head.weight": 0, "head.bias": None}


@pytest.mark.filterwarnings("ignore")  # torch's own, of what it will give up one day
def test_torchscript_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "scripted.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    found = checkpoint_of(path)
    assert (found.format, found.status) == ("torchscript", "recognised")


@pytest.mark.filterwarnings("ignore")  # it notices that it runs alone
def test_a_distributed_checkpoint(tmp_path: Path) -> None:
    saver: Any = pytest.importorskip("torch.distributed.checkpoint")
    state = {"layer.weight": torch.zeros(4, 3), "layer.bias": torch.zeros(4)}
    folder = tmp_path / "step-5"
    saver.save(state, storage_writer=saver.FileSystemWriter(folder), no_dist=True)
    found = inspect(folder).checkpoint
    assert found.format == "torch-distributed"
    assert {one.name: one.shape for one in found.tensors} == {
        "layer.weight": (4, 3),
        "layer.bias": (4,),
    }


def test_a_buffer_that_torch_cannot_read_is_not_readable(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(1000)}, stream)
    path = tmp_path / "cut.pt"
    path.write_bytes(stream.getvalue()[:-500])
    with pytest.raises((RuntimeError, OSError)):
        torch.load(path)
    assert checkpoint_of(path).status == "truncated"
