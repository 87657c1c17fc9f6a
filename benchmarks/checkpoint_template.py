"""Write one checkpoint many times over, quickly: a template on disk, patched in memory.

Pickling 250 tensors takes 20 ms, copying the parts of the file that are no holes takes less
than one. What differs from file to file keeps its length, so all offsets stay.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from tests.support.torch_files import (
    FakeTensor,
    lightning_checkpoint,
    pickled,
    write_torch_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

_EPOCH, _STEP = 1_111_111, 2_222_222
"""Stand for the real ones; over 65535, so that they take four bytes in a pickle."""
_SCORE = 0.1234567
_WEIGHTS = b"the weights of one checkpoint in sixty-four bytes, no more......"
_FOLDER = "/" + "d" * 95
_BLOCK = 4096


class Template:
    """A Lightning checkpoint of some architecture, in which a few values can be set.

    Args:
        scratch: where the template itself is written.
        tensors: how many tensors the state dict has.
        width: numbers in the larger half of them.
    """

    def __init__(self, scratch: Path, tensors: int, width: int) -> None:
        state = OrderedDict(
            (
                f"model.layer{number // 2}.{'bias' if number % 2 else 'weight'}",
                FakeTensor(shape=(8,) if number % 2 else (width // 64, 64)),
            )
            for number in range(tensors - 1)
        )
        state["model.head.bias"] = FakeTensor(shape=(16,), data=_WEIGHTS)
        content = lightning_checkpoint(
            state_dict=state,
            epoch=_EPOCH,
            global_step=_STEP,
            directory=_FOLDER,
            best_k={"best.ckpt": _SCORE},
        )
        path = scratch / f"template-{tensors}-{width}.ckpt"
        write_torch_zip(path, content)
        self._size = path.stat().st_size
        self._parts = _parts(path)
        path.unlink()
        self._pickle = pickled(content)[0]

    def write(
        self, path: Path, *, epoch: int, step: int, folder: str, score: float, weights: bytes
    ) -> None:
        """Write a checkpoint.

        Args:
            path: the file.
            epoch: as it states.
            step: as it states.
            folder: that it remembers; at most 96 characters, filled up with `./`.
            score: best so far.
            weights: 64 bytes that tell it from others.
        """
        data = self._pickle
        filled = "/." * ((len(_FOLDER) - len(folder)) // 2) + folder
        for old, new in (
            (_EPOCH.to_bytes(4, "little"), epoch.to_bytes(4, "little")),
            (_STEP.to_bytes(4, "little"), step.to_bytes(4, "little")),
            (_FOLDER.encode(), filled.rjust(len(_FOLDER), "/").encode()),
        ):
            data = data.replace(old, new)
        changes = (
            (self._pickle, data),
            (struct.pack("<f", _SCORE), struct.pack("<f", score)),
            (_WEIGHTS, weights),
        )
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.ftruncate(file, self._size)
            for offset, part in self._parts:
                for old, new in changes:
                    part = _patched(part, old, new)
                os.pwrite(file, part, offset)
        finally:
            os.close(file)


def _parts(path: Path) -> list[tuple[int, bytes]]:
    """Return (offset, bytes) of every run of blocks that are not all zeros."""
    found: list[tuple[int, bytes]] = []
    with path.open("rb") as file:
        offset = 0
        while block := file.read(_BLOCK):
            if any(block):
                if found and found[-1][0] + len(found[-1][1]) == offset:
                    found[-1] = (found[-1][0], found[-1][1] + block)
                else:
                    found.append((offset, block))
            offset += len(block)
    return found


def _patched(part: bytes, old: bytes, new: bytes) -> bytes:
    """Replace an entry's content, and its sum in the descriptor and in the directory."""
    before, after = (struct.pack("<3L", zlib.crc32(one), len(one), len(one)) for one in (old, new))
    return part.replace(old, new).replace(before, after)
