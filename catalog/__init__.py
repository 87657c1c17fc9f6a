"""catalog: where did this checkpoint come from, and can we still use it?

The public surface is `Catalog`, `inspect` and the exception tree. They are loaded on first
use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.api import Catalog
    from catalog.errors import CatalogError
    from catalog.query.inspect import inspect

__version__ = "0.5.0"
__all__ = ["Catalog", "CatalogError", "__version__", "inspect"]


def __getattr__(name: str) -> Any:
    if name == "Catalog":
        from catalog.api import Catalog

        return Catalog
    if name == "CatalogError":
        from catalog.errors import CatalogError

        return CatalogError
    if name == "inspect":
        from catalog.query.inspect import inspect

        return inspect
    raise AttributeError(f"module 'catalog' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
