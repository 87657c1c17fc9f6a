"""The seed's story, end to end on the example project: the promises of the README."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catalog import Catalog
from tests.conftest import EXAMPLES
from tests.support.database import rows_of_all_tables


def truth() -> list[dict[str, str]]:
    with (EXAMPLES / "truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_42_checkpoints_24_usable_18_not(ocr_db: Path) -> None:
    states = {row["state"]: row["checkpoints"] for row in Catalog(ocr_db).status().dicts()}
    assert {state: count for state, count in states.items() if count} == {
        "usable": 24,
        "recoverable": 18,
    }
    assert Catalog(ocr_db).query("ingest-summary").dicts()[0]["doubted"] == 0


def test_the_unusable_are_those_of_the_seed(ocr_db: Path) -> None:
    listed = {row["path"] for row in Catalog(ocr_db).query("unusable").dicts()}
    assert listed == {row["path"] for row in truth() if row["usable"] == "no"}
    assert len(listed) == 18


def test_every_link_is_right_and_none_is_to_a_decoy(ocr_db: Path) -> None:
    traced = {
        row["path"]: (row["run"], row["run_directory"])
        for row in Catalog(ocr_db).sql("SELECT * FROM checkpoint_trace").dicts()
    }
    for row in truth():
        if row["wandb_run_id"]:
            assert traced[row["path"]] == (row["wandb_run_id"], row["run_directory"])
        else:
            assert traced[row["path"]] == (None, None)


def test_every_link_shows_evidence_with_the_file_it_was_read_from(ocr_db: Path) -> None:
    unproven = Catalog(ocr_db).sql(
        """SELECT l.id FROM link l WHERE l.verdict = 'linked' AND NOT EXISTS (
               SELECT 1 FROM link_evidence e
               WHERE e.link_id = l.id AND e.weight >= 4 AND e.run_file_id IS NOT NULL)"""
    )
    assert unproven.rows == []


def test_names_lie_and_configs_count(ocr_db: Path) -> None:
    """The folder says pan_decoder, the run's name says unet: the config decides."""
    decoder = Catalog(ocr_db).sql(
        """SELECT DISTINCT text FROM config_flat
           WHERE run = 'tit2247i' AND key = 'model.decoder.name'"""
    )
    assert decoder.rows == [("unet",)]


def test_recover_writes_what_the_run_recorded(project: Path, tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([project])
    expected = {
        row["path"]: row["document"]
        for row in catalog.sql(
            """SELECT t.path, c.document FROM checkpoint_trace t
               JOIN link l ON l.checkpoint_id = t.checkpoint_id AND l.verdict = 'linked'
               JOIN run_config_chosen k ON k.run_directory_id = l.run_directory_id
               JOIN config c ON c.id = k.config_id WHERE t.state = 'recoverable'"""
        ).dicts()
    }
    result = catalog.recover()
    assert len(result.files) == len(expected) == 18
    for file in result.files:
        assert file.sidecar is not None
        written = json.loads((project / file.sidecar).read_text())
        assert written == {"model": json.loads(expected[file.checkpoint])["model"]}
    states = {row["state"]: row["checkpoints"] for row in catalog.status().dicts()}
    assert (states["usable"], states["migrated"]) == (42, 18)


def test_ingesting_twice_changes_no_row_but_the_ingests_own(
    ocr_db: Path, ocr_project: Path
) -> None:
    before = rows_of_all_tables(ocr_db)
    Catalog(ocr_db).ingest([ocr_project])
    after = rows_of_all_tables(ocr_db)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["ingest", "root_host"]  # which tells when a host last saw the tree


def test_a_truncated_copy_is_unusable_and_says_what_is_missing(
    project: Path, tmp_path: Path
) -> None:
    whole = next(project.glob("outputs/*2c6f1f1*/checkpoints/best.ckpt"))
    copy = whole.with_name("cut.ckpt")
    copy.write_bytes(whole.read_bytes()[:-3000])
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([project])
    (row,) = [one for one in catalog.query("unusable").dicts() if one["path"].endswith("cut.ckpt")]
    assert "missing" in row["reason"]
    assert any(one["path"].endswith("cut.ckpt") for one in catalog.query("problems").dicts())


def test_the_committed_database_is_what_ingesting_gives(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    subprocess.run([sys.executable, str(EXAMPLES / "make_catalog.py"), str(fresh)], check=True)
    committed = Path(shutil.copy(EXAMPLES.parent / "catalog.db.example", tmp_path / "kept.db"))
    assert rows_of_all_tables(fresh) == rows_of_all_tables(committed)


def test_the_report_agrees_with_itself_and_with_sql(ocr_db: Path) -> None:
    catalog = Catalog(ocr_db)
    report = catalog.report()
    assert "all 18 unusable checkpoints" in report
    assert "Traceable Checkpoints (18/18)" in report
    assert not re.search(r"\b17(?: of |/)18", report)
    (counted,) = catalog.sql(
        """SELECT COUNT(*) AS unusable, SUM(verdict = 'linked') AS linked
           FROM unusable_checkpoints"""
    ).dicts()
    assert counted == {"unusable": 18, "linked": 18}
    for row in catalog.sql("SELECT path FROM unusable_checkpoints").dicts():
        assert row["path"] in report


@pytest.mark.parametrize("run", ["e8q5b7lw", "p0x4m2kd", "y4n0j3rc", "m2s6t9gh", "v91tqz0e"])
def test_decoys_are_known_runs_that_wrote_nothing(ocr_db: Path, run: str) -> None:
    rows = Catalog(ocr_db).query("runs").dicts()
    (row,) = [one for one in rows if one["run"] == run]
    assert row["checkpoints"] == 0
