"""After any change of a tree the next ingest says what judging all rows anew would say."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from catalog import Catalog
from catalog.link import linker
from catalog.recover import assess
from catalog.recover.evidence import Evidence
from tests.support.random_trees import write_tree
from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.trees import Training
from tests.support.wandb_files import write_run_directory

if TYPE_CHECKING:
    from collections.abc import Callable

_JUDGED = (
    "link_evidence",
    "link",
    "link_basis",
    "checkpoint_directory",
    "lineage",
    "migration",
)
_TOLD = {
    "links": """
SELECT f.path, u.identity, d.path AS folder, l.verdict, l.decided_by, l.score, e.position, e.kind,
       e.weight, e.detail, g.path AS file
FROM link l
JOIN file f ON f.id = l.checkpoint_id
JOIN run u ON u.id = l.run_id
JOIN run_directory d ON d.id = l.run_directory_id
LEFT JOIN link_evidence e ON e.link_id = l.id
LEFT JOIN file g ON g.id = e.run_file_id""",
    "bases": "SELECT f.path, HEX(b.digest) FROM link_basis b JOIN file f ON f.id = b.checkpoint_id",
    "places": """
SELECT f.path, c.tracker, d.path AS folder FROM checkpoint_directory c
JOIN file f ON f.id = c.checkpoint_id JOIN run_directory d ON d.id = c.run_directory_id""",
    "lineage": """
SELECT d.path, l.path AS named, l.named_as, p.path AS parent FROM lineage l
JOIN run_directory d ON d.id = l.run_directory_id LEFT JOIN file p ON p.id = l.parent_id""",
    "states": """
SELECT f.path, m.state, m.reason_code, m.reason, m.remedy, c.path AS config, m.config_kind,
       s.path AS source, m.source_kind
