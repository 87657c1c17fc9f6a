"""Hugging Face folders: Trainer's `checkpoint-N/`, saved models, PEFT adapters.

Of a Trainer's checkpoint `trainer_state.json` says how far the training was, and
`training_args.bin` (a pickled `TrainingArguments`) how it was called
(`transformers/trainer.py`, `trainer_callback.py`, `training_args.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from catalog.sources.checkpoint.archives import read_root
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.contents import hyper_parameters_of, with_safety
from catalog.sources.checkpoint.density import is_modest
from catalog.sources.checkpoint.lightning import path_text
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.safety import VERDICTS
from catalog.sources.checkpoint.single import read_file, sentence
from catalog.sources.checkpoint.tensors import element_count
from catalog.sources.checkpoint.weight_names import WEIGHTS
from catalog.sources.documents import parse_json
from catalog.sources.facts import Checkpoint, Facts, Mention, Problem, Score
from catalog.sources.formats.nested_weights import nested_weights
from catalog.sources.plain import DocumentError, is_number, to_float

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import CheckpointStatus, Item, Plain

MAX_JSON: Final = 10 * 1024 * 1024
"""A `trainer_state.json` of 1,000 logged steps has 160 kB; an index of 91,000 tensors 9 MB."""
MAX_SHARDS: Final = 1_000

_WORST: Final[tuple[CheckpointStatus, ...]] = (
    "unreadable", "truncated", "empty", "foreign", "pointer", "recognised",
)  # fmt: skip


@dataclass
class _Folder:
    """The folder while it is being read."""

    root: Path
    path: str
    parts: tuple[str, ...]
    bytes_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)

    def mapping(self, name: str) -> dict[str, Plain] | None:
        """Return what a JSON file of the folder says, None where it is absent or damaged."""
        if name not in self.parts:
            return None
        with open_inside(self.root, self.root / self.path / name) as source:
            data = source.read_at(0, MAX_JSON + 1)
            self.bytes_read += source.bytes_read
        if len(data) > MAX_JSON or not is_modest(data):
            self.problems.append(Problem("too-large", f"{name} is too large and is not read."))
            return None
        try:
            value = parse_json(data)
        except DocumentError as error:
            self.problems.append(Problem(error.code, f"{name}: {error}"))
            return None
        return value if isinstance(value, dict) else None


def read_hugging_face(root: Path, item: Item) -> Facts:
    """Read a folder that `catalog.sources.checkpoint.directory` took for Hugging Face's.

    Raises:
        OSError: one of its files cannot be opened.
    """
    folder = _Folder(root, item.path, item.parts)
    checkpoint = _weights(folder)
    checkpoint = replace(checkpoint, format=_format(item.parts), framework="transformers")
    checkpoint = _config(folder, checkpoint)
    checkpoint = _arguments(folder, checkpoint)
    checkpoint = _state(folder, checkpoint)
    return Facts(
        checkpoint=replace(checkpoint, bytes_read=folder.bytes_read),
        mentions=tuple(dict.fromkeys(folder.mentions)),
        problems=tuple(folder.problems),
    )


def _format(parts: tuple[str, ...]) -> str:
    if "trainer_state.json" in parts:
        return "hf-trainer"
    return "hf-adapter" if "adapter_config.json" in parts else "hf-model"


def _weights(folder: _Folder) -> Checkpoint:
    """Return what the weight files say together; of several kinds the best one is read."""
    names = [name for name in folder.parts if WEIGHTS.fullmatch(name)]
    for suffix in (".safetensors", ".bin", ".h5", ".msgpack"):
        chosen = [name for name in names if name.endswith(suffix)][:MAX_SHARDS]
        if chosen:
            break
    else:
        nested = nested_weights(folder.root, folder.path, folder.parts)
        if nested is not None and nested.checkpoint is not None:
            folder.problems += nested.problems
            folder.mentions += nested.mentions
            folder.bytes_read += nested.checkpoint.bytes_read
            return nested.checkpoint
        reason = "the folder holds no weights"
        folder.problems.append(Problem("missing-weights", sentence(reason)))
        return Checkpoint("", "truncated", reason=reason)
    shards = []
    for name in chosen:
        with open_inside(folder.root, folder.root / folder.path / name) as source:
            facts = read_file(source, f"{folder.path}/{name}")
            folder.bytes_read += source.bytes_read
        folder.problems += [
            Problem(problem.code, f"{name}: {problem.message}") for problem in facts.problems
        ]
        if facts.checkpoint is not None:
            shards.append(facts.checkpoint)
    return _with_missing(folder, chosen, _joined(shards))


def _joined(shards: list[Checkpoint]) -> Checkpoint:
    worst = min(
        shards, key=lambda shard: _WORST.index(shard.status) if shard.status in _WORST else 9
    )
    verdicts = {shard.safety for shard in shards}
    tensors = tuple(tensor for shard in shards for tensor in shard.tensors)
    stored = [shard.tensor_bytes for shard in shards if shard.tensor_bytes is not None]
    true_sizes = [shard.true_size for shard in shards if shard.true_size is not None]
    safety: Literal["plain", "unknown", "dangerous"] | None = None
    for verdict in VERDICTS:
        if verdict in verdicts:
            safety = verdict
    return Checkpoint(
        format="",
        status=worst.status,
        reason=worst.reason,
        tensors=tensors,
        parameter_count=element_count(t.shape for t in tensors) if tensors else None,
        tensor_bytes=sum(stored) if len(stored) == len(shards) else None,
        true_size=sum(true_sizes) if true_sizes else None,
        true_sha256=shards[0].true_sha256 if len(shards) == 1 else None,
        weights_fingerprint=shards[0].weights_fingerprint if len(shards) == 1 else None,
        safety=safety,
        globals=tuple(sorted({name for shard in shards for name in shard.globals})),
    )


def _with_missing(folder: _Folder, chosen: list[str], checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint, marked where its index names shards that are not there."""
    suffix = chosen[0].rpartition(".")[2]
    index = next((name for name in folder.parts if name.endswith(f".{suffix}.index.json")), None)
    mapping = (folder.mapping(index) or {}).get("weight_map") if index else None
    if not isinstance(mapping, dict):
        return checkpoint
    named = {name for name in mapping.values() if isinstance(name, str)}
    missing = len(named.difference(folder.parts))
    if not missing:
        return checkpoint
    reason = f"{missing:,} of its {len(named):,} weight files are missing"
    folder.problems.append(Problem("missing-shards", sentence(reason)))
    return replace(checkpoint, status="truncated", reason=reason)


