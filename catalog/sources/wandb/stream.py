"""`run-ID.wandb`: everything a W&B run sent, in the order it was sent.

For offline runs this is the only file with config, metrics and summary. Field numbers are those
of `wandb_internal.proto` (Apache-2.0, in every wandb release), unchanged from 0.10 to 0.31.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal, TypeVar

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
from catalog.sources.formats.registry import names_a_checkpoint
from catalog.sources.growth import MAX_BOOKMARK
from catalog.sources.interpolation import unresolved_keys
from catalog.sources.log_lines import LogScan
from catalog.sources.paths import below, is_file, item_of, open_regular, split
from catalog.sources.plain import MAX_DEPTH, DocumentError
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redact_arguments, redact_text, redaction_problem
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.wandb import ranks, run_directory
from catalog.sources.wandb.framing import HEADER, Frames
from catalog.sources.wandb.history import MAX_POINTS, History, LatestValues, key_path
from catalog.sources.wandb.metadata_file import git_fields
from catalog.sources.wandb.protobuf import Message, WireError, varint
from catalog.sources.wandb.summary_file import numbers, progress_fields
from catalog.sources.wandb.values import as_logged, prefer_resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_T = TypeVar("_T")

NAME = "wandb-stream"
VERSION = 6

# Numbers of the fields of `Record` that are read.
_HISTORY, _SUMMARY, _CONFIG, _ARTIFACT, _TELEMETRY, _METRIC, _OUTPUT = 2, 3, 5, 8, 11, 12, 13
_RUN, _EXIT, _PREEMPTING, _USED_ARTIFACT, _ENVIRONMENT = 17, 18, 23, 25, 26

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
    """Read one stream up to its end, behind damage as well.

    With a bookmark, only what came since is read, and the few records that tell of the run.

    Raises:
        OSError: the file cannot be read.

    """
    with open_regular(below(root, item.path)) as file:
        content, frames = _begin(file, item.bookmark)
        for record in frames:
            content.take(record, frames.start)
        bookmark = _bookmark(content, frames)
    folder, name = split(item.path)
    place = run_directory.describe(root, folder, run_id=run_directory.stream_id(name))
    problems = [*frames.problems]
    if frames.skipped:
        problems.append(
            Problem("oversized-record", f"{frames.skipped} very long records were skipped.")
        )
    facts = content.facts(place, problems)
    return facts.but(bookmark=bookmark, continues=content.continues)


def _begin(file: BinaryIO, bookmark: str | None) -> tuple[_Content, Frames]:
    """Return content and frames that go on at a bookmark, or begin where it is of other bytes."""
    if bookmark is not None:
        said = json.loads(bookmark)
        frames = Frames(file, said["end"])
        if said["version"] == VERSION and frames.fingerprint(said["end"]) == said["fingerprint"]:
            content = _Content()
            with suppress(WireError):
                if content.go_on(said, frames):
                    frames.skipped = said["skipped"]
                    return content, frames
    return _Content(), Frames(file)


def _bookmark(content: _Content, frames: Frames) -> str | None:
    """Return what the next reading needs to go on here; None where there will be none.

    Of a run that ended nothing is kept, nor of a stream with a gap. Neither is the text of records
    that may hold secrets: those records are read again, and what is redacted then follows the
    settings of then.
    """
    if content.is_final or frames.gaps or frames.end <= len(HEADER):
        return None
    said = {
        "version": VERSION,
        "end": frames.end,
        "fingerprint": frames.fingerprint(frames.end),
        "skipped": frames.skipped,
        **content.state(),
    }
    text = json.dumps(said, separators=(",", ":"))
    return text if len(text) <= MAX_BOOKMARK else None


_LONGEST_VALUE = 200
"""Characters of a value that is noted where it is written over."""


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
        self._has_ended = False
        self._place = 0
        """Where the record at hand begins."""
        self._telling: dict[int, None] = {}
        """Places of the records that neither a row, a summary update nor output are: few."""
        self._open_line: list[int] = []
        """Places of the records that the last, unfinished line of the log stands in."""
        self._only_told_again = False
        self.continues = False
        """Whether the points of an earlier reading are left out."""

    def take(self, record: bytes, place: int) -> None:
        """Take one record, which begins at `place`; one that cannot be decoded is counted."""
        self._place = place
        try:
            # Two of three records are summary updates.
            if not (self._summary.add_usual(record) or self._history.add_usual(record)):
                self._take(record)
        except WireError:
            self._malformed += 1

    def go_on(self, said: Any, frames: Frames) -> bool:
        """Come to where `state` was made; False if a record that is needed is there no more."""
        self._only_told_again = True
        for place in said["telling"]:
            record = frames.record_at(place)
            if record is None:
                return False
            self._place = place
            with suppress(WireError):
                self._take(record)
        self._only_told_again = False
        self._history.go_on(said["history"])
        self._summary.go_on(said["summary"])
        self._log.go_on(said["log"])
        for place in said["open_line"]:
            record = frames.record_at(place)
            if record is None:
                return False
            for part in Message(record).messages(_OUTPUT):
                self._log.feed_line_start(b"".join(part.all_bytes(3)))
            self._open_line.append(place)
        self._malformed = said["malformed"]
        self.continues = True
        return True

    @property
    def is_final(self) -> bool:
        """Whether no later reading can go on from here."""
        return self._has_ended or self._history.is_cut or not self._history.all_have_places

    def state(self) -> dict[str, Plain]:
        """Return, as JSON can say it, all that later records build on."""
        summary = self._summary.state()  # which may find more that is malformed
        self._malformed += self._summary.malformed
        self._summary.malformed = 0
        return {
            "malformed": self._malformed,
            "telling": [*self._telling],
            "open_line": [*self._open_line],
            "history": self._history.state(),
            "summary": summary,
            "log": self._log.state(),
        }

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
        if handler := self._handlers.get(kind):
            self._telling[self._place] = None
            handler(self, Message(record[begin:end]))
        elif self._only_told_again:
            return
        elif kind == _HISTORY:
            self._history.add(record, begin, end)
        elif kind == _SUMMARY:
            self._summary.add(record[begin:end])
        elif kind == _OUTPUT:
            for piece in Message(record[begin:end]).all_bytes(3):
                self._output(piece)

    def _output(self, piece: bytes) -> None:
        """Take a piece of the log, and note where its open line is to be found again."""
        before = self._log.open_line
        self._log.feed(piece)
        if b"\n" in piece or b"\r" in piece:
            self._open_line.clear()
            before = 0
        is_noted = self._open_line[-1:] == [self._place]
        if self._log.open_line > before and not is_noted:
            self._open_line.append(self._place)

    def _set(self, fields: Iterable[RunField]) -> None:
        for field in fields:
            self._fields[field.name, field.rank] = field

    def _run(self, run: Message) -> None:
        field = partial(field_of, rank=ranks.STREAM)
        for number, name in _RUN_TEXTS.items():
            text = run.text(number)
            if not text:
                continue
            self._set(field(name, self._note_redaction(f"run.{name}", text, redact_text(text))))
        self._set(field("tags", list[Plain](run.texts(10))))
        if run.integer(14):
            self._set(field("starting_step", run.integer(14)))
        if run.integer(18):
            self._set(field("resumed", True))
        self._set(moment_field("started_at", _moment(run.message(17)), ranks.STREAM))
        self._branch(run.message(23))
        self._git(run.message(21))
        self._telemetry(run.message(19))
        self._update_config(run.message(4))

    def _branch(self, point: Message) -> None:
        """Take where a run was forked or rewound: `BranchPoint` {1 run, 2 value, 3 metric}."""
        source = point.text(1)
        if source and point.text(3) in {"", "_step"}:
            self._set(field_of("branch_run", source, ranks.STREAM))
            step = point.double(2)
            at = "" if step is None else f" at step {step:g}"
            self._mention("forked-from", f"{source}{at}")
            if step is not None and step.is_integer():
                self._set(field_of("branch_step", int(step), ranks.STREAM))

    def _preempting(self, _message: Message) -> None:
        self._set(field_of("preempting", True, ranks.STREAM))

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
        self._has_ended = True
        self._set(field_of("exit_code", message.integer(1), ranks.STREAM))
        if 2 in message:
            self._set(field_of("runtime", message.integer(2), ranks.STREAM))

    def _artifact(self, artifact: Message) -> None:
        """Take an artifact's manifest: path, digest (base64 MD5) and size of each file.

        Lightning adds every checkpoint as `model.ckpt`, and states its own name and its score in
        the metadata (`WandbLogger._scan_and_log_checkpoints`).
        """
        said: Any = None
        with suppress(DocumentError):
            said = parse_json(artifact.text(8).encode())
        said = said if isinstance(said, dict) else {}
        for entry in artifact.message(12).messages(4):
            path, digest = entry.text(1), entry.text(2)
            self._mention("artifact-file", path)
            self._mention("artifact-digest", digest)
            if names_a_checkpoint(path):
                name = said.get("original_filename")
                score = said.get("score")
                logged = [
                    name if isinstance(name, str) else split(path)[1],
                    entry.integer(4) or None,
                    digest,
                    score if isinstance(score, float) else None,
                ]
                self._mention("artifact-checkpoint", json.dumps(logged))

    def _metric(self, metric: Message) -> None:
        """Take a metric definition: of one name, or of all that begin as a glob does (`val/*`).

        A later one adds to an earlier one of the same name, unless it says `overwrite`
        (https://docs.wandb.ai, `Run.define_metric`).
        """
        name, glob = metric.text(1), metric.text(2)
        into = self._definitions if name else self._globs
        wanted = metric.message(7)
        before = into.get(name or glob)
        if before is None or metric.message(9).integer(1):
            before = MetricDefinition(name or glob)
        kept = (before.summary or "").split(",")
        definition = MetricDefinition(
            name=before.name,
            step_metric=metric.text(4) or before.step_metric,
            goal=_GOALS.get(metric.integer(8), before.goal),
            summary=",".join(
                text for number, text in _SUMMARIES.items() if number in wanted or text in kept
            )
            or None,
        )
        if definition == MetricDefinition(definition.name):
            into.pop(definition.name, None)
        elif definition.name and (definition.name in into or len(into) < _MAX_DEFINITIONS):
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
            item = Message(update)
            path = (item.texts(2) or item.texts(1))[:MAX_DEPTH]
            try:
                value = parse_json(item.text(16).encode())
            except DocumentError:
                continue
            parent = _parent(self._config, path, create=True)
            if parent is not None:
                key = path[-1]
                if key in parent and parent[key] != value:
                    self._note_rewrite(".".join(path), parent[key], value)
                parent[key] = prefer_resolved(parent[key], value) if key in parent else value
        for removal in message.all_bytes(2):
            removed = key_path(removal)
            parent = _parent(self._config, removed, create=False)
            if parent is not None:
                parent.pop(removed[-1], None)

    def _note_rewrite(self, key: str, before: Plain, after: Plain, depth: int = 0) -> None:
        """Note values of the config that are written over, as later jobs of one process do."""
        if isinstance(before, dict) and isinstance(after, dict) and depth < MAX_DEPTH:
            for name in sorted(before.keys() & after.keys()):
                if before[name] != after[name]:
                    self._note_rewrite(f"{key}.{name}", before[name], after[name], depth + 1)
        elif (
            isinstance(before, str | int | float | None)
            and len(str(before)) < _LONGEST_VALUE
            and not redact({key.rpartition(".")[2]: before})[1]
        ):
            self._mention("config-rewritten", json.dumps([key, before]))
        else:
            self._mention("config-rewritten", json.dumps([key]))

    _handlers: ClassVar[dict[int, Callable[[_Content, Message], None]]] = {
        _RUN: _run,
        _CONFIG: _update_config,
        _ARTIFACT: _artifact,
        _METRIC: _metric,
        _TELEMETRY: _telemetry,
        _EXIT: _exit,
        _PREEMPTING: _preempting,
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
        points = self._history.names
        series = self._history.series()
        summaries = tuple(Summary(*pair) for pair in numbers(summary))
        names = dict.fromkeys((*points, *(one.name for one in summaries)))
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


def _parent(
    config: dict[str, Plain], path: Sequence[str], *, create: bool
) -> dict[str, Plain] | None:
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
