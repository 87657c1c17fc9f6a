"""MLflow: the file store `mlruns/EXPERIMENT/RUN/` and the SQLite database `mlflow.db`.

File store: `meta.yaml` (status, start and end in ms since 1970), `params/NAME` and `tags/NAME` with
the bare value, `metrics/NAME` with lines `TIMESTAMP_MS VALUE STEP`; names with `/` are folders.
Database (mlflow 1 to 3): tables `runs`, `params`, `tags`, `metrics`, `experiments`. A NaN there is
the value 0 with `is_nan` = 1. A run is told by 32 hexadecimal digits.
Logged models (mlflow 3): `mlruns/EXPERIMENT/models/m-ID/` with a `meta.yaml`, or the table
`logged_models`, state the run that logged them; `artifacts/` of that folder holds their files, in
a server's store as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from catalog.sources.documents import read_yaml
from catalog.sources.facts import (
    Config,
    Facts,
    Item,
    Listing,
    Plain,
    Problem,
    RunDirectory,
    RunField,
    Series,
)
from catalog.sources.paths import is_file, item_of, join, read_at_most, split
from catalog.sources.places import folder_above, metric_name
from catalog.sources.plain import clean, is_number
from catalog.sources.run_fields import field_of, moment_field
from catalog.sources.secrets import redact, redact_text, redaction_problem
from catalog.sources.stamps import moment_of_epoch
from catalog.sources.stores.database import NotReadable, Tables, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

NAME = "mlflow"
VERSION = 2
RANK = 10

RUN = re.compile(r"[0-9a-f]{32}")
MODEL = re.compile(r"m-[0-9a-f]{32}")
"""A folder of a logged model."""
MODEL_FIELD = "logged_model"
"""Field of a run: the folder name of a model that it logged."""
_DATABASES = frozenset({"mlflow.db", "mlruns.db"})
_META = "meta.yaml"
_MAX_VALUE = 64 * 1024
_MAX_HISTORY = 64 * 1024 * 1024
_STATES = {3: "finished", 4: "failed", 5: "killed"}
"""`RunStatus` of mlflow's `service.proto`, as the file store writes it; 1 is running."""
_TAGS = {
    "mlflow.source.name": "program",
    "mlflow.source.git.commit": "git_commit",
    "mlflow.source.git.repoURL": "git_remote",
    "mlflow.note.content": "notes",
    "mlflow.user": "username",
}


def recognise(listing: Listing) -> list[Item]:
    """Return a run's `meta.yaml`, its folders of params, tags and metrics, and databases.

    Each of the folders is one item: a file in it holds no more than a value.
    """
    found = [
        item_of(NAME, listing, entry)
        for entry in listing.entries
        if is_file(entry) and entry.name in _DATABASES
    ]
    is_run = RUN.fullmatch(split(listing.path)[1])
    if is_run or MODEL.fullmatch(split(listing.path)[1]):
        found += [
            item_of(NAME, listing, entry, run_directory=listing.path if is_run else None)
            for entry in listing.entries
            if is_file(entry) and entry.name == _META
        ]
    holder = _holder(listing.path)
    files = [entry for entry in listing.entries if is_file(entry)]
    if holder and files:
        found.append(
            Item(
                reader=NAME,
                path=listing.path,
                size=sum(entry.size for entry in files),
                mtime_ns=max(entry.mtime_ns for entry in files),
                run_directory=holder,
                parts=tuple(entry.name for entry in files),
            )
        )
    return found


def _holder(folder: str) -> str | None:
    """Return the run directory that a folder of params, tags or metrics belongs to."""
    for kind in ("params", "tags", "metrics"):
        found = folder_above(folder, (kind,))
        if found and RUN.fullmatch(split(found[0])[1]):
            return found[0]
    return None


