"""What a text log says that ties it to other things: stamped lines, restored checkpoints.

A program's log line with milliseconds is as good as unique. Hydra's job log and W&B's
`output.log` of one training share such lines, so they are kept as hashes to be compared.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from catalog.sources.facts import Mention
from catalog.sources.paths import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Plain

HEAD_BYTES = 2 * 1024 * 1024
TAIL_BYTES = 64 * 1024
MAX_LINES = 200
"""Distinct stamped lines kept of one log: the first half and the last half of them."""

_MAX_RESTORED = 20
MAX_LINE = 16 * 1024
_ENDING_LINES = 10

_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])")
_STAMPED = re.compile(rb"\[?\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}[.,]\d{3}(?!\d)")
_RESTORED = re.compile(
    rb"(?:Restoring states from the checkpoint path|(Restored all) states from the checkpoint"
    rb"|(Loaded model weights) from (?:the )?checkpoint) at (.+)"
)
"""What Lightning says of a checkpoint: first that it restores it, then that it trains on from it,
or that only its weights were loaded, to test or to predict (`_CheckpointConnector`)."""
_EXCEPTION = re.compile(rb"(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Interrupt|Exit))(?::|$)")
_TRACEBACK = b"Traceback (most recent call last)"


class LogScan:
    """Takes a log in pieces and keeps what is told above; memory is bounded."""

    def __init__(self) -> None:
        self._first: dict[str, None] = {}
        self._last: dict[str, None] = {}
        self._restored: dict[str, None] = {}
        self._trained_on: dict[str, None] = {}
        self._only_loaded: dict[str, None] = {}
        self._tail: list[bytes] = []
        self._saw_traceback = False
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the log; a line may be spread over several."""
        if b"\n" not in piece and b"\r" not in piece:
            self._rest = (self._rest + piece)[:MAX_LINE]
            return
        lines = (self._rest + piece).replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()[:MAX_LINE]
        for line in lines:
            if line:
                self._take(line[:MAX_LINE])

    @property
    def open_line(self) -> int:
        """Bytes after the last line end that are kept: at most `MAX_LINE`."""
        return len(self._rest)

    def feed_line_start(self, piece: bytes) -> None:
        """Take only what stands after the last line end of a piece, which was fed before."""
        begin = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        self._rest = ((b"" if begin else self._rest) + piece[begin:])[:MAX_LINE]

    def state(self) -> dict[str, Plain]:
        """Return all that later pieces build on, but for the open line; no text of the log."""
        endings = [_EXCEPTION.match(line) for line in self._tail[-_ENDING_LINES:]]
        return {
            "first": [*self._first],
            "last": [*self._last],
            "restored": [*self._restored],
            "trained_on": [*self._trained_on],
            "only_loaded": [*self._only_loaded],
            "endings": [match[1].decode() if match else "" for match in endings],
            "traceback": self._saw_traceback,
        }

    def go_on(self, state: Any) -> None:
        """Take over what `state` returned, before anything is fed."""
        self._first = dict.fromkeys(state["first"])
        self._last = dict.fromkeys(state["last"])
        self._restored = dict.fromkeys(state["restored"])
        self._trained_on = dict.fromkeys(state["trained_on"])
        self._only_loaded = dict.fromkeys(state["only_loaded"])
        self._tail = [f"{name}:".encode() if name else b"" for name in state["endings"]]
        self._saw_traceback = state["traceback"]

    def finish(self) -> None:
        """Take what stands after the last line end."""
        if self._rest:
            self._take(self._rest)
        self._rest = b""

    def _take(self, line: bytes) -> None:
        if b"\x1b" in line:
            line = _ANSI.sub(b"", line)
        line = line.strip()
        if not line:
            return
        if _STAMPED.match(line):
            self._stamped(blake2b(line, digest_size=8).hexdigest())
        match = _RESTORED.search(line) if b"heckpoint" in line else None
        if match and len(self._restored) < _MAX_RESTORED:
            path = match[3].decode("utf-8", "replace").strip()
            self._restored[path] = None
            if match[1]:
                self._trained_on[path] = None
            elif match[2]:
                self._only_loaded[path] = None
        if _TRACEBACK in line:
            self._saw_traceback = True
        self._tail.append(line[:500])
        if len(self._tail) > 2 * _ENDING_LINES:
            del self._tail[:-_ENDING_LINES]

    def _stamped(self, digest: str) -> None:
        half = MAX_LINES // 2
        if digest in self._first or digest in self._last:
            return
        if len(self._first) < half:
            self._first[digest] = None
            return
        self._last[digest] = None
        if len(self._last) > half:
            del self._last[next(iter(self._last))]

    def mentions(self) -> tuple[Mention, ...]:
        """Return the checkpoints that were restored and the hashes of stamped lines."""
        only_loaded = self._only_loaded.keys() - self._trained_on.keys()
        restored = [
            Mention("weights-loaded" if path in only_loaded else "restored-from", path)
            for path in self._restored
        ]
        lines = [Mention("log-line", digest) for digest in (*self._first, *self._last)]
        return (*restored, *lines)

    def ending(self) -> str | None:
        """Return the exception's name where the log ends in a traceback, else None."""
        for line in reversed(self._tail[-_ENDING_LINES:]):
            match = _EXCEPTION.match(line)
            if match and (self._saw_traceback or match[1] == b"KeyboardInterrupt"):
                return match[1].decode()
        return None


def scan_log(path: Path | str) -> LogScan:
    """Scan a log: its first 2 MB and, where it is longer, its last 64 kB.

    Raises:
        OSError: the file cannot be read.

    """
    scan = LogScan()
    with open_regular(path) as file:
        head = file.read(HEAD_BYTES)
        if len(head) < HEAD_BYTES:
            scan.feed(head)
        else:
            # Neither half of a line that was cut in two is a line.
            scan.feed(head[: head.rfind(b"\n") + 1])
            size = file.seek(0, 2)
            file.seek(max(HEAD_BYTES, size - TAIL_BYTES))
            scan.feed(file.read(TAIL_BYTES).partition(b"\n")[2])
    scan.finish()
    return scan
