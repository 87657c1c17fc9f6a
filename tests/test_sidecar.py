from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from catalog.sources.documents import MAX_BYTES
from catalog.sources.facts import Facts, Mention
from tests.support.reading import codes, read_tree

if TYPE_CHECKING:
    from pathlib import Path


def folder(root: Path, **files: str) -> dict[str, Facts]:
    for name, content in files.items():
        (root / name).write_text(content)
    return read_tree(root)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("best.config.json", "sidecar"),
        ("best.config.yaml", "sidecar-yaml"),
        ("best.resolved.config.json", "sidecar-resolved"),
        ("best.metadata.json", "metadata"),
        ("best.metadata.yaml", "metadata"),
    ],
)
def test_sidecars_of_a_checkpoint(tmp_path: Path, name: str, kind: str) -> None:
    found = folder(tmp_path, **{"best.ckpt": "", name: '{"model": {"name": "mlp"}}'})
    (config,) = found[name].configs
    assert (config.kind, config.document) == (kind, {"model": {"name": "mlp"}})
    assert found[name].run_directory is None


def test_names_like_a_sidecars_without_a_checkpoint_are_left_alone(tmp_path: Path) -> None:
    assert folder(tmp_path, **{"tokenizer.config.json": "{}", "a.metadata.yaml": "a: 1"}) == {}


def test_a_stem_with_dots_and_equals_signs(tmp_path: Path) -> None:
    stem = "epoch=3-val_loss=0.588"
    found = folder(tmp_path, **{f"{stem}.ckpt": "", f"{stem}.config.json": '{"a": 1}'})
    assert found[f"{stem}.config.json"].configs[0].kind == "sidecar"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("config.yaml", "config-file"), ("train.yaml", "config-file"), ("predict.yaml", "config-file"),
     ("config.json", "config-file"), ("hparams.yaml", "hparams")],
)  # fmt: skip
def test_plain_config_files(tmp_path: Path, name: str, kind: str) -> None:
    found = folder(tmp_path, **{name: '{"a": "${b}", "b": 2, "c": "${oc.env:X}"}'})
    (config,) = found[name].configs
    assert (config.kind, config.document["a"], config.unresolved) == (kind, 2, ("c",))


def test_metadata_names_run_checkpoint_and_config(tmp_path: Path) -> None:
    flat = "wandb_run_id: tit2247i\ncheckpoint_path: /old/best.ckpt\nhydra_config_path: /old/.hydra"
    nested = (
        '{"wandb": {"run_id": "tit2247i"}, "hydra": {"config_path": "/old/.hydra"}, "run_id": 5}'
    )
    found = folder(
        tmp_path,
        **{"a.ckpt": "", "b.ckpt": "", "a.metadata.yaml": flat, "b.metadata.json": nested},
    )
    assert found["a.metadata.yaml"].mentions == (
        Mention("run-id", "tit2247i"),
        Mention("checkpoint-path", "/old/best.ckpt"),
        Mention("config-path", "/old/.hydra"),
    )
    assert found["b.metadata.json"].mentions == (
        Mention("run-id", "tit2247i"),
        Mention("config-path", "/old/.hydra"),
    )


def test_hparams_of_a_lightning_version_belong_to_its_run(tmp_path: Path) -> None:
    place = tmp_path / "lightning_logs" / "version_3"
    place.mkdir(parents=True)
    (place / "hparams.yaml").write_text("lr: 0.1\nnet: !!python/object:x.Net {w: 1}\n")
    facts = read_tree(tmp_path)["lightning_logs/version_3/hparams.yaml"]
    assert facts.run_directory is not None
    assert facts.run_directory.path == "lightning_logs/version_3"
    assert facts.run_directory.tracker == "lightning"
    assert facts.configs[0].document == {
        "lr": 0.1, "net": {"__opaque__": "python/object:x.Net", "w": 1},
    }  # fmt: skip


def test_empty_hyper_parameters_are_no_config(tmp_path: Path) -> None:
    facts = folder(tmp_path, **{"hparams.yaml": "{}\n"})["hparams.yaml"]
    assert (facts.configs, facts.problems) == ((), ())


def test_a_w_and_b_config_out_of_its_place_is_unwrapped(tmp_path: Path) -> None:
    found = folder(tmp_path, **{"config.yaml": "_wandb: {value: {}}\nlr: {value: 0.1}\n"})
    assert found["config.yaml"].configs[0].document == {"lr": 0.1}


def test_a_long_config_is_read_and_one_that_is_too_long_is_a_problem(tmp_path: Path) -> None:
    long = '{"a": "' + "x" * 2_000_000 + '"}'
    found = folder(tmp_path, **{"config.json": long, "train.yaml": f"a: {'x' * MAX_BYTES}\n"})
    assert len(found["config.json"].configs) == 1
    assert codes(found["train.yaml"]) == ["too-large"]


def test_a_broken_sidecar_is_a_problem(tmp_path: Path) -> None:
    found = folder(tmp_path, **{"a.ckpt": "", "a.config.json": '{"model": '})
    assert codes(found["a.config.json"]) == ["unreadable-json"]
