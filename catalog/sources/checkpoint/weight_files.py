"""The weights of a Hugging Face folder: which files they are, and whether they are whole.

transformers, diffusers and PEFT look for one file, then for an index of shards, safetensors before
torch's own (`transformers/modeling_utils.py`, `_get_resolved_checkpoint_files`); shards without an
index are not found by any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.density import is_modest
from catalog.sources.checkpoint.safety import VERDICTS
from catalog.sources.checkpoint.single import read_file
from catalog.sources.checkpoint.tensors import MAX_LISTED, element_count, emptiness
from catalog.sources.checkpoint.weight_names import WeightName, weight_name
from catalog.sources.documents import parse_json
from catalog.sources.facts import Checkpoint, Mention, Problem
from catalog.sources.plain import DocumentError, clean, sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus, DefaultLoad, Plain, Tensor

MAX_JSON: Final = 10 * 1024 * 1024
"""A `trainer_state.json` of 1,000 logged steps has 160 kB."""
MAX_INDEX: Final = 32 * 1024 * 1024
"""An index of 120,000 tensors has 15 MB."""
MAX_SHARDS: Final = 1_000

_SUFFIXES: Final = (".safetensors", ".bin", ".h5", ".msgpack")
_WORST: Final[tuple[CheckpointStatus, ...]] = (
    "unreadable", "truncated", "empty", "foreign", "pointer", "recognised",
)  # fmt: skip


@dataclass
class ModelFolder:
    """A folder while it is being read."""

    root: Path
    path: str
    parts: Collection[str]
    """Names of its files."""
    bytes_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)

    def mapping(self, name: str, limit: int = MAX_JSON) -> dict[str, Plain] | None:
        """Return what a JSON file of the folder says, None where it is absent or damaged."""
        if name not in self.parts:
            return None
        with open_inside(self.root, self.root / self.path / name) as source:
            data = source.read_at(0, limit + 1)
            self.bytes_read += source.bytes_read
        if len(data) > limit or not is_modest(data):
            self.problems.append(Problem("too-large", f"{name} is too large and is not read."))
            return None
        try:
            value = parse_json(data)
        except DocumentError as error:
            self.problems.append(Problem(error.code, f"{name}: {error}"))
            return None
        return value if isinstance(value, dict) else None


class _Choice(NamedTuple):
    """The files that a library would load."""

    names: list[str]
    index_name: str | None = None
    missing: str | None = None
    """What is not there, a sentence without capital and full stop."""


def read_weights(folder: ModelFolder) -> Checkpoint | None:
    """Return what the weight files of a folder say together, None where there are none.

    Problems and the bytes that were read are added to the folder.

    Raises:
        OSError: one of the files cannot be opened.
    """
    choice = _chosen(folder.parts)
    if choice is None:
        return None
    if choice.missing is not None:
        return _lacking(folder, Checkpoint("", "truncated"), choice.missing)
    by_file = None if choice.index_name is None else _by_file(folder, choice.index_name)
    names = choice.names if by_file is None else [n for n in by_file if n in folder.parts]
    shards = [(name, _shard(folder, name)) for name in names[:MAX_SHARDS]]
    checkpoint = _joined(shards) if shards else Checkpoint("", "truncated")
    if by_file is not None:
        return _against_index(folder, checkpoint, shards, by_file)
    if choice.index_name is not None and checkpoint.status in ("readable", "recognised"):
        reason = f"{choice.index_name} cannot be read, and names its weight files"
        return _lacking(folder, checkpoint, reason, "unreadable")
    return _with_emptiness(folder, checkpoint, names)


def _chosen(parts: Collection[str]) -> _Choice | None:
    """Return the files that a library would load, as it looks for them."""
    named = [found for name in sorted(parts) if (found := weight_name(name)) is not None]
    adapters = [one for one in named if one.stem == "adapter_model"]
    if "adapter_config.json" in parts:
        named = adapters or named
    elif len(adapters) < len(named):
        named = [one for one in named if one not in adapters]
    indices = sorted(name for name in parts if ".index." in name)
    for variant in ("", *sorted({one.variant for one in named if one.variant})):
        for suffix in _SUFFIXES:
            single = [
                one
                for one in named
                if (one.suffix, one.variant, one.number) == (suffix, variant, 0)
            ]
            if single:
                return _Choice([single[0].name])
            shards = [one for one in named if (one.suffix, one.variant) == (suffix, variant)]
            # `model.safetensors.index.json`, `model.safetensors.index.fp16.json`
            ending = f"{suffix}.index{variant}.json"
            index = next((name for name in indices if name.endswith(ending)), None)
            if index is not None:
                return _Choice([one.name for one in shards], index)
    return _without_index(named) if named else None


def _without_index(named: list[WeightName]) -> _Choice:
    """Return shards that no index names, with what is missing of them."""
    first = min(named, key=lambda one: (_SUFFIXES.index(one.suffix), one.variant, -one.whole))
    shards = [
        one
        for one in named
        if (one.suffix, one.variant, one.whole) == (first.suffix, first.variant, first.whole)
    ]
    lost = first.whole - len({one.number for one in shards})
    names = [one.name for one in shards]
    if lost > 0:
        return _Choice(names, missing=_missing(lost, first.whole))
    index = f"{first.stem}{first.suffix}.index{first.variant}.json"
    return _Choice(names, missing=f"{index} is missing, by which its weight files are found")


def _missing(lost: int, whole: int) -> str:
    return f"{lost:,} of its {whole:,} weight files {'is' if lost == 1 else 'are'} missing"


def _by_file(folder: ModelFolder, index: str) -> dict[str, list[str]] | None:
    """Return the tensors that an index names, by the file that it names for them."""
    mapping = (folder.mapping(index, MAX_INDEX) or {}).get("weight_map")
    if not isinstance(mapping, dict):
        return None
    found: dict[str, list[str]] = {}
    for tensor, name in mapping.items():
        if isinstance(name, str):
            found.setdefault(name, []).append(tensor)
    return found


def _shard(folder: ModelFolder, name: str) -> Checkpoint:
    with open_inside(folder.root, folder.root / folder.path / name) as source:
        facts = read_file(source, f"{folder.path}/{name}")
        folder.bytes_read += source.bytes_read
    folder.problems += [
        Problem(problem.code, f"{name}: {problem.message}") for problem in facts.problems
    ]
    checkpoint = facts.checkpoint or Checkpoint("unknown", "unreadable", "it cannot be read")
    if name.endswith(".bin") and checkpoint.format == "safetensors":
        # Libraries take what reads a file from its name (`load_state_dict` of transformers).
        reason = "it is a file of the format safetensors under the name of a torch file"
        folder.problems.append(Problem("unreadable-checkpoint", f"{name}: {reason}."))
        return checkpoint.but(status="unreadable", reason=reason)
    return _by_default(folder, name, checkpoint)


def _by_default(folder: ModelFolder, name: str, checkpoint: Checkpoint) -> Checkpoint:
    """Return a weight file as torch judges it by default: no library asks for more.

    transformers (`modeling_utils.load_state_dict`), diffusers (`models/model_loading_utils.py`) and
    PEFT (`utils/save_and_load.py`) call `torch.load` with `weights_only=True`.
    """
    load = checkpoint.default_load
    if load is None or checkpoint.status != "readable" or load.accepted == "yes":
        return checkpoint
    reason = (load.reason or "torch.load does not take it by default").rstrip(".")
    if load.accepted == "unknown":
        return checkpoint.but(status="recognised", reason=reason)
    folder.problems.append(Problem("unreadable-checkpoint", f"{name}: {reason}."))
    return checkpoint.but(status="unreadable", reason=reason)


def _joined(shards: list[tuple[str, Checkpoint]]) -> Checkpoint:
    name, worst = min(
        shards, key=lambda one: _WORST.index(one[1].status) if one[1].status in _WORST else 9
    )
    every = [shard for _, shard in shards]
    reason = worst.reason
    if reason is not None and len(shards) > 1:
        reason = f"{name}: {reason}"
    tensors: tuple[Tensor, ...] = ()
    doubt = every[0].weights_doubt
    if sum(len(shard.tensors) for shard in every) > MAX_LISTED:
        doubt = f"It has more than {MAX_LISTED:,} tensors, which are not listed."
    else:
        tensors = every[0].tensors if len(every) == 1 else _all_tensors(every)
    counted = [shard.parameter_count for shard in every]
    stored = [shard.tensor_bytes for shard in every if shard.tensor_bytes is not None]
    true_sizes = [shard.true_size for shard in every if shard.true_size is not None]
    verdicts = {shard.safety for shard in every}
    safety: Literal["plain", "unknown", "dangerous"] | None = None
    for verdict in VERDICTS:
        if verdict in verdicts:
            safety = verdict
    single = len(every) == 1
    return Checkpoint(
        format="",
        status=worst.status,
        reason=reason,
        tensors=tensors,
        parameter_count=_total(counted),
        tensor_bytes=sum(stored) if len(stored) == len(every) else None,
        true_size=sum(true_sizes) if true_sizes else None,
        true_sha256=every[0].true_sha256 if single else None,
        weights_fingerprint=every[0].weights_fingerprint if single else None,
        weights_doubt=doubt,
        safety=safety,
        globals=tuple(sorted({name for shard in every for name in shard.globals})),
        every_global=tuple(sorted({name for shard in every for name in shard.every_global})),
        default_load=_default_load(every),
    )


def _default_load(shards: list[Checkpoint]) -> DefaultLoad | None:
    """Return what torch says to the shards: one that it refuses speaks for all."""
    every = [shard.default_load for shard in shards if shard.default_load is not None]
    order = ("no", "unknown", "yes")
    return min(every, key=lambda load: order.index(load.accepted), default=None)


def _all_tensors(shards: list[Checkpoint]) -> tuple[Tensor, ...]:
    """Return the tensors of all shards; the place of a tied one counts from the first shard."""
    found: list[Tensor] = []
    for shard in shards:
        start = len(found)
        found += [
            one if one.shares is None else one._replace(shares=start + one.shares)
            for one in shard.tensors
        ]
    return tuple(found)


def _total(counts: list[int | None]) -> int | None:
    """Return the sum of the shards' parameters, None where one's are not known."""
    known = [count for count in counts if count is not None]
    return element_count([(sum(known),)]) if known and len(known) == len(counts) else None


def _against_index(
    folder: ModelFolder,
    checkpoint: Checkpoint,
    shards: list[tuple[str, Checkpoint]],
    by_file: Mapping[str, list[str]],
) -> Checkpoint:
    """Return the checkpoint, marked where its files do not hold what the index names."""
    lost = len([name for name in by_file if name not in folder.parts])
    if lost:
        return _lacking(folder, checkpoint, _missing(lost, len(by_file)))
    if not by_file:
        return _lacking(folder, checkpoint, "its index names no tensor")
    if checkpoint.status == "readable":
        # All files are loaded, so it does not matter which of them holds a tensor.
        held = {tensor.name for _, shard in shards for tensor in shard.tensors}
        unlisted = any(not s.tensors and s.parameter_count is None for _, s in shards)
        for name, _ in shards:
            absent = [tensor for tensor in by_file[name] if clean(tensor) not in held]
            if absent and not unlisted:
                more = f" (nor {len(absent) - 1:,} more)" if len(absent) > 1 else ""
                reason = clean(f"its index is wrong: {absent[0][:200]} is not in {name}{more}")
                return _lacking(folder, checkpoint, reason)
    return _with_emptiness(folder, checkpoint, [name for name, _ in shards])


def _with_emptiness(folder: ModelFolder, checkpoint: Checkpoint, names: list[str]) -> Checkpoint:
    """Return the checkpoint, marked where its files hold placeholders in place of weights."""
    if checkpoint.status != "readable":
        return checkpoint
    reason = emptiness(checkpoint.tensors)
    if not checkpoint.tensors:
        if checkpoint.weights_doubt is not None and checkpoint.parameter_count is None:
            return checkpoint  # it may hold some that are not understood
        reason = f"{names[0]} holds no tensor"
    return checkpoint if reason is None else _lacking(folder, checkpoint, reason)


def _lacking(
    folder: ModelFolder,
    checkpoint: Checkpoint,
    reason: str,
    status: CheckpointStatus = "truncated",
) -> Checkpoint:
    code = "missing-shards" if "weight files" in reason else "missing-weights"
    folder.problems.append(Problem(code, sentence(reason)))
    return checkpoint.but(status=status, reason=reason)
