"""The zoo's ONNX files and archives: numpy, NeMo, Stable-Baselines3."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from tests.oracle.damage import Zoo, zipped
from tests.oracle.models import array
from tests.oracle.variants import lightning, saved, weights

if TYPE_CHECKING:
    pass


def _onnx_model(seed: int, ir: int = 9, opset: int = 17) -> Any:
    tensors = [
        numpy_helper.from_array(array(seed, 16, 8), "w"),
        numpy_helper.from_array(array(seed + 50, 8), "b"),
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Add", ["y", "b"], ["z"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 8])],
        tensors,
    )
    model = helper.make_model(
        graph, producer_name="pytorch", opset_imports=[helper.make_opsetid("", opset)]
    )
    model.ir_version = ir
    return model


def fill_onnx(zoo: Zoo) -> None:
    """Add ONNX files, alone and with their numbers in a file beside."""
    content = _onnx_model(1).SerializeToString()
    data = array(1, 16, 8).tobytes()
    zoo.damage_file("onnx", "model.onnx", "onnx", content, data)
    zoo.write(
        _onnx_model(2).SerializeToString(),
        "onnx",
        "whole",
        "model.onnx",
        "onnx",
        note="another seed",
    )
    for ir, opset in ((3, 9), (7, 13), (10, 20)):
        zoo.write(
            _onnx_model(1, ir, opset).SerializeToString(),
            "onnx",
            "other writer",
            "model.onnx",
            "onnx",
            note=f"IR {ir}, opset {opset}",
        )
    for note, change in (
        ("without its graph", lambda model: model.ClearField("graph")),
        ("without the opset", lambda model: model.ClearField("opset_import")),
        ("without the IR version", lambda model: model.ClearField("ir_version")),
        (
            "a tensor has no numbers",
            lambda model: model.graph.initializer[0].ClearField("raw_data"),
        ),
        (
            "a tensor has too few numbers",
            lambda model: setattr(model.graph.initializer[0], "raw_data", data[:100]),
        ),
        ("without its initializers", lambda model: model.graph.ClearField("initializer")),
    ):
        model = _onnx_model(1)
        change(model)
        zoo.write(
            model.SerializeToString(), "onnx", "part missing", "model.onnx", "onnx", note=note
        )
    for note, change in (
        (
            "a dtype that is none",
            lambda model: setattr(model.graph.initializer[0], "data_type", 99),
        ),
        ("a shape against its bytes", lambda model: model.graph.initializer[0].dims.append(3)),
    ):
        model = _onnx_model(1)
        change(model)
        zoo.write(model.SerializeToString(), "onnx", "wrong type", "model.onnx", "onnx", note=note)
    zoo.write(
        content + content, "onnx", "other writer", "model.onnx", "onnx", note="twice in one file"
    )
    zoo.write(
        content + bytes(16),
        "onnx",
        "other writer",
        "model.onnx",
        "onnx",
        note="zeros behind the end",
    )
    _external_onnx(zoo, data)


def _external_onnx(zoo: Zoo, data: bytes) -> None:
    kind = "onnx-external"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(
            _onnx_model(1),
            str(path),
            save_as_external_data=True,
            location="model.onnx.data",
            size_threshold=100,
        )
        content, beside = path.read_bytes(), Path(folder, "model.onnx.data").read_bytes()

    def write(
        damage: str, note: str, content: bytes, beside: bytes | None, name: str = "model.onnx.data"
    ) -> None:
        path = zoo.place(kind, damage, "model.onnx", "onnx", note)
        path.write_bytes(content)
        if beside is not None:
            (path.parent / name).parent.mkdir(exist_ok=True)
            (path.parent / name).write_bytes(beside)

    write("whole", "", content, beside)
    middle = content.index(b"location")
    write("cut near the start", "", content[:20], beside)
    write("cut in the middle", "", content[:middle], beside)
    write("cut by a byte", "", content[:-1], beside)
    write("cut in the middle", "of the data file", content, beside[: len(beside) // 2])
    write("cut by a byte", "of the data file", content, beside[:-1])
    write("bit flipped in data", "", content, beside[:9] + bytes([beside[9] ^ 1]) + beside[10:])
    write(
        "bit flipped in structure",
        "the location's name",
        content.replace(b"model.onnx.data", b"model.onnx.dbta"),
        beside,
    )
    write("part missing", "without the data file", content, None)
    write("part missing", "the data file is empty", content, b"")
    write("part missing", "the data file has another name", content, beside, "weights.bin")
    write(
        "part missing",
        "the data file is in another folder",
        content,
        beside,
        "data/model.onnx.data",
    )
    write(
        "wrong type",
        "the location leads out of the folder",
        content.replace(b"model.onnx.data", b"../model.onnx.d"),
        beside,
        "../model.onnx.d",
    )
    write("other writer", "more behind the data", content, beside + bytes(100))


def fill_archives(zoo: Zoo) -> None:
    """Add numpy's archives, NeMo's tar and Stable-Baselines3's zip."""
    data = array(1, 16, 8).tobytes()
    memory = io.BytesIO()
    np.savez(memory, w=array(1, 16, 8), b=array(2, 8))
    content = memory.getvalue()
    zoo.damage_file("npz", "params.npz", "npz", content, data)
    zoo.write(
        zipped(content, {"b.npy": None}),
        "npz",
        "part missing",
        "params.npz",
        "npz",
        note="without an array",
    )
    zoo.write(
        zipped(content, {"b.npy": b""}),
        "npz",
        "part missing",
        "params.npz",
        "npz",
        note="an array is empty",
    )
    zoo.write(
        zipped(content, method=zipfile.ZIP_DEFLATED),
        "npz",
        "other writer",
        "params.npz",
        "npz",
        note="compressed",
    )
    _fill_nemo(zoo)
    _fill_stable_baselines(zoo)


