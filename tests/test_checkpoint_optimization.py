"""Optimizers, schedulers and learning rates: as far as a checkpoint states them, and no further."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog
from tests.support.checkpoint_reading import checkpoint_of
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    scalar,
    write_torch_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Checkpoint

STATE = {"w": FakeTensor(shape=(2,))}


def groups(*rates: Any) -> dict[str, Any]:
    return {"state": {}, "param_groups": [{"lr": rate, "params": []} for rate in rates]}


def found(tmp_path: Path, content: Any) -> Checkpoint:
    return checkpoint_of(write_torch_zip(tmp_path / "a.ckpt", content))


def test_every_group_of_every_optimizer_has_its_rate(tmp_path: Path) -> None:
    content = lightning_checkpoint(
        state_dict=STATE, optimizer_states=[groups(0.1, 0.01), groups(scalar(0.5))]
    )
    one = found(tmp_path, content)
    assert one.learning_rates == (0.1, 0.01, 0.5)
    # A state dict does not say whose it is.
    assert (one.optimizers, one.schedulers) == ((), ())


@pytest.mark.parametrize("key", ["optimizer", "optimizer_state_dict"])
def test_the_state_of_one_optimizer(tmp_path: Path, key: str) -> None:
    assert found(tmp_path, {"model": STATE, key: groups(3e-4)}).learning_rates == (3e-4,)


def test_objects_that_were_pickled_whole_tell_their_class(tmp_path: Path) -> None:
    content = {
        "model": STATE,
        "optimizer": FakeObject(FakeGlobal("torch.optim.adamw", "AdamW"), (), groups(0.25)),
        "scheduler": FakeObject(
            FakeGlobal("torch.optim.lr_scheduler", "CosineAnnealingLR"), (), {"T_max": 5}
        ),
    }
    one = found(tmp_path, content)
    assert (one.optimizers, one.schedulers) == (("AdamW",), ("CosineAnnealingLR",))
    assert one.learning_rates == (0.25,)


NAMED: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "timm": (
        {"arch": "vit", "metric": 1.0, "args": {"opt": "lamb", "sched": "cosine"}},
        ("lamb",),
        ("cosine",),
    ),
    "ultralytics": (
        {"train_args": {"optimizer": "SGD"}, "train_metrics": {}, "date": "x"}, ("SGD",), (),
    ),
    "ultralytics, undecided": (
        {"train_args": {"optimizer": "auto"}, "train_metrics": {}, "date": "x"}, (), (),
    ),
    "fairseq, by its history": (
        {"optimizer_history": [{"optimizer_name": "FairseqAdam", "num_updates": 3}], "args": None},
        ("FairseqAdam",),
        (),
    ),
    "fairseq, by its config": (
        {
            "optimizer_history": [{"num_updates": 3}],
            "cfg": {"optimizer": {"_name": "adam"}, "lr_scheduler": {"_name": "inverse_sqrt"}},
        },
        ("adam",),
        ("inverse_sqrt",),
    ),
    "arguments of nobody known": ({"args": {"opt": "lamb", "optimizer": "x"}}, (), ()),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMED)
def test_arguments_name_them_where_the_framework_is_known(tmp_path: Path, kind: str) -> None:
    content, optimizers, schedulers = NAMED[kind]
    one = found(tmp_path, {"model": STATE, **content})
    assert (one.optimizers, one.schedulers) == (optimizers, schedulers)


@pytest.mark.parametrize("odd", [None, 7, "text", [], [1, None], {"param_groups": 5}, {"x": {}}])
def test_other_things_under_these_names_do_no_harm(tmp_path: Path, odd: Any) -> None:
    one = found(tmp_path, {"model": STATE, "optimizer": odd, "optimizer_history": odd})
    assert (one.status, one.learning_rates) == ("readable", ())


def test_they_stand_in_the_catalog(tmp_path: Path, database: str) -> None:
    (tmp_path / "tree").mkdir()
    content = {
        "state_dict": {"w": FakeTensor(shape=(2,))}, "arch": "vit", "metric": 1.0,
        "args": {"opt": "lamb", "sched": "cosine"}, "optimizer": groups(0.5, float("nan")),
    }  # fmt: skip
    write_torch_zip(tmp_path / "tree" / "a.pth.tar.pt", content)
    catalog = Catalog(database)
    catalog.ingest([tmp_path / "tree"])
    (row,) = catalog.sql("SELECT optimizers, schedulers, learning_rates FROM checkpoint").rows
    assert [json.loads(cell) for cell in row] == [
        ["lamb"], ["cosine"], [0.5, {"__float__": "nan"}],
    ]  # fmt: skip


def test_tied_weights_stand_in_the_architecture(tmp_path: Path, database: str) -> None:
    (tmp_path / "tree").mkdir()
    tied = FakeTensor(shape=(5, 2))
    for name in ("a.pt", "b.pt"):
        write_torch_zip(tmp_path / "tree" / name, {"emb": tied, "x": STATE["w"], "head": tied})
    untied = {"emb": tied, "x": STATE["w"], "head": FakeTensor(shape=(5, 2))}
    write_torch_zip(tmp_path / "tree" / "c.pt", untied)
    catalog = Catalog(database)
    catalog.ingest([tmp_path / "tree"])
    rows = catalog.sql(
        "SELECT c.id, t.name, t.bytes, t.shares FROM checkpoint c"
        " JOIN architecture_tensor t ON t.architecture_id = c.architecture_id"
        " ORDER BY c.id, t.position"
    ).rows
    shared = [(1, "emb", 40, None), (1, "x", 8, None), (1, "head", 40, 0)]
    assert rows[:3] == shared
    assert [row[3] for row in rows[6:]] == [None, None, None]
    # The first two have one architecture, the third another.
    assert catalog.sql("SELECT COUNT(*) FROM architecture").rows == [(2,)]
    by_type = catalog.query("checkpoint_dtypes").dicts()
    assert sorted((row["path"], row["tied"], row["bytes"]) for row in by_type) == [
        ("a.pt", 1, 48), ("b.pt", 1, 48), ("c.pt", 0, 88),
    ]  # fmt: skip