FROM migration m JOIN file f ON f.id = m.checkpoint_id
LEFT JOIN file c ON c.id = m.config_file_id LEFT JOIN file s ON s.id = m.source_file_id
WHERE COALESCE(m.reason_code, '') <> 'not-a-checkpoint'""",  # only the rows before tell that
}


def told(db: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(db)) as connection:
        return {name: sorted(map(repr, connection.execute(sql))) for name, sql in _TOLD.items()}


def judged_anew(db: Path, root: Path) -> dict[str, list[str]]:
    """Return what the same rows come to when everything is judged again from nothing."""
    copy = Path(shutil.copy(db, db.with_name("anew.db")))
    with closing(sqlite3.connect(copy)) as connection:
        for table in _JUDGED:
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE ingest SET status = 'interrupted'")
        connection.commit()
    assert Catalog(copy, host="here").ingest([root]).read == 0
    return told(copy)


def checkpoints(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.ckpt") if not path.is_symlink())


def touch_a_checkpoint(chance: random.Random, root: Path) -> None:
    path = chance.choice(checkpoints(root))
    moment = path.stat().st_mtime + chance.choice((-7200, 40, 7200))
    os.utime(path, (moment, moment))


def delete_a_checkpoint(chance: random.Random, root: Path) -> None:
    chance.choice(checkpoints(root)).unlink()


def copy_a_checkpoint(chance: random.Random, root: Path) -> None:
    path = chance.choice(checkpoints(root))
    shutil.copy2(path, path.with_name(f"copy-{path.name}"))


def move_a_checkpoint(chance: random.Random, root: Path) -> None:
    path = chance.choice(checkpoints(root))
    (root / "moved").mkdir(exist_ok=True)
    path.rename(root / "moved" / path.name)


def swap_two_checkpoints(chance: random.Random, root: Path) -> None:
    paths = checkpoints(root)
    if len(paths) > 1:
        one, other = chance.sample(paths, 2)
        aside = one.with_name("aside")
        one.rename(aside)
        other.rename(one)
        aside.rename(other)


def change_a_config(chance: random.Random, root: Path) -> None:
    path = chance.choice(sorted(root.rglob("config.yaml")) or [root / "config.yaml"])
    text = path.read_text() if path.exists() else "a: 1\n"
    path.write_text(f"{text}\nadded_{chance.randrange(99)}: {chance.random()}\n")


def change_a_job(chance: random.Random, root: Path) -> None:
    jobs = sorted(path for path in root.rglob(".hydra/*.yaml") if path.stat().st_size)
    if jobs:
        path = chance.choice(jobs)
        text = path.read_text()
        is_list = text.startswith("-")
        path.write_text(
            f"{text}- added=1\n" if is_list else f"{text}seed: {chance.randrange(99)}\n"
        )


def add_a_job(chance: random.Random, root: Path) -> None:
    """Between a checkpoint and the job folder that it lies in."""
    folder = chance.choice(checkpoints(root)).parent
    (folder / ".hydra").mkdir(exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text(f"seed: {chance.randrange(9)}\n")


def add_a_sidecar(chance: random.Random, root: Path) -> None:
    path = chance.choice(checkpoints(root))
    path.with_suffix(".config.json").write_text(f'{{"model": {{"width": {chance.randrange(9)}}}}}')


def delete_a_config(chance: random.Random, root: Path) -> None:
    configs = sorted([*root.rglob("config.yaml"), *root.rglob("*.config.json")])
    if configs:
        chance.choice(configs).unlink()


def cut_a_stream(chance: random.Random, root: Path) -> None:
    streams = [path for path in sorted(root.rglob("*.wandb")) if path.stat().st_size > 100]
    if streams:
        path = chance.choice(streams)
        path.write_bytes(path.read_bytes()[: -chance.randrange(30, 90)])


def delete_a_run(chance: random.Random, root: Path) -> None:
    runs = sorted(path for path in root.rglob("*run-*") if path.is_dir() and not path.is_symlink())
    if runs:
        shutil.rmtree(chance.choice(runs))


def copy_a_run(chance: random.Random, root: Path) -> None:
    runs = sorted(path for path in root.rglob("*run-*") if path.is_dir() and not path.is_symlink())
    if runs:
        path = chance.choice(runs)
        target = root / "elsewhere" / "wandb" / path.name
        if path != target:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(path, target, symlinks=True)


CHANGES: tuple[Callable[[random.Random, Path], Any], ...] = (
    touch_a_checkpoint,
    delete_a_checkpoint,
    copy_a_checkpoint,
    move_a_checkpoint,
    swap_two_checkpoints,
    change_a_config,
    change_a_job,
    add_a_job,
    add_a_sidecar,
    delete_a_config,
    cut_a_stream,
    delete_a_run,
    copy_a_run,
)


@pytest.mark.parametrize("seed", range(4))
def test_a_change_comes_to_the_same_as_judging_all_anew(
    tmp_path: Path, empty_db: Path, seed: int
) -> None:
    chance = random.Random(seed)
    root = write_tree(tmp_path / "tree", seed + 100).root
    catalog = Catalog(empty_db, host="here")
    catalog.ingest([root])
    for change in chance.sample(CHANGES, 4):
        if not checkpoints(root):
            break
        change(chance, root)
        catalog.ingest([root])
        now, anew = told(empty_db), judged_anew(empty_db, root)
        for name in _TOLD:
            assert now[name] == anew[name], f"{name} after {change.__name__}"


def test_another_config_of_its_job_weighs_a_checkpoint_again(
    tmp_path: Path, empty_db: Path
) -> None:
    root = tmp_path / "tree"
    Training(hydra=True).write(root)
    catalog = Catalog(empty_db)
    catalog.ingest([root])
    (job,) = root.rglob(".hydra/config.yaml")
    job.write_text("seed: 977\noptimizer: {lr: 0.5}\n")
    catalog.ingest([root])
    kinds = [piece["kind"] for piece in catalog.trace("best.ckpt").candidates[0]["evidence"]]
    assert "job-config-differ" in kinds


def test_a_folder_found_to_be_the_projects_own_weighs_a_checkpoint_again(
    tmp_path: Path, empty_db: Path
) -> None:
    """However deep below the project it is that another file lies where it remembers lying."""
    root, inside = tmp_path / "tree", "checkpoints/1/2/3"
    write_run_directory(
        root / "wandb", "a1b2c3d4", config={"paths": {"output_dir": "/home/team/out_v1"}}
    )
    paths = [root / "elsewhere" / "one.ckpt", root / inside / "other.ckpt"]
    weights = []
    catalog = Catalog(empty_db, host="here")
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        content = lightning_checkpoint(
            state_dict={"weight": scalar(float(number))},
            best_k={path.name: 0.5 + number / 1000},
            directory=f"/home/team/out_v1/{inside}",
        )
        write_torch_zip(path, content)
        catalog.ingest([root])
        evidence = catalog.trace("one.ckpt").candidates[0]["evidence"]
        weights += [one["weight"] for one in evidence if one["kind"] == "folder-named"]
    assert weights == [8.0, 2.5]
    assert told(empty_db) == judged_anew(empty_db, root)


def test_a_pinned_run_is_shown_by_its_first_folder(tmp_path: Path, empty_db: Path) -> None:
    """Even a run that nothing but a person's word suggests."""
    root = tmp_path / "tree"
    Training(scores=(0.1234567, 0.7654321)).write(root / "own")
    Training("nobody", None, scores=(0.2345678, 0.8765432), begin=9_000).write(root / "own")
    Training("far", "b2b2b2b2", scores=(0.3456789, 0.6543217), begin=90_000).write(root / "other")
    catalog = Catalog(empty_db, host="here")
    catalog.ingest([root])
    catalog.pin("nobody-", "b2b2b2b2", "It ran on my laptop.")
    (run,) = (root / "other" / "wandb").glob("run-*")
    shutil.copytree(run, root / "another" / "wandb" / run.name)
    catalog.ingest([root])
    now = told(empty_db)
    assert any("person" in row and "another/wandb" in row for row in now["links"])
    assert now == judged_anew(empty_db, root)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the checkpoints whose links are weighed, whose states are judged, and known for it."""
    counts: Counter[str] = Counter()

    class Counted(Evidence):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            counts["known"] += len(self._checkpoints)

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:
            counts[name] += 1
            return real(*given)

        return count

    monkeypatch.setattr("catalog.recover.sources.Evidence", Counted)
    for name, where, what in (
        ("weighed", linker, "weigh_candidates"),
        ("judged", assess._Judge, "state"),
    ):
        monkeypatch.setattr(where, what, counting(name, getattr(where, what)))
    return counts


def test_the_work_is_that_of_what_changed(
    tmp_path: Path, database: str, work: Counter[str]
) -> None:
    root = tmp_path / "tree"
    paths = [
        Training(
            f"exp{number}",
            f"run{number:05}",
            scores=(0.25, 0.5 + number / 1000),
            begin=number * 600,
            named=True,
            weight=float(number),
        ).write(root / f"project{number % 3}")
        for number in range(12)
    ]
    catalog = Catalog(database)

    def done() -> dict[str, int]:
        work.clear()
        catalog.ingest([root])
        return dict(work)

    assert done() == {"weighed": 12, "judged": 12, "known": 12}
    assert done() == {}
    paths[7].with_suffix(".config.json").write_text('{"model": {"name": "pan"}}')
    assert done() == {"judged": 1, "known": 1}
    summary = next(root.glob("*/wandb/*run00004/files/wandb-summary.json"))
    summary.write_text('{"val/hmean": 0.1, "new": 1}')
    # The run is a candidate of its project's four.
    assert done() == {"weighed": 4, "judged": 4, "known": 4}
