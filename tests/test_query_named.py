from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from catalog.errors import UnknownQuery, UsageError
from catalog.query.comment import read_comment
from catalog.query.connection import open_reader
from catalog.query.named import Query, list_queries, queries, resolve
from catalog.schema.location import locate
from catalog.schema.views import ORDER
from catalog.settings import Settings
from catalog.states import STATES
from tests.support.rows import BEST, CONFIG_FILE, GONE, GOOD, LAST, LONE, RUN, TWINS, fill

if TYPE_CHECKING:
    from pathlib import Path

ALL = list_queries()


@pytest.fixture
def story_db(empty_db: Path) -> Path:
    return fill(empty_db)


def ask(db: Path, name: str, **params: str) -> list[dict[str, object]]:
    with open_reader(locate(db), Settings()) as reader:
        return reader.run(*resolve(name, params)).dicts()


def paths(db: Path, name: str, **params: str) -> list[object]:
    return [row["path"] for row in ask(db, name, **params)]


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_every_query_runs_on_an_empty_catalog(empty_db: Path, query: Query) -> None:
    wanted = {parameter.name: "x" for parameter in query.comment.parameters if parameter.required}
    with open_reader(locate(empty_db), Settings()) as reader:
        rows = reader.run(*resolve(query.name, wanted))
    assert len(rows.rows) in {0, 1, len(STATES)}  # nothing, one row of numbers, or all states


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_every_query_says_what_it_answers_and_takes(query: Query) -> None:
    assert re.fullmatch(r"[A-Z].*\.", query.comment.title)
    placeholders = set(re.findall(r"(?<!:):([a-z]\w*)", query.sql))
    assert placeholders == {parameter.name for parameter in query.comment.parameters}
    assert all(parameter.help for parameter in query.comment.parameters)


@pytest.mark.parametrize("name", ORDER)
def test_every_column_of_a_view_is_described(empty_db: Path, name: str) -> None:
    (query,) = (query for query in ALL if query.name == name)
    with open_reader(locate(empty_db), Settings()) as reader:
        columns = reader.run(query.sql).columns
    assert set(query.comment.columns) == set(columns)


def test_the_list_names_queries_and_views() -> None:
    rows = queries()
    assert rows.columns == ("name", "kind", "parameters", "title")
    listed = {row["name"]: row for row in rows.dicts()}
    assert listed["metrics"]["parameters"] == "run, [metric]"
    assert listed["unusable_checkpoints"]["kind"] == "view"


def test_unusable_names_what_cannot_be_used_and_what_to_try(story_db: Path) -> None:
    assert paths(story_db, "unusable") == [TWINS, BEST, LAST, LONE]
    (row,) = ask(story_db, "unusable", path="best.ckpt")
    assert row["size"] == 202_300_000
    assert row["run"] == RUN
    assert row["remedy"] == "Run `catalog recover`."


def test_usable_names_the_config_that_inference_finds(story_db: Path) -> None:
    (row,) = ask(story_db, "usable")
    assert (row["path"], row["config_file"]) == (GOOD, "outputs/good/best.config.json")


def test_checkpoints_include_missing_ones(story_db: Path) -> None:
    assert GONE in paths(story_db, "checkpoints")
    assert paths(story_db, "checkpoints", path="한글") == [LONE]
    assert paths(story_db, "checkpoints", path="%") == []


def test_ambiguous_has_a_row_a_candidate(story_db: Path) -> None:
    rows = ask(story_db, "ambiguous")
    assert [(row["path"], row["run"]) for row in rows] == [(TWINS, "aaaaaaaa"), (TWINS, "bbbbbbbb")]


def test_metrics_have_summary_and_history(story_db: Path) -> None:
    loss, hmean = ask(story_db, "metrics", run=RUN)
    assert (loss["metric"], loss["summary"], loss["special"]) == ("train/loss", None, "nan")
    assert (hmean["summary"], hmean["points"]) == (0.952, 2)
    assert (hmean["first_step"], hmean["last_step"]) == (10, 20)
    assert (hmean["lowest"], hmean["highest"]) == (0.5, 0.952)
    assert ask(story_db, "metrics", run="unet_hmean0.952", metric="train/loss") == [loss]


