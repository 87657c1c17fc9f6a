"""Writes torch checkpoints without torch, in the layout of torch 2.x.

`FakeTensor` may stand anywhere in the object; it is pickled as torch pickles a tensor. Checked
against torch 2.13: `torch.load` reads what is written here.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_STORAGES = {
    "float32": ("FloatStorage", 4),
    "float64": ("DoubleStorage", 8),
    "float16": ("HalfStorage", 2),
    "bfloat16": ("BFloat16Storage", 2),
    "int64": ("LongStorage", 8),
    "int32": ("IntStorage", 4),
    "uint8": ("ByteStorage", 1),
    "bool": ("BoolStorage", 1),
}
_BLOCK = bytes(1024 * 1024)


@dataclass(frozen=True)
class FakeGlobal:
    """A class or function named in the pickle; it need not exist."""

    module: str
    name: str

    def __call__(self) -> None:
        """Be callable, for `pickle` insists on it; nothing calls it."""


@dataclass(frozen=True, eq=False)
class FakeObject:
    """An object that is pickled as `function(*args)` and then given a state and items."""

    function: FakeGlobal
    args: tuple[Any, ...] = ()
    state: Any = None
    pairs: dict[Any, Any] | None = None

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        pairs = None if self.pairs is None else iter(self.pairs.items())
        return (self.function, self.args, self.state, None, pairs)


@dataclass(frozen=True, eq=False)
class FakeTensor:
    """A tensor to be written; without `data` it is of zeros, which take no space on disk."""

    dtype: str = "float32"
    shape: tuple[int, ...] = ()
    data: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * _STORAGES[self.dtype][1]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        stride = tuple(math.prod(self.shape[n + 1 :]) for n in range(len(self.shape)))
        hooks: OrderedDict[str, Any] = OrderedDict()
        rebuild = FakeGlobal("torch._utils", "_rebuild_tensor_v2")
        # torch makes a new tuple for each tensor; one that is shared would be pickled once.
        shape = (*self.shape,)
        return (rebuild, (_Storage(self), 0, shape, stride, False, hooks))


def scalar(value: float, dtype: str = "float32") -> FakeTensor:
    """Return a tensor without dimensions, as metrics are kept in."""
    code = {"float32": "<f", "float64": "<d", "float16": "<e", "int64": "<q"}[dtype]
    return FakeTensor(dtype, (), struct.pack(code, int(value) if dtype == "int64" else value))


@dataclass(frozen=True, eq=False)
class _Storage:
    tensor: FakeTensor


_PythonPickler: Any = pickle._Pickler
"""The pickler in Python, for only its `dispatch` lets a name be written that does not exist."""


class _Pickler(_PythonPickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO, view: tuple[None, ...]) -> None:
        super().__init__(file, protocol=2)
        self.view = view
        self.storages: list[FakeTensor] = []
        self.known: dict[FakeGlobal, FakeGlobal] = {}

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Storage):
            return None
        if obj.tensor not in self.storages:
            self.storages.append(obj.tensor)
        name = _STORAGES[obj.tensor.dtype][0]
        key, length = str(self.storages.index(obj.tensor)), math.prod(obj.tensor.shape)
        return ("storage", FakeGlobal("torch", name), key, "cpu", length, *self.view)

    def save_global_name(self, obj: FakeGlobal) -> None:
        known = self.known.setdefault(obj, obj)
        if id(known) in self.memo:
            self.write(self.get(self.memo[id(known)][0]))
        else:
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
            self.memoize(obj)

    dispatch: ClassVar[Any] = {**_PythonPickler.dispatch, FakeGlobal: save_global_name}


def pickled(obj: Any, *, legacy: bool = False) -> tuple[bytes, list[FakeTensor]]:
    """Return the pickle of an object as torch writes it, and its storages in order."""
    file = io.BytesIO()
    pickler = _Pickler(file, (None,) if legacy else ())
    pickler.dump(obj)
    return file.getvalue(), pickler.storages


def write_torch_zip(path: Path, obj: Any, top: str = "archive", *, crcs: bool = True) -> Path:
    """Write what `torch.save(obj, file)` would write.

    Args:
        path: the file.
        obj: plain data with `FakeTensor`, `FakeObject` and `FakeGlobal` anywhere in it.
        top: the folder inside the archive; torch takes the file's stem when given a name.
        crcs: whether sums are written (`torch.serialization.set_crc32_options`).
    """
    data, storages = pickled(obj)
    entries: list[tuple[str, bytes | FakeTensor]] = [
        ("data.pkl", data),
        (".format_version", b"1"),
        (".storage_alignment", b"64"),
        ("byteorder", b"little"),
        *((f"data/{key}", tensor) for key, tensor in enumerate(storages)),
        ("version", b"3\n"),
    ]
    return write_zip(path, [(f"{top}/{name}", content) for name, content in entries], crcs=crcs)


def write_zip(
    path: Path, entries: Iterable[tuple[str, bytes | FakeTensor]], *, crcs: bool = True
) -> Path:
    """Write an archive of stored entries as torch's writer lays them out: aligned to 64 bytes,
    sizes behind the data and in the directory alone, and `.data/serialization_id` at the end.
    """
    central = []
    with path.open("wb") as file:

        def add(name: str, content: bytes | FakeTensor) -> None:
            offset = file.tell()
            raw = name.encode()
            padding = -(offset + 30 + len(raw) + 4) % 64
            extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            file.write(
                struct.pack(
                    "<4s5H3L2H", b"PK\3\4", 0, 0x808, 0, 0, 0, 0, 0, 0, len(raw), len(extra)
                )
            )
            file.write(raw + extra)
            crc = size = 0
            for block in _blocks(content):
                crc, size = zlib.crc32(block, crc), size + len(block)
                if block is _BLOCK:
                    file.seek(len(block), io.SEEK_CUR)
                else:
                    file.write(block)
            crc = crc if crcs else 0
            file.write(struct.pack("<4s3L", b"PK\7\x08", crc, size, size))
            line = (
                b"PK\1\2",
                0,
                0,
                0x808,
                0,
                0,
                0,
                crc,
                size,
                size,
                len(raw),
                0,
                0,
                0,
                0,
                0,
                offset,
            )
            central.append(struct.pack("<4s6H3L5H2L", *line) + raw)

        top = ""
        for name, content in entries:
            top = top or name.partition("/")[0]
            add(name, content)
        sums = b"".join(central)
        add(f"{top}/.data/serialization_id", f"{zlib.crc32(sums):040d}".encode())
        start = file.tell()
        file.write(b"".join(central))
        end = (b"PK\5\6", 0, 0, len(central), len(central), file.tell() - start, start, 0)
        file.write(struct.pack("<4s4H2LH", *end))
    return path


def _blocks(content: bytes | FakeTensor) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
    elif content.data is not None:
        yield content.data
    else:
        yield from [_BLOCK] * (content.size // len(_BLOCK))
        yield bytes(content.size % len(_BLOCK))


def write_torch_legacy(path: Path, obj: Any) -> Path:
    """Write what `torch.save(obj, file, _use_new_zipfile_serialization=False)` would write."""
    data, storages = pickled(obj, legacy=True)
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    keys = [str(key) for key in range(len(storages))]
    with path.open("wb") as file:
        for head in (0x1950A86A20F9469CFC6C, 1001, machine):
            file.write(pickle.dumps(head, protocol=2))
        file.write(data)
        file.write(pickle.dumps(keys, protocol=2))
        for tensor in storages:
            file.write(struct.pack("<q", math.prod(tensor.shape)))
            for block in _blocks(tensor):
                file.write(block)
    return path


def lightning_checkpoint(
    *,
    state_dict: dict[str, FakeTensor] | None = None,
    epoch: int = 3,
    global_step: int = 400,
    version: str = "2.4.0",
    hyper_parameters: Any = None,
    monitor: str | None = "val/hmean",
    mode: str = "max",
    directory: str = "/home/somebody/outputs/exp/checkpoints",
    best_k: dict[str, float] | None = None,
    best: str | None = None,
    last: str = "",
    **others: Any,
) -> dict[str, Any]:
    """Return what Lightning 2.x saves, with the state of one `ModelCheckpoint`.

    Args:
        state_dict: the model's tensors; a small one if not given.
        epoch: of the file.
        global_step: of the file.
        version: of Lightning.
        hyper_parameters: left out where None.
        monitor: the metric; None for a callback that monitors nothing.
        mode: `min` or `max`.
        directory: the callback's `dirpath`.
        best_k: scores by file name; the last one is this file's, by Lightning's order.
        best: name of the best file; else it is found by mode.
        last: name of the last file.
        others: further keys at the top.
    """
    best_k = {"best.ckpt": 0.5} if best_k is None else best_k
    if best is None and best_k:
        best = (max if mode == "max" else min)(best_k, key=lambda name: best_k[name])
    tensors = {name: scalar(score) for name, score in best_k.items()}
    paths = {f"{directory}/{name}": tensor for name, tensor in tensors.items()}
    key = f"ModelCheckpoint{ {'monitor': monitor, 'mode': mode, 'every_n_train_steps': 0}!r}"
    state = {
        "monitor": monitor,
        "best_model_score": tensors[best] if best else None,
        "best_model_path": f"{directory}/{best}" if best else "",
        "current_score": list(tensors.values())[-1] if tensors else None,
        "dirpath": directory,
        "best_k_models": paths,
        "kth_best_model_path": next(iter(paths), ""),
        "kth_value": next(iter(tensors.values()), None),
        "last_model_path": f"{directory}/{last}" if last else "",
    }
    if state_dict is None:
        state_dict = {"net.weight": FakeTensor(shape=(4, 3)), "net.bias": FakeTensor(shape=(4,))}
    checkpoint: dict[str, Any] = {
        "epoch": epoch,
        "global_step": global_step,
        "pytorch-lightning_version": version,
        "state_dict": OrderedDict(state_dict),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {key: state},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.001, "params": [0, 1]}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
    }
    if hyper_parameters is not None:
        checkpoint["hyper_parameters"] = hyper_parameters
    return {**checkpoint, **others}
