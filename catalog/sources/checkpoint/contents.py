"""From the skeleton of a pickle to the facts of a checkpoint, whatever container it lay in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import lightning
from catalog.sources.checkpoint.contents_kind import kind_of
from catalog.sources.checkpoint.default_load import every_global
from catalog.sources.checkpoint.frameworks import Training, training_of
from catalog.sources.checkpoint.optimization import optimization_of
from catalog.sources.checkpoint.plain import Unwrapper
from catalog.sources.checkpoint.safety import VERDICTS, judge
from catalog.sources.checkpoint.scores import scores_of
from catalog.sources.checkpoint.statements import statements_of
from catalog.sources.checkpoint.tensors import described
from catalog.sources.checkpoint.weights import Weights
from catalog.sources.facts import Checkpoint, Facts, Mention, Problem
from catalog.sources.plain import clean
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.inert import Found
    from catalog.sources.checkpoint.numbers import Numbers
    from catalog.sources.checkpoint.skeleton import Skeleton
    from catalog.sources.checkpoint.torch_zip import Sums
    from catalog.sources.facts import Plain

MAX_GLOBALS: Final = 500
NO_SUMS: Final = "This format states no checksums; `catalog ingest --hash` reads the weights."
_MAX_MENTIONS: Final = 200


def describe(
    checkpoint: Checkpoint,
    skeleton: Skeleton,
    number: Numbers,
    own_path: str,
    sums_of: Callable[[list[str]], Sums | None] | str = NO_SUMS,
    source: ByteSource | None = None,
    *,
    container: str | None = "torch",
) -> Facts:
    """Return the facts that a checkpoint's root states.

    Args:
        checkpoint: what is known of the file already: its format and status, and how safe it is.
        skeleton: its pickle.
        number: gives the number in a value of the checkpoint.
        own_path: where the file lies now.
        sums_of: gives CRC-32s and sizes of storages by their keys, where the container has sums;
            or the reason, a sentence, why it has none.
        source: the file, where its bytes are counted for this checkpoint.
        container: the framework that made what the pickle lies in, or that the pickle names: it is
            the checkpoint's where no key of the root tells of another.
    """
    root = skeleton.root
    top = root if isinstance(root, dict) else {}
    training = training_of(top, number) if top else Training()
    callback = lightning.callback_state(top, own_path, number)
    weights = Weights(root, skeleton.found)
    model = weights.model
    count_doubt = weights.count_doubt()
    fingerprint, doubt = (
        (None, sums_of)
        if isinstance(sums_of, str)
        else weights.fingerprint(sums_of, big_endian=number.big_endian)
    )
    others = weights.others() if count_doubt else []
    hyper_parameters, problems = hyper_parameters_of(training.hyper_parameters, number)
    status, reason = checkpoint.status, checkpoint.reason
    if status == "readable":
        status, reason = kind_of(root, weights)
    stated = None
    if model.stubs and not model.is_root:
        stated, more = statements_of(top, training, number)
        problems += more
    optimization = optimization_of(top, training.framework, hyper_parameters, number)
    content = Checkpoint(
        checkpoint.format,
        status,
        reason,
        training.framework or container,
        training.version,
        training.epoch,
        training.global_step,
        hyper_parameters,
        monitor=callback.monitor,
        monitor_mode=callback.mode,
        best_score=callback.best_score,
        own_score=callback.own_score,
        best_path=callback.best_path,
        last_path=callback.last_path,
        directory=callback.directory,
        scores=scores_of(top, number),
        best_k=callback.best_k,
        tensors=described([*model.stubs, *others]) if others else model.tensors,
        has_other_weights=bool(count_doubt) and weights.has_other_forms,
        parameter_count=None if count_doubt else model.parameter_count,
        tensor_bytes=None if count_doubt else model.tensor_bytes,
        weights_fingerprint=fingerprint,
        weights_doubt=" ".join(dict.fromkeys(filter(None, (count_doubt, doubt)))) or None,
        optimizers=optimization.optimizers,
        schedulers=optimization.schedulers,
        learning_rates=optimization.learning_rates,
        safety=checkpoint.safety,
        globals=checkpoint.globals,
        every_global=checkpoint.every_global,
        default_load=checkpoint.default_load,
        bytes_read=checkpoint.bytes_read if source is None else source.bytes_read,
        statements=stated,
    )
    mentions = [Mention("checkpoint-path", path) for path in callback.paths[:_MAX_MENTIONS]]
    if callback.directory:
        mentions.append(Mention("output-dir", callback.directory))
    return Facts(checkpoint=content, mentions=tuple(mentions), problems=problems)


def with_safety(checkpoint: Checkpoint, found: Found) -> Checkpoint:
    """Return the checkpoint judged by a pickle's globals too: the worse verdict stays."""
    if found.judged is None:
        found.judged = judge(found.globals, found.attacks)
    verdict, odd = found.judged
    if checkpoint.safety is not None:
        verdict = max(verdict, checkpoint.safety, key=VERDICTS.index)
    shown = {*checkpoint.globals, *(clean(name[:200]) for name in odd[:MAX_GLOBALS])}
    return checkpoint.but(
        safety=verdict,
        globals=tuple(sorted(shown)[:MAX_GLOBALS]),
        every_global=every_global(checkpoint, found),
    )


def with_doubt(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with `unknown` in place of `plain`: not all of it was seen."""
    return replace(checkpoint, safety="unknown") if checkpoint.safety == "plain" else checkpoint


def hyper_parameters_of(
    value: object, number: Numbers
) -> tuple[dict[str, Plain] | None, tuple[Problem, ...]]:
    """Return hyper-parameters as plain data without secrets, and what is to be said of them.

    Args:
        value: the stand-in of a mapping, a namespace, or None.
        number: gives the number in a value of the checkpoint.
    """
    if value is None:
        return None, ()
    unwrapper = Unwrapper(number)
    plain = unwrapper.unwrap(value)
    if not isinstance(plain, dict) or "__opaque__" in plain:
        return None, ()
    plain, redacted = redact(plain)
    problems = redaction_problem(redacted)
    if unwrapper.cut:
        message = "Its hyper-parameters are too large or nested too deep; a part is left out."
        problems = (*problems, Problem("hyper-parameters-cut", message))
    return plain, problems
