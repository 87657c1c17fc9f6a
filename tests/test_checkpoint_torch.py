"""Torch checkpoints: what is read from their skeleton, and how little of them is read."""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog
from catalog.sources.facts import Mention, Score, Tensor
from tests.support.checkpoint_reading import checkpoint_of, codes, facts_of
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    scalar,
    write_torch_legacy,
    write_torch_zip,
    write_zip,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[Path, Any], Path]

both = pytest.mark.parametrize("write", [write_torch_zip, write_torch_legacy])


@both
def test_lightning_checkpoint_tells_all_that_lightning_knows(tmp_path: Path, write: Write) -> None:
    content = lightning_checkpoint(
        epoch=7,
        global_step=1600,
        version="2.6.6",
        monitor="val/hmean",
        mode="max",
        directory="/data/exp/checkpoints",
        best_k={"best-v1.ckpt": 0.75, "best.ckpt": 0.9375, "best-v2.ckpt": 0.875},
        last="last.ckpt",
        hyper_parameters={"lr": 0.001, "encoder": {"name": "resnet18"}},
    )
    facts = facts_of(write(tmp_path / "best-v2.ckpt", content))
    found = facts.checkpoint

    assert found is not None
    assert (found.status, found.framework, found.framework_version) == (
        "readable",
        "lightning",
        "2.6.6",
    )
    assert (found.epoch, found.global_step) == (7, 1600)
    assert (found.monitor, found.monitor_mode) == ("val/hmean", "max")
    assert found.best_score == 0.9375
    assert found.own_score == 0.875
    assert found.best_path == "/data/exp/checkpoints/best.ckpt"
    assert found.last_path == "/data/exp/checkpoints/last.ckpt"
    assert found.directory == "/data/exp/checkpoints"
    assert found.best_k[0] == ("/data/exp/checkpoints/best-v1.ckpt", 0.75)
    assert found.hyper_parameters == {"lr": 0.001, "encoder": {"name": "resnet18"}}
    assert found.tensors == (
        Tensor("net.weight", "float32", (4, 3)),
        Tensor("net.bias", "float32", (4,)),
    )
    assert (found.parameter_count, found.tensor_bytes) == (16, 64)
    assert (found.safety, found.globals) == ("plain", ())
    assert Mention("output-dir", "/data/exp/checkpoints") in facts.mentions
    assert Mention("checkpoint-path", "/data/exp/checkpoints/last.ckpt") in facts.mentions
    assert facts.problems == ()


@pytest.mark.parametrize(
    ("name", "best_k", "expected"),
    [
        ("last.ckpt", {"best.ckpt": 0.5}, None),
        ("best.ckpt", {"best.ckpt": 0.5, "best-v1.ckpt": 0.25}, 0.5),
        ("val/loss=2.ckpt", {"a-val/loss=2.ckpt": 2.5, "val/loss=2.ckpt": 2.0}, 2.0),
        ("loss=2.ckpt", {"a/loss=2.ckpt": 2.5, "b/loss=2.ckpt": 2.0}, None),
    ],
)
def test_own_score_is_the_one_listed_for_the_file_itself(
    tmp_path: Path, name: str, best_k: dict[str, float], expected: float | None
) -> None:
    from catalog.sources.checkpoint import reader
    from catalog.sources.facts import Item

    (tmp_path / name).parent.mkdir(exist_ok=True)
    write_torch_zip(tmp_path / name, lightning_checkpoint(best_k=best_k))
    found = reader.read(tmp_path, Item(reader.NAME, name, 0, 0)).checkpoint
    assert found is not None
    assert found.own_score == expected


def test_checkpoint_without_callback_state_claims_no_score(tmp_path: Path) -> None:
    content = lightning_checkpoint()
    del content["callbacks"]
    found = checkpoint_of(write_torch_zip(tmp_path / "weights.ckpt", content))
    assert found.epoch == 3
    assert (found.monitor, found.monitor_mode, found.best_score, found.own_score) == (None,) * 4
    assert found.hyper_parameters is None


