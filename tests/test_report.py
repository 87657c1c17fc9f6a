from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from catalog.query.connection import open_reader
from catalog.query.named import list_queries, resolve
from catalog.report.markdown import report
from catalog.schema.location import locate
from catalog.settings import Settings
from tests.support.rows import BEST, CONFIG_FILE, LAST, LONE, RUN_DIRECTORY, fill

if TYPE_CHECKING:
    from pathlib import Path

NOW = "2025-10-18 16:25:36 UTC"


def written(db: Path) -> str:
    with open_reader(locate(db), Settings()) as reader:
        return report(reader, now=NOW)


def changed(db: Path, sql: str) -> None:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute(sql)
        connection.commit()


@pytest.fixture
def story_db(empty_db: Path) -> Path:
    return fill(empty_db)


def section(text: str, heading: str) -> str:
    found = re.search(rf"^#+ {heading}.*?$\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")][2:]


def test_the_sections_come_in_the_order_of_the_report_it_replaces(story_db: Path) -> None:
    headings = re.findall(r"^#+ (.*)$", written(story_db), re.MULTILINE)
    assert headings == [
        "Checkpoint Trace Report",
        "Executive Summary",
        "Key Findings",
        "Data Sources Available",
        "Detailed Checkpoint Analysis",
        "Traceable Checkpoints (2/4)",
        "Ambiguous Checkpoints (1/4)",
        "Untraceable Checkpoints (1/4)",
        "Evidence",
        "Configuration Recovery",
        "Migration Progress",
        "Problems",
        "Recommendations",
    ]


def test_the_numbers_agree_with_the_tables(story_db: Path) -> None:
    text = written(story_db)
    assert NOW in text
    assert "**PARTLY**: the config of 2 of 4 unusable checkpoints" in text
    assert "Of the 4 unusable ones 2 are linked to one run, 1 fit several" in text
    traceable = table(section(text, "Traceable"))
    assert [BEST in line for line in traceable] == [True, False]
    assert all(RUN_DIRECTORY in line for line in traceable)
    assert LAST in traceable[1]
    assert len(table(section(text, "Ambiguous"))) == 2
    assert [LONE in line for line in table(section(text, "Untraceable"))] == [True]
    recovery = section(text, "Configuration Recovery")
    assert "of 2 checkpoints" in recovery
    assert CONFIG_FILE in recovery


def test_every_number_names_a_query_that_exists(story_db: Path) -> None:
    text = written(story_db)
    named = set(re.findall(r"`catalog query ([a-z-]+)`", text))
    assert {"overview", "unusable-linked", "migration-progress"} <= named
    assert named <= {query.name for query in list_queries()}
    with open_reader(locate(story_db), Settings()) as reader:
        (numbers,) = reader.run(*resolve("overview")).dicts()
    counts = {str(number) for number in numbers.values()}
    prose = section(text, "Key Findings")
    for number in re.findall(r"(?<![\d.])\d+(?![\d.])", prose.replace("\n", " ")):
        assert number in counts, f"{number} is no result of the query overview"


def test_all_some_or_none_can_be_traced(story_db: Path) -> None:
    changed(story_db, "UPDATE migration SET state = 'usable' WHERE checkpoint_id IN (4, 5)")
    assert "**YES**: the config of all 2 unusable checkpoints" in written(story_db)
    changed(story_db, "DELETE FROM run_config")
    assert "**NO**: for none of the 2 unusable checkpoints" in written(story_db)
    changed(story_db, "UPDATE migration SET state = 'migrated' WHERE checkpoint_id < 3")
    text = written(story_db)
    assert "**NOTHING TO TRACE**" in text
    assert "5 usable (2 of them migrated), 0 unusable" in text
    assert "Detailed Checkpoint Analysis" not in text
    assert "Recoverable" not in text


def test_recommendations_follow_from_numbers(story_db: Path) -> None:
    text = section(written(story_db), "Recommendations")
    assert "1. Run `catalog recover`: it has what 2 unusable checkpoints lack." in text
    assert "1 ambiguous checkpoint:" in text
    assert "copies take 202.3 MB" in text
    changed(story_db, "UPDATE migration SET state = 'unrecoverable' WHERE state = 'recoverable'")
    assert "it has what" not in section(written(story_db), "Recommendations")


def test_an_empty_catalog_has_a_report_too(empty_db: Path) -> None:
    text = written(empty_db)
    assert "The catalog holds no checkpoint yet." in text
    assert "Recommendations" not in text


def test_long_tables_are_cut_and_say_so_and_numbers_stay_whole(story_db: Path) -> None:
    with open_reader(locate(story_db), Settings()) as reader:
        whole, short = (report(reader, now=NOW, most=most) for most in (9, 1))
    assert "The first" not in whole
    traceable = section(short, "Traceable")
    assert len(table(traceable)) == 1
    assert "The first 1 of 2 rows; `catalog query unusable-linked -f csv` gives all" in traceable
    assert "The first" not in section(short, "Untraceable")
    for heading in ("Key Findings", "Data Sources Available"):
        assert section(short, heading) == section(whole, heading)
    assert [line for line in short.splitlines() if line.startswith("#")] == [
        line for line in whole.splitlines() if line.startswith("#")
    ]


def test_paths_cannot_break_a_table(story_db: Path) -> None:
    ambiguous = table(section(written(story_db), "Ambiguous"))
    assert all(line.startswith(r"| `` outputs/a\|b `twins`/last.ckpt `` | ") for line in ambiguous)
    changed(story_db, "UPDATE file SET path = 'x' || char(10) || '# Gone |' WHERE id = 5")
    text = written(story_db)
    assert "\n# Gone" not in text
    assert len(table(section(text, "Untraceable"))) == 1


def test_of_many_runs_that_fit_the_best_are_shown_and_the_others_counted(story_db: Path) -> None:
    with closing(sqlite3.connect(story_db)) as connection:
        for number in range(100, 157):
            connection.execute(
                "INSERT INTO run (id, identity, tracker, tracker_run_id, state) "
                "VALUES (?, ?, 'wandb', ?, 'finished')",
                (number, f"wandb:r{number}", f"r{number}"),
            )
            connection.execute(
                "INSERT INTO link (id, checkpoint_id, run_id, run_directory_id, verdict, "
                "decided_by, score, ingest_id) VALUES (?, 4, ?, 2, 'ambiguous', 'evidence', ?, 1)",
                (number, number, 3.0 + number / 1000),
            )
        connection.commit()
    text = section(written(story_db), "Ambiguous")
    assert [line.split("|")[-4].strip() for line in table(text)] == [
        f"`r{number}`" for number in range(156, 151, -1)
    ]
    assert "54 more; `catalog query ambiguous` names them." in text
