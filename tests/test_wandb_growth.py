"""A `.wandb` stream that grows is read on from where it ended, and tells what one reading would."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.ingest import reading
from catalog.settings import Settings
from catalog.sources.facts import Facts, Item
from catalog.sources.wandb import stream
from catalog.sources.wandb.framing import BLOCK, Frames
from tests.support import wandb_files as w
from tests.support.growth import grown

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = "a1b2c3d4"
NAME = f"run-{RUN}.wandb"
SECRET = "hf_" + "a" * 34

Content: TypeAlias = "dict[str, list[tuple[Any, ...]]]"

_numbers = st.one_of(
    st.integers(-5, 5), st.floats(width=16), st.sampled_from([1e308, 2**70, float("nan")])
)
_names = st.sampled_from(["loss", "val/f1", "lr", "é", "deep.er"])
_rows = st.dictionaries(
    st.one_of(_names, st.sampled_from(["_step", "_timestamp"])),
    st.one_of(_numbers, st.just({"inner": 1.5, "text": SECRET}), st.just("words")),
    max_size=4,
)
_configs = st.dictionaries(
    st.sampled_from(["lr", "model", "hf_token", "gone"]),
    st.one_of(_numbers, st.just({"name": "unet"}), st.just("{'a': 1}"), st.just(SECRET)),
    max_size=3,
)
_pieces = st.lists(
    st.sampled_from(
        [
            "x", "\n", "\r", "[2026-11-24 00:21:17,123] line", "ValueError: bad", "y" * 9_000,
            "Traceback (most recent call last)\n",
            "Restored all states from the checkpoint at /a.ckpt",
        ]
    ),
    max_size=4,
).map("".join)  # fmt: skip
_definitions = st.tuples(
    st.sampled_from([1, 2]), st.sampled_from(["loss", "val/*", "val/f1"]), st.integers(0, 2)
).map(lambda one: w.field(12, w.field(one[0], one[1]) + w.field(8, one[2])))
_records = st.one_of(
    st.tuples(_rows, st.none() | st.integers(0, 99), st.booleans()).map(
        lambda one: w.history(one[0], step=one[1], nested=one[2])
    ),
    _rows.map(w.summary),
    st.just(w.summary({}, remove=["loss"])),
    _configs.map(w.config),
    st.just(w.config({}, remove=["gone"])),
    _configs.map(lambda config: w.run(RUN, started=1.7e9, config=config, tags=["x"])),
    _pieces.map(w.output),
    st.lists(_pieces, max_size=3).map(
        lambda some: w.field(13, b"".join(w.field(3, one) for one in some))
    ),
    _definitions,
    st.just(w.artifact({"m.ckpt": "XUFAKrxLKna5cZ2REBfFkg=="})),
    st.just(w.environment(["--api_key", "abcdef"])),
    st.just(b"\xff\xff\xff"),
    st.just(w.field(2, w.field(1, w.item("pad", "p" * 40_000)))),
)
_streams = st.lists(_records, min_size=1, max_size=30)


def read(path: Path, bookmark: str | None = None) -> Facts:
    return stream.read(path.parent, Item("wandb-stream", path.name, 0, 0, bookmark=bookmark))


_LONG = b"y" * 9_000


@settings(max_examples=150, deadline=None)
@given(_streams, st.lists(st.floats(0, 1), min_size=1, max_size=3), st.booleans())
@example(  # a line that is longer than what is kept of one, in pieces of two records
    [
        w.field(13, b"".join(w.field(3, one) for one in (b"\n" + _LONG, _LONG))),
        w.output("y" * 9_000),
    ],
    [0.75],
    False,
)
def test_any_stream_cut_anywhere_and_grown_tells_the_same_as_one_reading(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], cuts: list[float], end: bool
) -> None:
    path = w.write_stream(
        tmp_path_factory.mktemp("grow") / NAME, [*records, *([w.finish(1)] if end else [])]
    )
    size = path.stat().st_size
    facts, _ = grown(path, [round(size * cut) for cut in sorted(cuts)], read)
    assert SECRET not in (facts.bookmark or "")
    assert (facts.bookmark is None) or not end


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the stream of a run lies, in a tree of its own."""
    return tmp_path / "tree" / "wandb" / f"run-20251018_023219-{RUN}" / NAME


