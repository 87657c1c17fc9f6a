"""Writes small model files of other kinds than torch's, as their own libraries lay them out."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

from tests.support.torch_files import FakeTensor, write_torch_zip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SIZES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 30: (1, 2)}
"""Numbers and bytes of a block by ggml's type: F32, F16, Q4_0, BF16."""


def gguf_text(text: str, order: str = "<") -> bytes:
    """Return a text as GGUF has it."""
    return struct.pack(f"{order}Q", len(text.encode())) + text.encode()


def gguf_value(value: Any, order: str = "<") -> bytes:
    """Return a value behind its type: text, bool, int (32 bits), float (32 bits), or a list."""
    kinds = {str: 8, bool: 7, int: 4, float: 6, list: 9}
    kind = struct.pack(f"{order}I", kinds[type(value)])
    if isinstance(value, str):
        return kind + gguf_text(value, order)
    if isinstance(value, list):
        parts = [gguf_value(part, order) for part in value]
        of = parts[0][:4] if parts else struct.pack(f"{order}I", 8)
        return kind + of + struct.pack(f"{order}Q", len(value)) + b"".join(p[4:] for p in parts)
    form = "?" if isinstance(value, bool) else "I" if isinstance(value, int) else "f"
    return kind + struct.pack(order + form, value)


def gguf(
    pairs: dict[str, Any] | None = None,
    tensors: Sequence[tuple[str, int, tuple[int, ...]]] = (("w", 0, (4, 2)), ("q", 2, (64,))),
    *,
    order: str = "<",
    version: int = 3,
    offsets: Sequence[int] | None = None,
    alignment: int = 32,
) -> bytes:
    """Return a GGUF file of zeros.

    Args:
        pairs: its keys and values.
        tensors: (name, type, shape with the innermost dimension first).
        order: `<` or `>`.
        version: of the format.
        offsets: of the tensors, where other than those that the writer gives.
        alignment: of the data; it is stated where it is not 32.
    """
    pairs = {"general.architecture": "llama", "llama.rope.scale": 1e-05} if pairs is None else pairs
    head = b"GGUF" + struct.pack(f"{order}IQQ", version, len(tensors), len(pairs))
    head += b"".join(gguf_text(key, order) + gguf_value(pairs[key], order) for key in pairs)
    at = 0
    for place, (name, kind, shape) in enumerate(tensors):
        numbers, size = _SIZES[kind]
        count = 1
        for length in shape:
            count *= length
        offset = at if offsets is None else offsets[place]
        head += gguf_text(name, order) + struct.pack(f"{order}I", len(shape))
        head += struct.pack(f"{order}{len(shape)}QIQ", *shape, kind, offset)
        at += count // numbers * size
        at += -at % alignment
    return head + bytes(-len(head) % alignment) + bytes(at)


def torch_bytes(folder: Path, content: Any) -> bytes:
    """Return what `torch.save(content)` would write."""
    path = write_torch_zip(folder / "scratch.pth", content)
    data = path.read_bytes()
    path.unlink()
    return data


def nemo(
    path: Path,
    config: str | None = "target: nemo.asr.Model\nnemo_version: 1.20.0\nlabels: [a, b]\n",
    *,
    has_weights: bool = True,
    form: str = "w",
) -> Path:
    """Write a NeMo model: a tar archive."""
    weights = torch_bytes(path.parent, {"encoder.weight": FakeTensor(shape=(3, 5))})
    with tarfile.open(path, form) as archive:  # type: ignore[call-overload]
        for name, data in (
            ("./model_config.yaml", None if config is None else config.encode()),
            ("./vocab.txt", b"a\nb\n"),
            ("./model_weights.ckpt", weights if has_weights else None),
        ):
            if data is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


SB3_DATA: dict[str, Any] = {
    "policy_class": {
        ":type:": "<class 'abc.ABCMeta'>",
        ":serialized:": "gAWVMAAAAAA=",
        "__module__": "stable_baselines3.dqn.policies",
        "__doc__": "Policy class.",
        "__init__": "<function DQNPolicy.__init__ at 0x7f0>",
    },
    "observation_space": {
        ":type:": "<class 'gymnasium.spaces.box.Box'>",
        ":serialized:": "gAWVMAAAAAA=",
        "dtype": "float32",
        "_shape": [4],
        "low": "[-4.8 -inf]",
    },
    "action_space": {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": "2"},
    "replay_buffer_class": {
        ":type:": "<class 'abc.ABCMeta'>",
        ":serialized:": "gAWVMAAAAAA=",
        "__module__": "stable_baselines3.common.buffers",
        "add": "<function ReplayBuffer.add at 0x7f0>",
    },
    "exploration_schedule": {
        ":type:": "<class 'stable_baselines3.common.utils.LinearSchedule'>",
        ":serialized:": "gAWVMAAAAAA=",
        "start": 1.0,
    },
    "learning_rate": 0.0023,
    "gamma": 0.99,
    "seed": None,
    "num_timesteps": 50_000,
    "_total_timesteps": 50_000,
    "start_time": 1_665_592_000_123_456_789,
    "_last_obs": {":type:": "<class 'numpy.ndarray'>", ":serialized:": "gAWV"},
}


def stable_baselines(
    path: Path,
    *,
    version: str | None = "2.1.0",
    data: bytes | None = None,
    variables: Any = None,
    without: str = "",
) -> Path:
    """Write a model as Stable-Baselines3 does; older versions wrote no version."""
    policy = torch_bytes(path.parent, {"q_net.weight": FakeTensor(shape=(2, 4))})
    others = torch_bytes(path.parent, {} if variables is None else variables)
    entries = {
        "data": json.dumps(SB3_DATA).encode() if data is None else data,
        "pytorch_variables.pth": others,
        "policy.pth": policy,
        "policy.optimizer.pth": torch_bytes(path.parent, {"state": {}, "param_groups": []}),
        "system_info.txt": b"- OS: Linux-5.4\n- Python: 3.10.9\n- PyTorch: 2.0.1\n",
    }
    if version is not None:
        entries["_stable_baselines3_version"] = version.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if name != without:
                archive.writestr(name, content)
    return path


def exported(path: Path, *, weights: Sequence[str] = ("weight_0", "weight_1")) -> Path:
    """Write a program as `torch.export.save` does since torch 2.8."""
    meta = {"dtype": 7, "sizes": [{"as_int": 3}, {"as_int": 4}]}
    config = {
        "config": {
            f"fc.{place}": {"path_name": f"weight_{place}", "is_param": True, "tensor_meta": meta}
            for place in range(2)
        }
    }
    graph: dict[str, Any] = {"graph_module": {}, "schema_version": {"major": 8, "minor": 20}}
    graph |= {"verifiers": ["TRAINING"], "torch_version": "2.13.0+cpu", "guards_code": []}
    with zipfile.ZipFile(path, "w") as archive:
        for name in weights:
            archive.writestr(f"e/data/weights/{name}", bytes(48))
        archive.writestr("e/data/weights/model_weights_config.json", json.dumps(config))
        archive.writestr("e/models/model.json", json.dumps(graph))
        archive.writestr("e/archive_format", "pt2")
        archive.writestr("e/archive_version", "0")
        archive.writestr("e/byteorder", "little")
    return path


def arrays(path: Path, *names: str) -> Path:
    """Write an archive as `numpy.savez` does."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names or ("w",):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\1\0v\0" + bytes(118))
    return path
