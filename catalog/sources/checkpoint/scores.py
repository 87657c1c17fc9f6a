"""Metrics that a checkpoint carries beside the model, such as `cleval_metrics`."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from catalog.sources.facts import Score
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SCORES: Final = 500

_GROUP: Final = re.compile(r"(?:^|_)(?:metrics?|results?|scores?|eval)$", re.IGNORECASE)
_METRIC: Final = re.compile(
    r"(?:^|[_/.\-])(?:loss|acc|accuracy|score|metric|fitness|precision|recall|f1|hmean|i?map\d*|"
    r"m?iou|auc|auroc|bleu|wer|cer|psnr|ssim|perplexity|ppl|mae|m?se|rmse|dice|error|top[15]|"
    r"reward|return)(?:$|[_/.\-\d@])",
    re.IGNORECASE,
)
_DEPTH: Final = 3


def scores_of(root: dict[Any, Any], number: Callable[[object], float | None]) -> tuple[Score, ...]:
    """Return the metrics at the top of a checkpoint and in groups named as such.

    The origin of a score is the path of the group that holds it, `.` for the top. Only keys
    that are named like a metric count at the top, and there only floats and tensors: an integer
    there is a counter.

    Args:
        root: the checkpoint's root.
        number: gives the number in a value of the checkpoint.
    """
    scores: list[Score] = []
    for key, value in islice(root.items(), 1_000):
        if not isinstance(key, str) or len(key) > 200:
            continue
        if isinstance(value, dict):
            if _names_a_group(key):
                _collect(key, value, number, scores, _DEPTH)
        elif type(value) is not int and _names_a_metric(key):
            found = number(value)
            if found is not None:
                scores.append(Score(clean(key), found, "."))
    return tuple(scores[:MAX_SCORES])


def names_a_score(key: str) -> bool:
    """Say whether a key at the top of a checkpoint is named like a metric or a group of them."""
    return len(key) <= 200 and (_names_a_group(key) or _names_a_metric(key))


@lru_cache(maxsize=2_048)
def _names_a_group(key: str) -> bool:
    return _GROUP.search(key) is not None


@lru_cache(maxsize=2_048)
def _names_a_metric(key: str) -> bool:
    return _METRIC.search(key) is not None


def _collect(
    origin: str,
    group: dict[Any, Any],
    number: Callable[[object], float | None],
    scores: list[Score],
    depth: int,
) -> None:
    for key, value in list(group.items())[:MAX_SCORES]:
        if not isinstance(key, str) or len(key) > 200 or len(scores) >= MAX_SCORES:
            continue
        if isinstance(value, dict):
            if depth:
                _collect(f"{origin}.{key}", value, number, scores, depth - 1)
            continue
        found = number(value)
        if found is not None:
            scores.append(Score(clean(key), found, clean(origin)))
