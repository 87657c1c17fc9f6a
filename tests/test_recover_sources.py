"""Which source a sidecar is cut from, which are compared with it, and when nothing is written."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.recover.compare import differences, open_keys
from catalog.recover.policy import Place, own_places, shared_places
from catalog.settings import Settings
from tests.support.recovery import MODEL, catalog_of, only, project, snapshot, state_of
from tests.support.torch_files import FakeTensor, lightning_checkpoint, write_torch_zip
from tests.support.trees import Training
from tests.support.wandb_files import write_hydra_directory, write_run_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def explained(catalog: Catalog, **more: Any) -> list[tuple[str, str]]:
    rows = catalog.explain_recovery(**more).dicts()
    return [(row["source"], row["verdict"]) for row in rows]


def sidecar_of(checkpoint: Path) -> Any:
    return json.loads(checkpoint.with_suffix(".config.json").read_text())


def rewrite(path: Path, text: str) -> None:
    """Change a file's text; its time says so."""
    path.write_text(text)


def config_file(root: Path) -> Path:
    return next(root.glob("wandb/*/files/config.yaml"))


def with_hyper_parameters(checkpoint: Path, hyper_parameters: Any, **more: Any) -> None:
    """Write the checkpoint of a `Training` anew, with hyper-parameters inside."""
    when = checkpoint.stat().st_mtime
    folder = f"/home/team/project/outputs/{checkpoint.parents[1].name}/checkpoints"
    content = lightning_checkpoint(
        epoch=1,
        best_k={"best.ckpt": 0.7231270074844360},
        directory=folder,
        hyper_parameters=hyper_parameters,
        **more,
    )
    write_torch_zip(checkpoint, content)
    os.utime(checkpoint, (when, when))


def places(path: str, format_: str, settings: Settings) -> Iterator[Place]:
    yield from own_places(path, format_, settings)
    yield from shared_places(posixpath.dirname(path), settings)


def test_the_policy_is_the_order_in_which_inference_looks() -> None:
    listed = [place.path for place in places("a/b/c/best.ckpt", "torch-zip", Settings())]
    assert listed == [
        "a/b/c/best.config.json",
        "a/b/c/best.config.yaml",
        "a/b/c/best.resolved.config.json",
        "a/b/c/config.yaml",
        "a/b/c/hparams.yaml",
        "a/b/c/train.yaml",
        "a/b/c/predict.yaml",
        "a/b/config.yaml",
        "a/b/hparams.yaml",
        "a/b/train.yaml",
        "a/b/predict.yaml",
        "a/b/.hydra/config.yaml",
        "a/.hydra/config.yaml",
    ]
    folder = [place.path for place in places("a/checkpoint-5", "hf-trainer", Settings())]
    assert folder[:2] == ["a/checkpoint-5/config.json", "a/checkpoint-5/adapter_config.json"]
    dotted = next(places("a/e=4-loss=2.9.ckpt", "torch-zip", Settings())).path
    assert dotted == "a/e=4-loss=2.9.config.json"


@pytest.mark.parametrize("name", [place.path for place in places("c/best.ckpt", "x", Settings())])
def test_each_place_makes_a_checkpoint_usable_if_the_section_is_there(
    root: Path, name: str
) -> None:
    checkpoint = root / "a" / "c" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    write_torch_zip(checkpoint, lightning_checkpoint())
    place = root / "a" / name
    place.parent.mkdir(exist_ok=True)
    dump = json.dumps if name.endswith("json") else yaml.safe_dump
    place.write_text(dump({"other": 1}))
    catalog = catalog_of(root)
    state = state_of(catalog)
    assert state["state"] == "unrecoverable"
    assert "has no section 'model'" in state["reason"]
    place.write_text(dump({"model": MODEL, "more": "text"}))
    catalog.ingest([root])
    assert state_of(catalog)["state"] == "usable"


