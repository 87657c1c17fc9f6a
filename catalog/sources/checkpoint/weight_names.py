"""Names under which Hugging Face libraries save weights."""

from __future__ import annotations

import re
from typing import Final

WEIGHTS: Final = re.compile(
    r"(?:(?:model|adapter_model|diffusion_pytorch_model)@\.safetensors"
    r"|(?:pytorch_model|adapter_model|diffusion_pytorch_model)@\.bin"
    r"|tf_model@\.h5|flax_model@\.msgpack)".replace("@", r"(?:-\d{5}-of-\d{5})?(?:\.fp16|\.bf16)?")
)
"""Whole or in shards."""