def test_callback_that_monitors_nothing_has_no_mode(tmp_path: Path) -> None:
    content = lightning_checkpoint(monitor=None, best_k={}, mode="min")
    found = checkpoint_of(write_torch_zip(tmp_path / "a.ckpt", content))
    assert (found.monitor, found.monitor_mode, found.best_score) == (None, None, None)


def test_callback_that_lists_the_file_wins_over_others(tmp_path: Path) -> None:
    content = lightning_checkpoint(monitor="val/loss", mode="min", best_k={"loss.ckpt": 2.0})
    other = lightning_checkpoint(monitor="val/f1", best_k={"f1.ckpt": 0.5})
    content["callbacks"].update(other["callbacks"])
    found = checkpoint_of(write_torch_zip(tmp_path / "f1.ckpt", content))
    assert (found.monitor, found.own_score) == ("val/f1", 0.5)


@pytest.mark.parametrize(
    ("dtype", "raw", "expected"),
    [
        ("float32", struct.pack("<f", 0.1), 0.10000000149011612),
        ("float64", struct.pack("<d", 0.1), 0.1),
        ("float16", struct.pack("<e", 0.5), 0.5),
        ("bfloat16", struct.pack("<f", 0.5)[2:], 0.5),
        ("int64", struct.pack("<q", 12), 12.0),
    ],
)
@both
def test_scores_in_tensors_are_read_from_their_storage(
    tmp_path: Path, write: Write, dtype: str, raw: bytes, expected: float
) -> None:
    content = {
        "state_dict": {"w": FakeTensor(shape=(5,))},
        "cleval_metrics": {"hmean": FakeTensor(dtype, (), raw), "precision": 0.5, "name": "x"},
        "val_loss": FakeTensor(dtype, (1,), raw),
        "epoch": 4,
    }
    found = checkpoint_of(write(tmp_path / "a.pt", content))
    assert found.scores == (
        Score("hmean", expected, "cleval_metrics"),
        Score("precision", 0.5, "cleval_metrics"),
        Score("val_loss", expected, "."),
    )


def test_a_large_file_is_not_read_but_for_its_skeleton(tmp_path: Path) -> None:
    weights = {f"layer{n}.weight": FakeTensor(shape=(500, 500)) for n in range(250)}
    path = write_torch_zip(tmp_path / "best.ckpt", lightning_checkpoint(state_dict=weights))
    found = checkpoint_of(path)
    assert path.stat().st_size > 250_000_000
    assert found.parameter_count == 250 * 500 * 500
    assert found.own_score == 0.5
    assert found.bytes_read < 100_000


@pytest.mark.parametrize("crcs", [True, False])
def test_sums_are_not_needed_to_read(tmp_path: Path, crcs: bool) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint(), top="a", crcs=crcs)
    found = checkpoint_of(path)
    assert found.status == "readable"
    assert (found.weights_fingerprint is not None) is crcs


def test_fingerprint_is_of_the_weights_alone(tmp_path: Path) -> None:
    def fingerprint(name: str, values: tuple[float, ...], **others: Any) -> str | None:
        tensor = FakeTensor(shape=(3,), data=struct.pack("<3f", *values))
        path = tmp_path / name
        content = lightning_checkpoint(state_dict={"w": tensor}, **others)
        return checkpoint_of(write_torch_zip(path, content, top=path.stem)).weights_fingerprint

    best = fingerprint("best.ckpt", (1, 2, 3))
    state = [{"state": {0: {"exp_avg": FakeTensor(shape=(3,))}}, "param_groups": []}]
    assert fingerprint("last.ckpt", (1, 2, 3), optimizer_states=state, epoch=9) == best
    assert fingerprint("other.ckpt", (1, 2, 4)) != best


