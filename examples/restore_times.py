#!/usr/bin/env python3
"""Copy the example project and give each file the time it was written.

    restore_times.py SOURCE TARGET

Git keeps no modification times, and times are evidence. They are read from `SOURCE.mtimes.csv`,
which lies beside SOURCE. Needs only Python.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
from pathlib import Path


def restore(source: Path, manifest: Path, target: Path) -> None:
    """Copy a folder and set the modification times that a manifest states.

    Symbolic links are copied as links, with their own times.

    Args:
        source: the folder to copy.
        manifest: CSV with a header and the columns `path` (relative to source) and
            `mtime_ns` (nanoseconds since the epoch, UTC).
        target: the copy; it must not exist yet.

    Raises:
        FileExistsError: the target exists.
        FileNotFoundError: the manifest names a file that the source lacks.
    """
    shutil.copytree(source, target, symlinks=True)
    with manifest.open(newline="") as handle:
        for row in csv.DictReader(handle):
            nanoseconds = int(row["mtime_ns"])
            os.utime(target / row["path"], ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def main(arguments: list[str]) -> int:
    """Run as a script; returns the exit code."""
    if len(arguments) != 2:
        print("usage: restore_times.py SOURCE TARGET", file=sys.stderr)
        return 2
    source, target = map(Path, arguments)
    if target.exists():
        print(f"{target} exists: name a place that does not.", file=sys.stderr)
        return 1
    restore(source, source.with_name(source.name + ".mtimes.csv"), target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
