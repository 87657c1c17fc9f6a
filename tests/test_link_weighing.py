"""Weighing asks no kind of evidence that cannot speak, and nothing twice of one folder."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog
from catalog.link import evidence, linker
from catalog.link.evidence import WEIGHERS, context, weigh
from catalog.link.evidence.numbers import metrics_of
from catalog.link.weighing import load
from catalog.schema.engine import open_engine, writing
from catalog.schema.location import locate
from catalog.schema.upgrade import open_for_writing
from catalog.settings import Settings
from tests.support.database import facts
from tests.support.random_trees import write_tree
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.trees import Training

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(30, 36))
def test_what_is_not_asked_has_nothing_to_say(tmp_path: Path, empty_db: Path, seed: int) -> None:
    """Of any run, whether or not anything suggests it."""
    catalog = Catalog(empty_db, host="here")
    catalog.ingest([write_tree(tmp_path / "tree", seed).root])
    engine = open_for_writing(catalog.location)
    with writing(engine, catalog.location) as connection:
        work = load(connection, catalog.settings)
        known = work.context
        runs = {folder.run_id for folder in work.runs if folder.run_id is not None}
        metrics = {name for one in work.subjects for name in metrics_of(one, known.rate_names())}
        known.load_recorded(runs, metrics)
        for subject in work.subjects:
            for folder, seen in weigh(subject, work.runs, known):
                assert seen == [
                    one for weigher in WEIGHERS for one in weigher(subject, folder, known)
                ]
    engine.dispose()


@pytest.mark.parametrize("seed", [31, 34])
def test_what_is_forgotten_in_between_changes_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Of large catalogs neither all that runs recorded nor all verdicts are held at once."""
    root = write_tree(tmp_path / "tree", seed).root
    whole, parts = tmp_path / "whole.db", tmp_path / "parts.db"
    Catalog(whole, host="here").ingest([root])
    held = []
    real = linker._write_links

    def written(connection: Any, verdicts: Any, ingest_id: int) -> set[int]:
        held.append(len(verdicts))
        return real(connection, verdicts, ingest_id)

    monkeypatch.setattr(linker, "_write_links", written)
    monkeypatch.setattr(linker, "CHUNK", 3)
    monkeypatch.setattr(context, "_MOST_RECORDED", 0)
    monkeypatch.setattr(context, "_MOST_CONFIGS", 0)
    Catalog(parts, host="here").ingest([root])
    assert facts(whole) == facts(parts)
    assert len(held) > 3
    assert max(held[:-1]) <= 3  # the last time those that are copies of one another are written


def test_what_is_the_same_of_all_files_of_a_folder_is_looked_at_once(
    tmp_path: Path, empty_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    real = evidence._kept

    def kept(subject: Any, folder: Any, context: Any) -> Any:
        asked[folder.tracker_run_id] += 1
        return real(subject, folder, context)

    monkeypatch.setattr(evidence, "_kept", kept)
    root = tmp_path / "tree"
    beside = Training(named=True).write(root).parent
    for epoch in range(4):
        content = lightning_checkpoint(
            state_dict={"weight": scalar(float(epoch))},
            epoch=epoch,
            best_k={f"{epoch}.ckpt": 0.25 + epoch / 1000},
            directory=f"/home/team/project/outputs/{beside.parent.name}/checkpoints",
        )
        write_torch_zip(beside / f"{epoch}.ckpt", content)
    assert Catalog(empty_db).ingest([root]).read > 5
    assert asked == {"a1b2c3d4": 1}


def test_what_was_loaded_for_linking_goes_with_its_last_user(ocr_db: Path) -> None:
    """An ingest looks for no cycles: rows that hold each other would stay to its end."""
    engine = open_engine(locate(ocr_db), reading=True)
    was_on = gc.isenabled()
    gc.disable()
    try:
        with engine.connect() as connection:
            work = load(connection, Settings())
            rest = [weakref.ref(one) for one in (work.context.places, work.finder)]
            del work
            assert [one() for one in rest] == [None] * len(rest)
    finally:
        engine.dispose()
        if was_on:
            gc.enable()
