"""From facts to rows: what one batch of items says replaces what they said before."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, select, update

from catalog.ingest.checkpoint_rows import (
    Hashed,
    checkpoint_row,
    named_places,
    score_rows,
    tensor_rows,
)
from catalog.ingest.metrics import MetricWriter
from catalog.ingest.times import utc_of_ns
from catalog.schema.canonical import clean, flat
from catalog.schema.store import Store, chunks, table_of
from catalog.schema.tables import (
    Architecture,
    ArchitectureTensor,
    Checkpoint,
    CheckpointScore,
    Config,
    ConfigValue,
    File,
    FileBookmark,
    GlobalSet,
    GlobalSetName,
    Mention,
    Problem,
    RunConfig,
    RunDirectory,
    RunField,
    Sidecar,
)
from catalog.sources.paths import is_in

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from sqlalchemy import Connection

    from catalog.ingest.reading import Document, Reading
    from catalog.sources import facts
    from catalog.sources.facts import Facts, Item


DAMAGED = "damaged-bytes"
"""Code of the problem of a file whose bytes do not fit what it states of them: a hash writes it."""


UNREAD = 0
"""The version in `file.reader_version` of a file whose last reading failed: no reader has it."""


_REPLACED = (RunField, RunConfig, Mention)
"""Tables whose rows of a file are deleted when the file is read again."""


_TOLD = frozenset({"checkpoint-path", "output-dir"})
"""Mentions that a checkpoint's own row may hold as well."""


_RUN_FIELD = (
    "file_id", "position", "run_directory_id", "name", "value", "rank", "utc", "basis",
)  # fmt: skip
_CONFIG_VALUE = ("config_id", "key", "type", "text", "number")
"""Columns of the tables that have several rows a file."""


@dataclass(slots=True)
class Memory:
    """What the batches of one tree need to be told only once, for it never changes."""

    architectures: dict[str, int] = field(default_factory=dict)
    """Numbers by hash."""
    global_sets: dict[str, int] = field(default_factory=dict)
    """The same of sets of globals."""


