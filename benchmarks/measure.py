"""Run a command or a call and tell what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Taken:
    """What a script took."""

    seconds: float
    cpu: float
    """Processor seconds of it and its children."""
    megabytes: float
    """Most memory of the process itself."""
    output: str


def process(command: Sequence[str | Path], *, times: int = 1) -> tuple[float, float]:
    """Run a command some times and return its least seconds and least processor seconds.

    On a machine where others are at work the second number is the one to believe.
    """
    words = [str(word) for word in command]
    seconds = cpu = float("inf")
    with Path(os.devnull).open("w") as nowhere:
        for _ in range(times):
            began = time.perf_counter()
            child = subprocess.Popen(words, stdout=nowhere, stderr=nowhere)
            _, status, used = os.wait4(child.pid, 0)
            seconds = min(seconds, time.perf_counter() - began)
            cpu = min(cpu, used.ru_utime + used.ru_stime)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                raise RuntimeError(f"{' '.join(words)} ended with {child.returncode}")
    return seconds, cpu


_WITHIN = """
import resource, sys, time
{code}
own, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
try:
    # A new program inherits the mark of the one that started it in ru_maxrss, but not here.
    most = next(int(line.split()[1]) for line in open("/proc/self/status") if "VmHWM" in line)
except OSError:
    most = own.ru_maxrss
print(sum((own.ru_utime, own.ru_stime, theirs.ru_utime, theirs.ru_stime)), most / 1024)
"""


def script(code: str, *arguments: str | Path, python: str | Path = sys.executable) -> Taken:
    """Run a Python script, which may print, and return what it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [str(python), "-c", _WITHIN.format(code=code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )
    if done.returncode:
        raise RuntimeError(f"a script failed: {done.stderr}")
    *output, last = done.stdout.splitlines()
    cpu, megabytes = map(float, last.split())
    return Taken(time.perf_counter() - began, cpu, megabytes, "\n".join(output))


def quickest(call: Callable[[], object], times: int = 5) -> float:
    """Return the seconds of the quickest of some calls."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best
