"""The real libraries, which only this suite uses."""

from __future__ import annotations

from typing import Any

import pytest


def library(name: str) -> Any:
    """Return a library's module, or skip what asks for it, with a reason that the run prints."""
    return pytest.importorskip(
        name, reason=f"{name} is not installed: `make oracle` installs it", exc_type=ImportError
    )
