"""Configs that are there and do not count, and configs that a later job may have written over."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from tests.support.recovery import only, project, state_of
from tests.support.torch_files import lightning_checkpoint, write_torch_zip
from tests.support.wandb_files import write_hydra_directory, write_run_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

NOON = 1_760_700_000
"""Seconds since 1970."""
WIDE, NARROW = {"model": {"width": 16}}, {"model": {"width": 8}}


def saved(path: Path, moment: float = NOON, **content: Any) -> Path:
    """Write a checkpoint that is like no other, at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch_zip(path, lightning_checkpoint(best_k={path.name: moment / 1e10}, **content))
    os.utime(path, (moment, moment))
    return path


def at(moment: float, *paths: Path) -> None:
    for path in paths:
        os.utime(path, (moment, moment))


def job(folder: Path, config: Mapping[str, Any], moment: float, log: float | None) -> None:
    """Write what a Hydra job leaves; its log is written for the last time at `log`."""
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    write_hydra_directory(folder, config, log_lines=["[2025-10-17 12:00:00,000][x][INFO] - a"])
    at(moment, *(folder / ".hydra").iterdir())
    if log is None:
        (folder / "train.log").unlink()
    else:
        at(log, folder / "train.log")


def ingested(root: Path, **settings: Any) -> Catalog:
    catalog = Catalog(root.parent / "catalog.db", settings)
    catalog.ingest([root])
    return catalog


def doubts(catalog: Catalog) -> dict[str, str]:
    """What speaks against the config of each usable checkpoint, by its name."""
    rows = catalog.query("usable").dicts()
    return {row["path"].rpartition("/")[2]: row["doubt"] for row in rows if row["doubt"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("content", ["{}", "", "null", "# nothing\n", "{}\n\n"])
@pytest.mark.parametrize("sections", [("model",), ()], ids=str)
def test_an_empty_config_is_told_empty(root: Path, content: str, sections: tuple[str, ...]) -> None:
    saved(root / "version_0" / "checkpoints" / "a.ckpt")
    (root / "version_0" / "hparams.yaml").write_text(content)
    state = state_of(ingested(root, config_sections=sections))
    assert state["state"] == "unrecoverable"
    sentence = "version_0/hparams.yaml is empty: no hyper-parameters were saved."
    assert sentence in state["reason"]


def test_an_empty_job_config_is_told_empty(root: Path) -> None:
    saved(root / "job" / "a.ckpt")
    job(root / "job", {}, NOON - 9, None)
    saved(root / "job" / "ckpt" / "b.ckpt")
    reason = state_of(ingested(root, config_sections=()), "b.ckpt")["reason"]
    assert "job/.hydra/config.yaml is empty: no config was saved." in reason


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.yaml", "model:\n  a: " + "x" * 5_000_000),
        ("config.yaml", "model:\n" + "".join(f"  k{n}: {n}\n" for n in range(110_000))),
        ("a.config.json", '{"model": [' + "0," * 250_000 + "0]}"),
    ],
)
def test_a_config_that_is_too_large_is_named_with_its_size(
    root: Path, name: str, content: str
) -> None:
    saved(root / "a.ckpt")
    (root / name).write_text(content)
    catalog = ingested(root)
    state = state_of(catalog)
    assert state["state"] == "unrecoverable"
    assert f"{name} ({len(content):,} bytes) is too large to be read" in state["reason"]
    assert "No config lies" not in state["reason"]
    assert "a smaller config beside the checkpoint" in state["remedy"]
    assert [(row["code"], row["path"]) for row in catalog.query("problems").dicts()] == [
        ("too-large", name)
    ]


@pytest.mark.parametrize("place", ["config.json", ".hydra/config.yaml"])
def test_a_config_of_more_than_a_mebibyte_is_read(root: Path, place: str) -> None:
    saved(root / "job" / "ckpt" / "a.ckpt")
    path = root / "job" / place if place[0] == "." else root / "job" / "ckpt" / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"model": {"labels": ["x" * 100] * 15_000}}))
    assert path.stat().st_size > 1_500_000
    settings = {"config_names": ("config.json",)}
    assert state_of(ingested(root, **settings))["state"] == "usable"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("!!python/object:pkg.nets.Model\n  width: 8", "is a Python object (pkg.nets.Model)"),
        ("!!python/object/new:pkg.Model\n  state: [1]", "is a Python object (pkg.Model)"),
        ("!!python/object/apply:pkg.make [8]", "is a Python object (pkg.make)"),
        ("!!python/name:pkg.Model ''", "is a Python object (pkg.Model)"),
        ("!Model {width: 8}", "is a Python object (!Model)"),
        (
            "{a: !!python/name:p.A '', b: [!!python/name:p.B '']}",
            "is nothing but Python objects (p.A, p.B)",
        ),
        ("{}", "is empty"),
        ("null", "is empty"),
        ("[]", "is empty"),
        ("", "is empty"),
        ("'???'", "is empty"),
    ],
)
def test_a_section_without_plain_values_is_no_config(root: Path, section: str, said: str) -> None:
    saved(root / "a.ckpt")
    (root / "hparams.yaml").write_text(f"lr: 0.1\nmodel: {section}\n")
    state = state_of(ingested(root))
    assert state["state"] == "unrecoverable"
    assert f"hparams.yaml: its section 'model' {said}" in state["reason"]