def read(root: Path, item: Item) -> Facts:
    """Read one item of a store.

    Raises:
        OSError: it cannot be read.

    """
    name = split(item.path)[1]
    if item.run_directory is None and name == _META:
        return _read_model(root, item.path)
    if item.run_directory is None:
        return _read_database(root, item.path)
    place = _place(item.run_directory)
    if name == _META:
        return _read_meta(root, item.path, place)
    kind, below = next(
        (kind, found[1])
        for kind in ("params", "tags", "metrics")
        if (found := folder_above(item.path, (kind,))) and found[0] == item.run_directory
    )
    if kind == "metrics":
        return _read_metrics(root, item, place, below)
    values = {
        metric_name(below, part): clean(
            read_at_most(root / item.path / part, _MAX_VALUE).decode("utf-8", "replace")
        )
        for part in item.parts
    }
    if kind == "tags":
        fields, secrets = _tag_fields(values)
        return Facts(run_directory=place, fields=fields, problems=redaction_problem(secrets))
    return _params(place, values)


def _read_model(root: Path, path: str) -> Facts:
    """Read what a logged model says of its run, where that run's folder is in the store."""
    document = read_yaml(root / path)
    folder = split(path)[0]
    meta = document.mapping or {}
    run, model = meta.get("source_run_id"), split(folder)[1]
    if not (isinstance(run, str) and RUN.fullmatch(run)):
        return Facts(problems=document.problems)
    place = join(split(split(folder)[0])[0], run)
    if not (root / place / _META).is_file():
        return Facts(problems=document.problems)
    fields = tuple(field_of(MODEL_FIELD, model, RANK))
    return Facts(run_directory=_place(place), fields=fields, problems=document.problems)


def _place(path: str) -> RunDirectory:
    return RunDirectory(path, NAME, tracker_run_id=split(path)[1])


def _params(place: RunDirectory, values: Mapping[str, str]) -> Facts:
    # MLflow keeps every parameter as text; whether `0.1` was a number it does not say.
    config, secrets = redact(dict(values))
    return Facts(
        run_directory=place,
        configs=(Config("mlflow-params", config, RANK),) if config else (),
        problems=redaction_problem(secrets),
    )


def _tag_fields(values: Mapping[str, str]) -> tuple[tuple[RunField, ...], tuple[str, ...]]:
    fields: list[RunField] = []
    secrets = []
    for tag, name in _TAGS.items():
        text = values.get(tag, "")
        shown = redact_text(text)
        if shown != text:
            secrets.append(tag)
        fields += field_of(name, shown, RANK)
    # The newest name is the tag's: renaming a run does not change `meta.yaml` of old versions.
    fields += field_of("display_name", values.get("mlflow.runName"), RANK - 1)
    return tuple(fields), tuple(secrets)


def _read_meta(root: Path, path: str, place: RunDirectory) -> Facts:
    document = read_yaml(root / path)
    if document.mapping is None:
        return Facts(run_directory=place, problems=document.problems)
    meta = document.mapping
    fields: list[RunField] = list(
        _run_fields(
            name=meta.get("run_name") or meta.get("name"),
            state=_state(meta.get("status")),
            start=meta.get("start_time"),
            end=meta.get("end_time"),
            user=meta.get("user_id"),
            lifecycle=meta.get("lifecycle_stage"),
            experiment=_experiment(root, split(split(path)[0])[0]),
        )
    )
    return Facts(run_directory=place, fields=tuple(fields))


def _state(status: Plain) -> str | None:
    if isinstance(status, str):
        return status.lower()
    return _STATES.get(status) if isinstance(status, int) else None


def _experiment(root: Path, folder: str) -> Plain:
    """Return the name of the experiment that a run's parent folder is."""
    path = root / join(folder, _META)
    try:
        return (read_yaml(path).mapping or {}).get("name")
    except OSError:
        return None


def _run_fields(
    *,
    name: Plain,
    state: str | None,
    start: Plain,
    end: Plain,
    user: Plain,
    lifecycle: Plain,
    experiment: Plain,
) -> Iterator[RunField]:
    yield from field_of("display_name", name, RANK)
    if state in {"finished", "failed", "killed"}:
        yield from field_of("state", state, RANK)
    yield from field_of("username", user, RANK)
    if lifecycle == "deleted":
        yield from field_of("lifecycle", lifecycle, RANK)
    yield from field_of("project", experiment, RANK)
    for field, milliseconds in (("started_at", start), ("ended_at", end)):
        if is_number(milliseconds):
            yield from moment_field(
                field, moment_of_epoch(milliseconds / 1000, str(milliseconds)), RANK
            )


