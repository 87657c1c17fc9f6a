"""NVIDIA NeMo models: a tar archive of a config, the weights, and what else the model needs.

Format: `nemo/core/connectors/save_restore_connector.py`: `model_config.yaml` and
`model_weights.ckpt`, which `torch.save` wrote. Older versions compress the archive.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from catalog.sources.documents import MAX_BYTES
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.formats.format import Format
from catalog.sources.formats.names import looks_like_a_model
from catalog.sources.formats.tar_members import BLOCK, Member, is_tar, members
from catalog.sources.paths import split
from catalog.sources.plain import DocumentError, clean
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.facts import Plain

_CONFIG: Final = "model_config.yaml"
_WEIGHTS: Final = "model_weights.ckpt"
_SPLIT: Final = re.compile(r"(?:mp_rank_\d+|tp_rank_\d+[^/]*)/model_weights\.ckpt$|model_weights/")
"""Files of weights that several processes wrote (`nemo/collections/nlp/parts/nlp_overrides.py`)."""


def _read(source: ByteSource, own_path: str) -> Facts | None:
    """Read a `.nemo` file; describe another tar archive by its name."""
    name = split(own_path)[1].lower()
    head = source.read_at(0, BLOCK)
    if not name.endswith(".nemo"):
        if not is_tar(head) or not looks_like_a_model(name):
            return None
        reason = "a tar archive under the name of a model; its content is not read"
        return Facts(Checkpoint("tar", "recognised", reason, bytes_read=source.bytes_read))
    if head.startswith(b"\x1f\x8b"):
        reason = "a compressed NeMo model; its content is not read"
        return Facts(
            Checkpoint("nemo", "recognised", reason, framework="nemo", bytes_read=source.bytes_read)
        )
    return _nemo(source, own_path) if is_tar(head) else None


def _nemo(source: ByteSource, own_path: str) -> Facts:
    # Imported here: what reads single files asks the formats, of which this is one.
    from catalog.sources.checkpoint.single import read_file
    from catalog.sources.formats.parts import of_torch, without_equals

    found: dict[str, Member] = {}
    split_weights: str | None = None
    for member in members(source):
        if _SPLIT.match(member.name):
            split_weights = split_weights or member.name
        found.setdefault(split(member.name)[1], member)
    config, problems = _config(source, found.get(_CONFIG))
    facts = Facts(Checkpoint("nemo", "recognised", "its weights are not read"))
    weights = found.get(_WEIGHTS)
    if split_weights is not None:
        unread = f"its weights are split over {clean(split_weights[:80])} and others, and not read"
        facts = Facts(Checkpoint("nemo", "recognised", unread))
    elif weights is not None:
        inner = source.window(weights.offset, weights.size)
        facts = read_file(inner, f"{own_path}/{_WEIGHTS}")
    checkpoint = facts.checkpoint or Checkpoint("nemo", "unreadable", "its weights are not read")
    if weights is not None and split_weights is None:
        checkpoint = of_torch(facts)
    reason = _missing(source, found, has_weights=split_weights is not None)
    if reason is not None:
        checkpoint = replace(checkpoint, status="truncated", reason=reason)
        problem = Problem("truncated-checkpoint", f"The archive is not whole: {reason}.")
        problems = (*problems, problem)
    elif config is None and checkpoint.status in ("readable", "recognised"):
        checkpoint = _without_config(checkpoint, problems)
    version = (config or {}).get("nemo_version")
    checkpoint = replace(
        checkpoint,
        format="nemo",
        framework="nemo",
        framework_version=version if isinstance(version, str) else None,
        hyper_parameters=config or checkpoint.hyper_parameters,
        default_load=None,  # `restore_from` unpacks the archive first
        bytes_read=source.bytes_read,
    )
    checkpoint = without_equals(checkpoint)
    return replace(facts, checkpoint=checkpoint, problems=(*facts.problems, *problems))


def _without_config(checkpoint: Checkpoint, problems: tuple[Problem, ...]) -> Checkpoint:
    """Return a model whose config is there and says nothing, or is not read: NeMo needs one."""
    if any(problem.code == "too-large" for problem in problems):
        reason = f"its {_CONFIG} is too large to be read"
        return replace(checkpoint, status="recognised", reason=reason)
    return replace(checkpoint, status="unreadable", reason=f"its {_CONFIG} is no config of a model")


def _config(
    source: ByteSource, member: Member | None
) -> tuple[dict[str, Plain] | None, tuple[Problem, ...]]:
    from catalog.sources.yaml_text import parse_yaml

    if member is None:
        return None, ()
    if member.size > MAX_BYTES:
        message = f"Its {_CONFIG} is larger than {MAX_BYTES:,} bytes and is not read."
        return None, (Problem("too-large", message),)
    try:
        value = parse_yaml(source.read_at(member.offset, member.size))
    except DocumentError as error:
        return None, (Problem(error.code, f"Its {_CONFIG}: {error}"),)
    if not value:
        return None, (Problem("empty-config", f"Its {_CONFIG} is empty, and NeMo needs it."),)
    if not isinstance(value, dict):
        return None, (Problem("not-a-mapping", f"Its {_CONFIG} holds no mapping."),)
    document, redacted = redact(value)
    return document, redaction_problem(redacted)


def _missing(source: ByteSource, found: dict[str, Member], *, has_weights: bool) -> str | None:
    """Return what of the archive is not there, None where it is whole.

    Args:
        source: the archive.
        found: its files by name.
        has_weights: whether they are in files of other names.
    """
    for member in found.values():
        end = member.offset + member.size
        if end > source.size:
            return f"{end - source.size:,} bytes of its {split(member.name)[1][:80]} are missing"
    for name in (_CONFIG, _WEIGHTS):
        if name not in found and not (name == _WEIGHTS and has_weights):
            return f"its {name} is missing"
    return None


FORMAT: Final = Format(
    "nemo",
    suffixes=(".nemo",),
    is_named=lambda name: name.endswith(".tar"),
    signs=(".tar",),
    read_named=_read,
    is_strict=True,
    is_tentative=True,
    carries_config=True,
    precedence=60,
)
