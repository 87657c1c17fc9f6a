"""Links on real trees agree with every one that was found certain by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.eval_links import real_trees


@pytest.mark.shared
def test_certain_links_of_real_trees(shared: Path, tmp_path: Path) -> None:
    tally = real_trees(shared, tmp_path)
    assert tally.wrong == []
    assert dict(tally.confusion["linked"]) == {"linked": 18}
    assert tally.confusion["unlinked"]["linked"] == tally.confusion["ambiguous"]["linked"] == 0
