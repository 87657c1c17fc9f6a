"""The paths that a checkpoint remembers come back as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import Catalog
from catalog.schema.remembered import shortened, whole
from tests.support.torch_files import lightning_checkpoint, write_torch_zip

if TYPE_CHECKING:
    from pathlib import Path

PARTS = st.text("a./", max_size=6)


@given(path=PARTS, directory=st.none() | PARTS, inside=st.booleans())
def test_what_is_stored_stands_for_the_path(path: str, directory: str | None, inside: bool) -> None:
    if inside and directory:
        path = f"{directory}/{path}"
    assert whole(shortened(path, directory), directory) == path


@pytest.mark.parametrize("directory", ["/home/team/out/checkpoints", "./out", "out"])
def test_a_trace_shows_the_path_as_the_checkpoint_has_it(tmp_path: Path, directory: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    write_torch_zip(tree / "last.ckpt", lightning_checkpoint(directory=directory))
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.ingest([tree])
    found = catalog.trace("last.ckpt").checkpoint
    assert (found["directory"], found["best_path"]) == (directory, f"{directory}/best.ckpt")
    # What stands in its row needs no row beside it.
    assert catalog.sql("SELECT COUNT(*) FROM mention").rows == [(0,)]
