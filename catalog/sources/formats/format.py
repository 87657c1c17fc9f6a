"""What a file format declares of itself: how it is found, and what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory
    from catalog.sources.facts import Facts


class Format(NamedTuple):
    """One file format.

    A format is told by the first bytes of a file (`begins`, then `read`), or by the entries of a
    zip archive (`contains`, then `read_archive`). No reader raises for what a file holds: what is
    wrong is a status with a reason, and a `Problem`. `readable` is said only of what the library
    that loads the format would load; what is not read is `recognised`, with the reason.
    """

    name: str
    """As `Checkpoint.format` has it, of its usual form."""
    suffixes: tuple[str, ...] = ()
    """Lower-case endings of names that are opened, whatever they hold."""
    is_named: Callable[[str], bool] | None = None
    """Tells of a lower-case name without such an ending whether the file is opened:
    `model.ckpt-1000`."""
    signs: tuple[str, ...] = ()
    """Texts one of which is in every name that `is_named` wants."""
    begins: Callable[[bytes, int], bool] | None = None
    """Tells by the first 512 bytes and the size whether a file is of this format."""
    read: Callable[[ByteSource, str], Facts] | None = None
    """Takes the file and its path below the root."""
    contains: Callable[[Collection[str], str], bool] | None = None
    """Tells by the names of an archive's entries, and the folder of the first one with its slash,
    whether it is of this format."""
    read_archive: Callable[[ByteSource, ZipDirectory, str], Facts] | None = None
    """Takes the archive, its directory, and its path below the root."""
    read_named: Callable[[ByteSource, str], Facts | None] | None = None
    """Takes a file of such a name and its path below the root, whatever the file begins with; None
    leaves it to what its bytes tell."""
    is_strict: bool = False
    """Whether what loads its files refuses the content of another format under its endings."""
    is_tentative: bool = False
    """Whether its names are those of data too (`images.zip`): what is no model gives no row."""
    carries_config: bool = False
    """Whether a file of it says itself what a loader needs to rebuild the model."""
    precedence: int = 50
    """Formats are asked in this order, the lowest first; those of one number exclude each other."""