def test_the_first_config_in_order_is_the_one_that_counts(root: Path) -> None:
    (checkpoint,) = project(root)
    checkpoint.with_name("config.yaml").write_text(yaml.safe_dump({"model": {"name": "late"}}))
    checkpoint.with_name("best.config.yaml").write_text(yaml.safe_dump({"model": MODEL}))
    catalog = catalog_of(root)
    (row,) = catalog.sql(
        "SELECT f.path FROM migration m JOIN file f ON f.id = m.config_file_id"
    ).rows
    assert row[0].endswith("best.config.yaml")


# Reasons


def test_every_reason_has_a_code_a_sentence_and_a_remedy(root: Path) -> None:
    (checkpoint,) = project(root)
    whole = checkpoint.read_bytes()
    folder = root / "odd"
    folder.mkdir()
    (folder / "cut.ckpt").write_bytes(whole[:-700])
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "pointer.ckpt").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
    )
    write_torch_zip(
        folder / "lone.ckpt", lightning_checkpoint(best_k={"lone.ckpt": 0.123}, epoch=77)
    )
    os.utime(folder / "lone.ckpt", (1, 1))
    (folder / "bad.config.json").write_text("{")
    write_torch_zip(folder / "bad.ckpt", lightning_checkpoint(best_k={"bad.ckpt": 0.456}, epoch=78))
    os.utime(folder / "bad.ckpt", (1, 1))
    catalog = catalog_of(root)
    found = {
        row["path"].rpartition("/")[2]: (row["state"], row["reason_code"])
        for row in catalog.sql("SELECT path, state, reason_code FROM unusable_checkpoints").dicts()
    }
    assert found == {
        "best.ckpt": ("recoverable", "no-config"),
        "cut.ckpt": ("damaged", "checkpoint-truncated"),
        "empty.ckpt": ("damaged", "checkpoint-empty"),
        "pointer.ckpt": ("damaged", "checkpoint-pointer"),
        "lone.ckpt": ("unrecoverable", "no-run"),
        "bad.ckpt": ("unrecoverable", "no-run"),
    }
    for row in catalog.query("unusable").dicts():
        assert row["reason"].endswith(".")
        assert row["remedy"]
        assert (row["size"], row["modified_at"]) != (None, None)
    assert "cannot be read as a config" in state_of(catalog, "bad.ckpt")["reason"]
    results = {file.checkpoint.rpartition("/")[2]: file for file in catalog.recover().files}
    assert {name for name, file in results.items() if file.action == "written"} == {"best.ckpt"}


def test_a_damaged_config_in_the_sidecar_s_place_is_not_written_over(root: Path) -> None:
    (checkpoint,) = project(root)
    checkpoint.with_suffix(".config.json").write_text("{")
    catalog = catalog_of(root)
    state = state_of(catalog)
    assert (state["state"], state["reason_code"]) == ("recoverable", "config-unreadable")
    assert state["remedy"].startswith("Move ")
    assert only(catalog.recover().files).action == "failed"
    assert checkpoint.with_suffix(".config.json").read_text() == "{"


def test_two_runs_that_fit_equally_well_give_nothing(root: Path) -> None:
    (checkpoint,) = project(root, Training(delay=2))
    training = Training()
    write_run_directory(
        root / "wandb",
        "z9y8x7w6",
        stamp=next(root.glob("wandb/run-*")).name.split("-")[1],
        started=1_760_722_341.0,
        config=training.config,
        args=["seed=1"],
        rows=[{"epoch": n, "val/hmean": s} for n, s in enumerate(training.scores)],
    )
    catalog = catalog_of(root)
    before = snapshot(root)
    state = state_of(catalog)
    assert (state["state"], state["reason_code"]) == ("ambiguous config", "ambiguous-run")
    (row,) = catalog.query("unusable").dicts()
    assert row["best_candidate"] in {"a1b2c3d4", "z9y8x7w6"}
    file = only(catalog.recover(prefer="wandb-stream").files)
    assert (file.action, file.sidecar) == ("skipped", None)
    assert snapshot(root) == before
    assert not checkpoint.with_suffix(".config.json").exists()


