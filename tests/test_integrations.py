"""What the callbacks write, without any framework: `Saver` alone."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from catalog.integrations.saving import Saver, plain
from tests.support.recovery import MODEL

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"model": MODEL, "lr": 0.1}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "epoch=4-loss=2.9.ckpt"
    path.write_bytes(b"weights")
    return path


def saver(config: Any = CONFIG, sections: tuple[str, ...] = ("model",)) -> Saver:
    return Saver(config, sections, "test")


def read(checkpoint: Path, kind: str) -> Any:
    path = checkpoint.with_suffix("")
    return json.loads(path.with_name(f"{path.name}.{kind}.json").read_text())


def test_the_sidecar_is_the_section_and_the_metadata_hold_all(checkpoint: Path) -> None:
    saver().save(checkpoint, {"epoch": 4, "wandb_run_id": "a1b2c3d4", "monitor": None})
    assert read(checkpoint, "config") == {"model": MODEL}
    said = read(checkpoint, "metadata")
    assert said["config"] == CONFIG
    assert (said["epoch"], said["wandb_run_id"]) == (4, "a1b2c3d4")
    assert said["checkpoint_path"] == str(checkpoint)
    assert "monitor" not in said
    assert said["written_by"].startswith("catalog ")


def test_its_own_files_are_written_again_and_others_are_left(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saver().save(checkpoint, {"epoch": 4})
    saver({"model": {"name": "new"}}).save(checkpoint, {"epoch": 5})
    assert read(checkpoint, "config") == {"model": {"name": "new"}}
    assert read(checkpoint, "metadata")["epoch"] == 5
    sidecar = checkpoint.with_name("epoch=4-loss=2.9.config.json")
    sidecar.write_text('{"model": "mine"}')
    one = saver()
    one.save(checkpoint, {"epoch": 6})
    one.save(checkpoint, {"epoch": 7})
    assert read(checkpoint, "config") == {"model": "mine"}
    assert "sidecar_sha256" not in read(checkpoint, "metadata")
    assert len([r for r in caplog.records if "left as it is" in r.message]) == 1
    one.forget(checkpoint)
    assert sidecar.exists()


def test_metadata_of_another_tool_are_left(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = checkpoint.with_name("epoch=4-loss=2.9.metadata.json")
    theirs.write_text('{"epoch": 1}')
    one = saver()
    one.save(checkpoint, {"epoch": 4})
    one.forget(checkpoint)
    assert theirs.read_text() == '{"epoch": 1}'
    assert "left as it is" in caplog.text


def test_what_belongs_to_a_removed_checkpoint_goes_with_it(checkpoint: Path) -> None:
    one = saver()
    one.save(checkpoint, {})
    one.forget(checkpoint)
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"lr": 1}, "no section 'model'"),
        ({"model": {"name": "${encoder.name}"}}, "model.name open"),
        ({"model": {"rate": float("nan")}}, "ValueError"),
        ({"model": {"dtype": object()}}, "TypeError"),
    ],
)
def test_a_config_that_cannot_be_written_is_a_warning_and_metadata_come_all_the_same(
    checkpoint: Path, caplog: pytest.LogCaptureFixture, config: Any, said: str
) -> None:
    one = saver(config)
    with caplog.at_level(logging.WARNING):
        one.save(checkpoint, {"epoch": 1})
        one.save(checkpoint, {"epoch": 2})
    assert read(checkpoint, "metadata")["epoch"] == 2
    assert not checkpoint.with_name("epoch=4-loss=2.9.config.json").exists()
    assert [said in record.message for record in caplog.records] == [True]


def test_references_are_resolved_and_namespaces_taken() -> None:
    assert plain({"a": {"b": "${c}"}, "c": 3}) == {"a": {"b": 3}, "c": 3}
    assert plain(Namespace(model=MODEL)) == {"model": MODEL}


def test_secrets_do_not_reach_the_metadata(checkpoint: Path) -> None:
    saver({**CONFIG, "wandb": {"api_key": "0123456789abcdef0123456789abcdef01234567"}}).save(
        checkpoint, {}
    )
    assert "0123456789abcdef" not in json.dumps(read(checkpoint, "metadata"))


def test_nothing_gets_out_of_the_guard(caplog: pytest.LogCaptureFixture) -> None:
    one = saver()
    for _ in range(3):
        with one.guarded("do it"):
            raise OSError("disk full")
    assert [record.message for record in caplog.records] == [
        "catalog could not do it: OSError: disk full"
    ]