@both
def test_cut_file_is_truncated_and_keeps_what_stands_before(tmp_path: Path, write: Write) -> None:
    weights = {"w": FakeTensor(shape=(100_000,))}
    path = write(tmp_path / "a.ckpt", lightning_checkpoint(state_dict=weights))
    with path.open("r+b") as file:
        file.truncate(100_000)
    facts = facts_of(path)
    found = facts.checkpoint
    assert found is not None
    assert found.status == "truncated"
    assert found.reason is not None
    assert "bytes" in found.reason
    assert (found.epoch, found.parameter_count, found.monitor) == (3, 100_000, "val/hmean")
    assert codes(facts) == ["truncated-checkpoint"]


def test_zeros_behind_the_archive_do_no_harm(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint())
    with path.open("ab") as file:
        file.write(bytes(1000))
    assert checkpoint_of(path).status == "readable"


def test_bytes_before_the_archive_make_it_unreadable_for_torch(tmp_path: Path) -> None:
    path = write_torch_zip(tmp_path / "a.ckpt", lightning_checkpoint())
    path.write_bytes(path.read_bytes()[:4] + bytes(508) + path.read_bytes())
    found = checkpoint_of(path)
    assert found.status == "unreadable"
    assert found.epoch == 3


def test_hyper_parameters_of_omegaconf_stay_as_they_were_written(tmp_path: Path) -> None:
    def node(value: Any) -> FakeObject:
        name = FakeGlobal("omegaconf.nodes", "AnyNode")
        return FakeObject(name, (), {"_val": value, "_metadata": None, "_parent": None})

    def container(kind: str, content: Any) -> FakeObject:
        name = FakeGlobal(f"omegaconf.{kind.lower()}", kind)
        return FakeObject(name, (), {"_content": content, "_metadata": None, "_parent": None})

    inner = container("DictConfig", {"out": node("${hydra:runtime.output_dir}")})
    sizes = container("ListConfig", [node(1), node(2)])
    content = lightning_checkpoint(
        hyper_parameters=container("DictConfig", {"paths": inner, "sizes": sizes, "lr": node(1.0)})
    )
    found = checkpoint_of(write_torch_zip(tmp_path / "a.ckpt", content))
    assert found.hyper_parameters == {
        "paths": {"out": "${hydra:runtime.output_dir}"},
        "sizes": [1, 2],
        "lr": 1.0,
    }
    assert found.safety == "plain"


def test_hyper_parameters_keep_what_has_a_plain_meaning_and_mark_the_rest(tmp_path: Path) -> None:
    dtype = FakeObject(
        FakeGlobal("numpy", "dtype"), ("f8", False, True), (3, "<", None, None, None, -1, -1, 0)
    )
    content = lightning_checkpoint(
        hyper_parameters={
            "path": FakeObject(FakeGlobal("pathlib", "PosixPath"), ("/", "data", "x")),
            "device": FakeObject(FakeGlobal("torch", "device"), ("cuda", 1)),
            "dtype": FakeGlobal("torch", "bfloat16"),
            "size": FakeObject(FakeGlobal("torch", "Size"), ((1, 3),)),
            "args": FakeObject(FakeGlobal("argparse", "Namespace"), (), {"seed": 7}),
            "settings": FakeObject(
                FakeGlobal("lightning.fabric.utilities.data", "AttributeDict"), (), None, {"a": 1}
            ),
            "mode": FakeObject(FakeGlobal("project.modes", "Mode"), ("fast",)),
            "numpy": FakeObject(
                FakeGlobal("numpy.core.multiarray", "scalar"), (dtype, struct.pack("<d", 0.25))
            ),
            "tensor": scalar(0.5),
            "pair": (1, None),
            "loss": FakeGlobal("torch.nn.modules.loss", "CrossEntropyLoss"),
            "model": FakeObject(FakeGlobal("project.nets", "Net"), (), {"x": 1}),
            "nan": float("inf"),
        }
    )
    found = checkpoint_of(write_torch_zip(tmp_path / "a.ckpt", content))
    assert found.hyper_parameters == {
        "path": "/data/x",
        "device": "cuda:1",
        "dtype": "torch.bfloat16",
        "size": [1, 3],
        "args": {"seed": 7},
        "settings": {"a": 1},
        "mode": "fast",
        "numpy": 0.25,
        "tensor": 0.5,
        "pair": [1, None],
        "loss": {"__opaque__": "torch.nn.modules.loss.CrossEntropyLoss"},
        "model": {"__opaque__": "project.nets.Net"},
        "nan": float("inf"),
    }
    assert found.safety == "unknown"
    assert "project.nets.Net" in found.globals


