"""The tensors of a LoRA adapter: pairs of two, of which PEFT wants both.

PEFT names them `MODULE.lora_A.weight` and `MODULE.lora_B.weight`, of an embedding
`MODULE.lora_embedding_A` (`peft/tuners/lora/layer.py`, 0.21); the name of the adapter may be
between. Where one is missing it warns and goes on with random numbers or zeros.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.sources.facts import Tensor

_HALF: Final = re.compile(
    r"(.*\.lora_)([AB])((?:\.[^.]+)?\.weight)|(.*\.lora_embedding_)([AB])((?:\.[^.]+)?)", re.DOTALL
)
_OTHER: Final = {"A": "B", "B": "A"}


def lost_half(tensors: Iterable[Tensor]) -> str | None:
    """Return the name of a tensor whose other half is there, None where all are in pairs."""
    names = {tensor.name for tensor in tensors}
    for name in sorted(names):
        match = _HALF.fullmatch(name)
        if match is not None:
            start, half, end = match.groups()[:3] if match[1] else match.groups()[3:]
            other = f"{start}{_OTHER[half]}{end}"
            if other not in names:
                return other
    return None
