"""Loads files one by one with torch, and prints a line of JSON for each: run in a child process.

    python -m tests.oracle.default_load_child        reads one JSON line per file: [path, remedy]

A remedy that goes with it is run first.
"""

from __future__ import annotations

import json
import os
import sys
import warnings

import torch


def _load(path: str, remedy: str) -> str:
    """Return what torch says: nothing where it loads."""
    try:
        if remedy:
            exec(remedy, {"torch": torch})
        torch.load(path, map_location="cpu")
    except Exception as error:  # noqa: BLE001 - any of them is a refusal
        return f"{type(error).__name__}: {error}"[:600]
    return ""


def _in_fork(path: str, remedy: str) -> str:
    """Return the same of a process of its own, so that no remedy helps the next file."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, _load(path, remedy).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else f"ended with {status}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(_in_fork(*json.loads(line))), flush=True)  # noqa: T201
