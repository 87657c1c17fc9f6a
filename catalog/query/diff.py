"""What differs between two things that the catalog knows: only the keys that do.

`Subject` is one side, a few sections of flat values. Whatever can be put into that form can be
compared; here it is done for checkpoints, on disk or in the catalog (`compare_runs` does runs).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from catalog.errors import DatabaseMissing, NotFound, SourceError, UsageError
from catalog.query.compare_runs import are_runs, compare_runs
from catalog.query.find import find_checkpoint
from catalog.query.inspect import inspect
from catalog.query.rows import Rows
from catalog.sources.checkpoint.sums import sum_of_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from catalog.query.connection import Reader

Section: TypeAlias = "dict[str, Any]"
"""Dotted key to a value that is no mapping."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison."""

    name: str
    sections: Mapping[str, Section]
    weights: Callable[[], str | None] | None = None
    """Gives the SHA-256 of its weights, where it is known or can be taken."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that the two sides do not agree on."""

    section: str
    key: str
    change: Literal["changed", "only left", "only right", "not compared"]
    left: Any
    right: Any


def compare(opened: Callable[[], Reader], left: str, right: str, *more: str) -> Rows:
    """Return what differs between two checkpoints or several runs, as `Catalog.diff` has it.

    Args:
        opened: opens the catalog; it is not called for two checkpoints on disk.
        left: a path on disk, or what names a checkpoint or a run in the catalog.
        right: the same.
        more: further runs.
    """
    names = (left, right, *more)
    if more or not any(Path(name).exists() for name in names):
        with _opened(opened, left) as reader:
            if more or are_runs(reader, names):
                return compare_runs(reader, names)
    one, two = _side(opened, left, right), _side(opened, right, left)
    return as_rows([*differences(one, two), *_of_weights(one, two)])


def _side(opened: Callable[[], Reader], name: str, other: str) -> Subject:
    if Path(name).exists():
        return checkpoint_on_disk(Path(name))
    with _opened(opened, name) as reader:
        try:
            return checkpoint_in_catalog(reader, name)
        except NotFound as error:
            for run, checkpoint in ((name, other), (other, name)):
                if not Path(run).exists() and are_runs(reader, (run,)):
                    raise UsageError(
                        f"{run!r} is a run and {checkpoint!r} is none; compare checkpoints "
                        "with checkpoints, and runs with runs."
                    ) from error
            raise


def _opened(opened: Callable[[], Reader], name: str) -> Reader:
    """Open the catalog, which has to know what is not on disk."""
    try:
        return opened()
    except DatabaseMissing as error:
        if Path(name).exists():
            raise
        raise DatabaseMissing(f"{name} is not on disk. {error}") from error


