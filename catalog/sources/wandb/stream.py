"""`run-ID.wandb`: everything a W&B run sent, in the order it was sent.

For offline runs this is the only file with config, metrics and summary. Field numbers are those
of `wandb_internal.proto` (Apache-2.0, in every wandb release), unchanged from 0.10 to 0.31.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from catalog.sources.documents import parse_json
from catalog.sources.facts import (
    Config,
    Facts,
    Item,
    Listing,
    Mention,
    MetricDefinition,
    Moment,
    Plain,
    Problem,
    RunDirectory,
    RunField,
    Summary,
)
from catalog.sources.interpolation import unresolved_keys
from catalog.sources.log_lines import LogScan
from catalog.sources.paths import is_file, item_of, open_regular, split
from catalog.sources.plain import MAX_DEPTH, DocumentError
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redact_arguments, redact_text, redaction_problem
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb import ranks, run_directory
from catalog.sources.wandb.framing import Frames
from catalog.sources.wandb.history import MAX_POINTS, History, LatestValues, key_path
from catalog.sources.wandb.metadata_file import git_fields
from catalog.sources.wandb.protobuf import Message, WireError, varint
from catalog.sources.wandb.summary_file import numbers, progress_fields
from catalog.sources.wandb.values import as_logged, prefer_resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_T = TypeVar("_T")

NAME = "wandb-stream"
VERSION = 2

# Numbers of the fields of `Record` that are read.
_HISTORY, _SUMMARY, _CONFIG, _ARTIFACT, _TELEMETRY, _METRIC, _OUTPUT = 2, 3, 5, 8, 11, 12, 13
_RUN, _EXIT, _USED_ARTIFACT, _ENVIRONMENT = 17, 18, 25, 26

_GOALS: dict[int, Literal["min", "max"]] = {1: "min", 2: "max"}
_SUMMARIES = {
    1: "min",
    2: "max",
    3: "mean",
    4: "best",
    5: "last",
    6: "none",
    7: "copy",
    8: "first",
}
_MAX_DEFINITIONS = 1_000
_MAX_FILES = 20_000
"""Files of artifacts that are kept as mentions."""


def recognise(listing: Listing) -> list[Item]:
    """Return every `run-ID.wandb`; its directory is the run directory, whatever its name."""
    return [
        item_of(NAME, listing, entry, run_directory=listing.path)
        for entry in listing.entries
        if is_file(entry) and run_directory.stream_id(entry.name)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one stream, up to its end or to the first damage.

    Raises:
        OSError: the file cannot be read.

    """
    content = _Content()
    with open_regular(root / item.path) as file:
        frames = Frames(file)
        for record in frames:
            content.take(record)
    folder, name = split(item.path)
    place = run_directory.describe(root, folder, run_id=run_directory.stream_id(name))
    problems = [frames.problem] if frames.problem else []
    if frames.skipped:
        problems.append(
            Problem("oversized-record", f"{frames.skipped} very long records were skipped.")
        )
    return content.facts(place, problems)


