"""Settings that a catalog keeps: whoever works with it judges alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import UsageError
from catalog.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

NONE_IS_USABLE = {"config_sections": ("no_such_section",)}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def rows(*arguments: str) -> dict[str, dict[str, Any]]:
    listed = json.loads(run(*arguments, "--format", "json").stdout)
    return {row["name"]: row for row in listed}


def usable(catalog: Catalog) -> int:
    return sum(row["checkpoints"] for row in catalog.status().dicts() if row["state"] == "usable")


def test_what_is_kept_holds_for_every_later_command(ocr_database: str, ocr_project: Path) -> None:
    Catalog(ocr_database).keep_settings(NONE_IS_USABLE)
    # Judged at once, and in the same way by an ingest that is told nothing.
    assert usable(Catalog(ocr_database)) == 0
    assert Catalog(ocr_database).settings.config_sections == ("no_such_section",)
    Catalog(ocr_database).ingest([ocr_project])
    assert usable(Catalog(ocr_database)) == 0
    Catalog(ocr_database).keep_settings(forget=["config_sections"])
    assert usable(Catalog(ocr_database)) == 24


def test_what_a_call_says_comes_before_what_is_kept(ocr_db: Path, ocr_project: Path) -> None:
    Catalog(ocr_db).keep_settings({**NONE_IS_USABLE, "hydra_levels": 5})
    said = Catalog(ocr_db, {"config_sections": ("model",)})
    assert (said.settings.config_sections, said.settings.hydra_levels) == (("model",), 5)
    # Whole settings are taken as they are.
    assert Catalog(ocr_db, Settings()).settings == Settings()
    said.ingest([ocr_project])
    assert usable(said) == 24


def test_they_can_be_kept_before_the_first_ingest(tmp_path: Path, project: Path) -> None:
    db = tmp_path / "new.db"
    Catalog(db).keep_settings({"ignore": ("outputs",)})
    summary = Catalog(db).ingest([project])
    assert (summary.ingest_id, summary.checkpoints) == (1, 0)


def test_a_name_that_is_none_changes_nothing(ocr_db: Path) -> None:
    with pytest.raises(UsageError, match="did you mean hydra_levels"):
        Catalog(ocr_db).keep_settings({"hydra_levels": 1, "hydra_level": 3})
    with pytest.raises(UsageError, match="no setting"):
        Catalog(ocr_db).keep_settings({"hydra_levels": 1}, forget=["hydra_lvl_count"])
    with pytest.raises(UsageError, match="no pattern"):
        Catalog(ocr_db).keep_settings({"ignore": ("[",)})
    assert Catalog(ocr_db).kept_settings() == {}


def test_the_command_line_lists_keeps_and_forgets(ocr_db: Path) -> None:
    place = ["--db", str(ocr_db)]
    kept = run("settings", "--keep", "config_sections=net,data", "--keep", "hydra_levels=3", *place)
    assert kept.exit_code == 0
    listed = rows("settings", *place)
    assert {name: row["value"] for name, row in listed.items() if row["source"] == "kept"} == {
        "config_sections": "net,data", "hydra_levels": 3,
    }  # fmt: skip
    assert listed["hydra_levels"]["default"] == 2
    run("settings", "--forget", "config_sections", *place)
    listed = rows("settings", *place)
    assert listed["config_sections"]["value"] == "model"
    wrong = run("settings", "--keep", "hydra_levels=many", *place)
    assert wrong.exit_code == 2
    assert "a whole number" in wrong.stderr
