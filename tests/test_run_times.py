"""Runs of machines in several zones, on one time line."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from catalog import Catalog
from tests.support.wandb_files import write_run_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ZONES = ("Asia/Seoul", "America/New_York", "Asia/Kolkata", "UTC")
AUTUMN = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
"""Half an hour before New York's clocks go back."""


def write(root: Path, zone: str, moments: list[float], *, known: bool = True) -> list[str]:
    """Write a run a moment, stamped by the clock of a zone; return the ids."""
    runs = []
    for number, moment in enumerate(moments):
        local = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone))
        run = f"{'silent' if not known else zone[-4:].lower().strip('/_'):x<6}{number:02}"
        folder = write_run_directory(
            root / "wandb", run, stamp=local.strftime("%Y%m%d_%H%M%S"), started=moment
        )
        if not known:
            (folder / "files" / "wandb-metadata.json").unlink()
            (folder / f"run-{run}.wandb").write_bytes(b"")
        runs.append(run)
    return runs


def overview(catalog: Catalog) -> list[dict[str, object]]:
    return catalog.query("run_overview").dicts()


def test_machines_of_four_zones_are_ordered_by_utc(tmp_path: Path) -> None:
    begin = AUTUMN.timestamp()
    wanted: list[tuple[float, str]] = []
    for place, zone in enumerate(ZONES):
        root = tmp_path / "tree" / zone.replace("/", "-")
        # Every hour, across the change of New York's clock, each zone some minutes later.
        moments = [begin + 3600 * hour + 60 * place for hour in range(4)]
        wanted += zip(moments, write(root, zone, moments), strict=True)
    catalog = Catalog(tmp_path / "c.db")
    for zone in ZONES:
        catalog.ingest([tmp_path / "tree" / zone.replace("/", "-")])
    found = [str(row["run"]) for row in catalog.query("runs").dicts()]
    assert found == [run for _, run in sorted(wanted)]


def test_the_zone_of_each_run_is_inferred_and_says_so(tmp_path: Path) -> None:
    moments = [AUTUMN.timestamp() + 3600 * hour for hour in range(3)]
    for zone in ZONES:
        write(tmp_path / "tree" / zone.replace("/", "-"), zone, moments)
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    zones = catalog.sql(
        "SELECT SUBSTR(path, 1, 4) AS place, zone, zone_basis FROM run_directory ORDER BY stamp"
    ).rows
    found: dict[str, set[tuple[str, str]]] = {}
    for place, zone, basis in zones:
        found.setdefault(place, set()).add((zone, basis))
    assert found == {
        "Asia": {("+09:00", "inferred"), ("+05:30", "inferred")},
        "Amer": {("-04:00", "inferred"), ("-05:00", "inferred")},
        "UTC/": {("+00:00", "inferred")},
    }


def test_a_run_without_utc_takes_the_clock_of_its_neighbours(tmp_path: Path) -> None:
    begin = AUTUMN.timestamp()
    root = tmp_path / "tree"
    write(root, "Asia/Kolkata", [begin, begin + 7200])
    (silent,) = write(root / "other", "Asia/Kolkata", [begin + 3600], known=False)
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([root])
    row = next(row for row in overview(catalog) if str(row["first_directory"]).startswith("other/"))
    assert row["run"] == silent
    assert (row["started_zone"], row["started_basis"]) == ("+05:30", "inferred")
    assert row["started_at"] == "2025-11-02T06:30:00.000000Z"


@pytest.mark.parametrize(
    ("hours_later", "started"),
    [
        (-2.0, "2025-11-02T03:30:00.000000Z"),  # both neighbours before the change
        (0.75, None),  # one on each side of it: nobody knows
        (3.0, "2025-11-02T08:30:00.000000Z"),  # both after it
    ],
)
def test_across_a_change_of_the_clock_only_agreeing_neighbours_tell(
    tmp_path: Path, hours_later: float, started: str | None
) -> None:
    begin = AUTUMN.timestamp()
    root = tmp_path / "tree"
    write(root, "America/New_York", [begin + 3600 * n for n in (-3, -1, 2, 4)])
    silent = begin + 3600 * hours_later
    write(root / "other", "America/New_York", [silent], known=False)
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([root])
    row = next(row for row in overview(catalog) if str(row["first_directory"]).startswith("other/"))
    assert row["started_at"] == started
    assert row["started_basis"] == ("inferred" if started else None)