def _of_weights(left: Subject, right: Subject) -> Iterator[Difference]:
    """Yield that weights without a fingerprint differ, or that nobody compared them."""
    if any(_FINGERPRINT in one.sections.get("checkpoint", {}) for one in (left, right)):
        return  # a key like any other
    one, two = (side.weights() if side.weights is not None else None for side in (left, right))
    if one is None or two is None:
        yield Difference("checkpoint", "weights", "not compared", one, two)
    elif one != two:
        yield Difference("checkpoint", "weights", "changed", one, two)


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of nested mappings; lists and empty mappings are values."""
    for key, member in value.items():
        if isinstance(member, dict) and member:
            yield from flatten(member, f"{prefix}{key}.")
        else:
            yield prefix + key, member


def differences(left: Subject, right: Subject) -> list[Difference]:
    """Return what differs, section by section, in the order of the left side."""
    found = []
    for section in dict.fromkeys([*left.sections, *right.sections]):
        one, two = left.sections.get(section, {}), right.sections.get(section, {})
        for key in dict.fromkeys([*one, *two]):
            if key not in two:
                found.append(Difference(section, key, "only left", one[key], None))
            elif key not in one:
                found.append(Difference(section, key, "only right", None, two[key]))
            elif not _equal(one[key], two[key]):
                found.append(Difference(section, key, "changed", one[key], two[key]))
    return found


def as_rows(found: list[Difference]) -> Rows:
    """Return differences as rows of single values; a list becomes JSON."""
    return Rows(
        ("section", "key", "change", "left", "right"),
        [
            (one.section, one.key, one.change, _single(one.left), _single(one.right))
            for one in found
        ],
    )


def checkpoint_on_disk(path: Path) -> Subject:
    """Return a checkpoint as it lies on disk.

    Raises:
        SourceError: it is no checkpoint, or one that cannot be read: nothing would seem to differ.
    """
    found = inspect(path)
    if found.verdict is not None:
        raise SourceError(found.verdict)
    plain = found.to_dict()
    return Subject(
        str(path),
        {
            "checkpoint": {key: plain[key] for key in _FACTS if plain[key] not in (None, ())},
            "hyper-parameters": dict(flatten(plain["hyper_parameters"] or {})),
            "architecture": {one.name: _shape(one.dtype, one.shape) for one in found.tensors},
        },
        partial(sum_of_weights, path),
    )


def checkpoint_in_catalog(reader: Reader, text: str) -> Subject:
    """Return a checkpoint as the catalog has it.

    Args:
        reader: an open catalog.
        text: see `catalog.query.find.find_checkpoint`.

    Raises:
        NotFound: no checkpoint fits.
        Ambiguous: several fit.
    """
    number = find_checkpoint(reader, text)
    (row,) = reader.run(_CHECKPOINT, {"id": number}).dicts()
    tensors = reader.run(_TENSORS, {"id": number}).dicts()
    for key in _LISTS:
        row[key] = row[key] and _restored(json.loads(row[key]))
    document = _restored(json.loads(row["document"])) if row["document"] else {}
    return Subject(
        row["path"],
        {
            "checkpoint": {key: row[key] for key in _FACTS if row[key] is not None},
            "hyper-parameters": dict(flatten(document)),
            "architecture": {
                one["name"]: _shape(one["dtype"], json.loads(one["shape"])) for one in tensors
            },
        },
        lambda: row["sha256"],
    )


_FINGERPRINT: Final = "weights_fingerprint"
_FACTS: Final = (
    "format", "status", "framework", "framework_version", "epoch", "global_step", "monitor",
    "monitor_mode", "best_score", "own_score", "optimizers", "schedulers", "learning_rates",
    "parameter_count", "tensor_bytes", _FINGERPRINT, "safety",
)  # fmt: skip
"""What is compared beside hyper-parameters and tensors: what the training decided, no places."""
_LISTS: Final = ("optimizers", "schedulers", "learning_rates")
_CHECKPOINT: Final = f"""
SELECT f.path, f.sha256, k.document, {", ".join(f"c.{name}" for name in _FACTS)}
FROM checkpoint c
JOIN file f ON f.id = c.id
LEFT JOIN config k ON k.id = c.config_id
WHERE c.id = :id
"""  # noqa: S608 - the names above
_TENSORS: Final = """
SELECT t.name, t.dtype, t.shape
FROM checkpoint c
JOIN architecture_tensor t ON t.architecture_id = c.architecture_id
WHERE c.id = :id
ORDER BY t.position
"""


def _restored(value: Any) -> Any:
    """Return a document as it was before `catalog.schema.canonical` made valid JSON of it."""
    if isinstance(value, list):
        return [_restored(member) for member in value]
    if isinstance(value, dict):
        if value.keys() == {"__float__"}:
            return float(value["__float__"])
        return {key: _restored(member) for key, member in value.items()}
    return value


def _shape(dtype: str, shape: list[int] | tuple[int, ...]) -> str:
    return f"{dtype} {list(shape)}"


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return json.dumps(left) == json.dumps(right)
    return bool(left == right)


def _single(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value
