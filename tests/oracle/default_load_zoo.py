"""Torch files of every kind that `torch.load(file)` takes or refuses, made by torch itself."""

from __future__ import annotations

import argparse
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import os
import pathlib
import pickle
import random
import sys
import types
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Settings:
    rate: float = 0.1
    layers: list[int] = dataclasses.field(default_factory=lambda: [1, 2])


@dataclasses.dataclass(slots=True)
class Slotted:
    rate: float = 0.1


class AttributeDict(dict[str, Any]):
    pass


class Names(list[str]):
    pass


class DictConfig:
    """As OmegaConf pickles its own: a plain `__dict__`, through `__getstate__`."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.__dict__["_content"] = content

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class Outer:
    class Inner:
        def __init__(self) -> None:
            self.value = 1


class Masked(torch.Tensor):  # type: ignore[misc]
    pass


class Reduced:
    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (1, 2))


def _restored(one: int, two: int) -> Reduced:
    return Reduced()


class Stated:
    def __reduce__(self) -> tuple[Any, ...]:
        return (_stated, (), {"value": 1})


def _stated() -> Stated:
    return Stated()


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.getcwd, ())


class Evaluates:
    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("1",))


Point = collections.namedtuple("Point", "x y")


class Net(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.register_buffer("steps", torch.zeros(1, dtype=torch.int64))

    def forward(self, batch: Any) -> Any:
        return self.layers(batch)


DTYPES: tuple[str, ...] = (
    "float64", "float32", "float16", "bfloat16", "complex128", "complex64", "complex32", "int64",
    "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool", "float8_e4m3fn",
    "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
    "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
)  # fmt: skip


def _tensor(dtype: str) -> Any:
    size = getattr(torch, dtype).itemsize
    return torch.zeros(4 * size, dtype=torch.uint8).view(getattr(torch, dtype))


def _trained() -> dict[str, Any]:
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    net(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    return {
        "epoch": 3,
        "global_step": 70_000,
        "state_dict": net.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [scheduler.state_dict()],
        "loops": None,
        "hyper_parameters": {"lr": 0.1, "name": "net", "layers": [1, 2], "pair": (1, 2)},
    }


def _with_attribute() -> Any:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.note = "kept"
    return parameter


def _quantized(*, per_channel: bool) -> Any:
    values = torch.randn(2, 3)
    if not per_channel:
        return torch.quantize_per_tensor(values, 0.1, 3, torch.qint8)
    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([0, 1])
    return torch.quantize_per_channel(values, scales, zeros, 0, torch.quint8)


def _objects() -> dict[str, Any]:
    """Return by name what a checkpoint may hold."""
    dense = torch.eye(3)
    tied = torch.zeros(10)
    nested: list[Any] = []
    for _ in range(60):
        nested = [nested, ({"a": nested},)]
    cyclic: list[Any] = [1]
    cyclic.append(cyclic)
    generator = torch.Generator()
    return {
        "state-dict": Net().state_dict(),
        "trained": _trained(),
        "module": Net(),
        "linear": nn.Linear(2, 2),
        "parameter": nn.Parameter(torch.zeros(3)),
        "parameter-attribute": _with_attribute(),
        "buffer": nn.Buffer(torch.zeros(3)),
        "subclass": torch.zeros(3).as_subclass(Masked),
        "tied": {"a": tied, "b": tied, "part": tied[2:5], "turned": torch.zeros(2, 3).t()},
        "empty-tensor": torch.zeros(0, 3),
        "scalar-tensor": torch.tensor(3.0),
        "gradient": torch.zeros(3, requires_grad=True),
        "conjugated": torch.zeros(3, dtype=torch.complex64).conj(),
        "negated": torch.zeros(3, dtype=torch.complex64).conj().imag,
        "sparse-coo": dense.to_sparse(),
        "sparse-csr": dense.to_sparse_csr(),
        "sparse-csc": dense.to_sparse_csc(),
        "sparse-bsr": torch.eye(4).to_sparse_bsr((2, 2)),
        "quantized": _quantized(per_channel=False),
        "quantized-channel": _quantized(per_channel=True),
        "nested-tensor": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        "jagged": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
        "meta": torch.zeros(3, device="meta"),
        "storage": torch.zeros(3).untyped_storage(),
        "typed-storage": torch.zeros(3).storage(),
        "numpy-scalar": {"score": numpy.float64(0.5)},
        "numpy-float32": {"score": numpy.float32(0.5)},
        "numpy-bool": {"score": numpy.bool_(True)},
        "numpy-array": {"scores": numpy.arange(3)},
        "numpy-text": {"names": numpy.array(["a", "bc"])},
        "numpy-objects": {"names": numpy.array([{}, None], dtype=object)},
        "numpy-dtype": numpy.dtype("float32"),
        "numpy-state": numpy.random.get_state(),
        "numpy-generator": numpy.random.default_rng(1),
        "python-state": random.getstate(),
        "torch-state": torch.get_rng_state(),
        "generator": generator.get_state(),
        "ordered": collections.OrderedDict(a=1, b=collections.OrderedDict()),
        "counter": collections.Counter("hello"),
        "defaultdict-empty": collections.defaultdict(list),
        "defaultdict": collections.defaultdict(list, a=[1]),
        "deque": collections.deque([1, 2]),
        "set": {1, "two", (3, 4)},
        "set-empty": set(),
        "frozenset": frozenset({1}),
        "bytes": b"\x00\xff raw",
        "bytes-empty": b"",
        "bytearray": bytearray(b"\x80 raw"),
        "bytearray-empty": bytearray(),
        "complex": 1 + 2j,
        "range": range(3),
        "slice": slice(1, 2),
        "ellipsis": ...,
        "not-implemented": NotImplemented,
        "int-class": int,
        "numbers": [0, 1, 255, 256, 65_536, -1, 1 << 40, -(1 << 80), 1 << 900, 0.1, 1e300],
        "huge-number": 1 << 3_000,
        "text": "ünïcode \U0001f600 " * 20,
        "surrogate": "\ud800",
        "nested": nested,
        "cyclic": cyclic,
        "namedtuple": Point(1, 2),
        "dict-config": {"hyper_parameters": DictConfig({"lr": 0.1}), "state_dict": {}},
        "path": pathlib.PurePosixPath("a/b"),
        "posix-path": Path("a/b"),
        "partial": functools.partial(sorted, reverse=True),
        "partial-torch": functools.partial(torch.optim.SGD, lr=0.1),
        "enum": Colour.RED,
        "int-enum": Level.LOW,
        "dataclass": Settings(),
        "dataclass-slots": Slotted(),
        "namespace": argparse.Namespace(lr=0.1, layers=[1]),
        "simple-namespace": types.SimpleNamespace(a=1),
        "datetime": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
        "timedelta": datetime.timedelta(1),
        "decimal": decimal.Decimal("0.1"),
        "fraction": fractions.Fraction(1, 3),
        "uuid": uuid.UUID(int=1),
        "size": torch.Size([1, 2]),
        "device": torch.device("cuda", 1),
        "device-cpu": torch.device("cpu"),
        "dtype": [torch.float32, torch.bfloat16, torch.int4, torch.uint7],
        "layout": torch.sparse_coo,
        "memory-format": torch.channels_last,
        "qscheme": torch.per_tensor_affine,
        "attribute-dict": AttributeDict(a=1),
        "attribute-dict-empty": AttributeDict(),
        "list-class": Names(["a"]),
        "list-class-empty": Names(),
        "inner-class": Outer.Inner(),
        "class": Settings,
        "function": os.path.join,
        "reduced": Reduced(),
        "stated": Stated(),
        "runs": Runs(),
        "evaluates": Evaluates(),
        "builtin": print,
        "exception": ValueError("a"),
        "loss": nn.CrossEntropyLoss(),
        "scheduler": torch.optim.lr_scheduler.StepLR(
            torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), 3
        ),
        "optimizer": torch.optim.Adam(nn.Linear(1, 1).parameters()),
        "key-tuple": {(1, "a"): 1, 2: 3, None: 4, 1.5: 6, True: 7},
        "key-dtype": {torch.float32: 1, torch.device("cpu"): 2},
        "unsigned-many": {f"layer{n}.weight": torch.zeros(2, 3) for n in range(400)},
        **{f"dtype-{name}": {"w": _tensor(name)} for name in DTYPES},
    }


def _legacy(value: object, path: Path, protocol: int = 2) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False, pickle_protocol=protocol)


def _rewritten(path: Path, pickled: bytes) -> None:
    """Put another pickle into an archive of torch's."""
    with zipfile.ZipFile(path) as archive:
        entries = [(one.filename, archive.read(one)) for one in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, pickled if name.endswith("/data.pkl") else data)


