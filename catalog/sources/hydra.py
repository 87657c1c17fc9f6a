"""Hydra's job directories: `.hydra/{config,overrides,hydra}.yaml`, the job log, `multirun.yaml`.

`<output dir>/.hydra/config.yaml` is the composed config with interpolations as written;
`overrides.yaml` the list of task overrides; `hydra.yaml` Hydra's own config, with
`runtime.output_dir` (1.2 and later) as it was on the machine that ran. With
`hydra.run.dir: .` the directory lies in the project itself and describes the last job only.
A sweep's root holds `multirun.yaml`; it is of no single job, so its directory has the tracker
`hydra-sweep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.sources.documents import MAX_BYTES, read_yaml
from catalog.sources.facts import (
    Config,
    Facts,
    Item,
    Listing,
    Mention,
    Plain,
    Problem,
    RunDirectory,
    RunField,
)
from catalog.sources.interpolation import has_references, resolve, unresolved_keys
from catalog.sources.log_lines import scan_log
from catalog.sources.paths import below, is_file, item_of, read_at_most, split
from catalog.sources.plain import DocumentError
from catalog.sources.run_fields import field_of
from catalog.sources.secrets import redact, redact_arguments, redaction_problem
from catalog.sources.stamps import stamp_of_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "hydra"
VERSION = 3
RANK = 10
"""Of all fields: no two files of a job state the same one, but for `overrides`."""

_FOLDER = ".hydra"
_CONFIG, _OVERRIDES, _HYDRA, _MULTIRUN = (
    "config.yaml",
    "overrides.yaml",
    "hydra.yaml",
    "multirun.yaml",
)
_MISSING = "???"


def recognise(listing: Listing) -> list[Item]:
    """Return the files of `.hydra/`, or the job logs beside it and `multirun.yaml`."""
    folder, name = split(listing.path)
    if name == _FOLDER:
        wanted = {_CONFIG, _OVERRIDES, _HYDRA}
        return [
            item_of(NAME, listing, entry, run_directory=folder)
            for entry in listing.entries
            if entry.name in wanted and is_file(entry)
        ]
    is_job = any(e.name == _FOLDER and e.kind == "directory" for e in listing.entries)
    return [
        item_of(NAME, listing, entry, run_directory=listing.path)
        for entry in listing.entries
        if is_file(entry) and (entry.name == _MULTIRUN or (is_job and entry.name.endswith(".log")))
    ]


def read(root: Path, item: Item) -> Facts:
    """Read one file of a Hydra job.

    Raises:
        OSError: the file cannot be read.

    """
    folder, name = split(item.path)
    path = below(root, item.path)
    place = run_directory(root, item.run_directory or folder)
    if name.endswith(".log"):
        return Facts(run_directory=place, mentions=scan_log(path).mentions())
    if name == _OVERRIDES:
        return _overrides(path, place)
    document = read_yaml(path)
    if name == _MULTIRUN:
        place = RunDirectory(place.path, "hydra-sweep", stamp=place.stamp)
    if document.mapping is None:
        return Facts(run_directory=place, problems=document.problems)
    if name != _CONFIG:
        fields, mentions, problems = _own(document.mapping)
        return Facts(run_directory=place, fields=fields, mentions=mentions, problems=problems)
    composed = document.mapping
    config, secrets = redact(resolve(composed) if has_references(composed) else composed)
    return Facts(
        run_directory=place,
        configs=(Config("hydra-config", config, RANK, unresolved_keys(config)),),
        problems=redaction_problem(secrets),
    )


def run_directory(root: Path, path: str) -> RunDirectory:
    """Return a job's output directory, with the stamp in its own or its parents' names.

    Args:
        root: the ingested root.
        path: the output directory, relative to it; for the root itself its own name counts.

    """
    stamp = stamp_of_path("/".join(root.absolute().parts[-2:]) if path == "." else path)
    return RunDirectory(
        path=path,
        tracker=NAME,
        stamp=stamp.text if stamp else None,
        stamp_in_utc=stamp.in_utc if stamp else False,
    )


def _overrides(path: str, place: RunDirectory) -> Facts:
    from catalog.sources.yaml_text import parse_yaml

    try:
        value = parse_yaml(read_at_most(path, MAX_BYTES))
    except DocumentError as error:
        return Facts(run_directory=place, problems=(Problem(error.code, str(error)),))
    if value is None:
        value = []
    if not isinstance(value, list):
        problem = Problem("not-a-list", "The overrides are no list.")
        return Facts(run_directory=place, problems=(problem,))
    overrides = [part if isinstance(part, str) else str(part) for part in value]
    shown = redact_arguments(overrides)
    document: dict[str, Plain] = {"overrides": list[Plain](shown)}
    return Facts(
        run_directory=place,
        fields=field_of("overrides", document["overrides"], RANK),
        configs=(Config("hydra-overrides", document, RANK),),
        problems=redaction_problem(("overrides",) if shown != overrides else ()),
    )


def _own(
    document: dict[str, Plain],
) -> tuple[tuple[RunField, ...], tuple[Mention, ...], tuple[Problem, ...]]:
    """Return the fields, mentions and problems of Hydra's own config."""
    hydra = _mapping(document, "hydra")
    runtime, job = _mapping(hydra, "runtime"), _mapping(hydra, "job")
    sweeper = _mapping(hydra, "sweeper")
    task = _mapping(hydra, "overrides").get("task")
    overrides = [part for part in task if isinstance(part, str)] if isinstance(task, list) else []
    shown = redact_arguments(overrides)
    fields: list[RunField] = []
    for name, value in (
        ("hydra_version", runtime.get("version")),
        ("output_dir", runtime.get("output_dir")),
        ("cwd", runtime.get("cwd")),
        ("mode", hydra.get("mode")),
        ("job_name", job.get("name")),
        ("job_num", job.get("num")),
        ("chdir", job.get("chdir")),
        ("config_name", job.get("config_name")),
        ("sweeper", sweeper.get("_target_")),
        ("sweeper_params", redact(_mapping(sweeper, "params"))[0] or None),
    ):
        fields += _stated(name, value)
    fields += field_of("overrides", list[Plain](shown), RANK + 1)
    mentions = tuple(Mention("output-dir", f.value) for f in fields if f.name == "output_dir")
    problems = redaction_problem(("hydra.overrides.task",) if shown != overrides else ())
    return tuple(fields), mentions, problems


def _stated(name: str, value: Plain) -> Iterator[RunField]:
    """Yield a field unless its value is missing (`???`) or still an interpolation."""
    if not (isinstance(value, str) and (value == _MISSING or "${" in value)):
        yield from field_of(name, value, RANK)


def _mapping(document: dict[str, Plain], key: str) -> dict[str, Plain]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}