STATEMENTS = {
    "nanoGPT": (
        {
            "model": {"lm_head.weight": FakeTensor(shape=(2, 2))},
            "model_args": {"n_layer": 2},
            "iter_num": 500,
            "config": {"learning_rate": 0.1},
        },
        ({"learning_rate": 0.1}, {"model_args": {"n_layer": 2}, "iter_num": 500}, 500),
    ),
    "a data module": (
        lightning_checkpoint(
            hyper_parameters={"lr": 0.1},
            datamodule_hyper_parameters={"batch": 32, "data_dir": "/data/x"},
        ),
        (
            {"lr": 0.1},
            {
                "hparams_name": "kwargs",
                "datamodule_hyper_parameters": {"batch": 32, "data_dir": "/data/x"},
            },
            400,
        ),
    ),
    "Lightning before 1.0": (
        lightning_checkpoint(hparams={"lr": 0.1}, hparams_type="Namespace"),
        ({"lr": 0.1}, {"hparams_name": "kwargs", "hparams_type": "Namespace"}, 400),
    ),
    "git": (
        {
            "state_dict": {"w": FakeTensor()},
            "git": {"commit": "abc"},
            "arch": "r18",
            "cfg": "model = dict(type='X')",
        },
        (
            None,
            {"git": {"commit": "abc"}, "arch": "r18", "cfg": "model = dict(type='X')"},
            None,
        ),
    ),
}


@pytest.mark.parametrize("kind", STATEMENTS)
def test_what_the_file_says_of_itself_is_kept_whole(tmp_path: Path, kind: str) -> None:
    content, told = STATEMENTS[kind]
    found = checkpoint_of(write_torch_zip(tmp_path / "a.ckpt", content))
    assert (found.hyper_parameters, found.statements, found.global_step) == told


