"""Which config a linked run states for a checkpoint, and whether it can be used as it stands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from catalog.ingest.store import table_of
from catalog.recover.policy import missing_sections
from catalog.schema.tables import Config, File, Link, RunConfig, RunDirectory

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catalog.settings import Settings


@dataclass(frozen=True, slots=True)
class Source:
    """A config that a run states."""

    config_id: int
    file_id: int
    path: str
    """Of that file, below its root."""
    kind: str
    unresolved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The source to recover from, or why there is none."""

    source: Source | None
    code: str = ""
    reason: str = ""


class Sources:
    """The configs of linked runs, loaded once and asked for by checkpoint."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._documents: dict[int, dict[str, Any]] = {}
        self._links, self._ambiguous = self._load_links()
        self._by_run = self._load_configs()

    def document(self, config_id: int) -> dict[str, Any]:
        """Return a config's document."""
        if config_id not in self._documents:
            table = table_of(Config)
            text = self._connection.execute(
                select(table.c.document).where(table.c.id == config_id)
            ).scalar_one()
            self._documents[config_id] = json.loads(text)
        return self._documents[config_id]

    def find(self, checkpoint_id: int) -> Found:
        """Return the config to recover a checkpoint from: the linked run's, best source first.

        A source without the wanted sections is passed over; one whose sections hold values that
        nothing on disk resolves is refused by name. Nothing is filled in.
        """
        linked = self._links.get(checkpoint_id)
        if linked is None:
            count = self._ambiguous.get(checkpoint_id, 0)
            if count:
                return Found(
                    None, "ambiguous-run", f"{count} runs fit this checkpoint equally well."
                )
            return Found(None, "no-run", "No run on disk is known to have written it.")
        run_id, folder_id = linked
        stated = self._by_run.get(run_id, [])
        if not stated:
            return Found(None, "run-without-config", "Its run recorded no config on disk.")
        reason = ""
        # The folder that wrote it comes first: a resumed run may have changed its config.
        for _folder, source in sorted(stated, key=lambda one: one[0] != folder_id):
            keys = set(self.document(source.config_id))
            lacking = missing_sections(keys, self._settings)
            if lacking:
                reason = reason or (
                    f"The config of its run ({source.path}) has no section {lacking[0]!r}."
                )
                continue
            open_keys = self._open_keys(source)
            if not open_keys:
                return Found(source)
            reason = f"{source.path} leaves {open_keys[0]} unresolved."
        return Found(None, "run-config-incomplete", reason)

    def _open_keys(self, source: Source) -> list[str]:
        sections = self._settings.config_sections
        inside = [key for key in source.unresolved if key.partition(".")[0] in sections]
        if inside:
            return inside
        document = self.document(source.config_id)
        return [key for section in sections for key in _unwritable(document[section], str(section))]

    def _load_links(self) -> tuple[dict[int, tuple[int, int]], dict[int, int]]:
        table = table_of(Link)
        links: dict[int, tuple[int, int]] = {}
        ambiguous: dict[int, int] = {}
        for checkpoint, run, folder, verdict in self._connection.execute(
            select(table.c.checkpoint_id, table.c.run_id, table.c.run_directory_id, table.c.verdict)
        ):
            if verdict == "linked":
                links[int(checkpoint)] = (int(run), int(folder))
            elif verdict == "ambiguous":
                ambiguous[int(checkpoint)] = ambiguous.get(int(checkpoint), 0) + 1
        return links, ambiguous

    def _load_configs(self) -> dict[int, list[tuple[int, Source]]]:
        stated, folders, files = table_of(RunConfig), table_of(RunDirectory), table_of(File)
        found: dict[int, list[tuple[int, Source]]] = {}
        for run, folder, config, file_id, path, kind, unresolved in self._connection.execute(
            select(
                folders.c.run_id,
                folders.c.id,
                stated.c.config_id,
                stated.c.file_id,
                files.c.path,
                stated.c.kind,
                stated.c.unresolved,
            )
            .join(folders, folders.c.id == stated.c.run_directory_id)
            .join(files, files.c.id == stated.c.file_id)
            .where(folders.c.run_id.is_not(None), stated.c.kind != "hydra-overrides")
            .order_by(folders.c.run_id, stated.c.rank, files.c.path)
        ):
            source = Source(
                int(config),
                int(file_id),
                path,
                kind,
                tuple(json.loads(unresolved)) if unresolved else (),
            )
            found.setdefault(int(run), []).append((int(folder), source))
        return found


def _unwritable(value: Any, key: str) -> list[str]:
    """Return the keys whose value was no plain data where it came from."""
    found: list[str] = []
    pending = [(key, value)]
    while pending:
        name, one = pending.pop()
        if isinstance(one, dict):
            if "__opaque__" in one or "__float__" in one:
                found.append(name)
            pending.extend((f"{name}.{inner}", part) for inner, part in one.items())
        elif isinstance(one, list):
            pending.extend((f"{name}[{place}]", part) for place, part in enumerate(one))
        elif isinstance(one, str) and (one == "<redacted>" or "${" in one):
            found.append(name)
    return sorted(found)
