"""What differs between two things that the catalog knows: only the keys that do.

`Subject` is one side, a few sections of flat values. Whatever can be put into that form can be
compared; here it is done for checkpoints, on disk or in the catalog (`compare_runs` does runs).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from catalog.errors import DatabaseMissing, NotFound, SourceError, UsageError
from catalog.ingest.wholes import verified_sum
from catalog.query.compare_runs import are_runs, compare_runs
from catalog.query.find import find_checkpoint
from catalog.query.inspect import inspect
from catalog.query.rows import Rows, file_state
from catalog.query.values import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from catalog.query.connection import Reader

Section: TypeAlias = "dict[str, Any]"
"""Dotted key to a value that is no mapping."""


class Weights(NamedTuple):
    """What is known of a checkpoint's weights, and where they can be read."""

    place: Path | None
    """Where the checkpoint is, None where it is not there as it was ingested."""
    stated: str | None
    """Fingerprint, as the file states it."""
    doubt: str | None
    """Why there is none."""
    verified: str | None = None
    """SHA-256 of their bytes, where the catalog has it."""
    damage: str | None = None
    """What is damaged in them, as far as it is known."""
    is_of_weights: bool = False
    """Whether `verified` is of the weights alone, and not of all that is in the file."""
    is_of_catalog: bool = False
    """Whether the catalog was asked for it, and not the disk: it is read only to verify."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison."""

    name: str
    sections: Mapping[str, Section]
    weights: Weights | None = None
    file_state: str = "present"
    """Present, gone or left out; of what the catalog alone knows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that the two sides do not agree on."""

    section: str
    key: str
    change: Literal["changed", "only left", "only right", "not compared"]
    left: Any
    right: Any


def compare(
    opened: Callable[[], Reader], left: str, right: str, *more: str, verify: bool = False
) -> Rows:
    """Return what differs between two checkpoints or several runs, as `Catalog.diff` has it.

    Args:
        opened: opens the catalog; it is not called for two checkpoints on disk.
        left: a path on disk, or what names a checkpoint or a run in the catalog.
        right: the same.
        more: further runs.
        verify: read the bytes of the weights, whatever the files state of them.
    """
    names = (left, right, *more)
    if more or not any(Path(name).exists() for name in names):
        with _opened(opened, left) as reader:
            if more or are_runs(reader, names):
                if verify:
                    raise UsageError("--verify reads the weights of checkpoints; these are runs.")
                return compare_runs(reader, names)
    one, two = _side(opened, left, right), _side(opened, right, left)
    found, note = differences(one, two), None
    if one.weights is not None and two.weights is not None:
        of_weights, note = _of_weights(one.weights, two.weights, verify=verify)
        found += of_weights
    notes = [
        f"{visible(side.name)} is {side.file_state}: it is told as it was read last."
        for side in (one, two)
        if side.file_state != "present"
    ]
    notes += [note] if note else []
    return as_rows(found)._replace(note=" ".join(notes) or None)


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


def _of_weights(
    left: Weights, right: Weights, *, verify: bool
) -> tuple[list[Difference], str | None]:
    """Return what differs in the weights, and on what it rests that they do not."""
    found = []
    if left.stated and right.stated and left.stated != right.stated:
        found = [Difference("checkpoint", _FINGERPRINT, "changed", left.stated, right.stated)]
    if verify:
        left, right = _read(left), _read(right)
    damage = left.damage, right.damage
    if any(damage):
        values = [one.damage or one.verified or one.stated for one in (left, right)]
        return [*found, Difference("checkpoint", "weights", "not compared", *values)], None
    if found:
        return found, None
    if not verify:
        if _are_one_file(left, right):
            return [], None
        if left.stated and right.stated and not (left.verified and right.verified):
            return [], "The weights are equal as both files state them; --verify reads their bytes."
        left, right = (one if one.is_of_catalog else _read(one) for one in (left, right))
    return _of_sums(left, right), None


def _of_sums(left: Weights, right: Weights) -> list[Difference]:
    if left.verified and left.verified == right.verified:
        return []
    if left.verified and right.verified:
        if left.is_of_weights and right.is_of_weights:
            values = left.verified, right.verified
            return [Difference("checkpoint", "weights", "changed", *values)]
        if not (left.doubt or right.doubt or left.stated or right.stated):
            values = left.verified, right.verified
            return [Difference("checkpoint", "content", "changed", *values)]
    # Other content with equal weights, or other weights: that is not understood.
    known = [one.doubt or one.stated or one.verified for one in (left, right)]
    return [Difference("checkpoint", "weights", "not compared", *known)]


def _read(side: Weights) -> Weights:
    """Return the same with what the bytes tell, where they are at hand."""
    if side.place is None:
        return side
    sums = verified_sum(side.place)
    return side._replace(
        verified=sums.weights_sha256,
        damage=sums.damage,
        is_of_weights=sums.basis == "weights",
    )


def _are_one_file(left: Weights, right: Weights) -> bool:
    return left.place is not None and right.place is not None and left.place.samefile(right.place)


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
        Weights(path, found.checkpoint.weights_fingerprint, found.checkpoint.weights_doubt),
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
        Weights(
            _place(row),
            row[_FINGERPRINT],
            row["weights_doubt"],
            row["weights_sha256"],
            row["damage"],
            is_of_weights=row[_FINGERPRINT] is not None or row["format"] == "safetensors",
            is_of_catalog=True,
        ),
        row["file_state"],
    )


_FINGERPRINT: Final = "weights_fingerprint"
_FACTS: Final = (
    "format", "status", "framework", "framework_version", "epoch", "global_step", "monitor",
    "monitor_mode", "best_score", "own_score", "optimizers", "schedulers", "learning_rates",
    "parameter_count", "tensor_bytes", "safety",
)  # fmt: skip
"""What is compared beside hyper-parameters and tensors: what the training decided, no places."""
_LISTS: Final = ("optimizers", "schedulers", "learning_rates")
_CHECKPOINT: Final = f"""
SELECT f.path, {file_state("f")} AS file_state,
       f.size, f.mtime_ns, f.inode, r.path AS root, k.document, c.weights_fingerprint,
       c.weights_sha256, c.weights_doubt, c.damage, {", ".join(f"c.{name}" for name in _FACTS)}
FROM checkpoint c
JOIN file f ON f.id = c.id
JOIN root r ON r.id = f.root_id
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


def _place(row: dict[str, Any]) -> Path | None:
    """Return where a checkpoint of the catalog is, None where it is not there as it was read."""
    place = Path(row["root"], row["path"])
    try:
        status = place.stat()
    except OSError:
        return None
    is_file = row["inode"] != 0
    same = (status.st_size, status.st_mtime_ns) == (row["size"], row["mtime_ns"])
    return place if same or not is_file else None


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
