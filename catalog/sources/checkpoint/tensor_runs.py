"""Runs of tensors that were met before: checkpoints of one training differ in little else.

The rows of a state dict (`tensor_records`) are the same bytes in every checkpoint of a training.
What they made the first time is taken again, the very objects, where the same bytes stand behind
an equally long memo, and the few entries of that memo that they refer to say the same. Stand-ins
are never changed once they are made, so any number of skeletons may share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.checkpoint.inert import Global, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable

FEWEST: Final = 8
"""Rows that are worth keeping."""
MOST: Final = 20_000
"""Rows that are kept of all runs together: some 10 MB."""
_START: Final = 64
_ALIKE: Final = 8
"""Runs kept of those that begin alike."""


@dataclass(frozen=True, slots=True)
class Run:
    """Some rows, one behind the other, and what they made."""

    raw: bytes
    entries: tuple[tuple[int, str, bool], ...]
    """Of the memo before it, what the rows refer to: (place, text or name, whether a global)."""
    storages: dict[str, Storage]
    memo: list[Any]
    """What they add to the memo."""
    pushed: list[Any]
    """What they leave on the stack in place of the function on its top."""


class Runs:
    """The runs met so far in this process."""

    def __init__(self) -> None:
        self._runs: dict[tuple[int, bytes], list[Run]] = {}
        self._rows = 0

    def find(self, data: bytes, position: int, memo: list[Any]) -> Run | None:
        """Return the run whose rows begin at a position of a pickle.

        Args:
            data: the pickle.
            position: behind the first MARK of a row.
            memo: its memo, filled in order.
        """
        alike = self._runs.get((len(memo), data[position : position + _START]))
        for run in alike or ():
            if data.startswith(run.raw, position) and all(
                _says(memo[place]) == (text, is_global) for place, text, is_global in run.entries
            ):
                return run
        return None

    def keep(
        self,
        raw: bytes,
        places: Iterable[int],
        storages: dict[str, Storage],
        memo: list[Any],
        start: int,
        pushed: list[Any],
    ) -> None:
        """Keep what some rows made, unless it is little or very much.

        Args:
            raw: the rows.
            places: of the memo that they refer to.
            storages: that they were the first to name; all that they name must be among them.
            memo: as it is behind them.
            start: its length before them.
            pushed: what they left on the stack.
        """
        rows = len(pushed) // 2
        if not FEWEST <= rows <= MOST:
            return
        entries = []
        for place in sorted(places):
            said = _says(memo[place])
            if place >= start or said is None:
                return
            entries.append((place, *said))
        if self._rows + rows > MOST:
            self._runs.clear()
            self._rows = 0
        alike = self._runs.setdefault((start, raw[:_START]), [])
        if len(alike) < _ALIKE:
            alike.insert(0, Run(raw, tuple(entries), storages, memo[start:], pushed))
            self._rows += rows


def _says(entry: object) -> tuple[str, bool] | None:
    if type(entry) is Global:
        return entry.name, True
    return (entry, False) if type(entry) is str else None
