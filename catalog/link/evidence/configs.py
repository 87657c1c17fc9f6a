"""Evidence from configurations: hyper-parameters, command lines, the job's own config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from catalog.link.evidence.observation import CONTRADICTION, ELSEWHERE, FAIR, Observation
from catalog.link.inputs import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import Flat, RunFolder, Subject, Value

DIFFERENT = -6.0
"""Against configs that state different values under one key: code may change a value after it
was logged, so one difference is no proof."""
FEW = 2.0
"""For equal configs of one or two values only."""
_MASK = re.compile(r"<[A-Z_]+>")
"""How transformers hides tokens in what it logs: `<HUB_TOKEN>`."""


def hyper_parameters(
    subject: Subject, folder: RunFolder, context: Context
) -> Iterator[Observation]:
    """The hyper-parameters inside the checkpoint against the run's config."""
    if subject.config_id is None or not folder.config:
        return
    config_id, file_id = folder.config[0]
    yield from _compare(
        "hyper-parameters",
        "hyper-parameters",
        context.configs.flat(subject.config_id),
        context.configs.flat(config_id),
        file_id,
    )


def job_config(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """The config in `.hydra/` above the checkpoint against the run's config.

    A second job in the same folder overwrites `.hydra/`, which then says nothing of the files
    that the first one wrote.
    """
    job = subject.job
    if job is None or not job.config or not folder.config or context.places.is_shared(job):
        return
    config_id, file_id = folder.config[0]
    yield from _compare(
        "job-config",
        "job's config",
        context.configs.flat(job.config[0][0]),
        context.configs.flat(config_id),
        file_id,
    )


def arguments(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Hydra's overrides of the job against the arguments that W&B recorded.

    In a sweep every job has the arguments of the whole sweep (`-m seed=1,2,3`): then each
    override must be one of the values named, and that says little.
    """
    job = subject.job
    if job is None or job.overrides is None or folder.arguments is None:
        return
    if context.places.is_shared(job):
        return
    overrides = texts(job.overrides.text)
    given = texts(folder.arguments.text)
    if overrides is None or given is None:
        return
    sweep = "-m" in given or "--multirun" in given
    given = [one for one in given if not one.startswith("-") and not one.startswith("hydra.")]
    overrides = [one for one in overrides if not one.startswith("hydra.")]
    if sweep:
        missing = [one for one in overrides if not _among(one, given)]
        if missing:
            yield Observation(
                "arguments-differ",
                CONTRADICTION,
                f"The job was run with {missing[0]}, the run's sweep did not name that.",
                folder.arguments.file_id,
            )
        return
    if sorted(overrides) == sorted(given):
        if overrides:
            yield Observation(
                "arguments-equal",
                FAIR,
                f"Job and run were started with the same {len(overrides)} arguments: "
                f"{' '.join(overrides)[:200]}.",
                folder.arguments.file_id,
            )
        return
    odd = sorted(set(overrides) ^ set(given))[:3]
    yield Observation(
        "arguments-differ",
        CONTRADICTION,
        f"Job and run were started with different arguments: {', '.join(odd)[:200]}.",
        folder.arguments.file_id,
    )


def twin_job(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Another job was run with the very same config: what `.hydra/` says fits both."""
    twin = context.places.twin_job(subject, folder)
    if twin is not None and folder.run_id is not None:
        yield Observation(
            "twin-job", ELSEWHERE, f"{twin} was run with the same config: it may be that job's run."
        )


def _among(override: str, given: list[str]) -> bool:
    key, equals, value = override.partition("=")
    for one in given:
        name, _, values = one.partition("=")
        if name == key and (not equals or value in values.split(",")):
            return True
        # A range or a glob is not spelled out: it may well contain the value.
        if name == key and any(sign in values for sign in "()*"):
            return True
    return False


def _compare(kind: str, what: str, left: Flat, right: Flat, file_id: int) -> Iterator[Observation]:
    shared = [key for key in left if key in right and _comparable(left[key], right[key])]
    different = [key for key in shared if not equal(left[key], right[key])]
    if different:
        key = different[0]
        yield Observation(
            f"{kind}-differ",
            DIFFERENT,
            f"{len(different)} of {len(shared)} common values of the {what} differ, "
            f"e.g. {key}: {left[key].text} here, {right[key].text} in the run.",
            file_id,
        )
    elif shared:
        yield Observation(
            f"{kind}-equal",
            FAIR if len(shared) > 2 else FEW,
            f"All {len(shared)} common values of the {what} equal the run's config.",
            file_id,
        )


def _comparable(left: Value, right: Value) -> bool:
    """Leave out what two records of one run may well spell differently."""
    for value in (left, right):
        text = value.text or ""
        if (
            _MASK.fullmatch(text)
            or "${" in text
            or " at 0x" in text
            or "__opaque__" in text
            or "redacted" in text
        ):
            return False
    return (left.type in {"dict", "list"}) == (right.type in {"dict", "list"})


def equal(left: Value, right: Value) -> bool:
    """Tell whether two values are the same; 1, 1.0 and the text `1` are."""
    if left.number is not None and right.number is not None:
        return left.number == right.number
    if left.text == right.text:
        return True
    numbers = (_number(left), _number(right))
    return numbers[0] is not None and numbers[0] == numbers[1]


def _number(value: Value) -> float | None:
    if value.number is not None:
        return value.number
    try:
        return float(value.text or "")
    except ValueError:
        return None
