"""Evidence from configurations: hyper-parameters, command lines, the job's own config."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from catalog.link.evidence.observation import CONTRADICTION, ELSEWHERE, FAIR, Observation
from catalog.link.texts import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import Flat, RunFolder, Subject, Value

DIFFERENT = -6.0
"""Against configs that state different values under one key: code may change a value after it
was logged, so one difference is no proof."""
FEW = 2.0
"""For equal configs of one or two values only."""
_MASK = re.compile(r"<[A-Z_]+>")
"""How transformers hides tokens in what it logs: `<HUB_TOKEN>`."""
_HOLDING = frozenset({"dict", "list"})
"""Types of values that hold others."""


class Compared(NamedTuple):
    """Two configs against each other: values under the same keys, and an example."""

    shared: int
    different: int
    example: str


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
        subject.config_id,
        config_id,
        file_id,
        context,
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
        job.config[0][0],
        config_id,
        file_id,
        context,
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
    stated = texts(job.overrides.text)
    words = texts(folder.arguments.text)
    if stated is None or words is None:
        return
    sweep = "-m" in words or "--multirun" in words
    given = [one for one in words if not one.startswith("-") and not one.startswith("hydra.")]
    overrides = [one for one in stated if not one.startswith("hydra.")]
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
    twin = context.places.twins.job(subject, folder)
    if twin is not None and folder.run_id is not None:
        yield Observation(
            "twin-job", ELSEWHERE, f"{twin} was run with the same config: it may be that job's run."
        )


def _among(override: str, given: Sequence[str]) -> bool:
    key, equals, value = override.partition("=")
    for one in given:
        name, _, values = one.partition("=")
        if name == key and (not equals or value in values.split(",")):
            return True
        # A range or a glob is not spelled out: it may well contain the value.
        if name == key and any(sign in values for sign in "()*"):
            return True
    return False


def _compare(
    kind: str, what: str, left: int, right: int, file_id: int, context: Context
) -> Iterator[Observation]:
    compared = context.compared.get((left, right))
    if compared is None:
        compared = _compared(context.configs.flat(left), context.configs.flat(right))
        context.compared[left, right] = compared
    if compared.different:
        yield Observation(
            f"{kind}-differ",
            DIFFERENT,
            f"{compared.different} of {compared.shared} common values of the {what} differ, "
            f"e.g. {compared.example} in the run.",
            file_id,
        )
    elif compared.shared:
        yield Observation(
            f"{kind}-equal",
            FAIR if compared.shared > 2 else FEW,
            f"All {compared.shared} common values of the {what} equal the run's config.",
            file_id,
        )


def _compared(left: Flat, right: Flat) -> Compared:
    shared = [key for key in left if key in right and _comparable(left[key], right[key])]
    different = [key for key in shared if not equal(left[key], right[key])]
    example = ""
    if different:
        key = different[0]
        example = f"{key}: {left[key].text} here, {right[key].text}"
    return Compared(len(shared), len(different), example)


def _comparable(left: Value, right: Value) -> bool:
    """Leave out what two records of one run may well spell differently."""
    return (left.type in _HOLDING) == (right.type in _HOLDING) and not (
        _may_vary(left.text or "") or _may_vary(right.text or "")
    )


@lru_cache(maxsize=4_096)
def _may_vary(text: str) -> bool:
    return (
        "${" in text
        or " at 0x" in text
        or "__opaque__" in text
        or "redacted" in text
        or _MASK.fullmatch(text) is not None
    )


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
