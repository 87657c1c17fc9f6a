"""From facts to rows: what one batch of items says replaces what they said before."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from catalog.ingest.canonical import canonical, clean, digest, flat, special
from catalog.ingest.store import Store, chunks, table_of
from catalog.ingest.times import utc_of_ns
from catalog.schema.tables import (
    Architecture,
    ArchitectureTensor,
    Checkpoint,
    CheckpointScore,
    Config,
    ConfigValue,
    File,
    Mention,
    MetricName,
    MetricPoint,
    MetricSeries,
    MetricSummary,
    Problem,
    RunConfig,
    RunDirectory,
    RunField,
    Sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from catalog.sources import facts
    from catalog.sources.facts import Facts, Item


@dataclass(frozen=True, slots=True)
class Reading:
    """One item together with what its reader said and which version of it."""

    item: Item
    facts: Facts
    reader_version: int
    failed: bool = False
    """The file could not be read: what it said before stands, and the next ingest tries again."""


UNREAD = 0
"""The version in `file.reader_version` of a file whose last reading failed: no reader has it."""


_REPLACED = (RunField, RunConfig, Mention, MetricSummary)
"""Tables whose rows of a file are deleted when the file is read again."""


class BatchWriter:
    """Writes readings of one root in one transaction."""

    def __init__(self, connection: Connection, root_id: int, ingest_id: int) -> None:
        self._connection = connection
        self._store = Store(connection)
        self._root_id = root_id
        self._ingest_id = ingest_id
        self._configs: dict[str, int] = {}
        self._architectures: dict[str, int] = {}
        self._metric_names: dict[str, int] = {}
        self._directories: dict[str, int] = {}

    def write(self, readings: Sequence[Reading]) -> None:
        """Write a batch; what these files said before is replaced."""
        known = self._known([reading.item.path for reading in readings])
        self._forget(
            [known[one.item.path] for one in readings if one.item.path in known and not one.failed]
        )
        changed: list[dict[str, Any]] = []
        numbers: list[int] = []
        for reading in readings:
            item = reading.item
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
        if changed:
            table = table_of(File)
            self._connection.execute(
                update(table)
                .where(table.c.id == bindparam("number"))
                .values({name: bindparam(name) for name in changed[0] if name != "number"}),
                changed,
            )
        checkpoints = self._known_checkpoints(list(known.values()))
        for number, reading in zip(numbers, readings, strict=True):
            self._facts(number, reading, is_known_checkpoint=number in checkpoints)
        self._store.flush()

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
            if below == "." or path == below or path.startswith(f"{below}/")
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

    def _known_checkpoints(self, numbers: Sequence[int]) -> set[int]:
        table = table_of(Checkpoint)
        return {
            int(number)
            for part in chunks(numbers)
            for number in self._connection.execute(
                select(table.c.id).where(table.c.id.in_(part))
            ).scalars()
        }

    def _forget(self, numbers: Sequence[int]) -> None:
        series = table_of(MetricSeries)
        for part in chunks(numbers):
            old = self._connection.execute(select(series.c.id).where(series.c.file_id.in_(part)))
            self._store.delete(MetricPoint, "series_id", [int(one) for one in old.scalars()])
        self._store.delete(MetricSeries, "file_id", numbers)
        for model in _REPLACED:
            self._store.delete(model, "file_id", numbers)
        self._store.delete(Sidecar, "id", numbers)
        self._store.delete(CheckpointScore, "checkpoint_id", numbers)

    def _facts(self, number: int, reading: Reading, *, is_known_checkpoint: bool) -> None:
        said = reading.facts
        if said.checkpoint is not None:
            self._checkpoint(number, said.checkpoint, is_known=is_known_checkpoint)
        elif is_known_checkpoint and not reading.failed:
            table = table_of(Checkpoint)
            self._connection.execute(
                update(table)
                .where(table.c.id == number)
                .values(status="foreign", reason="It was a checkpoint once and is none any more.")
            )
        directory = None
        if said.run_directory is not None:
            directory = self._directory(said.run_directory)
        for one in said.fields:
            self._run_field(number, directory, one)
        for config in said.configs:
            self._config_of_file(number, directory, reading.item.path, config)
        for mention in said.mentions:
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
            self._metrics(number, directory, said)
        self._file_problems(number, reading)

    def _checkpoint(self, number: int, said: facts.Checkpoint, *, is_known: bool) -> None:
        config_id = None
        if said.hyper_parameters:
            config_id = self._config(said.hyper_parameters)
        row: dict[str, Any] = {
            "format": said.format,
            "status": said.status,
            "reason": said.reason and clean(said.reason),
            "framework": said.framework,
            "framework_version": said.framework_version and clean(said.framework_version),
            "epoch": _whole(said.epoch),
            "global_step": _whole(said.global_step),
            "config_id": config_id,
            "monitor": said.monitor and clean(said.monitor),
            "monitor_mode": said.monitor_mode,
            "best_score": _finite(said.best_score),
            "own_score": _finite(said.own_score),
            "best_path": said.best_path and clean(said.best_path),
            "last_path": said.last_path and clean(said.last_path),
            "directory": said.directory and clean(said.directory),
            "best_k": canonical([[path, score] for path, score in said.best_k])
            if said.best_k
            else None,
            "architecture_id": self._architecture(said.tensors),
            "parameter_count": _whole(said.parameter_count),
            "tensor_bytes": _whole(said.tensor_bytes),
            "weights_fingerprint": said.weights_fingerprint,
            "true_size": _whole(said.true_size),
            "optimizers": json.dumps(said.optimizers) if said.optimizers else None,
            "safety": said.safety,
            "globals": json.dumps(said.globals) if said.globals else None,
        }
        if is_known:
            table = table_of(Checkpoint)
            self._connection.execute(update(table).where(table.c.id == number).values(row))
        else:
            self._store.add(Checkpoint, {"id": number, **row})
        seen: set[tuple[str, str]] = set()
        for score in said.scores:
            origin, name = clean(score.origin), clean(score.name)
            if (origin, name) in seen:
                continue
            seen.add((origin, name))
            value, odd = special(score.value)
            self._store.add(
                CheckpointScore,
                {
                    "id": self._store.number(CheckpointScore),
                    "checkpoint_id": number,
                    "origin": origin,
                    "name": name,
                    "value": value,
                    "special": odd,
                },
            )

    def _architecture(self, tensors: Sequence[facts.Tensor]) -> int | None:
        if not tensors:
            return None
        text = canonical([[one.name, one.dtype, list(one.shape)] for one in tensors])
        key = digest(text)
        number = self._architectures.get(key) or self._by_hash(Architecture, key)
        if number is None:
            number = self._store.number(Architecture)
            self._store.add(
                Architecture, {"id": number, "sha256": key, "tensor_count": len(tensors)}
            )
            for position, one in enumerate(tensors):
                self._store.add(
                    ArchitectureTensor,
                    {
                        "architecture_id": number,
                        "position": position,
                        "name": clean(one.name),
                        "dtype": one.dtype,
                        "shape": json.dumps(list(one.shape)),
                    },
                )
        self._architectures[key] = number
        return number

    def _config(self, document: dict[str, facts.Plain]) -> int:
        text = canonical(document)
        key = digest(text)
        number = self._configs.get(key) or self._by_hash(Config, key)
        if number is None:
            number = self._store.number(Config)
            self._store.add(Config, {"id": number, "sha256": key, "document": text})
            for name, kind, value, figure in flat(document):
                self._store.add(
                    ConfigValue,
                    {
                        "config_id": number,
                        "key": name,
                        "type": kind,
                        "text": value,
                        "number": figure,
                    },
                )
        self._configs[key] = number
        return number

    def _by_hash(self, model: type[Architecture] | type[Config], key: str) -> int | None:
        table = table_of(model)
        found = self._connection.execute(select(table.c.id).where(table.c.sha256 == key)).scalar()
        return None if found is None else int(found)

    def _config_of_file(
        self, number: int, directory: int | None, path: str, config: facts.Config
    ) -> None:
        config_id = self._config(config.document)
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
        number = self._directories.get(said.path)
        if number is not None:
            return number
        table = table_of(RunDirectory)
        found = self._connection.execute(
            select(table.c.id, table.c.tracker_run_id).where(
                table.c.root_id == self._root_id, table.c.path == said.path
            )
        ).first()
        if found is not None:
            number = int(found[0])
            if found[1] is None and said.tracker_run_id is not None:
                self._connection.execute(
                    update(table)
                    .where(table.c.id == number)
                    .values(tracker_run_id=said.tracker_run_id)
                )
        else:
            number = self._store.number(RunDirectory)
            self._store.add(
                RunDirectory,
                {
                    "id": number,
                    "root_id": self._root_id,
                    "path": said.path,
                    "tracker": said.tracker,
                    "tracker_run_id": said.tracker_run_id and clean(said.tracker_run_id),
                    "mode": said.mode,
                    "stamp": said.stamp,
                    "stamp_in_utc": said.stamp_in_utc,
                    "copy_of_latest": said.copy_of_latest,
                    "started_at": None,
                    "ended_at": None,
                    "zone": None,
                    "zone_basis": None,
                    "run_id": None,
                },
            )
        self._directories[said.path] = number
        return number

    def _run_field(self, number: int, directory: int | None, one: facts.RunField) -> None:
        if directory is None:
            return
        moment = one.moment
        self._store.add(
            RunField,
            {
                "id": self._store.number(RunField),
                "run_directory_id": directory,
                "file_id": number,
                "name": one.name,
                "value": clean(one.value),
                "rank": one.rank,
                "utc": moment.utc if moment else None,
                "basis": moment.basis if moment else None,
            },
        )

    def _metrics(self, number: int, directory: int, said: Facts) -> None:
        for series in said.series:
            series_id = self._store.number(MetricSeries)
            finite = [value for value in series.values if math.isfinite(value)]
            steps = [step for step in map(_whole, series.steps) if step is not None]
            self._store.add(
                MetricSeries,
                {
                    "id": series_id,
                    "run_directory_id": directory,
                    "file_id": number,
                    "metric_name_id": self._metric_name(series.name),
                    "point_count": len(series.values),
                    "first_step": min(steps, default=None),
                    "last_step": max(steps, default=None),
                    "lowest": min(finite, default=None),
                    "highest": max(finite, default=None),
                },
            )
            for position, (step, time, value) in enumerate(
                zip(series.steps, series.times, series.values, strict=True)
            ):
                figure, odd = special(value)
                self._store.add(
                    MetricPoint,
                    {
                        "series_id": series_id,
                        "position": position,
                        "step": _whole(step),
                        "time": time,
                        "value": figure,
                        "special": odd,
                    },
                )
        for summary in said.summaries:
            figure, odd = special(summary.value)
            self._store.add(
                MetricSummary,
                {
                    "id": self._store.number(MetricSummary),
                    "run_directory_id": directory,
                    "file_id": number,
                    "metric_name_id": self._metric_name(summary.name),
                    "value": figure,
                    "special": odd,
                },
            )

    def _metric_name(self, text: str) -> int:
        name = clean(text)
        number = self._metric_names.get(name)
        if number is None:
            table = table_of(MetricName)
            found = self._connection.execute(
                select(table.c.id).where(table.c.name == name)
            ).scalar()
            if found is None:
                number = self._store.number(MetricName)
                self._store.add(MetricName, {"id": number, "name": name})
            else:
                number = int(found)
            self._metric_names[name] = number
        return number

    def _file_problems(self, number: int, reading: Reading) -> None:
        table = table_of(Problem)
        rows = self._connection.execute(
            select(table.c.id, table.c.code, table.c.message).where(
                table.c.file_id == number, table.c.resolved_ingest_id.is_(None)
            )
        )
        open_before = {(code, message): int(row) for row, code, message in rows}
        for problem in dict.fromkeys(reading.facts.problems):
            if open_before.pop((problem.code, clean(problem.message)), None) is None:
                self._add_problem(number, reading.item.path, problem)
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


def _finite(value: float | None) -> float | None:
    return None if value is None else special(value)[0]


def _whole(value: int | None) -> int | None:
    # A hostile file may state any number; a column holds 64 bits.
    return value if value is not None and -(2**63) <= value < 2**63 else None
