"""Writing one sidecar so that there is the whole file or none, and never over another."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from catalog.errors import RecoveryError

if TYPE_CHECKING:
    from pathlib import Path


def write_new(path: Path, content: bytes, like: Path) -> None:
    """Create a file with all its content at once, on disk when this returns.

    The content goes to a temporary name in the same folder, is flushed, and is then linked to
    its own name, which fails if the name is taken. Owner and permission bits are those of
    `like` (execution left out), as far as the user may give them.

    Args:
        path: the new file; its folder exists.
        content: all of it.
        like: the checkpoint that it belongs to.

    Raises:
        FileExistsError: there is a file of that name, or a link, even a dead one.
        OSError: folder read-only, disk full, ...; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    status = like.stat()
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode) & 0o666)
            _give(file.fileno(), status)
            os.fsync(file.fileno())
        _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no hard links. Between the look and the rename another
        # process may take the name; there is no better way without them.
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        temporary.rename(path)


def _give(handle: int, status: os.stat_result) -> None:
    if (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid()):
        return
    try:
        os.fchown(handle, status.st_uid, status.st_gid)
    except PermissionError:
        return  # only root may give files away


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_inside(path: Path, root: Path) -> None:
    """Refuse to write through a link that leads out of the tree.

    Raises:
        RecoveryError: the real folder of `path` is not below `root`.
    """
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise RecoveryError(f"{path} lies behind a link that leads out of {root}.")