class _Content:
    """What the records of one stream add up to."""

    def __init__(self) -> None:
        self._history = History()
        self._summary = LatestValues()
        self._config: dict[str, Plain] = {}
        self._log = LogScan()
        self._fields: dict[tuple[str, int], RunField] = {}
        self._mentions: dict[Mention, None] = {}
        self._definitions: dict[str, MetricDefinition] = {}
        self._globs: dict[str, MetricDefinition] = {}
        self._malformed = 0
        self._redacted: dict[str, None] = {}

    def take(self, record: bytes) -> None:
        """Take one record; one that cannot be decoded is counted and left out."""
        try:
            if not (self._history.add_usual(record) or self._summary.add_usual(record)):
                self._take(record)
        except WireError:
            self._malformed += 1

    def _take(self, record: bytes) -> None:
        position = 0
        end = len(record)
        while position < end:
            tag, position = varint(record, position)
            wire = tag & 7
            if wire == 0:
                _, position = varint(record, position)
                continue
            if wire != 2:
                raise WireError(f"wire type {wire} in a record")
            length, position = varint(record, position)
            stop = position + length
            if stop > end:
                raise WireError("a field is cut off")
            self._part(tag >> 3, record, position, stop)
            position = stop

    def _part(self, kind: int, record: bytes, begin: int, end: int) -> None:
        if kind == _HISTORY:
            self._history.add(record, begin, end)
        elif kind == _SUMMARY:
            self._summary.add(record[begin:end])
        elif kind == _OUTPUT:
            for line in Message(record[begin:end]).all_bytes(3):
                self._log.feed(line)
        elif handler := self._handlers.get(kind):
            handler(self, Message(record[begin:end]))

    def _set(self, fields: Iterator[RunField]) -> None:
        for field in fields:
            self._fields[field.name, field.rank] = field

    def _run(self, run: Message) -> None:
        field = partial(field_of, rank=ranks.STREAM)
        for number, name in _RUN_TEXTS.items():
            text = run.text(number)
            self._set(field(name, self._note_redaction(f"run.{name}", text, redact_text(text))))
        self._set(field("tags", list[Plain](run.texts(10))))
        if run.integer(14):
            self._set(field("starting_step", run.integer(14)))
        if run.integer(18):
            self._set(field("resumed", True))
        self._set(moment_field("started_at", _moment(run.message(17)), ranks.STREAM))
        self._git(run.message(21))
        self._telemetry(run.message(19))
        self._update_config(run.message(4))

    def _environment(self, environment: Message) -> None:
        field = partial(field_of, rank=ranks.STREAM)
        for number, name in _ENVIRONMENT_TEXTS.items():
            self._set(field(name, environment.text(number)))
        self._set(field("python_version", environment.text(2).rpartition(" ")[2]))
        arguments = environment.texts(5)
        shown = self._note_redaction("args", arguments, redact_arguments(arguments))
        self._set(field("args", list[Plain](shown)))
        self._git(environment.message(9))
        self._set(moment_field("started_at", _moment(environment.message(3)), ranks.STREAM))

    def _git(self, git: Message) -> None:
        remote = git.text(1)
        self._note_redaction("git_remote", remote, redact_text(remote))
        self._set(git_fields(remote, git.text(2), ranks.STREAM))

    def _note_redaction(self, name: str, before: _T, after: _T) -> _T:
        if before != after:
            self._redacted[name] = None
        return after

    def _telemetry(self, telemetry: Message) -> None:
        self._set(field_of("python_version", telemetry.text(4), ranks.STREAM))
        self._set(field_of("cli_version", telemetry.text(5), ranks.STREAM))

    def _exit(self, message: Message) -> None:
        self._set(field_of("exit_code", message.integer(1), ranks.STREAM))
        if 2 in message:
            self._set(field_of("runtime", message.integer(2), ranks.STREAM))

    def _artifact(self, artifact: Message) -> None:
        for entry in artifact.message(12).messages(4):
            self._mention("artifact-file", entry.text(1))
            self._mention("artifact-digest", entry.text(2))

    def _metric(self, metric: Message) -> None:
        """Take a metric definition: of one name, or of all that begin as a glob does (`val/*`)."""
        name, glob = metric.text(1), metric.text(2)
        wanted = metric.message(7)
        definition = MetricDefinition(
            name=name or glob,
            step_metric=metric.text(4) or None,
            goal=_GOALS.get(metric.integer(8)),
            summary=",".join(text for number, text in _SUMMARIES.items() if number in wanted)
            or None,
        )
        into = self._definitions if name else self._globs
        says_nothing = definition == MetricDefinition(definition.name)
        if definition.name and not says_nothing and len(into) < _MAX_DEFINITIONS:
            into[definition.name] = definition

    def _defined(self, names: Iterable[str]) -> Iterator[MetricDefinition]:
        """Yield the definitions; a glob's for each of the names that it is the first to fit."""
        yield from self._definitions.values()
        prefixes = {glob.removesuffix("*"): one for glob, one in self._globs.items()}
        for name in names:
            if name not in self._definitions:
                for prefix, one in prefixes.items():
                    if name.startswith(prefix):
                        yield replace(one, name=name)
                        break

    def _used_artifact(self, used: Message) -> None:
        self._mention("artifact-used", used.text(3) or used.text(1))

    def _mention(self, role: str, text: str) -> None:
        if text and len(self._mentions) < 2 * _MAX_FILES:
            self._mentions[Mention(role, text)] = None

    def _update_config(self, message: Message) -> None:
        for update in message.all_bytes(1):
            path = key_path(update)[:MAX_DEPTH]
            try:
                value = parse_json(Message(update).text(16).encode())
            except DocumentError:
                continue
            parent = _parent(self._config, path, create=True)
            if parent is not None:
                key = path[-1]
                parent[key] = prefer_resolved(parent[key], value) if key in parent else value
        for removal in message.all_bytes(2):
            path = key_path(removal)
            parent = _parent(self._config, path, create=False)
            if parent is not None:
                parent.pop(path[-1], None)

    _handlers: ClassVar[dict[int, Callable[[_Content, Message], None]]] = {
        _RUN: _run,
        _CONFIG: _update_config,
        _ARTIFACT: _artifact,
        _METRIC: _metric,
        _TELEMETRY: _telemetry,
        _EXIT: _exit,
        _USED_ARTIFACT: _used_artifact,
        _ENVIRONMENT: _environment,
    }

    def facts(self, place: RunDirectory, problems: list[Problem]) -> Facts:
        """Return everything as facts; the content is used up."""
        self._log.finish()
        summary = self._summary.summary()
        self._malformed += self._summary.malformed
        self._set(progress_fields(summary, ranks.STREAM + 1))
        if self._history.last_timestamp is not None:
            moment = moment_of_epoch(self._history.last_timestamp)
            self._set(moment_field("last_timestamp", moment, ranks.STREAM))
        self._set(field_of("last_step", self._history.last_step, ranks.STREAM))
        self._set(field_of("log_ending", self._log.ending(), ranks.STREAM))
        own = self._config.pop("_wandb", None)
        if isinstance(own, dict):
            for name in ("cli_version", "python_version"):
                self._set(field_of(name, own.get(name), ranks.STREAM + 1))
        config, secrets = redact(as_logged(self._config))
        problems += redaction_problem((*self._redacted, *secrets))
        if self._malformed:
            problems.append(
                Problem(
                    "malformed-record",
                    f"{self._malformed:,} records of the W&B stream could not be decoded and "
                    "were left out.",
                )
            )
        if self._history.is_cut:
            problems.append(
                Problem(
                    "history-cut",
                    f"The stream holds more than {MAX_POINTS:,} metric points; later ones were "
                    "left out.",
                )
            )
        unresolved = unresolved_keys(config)
        series = self._history.series()
        summaries = tuple(Summary(*pair) for pair in numbers(summary))
        names = dict.fromkeys([one.name for one in series] + [one.name for one in summaries])
        return Facts(
            run_directory=place,
            fields=tuple(self._fields.values()),
            configs=(
                (Config("wandb-stream", config, ranks.CONFIG_STREAM, unresolved),) if config else ()
            ),
            series=series,
            summaries=summaries,
            definitions=tuple(self._defined(names)),
            mentions=(*self._mentions, *self._log.mentions()),
            problems=tuple(problems),
        )


_RUN_TEXTS = {
    1: "run_id",
    2: "entity",
    3: "project",
    6: "group",
    7: "job_type",
    8: "display_name",
    9: "notes",
    12: "sweep_id",
    13: "host",
}
_ENVIRONMENT_TEXTS = {
    1: "os",
    6: "program",
    11: "root",
    12: "host",
    13: "username",
    14: "executable",
}


def _moment(timestamp: Message) -> Moment | None:
    """Return a protobuf Timestamp {1 seconds, 2 nanoseconds}; None where it is unset."""
    seconds = timestamp.integer(1)
    if not seconds:
        return None
    nanoseconds = timestamp.integer(2)
    return moment_of_epoch(seconds + nanoseconds / 1e9, f"{seconds}.{nanoseconds:09}")


def _parent(config: dict[str, Plain], path: list[str], *, create: bool) -> dict[str, Plain] | None:
    """Return the mapping that holds the last key of a path, or None if there is none."""
    if not path:
        return None
    for name in path[:-1]:
        inner = config.get(name)
        if not isinstance(inner, dict):
            if not create:
                return None
            inner = config[name] = {}
        config = inner
    return config