class BatchWriter:
    """Writes readings of one root in one transaction.

    What stands in the database is asked for once a batch, not once a file.
    """

    def __init__(
        self,
        connection: Connection,
        root_id: int,
        ingest_id: int,
        *,
        history: str = "full",
        memory: Memory | None = None,
    ) -> None:
        self._connection = connection
        self._store = Store(connection)
        self._root_id = root_id
        self._ingest_id = ingest_id
        self._configs: dict[str, int] = {}
        memory = memory or Memory()
        self._architectures = memory.architectures
        self._global_sets = memory.global_sets
        self._metrics = MetricWriter(self._store, history)
        self._keeps_all = history == "full"
        """Whether the points of a file can be added to later."""
        self._directories: dict[str, tuple[int, dict[str, Any]]] = {}
        """Number and row (of a known one: what may still be filled in) by path."""
        self._changed: dict[int, dict[str, Any]] = {}
        """Rows of known checkpoints by number."""
        self._hashed: dict[int, Hashed] = {}
        """Of known checkpoints, by number."""
        self._problems: dict[int, dict[tuple[str, str], int]] = {}
        """Numbers of open problems by file, then by code and message."""

    def write(self, readings: Sequence[tuple[Item, Reading]]) -> None:
        """Write a batch; what these files said before is replaced."""
        known = self._known([item.path for item, _reading in readings])
        again = {
            known[item.path]: reading.facts
            for item, reading in readings
            if item.path in known and not reading.failed
        }
        self._forget(list(again), {number for number, said in again.items() if said.continues})
        self._look_up([reading for _item, reading in readings], list(known.values()))
        changed: list[dict[str, Any]] = []
        numbers: list[int] = []
        for item, reading in readings:
            row = {
                "reader": item.reader,
                "reader_version": UNREAD if reading.failed else reading.reader_version,
                "state": "present",
                "size": item.size,
                "mtime_ns": item.mtime_ns,
                "modified_at": utc_of_ns(item.mtime_ns),
                "inode": item.inode,
                "is_link": item.is_link,
                "read_ingest_id": self._ingest_id,
                "missing_ingest_id": None,
                "sha256": None,
                "md5": None,
            }
            number = known.get(item.path)
            if number is None:
                number = self._store.number(File)
                row |= {
                    "id": number,
                    "root_id": self._root_id,
                    "path": item.path,
                    "first_ingest_id": self._ingest_id,
                }
                self._store.add(File, row)
            else:
                changed.append(row | {"number": number})
            numbers.append(number)
        self._hashed = self._known_checkpoints(list(known.values()), readings)
        if changed:
            table = table_of(File)
            same = and_(
                table.c.size == bindparam("size"),
                table.c.mtime_ns == bindparam("mtime_ns"),
                table.c.inode == bindparam("inode"),
            )
            self._connection.execute(
                update(table)
                .where(table.c.id == bindparam("number"))
                .values(
                    {
                        name: bindparam(name)
                        for name in changed[0]
                        if name not in ("number", "sha256", "md5")
                    }
                )
                # A newer reader reads a file again that did not change: its sums are still true.
                .values(sha256=case((same, table.c.sha256)), md5=case((same, table.c.md5))),
                changed,
            )
        for number, (item, reading) in zip(numbers, readings, strict=True):
            self._facts(number, item, reading, is_known_checkpoint=number in self._hashed)
        self._store.flush()
        self._metrics.flush()
        self._update_checkpoints()

    def _update_checkpoints(self) -> None:
        """Write the rows of known checkpoints; what they refer to stands by now."""
        table = table_of(Checkpoint)
        for number, row in self._changed.items():
            self._connection.execute(update(table).where(table.c.id == number).values(row))
        self._changed.clear()

    def problems(self, found: Sequence[tuple[str, facts.Problem]], below: str) -> None:
        """Write the problems of a scan, which belong to no file; those that are gone are closed.

        Args:
            found: (path below the root, problem).
            below: the part of the root that was scanned.
        """
        table = table_of(Problem)
        rows = self._connection.execute(
            select(table.c.id, table.c.path, table.c.code, table.c.message).where(
                table.c.root_id == self._root_id,
                table.c.file_id.is_(None),
                table.c.resolved_ingest_id.is_(None),
            )
        )
        open_before = {
            (path, code, message): int(number)
            for number, path, code, message in rows
            if is_in(path, below)
        }
        for path, problem in found:
            if open_before.pop((path, problem.code, clean(problem.message)), None) is None:
                self._add_problem(None, path, problem)
        self._resolve(list(open_before.values()))
        self._store.flush()

    def _known(self, paths: Sequence[str]) -> dict[str, int]:
        table = table_of(File)
        found: dict[str, int] = {}
        for part in chunks(paths):
            rows = self._connection.execute(
                select(table.c.path, table.c.id).where(
                    table.c.root_id == self._root_id, table.c.path.in_(part)
                )
            )
            found.update((path, int(number)) for path, number in rows)
        return found

    def _look_up(self, readings: Sequence[Reading], known: Sequence[int]) -> None:
        """Find what a batch refers to: contents, run directories, problems of known files."""
        documents = {one.sha256 for reading in readings for part in reading.configs for one in part}
        documents |= {
            one.sha256
            for reading in readings
            for one in (reading.hyper_parameters, reading.statements)
            if one is not None
        }
        self._find(Config, documents, self._configs)
        architectures = {one.architecture.sha256 for one in readings if one.architecture}
        self._find(Architecture, architectures - self._architectures.keys(), self._architectures)
        names = {one.globals.sha256 for one in readings if one.globals}
        self._find(GlobalSet, names - self._global_sets.keys(), self._global_sets)
        paths = {
            part.run_directory.path
            for reading in readings
            for part in (reading.facts, *reading.facts.parts)
            if part.run_directory is not None
        }
        table = table_of(RunDirectory)
        for some in chunks(sorted(paths)):
            for number, path, run_id in self._connection.execute(
                select(table.c.id, table.c.path, table.c.tracker_run_id).where(
                    table.c.root_id == self._root_id, table.c.path.in_(some)
                )
            ):
                self._directories[path] = (int(number), {"tracker_run_id": run_id})
        problems = table_of(Problem)
        for some in chunks(known):
            for row, number, code, message in self._connection.execute(
                select(
                    problems.c.id, problems.c.file_id, problems.c.code, problems.c.message
                ).where(problems.c.file_id.in_(some), problems.c.resolved_ingest_id.is_(None))
            ):
                self._problems.setdefault(int(number), {})[code, message] = int(row)

    def _find(
        self,
        model: type[Architecture] | type[Config] | type[GlobalSet],
        sums: set[str],
        found: dict[str, int],
    ) -> None:
        table = table_of(model)
        for some in chunks(sorted(sums)):
            rows = self._connection.execute(
                select(table.c.sha256, table.c.id).where(table.c.sha256.in_(some))
            )
            found.update((key, int(number)) for key, number in rows)

    def _known_checkpoints(
        self, numbers: Sequence[int], readings: Sequence[tuple[Item, Reading]]
    ) -> dict[int, Hashed]:
        """Return what a hash found of known checkpoints, as far as it still holds."""
        table, files = table_of(Checkpoint), table_of(File)
        items = {item.path: (item, reading) for item, reading in readings}
        found: dict[int, Hashed] = {}
        query = select(
            table.c.id,
            files.c.path,
            files.c.size,
            files.c.mtime_ns,
            files.c.inode,
            table.c.weights_fingerprint,
            table.c.weights_sha256,
            table.c.damage,
        ).join(files, files.c.id == table.c.id)
        for part in chunks(numbers):
            for (
                number,
                path,
                size,
                mtime_ns,
                inode,
                stated,
                weights,
                damage,
            ) in self._connection.execute(query.where(table.c.id.in_(part))):
                item, reading = items[path]
                same = (item.size, item.mtime_ns, item.inode) == (size, mtime_ns, inode)
                found[int(number)] = (
                    Hashed(stated, weights, damage) if same or reading.failed else Hashed()
                )
        return found

    def _forget(self, numbers: Sequence[int], continued: Container[int]) -> None:
        self._metrics.forget(numbers, but_series=continued)
        self._store.delete(FileBookmark, "file_id", numbers)
        for model in _REPLACED:
            self._store.delete(model, "file_id", numbers)
        self._store.delete(Sidecar, "id", numbers)
        self._store.delete(CheckpointScore, "checkpoint_id", numbers)

    def _facts(
        self, number: int, item: Item, reading: Reading, *, is_known_checkpoint: bool
    ) -> None:
        said = reading.facts
        if said.checkpoint is not None:
            self._checkpoint(number, said.checkpoint, reading, is_known=is_known_checkpoint)
        elif is_known_checkpoint and not reading.failed:
            table = table_of(Checkpoint)
            self._connection.execute(
                update(table)
                .where(table.c.id == number)
                .values(status="foreign", reason="It was a checkpoint once and is none any more.")
            )
        fields = 0
        for part, documents in zip((said, *said.parts), reading.configs, strict=False):
            self._part(number, item.path, part, documents, fields)
            fields += len(part.fields)
        if said.bookmark is not None and self._keeps_all:
            self._store.add(FileBookmark, {"file_id": number, "state": said.bookmark})
        self._file_problems(number, item.path, said)

    def _part(
        self, number: int, path: str, said: Facts, documents: Sequence[Document], fields: int
    ) -> None:
        """Write what a file says of one run, or of none; `fields` of it were written before."""
        directory = None
        if said.run_directory is not None:
            directory = self._directory(said.run_directory)
        if directory is not None and said.fields:
            self._run_fields(number, directory, said.fields, fields)
        for config, document in zip(said.configs, documents, strict=True):
            self._config_of_file(number, directory, path, config, document)
        told = named_places(said.checkpoint)
        for mention in said.mentions:
            if mention.text in told and mention.role in _TOLD:
                continue  # it stands in the checkpoint's own row
            self._store.add(
                Mention,
                {
                    "id": self._store.number(Mention),
                    "file_id": number,
                    "run_directory_id": directory,
                    "role": mention.role,
                    "text": clean(mention.text),
                },
            )
        if directory is not None:
            self._metrics.add(number, directory, said)

    def _checkpoint(
        self, number: int, said: facts.Checkpoint, reading: Reading, *, is_known: bool
    ) -> None:
        hashed = self._hashed.get(number, Hashed())
        config_id = None
        if said.hyper_parameters and reading.hyper_parameters is not None:
            config_id = self._config(said.hyper_parameters, reading.hyper_parameters)
        statements_id = None
        if said.statements and reading.statements is not None:
            statements_id = self._config(said.statements, reading.statements)
        row = checkpoint_row(
            said,
            hashed,
            config_id=config_id,
            statements_id=statements_id,
            architecture_id=self._architecture(reading.architecture),
            global_set_id=self._global_set(said.every_global, reading.globals),
        )
        if is_known:
            self._changed[number] = row
        else:
            self._store.add(Checkpoint, {"id": number, **row})
        for score in score_rows(said):
            own = {"id": self._store.number(CheckpointScore), "checkpoint_id": number}
            self._store.add(CheckpointScore, own | score)

    def _architecture(self, document: Document | None) -> int | None:
        if document is None:
            return None
        number = self._architectures.get(document.sha256)
        if number is not None:
            return number
        number = self._store.number(Architecture)
        tensors = tensor_rows(document.text)
        self._store.add(
            Architecture,
            {"id": number, "sha256": document.sha256, "tensor_count": len(tensors)},
        )
        for tensor in tensors:
            self._store.add(ArchitectureTensor, {"architecture_id": number, **tensor})
        self._architectures[document.sha256] = number
        return number

    def _global_set(self, names: Sequence[str], document: Document | None) -> int | None:
        if document is None:
            return None
        number = self._global_sets.get(document.sha256)
        if number is None:
            number = self._store.number(GlobalSet)
            self._store.add(GlobalSet, {"id": number, "sha256": document.sha256})
            for name in dict.fromkeys(map(clean, names)):
                self._store.add(GlobalSetName, {"global_set_id": number, "name": name})
            self._global_sets[document.sha256] = number
        return number

    def _config(self, content: dict[str, facts.Plain], document: Document) -> int:
        number = self._configs.get(document.sha256)
        if number is not None:
            return number
        number = self._store.number(Config)
        self._store.add(
            Config, {"id": number, "sha256": document.sha256, "document": document.text}
        )
        self._store.extend(
            ConfigValue, _CONFIG_VALUE, [(number, *value) for value in flat(content)]
        )
        self._configs[document.sha256] = number
        return number

    def _config_of_file(
        self,
        number: int,
        directory: int | None,
        path: str,
        config: facts.Config,
        document: Document,
    ) -> None:
        config_id = self._config(config.document, document)
        unresolved = json.dumps(config.unresolved) if config.unresolved else None
        if directory is None:
            self._store.add(
                Sidecar,
                {
                    "id": number,
                    "config_id": config_id,
                    "kind": config.kind,
                    "directory": path.rpartition("/")[0] or ".",
                    "unresolved": unresolved,
                },
            )
            return
        self._store.add(
            RunConfig,
            {
                "id": self._store.number(RunConfig),
                "run_directory_id": directory,
                "file_id": number,
                "config_id": config_id,
                "kind": config.kind,
                "rank": config.rank,
                "unresolved": unresolved,
            },
        )

    def _directory(self, said: facts.RunDirectory) -> int:
        run_id = said.tracker_run_id and clean(said.tracker_run_id)
        known = self._directories.get(said.path)
        if known is not None:
            number, row = known
            if row["tracker_run_id"] is None and run_id is not None:
                row["tracker_run_id"] = run_id
                table = table_of(RunDirectory)
                self._connection.execute(
                    update(table).where(table.c.id == number).values(tracker_run_id=run_id)
                )
            return number
        number = self._store.number(RunDirectory)
        row = {
            "id": number,
            "root_id": self._root_id,
            "path": said.path,
            "tracker": said.tracker,
            "tracker_run_id": run_id,
            "mode": said.mode,
            "stamp": said.stamp,
            "stamp_in_utc": said.stamp_in_utc,
            "copy_of_latest": said.copy_of_latest,
            "started_at": None,
            "ended_at": None,
            "zone": None,
            "zone_basis": None,
            "run_id": None,
            "joined_by": None,
            "join_detail": None,
            "kept_apart": False,
        }
        self._store.add(RunDirectory, row)
        self._directories[said.path] = (number, row)
        return number

    def _run_fields(
        self, number: int, directory: int, said: Sequence[facts.RunField], first: int
    ) -> None:
        self._store.extend(
            RunField,
            _RUN_FIELD,
            [
                (
                    number,
                    position,
                    directory,
                    one.name,
                    clean(one.value),
                    one.rank,
                    one.moment and one.moment.utc,
                    one.moment and one.moment.basis,
                )
                for position, one in enumerate(said, first)
            ],
        )

    def _file_problems(self, number: int, path: str, said: Facts) -> None:
        open_before = self._problems.pop(number, {})
        if not (open_before or said.problems or said.parts):
            return
        damage = self._hashed[number].damage if number in self._hashed else None
        if damage is not None:
            open_before.pop((DAMAGED, damage), None)  # the bytes are the same, so it stays open
        found = (*said.problems, *(one for part in said.parts for one in part.problems))
        for problem in dict.fromkeys(found):
            if open_before.pop((problem.code, clean(problem.message)), None) is None:
                self._add_problem(number, path, problem)
        self._resolve(list(open_before.values()))

    def _add_problem(self, number: int | None, path: str, problem: facts.Problem) -> None:
        self._store.add(
            Problem,
            {
                "id": self._store.number(Problem),
                "root_id": self._root_id,
                "file_id": number,
                "path": path,
                "code": problem.code,
                "message": clean(problem.message),
                "first_ingest_id": self._ingest_id,
                "resolved_ingest_id": None,
            },
        )

    def _resolve(self, problems: Sequence[int]) -> None:
        table = table_of(Problem)
        for part in chunks(problems):
            self._connection.execute(
                update(table).where(table.c.id.in_(part)).values(resolved_ingest_id=self._ingest_id)
            )