@pytest.mark.parametrize(
    "hyper_parameters", [None, {"model": MODEL}, {"cfg": {"model": MODEL}}], ids=repr
)
def test_nothing_is_taken_for_a_checkpoint_of_no_run(root: Path, hyper_parameters: Any) -> None:
    """Not even its own hyper-parameters or a Hydra folder beyond the policy's reach."""
    (checkpoint,) = project(root, Training(run_id=None))
    with_hyper_parameters(checkpoint, hyper_parameters)
    catalog = catalog_of(root)
    before = snapshot(root)
    assert only(catalog.recover(prefer="hyper-parameters").files).action == "skipped"
    assert snapshot(root) == before


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"name": "${encoder.name}"}, "leaves model.name unresolved"),
        ({"name": "dbnet", "head": {"api_key": "sk-123456789012345678901234"}}, "model.head"),
        ("resnet18", "no section"),
        (None, "no section"),
    ],
)
def test_values_that_no_source_states_are_refused_by_name(
    root: Path, model: Any, said: str
) -> None:
    project(root, Training(config={"model": model} if model is not None else {"lr": 1}))
    catalog = catalog_of(root)
    state = state_of(catalog)
    assert (state["state"], state["reason_code"]) == ("unrecoverable", "run-config-incomplete")
    assert said in state["reason"]
    assert only(catalog.recover().files).action == "skipped"


def test_a_reference_is_resolved_within_the_document(root: Path) -> None:
    config = {"model": {"name": "${name}", "hidden": "${model.width}", "width": 8}, "name": "dbnet"}
    (checkpoint,) = project(root, Training(config=config))
    assert only(catalog_of(root).recover().files).action == "written"
    assert sidecar_of(checkpoint) == {"model": {"name": "dbnet", "hidden": 8, "width": 8}}


# The order


def test_the_stream_is_used_and_the_others_agree(root: Path) -> None:
    project(root)
    assert explained(catalog_of(root)) == [
        ("wandb-stream", "used"),
        ("wandb-config", "agrees"),
        ("wandb-debug-log", "agrees"),
    ]


def test_lightning_s_repr_texts_and_open_interpolations_contradict_nothing(root: Path) -> None:
    config = {"model": {"name": "dbnet", "hidden": 8, "layers": [1, 2], "rate": 1e-05}}
    (checkpoint,) = project(root, Training(config=config))
    spoilt = {
        "model": {"value": "{'name': '${name}', 'hidden': 8, 'layers': [1, 2], 'rate': 1e-05}"},
        "_wandb": {"value": {"cli_version": "0.19.11"}},
    }
    rewrite(config_file(root), yaml.safe_dump(spoilt))
    catalog = catalog_of(root)
    verdicts = [verdict for _, verdict in explained(catalog)]
    assert verdicts[0] == "used"
    assert "differs" not in verdicts
    catalog.recover()
    assert sidecar_of(checkpoint) == config


def test_sources_that_contradict_each_other_stop_it_until_a_person_decides(root: Path) -> None:
    (checkpoint,) = project(root)
    path = config_file(root)
    rewrite(path, path.read_text().replace("hidden: 8", "hidden: 16"))
    catalog = catalog_of(root)
    state = state_of(catalog)
    assert (state["state"], state["reason_code"]) == ("ambiguous config", "sources-disagree")
    assert "model.hidden is 8 in one and 16 in the other" in state["reason"]
    before = snapshot(root)
    file = only(catalog.recover().files)
    assert (file.action, "model.hidden is 8" in file.note) == ("skipped", True)
    assert snapshot(root) == before
    preferred = catalog.explain_recovery(prefer="wandb-config").dicts()
    assert [(row["source"], row["verdict"]) for row in preferred] == [
        ("wandb-stream", "differs"),
        ("wandb-config", "used"),
        ("wandb-debug-log", "differs"),
    ]
    assert "model.hidden" in preferred[0]["note"]
    assert only(catalog.recover(prefer="files/config.yaml").files).action == "written"
    assert sidecar_of(checkpoint) == {"model": {"name": "dbnet", "hidden": 16}}