def _tarred(parts: dict[str, bytes], mode: str = "w") -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in parts.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def _fill_nemo(zoo: Zoo) -> None:
    kind, name, judge = "nemo", "asr.nemo", "nemo"
    config = yaml.safe_dump(
        {
            "target": "nemo.collections.asr.models.EncDecCTCModel",
            "sample_rate": 16000,
            "nemo_version": "1.23.0",
        }
    ).encode()
    parts = {"model_config.yaml": config, "model_weights.ckpt": saved(weights())}
    content = _tarred(parts)
    zoo.damage_file(kind, name, judge, content, weights()["first.weight"].numpy().tobytes())
    other = {"model_config.yaml": config, "model_weights.ckpt": saved(weights(1))}
    zoo.write(_tarred(other), kind, "whole", name, judge, note="another seed")
    for part in parts:
        zoo.write(
            _tarred({**parts, part: b""}),
            kind,
            "part missing",
            name,
            judge,
            note=f"{part} is empty",
        )
        rest = {key: value for key, value in parts.items() if key != part}
        zoo.write(_tarred(rest), kind, "part missing", name, judge, note=f"without {part}")
    zoo.write(
        _tarred({**parts, "model_weights.ckpt": parts["model_weights.ckpt"][:-900]}),
        kind,
        "part missing",
        name,
        judge,
        note="its weights are cut",
    )
    zoo.write(
        _tarred({**parts, "model_weights.ckpt": b"text"}),
        kind,
        "wrong type",
        name,
        judge,
        note="its weights are a text",
    )
    zoo.write(_tarred(parts, "w:gz"), kind, "other writer", name, judge, note="compressed")


def _stable_baselines() -> dict[str, bytes]:
    """Return the parts of a zip as Stable-Baselines3 2.3 writes it."""

    def serialized(name: str) -> dict[str, str]:
        return {":type:": f"<class '{name}'>", ":serialized:": "gAWV"}

    data = {
        "policy_class": serialized("abc.ABCMeta"),
        "observation_space": serialized("gymnasium.spaces.box.Box"),
        "action_space": serialized("gymnasium.spaces.discrete.Discrete"),
        "gamma": 0.99,
        "num_timesteps": 5000,
        "start_time": 1_700_000_000_000_000_000,
    }
    return {
        "data": json.dumps(data).encode(),
        "policy.pth": saved(weights()),
        "policy.optimizer.pth": saved(lightning(weights())["optimizer_states"][0]),
        "pytorch_variables.pth": saved({}),
        "_stable_baselines3_version": b"2.3.0",
        "system_info.txt": b"- OS: Linux\n- Python: 3.10\n- Stable-Baselines3: 2.3.0\n",
    }


def _fill_stable_baselines(zoo: Zoo) -> None:
    kind, name, judge = "stable-baselines3", "CartPole-v1.zip", "stable_baselines"
    parts = _stable_baselines()
    content = _zipped_parts(parts)
    zoo.damage_file(kind, name, judge, content, weights()["first.weight"].numpy().tobytes())

    def change(damage: str, note: str, part: str, new: bytes | None) -> None:
        changed = {key: new if key == part else value for key, value in parts.items()}
        left = {key: value for key, value in changed.items() if value is not None}
        zoo.write(_zipped_parts(left), kind, damage, name, judge, note=note)

    change("whole", "another seed", "policy.pth", saved(weights(1)))
    later = parts["data"].replace(b"5000", b"9000")
    change("whole", "other hyper-parameters", "data", later)
    for part in ("data", "policy.pth", "_stable_baselines3_version", "policy.optimizer.pth"):
        change("part missing", f"without {part}", part, None)
    change("part missing", "its policy is cut", "policy.pth", parts["policy.pth"][:-700])
    change("wrong type", "its policy is a text", "policy.pth", b"text")
    change("wrong type", "its data is no JSON", "data", b"\x80\x04")
    compressed = zipped(content, method=zipfile.ZIP_DEFLATED)
    zoo.write(compressed, kind, "other writer", name, judge, note="compressed")


def _zipped_parts(parts: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return memory.getvalue()
