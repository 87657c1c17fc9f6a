from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from catalog import Catalog
from catalog.errors import Ambiguous, NotFound
from catalog.query.connection import open_reader
from catalog.query.trace import Trace, trace
from catalog.schema.location import locate
from catalog.settings import Settings
from tests.support.rows import (
    BEST,
    CONFIG_FILE,
    FINGERPRINT,
    GONE,
    GOOD,
    LAST,
    LONE,
    ROOT,
    RUN,
    TWINS,
    fill,
)
from tests.support.terminal import on_terminal
from tests.support.torch_files import lightning_checkpoint, write_torch_zip
from tests.support.trees import Training

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def story_db(empty_db: Path) -> Path:
    return fill(empty_db)


def traced(db: Path, text: str) -> Trace:
    with open_reader(locate(db), Settings()) as reader:
        return trace(reader, text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (BEST, BEST),
        (f"{ROOT}/{BEST}", BEST),
        (f"./{BEST}", BEST),
        ("good/best.ckpt", GOOD),
        ("023219/checkpoints/last", LAST),
        ("한글", LONE),
        ("`twins`", TWINS),
        ("gone", GONE),
    ],
)
def test_a_checkpoint_is_found_by_whatever_names_it_alone(
    story_db: Path, text: str, path: str
) -> None:
    assert traced(story_db, text).checkpoint["path"] == path