def test_a_file_that_is_one_object_is_no_config_whatever_sections_are_needed(root: Path) -> None:
    saved(root / "a.ckpt")
    (root / "hparams.yaml").write_text("!!python/object:pkg.Config\nlr: 0.1\n")
    for sections in (("model",), ()):
        state = state_of(ingested(root, config_sections=sections))
        assert "hparams.yaml is a Python object (pkg.Config) that safe" in state["reason"]


def test_objects_among_plain_values_are_a_doubt(root: Path) -> None:
    saved(root / "a.ckpt")
    (root / "hparams.yaml").write_text(
        "model:\n  width: 8\n  loss: !!python/object:pkg.Loss {}\n"
        "  act: !!python/name:pkg.relu ''\n"
    )
    (doubt,) = doubts(ingested(root)).values()
    assert "holds Python objects that safe loading refuses: model." in doubt
    assert doubt.endswith(" and 1 more.")


def test_a_run_s_empty_section_is_no_source(tmp_path: Path) -> None:
    (checkpoint,) = project(tmp_path / "tree")
    for path in (tmp_path / "tree").rglob("*"):
        if path.name in {"config.yaml", "debug.log"} or path.suffix == ".wandb":
            path.unlink()
    run = next((tmp_path / "tree" / "wandb").glob("run-*"))
    (run / "files").mkdir(exist_ok=True)
    (run / "files" / "config.yaml").write_text("model:\n  value: {}\n")
    catalog = ingested(tmp_path / "tree")
    assert state_of(catalog)["state"] != "recoverable"
    assert only(catalog.recover().files).action == "skipped"
    assert not checkpoint.with_suffix(".config.json").exists()


def two_jobs(root: Path, *, last: bool = True, log: float | None = NOON - 1) -> None:
    """Two jobs into one folder: the checkpoint of the first, the config of the second."""
    saved(root / "same" / "ckpt" / "e1.ckpt", NOON)
    job(root / "same", WIDE, NOON + 60, log)
    if last:
        saved(root / "same" / "ckpt" / "e2.ckpt", NOON + 90)


@pytest.mark.parametrize(
    ("last", "log", "sign"),
    [
        (True, None, "before same/ckpt/e2.ckpt"),
        (False, NOON - 1, "after the last line of same/train.log"),
        (False, NOON + 70, "went on to write same/train.log"),
    ],
)
def test_the_config_of_a_later_job_is_a_doubt(
    root: Path, last: bool, log: float | None, sign: str
) -> None:
    two_jobs(root, last=last, log=log)
    catalog = ingested(root)
    (name, doubt), *others = doubts(catalog).items()
    assert (name, others) == ("e1.ckpt", [])
    assert "same/.hydra/config.yaml was written 60 seconds after the checkpoint" in doubt
    assert sign in doubt
    assert state_of(catalog, "e1.ckpt")["state"] == "usable"
    database = str(catalog.location.file)
    shown = {
        command: CliRunner().invoke(app, [*command.split(), "--db", database]).stdout
        for command in ("trace e1.ckpt", "status", "report", f"ingest {root}")
    }
    assert "doubt  same/.hydra/config.yaml was written 60 seconds after" in shown["trace e1.ckpt"]
    assert "1 usable checkpoint with a doubt" in shown["status"]
    assert "1 with a doubt" in shown["report"]
    assert "usable (1 with a doubt)" in shown[f"ingest {root}"]


def test_a_doubt_comes_and_goes_with_what_an_ingest_finds(root: Path) -> None:
    two_jobs(root, last=False, log=None)
    catalog = ingested(root)
    assert not doubts(catalog)
    later = saved(root / "same" / "ckpt" / "e2.ckpt", NOON + 90)
    catalog.ingest([root])
    assert list(doubts(catalog)) == ["e1.ckpt"]
    later.unlink()
    catalog.ingest([root])
    assert not doubts(catalog)


def test_a_shared_config_is_doubted_in_its_folder_and_a_new_checkpoint_is_enough(
    root: Path,
) -> None:
    saved(root / "out" / "e1.ckpt", NOON)
    config = root / "out" / "config.yaml"
    config.write_text("model: {width: 16}\n")
    at(NOON + 60, config)
    catalog = ingested(root)
    assert not doubts(catalog)
    saved(root / "out" / "e2.ckpt", NOON + 90)
    catalog.ingest([root])
    assert list(doubts(catalog)) == ["e1.ckpt"]


