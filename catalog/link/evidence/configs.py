"""Evidence from configurations: hyper-parameters, command lines, the job's own config."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from catalog.link.evidence.observation import CONTRADICTION, ELSEWHERE, FAIR, Observation
from catalog.link.subjects import Value
from catalog.sources.hydra_commands import compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog.link.evidence.context import Context
    from catalog.link.subjects import Flat, RunFolder, Subject
    from catalog.sources.hydra_values import Meaning

DIFFERENT = -6.0
"""Against configs that state different values under one key: code may change a value after it
was logged, so one difference is no proof."""
FEW = 2.0
"""For equal configs of one or two values only."""
IN_SWEEP = 3.0
"""For a job's overrides that are values of the sweep that the run's arguments name: its other jobs
have the same arguments."""
OF_SWEEP = 1.5
"""Beside it, for a run whose config holds the very values that the sweep gave the job."""
_MASK = re.compile(r"<[A-Z_]+>")
"""How transformers hides tokens in what it logs: `<HUB_TOKEN>`."""
_HOLDING = frozenset({"dict", "list"})
"""Types of values that hold others."""


class Compared(NamedTuple):
    """Two configs against each other."""

    shared: int
    """Values under the same keys."""
    different: dict[str, str]
    """Those that are not equal, by key: both of them, for a sentence."""


def hyper_parameters(
    subject: Subject, folder: RunFolder, context: Context
) -> Iterator[Observation]:
    """The hyper-parameters inside the checkpoint against the run's config."""
    if subject.config_id is None or not folder.config:
        return
    config_id, file_id = folder.config[0]
    yield from _compare(
        "hyper-parameters", "hyper-parameters", subject.config_id, (config_id, file_id),
        _Sides(subject, folder, context),
    )  # fmt: skip


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
        "job-config", "job's config", job.config[0][0], (config_id, file_id),
        _Sides(subject, folder, context),
    )  # fmt: skip


