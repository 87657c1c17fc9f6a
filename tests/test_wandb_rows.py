"""Rows of a stream that are taken together are what the rows one by one make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.sources.wandb import history
from catalog.sources.wandb.history import History
from catalog.sources.wandb.protobuf import WireError, fields
from tests.support import wandb_files as w

if TYPE_CHECKING:
    from collections.abc import Iterable

KEYS = ["train/loss", "val/loss", "epoch", "_step", "_timestamp", "_runtime", "é"]
NUMBERS = st.floats() | st.integers(-(2**70), 2**70) | st.sampled_from(["text", None, True])
ROWS = st.tuples(
    st.dictionaries(st.sampled_from(KEYS), NUMBERS, max_size=5),
    st.none() | st.integers(0, 300),
    st.booleans(),
)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an expression be made for keys that were met twice, and let few rows wait."""
    monkeypatch.setattr(history, "_ROWS_BEFORE", 2)
    monkeypatch.setattr(history, "_MAX_WAITING", 5)
    monkeypatch.setattr(history, "_rows_met", {})


def taken(records: Iterable[bytes], *, together: bool) -> tuple[str, int]:
    """Return all that rows add up to, and how many could not be decoded."""
    found = History()
    malformed = 0
    for record in records:
        try:
            if together and found.add_usual(record):
                continue
            for _, content in fields(record):
                if isinstance(content, bytes):
                    found.add(content, 0, len(content))
        except WireError:
            malformed += 1
    state = found.state()
    return repr((found.series(), state, malformed)), found.points


@given(st.lists(ROWS, max_size=12), st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_rows_taken_together_are_what_each_makes(rows: list[Any], times: int) -> None:
    records = [w.history(row, step=step, nested=nested) for row, step, nested in rows] * times
    assert taken(records, together=True) == taken(records, together=False)


@given(st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_an_expression_for_known_keys_takes_what_the_general_one_does(
    place: int, put: bytes, cut: int
) -> None:
    usual = [w.history({"a": n / 7, "b/c": n, "_step": n}, step=n) for n in range(12)]
    place %= len(usual[7]) + 1
    records = [*usual, usual[7][:place] + put + usual[7][place + cut :], *usual]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_ROWS_BEFORE", 10_000)
        patch.setattr(history, "_MAX_WAITING", 1)
        expected = taken(records, together=True)
    assert taken(records, together=True) == expected


def test_rows_of_the_same_keys_are_matched_whole_once_they_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = [w.history({"a": n, "b": n / 3, "_step": n}, step=n) for n in range(200)]
    taken(records, together=True)
    decoded: list[bytes] = []
    monkeypatch.setattr(History, "add", lambda *args: decoded.append(args[1]))
    found = History()
    for key in (b"\x12\x01a", b"\x12\x01b"):
        found._by_key[key] = found._column(key.decode()[-1])
    found._by_key[b"\x12\x05_step"] = "_step"
    assert all(found.add_usual(record) for record in records)
    assert not decoded
    assert [series.values[-1] for series in found.series()] == [199.0, 199 / 3]


def test_rows_that_wait_count_for_what_is_asked() -> None:
    found = History()
    for n in range(4):
        record = w.history({"a": n, "_step": n, "_timestamp": n + 0.5}, step=n)
        if not found.add_usual(record):
            content = fields(record)[0][1]
            assert isinstance(content, bytes)
            found.add(content, 0, len(content))
        assert (found.last_step, found.last_timestamp) == (n, n + 0.5)
        assert found.names == ("a",)
        assert found.all_have_places
        assert found.points == n + 1
