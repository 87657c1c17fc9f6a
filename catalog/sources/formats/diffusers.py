"""Pipelines of diffusers: a folder whose `model_index.json` names components in folders below.

`DiffusionPipeline.from_pretrained` (`diffusers/pipelines/pipeline_utils.py`) loads each component,
a [library, class] pair that is not null, from the folder of its name, and fails where one is not
there. Schedulers, tokenizers and processors have no weights.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import model_configs
from catalog.sources.checkpoint.byte_source import open_inside
from catalog.sources.checkpoint.safety import VERDICTS
from catalog.sources.checkpoint.single import read_file
from catalog.sources.checkpoint.tensors import MAX_LISTED
from catalog.sources.checkpoint.weight_files import ModelFolder, read_weights
from catalog.sources.checkpoint.weight_names import WEIGHTS
from catalog.sources.facts import Checkpoint, Facts, Mention, Problem
from catalog.sources.formats.folder import FolderFormat, Whole, files_below, files_of, folders_of
from catalog.sources.plain import clean, sentence

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.sources.facts import Entry, Item, Listing, Plain

INDEX: Final = "model_index.json"
_MAX_COMPONENTS: Final = 64
_MARKS: Final = re.compile(
    r"(?:config|scheduler_config|tokenizer_config|preprocessor_config|tokenizer|vocab)\.json"
    r"|spiece\.model|model\.onnx"
)
"""A file of these names, or weights, makes a folder below a component."""
_WITHOUT_WEIGHTS: Final = re.compile(
    r".*(?:Scheduler|Tokenizer(?:Fast)?|FeatureExtractor|Processor(?:Fast)?|Guider|Guidance)"
)
"""Classes of components that are settings alone."""
_ONNX: Final = "OnnxRuntimeModel"
_SCHEDULER: Final = "scheduler_config.json"
_FORMAT: Final = "hf-pipeline"


def _find(listing: Listing) -> list[Whole]:
    files = files_of(listing)
    if INDEX not in files:
        return []
    parts: dict[str, Entry] = {INDEX: files[INDEX]}
    for name in folders_of(listing):
        below = files_below(listing, name)
        names = [path.rpartition("/")[2] for path in below]
        # A checkpoint that diffusers' training scripts left in the folder is one of its own.
        if "trainer_state.json" not in names and any(
            _MARKS.fullmatch(one) or WEIGHTS.fullmatch(one) for one in names
        ):
            parts |= below
    return [Whole(parts)]


def _read(root: Path, item: Item) -> Facts:
    """Read a pipeline; it never raises for what its files hold.

    Raises:
        OSError: one of its files cannot be opened.
    """
    pipeline = ModelFolder(root, item.path, item.parts)
    index = pipeline.mapping(INDEX)
    if index is None:
        reason = f"its {INDEX} cannot be read, and names its components"
        checkpoint = Checkpoint(_FORMAT, "unreadable", reason, "diffusers")
        problems = pipeline.problems or [Problem("unreadable-checkpoint", sentence(reason))]
        return Facts(checkpoint, problems=tuple(problems))
    components = {
        name: pair
        for name, pair in index.items()
        if not name.startswith("_") and isinstance(pair, list) and len(pair) == 2 and all(pair)
    }
    read = [
        (name, found)
        for name, pair in list(components.items())[:_MAX_COMPONENTS]
        if (found := _component(pipeline, name, str(pair[1]))) is not None
    ]
    checkpoint = _joined(read)
    if not components:
        reason = f"its {INDEX} names no component"
        pipeline.problems.append(Problem("missing-component", sentence(reason)))
        checkpoint = checkpoint.but(status="truncated", reason=reason)
    version, base = index.get("_diffusers_version"), index.get("_name_or_path")
    statements: dict[str, Plain] = {"model_index": index}
    checkpoint = checkpoint.but(
        framework_version=clean(version[:100]) if isinstance(version, str) else None,
        statements=statements,
        bytes_read=pipeline.bytes_read,
    )
    mentions = (Mention("base-model", base),) if isinstance(base, str) and base else ()
    return Facts(checkpoint, mentions=mentions, problems=tuple(pipeline.problems))


def _component(pipeline: ModelFolder, name: str, class_name: str) -> Checkpoint | None:
    """Return what a component's folder holds, None for one that is whole without weights."""
    start = f"{name}/"
    parts = [part.removeprefix(start) for part in pipeline.parts if part.startswith(start)]
    if not parts:
        return _missing(pipeline, f"its {name} is missing")
    folder = ModelFolder(pipeline.root, f"{pipeline.path}/{name}", parts)
    found = None
    if class_name == _ONNX:
        found = _onnx(folder) if "model.onnx" in parts else None
    elif not _WITHOUT_WEIGHTS.fullmatch(class_name):
        found = _with_config(folder, read_weights(folder), model_configs.CONFIG)
    elif class_name.endswith("Scheduler"):
        found = _with_config(folder, Checkpoint(_FORMAT, "readable"), _SCHEDULER)
        if found is None or found.status == "readable":
            return None
    else:
        return None
    pipeline.bytes_read += folder.bytes_read
    pipeline.problems += [
        Problem(problem.code, f"{name}: {problem.message}") for problem in folder.problems
    ]
    if found is None:
        return _missing(pipeline, f"the weights of its {name} are missing")
    if found.reason is not None:
        found = found.but(reason=f"its {name}: {found.reason}")
    return found