def test_a_path_relative_to_the_working_directory_is_found(
    story_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outputs").mkdir()
    with closing(sqlite3.connect(story_db)) as connection:
        connection.execute("UPDATE root SET path = ?", (str(tmp_path),))
        connection.commit()
    monkeypatch.chdir(tmp_path / "outputs")
    assert traced(story_db, "good/../good/best.ckpt").checkpoint["path"] == GOOD


def test_equal_weights_are_ambiguous_until_one_is_gone(story_db: Path) -> None:
    with pytest.raises(Ambiguous, match=f"2 checkpoints fit.*:\n  {BEST}\n  {LAST}$"):
        traced(story_db, FINGERPRINT[:6])
    with closing(sqlite3.connect(story_db)) as connection:
        connection.execute("UPDATE file SET state = 'missing' WHERE path = ?", (LAST,))
        connection.commit()
    assert traced(story_db, FINGERPRINT[:6]).checkpoint["path"] == BEST


def test_no_more_than_five_are_named(story_db: Path) -> None:
    with closing(sqlite3.connect(story_db)) as connection:
        for number in range(100, 112):
            connection.execute(
                "INSERT INTO file (id, root_id, path, reader, reader_version, state, size,"
                " mtime_ns, inode, is_link, first_ingest_id, read_ingest_id)"
                " SELECT :n, root_id, 'many/' || :n, reader, reader_version, state, size,"
                " mtime_ns, inode, is_link, first_ingest_id, read_ingest_id FROM file WHERE id = 1",
                {"n": number},
            )
            connection.execute(
                "INSERT INTO checkpoint (id, format, status) VALUES (?, 'x', 'readable')", (number,)
            )
        connection.commit()
    with pytest.raises(Ambiguous, match=r"12 checkpoints[^\n]*:(\n  \S+){5}\n  and 7 more$"):
        traced(story_db, "many")


def test_what_is_near_is_named_once_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        Training().write(tmp_path / name)
    catalog = Catalog(tmp_path / "c.db")
    catalog.ingest([tmp_path / name for name in ("one", "two", "three")])
    path = catalog.query("checkpoints").dicts()[0]["path"]
    with pytest.raises(NotFound, match="Near it") as refused:
        catalog.trace(path.replace("best", "bset"))
    assert str(refused.value).count(path) == 1


def test_nothing_found_names_what_is_near(story_db: Path) -> None:
    with pytest.raises(NotFound, match=f"Near it: {GOOD}"):
        traced(story_db, "outputs/goood/best.ckpt")
    for text in ("", "   ", "/", "%", "c0ffe", "f" * 5_000):
        with pytest.raises(NotFound, match="No checkpoint fits"):
            traced(story_db, text)


def test_an_empty_catalog_says_so(empty_db: Path) -> None:
    with pytest.raises(NotFound, match="holds none yet"):
        traced(empty_db, "best.ckpt")


def test_a_linked_checkpoint_tells_everything(story_db: Path) -> None:
    found = traced(story_db, BEST)
    assert found.checkpoint["verdict"] == "linked"
    assert found.checkpoint["remedy"] == "Run `catalog recover`."
    best, rejected = found.candidates
    assert (best["run"], best["git_commit"], best["score"]) == (RUN, "2c6f1f1", 12.5)
    assert [piece["weight"] for piece in best["evidence"]] == [9.5, 3.0]
    assert best["evidence"][0]["file"].endswith(f"run-{RUN}.wandb")
    assert (rejected["verdict"], rejected["evidence"][0]["weight"]) == ("rejected", -8.0)
    assert [row["metric"] for row in found.metrics] == ["val/hmean", "train/loss"]
    assert found.scores == [
        {"name": "recall", "value": None, "special": "nan", "origin": "cleval_metrics"}
    ]
    assert [row["path"] for row in found.siblings] == [LAST]
    assert [row["path"] for row in found.copies] == [LAST]
    assert [row["to_state"] for row in found.events] == ["recoverable"]


def test_the_config_to_believe_comes_first_and_the_others_stay(story_db: Path) -> None:
    configs = traced(story_db, BEST).configs
    assert [(row["kind"], row["chosen"]) for row in configs] == [
        ("wandb-stream", 1),
        ("wandb-config", 0),
    ]
    assert configs[1]["file"] == CONFIG_FILE
    beside = {(row["of_what"], row["file"]) for row in traced(story_db, GOOD).configs}
    assert beside == {
        ("beside the checkpoint", "outputs/good/best.config.json"),
        ("inside the checkpoint", GOOD),
    }


def test_an_ambiguous_checkpoint_shows_both_runs_and_claims_none(story_db: Path) -> None:
    found = traced(story_db, TWINS)
    assert found.checkpoint["verdict"] == "ambiguous"
    assert found.checkpoint["run"] is None
    assert [row["run"] for row in found.candidates] == ["aaaaaaaa", "bbbbbbbb"]
    assert found.configs == found.metrics == []


def test_an_unlinked_checkpoint_shows_its_problem(story_db: Path) -> None:
    found = traced(story_db, LONE)
    assert found.candidates == []
    assert [problem["code"] for problem in found.problems] == ["truncated-zip"]


def test_beside_a_checkpoint_of_the_root_lies_what_the_root_itself_holds(
    tmp_path: Path, empty_db: Path
) -> None:
    for path in ("a.ckpt", "b.ckpt", "deeper/c.ckpt"):
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        write_torch_zip(tmp_path / "tree" / path, lightning_checkpoint())
    Catalog(empty_db).ingest([tmp_path / "tree"])
    assert [row["path"] for row in traced(empty_db, "a.ckpt").siblings] == ["b.ckpt"]


def test_a_trace_is_plain_data(story_db: Path) -> None:
    plain = traced(story_db, BEST).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    rows = traced(story_db, BEST).evidence()
    assert [(row["run"], row["weight"]) for row in rows.dicts()] == [
        (RUN, 9.5),
        (RUN, 3.0),
        ("aaaaaaaa", -8.0),
    ]


def test_names_of_files_act_on_no_terminal_in_an_error(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    content = lightning_checkpoint()
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        write_torch_zip(root / folder / "x\x1b[31m\n  c/evil.ckpt".replace("/", "_"), content)
    db = str(tmp_path / "catalog.db")
    Catalog(db).ingest([root])
    lines = on_terminal("trace", "evil.ckpt", "--db", db).splitlines()
    assert lines[0].endswith("name one of them in full:")
    assert lines[1:] == [f"  {folder}/x\\x1b[31m\\n  c_evil.ckpt" for folder in ("a", "b")]
    refused = on_terminal("ingest", str(tmp_path / "no\x1b[31msuch"), "--db", db)
    assert "no\\x1b[31msuch does not exist" in refused
