"""Facts travel between processes as they are, and are copied by changing a few of their values."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from typing import Any

import pytest

from catalog.sources import facts
from catalog.sources.facts import Checkpoint, Facts, Item

KINDS = [
    kind
    for kind in vars(facts).values()
    if isinstance(kind, type) and issubclass(kind, facts._Sent) and kind is not facts._Sent
]


def filled(kind: type[Any]) -> Any:
    """Return one with another value in each of its fields."""
    return kind(*(f"value {number}" for number, _ in enumerate(fields(kind))))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_sent_comes_back_equal(kind: type[Any]) -> None:
    sent = filled(kind)
    back = pickle.loads(pickle.dumps(sent))
    assert type(back) is kind
    assert back == sent
    assert hash(back) == hash(sent)
    assert [getattr(back, one.name) for one in fields(kind)] == [
        f"value {number}" for number, _ in enumerate(fields(kind))
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_copy_differs_in_what_was_changed_alone(kind: type[Any]) -> None:
    before = filled(kind)
    for one in fields(kind):
        after = before.but(**{one.name: "other"})
        assert after == replace(before, **{one.name: "other"})
        assert after != before
    assert before == filled(kind)


def test_a_checkpoint_of_no_values_is_small() -> None:
    sent = [Facts(Checkpoint("torch-zip", "readable")) for _ in range(100)]
    assert len(pickle.dumps(sent)) < 100 * 150
    assert len(pickle.dumps([Item("hydra", f"{n}", 0, 0) for n in range(100)])) < 100 * 50