def test_a_stated_offset_is_no_inference(tmp_path: Path) -> None:
    (run,) = write(tmp_path / "tree", "Asia/Seoul", [AUTUMN.timestamp()])
    (folder,) = (tmp_path / "tree" / "wandb").iterdir()
    (folder / "logs" / "debug-internal.log").write_text(
        '{"time":"2025-11-02T14:30:00.316+09:00","level":"INFO","msg":"stream: starting"}\n'
    )
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    basis = catalog.sql("SELECT zone, zone_basis FROM run_directory").rows
    assert basis == [("+09:00", "stated")]
    assert catalog.run(run).run["started_zone"] == "+09:00"


OLD = 1_577_959_773.5
"""2020-01-02 10:09:33 UTC."""


def write_old(
    root: Path,
    summary: Mapping[str, Any],
    *,
    newest: float | None = None,
    heartbeat: str | None = None,
    started: float = OLD,
) -> None:
    """Write a run as a client of 0.8 left it: no stream.

    Args:
        root: of the tree.
        summary: its summary.
        newest: when its newest file was written, now where None.
        heartbeat: as its metadata have it.
        started: when it started.
    """
    stamp = datetime.fromtimestamp(started, UTC)
    folder = root / "wandb" / f"run-{stamp:%Y%m%d_%H%M%S}-a1b2c3d4"
    folder.mkdir(parents=True)
    metadata = {"startedAt": stamp.replace(tzinfo=None).isoformat(), "program": "a.py"}
    if heartbeat:
        metadata["heartbeatAt"] = heartbeat
    (folder / "wandb-metadata.json").write_text(json.dumps(metadata))
    (folder / "wandb-summary.json").write_text(json.dumps(summary))
    if newest is not None:
        for path in folder.iterdir():
            os.utime(path, (newest, newest))


def end_of(tmp_path: Path) -> tuple[object, object]:
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / "tree"])
    run = catalog.run("a1b2c3d4").run
    return run["ended_at"], run["ended_basis"]


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


HOURS = 18 * 3600.0


def test_a_run_time_that_counts_from_before_the_start_makes_no_late_end(tmp_path: Path) -> None:
    write_old(
        tmp_path / "tree",
        {"loss": 1.0, "_step": 9, "_runtime": HOURS + 60, "_timestamp": OLD + 60},
    )
    assert end_of(tmp_path) == (utc(OLD + 60), "time of the last logged row")


def test_what_the_run_time_counts_behind_the_last_row_is_added_to_it(tmp_path: Path) -> None:
    write_old(
        tmp_path / "tree",
        {
            "_runtime": HOURS + 60,
            "_timestamp": OLD + 60,
            "_wandb": {"runtime": int(HOURS) + 100},
        },
    )
    assert end_of(tmp_path) == (utc(OLD + 100), "last logged row plus the run time behind it")


def test_no_run_lived_longer_than_its_newest_file_shows(tmp_path: Path) -> None:
    write_old(tmp_path / "tree", {"_wandb": {"runtime": int(HOURS)}}, newest=OLD + 600)
    end, basis = end_of(tmp_path)
    assert end == utc(OLD + 600)
    assert basis == "time of the newest of its files, which its run time goes beyond"


def test_files_that_a_copy_made_newer_bound_nothing(tmp_path: Path) -> None:
    write_old(tmp_path / "tree", {"_wandb": {"runtime": 500}})
    assert end_of(tmp_path) == (utc(OLD + 500), "start plus the recorded run time")


@pytest.mark.parametrize(("seconds", "known"), [(222, True), (2, False)])
def test_a_heartbeat_that_moved_is_a_sign_of_life(
    tmp_path: Path, seconds: int, *, known: bool
) -> None:
    beat = datetime.fromtimestamp(OLD + seconds, UTC).replace(tzinfo=None).isoformat()
    write_old(tmp_path / "tree", {"loss": 1.0}, heartbeat=beat)
    expected = (utc(OLD + seconds), "its last heartbeat") if known else (None, None)
    assert end_of(tmp_path) == expected