def arguments(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Hydra's overrides of the job against the arguments that W&B recorded, by what they mean.

    In a sweep every job has the arguments of the whole sweep (`-m seed=1,2,3`): each override
    must be one of the values named, which says less.
    """
    job = subject.job
    if job is None or folder.arguments is None or context.places.is_shared(job):
        return
    verdict, agreeing, odd, swept = compare(folder.arguments.text, job.job_start)
    if verdict == "different":
        yield Observation(
            "arguments-differ",
            CONTRADICTION,
            f"Job and run were started with different arguments: the job with {odd[:200]}.",
            folder.arguments.file_id,
        )
    elif verdict in {"equal", "part"}:
        shown = " ".join(agreeing)[:200]
        yield Observation(
            "arguments-equal",
            FAIR if verdict == "equal" else IN_SWEEP,
            f"Job and run were started with the same {len(agreeing)} arguments: {shown}."
            if verdict == "equal"
            else f"The job is one of the sweep that the run's arguments name: {shown}.",
            folder.arguments.file_id,
        )
    if verdict == "part" and swept and _has_values(swept, job, folder, context):
        shown = ", ".join(f"{key} = {_plain(value)}" for key, value in swept)[:200]
        yield Observation(
            "sweep-values-equal",
            OF_SWEEP,
            f"Of the sweep's values the run's config has, or had, those of the job: {shown}.",
            folder.config[0][1],
        )


def _has_values(
    swept: Sequence[tuple[str, Meaning]], job: RunFolder, folder: RunFolder, context: Context
) -> bool:
    """Tell whether a run's config has the values that a sweep gave a job, or had them.

    A group's option is no value of the config: there all that follows from it must be equal.
    """
    if not folder.config:
        return False
    flat, before = context.configs.flat(folder.config[0][0]), _rewritten(folder)
    others = False
    for key, meaning in swept:
        value = flat.get(key)
        if value is None or value.type in _HOLDING or meaning[0] in _HOLDING:
            others = True
        elif not any(
            held is not None and _is_value(held, meaning) for held in (value, *before.get(key, ()))
        ):
            return False
    if not others:
        return True
    if not job.config:
        return False
    left = job.config[0][0]
    compared = _known(left, folder.config[0][0], context)
    return compared.shared > 2 and not _never_held(compared, context.configs.flat(left), folder)


def twin_job(subject: Subject, folder: RunFolder, context: Context) -> Iterator[Observation]:
    """Another job was run with the very same config: what `.hydra/` says fits both."""
    twin = context.places.twins.job(subject, folder)
    if twin is not None and folder.run_id is not None:
        yield Observation(
            "twin-job", ELSEWHERE, f"{twin} was run with the same config: it may be that job's run."
        )


def _plain(meaning: Meaning) -> str:
    """Return the value of an override for a sentence."""
    return "null" if len(meaning) < 2 else str(meaning[1]) if meaning[0] not in _HOLDING else "..."


def _is_value(value: Value, meaning: Meaning) -> bool:
    """Tell whether a config's value is that of an override."""
    kind = meaning[0]
    if kind == "number":
        return value.number is not None and value.number == meaning[1]
    if kind == "bool":
        return value.type == "bool" and (value.text or "").lower() == str(meaning[1]).lower()
    return kind == "text" and value.type == "str" and value.text == meaning[1]


class _Sides(NamedTuple):
    subject: Subject
    folder: RunFolder
    context: Context


def _compare(
    kind: str, what: str, left: int, run_config: tuple[int, int], sides: _Sides
) -> Iterator[Observation]:
    """Compare a config with a run's; a later job may have written that over, which is no doubt."""
    right, file_id = run_config
    context, folder = sides.context, sides.folder
    compared = _known(left, right, context)
    different = _never_held(compared, context.configs.flat(left), folder)
    if different and context.places.works_on(folder, sides.subject.job):
        return
    if different:
        yield Observation(
            f"{kind}-differ",
            DIFFERENT,
            f"{len(different)} of {compared.shared} common values of the {what} differ, "
            f"e.g. {compared.different[different[0]]} in the run.",
            file_id,
        )
    elif compared.shared:
        later = f" before {len(compared.different)} were written over" * bool(compared.different)
        yield Observation(
            f"{kind}-equal",
            FAIR if compared.shared > 2 else FEW,
            f"All {compared.shared} common values of the {what} equal the run's config{later}.",
            file_id,
        )


def _known(left: int, right: int, context: Context) -> Compared:
    compared = context.compared.get((left, right))
    if compared is None:
        compared = _compared(context.configs.flat(left), context.configs.flat(right))
        context.compared[left, right] = compared
    return compared


def _never_held(compared: Compared, flat: Flat, folder: RunFolder) -> list[str]:
    """Return the keys whose values differ, and did before they were written over."""
    if not compared.different:
        return []
    before = _rewritten(folder)
    return [key for key in compared.different if not _was_held(flat[key], before.get(key))]


def _was_held(value: Value, before: list[Value | None] | None) -> bool:
    """Tell whether a run's config may have had a value under some key before."""
    return before is not None and any(one is None or equal(value, one) for one in before)


def _rewritten(folder: RunFolder) -> dict[str, list[Value | None]]:
    """Return, by key, what a run's config held before it was written over; None for long values."""
    found: dict[str, list[Value | None]] = {}
    for said in folder.mentions.get("config-rewritten", ()):
        key, *held = json.loads(said.text)
        found.setdefault(key, []).append(_value_of(held[0]) if held else None)
    return found


def _value_of(held: object) -> Value:
    if isinstance(held, bool):
        return Value("bool", str(held).lower(), float(held))
    if isinstance(held, int | float):
        return Value("float", str(held), float(held))
    return Value("null", None, None) if held is None else Value("str", str(held), None)


def _compared(left: Flat, right: Flat) -> Compared:
    shared = [key for key in left if key in right and _comparable(left[key], right[key])]
    return Compared(
        len(shared),
        {
            key: f"{key}: {left[key].text} here, {right[key].text}"
            for key in shared
            if not equal(left[key], right[key])
        },
    )


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
