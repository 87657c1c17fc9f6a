"""What the facts of a checkpoint are as rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.schema.canonical import canonical, clean, special
from catalog.schema.remembered import shortened
from catalog.sources.checkpoint.tensors import size_of
from catalog.sources.facts import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.sources import facts
    from catalog.sources.facts import Plain


@dataclass(frozen=True, slots=True)
class Hashed:
    """What a hash found of a checkpoint's bytes."""

    weights_fingerprint: str | None = None
    """What the file stated then."""
    weights_sha256: str | None = None
    damage: str | None = None


def checkpoint_row(
    checkpoint: facts.Checkpoint,
    hashed: Hashed,
    *,
    config_id: int | None,
    statements_id: int | None,
    architecture_id: int | None,
    global_set_id: int | None,
) -> dict[str, Any]:
    """Return the columns of `checkpoint` but for its number.

    Args:
        checkpoint: what was read.
        hashed: what an earlier hash of the same bytes found.
        config_id: the row of its hyper-parameters.
        statements_id: the row of what else it says of itself.
        architecture_id: the row of its tensors.
        global_set_id: the row of the names in its pickles.
    """
    best_k: list[Plain] = [
        [_shortened(path, checkpoint), score] for path, score in checkpoint.best_k
    ]
    load = checkpoint.default_load
    return {
        "format": checkpoint.format,
        "status": checkpoint.status,
        "reason": checkpoint.reason and clean(checkpoint.reason),
        "framework": checkpoint.framework,
        "framework_version": checkpoint.framework_version and clean(checkpoint.framework_version),
        "epoch": _whole(checkpoint.epoch),
        "global_step": _whole(checkpoint.global_step),
        "config_id": config_id,
        "monitor": checkpoint.monitor and clean(checkpoint.monitor),
        "monitor_mode": checkpoint.monitor_mode,
        "best_score": _finite(checkpoint.best_score),
        "own_score": _finite(checkpoint.own_score),
        "best_path": checkpoint.best_path and _shortened(checkpoint.best_path, checkpoint),
        "last_path": checkpoint.last_path and _shortened(checkpoint.last_path, checkpoint),
        "directory": checkpoint.directory and clean(checkpoint.directory),
        "best_k": canonical(best_k) if best_k else None,
        "architecture_id": architecture_id,
        "parameter_count": _whole(checkpoint.parameter_count),
        "tensor_bytes": _whole(checkpoint.tensor_bytes),
        "weights_fingerprint": checkpoint.weights_fingerprint,
        "true_size": _whole(checkpoint.true_size),
        "true_sha256": checkpoint.true_sha256,
        "optimizers": json.dumps(checkpoint.optimizers) if checkpoint.optimizers else None,
        "schedulers": json.dumps(checkpoint.schedulers) if checkpoint.schedulers else None,
        "learning_rates": canonical(list(checkpoint.learning_rates))
        if checkpoint.learning_rates
        else None,
        "safety": checkpoint.safety,
        "globals": json.dumps(checkpoint.globals) if checkpoint.globals else None,
        "weights_doubt": checkpoint.weights_doubt and clean(checkpoint.weights_doubt),
        # What a hash found of its bytes holds for those bytes alone, and what it summed is in
        # the form that this reading gives it.
        "weights_sha256": hashed.weights_sha256
        if hashed.weights_fingerprint == checkpoint.weights_fingerprint
        else None,
        "damage": hashed.damage,
        "loads_by_default": load and load.accepted,
        "loads_torch": load and load.torch,
        "loads_reason": load and load.reason and clean(load.reason),
        "loads_remedy": load and load.remedy and clean(load.remedy),
        "global_set_id": global_set_id,
        "statements_id": statements_id,
    }


def score_rows(checkpoint: facts.Checkpoint) -> Iterator[dict[str, Any]]:
    """Yield the columns of `checkpoint_score` that the file states, each name once."""
    seen: set[tuple[str, str]] = set()
    for score in checkpoint.scores:
        origin, name = clean(score.origin), clean(score.name)
        if (origin, name) not in seen:
            seen.add((origin, name))
            value, odd = special(score.value)
            yield {"origin": origin, "name": name, "value": value, "special": odd}


def tensor_rows(document: str) -> list[dict[str, Any]]:
    """Return the columns of `architecture_tensor` but for the architecture.

    Args:
        document: JSON of [name, dtype, shape, shares] of each tensor.
    """
    rows = []
    for position, (name, dtype, shape, shares) in enumerate(json.loads(document)):
        tensor = Tensor(name, dtype, tuple(shape), shares)
        rows.append(
            {
                "position": position,
                "name": clean(name),
                "dtype": dtype,
                "shape": json.dumps(shape),
                "bytes": size_of(tensor),
                "shares": shares,
            }
        )
    return rows


def named_places(checkpoint: facts.Checkpoint | None) -> frozenset[str | None]:
    """Return the places that a checkpoint's row names anyway."""
    if checkpoint is None:
        return frozenset()
    listed = (path for path, _score in checkpoint.best_k)
    return frozenset((checkpoint.directory, checkpoint.best_path, checkpoint.last_path, *listed))


def _shortened(path: str, checkpoint: facts.Checkpoint) -> str:
    return shortened(clean(path), checkpoint.directory and clean(checkpoint.directory))


def _finite(value: float | None) -> float | None:
    return None if value is None else special(value)[0]


def _whole(value: int | None) -> int | None:
    # A hostile file may state any number; a column holds 64 bits.
    return value if value is not None and -(2**63) <= value < 2**63 else None