def test_a_preferred_source_that_cannot_be_used_is_not_replaced_by_another(root: Path) -> None:
    project(root)
    path = config_file(root)
    rewrite(path, path.read_text().replace("name: dbnet", "name: ${encoder}"))
    catalog = catalog_of(root)
    file = only(catalog.recover(prefer="wandb-config").files)
    assert (file.action, "unresolved" in file.note) == ("skipped", True)
    assert only(catalog.recover().files).action == "written"


def test_the_debug_log_alone_is_enough(root: Path) -> None:
    (checkpoint,) = project(root, Training(named=True))
    next(root.rglob("*.wandb")).write_bytes(b"")
    config_file(root).unlink()
    catalog = catalog_of(root)
    if state_of(catalog)["reason_code"] == "no-run":
        pytest.fail("the run is not linked")
    assert explained(catalog) == [("wandb-debug-log", "used")]
    catalog.recover()
    assert sidecar_of(checkpoint) == {"model": MODEL}


def test_the_job_s_config_is_found_beyond_where_inference_looks(root: Path) -> None:
    (checkpoint,) = project(root, Training(config={"seed": 1}))
    job = checkpoint.parents[1]
    deep = job / "a" / "b" / "checkpoints" / "best.ckpt"
    deep.parent.mkdir(parents=True)
    checkpoint.rename(deep)
    checkpoint.parent.rmdir()
    write_hydra_directory(job, {"model": MODEL, "seed": 1}, overrides=["seed=1"])
    catalog = catalog_of(root)
    assert ("hydra-config", "used") in explained(catalog)
    catalog.recover()
    assert sidecar_of(deep) == {"model": MODEL}


def test_a_job_folder_that_may_tell_of_another_run_is_refused(root: Path) -> None:
    (checkpoint,) = project(root, Training(config={"seed": 1}, named=True))
    job = checkpoint.parents[1]
    deep = job / "a" / "b" / "checkpoints" / "best.ckpt"
    deep.parent.mkdir(parents=True)
    checkpoint.rename(deep)
    write_hydra_directory(job, {"model": MODEL}, overrides=["seed=2", "model=other"])
    catalog = catalog_of(root)
    rows = catalog.explain_recovery().dicts()
    (hydra,) = [row for row in rows if row["source"] == "hydra-config"]
    assert hydra["verdict"] == "refused"
    assert "are not the run's arguments" in hydra["note"]
    assert only(catalog.recover().files).action == "skipped"


@pytest.mark.parametrize("wrapped", [False, True])
def test_hyper_parameters_inside_the_checkpoint_come_after_the_run(
    root: Path, wrapped: bool
) -> None:
    (checkpoint,) = project(root, Training(config={"seed": 1}))
    inside = {"model": MODEL, "lr": 0.1}
    with_hyper_parameters(checkpoint, {"cfg": inside} if wrapped else inside)
    catalog = catalog_of(root)
    assert explained(catalog)[-1] == ("hyper-parameters", "used")
    catalog.recover()
    assert sidecar_of(checkpoint) == {"model": MODEL}
    said = json.loads(checkpoint.with_name("best.provenance.json").read_text())
    assert said["source"]["path"] == str(checkpoint.relative_to(root))


def test_hyper_parameters_that_contradict_the_run_stop_it(root: Path) -> None:
    (checkpoint,) = project(root, Training(named=True))
    with_hyper_parameters(checkpoint, {"model": {"name": "dbnet", "hidden": 9}})
    assert state_of(catalog_of(root))["reason_code"] == "sources-disagree"


def test_a_config_in_a_pickle_that_safe_loading_refuses_is_named(root: Path) -> None:
    from tests.support.torch_files import FakeGlobal, FakeObject

    (checkpoint,) = project(root, Training(run_id=None))
    strange = FakeObject(FakeGlobal("team.models", "Backbone"))
    with_hyper_parameters(checkpoint, {"model": MODEL, "backbone": strange})
    state = state_of(catalog_of(root))
    assert "safe loading refuses" in state["reason"]


