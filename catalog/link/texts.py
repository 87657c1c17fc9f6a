"""Lists that files keep as JSON: command lines, overrides."""

from __future__ import annotations

import json
from functools import lru_cache


@lru_cache(maxsize=4_096)
def texts(text: str) -> tuple[str, ...] | None:
    """Return the members of a JSON list as texts, None if it is no list."""
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return tuple(str(value) for value in values) if isinstance(values, list) else None
