"""`catalog recover` on small projects: what it writes, and all that it refuses to."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import DatabaseBusy, UsageError
from catalog.recover.lock import only_recovery
from catalog.schema.upgrade import open_existing
from catalog.settings import Settings
from tests.support.recovery import MODEL, catalog_of, only, project, snapshot, state_of
from tests.support.trees import Training

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def call(catalog: Catalog, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["recover", *arguments, "--db", str(catalog.location.file)])


def test_the_sidecar_holds_the_run_s_own_section_and_inference_finds_it(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    assert state_of(catalog)["state"] == "recoverable"
    file = only(catalog.recover().files)
    assert (file.action, file.sidecar) == (
        "written",
        str(checkpoint.with_suffix(".config.json").relative_to(root)),
    )
    assert json.loads(checkpoint.with_suffix(".config.json").read_text()) == {"model": MODEL}
    assert state_of(catalog)["state"] == "migrated"


def test_provenance_names_run_evidence_and_the_source_with_its_digest(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog_of(root).recover()
    said = json.loads(checkpoint.with_name("best.provenance.json").read_text())
    assert said["run"]["id"] == "a1b2c3d4"
    assert said["written_by"].startswith("catalog ")
    assert said["written_at"].endswith("Z")
    assert any(one["weight"] > 0 and one["detail"] for one in said["evidence"])
    source = root / said["source"]["path"]
    assert said["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    sidecar = checkpoint.with_name(said["sidecar"]["file"])
    assert said["sidecar"]["sha256"] == hashlib.sha256(sidecar.read_bytes()).hexdigest()


def test_provenance_is_taken_for_no_config(root: Path) -> None:
    project(root)
    catalog = catalog_of(root)
    catalog.recover()
    catalog.ingest([root])
    listed = catalog.sql("SELECT path FROM file").rows
    assert not [path for (path,) in listed if "provenance" in path]
    assert catalog.query("problems").rows == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sidecar_shape": "bare"}, MODEL),
        ({"sidecar_shape": "whole"}, {"model": MODEL, "seed": 1, "lr": 1e-05}),
        ({"config_sections": ("model", "data")}, {"model": MODEL, "data": {"size": 4}}),
        ({"sidecar_suffixes": (".config.yaml",)}, {"model": MODEL}),
    ],
)
def test_the_shape_of_a_sidecar_is_a_setting(
    root: Path, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    config = {**expected, "model": MODEL}
    (checkpoint,) = project(root, Training(config=config))
    catalog = catalog_of(root, **settings)
    file = only(catalog.recover().files)
    sidecar = root / str(file.sidecar)
    load = yaml.safe_load if sidecar.suffix == ".yaml" else json.loads
    assert load(sidecar.read_text()) == expected
    assert state_of(catalog)["state"] == "migrated"
    assert checkpoint.with_name("best.provenance.json").exists()


def test_a_whole_config_holds_no_mark_of_ours_in_place_of_a_value(root: Path) -> None:
    secret = {"api_key": "sk-0123456789abcdefghijklmn"}
    project(root, Training(config={"model": MODEL, "tracker": secret}))
    catalog = catalog_of(root, sidecar_shape="whole")
    file = only(catalog.recover().files)
    assert (file.action, "tracker.api_key" in file.note) == ("skipped", True)
    sections = Catalog(catalog.location.file)
    assert only(sections.recover().files).action == "written"


def test_a_yaml_sidecar_keeps_small_numbers_numbers(root: Path) -> None:
    (checkpoint,) = project(root, Training(config={"model": {"lr": 1e-05, "name": "1e-05"}}))
    catalog_of(root, sidecar_suffixes=(".config.yaml",)).recover()
    written = yaml.safe_load(checkpoint.with_suffix(".config.yaml").read_text())
    assert written == {"model": {"lr": 1e-05, "name": "1e-05"}}


def test_provenance_may_stand_inside(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root, provenance="inside")
    catalog.recover()
    written = json.loads(checkpoint.with_suffix(".config.json").read_text())
    assert written["model"] == MODEL
    assert written["_provenance"]["run"]["id"] == "a1b2c3d4"
    assert not checkpoint.with_name("best.provenance.json").exists()
    assert [row["state"] for row in catalog.verify_recoveries().dicts()] == ["unchanged"]


@pytest.mark.parametrize(
    "settings",
    [
        {"sidecar_shape": "bare", "provenance": "inside"},
        {"sidecar_shape": "bare", "config_sections": ("model", "data")},
        {"sidecar_shape": "flat"},
        {"provenance": "nowhere"},
        {"sidecar_suffixes": ()},
    ],
)
def test_settings_that_cannot_be_kept_are_refused(root: Path, settings: dict[str, Any]) -> None:
    project(root)
    catalog_of(root)
    catalog = Catalog(root.parent / "catalog.db", Settings.of(settings))
    with pytest.raises(UsageError):
        catalog.recover()


@pytest.mark.parametrize("taken", ["best.config.json", "best.provenance.json"])
@pytest.mark.parametrize("kind", ["file", "dead link", "live link", "folder"])
def test_nothing_is_ever_written_over_and_nothing_half_is_left(
    root: Path, taken: str, kind: str
) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    place = checkpoint.with_name(taken)
    if kind == "file":
        place.write_text("precious")
    elif kind == "dead link":
        place.symlink_to("nowhere.json")
    elif kind == "live link":
        (root.parent / "outside.json").write_text("outside")
        place.symlink_to(root.parent / "outside.json")
    else:
        place.mkdir()
    before = {name: one[3] for name, one in snapshot(root).items()}
    file = only(catalog.recover().files)
    assert (file.action, "exists already" in file.note) == ("failed", True)
    assert {name: one[3] for name, one in snapshot(root).items()} == before
    if kind == "live link":
        assert (root.parent / "outside.json").read_text() == "outside"


def test_a_dry_run_touches_neither_tree_nor_catalog(root: Path) -> None:
    project(root)
    catalog = catalog_of(root)
    before = snapshot(root)
    events = catalog.query("migration-events").rows
    for arguments in (["--dry-run"], ["--diff"], ["--explain"]):
        assert call(catalog, *arguments).exit_code == 0
    assert snapshot(root) == before
    assert catalog.query("migration-events").rows == events
    assert catalog.query("recovered").rows == []


def test_a_diff_is_what_is_written(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    shown = call(catalog, "--diff").stdout.splitlines()
    catalog.recover()
    sidecar = checkpoint.with_suffix(".config.json")
    written = sidecar.read_text().splitlines()
    assert shown == [
        "--- /dev/null",
        f"+++ b/{sidecar.relative_to(root)}",
        f"@@ -0,0 +1,{len(written)} @@",
        *(f"+{line}" for line in written),
    ]


def test_the_command_ends_with_the_batch_and_how_to_undo_it(root: Path) -> None:
    project(root)
    catalog = catalog_of(root)
    said = call(catalog)
    assert said.exit_code == 0
    assert "Recovery 1: 1 written." in said.stderr
    assert "catalog recover --undo 1" in said.stderr
    assert "Nothing to recover." in call(catalog).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dry-run", "--diff"],
        ["--undo", "1", "--verify"],
        ["--undo", "1", "best"],
        ["--verify", "--prefer", "sibling"],
        ["--prefer", "nonsense"],
    ],
)
def test_wrong_usage_is_refused(root: Path, arguments: list[str]) -> None:
    project(root)
    assert call(catalog_of(root), *arguments).exit_code == 2


def test_permissions_are_the_checkpoint_s_without_execution(root: Path) -> None:
    (checkpoint,) = project(root)
    checkpoint.chmod(0o750)
    catalog_of(root).recover()
    for name in ("best.config.json", "best.provenance.json"):
        assert stat.S_IMODE(checkpoint.with_name(name).stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_is_the_checkpoint_s(root: Path) -> None:
    (checkpoint,) = project(root)
    os.chown(checkpoint, 1234, 2345)
    catalog_of(root).recover()
    status = checkpoint.with_suffix(".config.json").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "give yourself permission"),
        (errno.EACCES, "give yourself permission"),
        (errno.EIO, "could not be written"),
    ],
)
@pytest.mark.parametrize("call_number", [1, 2])
def test_a_disk_that_refuses_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str, call_number: int
) -> None:
    """The first file (provenance) or the second (the sidecar) cannot be flushed."""
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    flush, calls = os.fsync, iter(range(1, 100))

    def refuse(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode) and next(calls) == call_number:
            raise OSError(number, os.strerror(number))
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    file = only(catalog.recover().files)
    assert (file.action, said in file.note) == ("failed", True)
    assert sorted(os.listdir(checkpoint.parent)) == ["best.ckpt"]
    assert state_of(catalog)["state"] == "recoverable"
    monkeypatch.undo()
    assert only(catalog.recover().files).action == "written"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    checkpoint.parent.chmod(0o500)
    file = only(catalog.recover().files)
    checkpoint.parent.chmod(0o700)
    assert (file.action, "give yourself permission" in file.note) == ("failed", True)


def test_one_failure_does_not_stop_the_others(root: Path) -> None:
    first, second = project(
        root,
        Training("det_a"),
        Training(
            "det_b", run_id="b1b2c3d4", begin=600, scores=(0.3120142984867096, 0.6231270074844360)
        ),
    )
    catalog = catalog_of(root)
    first.with_suffix(".config.json").write_text("taken")
    actions = {file.checkpoint: file.action for file in catalog.recover().files}
    assert sorted(actions.values()) == ["failed", "written"]
    assert json.loads(second.with_suffix(".config.json").read_text()) == {"model": MODEL}
    assert call(catalog).exit_code == 1


def test_a_checkpoint_that_vanished_gets_nothing(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    checkpoint.unlink()
    file = only(catalog.recover().files)
    assert (file.action, "is gone" in file.note) == ("failed", True)
    assert os.listdir(checkpoint.parent) == []


def test_a_checkpoint_that_changed_since_the_ingest_gets_nothing(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    os.utime(checkpoint, (1, 1))
    file = only(catalog.recover().files)
    assert (file.action, "changed since it was ingested" in file.note) == ("failed", True)
    assert os.listdir(checkpoint.parent) == ["best.ckpt"]


def test_a_source_that_changed_since_the_ingest_is_not_vouched_for(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    stream = next(root.rglob("*.wandb"))
    stream.write_bytes(stream.read_bytes() + b"x")
    file = only(catalog.recover().files)
    assert (file.action, "changed since it was ingested" in file.note) == ("failed", True)
    assert os.listdir(checkpoint.parent) == ["best.ckpt"]


def test_a_source_that_is_gone_is_still_known_and_has_no_digest(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    next(root.rglob("*.wandb")).unlink()
    assert only(catalog.recover().files).action == "written"
    said = json.loads(checkpoint.with_name("best.provenance.json").read_text())
    assert said["source"]["sha256"] is None


def test_a_link_out_of_the_tree_is_not_followed(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    outside = root.parent / "outside"
    shutil.move(checkpoint.parent, outside)
    checkpoint.parent.symlink_to(outside)
    file = only(catalog.recover().files)
    assert (file.action, "leads out of" in file.note) == ("failed", True)
    assert os.listdir(outside) == ["best.ckpt"]


def test_two_checkpoints_of_one_stem_do_not_get_each_other_s_config(root: Path) -> None:
    """Inference would take `best.config.json` for the other `best`, whose run is not known."""
    (checkpoint,) = project(root)
    stranger = checkpoint.with_suffix(".pt")
    from tests.support.torch_files import FakeTensor, write_torch_zip

    write_torch_zip(stranger, {"other.weight": FakeTensor(shape=(2, 2))})
    os.utime(stranger, (1, 1))
    catalog = catalog_of(root)
    notes = {file.checkpoint: (file.action, file.note) for file in catalog.recover().files}
    action, note = notes[str(checkpoint.relative_to(root))]
    assert (action, "Another checkpoint of the same name" in note) == ("skipped", True)
    assert not checkpoint.with_suffix(".config.json").exists()


def test_a_second_recovery_waits_for_the_first(root: Path) -> None:
    project(root)
    catalog = catalog_of(root)
    engine = open_existing(catalog.location)
    with only_recovery(engine, catalog.location):
        with pytest.raises(DatabaseBusy, match="Another recovery is at work"):
            catalog.recover()
        with pytest.raises(DatabaseBusy):
            catalog.undo_recovery(1)
        assert only(catalog.recover(dry_run=True).files).action == "write"
    engine.dispose()
    assert only(catalog.recover().files).action == "written"
    assert [path.name for path in root.parent.glob("catalog.db-recovery")] == []


def test_a_lock_that_cannot_be_made_is_told_with_what_to_try(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(root)
    catalog = catalog_of(root)
    real = os.open

    def read_only(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("-recovery"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)
    done = call(catalog)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "catalog.db-recovery" in line
    assert "(Read-only file system)" in line
    assert f"permission to write to {root.parent}, or copy the catalog" in line


def test_two_catalogs_on_one_tree_write_once(root: Path, tmp_path: Path) -> None:
    (checkpoint,) = project(root)
    first, second = catalog_of(root), Catalog(tmp_path / "second.db")
    second.ingest([root])
    assert only(first.recover().files).action == "written"
    before = checkpoint.with_suffix(".config.json").read_bytes()
    assert only(second.recover().files).action == "failed"
    assert checkpoint.with_suffix(".config.json").read_bytes() == before


def test_a_sidecar_that_somebody_removed_is_written_again(root: Path) -> None:
    (checkpoint,) = project(root)
    catalog = catalog_of(root)
    catalog.recover()
    checkpoint.with_suffix(".config.json").unlink()
    catalog.ingest([root])
    assert state_of(catalog)["state"] == "recoverable"
    assert only(catalog.recover().files).action == "written"
    assert json.loads(checkpoint.with_suffix(".config.json").read_text()) == {"model": MODEL}
    assert [row["state"] for row in catalog.verify_recoveries().dicts()] == ["unchanged"] * 2


def test_a_config_without_the_section_gets_a_sidecar_before_it(root: Path) -> None:
    (checkpoint,) = project(root)
    checkpoint.with_name("hparams.yaml").write_text("lr: 0.1\n")
    catalog = catalog_of(root)
    state = state_of(catalog)
    assert (state["state"], state["reason_code"]) == ("recoverable", "config-without-section")
    assert only(catalog.recover().files).action == "written"
    assert state_of(catalog)["state"] == "migrated"
    assert checkpoint.with_name("hparams.yaml").read_text() == "lr: 0.1\n"


def test_where_inference_may_need_other_sections_the_setting_is_named(root: Path) -> None:
    (checkpoint,) = project(root, Training(run_id=None))
    checkpoint.with_name("hparams.yaml").write_text("lr: 0.1\n")
    catalog = catalog_of(root)
    state = state_of(catalog)
    assert (state["state"], state["reason_code"]) == ("unrecoverable", "no-run")
    assert state["reason"].endswith("No W&B run is known to have written it.")
    assert "`catalog settings --keep config_sections=NAME,...`" in state["remedy"]
    Catalog(catalog.location.file).keep_settings({"config_sections": ()})
    assert state_of(catalog)["state"] == "usable"


def test_trees_of_another_host_are_left_to_it(root: Path) -> None:
    project(root)
    catalog = Catalog(root.parent / "catalog.db", host="gpu7")
    catalog.ingest([root])
    before = snapshot(root)
    file = only(Catalog(root.parent / "catalog.db", host="desk").recover().files)
    assert (file.action, "gpu7" in file.note) == ("skipped", True)
    assert snapshot(root) == before


def test_recovery_works_on_each_database(root: Path, database: str) -> None:
    (checkpoint,) = project(root)
    before = snapshot(root)
    catalog = Catalog(database)
    catalog.ingest([root])
    result = catalog.recover()
    assert only(result.files).action == "written"
    assert {row["state"] for row in catalog.verify_recoveries().dicts()} == {"unchanged"}
    assert [row["verdict"] for row in catalog.explain_recovery().dicts()] == []
    assert checkpoint.with_suffix(".config.json").exists()
    catalog.undo_recovery(int(result.batch or 0))
    assert snapshot(root) == before
