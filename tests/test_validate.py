"""A person's statement, checked point by point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from catalog import Catalog
from catalog.cli.main import app
from catalog.errors import NotFound, SourceError

CLAIM = Path(__file__).resolve().parents[1] / "examples" / "claim.yaml"


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def checked(db: Path, tmp_path: Path, **changes: Any) -> dict[str, dict[str, Any]]:
    """Validate the example's claim with some points changed (None: left out)."""
    stated = yaml.safe_load(CLAIM.read_text()) | changes
    path = tmp_path / "claim.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in stated.items() if value}))
    return {row["point"]: row for row in Catalog(db).validate(path).rows().dicts()}


def test_the_manual_trace_of_the_example_holds(ocr_db: Path) -> None:
    verdicts = Catalog(ocr_db).validate(CLAIM)
    assert [point.point for point in verdicts.points if not point.holds] == []
    assert verdicts.hold
    done = command("validate", str(CLAIM), "--db", str(ocr_db))
    assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize(
    ("changes", "reading"),
    [
        ({}, "read as UTC"),
        ({"time": "2025-10-18 04:29:34"}, "the run's local time, +09:00"),
        ({"time": "2025-10-18 04:29:34", "zone": "+09:00"}, "read as +09:00"),
        ({"time": "2025-10-17 21:29:34+02:00"}, "the zone that it states"),
    ],
)
def test_a_time_is_read_in_every_zone_it_may_be_in(
    ocr_db: Path, tmp_path: Path, changes: dict[str, Any], reading: str
) -> None:
    row = checked(ocr_db, tmp_path, **changes)["time"]
    assert row["holds"] == "yes"
    assert reading in row["note"]


@pytest.mark.parametrize(
    ("changes", "point"),
    [
        ({"time": "2025-10-17 19:29:38", "zone": "+01:00"}, "time"),
        ({"experiment": "another"}, "experiment"),
        ({"folder": "outputs"}, "folder"),
        ({"run": "other-team/receipt-text-recognition-ocr-project/tit2247i"}, "run"),
        ({"metrics": {"val/hmean": 0.951}}, "metric val/hmean"),
        ({"metrics": {"val/nothing": 1}}, "metric val/nothing"),
        ({"config": {"seed": 43}}, "config seed"),
        ({"variants": 3}, "variants"),
    ],
)
def test_what_is_not_so_fails_alone(
    ocr_db: Path, tmp_path: Path, changes: dict[str, Any], point: str
) -> None:
    rows = checked(ocr_db, tmp_path, **changes)
    assert {name for name, row in rows.items() if row["holds"] != "yes"} == {point}


def test_config_values_and_tolerances(ocr_db: Path, tmp_path: Path) -> None:
    rows = checked(
        ocr_db,
        tmp_path,
        config={"seed": 42, "trainer": {"max_epochs": 20}},
        metrics={"val/hmean": {"value": 0.95, "tolerance": 0.01}},
    )
    assert all(row["holds"] == "yes" for row in rows.values())
    assert {"config seed", "config trainer.max_epochs", "metric val/hmean"} <= set(rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no claim"),
        ("- a\n", "no claim"),
        ("experiment: x\n", "names no run"),
        ("run: tit2247i\ncolour: red\n", "no claim has 'colour'"),
        ("run: tit2247i\ntime: yesterday\n", "is no time"),
        ("run: tit2247i\nzone: Seoul\n", "is no zone"),
        ("run: tit2247i\nmetrics: {val/hmean: high}\n", "takes a number"),
        ("run: tit2247i\nvariants: many\n", "whole number"),
        ("run: !!python/object:os.system {}\ntime: 1\n", "names no run"),
    ],
)
def test_what_is_no_claim_is_refused_with_a_sentence(
    ocr_db: Path, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "claim.yaml"
    path.write_text(text)
    with pytest.raises(SourceError, match=said):
        Catalog(ocr_db).validate(path)


def test_a_claim_on_an_unknown_run_is_no_verdict(ocr_db: Path, tmp_path: Path) -> None:
    path = tmp_path / "claim.yaml"
    path.write_text("run: zzzzzzzz\n")
    with pytest.raises(NotFound):
        Catalog(ocr_db).validate(path)
    with pytest.raises(SourceError, match="no file"):
        Catalog(ocr_db).validate(tmp_path / "none.yaml")
    failed = command("validate", str(path), "--db", str(ocr_db))
    assert failed.exit_code == 1