def test_history_has_a_row_a_point(story_db: Path) -> None:
    rows = ask(story_db, "history", run=RUN, metric="val/hmean")
    assert [(row["step"], row["value"]) for row in rows] == [(10, 0.5), (20, 0.952)]


def test_config_values_name_the_file_that_states_them(story_db: Path) -> None:
    rows = ask(story_db, "config", run=RUN, key="model.encoder")
    assert {row["text"] for row in rows} == {"unet"}
    assert CONFIG_FILE in {row["file"] for row in rows}


def test_evidence_speaks_for_and_against(story_db: Path) -> None:
    rows = ask(story_db, "evidence", checkpoint=BEST)
    assert [(row["verdict"], row["weight"]) for row in rows] == [
        ("linked", 9.5),
        ("linked", 3.0),
        ("rejected", -8.0),
    ]


def test_spare_bytes_add_up_to_what_one_file_of_each_group_leaves(story_db: Path) -> None:
    rows = ask(story_db, "duplicates")
    # Nobody read the files: what they state frees nothing yet.
    stated = [(row["path"], row["stated_spare_bytes"], row["spare_bytes"]) for row in rows]
    assert stated == [(BEST, 0, 0), (LAST, 202_300_000, 0)]
    assert {row["equality"] for row in rows} == {"stated"}
    (numbers,) = ask(story_db, "overview")
    assert (numbers["stated_spare_bytes"], numbers["spare_bytes"]) == (202_300_000, 0)


def test_the_numbers_of_the_overview_agree_with_the_lists(story_db: Path) -> None:
    (numbers,) = ask(story_db, "overview")
    for column, query in (
        ("checkpoints", "checkpoints"),
        ("usable", "usable"),
        ("unusable", "unusable"),
        ("unchecked", "unchecked"),
        ("left_out", "left-out"),
        ("unusable_linked", "unusable-linked"),
        ("unusable_unlinked", "unusable-unlinked"),
        ("recoverable", "recoverable"),
        ("problems", "problems"),
        ("runs", "runs"),
        ("roots", "roots"),
        ("ingests", "ingests"),
    ):
        assert numbers[column] == len(ask(story_db, query)), column
    assert numbers["unusable_ambiguous"] == len(set(paths(story_db, "unusable-ambiguous")))
    states = {
        str(row["state"]).replace(" ", "_"): int(str(row["checkpoints"]))
        for row in ask(story_db, "migration-status")
    }
    assert states == {state: numbers[state] for state in states}
    assert sum(states.values()) - states["migrated"] == numbers["checkpoints"]
    assert ask(story_db, "migration-progress")[-1].items() >= states.items()


def test_an_unknown_name_is_met_with_near_ones() -> None:
    with pytest.raises(UnknownQuery, match="did you mean unusable "):
        resolve("unusabel")
    with pytest.raises(UnknownQuery, match="lists them all"):
        resolve("../../secrets")


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("metrics", {}, "needs -p run=VALUE"),
        ("unusable", {"run": "x"}, r"it takes \[path\]"),
        ("unusable_checkpoints", {"path": "x"}, "it takes none"),
    ],
)
def test_wrong_parameters_are_told(name: str, params: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(name, params)


def test_a_comment_is_read_to_its_end() -> None:
    comment = read_comment(
        "-- A title. And more\n-- of it.\n--\n-- a, b: both\n--   of them\n"
        "-- :param n (default 10): how many\nSELECT 1 -- not: this\n"
    )
    assert comment.title == "A title."
    assert comment.text == "A title. And more of it."
    assert comment.columns == {"a": "both of them", "b": "both of them"}
    (parameter,) = comment.parameters
    assert (parameter.name, parameter.default, parameter.required) == ("n", "10", False)
