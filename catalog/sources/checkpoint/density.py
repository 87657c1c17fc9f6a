"""How much memory JSON text may ask for, told before it is parsed.

A byte of JSON can become 30 bytes of objects (`[],[],[],...`), so a limit of length alone does
not bound memory. Commas and brackets bound the number of objects, those in texts counted along,
and counting them takes no memory at all.
"""

from __future__ import annotations

from typing import Final

MAX_CONTAINERS: Final = 150_000
"""One a logged step in a `trainer_state.json`, some four a layer in a config of Keras."""
MAX_VALUES: Final = 600_000
"""One a tensor in an index of shards."""


def is_modest(data: bytes) -> bool:
    """Say whether JSON text makes no more objects than real files do; some 100 MB at most."""
    return data.count(b"[") + data.count(b"{") <= MAX_CONTAINERS and data.count(b",") <= MAX_VALUES
