"""Hugging Face folders: Trainer's `checkpoint-N/`, saved models, PEFT adapters.

Of a Trainer's checkpoint `trainer_state.json` says how far the training was, and
`training_args.bin` (a pickled `TrainingArguments`) how it was called
(`transformers/trainer.py`, `trainer_callback.py`, `training_args.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from catalog.sources.checkpoint import model_configs
from catalog.sources.checkpoint.adapters import lost_half
from catalog.sources.checkpoint.archives import read_root
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.contents import hyper_parameters_of, with_safety
from catalog.sources.checkpoint.lightning import path_text
from catalog.sources.checkpoint.plain import attributes
from catalog.sources.checkpoint.weight_files import ModelFolder, read_weights
from catalog.sources.checkpoint.weight_names import weight_name
from catalog.sources.facts import Checkpoint, Facts, Mention, Problem, Score
from catalog.sources.formats.nested_weights import nested_weights
from catalog.sources.plain import is_number, sentence, to_float

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Item, Plain


def read_hugging_face(root: Path, item: Item) -> Facts:
    """Read a folder that `catalog.sources.checkpoint.directory` took for Hugging Face's.

    Raises:
        OSError: one of its files cannot be opened.
    """
    folder = ModelFolder(root, item.path, item.parts)
    checkpoint = _judged(folder, _weights(folder))
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


def _judged(folder: ModelFolder, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint, marked where its config or a half of an adapter is not whole.

    What is sharded in a folder below is joined without a config.
    """
    names = [found for name in folder.parts if (found := weight_name(name)) is not None]
    if checkpoint.status not in ("readable", "recognised") or not names:
        return checkpoint
    is_adapter = model_configs.ADAPTER_CONFIG in folder.parts or all(
        one.stem == "adapter_model" for one in names
    )
    verdict = model_configs.of_adapter(folder) if is_adapter else model_configs.of_model(folder)
    half = lost_half(checkpoint.tensors) if is_adapter else None
    if half is not None and (verdict is None or verdict.status == "recognised"):
        verdict = model_configs.Verdict("truncated", f"its tensor {half[:200]} is missing")
    if verdict is None or verdict.status == checkpoint.status:
        return checkpoint
    if verdict.status != "recognised":
        code = "unreadable-checkpoint" if verdict.status == "unreadable" else "missing-part"
        folder.problems.append(Problem(code, sentence(verdict.reason)))
    return checkpoint.but(status=verdict.status, reason=verdict.reason)


def _weights(folder: ModelFolder) -> Checkpoint:
    """Return what the weight files say together, those in the folders below included."""
    checkpoint = read_weights(folder)
    if checkpoint is not None:
        return checkpoint
    nested = nested_weights(folder.root, folder.path, tuple(folder.parts))
    if nested is not None and nested.checkpoint is not None:
        folder.problems += nested.problems
        folder.mentions += nested.mentions
        folder.bytes_read += nested.checkpoint.bytes_read
        return nested.checkpoint
    reason = "the folder holds no weights"
    if "adapter_config.json" in folder.parts:
        reason += ": neither adapter_model.safetensors nor adapter_model.bin"
    folder.problems.append(Problem("missing-weights", sentence(reason)))
    return Checkpoint("", "truncated", reason=reason)


def _config(folder: ModelFolder, checkpoint: Checkpoint) -> Checkpoint:
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


def _arguments(folder: ModelFolder, checkpoint: Checkpoint) -> Checkpoint:
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


def _state(folder: ModelFolder, checkpoint: Checkpoint) -> Checkpoint:
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