def _read_metrics(root: Path, item: Item, place: RunDirectory, below: str) -> Facts:
    series: list[Series] = []
    problems: list[Problem] = []
    for part in item.parts:
        points: list[tuple[int | None, float, float | None]] = []
        malformed = 0
        for line in read_at_most(root / item.path / part, _MAX_HISTORY).splitlines():
            words = line.split()
            try:
                step = int(words[2]) if len(words) > 2 else None
                points.append((step, float(words[1]), int(words[0]) / 1000))
            except (ValueError, IndexError, OverflowError):
                malformed += bool(words)
        if malformed:
            problems.append(
                Problem("malformed-row", f"{malformed:,} lines of the metric {part} are no points.")
            )
        series += _series({metric_name(below, clean(part)): points})
    return Facts(
        run_directory=place,
        fields=_last_row(series),
        series=tuple(series),
        problems=tuple(problems),
    )


def _last_row(series: Iterable[Series]) -> tuple[RunField, ...]:
    """Return the time of the point that was logged last."""
    times = [time for one in series for time in one.times if time is not None]
    if not times:
        return ()
    return moment_field("last_timestamp", moment_of_epoch(max(times)), RANK)


def _series(
    columns: Mapping[str, list[tuple[int | None, float, float | None]]],
) -> Iterator[Series]:
    for name, points in columns.items():
        if points:
            steps, values, times = zip(*points, strict=True)
            yield Series(name, steps, values, times)


def _read_database(root: Path, path: str) -> Facts:
    try:
        with opened(root / path) as tables:
            return Facts(parts=tuple(_runs(tables, path)), problems=tables.problems)
    except NotReadable as error:
        return Facts(problems=(error.problem,))


def _runs(tables: Tables, path: str) -> Iterator[Facts]:
    experiments = dict(tables.rows("experiments", ("experiment_id", "name"), "experiment_id"))
    params = _by_run(tables, "params")
    tags = _by_run(tables, "tags")
    models = _models(tables)
    metrics: dict[str, dict[str, list[tuple[int | None, float, float | None]]]] = {}
    for run, name, value, at, step, is_nan in tables.rows(
        "metrics",
        ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
        '"run_uuid", "key", "step", "timestamp"',
    ):
        if is_number(value) and isinstance(name, str) and isinstance(run, str):
            number = float("nan") if is_nan else float(value)
            time = at / 1000 if is_number(at) else None
            place = step if isinstance(step, int) else None
            columns = metrics.setdefault(run, {})
            columns.setdefault(clean(name), []).append((place, number, time))
    for run, name, status, start, end, user, experiment, lifecycle in tables.rows(
        "runs",
        (
            "run_uuid",
            "name",
            "status",
            "start_time",
            "end_time",
            "user_id",
            "experiment_id",
            "lifecycle_stage",
        ),
        '"run_uuid"',
    ):
        if not (isinstance(run, str) and RUN.fullmatch(run)):
            continue
        fields, secrets = _tag_fields(tags[run])
        said = _params(_place(join(path, run)), params[run])
        series = tuple(_series(metrics.pop(run, {})))
        yield Facts(
            run_directory=said.run_directory,
            fields=(
                *(field for model in models[run] for field in field_of(MODEL_FIELD, model, RANK)),
                *fields,
                *_last_row(series),
                *_run_fields(
                    name=_text(name),
                    state=_state(_text(status)),
                    start=start,
                    end=end,
                    user=_text(user),
                    lifecycle=_text(lifecycle),
                    experiment=_text(experiments.get(experiment)),
                ),
            ),
            configs=said.configs,
            series=series,
            problems=(*said.problems, *redaction_problem(secrets)),
        )


def _models(tables: Tables) -> dict[str, list[str]]:
    """Return the logged models of each run."""
    found: dict[str, list[str]] = defaultdict(list)
    for model, run in tables.rows("logged_models", ("model_id", "source_run_id"), '"model_id"'):
        if isinstance(model, str) and isinstance(run, str) and MODEL.fullmatch(model):
            found[run].append(model)
    return found


def _by_run(tables: Tables, table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for run, name, value in tables.rows(table, ("run_uuid", "key", "value"), '"run_uuid", "key"'):
        if isinstance(name, str) and isinstance(value, str):
            found[run][clean(name)] = clean(value)[:_MAX_VALUE]
    return found


def _text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None
