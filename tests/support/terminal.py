"""Run a command on a pseudo-terminal, as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios


def on_terminal(
    *arguments: str, columns: int = 120, env: dict[str, str] | None = None, typed: str = ""
) -> str:
    """Return what `catalog ARGUMENTS` writes to a terminal of that width, without colours.

    Args:
        arguments: of the command line.
        columns: width of the terminal.
        env: variables to set.
        typed: what a person answers.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # A test runner may set these for its own workers; a terminal's size is the terminal's.
    inherited = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "catalog", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**inherited, "TERM": "xterm", **(env or {})},
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:  # Linux reports the closed end of a terminal as an error.
            break
        if not chunk:
            break
        chunks.append(chunk)
    process.wait()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(chunks).decode()).replace("\r\n", "\n")
