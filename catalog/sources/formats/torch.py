"""Names of what `torch.save` writes; `sources/checkpoint/` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import signatures
from catalog.sources.facts import Facts
from catalog.sources.formats.format import Format
from catalog.sources.formats.names import looks_like_a_model
from catalog.sources.paths import split

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

_OTHERS: Final = (".bin", ".jit", ".mdl", ".t7", ".torch")
"""Endings that people give to torch's files, and to files of other kinds."""


def _is_usual(name: str) -> bool:
    return name == "adapter_model.bin" or (
        name.endswith(".bin") and name.startswith("pytorch_model")
    )


def _is_named(name: str) -> bool:
    return _is_usual(name) or (name.endswith(_OTHERS) and looks_like_a_model(name))


def _read(source: ByteSource, own_path: str) -> Facts | None:
    """Pass over what only has the name of a model (`model.bin`), unless torch wrote it."""
    name = split(own_path)[1].lower()
    if not name.endswith(_OTHERS) or _is_usual(name):
        return None
    head = source.read_at(0, signatures.HEAD)
    return None if signatures.kind_of(head, source.size) in ("zip", "pickle") else Facts()


FORMAT: Final = Format(
    "torch-zip",
    suffixes=(".ckpt", ".pt", ".pth", ".pth.tar", ".th", ".chkpt"),
    is_named=_is_named,
    signs=_OTHERS,
    read_named=_read,
)