def rows(begin: int, end: int) -> list[bytes]:
    return [
        w.history({"loss": 1 / (n + 1), "lr": 0.1, "_timestamp": 1.7e9 + n}, step=n)
        for n in range(begin, end)
    ]


def begun(**config: Any) -> list[bytes]:
    return [w.run(RUN, started=1.7e9, config=config), w.environment(["lr=1"])]


def content(db: Path) -> Content:
    """All that is told of the run, whatever the numbers of rows."""
    questions = {
        "series": "SELECT n.name, s.point_count, s.first_step, s.last_step, s.lowest, s.highest, "
        "s.final, (SELECT GROUP_CONCAT(m.name) FROM (SELECT o.name FROM metric_series e "
        "JOIN metric_name o ON o.id = e.metric_name_id WHERE e.axis_id = s.axis_id "
        "ORDER BY o.name) m) FROM metric_series s JOIN metric_name n ON n.id = s.metric_name_id",
        "points": "SELECT n.name, p.position, p.value, p.special, a.step, a.time "
        "FROM metric_point p JOIN metric_series s ON s.id = p.series_id "
        "JOIN metric_name n ON n.id = s.metric_name_id "
        "LEFT JOIN metric_axis_point a ON a.axis_id = s.axis_id AND a.position = p.position",
        "axes": "SELECT COUNT(*) FROM metric_axis_point",
        "summaries": "SELECT n.name, s.value, s.special FROM metric_summary s "
        "JOIN metric_name n ON n.id = s.metric_name_id",
        "definitions": "SELECT n.name, d.step_metric, d.goal, d.summary FROM metric_definition d "
        "JOIN metric_name n ON n.id = d.metric_name_id",
        "fields": "SELECT name, value, rank, utc, basis FROM run_field",
        "mentions": "SELECT role, text FROM mention",
        "configs": "SELECT c.document, r.kind, r.unresolved FROM run_config r "
        "JOIN config c ON c.id = r.config_id",
        "problems": "SELECT code, message FROM open_problems",
        "bookmarks": "SELECT state FROM file_bookmark",
        "runs": "SELECT run, state, started_at, ended_at FROM run_overview",
    }
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return {name: sorted(connection.execute(sql), key=repr) for name, sql in questions.items()}


@pytest.fixture
def cold(place: Path, tmp_path: Path, _prepared: Path) -> Callable[[], Content]:
    """The same of a catalog that reads the tree for the first time."""

    def ingest() -> Content:
        target = Path(shutil.copy(_prepared, tmp_path / "cold.db"))
        Catalog(target).ingest([place.parents[2]])
        return content(target)

    return ingest


