"""The checkpoints that a run names as what it read: resumed from, evaluated, initialised with."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, or_, select

from catalog.link.outputs import Outputs
from catalog.link.parents import Parents
from catalog.link.texts import texts
from catalog.schema.store import fetched, table_of
from catalog.schema.tables import ConfigValue
from catalog.sources.formats.registry import last_letters, names_a_checkpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from catalog.link.names import Names
    from catalog.link.subjects import RunFolder, Subject

_FOLDER = re.compile(r"(?:^|/)checkpoint-\d+/?$")


_TESTED = "tested"


class Input(NamedTuple):
    """A checkpoint that a run names."""

    path: str
    named_as: str
    """`restored-from`, `artifact-used`, `argument`, or the key of its config."""
    file_id: int
    key: str = ""
    """The key or option that it stands under; empty where it is named in passing."""


class Inputs:
    """What all runs name; configs are searched once, by their values' endings.

    Args:
        connection: to the catalog.
        folders: every run directory and job folder.
        subjects: every checkpoint.
        names: of all runs.
    """

    def __init__(
        self,
        connection: Connection,
        folders: Collection[RunFolder],
        subjects: Iterable[Subject],
        names: Names,
    ) -> None:
        table = table_of(ConfigValue)
        end = func.lower(func.substr(table.c.text, func.length(table.c.text) - 2))
        self._of_config: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for number, key, text in fetched(
            connection,
            select(table.c.config_id, table.c.key, table.c.text)
            .where(
                table.c.type == "str",
                or_(end.in_(last_letters()), table.c.text.like("%checkpoint-%")),
            )
            .order_by(table.c.config_id, table.c.key),
        ):
            if is_checkpoint(text):
                self._of_config[int(number)].append((key, text))
        self._found: dict[int, tuple[Input, ...]] = {}
        self.parents = Parents(subjects)
        self.outputs = Outputs(connection, folders, self.parents, names, self._of_config.keys())

    def of(self, folder: RunFolder) -> tuple[Input, ...]:
        """Return what a run folder names, each path once: its log, its config, its arguments.

        What it surely wrote itself is left out.
        """
        if folder.id not in self._found:
            named: dict[str, Input] = {}
            for one in self._all(folder):
                if not self.outputs.wrote(folder, one):
                    named.setdefault(one.path, one)
            self._found[folder.id] = tuple(named.values())
        return self._found[folder.id]

    def _all(self, folder: RunFolder) -> Iterator[Input]:
        for role in ("restored-from", "artifact-used"):
            for said in folder.mentions.get(role, ()):
                yield Input(said.text, role, said.file_id)
        for said in folder.mentions.get("weights-loaded", ()):
            # A training tests its own best file; an evaluation starts from another's.
            yield Input(said.text, "restored-from", said.file_id, _TESTED)
        for config_id, file_id in folder.config:
            for key, text in self._of_config.get(config_id, ()):
                yield Input(text, key, file_id, key)
        if folder.arguments is not None:
            before = ""
            for text in texts(folder.arguments.text) or ():
                option, _, value = text.rpartition("=")
                if is_checkpoint(value):
                    yield Input(value, "argument", folder.arguments.file_id, option or before)
                before = text if text.startswith("-") else ""


def is_checkpoint(text: str) -> bool:
    """Tell whether a path names a checkpoint: a file, or a Trainer's `checkpoint-N`."""
    return names_a_checkpoint(text) or _FOLDER.search(text) is not None
