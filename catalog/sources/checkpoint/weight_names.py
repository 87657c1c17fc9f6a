"""Names under which Hugging Face libraries save weights."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_VARIANT: Final = r"(?:\.(?:fp16|bf16|fp32|ema|non_ema))?"

WEIGHTS: Final = re.compile(
    r"((?:adapter_|diffusion_pytorch_)?model(?=[.-].*\bsafetensors$)"
    r"|(?:pytorch_|adapter_|diffusion_pytorch_)model(?=[.-].*\bbin$)"
    r"|tf_model(?=[.-].*\bh5$)|(?:diffusion_)?flax_model(?=[.-].*\bmsgpack$))"
    rf"({_VARIANT})(?:-(\d{{5}})-of-(\d{{5}}))?({_VARIANT})(\.[a-z0-9]+)"
)
"""Whole or in shards; libraries differ in whether a variant is before or behind the number."""


class WeightName(NamedTuple):
    """The parts of such a name."""

    name: str
    stem: str
    variant: str
    """With its dot, or empty."""
    number: int
    """Of a shard; 0 for a file that is no shard."""
    whole: int
    suffix: str


def weight_name(name: str) -> WeightName | None:
    """Return the parts of a weight file's name, None for another file."""
    match = WEIGHTS.fullmatch(name)
    if match is None:
        return None
    stem, early, number, whole, late, suffix = match.groups()
    return WeightName(name, stem, early or late, int(number or 0), int(whole or 0), suffix)
