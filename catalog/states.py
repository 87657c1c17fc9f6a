"""What a checkpoint's state means: the one table of states.

The check constraint of the tables, the counts of views, the colours of the terminal and the docs
are made from it. A state says one thing, and a checkpoint is in one. A state may be a kind of
another (`part_of`), and wherever checkpoints are counted the other's number holds it: so many
usable, so many of them migrated. Those that are part of no other add up to all in the catalog.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class State(NamedTuple):
    """One state."""

    name: str
    """As the column `migration.state` has it."""
    meaning: str
    """A sentence."""
    colour: str
    """Of the terminal, a name that rich knows."""
    is_usable: bool = False
    """Whether it counts as usable."""
    is_unusable: bool = False
    """Whether it counts as unusable: there, and a person may want to mend it."""
    is_absent: bool = False
    """Whether its bytes are not looked at: gone, or left out."""
    is_other: bool = False
    """Whether it is other data: neither usable nor unusable, and no run is looked for."""

    part_of: str | None = None
    """Name of the state of which it is a kind, whose count holds it."""

    is_rare: bool = False
    """Whether tables for people show it only where there is any."""

    @property
    def column(self) -> str:
        """Name of the column that counts it, in tables with a column per state."""
        return self.name.replace(" ", "_")

    @property
    def label(self) -> str:
        """Name in a list of counts for people."""
        return f"of them {self.name}" if self.part_of else self.name


STATES: Final = (
    State("usable", "It is readable and whole, and its config was found.", "green", is_usable=True),
    State(
        "migrated",
        "It is usable by a config that `catalog recover` wrote.",
        "cyan",
        is_usable=True,
        part_of="usable",
    ),
    State("unchecked", "Its format is recognised, its content is not read.", "blue", is_rare=True),
    State(
        "recoverable",
        "Its config is missing, and a run states it: `catalog recover` writes it.",
        "yellow",
        is_unusable=True,
    ),
    State(
        "ambiguous config",
        "Its config is missing, and several runs or sources would give different ones.",
        "magenta",
        is_unusable=True,
        is_rare=True,
    ),
    State(
        "unrecoverable",
        "Its config is missing, and nothing on disk states it.",
        "red",
        is_unusable=True,
    ),
    State(
        "damaged",
        "It is not whole, or cannot be read.",
        "bright_red",
        is_unusable=True,
        is_rare=True,
    ),
    State(
        "not a model",
        "It is other data under the name of a checkpoint.",
        "white",
        is_other=True,
        is_rare=True,
    ),
    State("missing", "The file is gone.", "bright_black", is_absent=True),
    State(
        "left out",
        "It is there, and a pattern leaves it out, or it is a part of another.",
        "bright_black",
        is_absent=True,
        is_rare=True,
    ),
    State(
        "trashed", "`catalog` moved it to its trash.", "bright_black", is_absent=True, is_rare=True
    ),
)
"""In the order in which they are shown, the best first."""

NAMES: Final = tuple(state.name for state in STATES)
WHOLES: Final = tuple(state.name for state in STATES if state.part_of is None)
"""Those whose counts add up to all."""
COUNTED: Final = {
    name: tuple(one.name for one in STATES if name in (one.name, one.part_of)) for name in NAMES
}
"""For each state the ones that its count holds."""
BY_NAME: Final = {state.name: state for state in STATES}
USABLE: Final = tuple(state.name for state in STATES if state.is_usable)
UNUSABLE: Final = tuple(state.name for state in STATES if state.is_unusable)
ABSENT: Final = tuple(state.name for state in STATES if state.is_absent)
OTHER: Final = tuple(state.name for state in STATES if state.is_other)


def usable_text(usable: int, migrated: int, doubted: int) -> str:
    """Return how many are usable, with those of them of which more is to be told."""
    parts = [f"{migrated} of them migrated"] if migrated else []
    parts += [f"{doubted} with a doubt"] if doubted else []
    return f"{usable} usable" + (f" ({', '.join(parts)})" if parts else "")
