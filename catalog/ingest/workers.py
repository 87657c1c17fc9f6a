"""Reading in worker processes: batches out, readings back in the same order, nothing lost.

A worker that dies (a fault in a library, or the system taking its memory) takes the batches
that were out with it. They are read again one item at a time, so that it costs the one file
that did it, and that one is named.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from catalog.ingest.reading import Reading, failed, read_items
from catalog.sources import registry
from catalog.sources.facts import Item, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

WORTH_A_POOL = 400
"""Items that must be waiting before workers are started: below, one process is as quick."""
OUT_PER_WORKER = 3
"""Batches that are out for each worker: enough that none waits for the writer."""

_OBJECTS_BEFORE_A_LOOK = 100_000
"""Made by a worker before Python looks for cycles among them."""

Batch: TypeAlias = "list[Item]"

log = logging.getLogger(__name__)


class Workers:
    """Reads batches through an executor.

    Args:
        executor: of whoever called; None for processes of our own, started when first used.
        count: how many processes of our own; one for each core, if it is not said.
    """

    def __init__(self, executor: Executor | None = None, count: int | None = None) -> None:
        self._given = executor
        self._pool: ProcessPoolExecutor | None = None
        self._lone: ProcessPoolExecutor | None = None
        self.count = getattr(executor, "_max_workers", None) or count or _cores()

    @property
    def possible(self) -> bool:
        """Whether there is an executor, or a safe way to start one with something to gain.

        Processes are forked, so that a script needs no `if __name__ == "__main__"`; forking
        beside running threads is not safe.
        """
        return self._given is not None or (
            sys.platform == "linux" and self.count > 1 and threading.active_count() == 1
        )

    def read(self, root: Path, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Reading]]]:
        """Yield every batch with what its items say, in the order of the batches."""
        out: deque[tuple[Batch, Future[list[Reading]] | None]] = deque()
        for batch in batches:
            out.append((batch, self._submit(root, batch)))
            if len(out) >= self.count * OUT_PER_WORKER:
                yield self._result(root, *out.popleft())
        while out:
            yield self._result(root, *out.popleft())

    def close(self) -> None:
        """Stop our own processes; what has not begun is not read."""
        for pool in (self._pool, self._lone):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._lone = None

    def _submit(self, root: Path, batch: Batch) -> Future[list[Reading]] | None:
        if self._given is None and self._pool is None:
            self._pool = _processes(self.count)
        try:
            return (self._given or self._pool).submit(read_items, root, batch)  # type: ignore[union-attr]
        except BrokenExecutor:
            self._pool = None  # the next batch gets a new one; this one is read alone
            return None

    def _result(
        self, root: Path, batch: Batch, future: Future[list[Reading]] | None
    ) -> tuple[Batch, list[Reading]]:
        if future is not None:
            try:
                return batch, future.result()
            except Exception:  # an executor of a cluster has errors of its own
                log.debug("a batch was lost", exc_info=True)
        return batch, [self._alone(root, item) for item in batch]

    def _alone(self, root: Path, item: Item) -> Reading:
        """Read an item in a process that has nothing else to do: its death tells the cause."""
        if self._lone is None:
            self._lone = _processes(1)
        try:
            return self._lone.submit(read_items, root, [item]).result()[0]
        except BrokenExecutor:
            self._lone = None
            return failed(
                Problem(
                    "worker-died",
                    "The process that read this file died, perhaps for lack of memory; the other "
                    "files were read. Ingest again to try it once more.",
                ),
                registry.readers()[item.reader].VERSION,
            )


def _processes(count: int) -> ProcessPoolExecutor:
    registry.readers()  # imported once, before the fork
    way = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    return ProcessPoolExecutor(count, multiprocessing.get_context(way), initializer=_begin)


@contextmanager
def workers(executor: Executor | None, count: int | None = None) -> Iterator[Workers]:
    """Give workers and stop those that are ours at the end, whatever happened."""
    made = Workers(executor, count)
    try:
        yield made
    finally:
        made.close()


def _begin() -> None:
    # Ctrl-C reaches every process of the terminal's group; the parent alone deals with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What was there before the fork is nobody's garbage, and what readers say holds no cycles.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
