"""Checkpoints of several files and folders: each is one, and is whole or told why not."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from tests.support.folder_files import (
    write_deepspeed,
    write_distributed,
    write_trainer_state,
)
from tests.support.torch_files import (
    FakeGlobal,
    FakeObject,
    FakeTensor,
    lightning_checkpoint,
    write_torch_zip,
    write_zip,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPES: dict[str, tuple[int, ...]] = {"a": (8, 4), "b": (4, 4), "c": (3,)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(tmp_path: Path, empty_db: Path) -> Catalog:
    return Catalog(empty_db)


def found(catalog: Catalog, tree: Path) -> dict[str, dict[str, Any]]:
    """Ingest a tree; return every checkpoint that is present by its path, with its problems."""
    catalog.ingest([tree])
    rows = catalog.sql(
        "SELECT f.path, f.size, c.format, c.status, c.reason, c.parameter_count, c.epoch,"
        " c.global_step, c.weights_doubt, c.weights_fingerprint, c.safety, c.framework, c.own_score"
        " FROM checkpoint c JOIN file f ON f.id = c.id WHERE f.state = 'present'"
    ).dicts()
    problems: dict[str, list[str]] = {}
    for row in catalog.sql("SELECT path, message FROM open_problems").dicts():
        problems.setdefault(row["path"], []).append(row["message"])
    known = {row["path"]: row | {"problems": problems.pop(row["path"], [])} for row in rows}
    assert problems == {}
    for path, row in known.items():
        done = CliRunner().invoke(app, ["inspect", str(tree / path), "-f", "json"])
        told = json.loads(done.stdout)
        names = ("size", "format", "status", "reason", "parameter_count")
        assert {name: told[name] for name in names} == {name: row[name] for name in names}
    return known


def only(catalog: Catalog, tree: Path, path: str) -> dict[str, Any]:
    """Return the only checkpoint of a tree, which has a certain name."""
    rows = found(catalog, tree)
    assert set(rows) == {path}
    return rows[path]


def size_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# Hugging Face Trainer, whose weights are in a folder below.


def trainer_fsdp(tree: Path) -> Path:
    folder = write_trainer_state(tree / "checkpoint-100")
    write_distributed(folder / "pytorch_model_fsdp_0", SHAPES, ranks=2)
    write_distributed(folder / "optimizer_0", {"state.0.exp_avg": (4,)}, prefix="optimizer.")
    return folder


def trainer_deepspeed(tree: Path) -> Path:
    folder = write_trainer_state(tree / "checkpoint-100")
    write_deepspeed(folder / "global_step100", zero=3)
    (folder / "latest").write_text("global_step100")
    return folder


def test_trainer_checkpoint_of_fsdp_is_one_with_the_weights_below_it(
    catalog: Catalog, tree: Path
) -> None:
    folder = trainer_fsdp(tree)
    row = only(catalog, tree, "checkpoint-100")
    assert (row["format"], row["status"], row["problems"]) == ("hf-trainer", "readable", [])
    assert (row["parameter_count"], row["global_step"]) == (51, 100)
    assert "`accelerate merge-weights`" in row["weights_doubt"]
    assert row["weights_fingerprint"] is None
    assert row["size"] == size_below(folder)


def test_trace_tells_where_the_weights_are_and_what_joins_them(
    catalog: Catalog, tree: Path
) -> None:
    folder = trainer_fsdp(tree)
    catalog.ingest([tree])
    database = str(catalog.location.file)
    done = CliRunner().invoke(app, ["trace", str(folder), "--db", database])
    assert "sharded in pytorch_model_fsdp_0; `accelerate merge-weights`" in done.stdout


def test_trainer_checkpoint_whose_shards_have_no_metadata_says_so(
    catalog: Catalog, tree: Path
) -> None:
    (trainer_fsdp(tree) / "pytorch_model_fsdp_0/.metadata").unlink()
    row = only(catalog, tree, "checkpoint-100")
    assert row["status"] == "truncated"
    assert row["reason"] == "its .metadata is missing (in pytorch_model_fsdp_0)"
    assert len(row["problems"]) == 1


def test_trainer_checkpoint_of_deepspeed_is_one_with_the_weights_below_it(
    catalog: Catalog, tree: Path
) -> None:
    trainer_deepspeed(tree)
    row = only(catalog, tree, "checkpoint-100")
    assert (row["format"], row["status"], row["problems"]) == ("hf-trainer", "readable", [])
    assert row["parameter_count"] == 14  # 12 that `param_shapes` states, and a buffer
    assert "`zero_to_fp32.py`" in row["weights_doubt"]


def test_trainer_checkpoint_of_deepspeed_whose_last_tag_is_gone(
    catalog: Catalog, tree: Path
) -> None:
    (trainer_deepspeed(tree) / "latest").write_text("global_step200")
    row = only(catalog, tree, "checkpoint-100")
    assert row["status"] == "truncated"
    assert row["reason"] == "its file latest names global_step200, which is not there"


def test_trainer_checkpoint_with_no_weights_anywhere_says_so(catalog: Catalog, tree: Path) -> None:
    folder = trainer_fsdp(tree)
    shutil.rmtree(folder / "pytorch_model_fsdp_0")
    row = only(catalog, tree, "checkpoint-100")
    assert (row["status"], row["reason"]) == ("truncated", "the folder holds no weights")


# torch.distributed.


@pytest.mark.parametrize("name", ["last.ckpt", "step-100", "pytorch_model_fsdp_0"])
def test_distributed_folder_is_whole_with_all_its_shards(
    catalog: Catalog, tree: Path, name: str
) -> None:
    folder = write_distributed(tree / name, SHAPES, ranks=3)
    write_torch_zip(folder / "meta.pt", {"epoch": 5, "pytorch-lightning_version": "2.4.0"})
    row = only(catalog, tree, name)
    assert (row["format"], row["status"], row["problems"]) == ("torch-distributed", "readable", [])
    assert (row["parameter_count"], row["epoch"], row["framework"]) == (51, 5, "lightning")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 7)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize(
    ("part", "harm", "reason"),
    [
        (".metadata", os.unlink, "its .metadata is missing"),
        ("__1_0.distcp", os.unlink, "1 of its 3 shard files is missing"),
        ("__1_0.distcp", cut, "__1_0.distcp is cut: 7 of "),
        ("__1_0.distcp", zeros, "__1_0.distcp holds zeros"),
        (".metadata", cut, "its .metadata cannot be read: the pickle has no end mark"),
        (".metadata", zeros, "its .metadata is not that of torch.distributed"),
    ],
)
def test_distributed_folder_with_a_damaged_part_is_not_whole(
    catalog: Catalog, tree: Path, part: str, harm: Callable[[Path], None], reason: str
) -> None:
    harm(write_distributed(tree / "step-100", SHAPES, ranks=3) / part)
    row = only(catalog, tree, "step-100")
    assert row["status"] in {"truncated", "unreadable"}
    assert row["reason"].startswith(reason)
    assert len(row["problems"]) == 1


def test_distributed_folder_of_an_optimizer_is_no_model(catalog: Catalog, tree: Path) -> None:
    write_distributed(tree / "optimizer_0", {"state.0.exp_avg": (4,)}, prefix="optimizer.")
    row = only(catalog, tree, "optimizer_0")
    assert (row["status"], row["parameter_count"]) == ("foreign", None)
    assert row["reason"] == "it holds the state of an optimizer and no weights"


def test_a_metadata_file_of_something_else_is_no_model(catalog: Catalog, tree: Path) -> None:
    (tree / "app").mkdir()
    (tree / "app/.metadata").write_text("# This file tracks properties of this project.\n")
    row = only(catalog, tree, "app")
    assert (row["status"], row["problems"]) == ("foreign", [])


def test_metadata_too_large_to_be_read_is_only_recognised(
    catalog: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sources.formats.torch_distributed.MAX_METADATA", 100)
    write_distributed(tree / "step-100", SHAPES)
    row = only(catalog, tree, "step-100")
    assert (row["status"], row["problems"]) == ("recognised", [])
    assert "100 are read at most" in row["reason"]


def test_a_shard_that_is_a_link_out_of_the_tree_is_missing(
    catalog: Catalog, tree: Path, tmp_path: Path
) -> None:
    folder = write_distributed(tree / "step-100", SHAPES, ranks=2)
    (folder / "__1_0.distcp").rename(tmp_path / "outside")
    (folder / "__1_0.distcp").symlink_to(tmp_path / "outside")
    catalog.ingest([tree])
    (row,) = catalog.sql("SELECT status, reason FROM checkpoint WHERE format <> 'unknown'").dicts()
    assert row == {"status": "truncated", "reason": "1 of its 2 shard files is missing"}


# DeepSpeed.


def lightning_deepspeed(folder: Path, tag: str = "checkpoint", **others: Any) -> Path:
    content = lightning_checkpoint(epoch=2, **others)
    content["module"] = content.pop("state_dict")
    write_deepspeed(folder / tag, **content)
    (folder / "latest").write_text(tag)
    (folder / "zero_to_fp32.py").write_text("")
    return folder


@pytest.mark.parametrize("tag", ["checkpoint", "global_step1"])
def test_lightning_deepspeed_folder_is_one_by_the_outer_name(
    catalog: Catalog, tree: Path, tag: str
) -> None:
    lightning_deepspeed(tree / "last.ckpt", tag, best_k={"last.ckpt": 0.5, "best.ckpt": 0.75})
    row = only(catalog, tree, "last.ckpt")
    assert row["own_score"] == 0.5
    assert (row["format"], row["status"], row["problems"]) == ("deepspeed", "readable", [])
    assert (row["epoch"], row["parameter_count"], row["framework"]) == (2, 16, "lightning")
    assert row["weights_fingerprint"] is None
    assert row["weights_doubt"]


def test_lightning_deepspeed_folder_is_one_under_a_name_without_suffix(
    catalog: Catalog, tree: Path
) -> None:
    lightning_deepspeed(tree / "epoch=2")
    assert only(catalog, tree, "epoch=2")["status"] == "readable"


def test_lightning_deepspeed_folder_without_its_model_file_is_one_and_not_whole(
    catalog: Catalog, tree: Path
) -> None:
    folder = lightning_deepspeed(tree / "last.ckpt")
    (folder / "checkpoint/mp_rank_00_model_states.pt").unlink()
    row = only(catalog, tree, "last.ckpt")
    assert row["status"] == "truncated"
    assert row["reason"] == "its model file (mp_rank_00_model_states.pt) is missing"


@pytest.mark.parametrize("zero", [2, 3])
@pytest.mark.parametrize("rank", [0, 1])
def test_every_process_must_have_left_its_file_of_the_optimizer(
    catalog: Catalog, tree: Path, zero: int, rank: int
) -> None:
    folder = write_deepspeed(tree / "run/global_step7", zero=zero)
    (folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt").unlink()
    row = only(catalog, tree, "run/global_step7")
    assert (row["status"], row["global_step"]) == ("truncated", 7)
    assert row["reason"] == "1 of its 2 optimizer files is missing"


def test_every_process_must_have_left_its_model_file_under_zero_3(
    catalog: Catalog, tree: Path
) -> None:
    folder = write_deepspeed(tree / "global_step7", ranks=3, zero=3)
    (folder / "zero_pp_rank_1_mp_rank_00_model_states.pt").unlink()
    row = only(catalog, tree, "global_step7")
    assert (row["status"], row["reason"]) == ("truncated", "1 of its 3 model files is missing")


@pytest.mark.parametrize("harm", [cut, zeros, lambda path: os.truncate(path, 0)])
def test_a_damaged_file_of_another_process_is_noticed(
    catalog: Catalog, tree: Path, harm: Callable[[Path], None]
) -> None:
    folder = write_deepspeed(tree / "global_step7")
    harm(folder / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt")
    row = only(catalog, tree, "global_step7")
    assert row["status"] in {"truncated", "unreadable"}
    assert "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt" in row["reason"]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n" + bytes(99), b"text\n" * 99, pickle.dumps({"a": [1, 2]}, 4)]
)
@pytest.mark.parametrize("kind", ["optim", "model"])
def test_a_file_of_a_process_that_is_none_of_torch_damages_the_folder(
    catalog: Catalog, tree: Path, rank: int, content: bytes, kind: str
) -> None:
    folder = write_deepspeed(tree / "global_step7", zero=3)
    prefix = "bf16_" if kind == "optim" else ""
    name = f"{prefix}zero_pp_rank_{rank}_mp_rank_00_{kind}_states.pt"
    (folder / name).write_bytes(content)
    row = only(catalog, tree, "global_step7")
    assert row["status"] == "unreadable"
    assert row["reason"].startswith(f"{name}: ")
    assert "no file of torch" in row["reason"]
    assert len(row["problems"]) == 1


def test_more_files_than_are_read_are_only_recognised(
    catalog: Catalog, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sources.formats.parts.MAX_READ", 2)
    write_deepspeed(tree / "global_step7", ranks=4)
    row = only(catalog, tree, "global_step7")
    assert (row["status"], row["problems"]) == ("recognised", [])
    assert row["reason"] == "2 of its 4 further files are read at most"


def test_a_dangerous_file_of_another_process_is_noticed(catalog: Catalog, tree: Path) -> None:
    folder = write_deepspeed(tree / "global_step7")
    evil = FakeObject(FakeGlobal("os", "system"), ("true",))
    write_torch_zip(folder / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt", {"x": evil})
    assert only(catalog, tree, "global_step7")["safety"] == "dangerous"


def test_placeholders_whose_shapes_are_not_stated_are_not_counted(
    catalog: Catalog, tree: Path
) -> None:
    write_deepspeed(tree / "global_step7", zero=3, param_shapes=None)
    row = only(catalog, tree, "global_step7")
    assert (row["status"], row["parameter_count"]) == ("readable", None)
    assert "not stated" in row["weights_doubt"]


def test_tags_of_one_training_are_checkpoints_each(catalog: Catalog, tree: Path) -> None:
    for step in (1, 2):
        write_deepspeed(tree / f"out/global_step{step}")
    (tree / "out/latest").write_text("global_step2")
    assert set(found(catalog, tree)) == {"out/global_step1", "out/global_step2"}


def test_files_of_an_optimizer_alone_are_no_model(catalog: Catalog, tree: Path) -> None:
    folder = write_deepspeed(tree / "optimizers")
    (folder / "mp_rank_00_model_states.pt").unlink()
    assert only(catalog, tree, "optimizers")["status"] == "foreign"


# Orbax.


def write_step(folder: Path, *items: str) -> Path:
    for name in items:
        (folder / name / "d").mkdir(parents=True)
        for file in ("_METADATA", "_sharding", "manifest.ocdbt", "d/0a1b"):
            (folder / name / file).write_bytes(b"{}")
    (folder / "_CHECKPOINT_METADATA").write_text("{}")
    return folder


def test_orbax_step_is_one_checkpoint_with_all_its_items(catalog: Catalog, tree: Path) -> None:
    folder = write_step(tree / "ckpts/100", "params", "opt_state")
    row = only(catalog, tree, "ckpts/100")
    assert (row["format"], row["status"], row["problems"]) == ("orbax", "recognised", [])
    assert row["size"] == size_below(folder)


def test_orbax_item_alone_is_one_checkpoint(catalog: Catalog, tree: Path) -> None:
    (write_step(tree / "100", "default") / "_CHECKPOINT_METADATA").unlink()
    assert only(catalog, tree, "100/default")["status"] == "recognised"


@pytest.mark.parametrize(
    "name", ["200.orbax-checkpoint-tmp-17", "200.orbax-checkpoint-tmp", "x.orbax-checkpoint-tmp-1"]
)
def test_orbax_save_that_was_not_finished_is_not_whole(
    catalog: Catalog, tree: Path, name: str
) -> None:
    write_step(tree / name, "default")
    row = only(catalog, tree, name)
    assert row["status"] == "truncated"
    assert row["reason"].startswith("its save was not finished")
    assert len(row["problems"]) == 1


def test_orbax_item_that_was_not_finished_makes_the_step_not_whole(
    catalog: Catalog, tree: Path
) -> None:
    write_step(tree / "100", "params", "state.orbax-checkpoint-tmp-3")
    assert only(catalog, tree, "100")["status"] == "truncated"


def test_orbax_save_that_was_not_finished_is_told_from_inside_of_it(
    catalog: Catalog, tree: Path
) -> None:
    inner = write_step(tree / "200.orbax-checkpoint-tmp-17", "default") / "default"
    assert only(catalog, inner, ".")["status"] == "truncated"


# TensorFlow.


def write_saved_model(folder: Path) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x40 VarHandleOp")
    for name in ("index", "data-00000-of-00002", "data-00001-of-00002"):
        (folder / f"variables/variables.{name}").write_bytes(b"x")
    return folder


def test_saved_model_is_one_with_its_variables(catalog: Catalog, tree: Path) -> None:
    folder = write_saved_model(tree / "model")
    row = only(catalog, tree, "model")
    assert (row["format"], row["status"], row["problems"]) == ("tf-saved-model", "recognised", [])
    assert row["size"] == size_below(folder)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("variables.index", "its variables/variables.index is missing"),
        ("variables.data-00001-of-00002", "1 of its 2 data files is missing"),
        ("", "its variables/variables.index is missing"),
    ],
)
def test_saved_model_without_its_variables_is_not_whole(
    catalog: Catalog, tree: Path, part: str, reason: str
) -> None:
    path = write_saved_model(tree / "model") / "variables" / part
    path.unlink() if part else shutil.rmtree(path)
    row = only(catalog, tree, "model")
    assert (row["status"], row["reason"]) == ("truncated", reason)


def test_saved_model_whose_graph_has_no_variables_needs_none(catalog: Catalog, tree: Path) -> None:
    shutil.rmtree(write_saved_model(tree / "model") / "variables")
    (tree / "model/saved_model.pb").write_bytes(b"\x08\x01\x12\x40 AddV2")
    assert only(catalog, tree, "model")["status"] == "recognised"


@pytest.mark.parametrize(
    ("lost", "name", "reason"),
    [
        ("index", "model.ckpt-10.data-00000-of-00001", "its .index is missing"),
        ("data-00000-of-00001", "model.ckpt-10.index", "its data files are missing"),
    ],
)
def test_a_half_of_a_tensorflow_checkpoint_is_not_passed_over(
    catalog: Catalog, tree: Path, lost: str, name: str, reason: str
) -> None:
    for suffix in {"index", "data-00000-of-00001"} - {lost}:
        (tree / f"model.ckpt-10.{suffix}").write_bytes(b"x")
    row = only(catalog, tree, name)
    assert row["status"] == "truncated"
    assert row["reason"].startswith(reason)


# Others.


def test_accelerate_state_with_a_sharded_model_is_one(catalog: Catalog, tree: Path) -> None:
    folder = tree / "checkpoint_0"
    write_distributed(folder / "pytorch_model_fsdp_0", SHAPES)
    write_distributed(folder / "optimizer_0", {"state": (4,)}, prefix="optimizer.")
    (folder / "random_states_0.pkl").write_bytes(b"\x80\x04}.")
    row = only(catalog, tree, "checkpoint_0")
    assert (row["format"], row["status"], row["parameter_count"]) == ("accelerate", "readable", 51)


def test_accelerate_state_of_deepspeed_is_one(catalog: Catalog, tree: Path) -> None:
    write_deepspeed(tree / "checkpoint_0/pytorch_model")
    (tree / "checkpoint_0/latest").write_text("pytorch_model")
    row = only(catalog, tree, "checkpoint_0")
    assert (row["format"], row["status"]) == ("accelerate", "readable")


def write_ranks(folder: Path, ranks: int = 4) -> Path:
    folder.mkdir(parents=True)
    for rank in range(ranks):
        for what in ("model", "optim", "extra_state"):
            path = folder / f"{what}_world_size_{ranks}_rank_{rank}.pt"
            write_torch_zip(path, {"w": FakeTensor(shape=(2, 3))})
    return folder


def test_files_of_all_ranks_are_one_checkpoint(catalog: Catalog, tree: Path) -> None:
    folder = write_ranks(tree / "global_step_10/actor")
    row = only(catalog, tree, "global_step_10/actor")
    assert (row["status"], row["parameter_count"], row["problems"]) == ("readable", None, [])
    assert row["weights_doubt"]
    assert row["size"] == size_below(folder)


def test_the_file_of_a_rank_that_is_missing_is_told(catalog: Catalog, tree: Path) -> None:
    (write_ranks(tree / "actor") / "model_world_size_4_rank_2.pt").unlink()
    row = only(catalog, tree, "actor")
    assert (row["status"], row["reason"]) == ("truncated", "1 of its 4 model files is missing")


def write_megatron(folder: Path, tensor: int = 2, pipeline: int = 2) -> Path:
    sizes = {"tensor_model_parallel_size": tensor, "pipeline_model_parallel_size": pipeline}
    arguments = FakeObject(FakeGlobal("argparse", "Namespace"), (), sizes)
    content = {"args": arguments, "iteration": 1000, "model": {"w": FakeTensor(shape=(2, 3))}}
    for rank in range(tensor):
        for stage in range(pipeline):
            path = folder / f"mp_rank_{rank:02d}_{stage:03d}/model_optim_rng.pt"
            path.parent.mkdir(parents=True)
            write_torch_zip(path, content)
    return folder


def test_megatron_iteration_is_one_checkpoint(catalog: Catalog, tree: Path) -> None:
    write_megatron(tree / "iter_0001000")
    row = only(catalog, tree, "iter_0001000")
    assert (row["format"], row["status"], row["global_step"]) == ("megatron", "readable", 1000)
    assert row["parameter_count"] is None
    assert row["weights_doubt"]


def test_megatron_iteration_without_a_rank_is_not_whole(catalog: Catalog, tree: Path) -> None:
    shutil.rmtree(write_megatron(tree / "iter_0001000") / "mp_rank_01_001")
    row = only(catalog, tree, "iter_0001000")
    assert (row["status"], row["reason"]) == ("truncated", "1 of its 4 model files is missing")


# The tree, and what changes in it.


def test_a_folder_of_folders_is_read_again_only_when_a_part_changed(
    catalog: Catalog, tree: Path
) -> None:
    folder = trainer_fsdp(tree)
    first, again = catalog.ingest([tree]), catalog.ingest([tree])
    assert (first.read > 0, again.read) == (True, 0)
    part = folder / "pytorch_model_fsdp_0/__0_0.distcp"
    cut(part)
    assert only(catalog, tree, "checkpoint-100")["status"] == "truncated"
    shutil.rmtree(folder / "pytorch_model_fsdp_0")
    assert only(catalog, tree, "checkpoint-100")["reason"] == "the folder holds no weights"


def test_ingesting_a_folder_of_a_checkpoint_is_ingesting_the_checkpoint(
    catalog: Catalog, tree: Path
) -> None:
    inner = lightning_deepspeed(tree / "last.ckpt") / "checkpoint"
    catalog.ingest([tree])
    (inner / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    catalog.ingest([inner])
    rows = catalog.sql("SELECT f.path, c.status FROM checkpoint c JOIN file f ON f.id = c.id")
    assert rows.rows == [("last.ckpt", "truncated")]


def test_what_a_pattern_leaves_out_of_a_checkpoint_is_no_part_of_it(
    catalog: Catalog, tree: Path
) -> None:
    trainer_fsdp(tree)
    (tree / ".catalogignore").write_text("optimizer_0/\n")
    row = only(catalog, tree, "checkpoint-100")
    left = (tree / "checkpoint-100/optimizer_0").rglob("*")
    whole = size_below(tree / "checkpoint-100")
    assert row["size"] == whole - sum(path.stat().st_size for path in left)


def test_a_file_that_became_a_part_is_not_called_gone(catalog: Catalog, tree: Path) -> None:
    folder = tree / "last.ckpt/checkpoint"
    folder.mkdir(parents=True)
    lone = write_torch_zip(folder / "model.pt", {"state_dict": {"w": FakeTensor(shape=(2,))}})
    catalog.ingest([tree])
    lightning_deepspeed(tree / "last.ckpt")
    done = catalog.ingest([tree])
    assert lone.exists()
    assert done.missing == 0
    (row,) = catalog.sql("SELECT missing_ingest_id FROM file WHERE path LIKE '%model.pt'").dicts()
    assert row == {"missing_ingest_id": None}


def test_an_empty_folder_with_a_checkpoints_name_is_told(catalog: Catalog, tree: Path) -> None:
    (tree / "last.ckpt/checkpoint").mkdir(parents=True)
    catalog.ingest([tree])
    (row,) = catalog.sql("SELECT path, code FROM open_problems").dicts()
    assert row == {"path": "last.ckpt", "code": "directory-named-checkpoint"}


def test_a_zip_of_something_else_is_not_called_a_models_file(catalog: Catalog, tree: Path) -> None:
    folder = write_deepspeed(tree / "global_step7")
    write_zip(folder / "mp_rank_00_model_states.pt", [("a.txt", b"x")])
    row = only(catalog, tree, "global_step7")
    assert row["status"] not in {"readable", "recognised"}