@settings(max_examples=12, deadline=None)
@given(_streams, st.lists(st.floats(0, 1), min_size=1, max_size=2), st.booleans())
def test_any_growth_ends_in_the_rows_of_one_ingest(
    tmp_path_factory: pytest.TempPathFactory,
    _prepared: Path,  # noqa: PT019 - it is copied
    records: list[bytes],
    cuts: list[float],
    end: bool,
) -> None:
    folder = tmp_path_factory.mktemp("grow")
    db = Path(shutil.copy(_prepared, folder / "c.db"))
    path = w.write_stream(
        folder / "tree" / "wandb" / f"run-20251018_023219-{RUN}" / NAME,
        [*begun(), *records, *([w.finish()] if end else [])],
    )
    whole = path.read_bytes()
    for cut in [*sorted(cuts), 1.0]:
        path.write_bytes(whole[: round(len(whole) * cut)])
        Catalog(db).ingest([folder / "tree"])
    fresh = Path(shutil.copy(_prepared, folder / "fresh.db"))
    Catalog(fresh).ingest([folder / "tree"])
    assert content(db) == content(fresh)


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each reading of a stream takes from its file."""
    counts: list[int] = []
    original = Frames._read

    def counted(frames: Frames, size: int) -> bytes:
        data = original(frames, size)
        counts[-1] += len(data)
        return data

    def begin(root: Path, item: Item) -> Facts:
        counts.append(0)
        return original_read(root, item)

    original_read = stream.read
    monkeypatch.setattr(Frames, "_read", counted)
    monkeypatch.setattr(stream, "read", begin)
    return counts


def test_only_what_is_new_is_read_and_written(
    place: Path, empty_db: Path, cold: Callable[[], Content], bytes_read: list[int]
) -> None:
    catalog = Catalog(empty_db)
    sizes = []
    for end in (8_000, 8_100, 8_200):
        w.write_stream(place, [*begun(lr=0.1), *rows(0, end)])
        sizes.append(place.stat().st_size)
        catalog.ingest([place.parents[2]])
    # Both ends, before and after, the block that goes on, and two records.
    overhead = 4 * BLOCK
    assert bytes_read[0] >= sizes[0]
    for number in (1, 2):
        assert bytes_read[number] <= sizes[number] - sizes[number - 1] + overhead < sizes[0] / 2
    assert content(empty_db) == cold()
    points = dict(catalog.sql("SELECT series_id, COUNT(*) FROM metric_point GROUP BY 1").rows)
    assert list(points.values()) == [8_200, 8_200]


def test_points_that_stand_are_not_written_again(place: Path, empty_db: Path) -> None:
    catalog = Catalog(empty_db)
    w.write_stream(place, [*begun(), *rows(0, 500)])
    catalog.ingest([place.parents[2]])
    with closing(sqlite3.connect(empty_db)) as connection:
        connection.execute("CREATE TABLE work (position INTEGER)")
        for event in ("INSERT", "DELETE"):
            row = "NEW" if event == "INSERT" else "OLD"
            connection.execute(
                f"CREATE TRIGGER work_{event} AFTER {event} ON metric_point "
                f"BEGIN INSERT INTO work VALUES ({row}.position); END"
            )
        connection.commit()
    w.write_stream(place, [*begun(), *rows(0, 510)])
    catalog.ingest([place.parents[2]])
    with closing(sqlite3.connect(empty_db)) as connection:
        found = sorted(position for (position,) in connection.execute("SELECT * FROM work"))
    assert found == sorted([*range(500, 510)] * 2)


def test_metrics_that_part_company_get_an_axis_each(
    place: Path, empty_db: Path, cold: Callable[[], Content]
) -> None:
    catalog = Catalog(empty_db)
    for more in ([], [w.history({"loss": 7.0, "new": 1.0}, step=99)], [w.history({"lr": 2.0})]):
        w.write_stream(place, [*begun(), *rows(0, 5), *more])
        catalog.ingest([place.parents[2]])
    assert content(empty_db) == cold()


def other(place: Path) -> None:
    w.write_stream(place, [*begun(lr=5), *(w.history({"other": n}, step=n) for n in range(400))])


def shrunk(place: Path) -> None:
    w.write_stream(place, [*begun(lr=0.1), *rows(0, 40)])


def damaged(place: Path) -> None:
    w.write_stream(place, [*begun(lr=0.1), *rows(0, 300)])
    data = bytearray(place.read_bytes())
    data[-2_000] ^= 0x40
    place.write_bytes(data)


def damaged_before(place: Path) -> None:
    w.write_stream(place, [*begun(lr=0.1), *rows(0, 300)])
    data = bytearray(place.read_bytes())
    data[3_000] ^= 0x40
    place.write_bytes(data)


def emptied(place: Path) -> None:
    place.write_bytes(b"")


@pytest.mark.parametrize("change", [other, shrunk, damaged, damaged_before, emptied])
def test_a_file_that_did_not_just_grow_is_read_from_its_start(
    place: Path, empty_db: Path, cold: Callable[[], Content], change: Any
) -> None:
    catalog = Catalog(empty_db)
    w.write_stream(place, [*begun(lr=0.1), *rows(0, 200)])
    catalog.ingest([place.parents[2]])
    change(place)
    catalog.ingest([place.parents[2]])
    assert content(empty_db) == cold()


def test_secrets_are_neither_kept_in_the_bookmark_nor_told(
    place: Path, empty_db: Path, cold: Callable[[], Content]
) -> None:
    catalog = Catalog(empty_db)
    start = [
        w.run(RUN, config={"hf_token": SECRET}, git=(f"https://u:{SECRET}@host/x.git", "0")),
        w.environment(["--api_key", SECRET]),
        w.summary({"said": {"text": SECRET, "number": 1}}),
        w.output(f"token is {SECRET}"),
    ]
    for end in (3, 6):
        w.write_stream(place, [*start, *rows(0, end)])
        catalog.ingest([place.parents[2]])
    assert json.loads(content(empty_db)["bookmarks"][0][0])["end"] == place.stat().st_size
    assert content(empty_db) == cold()
    for path in empty_db.parent.glob("catalog.db*"):
        assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("before", ["full", "last"])
@pytest.mark.parametrize("after", ["full", "last"])
def test_a_history_that_was_not_kept_whole_is_not_added_to(
    place: Path, empty_db: Path, before: str, after: str
) -> None:
    for history, end in ((before, 20), (after, 30)):
        w.write_stream(place, [*begun(), *rows(0, end)])
        Catalog(empty_db, Settings.of({"history": history})).ingest([place.parents[2]])
    found = content(empty_db)
    assert len(found["points"]) == (60 if after == "full" else 2)
    assert len(found["bookmarks"]) == (after == "full")


def test_what_another_process_added_meanwhile_is_not_added_twice(
    place: Path, empty_db: Path, cold: Callable[[], Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    w.write_stream(place, [*begun(), *rows(0, 20)])
    Catalog(empty_db).ingest([place.parents[2]])
    w.write_stream(place, [*begun(), *rows(0, 30)])
    original = reading.read_item
    other_ran: list[bool] = []

    def late(root: Path, item: Item) -> reading.Reading:
        said = original(root, item)
        if not other_ran:
            other_ran.append(True)
            Catalog(empty_db).ingest([place.parents[2]])
        return said

    monkeypatch.setattr(reading, "read_item", late)
    Catalog(empty_db).ingest([place.parents[2]])
    assert content(empty_db) == cold()
    assert other_ran


def test_a_run_that_ended_leaves_no_bookmark(place: Path, empty_db: Path) -> None:
    w.write_stream(place, [*begun(), *rows(0, 5), w.finish()])
    Catalog(empty_db).ingest([place.parents[2]])
    assert content(empty_db)["bookmarks"] == []


def test_either_database_adds_what_is_new(place: Path, database: str) -> None:
    catalog = Catalog(database)
    apart = [w.history({"lr": 5.0}, step=90)]
    for records in (rows(0, 5), rows(0, 9), [*rows(0, 9), *apart]):
        w.write_stream(place, [*begun(), *records])
        catalog.ingest([place.parents[2]])
    for metric, steps in (("loss", [*range(9)]), ("lr", [*range(9), 90])):
        found = catalog.query("history", {"run": RUN, "metric": metric}).rows
        assert [row[0] for row in found] == steps
    counts = "SELECT COUNT(*), (SELECT COUNT(*) FROM file_bookmark) FROM metric_point"
    assert catalog.sql(counts).rows == [(19, 1)]


@pytest.mark.shared
def test_real_streams_cut_anywhere_tell_the_same_as_one_reading(
    shared: Path, tmp_path: Path
) -> None:
    chance = random.Random(4)
    real = [path for path in shared.rglob("*.wandb") if path.is_file() and path.stat().st_size]
    assert real
    continued = 0
    for path in sorted(real):
        copy = Path(shutil.copy(path, tmp_path / path.name))
        size = path.stat().st_size
        continued += grown(copy, sorted(chance.randrange(size) for _ in range(2)), read)[1]
    assert continued
