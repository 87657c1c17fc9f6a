"""The weights of a torch checkpoint: all of them, or the reason why they are not known whole.

The rule. A fingerprint exists only if every storage of the archive that is not provably training
state (`training_state`) is in it, with the name and place that refers to it:

1. The model's state dict is summed up tensor by tensor (`models`).
2. All else at the top is walked. What is training state by its form is left out; whatever else
   holds numbers (tensors, bytes, objects that are made of them, lists of numbers) goes in whole.
3. What the pickle names and the root does not hold (`Found.has_loose_ends`), an entry of the
   archive that nothing names, a placeholder or a sum that is not stated: no fingerprint.

So a storage that is not in the text is held by training state alone. Counting follows the same
rule: parameters are counted only where the model's tensors are all the weights there are.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from catalog.sources.checkpoint.canonical_text import (
    CanonicalText,
    NotCanonicalError,
    is_numbers,
)
from catalog.sources.checkpoint.inert import Call, Key, Storage, TensorStub
from catalog.sources.checkpoint.models import model_of
from catalog.sources.checkpoint.plain import numpy_scalar
from catalog.sources.checkpoint.scores import names_a_score
from catalog.sources.checkpoint.tensors import MAX_TENSORS, NamedStub, shape_of
from catalog.sources.checkpoint.training_state import (
    CALLBACKS,
    NAME,
    is_listed_callback,
    is_training_state,
)
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from catalog.sources.checkpoint.inert import Found
    from catalog.sources.checkpoint.models import Located
    from catalog.sources.checkpoint.torch_zip import Sums

_DIGITS: Final = 32
"""Of a fingerprint: 128 bits tell any number of checkpoints apart."""
_MAX_PARTS: Final = 200_000
_MAX_DEPTH: Final = 64
CONFIG_KEYS: Final = frozenset(
    {
        "hyper_parameters", "hparams", "hyperparameters", "datamodule_hyper_parameters", "config",
        "cfg", "args", "opt", "model_args", "train_args", "training_args", "meta", "git",
    }
)  # fmt: skip
"""Keys whose lists of numbers are settings, not weights."""


class _Part(NamedTuple):
    """Something outside the model that goes into the text."""

    path: str
    value: object
    is_weight: bool
    """Whether it could be a weight; a score, a list of numbers or an object without any is not."""


class Weights:
    """What is known of a checkpoint's weights.

    Args:
        root: its root, in stand-ins.
        found: what its pickle names.
    """

    def __init__(self, root: object, found: Found) -> None:
        located = model_of(root)
        self.model = located.model
        self._found = found
        self._doubt = ""
        self._parts: list[_Part] = []
        try:
            self._parts.extend(_parts(root, located))
            self._is_understood = self.model.is_understood
        except NotCanonicalError as error:
            self._doubt = str(error)
            self._is_understood = False
        if found.has_loose_ends:
            self._doubt = "Its pickle makes objects that are not in what it returns."

    @property
    def has_any(self) -> bool:
        """Whether there is anything that could be a weight."""
        return bool(self.model.stubs) or any(part.is_weight for part in self._parts)

    @property
    def has_other_forms(self) -> bool:
        """Whether there are weights that are no plain tensors."""
        return not self._is_understood or any(
            part.is_weight and type(part.value) is not TensorStub for part in self._parts
        )

    def others(self) -> list[NamedStub]:
        """Return plain tensors outside the model, named by their path; scores are none of them."""
        found = []
        for part in self._parts:
            if part.is_weight and type(part.value) is TensorStub:
                shape = shape_of(part.value)
                if shape is not None:
                    found.append(NamedStub(part.path, part.value, shape))
        return found[:MAX_TENSORS]

    def count_doubt(self) -> str:
        """Return why the parameters are not counted, a sentence; empty where they are."""
        if self._doubt:
            return self._doubt
        if self.model.empty_count:
            return (
                f"{self.model.empty_count:,} of its {len(self.model.stubs):,} tensors are empty: "
                "their numbers may be in other files."
            )
        if not self._is_understood:
            return "A part of its model is in a form that is not understood."
        weights = [part for part in self._parts if part.is_weight]
        for part in weights:
            if type(part.value) is not TensorStub:
                return f"{_shown(part.path)} holds weights in a form that is not understood."
        if weights:
            more = f"{len(weights):,} more tensor{'' if len(weights) == 1 else 's'}"
            return f"Beside its model it holds {more}: {_shown(weights[0].path)}."
        return ""

    def fingerprint(
        self, sums_of: Callable[[list[str]], Sums | None], *, big_endian: bool = False
    ) -> tuple[str | None, str]:
        """Return a digest that is equal for equal weights, made of CRC-32s alone.

        Args:
            sums_of: CRC-32s and sizes of storages by their keys, as the archive's directory states
                them; None where one is missing.
            big_endian: the order of bytes in the file.

        Returns:
            Half of a SHA-256 in hex, and an empty text; or None, and the reason as a sentence.
        """
        try:
            keys, texts = self._text()
        except NotCanonicalError as error:
            return None, str(error)
        sums = sums_of(keys)
        if sums is None:
            return None, "A storage that it names is not in the archive."
        if 0 in sums[0] and any(size and not crc for crc, size in zip(*sums, strict=True)):
            return None, "The archive states no checksums; `catalog ingest --hash` reads them."
        stated = [b"%b%d:%d;" % triple for triple in zip(texts, *sums, strict=False)]
        total = hashlib.sha256(b"".join((b"big;" * big_endian, *stated, texts[-1])))
        return total.hexdigest()[:_DIGITS], ""

    def verified(self, digest_of: Callable[[str], bytes | None]) -> str | None:
        """Return the SHA-256 over the bytes of all weights, with their names and places.

        Args:
            digest_of: gives the SHA-256 of a storage's bytes by its key; None where it cannot be
                read, or is not what the archive states.
        """
        try:
            keys, texts = self._text()
        except NotCanonicalError:
            return None
        total = hashlib.sha256()
        for text, key in zip(texts, keys, strict=False):
            digest = digest_of(key)
            if digest is None:
                return None
            total.update(text + digest)
        total.update(texts[-1])
        return total.hexdigest()

    def _text(self) -> tuple[list[str], list[bytes]]:
        """Return keys of storages, and the texts before each and behind the last.

        Raises:
            NotCanonicalError: there is none, for not all of the weights are known.
        """
        if self._doubt:
            raise NotCanonicalError(self._doubt)
        if self.model.empty_count:
            raise NotCanonicalError(self.count_doubt())
        keys, texts = self.model.text.finished()
        if self._parts:
            text = CanonicalText()
            for part in self._parts:
                text.value(part.value, part.path)
            more_keys, more_texts = text.finished()
            keys = [*keys, *more_keys]
            texts = [*texts[:-1], texts[-1] + more_texts[0], *more_texts[1:]]
        if not keys:
            raise NotCanonicalError("It holds no weights.")
        return keys, texts


def _shown(path: str) -> str:
    return repr(clean(path)[:120])


def _parts(root: object, located: Located) -> Iterator[_Part]:
    """Yield what is outside the model and is not provably training state.

    Raises:
        NotCanonicalError: it is nested too deep, or too much.
    """
    model, own = located.model, set(map(id, located.holders))
    if type(root) is not dict:
        if id(root) not in own:
            yield from _numbers("", root, own, with_lists=True, are_scores=False)
        return
    own_stubs = {id(stub.stub) for stub in model.stubs} if model.is_root else ()
    for key, value in root.items():
        kind = type(value)
        if kind in _PLAIN or id(value) in own or (kind is TensorStub and id(value) in own_stubs):
            continue
        if is_training_state(key, value):
            continue
        name = key if type(key) is str else f"<{type(key).__name__}>"
        if key == CALLBACKS and kind is dict:
            for callback, state in value.items():
                if not is_listed_callback(callback, state):
                    path = f"{name}.{callback if type(callback) is str else ''}"
                    yield from _numbers(path, state, own, with_lists=True, are_scores=False)
            continue
        is_score, is_training, with_lists = _kind(name)
        for part in _numbers(name, value, own, with_lists=with_lists, are_scores=is_score):
            # What only has the name of training state is compared, and counts for no model.
            yield part._replace(is_weight=False) if is_training else part


@lru_cache(maxsize=1_024)
def _kind(name: str) -> tuple[bool, bool, bool]:
    """Return of a key whether it names scores or training state, and whether lists go in."""
    is_score, is_training = names_a_score(name), NAME.search(name) is not None
    return is_score, is_training, not (is_score or is_training or name in CONFIG_KEYS)


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_ARRAYS: Final = (
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
)  # fmt: skip
_BYTES: Final = frozenset({"_codecs.encode", "builtins.bytearray", "builtins.bytes"})
_HARMLESS: Final = (
    "datetime.", "pathlib.", "torch.Size", "torch.device", "omegaconf.", "argparse.Namespace",
    "types.SimpleNamespace", "builtins.getattr", "uuid.", "decimal.",
)  # fmt: skip
"""Calls that are settings where no array is in them."""


def _numbers(
    path: str, value: object, own: set[int], *, with_lists: bool, are_scores: bool
) -> Iterator[_Part]:
    """Yield what holds numbers in a value, in order, each whole.

    Args:
        path: of the value.
        value: it.
        own: identities of what the model holds, which is left out.
        with_lists: whether lists of numbers and objects without arrays go in as well.
        are_scores: whether tensors of one number are scores.
    """
    pending: list[tuple[str, int, Any]] = [(path, 0, value)]
    met: set[int] = set()
    left = _MAX_PARTS
    while pending:
        place, depth, part = pending.pop()
        left -= 1
        if left < 0 or depth > _MAX_DEPTH:
            raise NotCanonicalError("It is too large or nested too deep to be compared.")
        kind = type(part)
        if kind in _PLAIN or id(part) in own:
            continue
        if kind in _CONTAINERS:
            if id(part) in met:
                continue
            met.add(id(part))
        if kind is TensorStub:
            yield _Part(place, part, not (are_scores and _is_single(part)))
        elif kind is Storage or kind is bytes:
            yield _Part(place, part, bool(part))
        elif kind is dict:
            for key, inner in reversed(part.items()):
                name = key if type(key) is str else str(key) if type(key) is int else ""
                pending.append((f"{place}.{name}"[:_MAX_PATH], depth + 1, inner))
                if type(key) not in _PLAIN:
                    pending.append((f"{place}.<key>"[:_MAX_PATH], depth + 1, key))
        elif kind is list or kind is tuple:
            if with_lists and is_numbers(part):
                yield _Part(place, part, _holds_arrays(part))
            else:
                pending += [
                    (f"{place}.{index}"[:_MAX_PATH], depth + 1, inner)
                    for index, inner in reversed([*enumerate(part)])
                ]
        elif kind is Key:
            pending.append((place, depth + 1, part.value))
        elif kind is Call:
            name = part.class_name or ""
            if numpy_scalar(part) is not None:
                continue
            if _holds_arrays(part):
                yield _Part(place, part, is_weight=True)
            elif with_lists and not name.startswith(_HARMLESS):
                yield _Part(place, part, is_weight=False)


_MAX_PATH: Final = 400
_SMALL: Final = 64
"""Bytes that a date or a number has at most."""
_CONTAINERS: Final = frozenset({dict, list, tuple, Call, Key})


def _is_single(stub: TensorStub) -> bool:
    shape = shape_of(stub)
    return shape is not None and stub.extra is None and all(size == 1 for size in shape)


def _holds_arrays(value: object) -> bool:
    """Say whether tensors, storages or arrays are somewhere in a value."""
    pending: list[Any] = [value]
    met: set[int] = set()
    while pending:
        part = pending.pop()
        kind = type(part)
        if kind is TensorStub or kind is Storage or (kind is bytes and len(part) > _SMALL):
            return True
        if kind not in _CONTAINERS or id(part) in met:
            continue
        met.add(id(part))
        if kind is dict:
            pending += [*part, *part.values()]
        elif kind is Key:
            pending.append(part.value)
        elif kind is Call:
            name = part.class_name or ""
            if name in _ARRAYS or name in _BYTES or part.function is None:
                return True
            if not name.startswith("datetime.") and numpy_scalar(part) is None:
                pending += (part.function, part.args, part.state, part.pairs, part.items)
        else:
            pending += part
    return False