def _config(folder: _Folder, checkpoint: Checkpoint) -> Checkpoint:
    """Take the version and the base model; the config itself is the sidecar reader's."""
    version = None
    for name in ("config.json", "adapter_config.json"):
        document = folder.mapping(name) or {}
        stated = document.get("transformers_version")
        version = stated if isinstance(stated, str) else version
        base = document.get("base_model_name_or_path")
        if isinstance(base, str) and base:
            folder.mentions.append(Mention("base-model", base))
    return replace(checkpoint, framework_version=version)


def _arguments(folder: _Folder, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with what its `training_args.bin` says."""
    if "training_args.bin" not in folder.parts:
        return checkpoint
    path = folder.root / folder.path / "training_args.bin"
    with open_inside(folder.root, path) as source:
        found = read_root(source)
        folder.bytes_read += source.bytes_read
    if found is None:
        message = "training_args.bin cannot be read, so the arguments of the training are unknown."
        folder.problems.append(Problem("unreadable-arguments", message))
        return checkpoint
    skeleton, number = found
    arguments = attributes(skeleton.root)
    for key, role in _ROLES:
        text = path_text(arguments.get(key))
        if text:
            folder.mentions.append(Mention(role, text))
    hyper_parameters, problems = hyper_parameters_of(arguments or None, number)
    folder.problems += problems
    stated = hyper_parameters or {}
    metric, optimizer = stated.get("metric_for_best_model"), stated.get("optim")
    scheduler = stated.get("lr_scheduler_type")
    greater = stated.get("greater_is_better")
    mode: Literal["min", "max"] = "max" if greater is True else "min"
    judged = with_safety(checkpoint, skeleton.found)
    if checkpoint.safety is None and judged.safety == "plain":
        judged = checkpoint  # the weights were not seen
    return replace(
        judged,
        hyper_parameters=hyper_parameters,
        # Trainer itself puts `eval_` before a metric that has no such prefix.
        monitor=_evaluated(metric) if isinstance(metric, str) else None,
        monitor_mode=mode if isinstance(greater, bool) else None,
        directory=path_text(arguments.get("output_dir")),
        optimizers=(optimizer,) if isinstance(optimizer, str) else (),
        schedulers=(scheduler,) if isinstance(scheduler, str) else (),
    )


_ROLES: Final = (
    ("output_dir", "output-dir"),
    ("logging_dir", "logging-dir"),
    ("run_name", "run-name"),
)


def _evaluated(metric: str) -> str:
    return metric if metric.startswith("eval_") else f"eval_{metric}"


def _state(folder: _Folder, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with what `trainer_state.json` says.

    Trainer counts epochs in fractions: only a whole one is an epoch here, and a fraction stands
    among the scores.
    """
    state = folder.mapping("trainer_state.json")
    if state is None:
        return checkpoint
    step = _whole(state.get("global_step"))
    best_path = state.get("best_model_checkpoint")
    best = state.get("best_metric")
    scores = _scores(state.get("log_history"), step)
    if isinstance(best_path, str) and best_path:
        folder.mentions.append(Mention("checkpoint-path", best_path))
    own = [score.value for score in scores if score.name == checkpoint.monitor]
    rates = [score.value for score in scores if score.name == "learning_rate"]
    return replace(
        checkpoint,
        epoch=_whole(state.get("epoch")),
        global_step=step,
        best_score=to_float(best) if is_number(best) else None,
        best_path=best_path if isinstance(best_path, str) else None,
        own_score=own[-1] if own else None,
        scores=scores,
        learning_rates=tuple(rates[-1:]),
    )


def _whole(value: Any) -> int | None:
    if not is_number(value) or not 0 <= value < 1 << 63 or value != int(value):
        return None
    return int(value)


def _scores(history: Plain, step: int | None) -> tuple[Score, ...]:
    """Return the numbers that were logged at the step of this checkpoint."""
    scores: dict[str, float] = {}
    for row in history[-100:] if isinstance(history, list) else []:
        if isinstance(row, dict) and step is not None and row.get("step") == step:
            for key, value in row.items():
                if key != "step" and is_number(value):
                    scores[key] = to_float(value)
    return tuple(Score(name, value, "trainer_state.log_history") for name, value in scores.items())
