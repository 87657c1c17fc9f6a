"""Pickles that are not torch's: scikit-learn, JAX, PaddlePaddle. They are never executed.

`.pkl` is an ending of data as well: a file that is no torch archive is a model by its name alone.
Of its pickle only the names that it would import are judged, from its first bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.formats.format import Format
from catalog.sources.formats.names import looks_like_a_model
from catalog.sources.paths import split

if TYPE_CHECKING:
    from catalog.sources.checkpoint.byte_source import ByteSource

_HEAD: Final = 256 * 1024
"""Bytes that are looked at: code comes before long arrays, or does not come at all."""
_LEGACY: Final = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""Torch's magic number in a pickle (`torch/serialization.py`)."""
_ENDINGS: Final = (".pkl", ".pickle")
_RARE: Final = (".sav", ".dill", ".cloudpickle")
"""Endings of other things as well: opened only under the name of a model."""
_PADDLE: Final = ".pdparams"


def _is_named(name: str) -> bool:
    return name.endswith(_ENDINGS) or (name.endswith(_RARE) and looks_like_a_model(name))


def _read(source: ByteSource, own_path: str) -> Facts | None:
    """Describe a pickle by its name; None for an archive or a legacy file of torch."""
    name = split(own_path)[1].lower()
    head = source.read_at(0, 32)
    if head.startswith(b"PK") or _LEGACY in head:
        return None
    if name.endswith(_PADDLE):
        return _recognised(source, "paddle", "a PaddlePaddle model", "paddle")
    if not looks_like_a_model(name):
        return Facts()
    return _recognised(source, "pickle", "a pickle that torch did not write", None)


def _recognised(source: ByteSource, name: str, title: str, framework: str | None) -> Facts:
    # Imported here: what reads pickles asks the formats, of which this is one.
    from catalog.sources.checkpoint.contents import with_doubt, with_safety
    from catalog.sources.checkpoint.skeleton import SkeletonError, load

    reason = f"{title}; its content is not read"
    checkpoint = Checkpoint(name, "recognised", reason, framework=framework)
    problems: tuple[Problem, ...] = ()
    if source.read_at(0, 1) == b"\x80":
        try:
            checkpoint = with_safety(checkpoint, load(source.read_at(0, _HEAD)).found)
        except SkeletonError as error:
            checkpoint = with_doubt(with_safety(checkpoint, error.found))
            # joblib puts arrays between the instructions, where no other reader finds its way.
            is_joblib = any(each.startswith("joblib.") for each in error.found.globals)
            if error.code == "pickle-cut" and source.size <= _HEAD and not is_joblib:
                checkpoint = replace(checkpoint, status="truncated", reason=str(error))
                problems = (Problem(error.code, f"Unreadable pickle: {error}."),)
    return Facts(replace(checkpoint, bytes_read=source.bytes_read), problems=problems)


FORMAT: Final = Format(
    "pickle",
    suffixes=(_PADDLE,),
    is_named=_is_named,
    signs=(*_ENDINGS, *_RARE),
    read_named=_read,
    is_tentative=True,
    precedence=60,
)