def test_a_run_that_started_between_is_a_sign_for_every_config(root: Path) -> None:
    saved(root / "out" / "e1.ckpt", NOON)
    config = root / "out" / "hparams.yaml"
    config.write_text("model: {width: 16}\n")
    at(NOON + 60, config)
    catalog = ingested(root)
    assert not doubts(catalog)
    events = root / "out" / f"events.out.tfevents.{NOON + 50}.host.1.0"
    events.write_bytes(b"")
    catalog.ingest([root])
    assert f"and out/{events.name} started in that time" in doubts(catalog)["e1.ckpt"]


def test_what_the_checkpoint_states_itself_decides(root: Path) -> None:
    two_jobs(root)
    saved(root / "same" / "ckpt" / "e1.ckpt", NOON, hyper_parameters=WIDE)
    catalog = ingested(root)
    assert not doubts(catalog)
    saved(root / "same" / "ckpt" / "e1.ckpt", NOON + 1, hyper_parameters=NARROW)
    catalog.ingest([root])
    assert "model.width is 16 there, and 8 in same/ckpt/e1.ckpt" in doubts(catalog)["e1.ckpt"]


def test_copies_without_their_times_raise_no_doubt(root: Path) -> None:
    two_jobs(root)
    for path in (path for path in root.rglob("*") if path.is_file()):
        at(NOON, path)  # a checkout
    assert not doubts(ingested(root))
    # A copy that takes its time: file after file, the job's small files behind a large one.
    moment = NOON
    order = ("e1.ckpt", "e2.ckpt", "config.yaml", "hydra.yaml", "overrides.yaml", "train.log")
    for name in order:
        moment += 20 if name.endswith("ckpt") else 0
        at(moment, next(root.rglob(name)))
    assert not doubts(ingested(root))
    saved(root / "same" / "ckpt" / "e3.ckpt", moment + 30)
    assert not doubts(ingested(root))


def test_a_config_of_the_checkpoint_s_own_is_no_doubt(root: Path) -> None:
    saved(root / "out" / "e1.ckpt", NOON)
    saved(root / "out" / "e2.ckpt", NOON + 500)
    (root / "out" / "e1.config.json").write_text(json.dumps(WIDE))
    at(NOON + 100, root / "out" / "e1.config.json")
    catalog = ingested(root)
    assert state_of(catalog, "e1")["state"] == "usable"
    assert not doubts(catalog)


def test_hparams_that_its_own_job_writes_again_are_no_doubt(root: Path) -> None:
    folder = root / "version_0"
    for number in range(3):
        saved(folder / "checkpoints" / f"e{number}.ckpt", NOON + 100 * number)
    (folder / "hparams.yaml").write_text("model: {width: 8}\n")
    at(NOON + 150, folder / "hparams.yaml")
    assert not doubts(ingested(root))


def test_recovery_takes_no_config_of_a_later_job(root: Path) -> None:
    """The job's config is deeper than inference looks: it would be the only source."""
    folder = root / "outputs" / "job"
    saved(folder / "a" / "b" / "c" / "e1.ckpt", NOON)
    write_run_directory(
        root / "wandb", "z9y8x7w6", stamp="20251017_111500", config=None, args=["seed=1"]
    )
    job(folder, WIDE, NOON + 60, NOON - 1)
    catalog = ingested(root)
    catalog.pin("e1.ckpt", "z9y8x7w6", "I know.")
    file = only(catalog.recover().files)
    assert file.action == "skipped"
    at(NOON - 60, *(folder / ".hydra").iterdir())
    catalog.ingest([root])
    explained = catalog.explain_recovery().dicts()
    assert [row["source"] for row in explained if row["source"]] == ["hydra-config"]


def test_the_config_in_a_project_s_own_folder_is_of_its_last_job(root: Path) -> None:
    """`hydra.run.dir: .`: as a checkpoint's place and config it counts for nothing below it."""
    project = root / "work" / "project"
    write_hydra_directory(project, WIDE, output_dir=str(project))
    own = project / ".hydra" / "hydra.yaml"
    own.write_text(own.read_text().replace(f"cwd: {project.parent}", f"cwd: {project}"))
    first = saved(project / "models" / "first.ckpt")
    at(NOON, *(project / ".hydra").iterdir())
    catalog = ingested(root)
    assert doubts(catalog) == {}, "one job is known"
    for number, run in enumerate(("a1b2c3d4", "e5f6a7b8")):
        write_run_directory(project / "wandb", run, stamp=f"2025101{number}_023219")
    catalog.ingest([root])
    assert "is of the last job only: several worked in work/project" in doubts(catalog)[first.name]
    assert catalog.sql("SELECT 1 FROM checkpoint_directory WHERE tracker = 'hydra'").rows == []