def _with_config(
    folder: ModelFolder, checkpoint: Checkpoint | None, name: str
) -> Checkpoint | None:
    """Return a component, marked where diffusers cannot build it for want of its config."""
    if checkpoint is None or checkpoint.status not in ("readable", "recognised"):
        return checkpoint
    verdict = model_configs.of_component(folder, name)
    if verdict is None or verdict.status == checkpoint.status:
        return checkpoint
    folder.problems.append(Problem("missing-component", sentence(verdict.reason)))
    return checkpoint.but(status=verdict.status, reason=verdict.reason)


def _onnx(folder: ModelFolder) -> Checkpoint | None:
    with open_inside(folder.root, folder.root / folder.path / "model.onnx") as source:
        facts = read_file(source, f"{folder.path}/model.onnx")
    folder.problems += facts.problems
    return facts.checkpoint


def _missing(pipeline: ModelFolder, reason: str) -> Checkpoint:
    pipeline.problems.append(Problem("missing-component", sentence(reason)))
    return Checkpoint(_FORMAT, "truncated", reason)


def _joined(read: list[tuple[str, Checkpoint]]) -> Checkpoint:
    """Return the components as one checkpoint; each tensor has its component before its name."""
    every = [found for _, found in read]
    faults = [found for found in every if found.status not in ("readable", "recognised")]
    unread = [found for found in every if found.status == "recognised"]
    first = (faults or unread or [Checkpoint(_FORMAT, "readable")])[0]
    reason = first.reason
    if len(faults) > 1:
        reason = f"{reason} (and {len(faults) - 1:,} more)"
    count = sum(len(found.tensors) for found in every)
    tensors = tuple(
        tensor._replace(name=f"{name}.{tensor.name}", shares=None)
        for name, found in read
        for tensor in found.tensors
        if count <= MAX_LISTED
    )
    counts = [found.parameter_count for found in every]
    stored = [found.tensor_bytes for found in every]
    verdicts = [found.safety for found in every if found.safety is not None]
    whole = bool(every) and not faults
    return Checkpoint(
        format=_FORMAT,
        status=first.status,
        reason=reason,
        framework="diffusers",
        tensors=tensors,
        parameter_count=sum(n for n in counts if n) if whole and None not in counts else None,
        tensor_bytes=sum(n for n in stored if n) if whole and None not in stored else None,
        weights_doubt="The weights of a pipeline's components are not summed up together.",
        safety=max(verdicts, key=VERDICTS.index) if verdicts else None,
        globals=tuple(sorted({name for found in every for name in found.globals})),
        every_global=tuple(sorted({name for found in every for name in found.every_global})),
    )


FOLDER: Final = FolderFormat(_FORMAT, _find, _read, signs=(INDEX,), precedence=30)
