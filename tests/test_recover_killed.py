"""Recovery and undo killed with SIGKILL, at each step and at random moments.

Each kill is a real one: the work goes on in a forked process, which is killed before its n-th
step (a file opened, linked, removed or flushed, a time set, a transaction committed) or after a
random time. `CATALOG_KILLS` says how many of the steps are taken (0: all of them, and as many
random moments).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event

from catalog import Catalog
from tests.support.recovery import MODEL, catalog_of, project, snapshot
from tests.support.trees import Training

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = int(os.environ.get("CATALOG_KILLS", "7"))
_EVENTS = frozenset({"open", "os.link", "os.remove", "os.rename", "os.utime", "os.chmod"})


def in_a_process(work: Callable[[], object], *, step: int = 0, after: float = 0.0) -> int | None:
    """Run `work` in a forked process; return its number of steps, None if it was killed.

    Args:
        work: what is done.
        step: kill it before this step; 0 for none.
        after: kill it after so many seconds; 0 for never.
    """
    readable, writable = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            steps = _counting(step)
            work()
            os.write(writable, str(steps[0]).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writable)
    if after:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    said = os.read(readable, 20)
    os.close(readable)
    if os.WIFSIGNALED(status):
        return None
    assert os.waitstatus_to_exitcode(status) == 0
    return int(said)


def _counting(last: int) -> list[int]:
    steps = [0]

    def count() -> None:
        steps[0] += 1
        if steps[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(name: str, arguments: tuple[object, ...]) -> None:
        if name in _EVENTS and not (name == "open" and _only_reads(arguments)):
            count()

    flush = os.fsync

    def counted_flush(fd: Any) -> None:
        count()
        flush(fd)

    os.fsync = counted_flush
    sys.addaudithook(heard)
    event.listen(Engine, "commit", lambda _connection: count())
    return steps


def _only_reads(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR)


class Tree:
    """A project with two trainings and its catalog, and copies of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "now" / "tree"
        project(
            self.root,
            Training("det_a"),
            Training(
                "det_b", run_id="b1b2c3d4", begin=600, scores=(0.3120142984867096, 0.623127007484)
            ),
        )
        catalog_of(self.root)
        self.before = self.contents()
        self.keep("start")

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.folder / "now" / "catalog.db")

    def keep(self, name: str) -> None:
        shutil.copytree(self.folder / "now", self.folder / name, symlinks=True)

    def restore(self, name: str) -> None:
        """Bring tree and catalog back; the inodes that it remembers are others, no more."""
        shutil.rmtree(self.folder / "now")
        shutil.copytree(self.folder / name, self.folder / "now", symlinks=True)

    def contents(self) -> dict[str, object]:
        """Return mode, time and content of files, and the mode of folders."""
        return {
            name: (kind, mode, content, time_ns if content is not None else 0)
            for name, (kind, mode, time_ns, content) in snapshot(self.root).items()
        }

    def check_nothing_is_half(self) -> None:
        for path in self.root.rglob("*.json"):
            json.loads(path.read_text())

    def check_all_recovered(self) -> None:
        sidecars = sorted(self.root.rglob("*.config.json"))
        assert [json.loads(path.read_text()) for path in sidecars] == [{"model": MODEL}] * 2
        assert len(list(self.root.rglob("*.provenance.json"))) == 2
        assert [*self.root.rglob(".*.tmp")] == []
        states = {row["state"]: row["checkpoints"] for row in self.catalog.status().dicts()}
        assert (states["migrated"], states["recoverable"]) == (2, 0)
        verified = self.catalog.verify_recoveries().dicts()
        assert [row["state"] for row in verified] == ["unchanged"] * 4

    def undo_all(self) -> None:
        for (batch,) in self.catalog.sql("SELECT id FROM recovery ORDER BY id DESC").rows:
            self.catalog.undo_recovery(batch)

    def check_start(self) -> None:
        assert self.contents() == self.before
        states = {row["state"]: row["checkpoints"] for row in self.catalog.status().dicts()}
        assert (states["migrated"], states["recoverable"]) == (0, 2)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("killed"))
    tree.catalog.recover()
    tree.keep("recovered")
    return tree


def some(steps: int) -> list[int]:
    """Return the steps to be killed at: all, or so many of them, other ones in each run."""
    every = range(1, steps + 1)
    return [*every] if KILLS == 0 else sorted(random.sample(every, min(KILLS, steps)))


def moments(steps: int, duration: float) -> list[float]:
    count = steps if KILLS == 0 else max(1, KILLS // 5)
    return [random.uniform(0.001, duration) for _ in range(count)]


def duration_of(work: Callable[[], object]) -> tuple[int, float]:
    began = time.monotonic()
    steps = in_a_process(work)
    assert steps is not None
    return steps, time.monotonic() - began


def test_a_killed_recovery_is_completed_by_the_next(tree: Tree) -> None:
    tree.restore("start")
    steps, duration = duration_of(lambda: tree.catalog.recover())
    assert steps > 20
    kills = [(step, 0.0) for step in some(steps)] + [(0, at) for at in moments(steps, duration)]
    killed = 0
    for step, after in kills:
        tree.restore("start")
        killed += in_a_process(lambda: tree.catalog.recover(), step=step, after=after) is None
        tree.check_nothing_is_half()
        tree.catalog.recover()
        tree.check_all_recovered()
        tree.undo_all()
        tree.check_start()
    assert killed >= min(len(some(steps)), KILLS or steps)


def test_a_killed_undo_is_completed_by_the_next(tree: Tree) -> None:
    tree.restore("recovered")
    steps, duration = duration_of(lambda: tree.catalog.undo_recovery(1))
    assert steps > 10
    kills = [(step, 0.0) for step in some(steps)] + [(0, at) for at in moments(steps, duration)]
    killed = 0
    for step, after in kills:
        tree.restore("recovered")
        killed += (
            in_a_process(lambda: tree.catalog.undo_recovery(1), step=step, after=after) is None
        )
        tree.check_nothing_is_half()
        tree.catalog.undo_recovery(1)
        tree.check_start()
    assert killed >= min(len(some(steps)), KILLS or steps)


def test_a_killed_undo_leaves_a_tree_that_can_be_recovered_again(tree: Tree) -> None:
    tree.restore("recovered")
    steps, _ = duration_of(lambda: tree.catalog.undo_recovery(1))
    for step in some(steps)[: KILLS // 3 or None]:
        tree.restore("recovered")
        in_a_process(lambda: tree.catalog.undo_recovery(1), step=step)
        tree.catalog.recover()
        tree.check_all_recovered()