def _crafted() -> dict[str, bytes]:
    """Return pickles that no writer makes, by name."""
    head = b"\x80\x02"
    return {
        "blocked-os": head + b"cos\ngetcwd\n.",
        "blocked-posix": head + b"cposix\ngetcwd\n.",
        "blocked-sys": head + b"c__builtin__\nintern\n.",
        "blocked-child": head + b"cos.path\njoin\n.",
        "python2-set": head + b"c__builtin__\nset\nq\x00]q\x01K\x01a\x85q\x02Rq\x03.",
        "python2-text": head + b"U\x03abcq\x00.",
        "python2-bytes": head + b"U\x02\xff\xfeq\x00.",
        "long-string": head + b"T\x03\x00\x00\x00abc.",
        "text-protocol": b"(dp0\nVa\np1\nI1\ns.",
        "reconstructor": b"ccopy_reg\n_reconstructor\n(c__main__\nX\nc__builtin__\nobject\nNtR.",
        "object": head + b"(c__builtin__\nset\no.",
        "instance": head + b"(ic__builtin__\nset\n.",
        "call-dtype": head + b"ctorch\nfloat32\n)R.",
        "call-storage": head + b"ctorch\nFloatStorage\n)R.",
        "call-text": head + b"X\x01\x00\x00\x00a)R.",
        "call-result": head + b"ccollections\nOrderedDict\n)R)R.",
        "new-function": head + b"c_codecs\nencode\n)\x81.",
        "new-ordered": head + b"ccollections\nOrderedDict\n)\x81.",
        "new-set": head + b"c__builtin__\nset\n]\x85\x81.",
        "new-parameter": head + b"ctorch.nn.parameter\nParameter\n)\x81.",
        "build-dict": head + b"}}b.",
        "build-ordered": head + b"ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.",
        "build-ordered-none": head + b"ccollections\nOrderedDict\n)RNb.",
        "build-ordered-empty": head + b"ccollections\nOrderedDict\n)R)b.",
        "build-counter": head + b"ccollections\nCounter\n)R}X\x01\x00\x00\x00aK\x01sb.",
        "build-set": head + b"c__builtin__\nset\n)R}X\x01\x00\x00\x00aK\x01sb.",
        "build-set-empty": head + b"c__builtin__\nset\n)R}b.",
        "build-size": head + b"ctorch\nSize\n)\x85R}b.",
        "build-device": head + b"ctorch\ndevice\nX\x03\x00\x00\x00cpu\x85R}b.",
        "append-tuple": head + b")K\x01a.",
        "append-set": head + b"\x8fK\x01a.",
        "empty-set": head + b"\x8f.",
        "add-items": head + b"\x8f(K\x01\x90.",
        "set-in-set": head + b"c__builtin__\nset\n]\x8fa\x85R.",
        "setitem-list": head + b"]K\x00K\x01s.",
        "key-list": head + b"}]K\x01s.",
        "key-tuple-list": head + b"}]\x85K\x01s.",
        "key-set": head + b"}\x8fK\x01s.",
        "odd-items": head + b"}(K\x01u.",
        "dup": head + b"K\x012.",
        "pop": head + b"K\x01K\x020.",
        "underflow": head + b"\x86.",
        "no-memo": head + b"h\x05.",
        "stop-alone": head + b".",
        "proto-9": b"\x80\x09K\x01.",
        "no-proto": b"K\x01.",
        "proto-4-bare": b"\x80\x04K\x01.",
        "memoize": head + b"K\x01\x94.",
        "frame": b"\x80\x04\x95\x02\0\0\0\0\0\0\0K\x01.",
        "bad-utf8": head + b"X\x02\x00\x00\x00\xff\xfe.",
        "pid-int": head + b"K\x01Q.",
        "pid-text": head + b"X\x01\x00\x00\x00aQ.",
        "pid-module": head + b"(X\x06\x00\x00\x00modulec__main__\nX\nNNtQ.",
        "pid-short": head + b"X\x07\x00\x00\x00storage\x85Q.",
        "pid-dtype": head
        + b"(X\x07\0\0\0storagectorch\nfloat32\nX\x01\0\0\x000X\x03\0\0\0cpuK\x00tQ.",
        "pid-typed": head
        + b"(X\x07\0\0\0storagectorch.storage\nTypedStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x00tQ.",
        "encode-latin": head + b"c_codecs\nencode\nX\x02\0\0\0\xc3\xbfX\x06\0\0\0latin1\x86R.",
        "encode-wide": head + b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xacX\x06\0\0\0latin1\x86R.",
        "encode-default": head + b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xac\x85R.",
        "device-unknown": head + b"ctorch\ndevice\nX\x05\0\0\0bogus\x85R.",
        "device-indexed": head + b"ctorch\ndevice\nX\x06\0\0\0cuda:1\x85R.",
        "device-twice": head + b"ctorch\ndevice\nX\x06\0\0\0cuda:1K\x01\x86R.",
        "layout-unknown": head + b"ctorch.serialization\n_get_layout\nX\x05\0\0\0torch\x85R.",
        "size-text": head + b"ctorch\nSize\nX\x01\0\0\0a\x85\x85R.",
        "ordered-pairs": head + b"ccollections\nOrderedDict\n](K\x01K\x02\x86K\x03K\x04\x86e\x85R.",
        "ordered-triple": head + b"ccollections\nOrderedDict\n]K\x01K\x02K\x03\x87a\x85R.",
        "ordered-number": head + b"ccollections\nOrderedDict\nK\x01\x85R.",
        "ordered-two": head + b"ccollections\nOrderedDict\n}}\x86R.",
        "counter-list": head + b"ccollections\nCounter\n]K\x01a\x85R.",
        "counter-none": head + b"ccollections\nCounter\nN\x85R.",
        "counter-number": head + b"ccollections\nCounter\nK\x01\x85R.",
        "set-number": head + b"c__builtin__\nset\nK\x01\x85R.",
        "complex-text": head + b"c__builtin__\ncomplex\nN\x85R.",
        "bytearray-latin": head
        + b"c__builtin__\nbytearray\nX\x02\0\0\0\xc3\xbfX\x07\0\0\0latin-1\x86R.",
        "bytearray-none": head + b"c__builtin__\nbytearray\nN\x85R.",
        "parameter-number": head + b"ctorch.nn.parameter\nParameter\nK\x01\x85R.",
        "parameter-none": head + b"ctorch.nn.parameter\nParameter\nN\x85R.",
        "tensor-none": head + b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00)))N)tR.",
        "meta-short": head + b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R.",
        "args-number": head + b"c__builtin__\nset\nK\x01R.",
        "args-list": head + b"c__builtin__\nset\n]R.",
        "qualified": head + b"ctorch.nn\nparameter.Parameter\n)R.",
        "unfinished": head + b"K\x01",
    }