def test_a_sibling_s_sidecar_serves_and_one_that_we_wrote_does_not(root: Path) -> None:
    (checkpoint,) = project(root, Training(config={"seed": 1}))
    last = checkpoint.with_name("last.ckpt")
    shutil.copy2(checkpoint, last)
    checkpoint.with_suffix(".config.json").write_text(json.dumps({"model": MODEL}))
    catalog = catalog_of(root)
    assert ("sibling", "used") in explained(catalog)
    assert only(catalog.recover().files).action == "written"
    assert sidecar_of(last) == {"model": MODEL}
    checkpoint.with_suffix(".config.json").unlink()
    catalog.ingest([root])
    # Now `last` has the sidecar that we cut from the one that is gone: no source of its own.
    assert ("sibling", "used") not in explained(catalog)


# Comparison

leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(
        st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$'\"\\{}[]()"),
        max_size=5,
    ),
)
plain = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@given(plain, plain)
def test_only_equal_values_agree(one: Any, other: Any) -> None:
    assert differences(one, one, "model") == []
    found = differences(one, other, "model")
    assert [str(part.key) for part in found] == [
        str(part.key) for part in differences(other, one, "model")
    ]
    if not found and not isinstance(one, str) and not isinstance(other, str):
        assert json.dumps(one) == json.dumps(other) or one == other or "str" in _types(one, other)


def _types(*values: Any) -> set[str]:
    found: set[str] = set()
    for value in values:
        found.add(type(value).__name__)
        parts = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            found |= _types(*parts)
    return found


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), plain, min_size=1, max_size=3))
def test_a_repr_and_an_open_form_are_no_contradiction(document: dict[str, Any]) -> None:
    texts = {k: part if isinstance(part, str) else repr(part) for k, part in document.items()}
    assert differences(document, texts, "m") == []
    assert differences(document, dict.fromkeys(document, "${elsewhere}"), "m") == []
    opaque = {key: {"__opaque__": "torch.dtype"} for key in document}
    assert differences(document, opaque, "m") == []


def test_differences_name_the_keys() -> None:
    one = {"a": 1, "b": {"c": True, "d": [1, 2]}, "e": "x"}
    other = {"a": 1.0, "b": {"c": 1, "d": [1, 3]}, "f": "x"}
    assert [part.key for part in differences(one, other, "model")] == [
        "model.b.c",
        "model.b.d[1]",
        "model.e",
        "model.f",
    ]
    assert open_keys({"a": ["${x}", {"b": "<redacted>"}], "c": 1}, "m") == ["m.a[0]", "m.a[1].b"]


@pytest.mark.parametrize("where", ["debug.log", "config.yaml"])
def test_the_text_of_an_object_is_no_value(root: Path, where: str) -> None:
    project(root)
    (run,) = (path for path in root.rglob("run-*") if path.is_dir())
    for path in [*run.glob("*.wandb"), *run.rglob("debug.log"), run / "files" / "config.yaml"]:
        path.unlink()
    model = "{'name': 'dbnet', 'root': PosixPath('/data/x'), 'act': <torch.nn.ReLU object at 0x7f>}"
    if where == "debug.log":
        (run / "logs").mkdir(exist_ok=True)
        (run / "logs" / "debug.log").write_text(
            "2025-10-18 02:32:19,498 INFO    MainThread:1 [wandb_init.py:init():852] wandb.init "
            f"called with sweep_config: {{}}\nconfig: {{'model': {model}}}\n"
        )
    else:
        (run / "files" / "config.yaml").write_text(yaml.dump({"model": {"value": model}}))
    done = only(catalog_of(root).recover().files)
    assert (done.action, done.content) == ("skipped", "")
    assert "model.act" in str(done)


