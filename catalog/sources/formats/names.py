"""Names that tell of a model where the ending is that of data too: `best_model.pkl`, `params.npz`.

Of such endings a data set may have 100,000 files. A name tells of a model by a word of its own, and
by none that names data.
"""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(r"[a-z]+")
_MODEL: Final = frozenset({
    "actor", "agent", "best", "booster", "catboost", "checkpoint", "checkpoints", "ckpt",
    "classifier", "clf", "critic", "discriminator", "estimator", "generator", "last", "latest",
    "lgbm", "lightgbm", "mlp", "model", "models", "net", "network", "params", "parameters",
    "pipeline", "policy", "predictor", "randomforest", "regressor", "snapshot", "svc", "svm",
    "svr", "weights", "xgb", "xgboost",
})  # fmt: skip
_ENDINGS: Final = ("model", "net", "weights", "params", "classifier", "regressor", "policy")
"""Words that end so are words for a model as well: `resnet`, `mymodel`."""
_OTHER: Final = frozenset({
    "cabinet", "ethernet", "internet", "intranet", "magnet", "planet", "telnet",
})  # fmt: skip
_DATA: Final = frozenset({
    "annotations", "cache", "data", "dataset", "embedding", "embeddings", "feature",
    "features", "history", "images", "inputs", "labels", "logits", "log", "logs", "metric",
    "metrics", "opt", "optim", "optimizer", "outputs", "pred", "prediction", "predictions", "preds",
    "result", "results", "sample", "samples", "scaler", "scheduler", "score", "scores", "split",
    "splits", "stats", "targets", "tokenizer", "vocab",
})  # fmt: skip

_HINT: Final = re.compile("|".join(sorted(_MODEL)) + "|" + "|".join(_ENDINGS))
"""A part of any name that tells of a model: most names hold none, and are done with at once."""


def looks_like_a_model(name: str) -> bool:
    """Say whether a file's name tells of a model.

    Args:
        name: in lower case.
    """
    if _HINT.search(name) is None:
        return False
    words = _WORDS.findall(name)
    if _DATA.intersection(words):
        return False
    return any(word in _MODEL or (word.endswith(_ENDINGS) and word not in _OTHER) for word in words)
