"""Writing and removing one file so that at each moment there is the whole of it or none."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from catalog.errors import RecoveryError

if TYPE_CHECKING:
    from pathlib import Path


def temporary_name(path: Path, token: str) -> Path:
    """Return the name under which a recovery prepares a file; `token` tells whose it is."""
    return path.with_name(f".{path.name}.{token}.tmp")


def write_new(path: Path, content: bytes, like: Path, token: str) -> None:
    """Create a file with all its content at once, on disk when this returns.

    The content goes to a temporary name in the same folder, is flushed, and is then linked to
    its own name, which fails if the name is taken. Owner and permission bits are those of
    `like` (execution left out), as far as the user may give them.

    Args:
        path: the new file; its folder exists.
        content: all of it.
        like: the checkpoint that it belongs to.
        token: goes into the temporary name.

    Raises:
        FileExistsError: there is a file of that name, or a link, even a dead one.
        OSError: folder read-only, disk full, ...; nothing is left behind.
    """
    temporary = temporary_name(path, token)
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
    flush_folder(path.parent)


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


def flush_folder(folder: Path) -> None:
    """Bring what names a folder holds to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folder_time(folder: Path) -> int | None:
    """Return a folder's modification time in nanoseconds; None if it cannot be looked at."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def set_folder_time(folder: Path, mtime_ns: int) -> None:
    """Give a folder back the modification time that it had; its access time stays."""
    os.utime(folder, ns=(folder.stat().st_atime_ns, mtime_ns))


def check_inside(path: Path, root: Path) -> None:
    """Refuse to write through a link that leads out of the tree.

    Raises:
        RecoveryError: the real folder of `path` is not below `root`.
    """
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise RecoveryError(f"{path} lies behind a link that leads out of {root}.")


def why(error: OSError) -> str:
    """Return the end of a sentence that says why a file could not be written or removed."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full; free some space and run it again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "the folder cannot be written; give yourself permission and run it again."
    return f"it could not be written ({error.strerror})."