_KEPT = ("state-dict", "trained", "path", "numpy-array", "set", "bytes", "text", "ordered")
"""Written in each protocol, and as a legacy file and a plain pickle too."""


def make(folder: Path, fuzz: int = 300) -> Iterator[Path]:
    """Write every file, and give its path."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    objects = _objects()
    for name, value in objects.items():
        path = folder / f"zip-{name}.pt"
        try:
            torch.save(value, path)
        except (TypeError, AttributeError, pickle.PicklingError, RuntimeError):
            path.unlink(missing_ok=True)  # torch does not write it
            continue
        yield path
        path = folder / f"legacy-{name}.pt"
        try:
            _legacy(value, path)
        except (TypeError, AttributeError, pickle.PicklingError, RuntimeError, KeyError):
            path.unlink(missing_ok=True)
            continue
        yield path
    for protocol in (2, 3, 4, 5):
        for name in _KEPT:
            path = folder / f"zip-{protocol}-{name}.pt"
            torch.save(objects[name], path, pickle_protocol=protocol)
            yield path
            path = folder / f"legacy-{protocol}-{name}.pt"
            _legacy(objects[name], path, protocol)
            yield path
            path = folder / f"pickle-{protocol}-{name}.pt"
            path.write_bytes(pickle.dumps(objects[name], protocol))
            yield path
    for name, pickled in _crafted().items():
        path = folder / f"crafted-{name}.pt"
        torch.save({}, path)
        _rewritten(path, pickled)
        yield path
    yield from _others(folder)
    for number in range(fuzz):
        path = folder / f"fuzz-{number:03}.pt"
        generator = random.Random(number)
        value = _random(generator, 0)
        if number % 4 == 3:
            _legacy(value, path)
        else:
            torch.save(value, path, pickle_protocol=generator.choice((2, 2, 2, 3, 4)))
        yield path
        if number % 3 == 0:
            yield _mutated(path, folder / f"mutated-{number:03}.pt", generator)


def _others(folder: Path) -> Iterator[Path]:
    path = folder / "torchscript.pt"
    torch.jit.script(nn.Linear(2, 2)).save(str(path))
    yield path
    whole = folder / "whole.pt"
    torch.save({"w": torch.zeros(1_000)}, whole)
    yield whole
    data = whole.read_bytes()
    for part in (40, 300, len(data) // 2, len(data) - 30):
        path = folder / f"cut-{part}.pt"
        path.write_bytes(data[:part])
        yield path
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(1_000)}, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    for part in (40, len(data) // 2, len(data) - 3):
        path = folder / f"legacy-cut-{part}.pt"
        path.write_bytes(data[:part])
        yield path
    path = folder / "legacy-behind.pt"
    path.write_bytes(data + b"more")
    yield path


_LEAVES: tuple[Any, ...] = (
    lambda g: g.randrange(-5, 300),
    lambda g: g.random(),
    lambda g: "text",
    lambda g: None,
    lambda g: g.random() < 0.5,
    lambda g: torch.zeros(g.randrange(1, 4), g.randrange(1, 4)),
    lambda g: torch.zeros(3, dtype=getattr(torch, g.choice(DTYPES[:20]))),
    lambda g: nn.Parameter(torch.zeros(2)),
    lambda g: b"\xff",
    lambda g: torch.Size([1, 2]),
    lambda g: torch.float16,
    lambda g: torch.device("cpu"),
    lambda g: collections.Counter("ab"),
    lambda g: {1, 2},
    lambda g: 1 + 2j,
    lambda g: bytearray(b"a\xfe"),
    lambda g: torch.eye(2).to_sparse(),
    lambda g: _quantized(per_channel=g.random() < 0.5),
    lambda g: nn.Linear(1, 1).state_dict(),
)
_REFUSED: tuple[Any, ...] = (
    lambda g: Path("a"),
    lambda g: Settings(),
    lambda g: AttributeDict(a=1),
    lambda g: Colour.RED,
    lambda g: numpy.float64(1),
    lambda g: numpy.arange(2),
    lambda g: frozenset({1}),
    lambda g: argparse.Namespace(a=1),
    lambda g: collections.defaultdict(int, a=1),
    lambda g: Point(1, 2),
)


def _random(generator: random.Random, depth: int) -> Any:
    """Return an object of a random structure; about every second holds what is refused."""
    if depth > 3 or generator.random() < 0.2:
        if generator.random() < 0.06:
            return generator.choice(_REFUSED)(generator)
        return generator.choice(_LEAVES)(generator)
    parts = [_random(generator, depth + 1) for _ in range(generator.randrange(4))]
    if parts and generator.random() < 0.2:
        parts.append(parts[0])
    kind = generator.randrange(5)
    if kind == 0:
        return parts
    if kind == 1:
        return tuple(parts)
    named = {f"key{place}": part for place, part in enumerate(parts)}
    if kind == 2:
        return collections.OrderedDict(named)
    return named if kind == 3 else {**named, 1: copy.copy(named), (1, "a"): None}


def _mutated(path: Path, target: Path, generator: random.Random) -> Path:
    """Write a file whose pickle has one byte changed, between its beginning and its end."""
    target.write_bytes(path.read_bytes())
    if not zipfile.is_zipfile(path):
        return target
    with zipfile.ZipFile(path) as archive:
        name = next(one for one in archive.namelist() if one.endswith("/data.pkl"))
        data = bytearray(archive.read(name))
    data[generator.randrange(2, len(data))] = generator.choice(b"()KMXRbseatq\x85\x86]}Nc.")
    _rewritten(target, bytes(data))
    return target


if __name__ == "__main__":
    for _ in make(Path(sys.argv[1])):
        pass
