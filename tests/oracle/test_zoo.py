"""Nothing is called usable, whole or equal that the real library refuses or tells apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracle.comparison import Outcome, empty_without_reason

if TYPE_CHECKING:
    from tests.oracle.specimen import EmptyCell


def test_the_zoo_has_a_specimen_or_a_reason_for_each_format_and_damage(
    outcome: Outcome, empty: tuple[EmptyCell, ...]
) -> None:
    assert len(outcome.cases) >= 150
    assert empty_without_reason(outcome.cases, empty) == []


def test_the_libraries_load_what_is_whole(outcome: Outcome) -> None:
    """Else a verdict of the suite means nothing: the judge is asked wrongly."""
    refused = [
        str(case)
        for case in outcome.cases
        if case.specimen.damage == "whole" and not case.library["accepted"]
    ]
    assert refused == []


@pytest.mark.parametrize(
    "kind",
    [
        "usable",
        "whole",
        "usable with --hash",
        "a part is usable",
        "whole with --hash, and a sum does not fit",
        "loads by default",
        "equal by weights_fingerprint",
        "equal by weights_fingerprint, refused",
        "equal by weights_sha256",
        "equal by weights_sha256, refused",
    ],
)
def test_nothing_is_said_that_the_library_denies(outcome: Outcome, kind: str) -> None:
    assert outcome.wrong.get(kind, []) == []


def test_no_kind_of_wrong_verdict_is_left_out(outcome: Outcome) -> None:
    (marker,) = (
        mark
        for mark in test_nothing_is_said_that_the_library_denies.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    )
    assert set(outcome.wrong) <= set(marker.args[1])
