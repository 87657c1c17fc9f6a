"""The name under which a machine's trees are kept: given, else the machine's own."""

from __future__ import annotations

import os

from catalog.errors import UsageError

VARIABLE = "CATALOG_HOST"
"""Names the machine where nobody else does: a container has another name each time."""
LONGEST = 255
"""Characters of a name; those of the network have 253 at most."""


def own_host(given: str | None) -> str:
    """Return the name of this machine.

    Args:
        given: a name to go by; else `$CATALOG_HOST`, else what the machine calls itself.

    Raises:
        UsageError: what was given, or the variable, is no name.
    """
    if given is not None:
        return checked_host(given, "The host name")
    if named := os.environ.get(VARIABLE):
        return checked_host(named, f"${VARIABLE}")
    return os.uname().nodename or "localhost"


def checked_host(name: str, what: str) -> str:
    """Return a host name if it can be kept and shown as one.

    Args:
        name: as a person wrote it.
        what: where it is from, for the message.

    Raises:
        UsageError: it is empty, too long, or holds what no name holds.
    """
    if not name.strip() or name != name.strip():
        raise UsageError(f"{what} {name!r} is empty or has blanks around it; write a plain name.")
    if len(name) > LONGEST:
        raise UsageError(f"{what} has {len(name)} characters; write at most {LONGEST}.")
    if not name.isprintable() or ":" in name or "/" in name:
        raise UsageError(
            f"{what} {name!r} holds `:`, `/` or what cannot be printed; write a plain name, such "
            "as that of the storage."
        )
    return name
