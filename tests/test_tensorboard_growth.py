"""An event file that grows is read on from where it ended, and tells what one reading would."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.sources import tensorboard
from catalog.sources.facts import Item
from tests.support.event_files import (
    event,
    hparams,
    record,
    scalar,
    session_start,
    tensor_scalar,
    write_events,
    write_scalars,
)
from tests.support.growth import grown

if TYPE_CHECKING:
    from catalog.sources.facts import Facts

_values = st.one_of(
    st.tuples(st.sampled_from(["loss", "é"]), st.floats(width=32)).map(lambda one: scalar(*one)),
    st.tuples(st.floats(width=16), st.booleans()).map(
        lambda one: tensor_scalar("tensor", one[0], first=one[1])
    ),
    st.sampled_from([hparams({"lr": 0.1, "name": "a"}), hparams({"api_key": "abc123def"})]),
)
_events = st.one_of(
    st.tuples(st.floats(1, 2e9), st.integers(0, 2**63), st.lists(_values, max_size=3)).map(
        lambda one: event(one[0], one[1], *one[2])
    ),
    st.integers(0, 20).map(lambda step: session_start(1.7e9, step)),
    st.just(b"\x2a\xff"),
    st.just(b"\x2a\x03" + bytes(6_000)),
)


def read(path: Path, bookmark: str | None = None) -> Facts:
    return tensorboard.read(path.parent, Item("tensorboard", path.name, 0, 0, bookmark=bookmark))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(_events, max_size=20),
    st.lists(st.floats(0, 1), min_size=1, max_size=3),
    st.integers(0, 400),
)
def test_any_event_file_cut_anywhere_and_grown_tells_the_same_as_one_reading(
    tmp_path_factory: pytest.TempPathFactory, events: list[bytes], cuts: list[float], flip: int
) -> None:
    path = write_events(tmp_path_factory.mktemp("grow"), events)
    data = bytearray(path.read_bytes())
    if flip < len(data):
        data[flip] ^= 1
        path.write_bytes(data)
    facts, _ = grown(path, [round(len(data) * cut) for cut in sorted(cuts)], read)
    assert "abc123def" not in (facts.bookmark or "")


def test_only_what_is_new_is_read(tmp_path: Path, empty_db: Path) -> None:
    folder = tmp_path / "tree" / "runs" / "a"
    path = write_scalars(folder, {"loss": [n / 4 for n in range(5_000)]})
    catalog = Catalog(empty_db)
    catalog.ingest([tmp_path / "tree"])
    (bookmark,) = catalog.sql("SELECT state FROM file_bookmark").rows[0]
    new = [event(2e9 + n, n, scalar("loss", 0.5), scalar("late", 0.25)) for n in range(5)]
    path.write_bytes(path.read_bytes() + b"".join(map(record, new)))
    facts = read(path, bookmark)
    assert facts.continues
    assert [len(one.values) for one in facts.series] == [5, 5]
    catalog.ingest([tmp_path / "tree"])
    rows = catalog.query("history", {"run": "runs/a", "metric": "loss"}).rows
    assert [row[1] for row in rows] == [*(n / 4 for n in range(5_000)), *[0.5] * 5]
    assert len(catalog.query("history", {"run": "runs/a", "metric": "late"}).rows) == 5


def test_another_file_of_that_name_is_read_from_its_start(tmp_path: Path) -> None:
    path = write_scalars(tmp_path, {"loss": [1.0, 0.5]})
    bookmark = read(path).bookmark
    write_scalars(tmp_path, {"loss": [4.0, 3.0, 2.0]})
    facts = read(path, bookmark)
    assert not facts.continues
    assert [one.values for one in facts.series] == [(4.0, 3.0, 2.0)]


@pytest.mark.shared
def test_real_event_files_cut_anywhere_tell_the_same_as_one_reading(
    shared: Path, tmp_path: Path
) -> None:
    chance = random.Random(4)
    continued = 0
    for path in sorted(shared.rglob("events.out.tfevents.*")):
        copy = Path(shutil.copy(path, tmp_path / path.name))
        size = path.stat().st_size
        continued += grown(copy, sorted(chance.randrange(size) for _ in range(3)), read)[1]
    assert continued