def test_statements_are_asked_for_like_configs(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    write_torch_zip(tmp_path / "tree/ckpt.pt", STATEMENTS["nanoGPT"][0])
    catalog = Catalog(tmp_path / "x.db")
    catalog.ingest([tmp_path / "tree"])
    rows = catalog.query("config", {"key": "model_args.n_layer"}).dicts()
    assert [(row["kind"], row["number"]) for row in rows] == [("statements", 2.0)]


def test_credentials_in_statements_are_not_kept(tmp_path: Path) -> None:
    content = lightning_checkpoint(git={"url": "x", "token": "very-secret-text"})
    facts = facts_of(write_torch_zip(tmp_path / "a.ckpt", content))
    assert "very-secret-text" not in repr(facts)
    assert facts.problems


def test_credentials_in_hyper_parameters_are_not_kept(tmp_path: Path) -> None:
    content = lightning_checkpoint(hyper_parameters={"api_key": "very-secret-text", "lr": 0.1})
    facts = facts_of(write_torch_zip(tmp_path / "a.ckpt", content))
    assert "very-secret-text" not in repr(facts)
    assert facts.problems


@pytest.mark.parametrize(
    "content",
    [
        {"w": FakeTensor(shape=(2, 2))},
        {"model": {"w": FakeTensor(shape=(2, 2))}, "optimizer": {"x": FakeTensor(shape=(9,))}},
        {"module": {"w": FakeTensor(shape=(2, 2))}, "ds_version": "0.14"},
        {"model": {"state_dict": {"w": FakeTensor(shape=(2, 2))}}},
        OrderedDict(w=FakeTensor(shape=(2, 2))),
    ],
)
def test_the_model_is_found_where_frameworks_put_it(tmp_path: Path, content: Any) -> None:
    found = checkpoint_of(write_torch_zip(tmp_path / "a.pt", content))
    assert found.tensors == (Tensor("w", "float32", (2, 2)),)
    assert found.parameter_count == 4


def test_several_state_dicts_are_told_apart_by_their_names(tmp_path: Path) -> None:
    tensor = FakeTensor(shape=(2,))
    content = {"actor": {"w": tensor}, "critic": {"w": tensor}, "optimizer": {"w": tensor}}
    found = checkpoint_of(write_torch_zip(tmp_path / "a.pt", content))
    assert [tensor.name for tensor in found.tensors] == ["actor.w", "critic.w"]


def test_a_pickled_module_gives_its_tensors_by_their_state_dict_names(tmp_path: Path) -> None:
    def module(tensors: dict[str, Any], children: dict[str, Any]) -> FakeObject:
        state = {"_parameters": tensors, "_buffers": {}, "_modules": children}
        return FakeObject(FakeGlobal("project.nets", "Net"), (), state)

    net = module({}, {"a": module({"weight": FakeTensor(shape=(2, 2))}, {}), "b": None})
    content = {"model": net, "train_args": {"epochs": 3}, "train_metrics": {"mAP50": 0.5}}
    found = checkpoint_of(write_torch_zip(tmp_path / "best.pt", content))
    assert found.tensors == (Tensor("a.weight", "float32", (2, 2)),)
    assert found.framework == "ultralytics"
    assert found.hyper_parameters == {"epochs": 3}
    assert found.scores == (Score("mAP50", 0.5, "train_metrics"),)
    assert found.safety == "unknown"


@pytest.mark.parametrize(
    ("content", "framework", "epoch", "step"),
    [
        ({"meta": {"mmengine_version": "0.10", "epoch": 2, "iter": 9}}, "openmmlab", 2, 9),
        (
            {
                "args": None,
                "optimizer_history": [{"num_updates": 50}],
                "extra_state": {"train_iterator": {"epoch": 4}},
            },
            "fairseq",
            4,
            50,
        ),
        ({"arch": "resnet18", "args": {"lr": 1}, "metric": 0.5, "epoch": 6}, "timm", 6, None),
        ({"epoch": -1, "model": {}}, "torch", None, None),
        ({"epoch": 2, "iteration": 30}, "torch", 2, 30),
    ],
)
def test_epoch_and_step_of_other_frameworks(
    tmp_path: Path, content: Any, framework: str, epoch: int | None, step: int | None
) -> None:
    found = checkpoint_of(write_torch_zip(tmp_path / "a.pth", content))
    assert (found.framework, found.epoch, found.global_step) == (framework, epoch, step)


def test_archive_of_another_kind_is_foreign(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.pt", [("x/readme.txt", b"hello")])
    facts = facts_of(path)
    assert facts.checkpoint is not None
    assert (facts.checkpoint.format, facts.checkpoint.status) == ("zip", "foreign")
    assert codes(facts) == ["foreign-content"]


def test_a_legacy_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = write_torch_legacy(tmp_path / "a.pt", {"state_dict": {"w": FakeTensor(shape=(3, 4))}})
    assert checkpoint_of(path).status == "readable"
    changed = path.read_bytes().replace(b"K\x03K\x04\x86", b"K\x03K\x0c\x86", 1)
    path.write_bytes(changed)
    found = checkpoint_of(path)
    assert (found.status, found.reason) == (
        "unreadable",
        "a tensor reaches beyond the end of its storage 0",
    )
