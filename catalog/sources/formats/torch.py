"""Names of what `torch.save` writes; `sources/checkpoint/` reads it."""

from __future__ import annotations

from typing import Final

from catalog.sources.formats.format import Format


def _is_named(name: str) -> bool:
    return name == "adapter_model.bin" or (
        name.endswith(".bin") and name.startswith("pytorch_model")
    )


FORMAT: Final = Format(
    "torch-zip",
    suffixes=(".ckpt", ".pt", ".pth", ".pth.tar", ".th", ".chkpt"),
    is_named=_is_named,
    signs=(".bin",),
)
