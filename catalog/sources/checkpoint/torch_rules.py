"""What `torch.load(file)` allows by default, by version of torch.

The names are data with their source: `torch_rules.json`, made by `tools/torch_rules.py`. One
version is verified: its own torch was asked, and the differential suite compares verdicts with
it. The lists of the others are derived from their sources. Before torch 2.6 the default was
`weights_only=False`, which takes every pickle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from catalog.sources.checkpoint.inert import Global, storage_dtype

_FILE: Final = Path(__file__).with_name("torch_rules.json")


@dataclass(frozen=True, slots=True)
class Rules:
    """The default rules of one version of torch."""

    version: str
    allowed: frozenset[str]
    """`module.name` of every class and function that a pickle may name."""
    blocked: frozenset[str]
    """Modules of which nothing can be allowed, whatever a user asks for."""
    names: dict[str, Any]
    """New names of modules, or [module, name], by Python 2's module or `module name`."""
    by_import: dict[str, frozenset[str]]
    """Names that torch itself allows once a module of its own is imported, by that module."""
    since: dict[str, str]
    """The first version that allows a name."""
    versions: tuple[str, ...]
    """From old to new, the first being that whose default it became."""

    def renamed(self, module: str, name: str) -> tuple[str, str]:
        """Return a module and a name as Python 3 has them."""
        pair = self.names.get(f"{module} {name}")
        if pair is not None:
            return pair[0], pair[1]
        return self.names.get(module, module), name

    def storage_dtype(self, name: str) -> str | None:
        """Return the dtype that a storage class holds, None for an untyped one."""
        return storage_dtype(Global(name))

    def refused_by(self, names: set[str]) -> tuple[list[str], list[str]]:
        """Return the older versions that do not allow all of some names, and the names."""
        late = sorted(name for name in names if self.since.get(name, self.versions[0]) != "2.6")
        places = [self.versions.index(self.since[name]) for name in late]
        return list(self.versions[: max(places, default=0)]), late


@cache
def rules() -> Rules:
    """Return the rules of the version of torch that verdicts speak of."""
    data = json.loads(_FILE.read_text(encoding="utf-8"))
    versions = tuple(one["version"] for one in data["versions"])
    judged = data["judged"]
    known = frozenset(versions[: versions.index(judged) + 1])
    return Rules(
        judged,
        frozenset(name for name, version in data["since"].items() if version in known),
        frozenset(data["blocked"]),
        data["renamed"],
        {module: frozenset(names) for module, names in data["by_import"].items()},
        data["since"],
        versions,
    )