def test_of_a_run_folder_that_was_moved_the_present_place_is_named(root: Path) -> None:
    project(root)
    catalog = catalog_of(root)
    (old,) = (path for path in root.rglob("run-*") if path.is_dir())
    new = root / "zz_away" / "wandb" / old.name
    new.parent.mkdir(parents=True)
    old.rename(new)
    catalog.ingest([root])
    (row,) = catalog.query("checkpoint_trace").dicts()
    assert root / row["run_directory"] == new
    assert (root / row["config_source"]).exists()
    done = only(catalog.recover().files)
    assert done.action == "written"
    (provenance,) = root.rglob("*.provenance.json")
    source = json.loads(provenance.read_text())["source"]
    assert (root / source["path"]).exists()
    assert source["sha256"]


# Configs against weights


def linear(out_features: int) -> dict[str, Any]:
    return {
        "name": "net",
        "head": {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": out_features},
    }


@pytest.mark.parametrize(("out_features", "state"), [(4, "usable"), (5, "unrecoverable")])
def test_a_config_that_contradicts_the_weights_is_no_usable_one(
    root: Path, out_features: int, state: str
) -> None:
    (checkpoint,) = project(root, Training(run_id=None))
    tensors = {"head.weight": FakeTensor(shape=(4, 3)), "head.bias": FakeTensor(shape=(4,))}
    with_hyper_parameters(checkpoint, None, state_dict=tensors)
    sidecar = checkpoint.with_suffix(".config.json")
    sidecar.write_text(json.dumps({"model": linear(out_features)}))
    found = state_of(catalog_of(root))
    assert found["state"] == state
    if state == "unrecoverable":
        assert (
            "model.head.out_features is 5, but the tensor head.weight is 4 by 3"
            in (found["reason"])
        )


def test_a_run_s_config_that_contradicts_the_weights_is_not_written(root: Path) -> None:
    (checkpoint,) = project(root, Training(config={"model": linear(5)}))
    tensors = {"net.head.weight": FakeTensor(shape=(4, 3))}
    with_hyper_parameters(checkpoint, None, state_dict=tensors)
    catalog = catalog_of(root)
    assert state_of(catalog)["reason_code"] == "config-contradicts-weights"
    assert only(catalog.recover().files).action == "skipped"


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        ({"hidden": 99}, {"net.weight": (4, 3)}),
        ({"head": {"out_features": 9}}, {"head.weight": (4, 3)}),
        ({"head": {"_target_": "team.Linear", "out_features": 9}}, {"head.weight": (4, 3)}),
        (linear(9), {"a.head.weight": (4, 3), "b.head.weight": (4, 3)}),
        (
            {"c": {"_target_": "torch.nn.Conv2d", "in_channels": 8, "groups": 2}},
            {"c.weight": (8, 4)},
        ),
    ],
)
def test_what_cannot_be_told_for_sure_is_no_contradiction(
    model: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    from catalog.sources.weights import contradiction

    assert contradiction({"model": model}, shapes) == ""


def test_word_embeddings_of_known_models_are_compared() -> None:
    from catalog.sources.weights import contradiction

    shapes = {"bert.embeddings.word_embeddings.weight": (30, 16)}
    config = {"model_type": "bert", "vocab_size": 30, "hidden_size": 16}
    assert contradiction(config, shapes) == ""
    assert "hidden_size is 32" in contradiction({**config, "hidden_size": 32}, shapes)
    assert contradiction({**config, "model_type": "albert", "hidden_size": 32}, shapes) == ""


def test_queries_name_the_source_that_would_be_used(root: Path) -> None:
    (checkpoint,) = project(root, Training(config={"seed": 1}))
    with_hyper_parameters(checkpoint, {"model": MODEL})
    catalog = catalog_of(root)
    (row,) = catalog.query("recoverable").dicts()
    assert (row["source"], row["source_kind"]) == (row["path"], "hyper-parameters")
    assert f"`{row['path']}` | hyper-parameters |" in catalog.report()
