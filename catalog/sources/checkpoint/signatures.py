"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

HEAD: Final = 512
"""Bytes that `kind_of` wants to see."""

_POINTER: Final = b"version https://git-lfs.github.com/spec/v1"
_POINTER_SIZE: Final = re.compile(rb"^size (\d{1,18})\r?$", re.MULTILINE)
_POINTER_SUM: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)

_FOREIGN: Final = (
    (b"\x1f\x8b", "gzip", "it is gzip data"),
    (b"BZh", "bzip2", "it is bzip2 data"),
    (b"\xfd7zXZ\0", "xz", "it is xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd", "it is Zstandard data"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "it is a 7z archive"),
    (b"Rar!", "rar", "it is a RAR archive"),
    (b"\x93NUMPY", "npy", "it is a NumPy array"),
    (b"SQLite format 3", "sqlite", "it is a SQLite database"),
    (b"%PDF", "pdf", "it is a PDF document"),
    (b"Salted__", "encrypted", "it is data encrypted by OpenSSL"),
    (b"-----BEGIN PGP", "encrypted", "it is data encrypted by PGP"),
    (b"age-encryption.org/", "encrypted", "it is data encrypted by age"),
    (b"\x89PNG", "png", "it is an image"),
    (b"\x7fELF", "elf", "it is a program"),
)


def kind_of(head: bytes, size: int) -> str:
    """Return `zip`, `pickle`, `pointer`, `empty` or `other`.

    Args:
        head: the first `HEAD` bytes.
        size: bytes of the whole file.
    """
    if size == 0:
        return "empty"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(_POINTER):
        return "pointer"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "other"


def pointer(source: ByteSource) -> Checkpoint:
    """Describe a Git LFS pointer: text of three lines in the place of the content.

    Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.
    """
    text = source.read_at(0, HEAD)
    size, digest = _POINTER_SIZE.search(text), _POINTER_SUM.search(text)
    return Checkpoint(
        format="git-lfs-pointer",
        status="pointer",
        reason="a Git LFS pointer stands in place of the file; fetch it with `git lfs pull`",
        true_size=int(size[1]) if size else None,
        true_sha256=digest[1].decode() if digest else None,
        bytes_read=source.bytes_read,
    )


def empty() -> Checkpoint:
    """Describe a file of zero bytes."""
    return Checkpoint(format="unknown", status="empty", reason="the file has no content")


def foreign(source: ByteSource) -> Checkpoint:
    """Describe data that is no checkpoint, by its own signature where it has one."""
    head = source.read_at(0, HEAD)
    name, reason = "unknown", "it is data of an unknown kind"
    for magic, known, sentence in _FOREIGN:
        if head.startswith(magic):
            name, reason = known, sentence
            break
    else:
        if head[257:262] == b"ustar":
            name, reason = "tar", "it is a tar archive"
        elif not head.strip(b"\0"):
            reason = "it begins with zeros, its content is lost"
            return Checkpoint("zeros", "unreadable", reason, bytes_read=source.bytes_read)
        elif head.lstrip()[:1] in (b"<", b"{", b"["):
            name, reason = "text", "it is text, such as a saved web page or an error message"
        elif head.isascii() and b"\0" not in head:
            name, reason = "text", "it is text"
    return Checkpoint(format=name, status="foreign", reason=reason, bytes_read=source.bytes_read)
