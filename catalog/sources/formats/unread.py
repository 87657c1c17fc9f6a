"""Kinds of model files that are recognised and not read: a row of the table each.

A file is of a kind by its name, and by its first bytes where the kind has some of its own. Endings
that data has too (`.npz`) want a name that tells of a model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.formats.names import looks_like_a_model
from catalog.sources.paths import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.sources.checkpoint.byte_source import ByteSource


class Kind(NamedTuple):
    """One kind of model file."""

    name: str
    """As `Checkpoint.format` has it."""
    title: str
    """What it is, with its article."""
    endings: tuple[str, ...]
    begins: Callable[[bytes], bool] = lambda _head: True
    """Tells by the first 512 bytes whether a file is of the kind."""
    framework: str | None = None
    is_ambiguous: bool = False
    """Whether data has such names too."""


def _has(magic: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic, at)


def _is_message_pack_map(head: bytes) -> bool:
    """Say whether MessagePack begins with a mapping whose first key is text.

    Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>.
    """
    first = head[0]
    at = 1 if 0x81 <= first <= 0x8F else {0xDE: 3, 0xDF: 5}.get(first, 0)
    key = head[at : at + 1] if at else b""
    return bool(key) and (0xA0 <= key[0] <= 0xBF or key[0] in (0xD9, 0xDA))


def _is_darknet(head: bytes) -> bool:
    """Say whether a file begins with darknet's version: 0.1.0 or 0.2.5 (`darknet/src/parser.c`)."""
    return head[:12] in (
        bytes((0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)),
        bytes((0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)),
        bytes((0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0)),
    )


def _is_core_ml(head: bytes) -> bool:
    """Say whether a protobuf begins with a small number (`specificationVersion`) in field 1."""
    return head[:1] == b"\x08" and 0 < head[1] < 32


KINDS: Final = (
    Kind("paddle-inference", "a PaddlePaddle inference model", (".pdiparams",), framework="paddle"),
    Kind("tflite", "a TensorFlow Lite model", (".tflite",), _has(b"TFL3", 4), "tensorflow"),
    Kind("executorch", "an ExecuTorch program", (".pte",), _has(b"ET", 4), "torch"),
    Kind("tflite", "a TensorFlow Lite model", (".lite",), _has(b"TFL3", 4), "tensorflow"),
    Kind("onnxruntime", "an ONNX Runtime model", (".ort",), _has(b"ORTM", 4), "onnx"),
    Kind("rknn", "an RKNN model", (".rknn",), _has(b"RKNN"), "rknn"),
    Kind("mnn", "an MNN model", (".mnn",), framework="mnn"),
    Kind("tensorrt", "a TensorRT engine", (".engine", ".trt"), framework="tensorrt"),
    Kind("equinox", "an Equinox model", (".eqx",), framework="jax"),
    Kind("fasttext", "a fastText model", (".ftz",), _has(b"\xba\x16\x4f\x2f"), "fasttext"),
    Kind("coreml", "a Core ML model", (".mlmodel",), _is_core_ml, "coreml"),
    Kind("ggml", "a GGML model of the time before GGUF", (".ggml",), framework="ggml"),
    Kind("xgboost-ubj", "an XGBoost model", (".ubj",), _has(b"{"), "xgboost"),
    Kind("catboost", "a CatBoost model", (".cbm",), _has(b"CBM1"), "catboost"),
    Kind("lightgbm", "a LightGBM model", (".lgb", ".lgbm"), framework="lightgbm"),
    Kind("caffe", "a Caffe model", (".caffemodel",), framework="caffe"),
    Kind("darknet", "a darknet model", (".weights",), _is_darknet, "darknet", is_ambiguous=True),
    Kind("mxnet", "an MXNet model", (".params",), _has(b"\x12\1\0\0\0\0\0\0"), "mxnet", True),
    Kind("npz", "an archive of NumPy arrays", (".npz",), _has(b"PK"), is_ambiguous=True),
    Kind("joblib", "a joblib pickle", (".joblib",), is_ambiguous=True),
    Kind("flax", "a Flax model", (".msgpack",), _is_message_pack_map, "flax", True),
)
_SUFFIXES: Final = tuple(e for kind in KINDS if not kind.is_ambiguous for e in kind.endings)
_AMBIGUOUS: Final = tuple(e for kind in KINDS if kind.is_ambiguous for e in kind.endings)
_FLAX_STEP: Final = re.compile(r"checkpoint[_-]\d+")
"""What `flax.training.checkpoints` writes: a file without an ending."""
_WITH_MAGIC_ALONE: Final = (".weights", ".params")
"""Endings whose files are told by their first bytes: `yolov4.weights`, `resnet-0100.params`."""


def _is_named(name: str) -> bool:
    if name.endswith(_WITH_MAGIC_ALONE) or (
        name.startswith("checkpoint") and _FLAX_STEP.fullmatch(name)
    ):
        return True
    return name.endswith(_AMBIGUOUS) and looks_like_a_model(name)


def _kind(name: str) -> Kind | None:
    ending = ".msgpack" if _FLAX_STEP.fullmatch(name) else name
    return next((kind for kind in KINDS if ending.endswith(kind.endings)), None)


def _read(source: ByteSource, own_path: str) -> Facts | None:
    """Describe a file by its kind; None where its bytes are not those of the kind."""
    kind = _kind(split(own_path)[1].lower())
    if kind is None or not kind.begins(source.read_at(0, 512)):
        return None
    if kind.name == "npz" and _is_cut(source):
        reason = "the end of the archive is missing"
        return Facts(Checkpoint("npz", "truncated", reason, bytes_read=source.bytes_read))
    reason = f"{kind.title}; its content is not read"
    return Facts(
        Checkpoint(
            kind.name,
            "recognised",
            reason,
            framework=kind.framework,
            bytes_read=source.bytes_read,
        )
    )


def _is_cut(source: ByteSource) -> bool:
    """Say whether a zip archive lacks the record that ends it; NumPy writes no comment."""
    return b"PK\5\6" not in source.read_at(max(source.size - 1024, 0), 1024)


FORMAT: Final = Format(
    "unread",
    suffixes=_SUFFIXES,
    is_named=_is_named,
    signs=(*_AMBIGUOUS, "checkpoint_", "checkpoint-"),
    read_named=_read,
    is_tentative=True,
    precedence=60,
)
