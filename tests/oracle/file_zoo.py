"""The zoo's single files of other libraries: safetensors, HDF5, Keras, ONNX, GGUF, numpy and zips."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import h5py
import numpy as np
import onnx
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from tests.oracle.damage import Zoo, zipped
from tests.oracle.models import array, numbers
from tests.oracle.torch_zoo import changed, lightning, saved, weights

if TYPE_CHECKING:
    from collections.abc import Iterator


def _tensors(header: Any, data: bytes, *, text: bytes | None = None, pad: int = 0) -> bytes:
    """Return a safetensors file with this header, or this text for one."""
    raw = text if text is not None else json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * pad
    return struct.pack("<Q", len(raw)) + raw + data


def _entry(start: int, end: int, dtype: str = "F32", shape: Any = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape or [(end - start) // 4], "data_offsets": [start, end]}


def _odd_safetensors() -> Iterator[tuple[str, str, bytes]]:
    """Yield (damage, note, content) of headers as writers, and accidents, make them."""
    data = array(1, 16).tobytes()
    two = {"a": _entry(0, 32), "b": _entry(32, 64)}
    yield (
        "part missing",
        "a tensor has no offsets",
        _tensors({**two, "b": {"dtype": "F32", "shape": [8]}}, data),
    )
    yield (
        "part missing",
        "a gap between tensors",
        _tensors({"a": _entry(0, 24), "b": _entry(32, 64)}, data),
    )
    yield "part missing", "bytes before the first tensor", _tensors({"a": _entry(32, 64)}, data)
    yield (
        "part missing",
        "tensors overlap",
        _tensors({"a": _entry(0, 40), "b": _entry(32, 64)}, data),
    )
    yield "part missing", "bytes behind the last tensor", _tensors(two, data + bytes(8))
    yield "part missing", "the last tensor's bytes", _tensors(two, data[:32])
    yield (
        "part missing",
        "a header of no tensors",
        _tensors({"__metadata__": {"format": "pt"}}, b""),
    )
    yield "part missing", "no header", _tensors(None, b"", text=b"")
    yield (
        "wrong type",
        "metadata is a number",
        _tensors({"__metadata__": {"epoch": 3}, **two}, data),
    )
    yield (
        "wrong type",
        "metadata is nested",
        _tensors({"__metadata__": {"a": {"b": "c"}}, **two}, data),
    )
    yield "wrong type", "metadata is a list", _tensors({"__metadata__": ["a"], **two}, data)
    yield "wrong type", "metadata is null", _tensors({"__metadata__": None, **two}, data)
    yield "wrong type", "an unknown dtype", _tensors({**two, "b": _entry(32, 64, "F33")}, data)
    yield (
        "wrong type",
        "a dtype in small letters",
        _tensors({**two, "b": _entry(32, 64, "f32")}, data),
    )
    yield (
        "wrong type",
        "shape against bytes",
        _tensors({**two, "b": _entry(32, 64, shape=[3, 3])}, data),
    )
    yield (
        "wrong type",
        "a negative dimension",
        _tensors({**two, "b": _entry(32, 64, shape=[-8])}, data),
    )
    yield (
        "wrong type",
        "a dimension is a fraction",
        _tensors({**two, "b": _entry(32, 64, shape=[8.0])}, data),
    )
    yield (
        "wrong type",
        "a dimension of 2**70",
        _tensors({**two, "b": _entry(32, 64, shape=[2**70])}, data),
    )
    yield (
        "wrong type",
        "dimensions whose product is too large",
        _tensors({**two, "b": _entry(32, 64, shape=[2**40, 2**40])}, data),
    )
    yield (
        "wrong type",
        "a shape is a text",
        _tensors({**two, "b": {**_entry(32, 64), "shape": "8"}}, data),
    )
    yield (
        "wrong type",
        "three offsets",
        _tensors({**two, "b": {**_entry(32, 64), "data_offsets": [32, 64, 64]}}, data),
    )
    yield (
        "wrong type",
        "offsets the wrong way round",
        _tensors({**two, "b": {**_entry(32, 64), "data_offsets": [64, 32]}}, data),
    )
    yield "wrong type", "the header is a list", _tensors([two], data)
    yield "wrong type", "the header is no JSON", _tensors(None, data, text=b"{'a': 1}")
    yield (
        "wrong type",
        "the header is no UTF-8",
        _tensors(None, data, text=b'{"\xff": {"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'),
    )
    yield "wrong type", "a tensor is a number", _tensors({**two, "b": 7}, data)
    yield (
        "wrong type",
        "one name twice",
        _tensors(
            None,
            data,
            text=b'{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"a":{"dtype":"F32","shape":[8],"data_offsets":[32,64]}}',
        ),
    )
    yield (
        "wrong type",
        "one name twice, same place",
        _tensors(
            None,
            data[:32],
            text=b'{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}',
        ),
    )
    yield (
        "wrong type",
        "metadata twice",
        _tensors(
            None,
            data,
            text=b'{"__metadata__":{"a":"b"},"__metadata__":{"a":"c"},"w":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}',
        ),
    )
    yield (
        "wrong type",
        "one metadata key twice",
        _tensors(
            None,
            data,
            text=b'{"__metadata__":{"a":"b","a":"c"},"w":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}',
        ),
    )
    yield (
        "wrong type",
        "NaN in the header",
        _tensors(
            None, data, text=b'{"w":{"dtype":"F32","shape":[16],"data_offsets":[0,64],"x":NaN}}'
        ),
    )
    yield (
        "wrong type",
        "a field of its own",
        _tensors({**two, "b": {**_entry(32, 64), "note": "x"}}, data),
    )
    yield "wrong type", "a header of a length beyond the file", struct.pack("<Q", 10_000) + b"{}"
    yield "wrong type", "a header of a length beyond all limits", struct.pack("<Q", 1 << 40) + b"{}"
    yield "other writer", "a header of spaces at its end", _tensors(two, data, pad=21)
    yield (
        "other writer",
        "a header of spaces at its start",
        _tensors(None, data, text=b"  " + json.dumps(two).encode()),
    )
    yield (
        "other writer",
        "a header of lines",
        _tensors(None, data, text=json.dumps(two, indent=1).encode()),
    )
    yield "other writer", "an unaligned header", _tensors(two, data, pad=1)
    yield (
        "other writer",
        "names in another order than the data",
        _tensors({"b": two["b"], "a": two["a"]}, data),
    )
    yield "other writer", "an empty tensor", _tensors({**two, "c": _entry(64, 64, shape=[0])}, data)
    yield (
        "other writer",
        "an empty tensor between",
        _tensors({"a": two["a"], "c": _entry(32, 32, shape=[0, 4]), "b": two["b"]}, data),
    )
    yield "other writer", "a scalar", _tensors({"a": {**_entry(0, 4), "shape": []}}, data[:4])
    yield (
        "other writer",
        "names of all alphabets",
        _tensors({"a\u00e4\U0001f600": two["a"], "": two["b"]}, data),
    )
    yield (
        "other writer",
        "escaped surrogates in a name",
        _tensors(
            None, data, text=b'{"\\ud800":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'
        ),
    )
    for dtype, width in (
        ("F8_E4M3", 1),
        ("F8_E5M2", 1),
        ("F8_E8M0", 1),
        ("F8_E4M3FNUZ", 1),
        ("BF16", 2),
        ("U16", 2),
        ("U64", 8),
        ("C64", 8),
        ("F4", 0.5),
        ("F6_E2M3", 0.75),
        ("BOOL", 1),
    ):
        yield (
            "other writer",
            f"dtype {dtype}",
            _tensors({"a": _entry(0, 48, dtype, [int(48 / width)])}, bytes(48)),
        )


def fill_safetensors(zoo: Zoo) -> None:
    """Add safetensors files."""
    format, name, judge = "safetensors", "model.safetensors", "safetensors"
    state = {key: value.clone() for key, value in weights().items()}
    content = save(state, metadata={"format": "pt"})
    zoo.damage_file(format, name, judge, content, state["first.weight"].numpy().tobytes())
    near = {key: value.clone() for key, value in changed(weights()).items()}
    swapped = {**state, "norm.weight": state["norm.bias"], "norm.bias": state["norm.weight"]}
    cast = {**state, "first.weight": state["first.weight"].view(torch.int32)}
    for note, variant, metadata in (
        ("a number differs", near, {"format": "pt"}),
        ("two tensors change places", swapped, {"format": "pt"}),
        ("same bytes as integers", cast, {"format": "pt"}),
        ("other metadata", state, {"format": "pt", "epoch": "3", "step": "100"}),
        ("no metadata", state, None),
    ):
        zoo.write(save(variant, metadata=metadata), format, "whole", name, judge, note=note)
    for damage, note, content in _odd_safetensors():
        is_model = note != "a header of no tensors"
        zoo.write(content, format, damage, name, judge, note=note, is_model=is_model)
    zoo.write(
        saved(weights()), format, "wrong type", name, judge, note="a torch archive under this name"
    )


def keras_model(seed: int, units: int = 8) -> Any:
    """Return a Keras model with two layers."""
    import keras

    keras.utils.clear_session()
    layers = [
        keras.Input((16,), name="in"),
        keras.layers.Dense(units, name="first"),
        keras.layers.Dense(4, name="second"),
    ]
    model = keras.Sequential(layers, name="tiny")
    model.set_weights([array(seed * 10 + n, *w.shape) for n, w in enumerate(model.get_weights())])
    return model


def fill_keras(zoo: Zoo) -> None:
    """Add what Keras saves: its zip, its HDF5, weights alone."""
    first = array(0, 16, 8).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for seed in (0, 1):
            model = keras_model(seed)
            for name in ("model.keras", "model.h5", "model.weights.h5"):
                path = Path(folder, f"{seed}{name}")
                model.save_weights(path) if "weights" in name else model.save(path)
                made[seed, name] = path.read_bytes()
            h5 = Path(folder, f"{seed}old.h5")
            _old_weights(h5, model)
            made[seed, "old.h5"] = h5.read_bytes()
    stored = zipped(made[0, "model.keras"])
    zoo.damage_file("keras", "model.keras", "keras_model", stored, first)
    for part in ("metadata.json", "config.json", "model.weights.h5"):
        zoo.write(
            zipped(stored, {part: None}),
            "keras",
            "part missing",
            "model.keras",
            "keras_model",
            note=f"without {part}",
        )
    zoo.write(
        zipped(stored, {"model.weights.h5": made[0, "model.weights.h5"][:2000]}),
        "keras",
        "part missing",
        "model.keras",
        "keras_model",
        note="its weights are cut",
    )
    zoo.write(
        zipped(stored, {"config.json": b"[1, 2]"}),
        "keras",
        "wrong type",
        "model.keras",
        "keras_model",
        note="its config is a list",
    )
    zoo.write(
        zipped(stored, {"model.weights.h5": b"text"}),
        "keras",
        "wrong type",
        "model.keras",
        "keras_model",
        note="its weights are a text",
    )
    zoo.write(
        made[0, "model.h5"],
        "keras",
        "other writer",
        "model.keras",
        "keras_model",
        note="HDF5 under this name",
    )
    zoo.write(
        made[0, "model.keras"],
        "keras",
        "other writer",
        "model.keras",
        "keras_model",
        note="as Keras writes it",
    )
    zoo.write(
        zipped(stored, method=zipfile.ZIP_DEFLATED),
        "keras",
        "other writer",
        "model.keras",
        "keras_model",
        note="compressed",
    )
    zoo.write(
        made[1, "model.keras"], "keras", "whole", "model.keras", "keras_model", note="another seed"
    )

    zoo.damage_file("keras-h5", "model.h5", "keras_model", made[0, "model.h5"], first)
    zoo.write(
        made[1, "model.h5"], "keras-h5", "whole", "model.h5", "keras_model", note="another seed"
    )
    zoo.write(
        made[0, "model.keras"],
        "keras-h5",
        "other writer",
        "model.h5",
        "keras_model",
        note="Keras's zip under this name",
    )
    _changed_h5(zoo, made[0, "model.h5"])

    zoo.damage_file(
        "keras-weights", "model.weights.h5", "keras_weights", made[0, "model.weights.h5"], first
    )
    zoo.write(
        made[1, "model.weights.h5"],
        "keras-weights",
        "whole",
        "model.weights.h5",
        "keras_weights",
        note="another seed",
    )
    zoo.write(
        made[0, "old.h5"],
        "keras-weights",
        "other writer",
        "weights.h5",
        "keras_weights",
        note="layer_names of Keras 2",
    )
    zoo.write(
        made[1, "old.h5"],
        "keras-weights",
        "other writer",
        "weights.h5",
        "keras_weights",
        note="layer_names of Keras 2, another seed",
    )
    zoo.write(
        _without(made[0, "model.weights.h5"], "layers/dense_1"),
        "keras-weights",
        "part missing",
        "model.weights.h5",
        "keras_weights",
        note="without a layer",
    )


def _old_weights(path: Path, model: Any) -> None:
    """Write weights as Keras 2 does: `layer_names` at the root, `weight_names` at each layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.15.0"
        for layer in model.layers:
            names = [f"{layer.name}/{kind}:0" for kind in ("kernel", "bias")]
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = np.array([name.encode() for name in names])
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=value)


def _changed_h5(zoo: Zoo, content: bytes) -> None:
    cell = ("model.h5", "keras_model")
    zoo.write(
        _without(content, "model_weights"),
        "keras-h5",
        "part missing",
        *cell,
        note="without its weights",
    )
    zoo.write(
        _without(content, "model_weights/second"),
        "keras-h5",
        "part missing",
        *cell,
        note="without a layer",
    )
    zoo.write(
        _with_attributes(content, model_config=None),
        "keras-h5",
        "part missing",
        *cell,
        note="without model_config",
    )
    zoo.write(
        _with_attributes(content, model_config="no JSON"),
        "keras-h5",
        "wrong type",
        *cell,
        note="model_config is no JSON",
    )
    zoo.write(
        _with_attributes(content, model_config=7),
        "keras-h5",
        "wrong type",
        *cell,
        note="model_config is a number",
    )
    zoo.write(
        _with_attributes(content, libver="latest"),
        "keras-h5",
        "other writer",
        *cell,
        note="the newest superblock",
    )
    zoo.write(
        content + bytes(64), "keras-h5", "other writer", *cell, note="64 bytes behind the end"
    )
    zoo.write(bytes(512) + content, "keras-h5", "other writer", *cell, note="a user block")


def _without(content: bytes, name: str) -> bytes:
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        del file[name]
    return memory.getvalue()


def _with_attributes(content: bytes, libver: Any = None, **attributes: Any) -> bytes:
    """Return an HDF5 file written again, with other attributes at its root."""
    memory = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as old, h5py.File(memory, "w", libver=libver) as new:
        for name in old:
            old.copy(name, new)
        for name, value in {**old.attrs, **attributes}.items():
            if value is not None:
                new.attrs[name] = value
    return memory.getvalue()


def _plain_h5(libver: Any = None, **options: Any) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=libver) as file:
        file.create_dataset("images", data=array(1, 16, 16), **options)
        file.create_dataset("labels", data=np.arange(16))
        file.attrs["source"] = "scanner 4"
    return memory.getvalue()


def fill_hdf5(zoo: Zoo) -> None:
    """Add HDF5 files that are data: none of them is a model."""
    first = len(zoo.specimens)
    content = _plain_h5()
    zoo.damage_file("hdf5", "data.h5", "hdf5", content, array(1, 16, 16).tobytes())
    zoo.write(
        _without(content, "labels"),
        "hdf5",
        "part missing",
        "data.h5",
        "hdf5",
        note="without a dataset",
    )
    zoo.write(
        _plain_h5("latest"), "hdf5", "other writer", "data.h5", "hdf5", note="the newest superblock"
    )
    zoo.write(
        _plain_h5(compression="gzip", chunks=(4, 4)),
        "hdf5",
        "other writer",
        "data.hdf5",
        "hdf5",
        note="compressed chunks",
    )
    zoo.all_data(first)


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
    format = "onnx-external"
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
        path = zoo.place(format, damage, "model.onnx", "onnx", note)
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


def fill_gguf(zoo: Zoo) -> None:
    """Add GGUF files."""
    format, name, judge = "gguf", "model.gguf", "gguf"
    content = _gguf(1)
    data = array(1, 8, 32).tobytes()
    zoo.damage_file(format, name, judge, content, data)
    zoo.write(_gguf(2), format, "whole", name, judge, note="another seed")
    zoo.write(
        content[: content.index(data)],
        format,
        "part missing",
        name,
        judge,
        note="without its numbers",
    )
    for version in (1, 2, 4, 99):
        changed = content[:4] + struct.pack("<I", version) + content[8:]
        zoo.write(changed, format, "other writer", name, judge, note=f"says version {version}")
    zoo.write(
        content + bytes(64), format, "other writer", name, judge, note="64 bytes behind the end"
    )
    zoo.write(
        _gguf(1, endian=gguf.GGUFEndian.BIG),
        format,
        "other writer",
        name,
        judge,
        note="big end first",
    )
    zoo.write(b"GGML" + content[4:], format, "wrong type", name, judge, note="another magic number")


def _gguf(seed: int, endian: Any = gguf.GGUFEndian.LITTLE) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.gguf")
        writer = gguf.GGUFWriter(path, "llama", endianess=endian)
        writer.add_block_count(1)
        writer.add_context_length(64)
        writer.add_token_list(["<s>", "a", "b"])
        writer.add_tensor("token_embd.weight", array(seed, 8, 32))
        writer.add_tensor("output.weight", array(seed + 10, 8, 32).astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


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
    format, name, judge = "nemo", "asr.nemo", "nemo"
    config = yaml.safe_dump(
        {
            "target": "nemo.collections.asr.models.EncDecCTCModel",
            "sample_rate": 16000,
            "nemo_version": "1.23.0",
        }
    ).encode()
    parts = {"model_config.yaml": config, "model_weights.ckpt": saved(weights())}
    content = _tarred(parts)
    zoo.damage_file(format, name, judge, content, weights()["first.weight"].numpy().tobytes())
    other = {"model_config.yaml": config, "model_weights.ckpt": saved(weights(1))}
    zoo.write(_tarred(other), format, "whole", name, judge, note="another seed")
    for part in parts:
        zoo.write(
            _tarred({**parts, part: b""}),
            format,
            "part missing",
            name,
            judge,
            note=f"{part} is empty",
        )
        rest = {key: value for key, value in parts.items() if key != part}
        zoo.write(_tarred(rest), format, "part missing", name, judge, note=f"without {part}")
    zoo.write(
        _tarred({**parts, "model_weights.ckpt": parts["model_weights.ckpt"][:-900]}),
        format,
        "part missing",
        name,
        judge,
        note="its weights are cut",
    )
    zoo.write(
        _tarred({**parts, "model_weights.ckpt": b"text"}),
        format,
        "wrong type",
        name,
        judge,
        note="its weights are a text",
    )
    zoo.write(_tarred(parts, "w:gz"), format, "other writer", name, judge, note="compressed")


def _fill_stable_baselines(zoo: Zoo) -> None:
    format, name, judge = "stable-baselines3", "CartPole-v1.zip", "stable_baselines"
    data = json.dumps(
        {
            "policy_class": {":type:": "<class 'abc.ABCMeta'>", ":serialized:": "gAWV"},
            "observation_space": {
                ":type:": "<class 'gymnasium.spaces.box.Box'>",
                ":serialized:": "gAWV",
            },
            "action_space": {
                ":type:": "<class 'gymnasium.spaces.discrete.Discrete'>",
                ":serialized:": "gAWV",
            },
            "gamma": 0.99,
            "num_timesteps": 5000,
            "start_time": 1700000000000000000,
        }
    ).encode()
    optimizer = lightning(weights())["optimizer_states"][0]
    parts = {
        "data": data,
        "policy.pth": saved(weights()),
        "policy.optimizer.pth": saved(optimizer),
        "pytorch_variables.pth": saved({}),
        "_stable_baselines3_version": b"2.3.0",
        "system_info.txt": b"- OS: Linux\n- Python: 3.10\n- Stable-Baselines3: 2.3.0\n",
    }
    content = _zipped_parts(parts)
    zoo.damage_file(format, name, judge, content, weights()["first.weight"].numpy().tobytes())
    zoo.write(
        _zipped_parts({**parts, "policy.pth": saved(weights(1))}),
        format,
        "whole",
        name,
        judge,
        note="another seed",
    )
    zoo.write(
        _zipped_parts({**parts, "data": data.replace(b"5000", b"9000")}),
        format,
        "whole",
        name,
        judge,
        note="other hyper-parameters",
    )
    for part in ("data", "policy.pth", "_stable_baselines3_version", "policy.optimizer.pth"):
        rest = {key: value for key, value in parts.items() if key != part}
        zoo.write(_zipped_parts(rest), format, "part missing", name, judge, note=f"without {part}")
    cut = {**parts, "policy.pth": parts["policy.pth"][:-700]}
    zoo.write(_zipped_parts(cut), format, "part missing", name, judge, note="its policy is cut")
    zoo.write(
        _zipped_parts({**parts, "policy.pth": b"text"}),
        format,
        "wrong type",
        name,
        judge,
        note="its policy is a text",
    )
    zoo.write(
        _zipped_parts({**parts, "data": b"\x80\x04"}),
        format,
        "wrong type",
        name,
        judge,
        note="its data is no JSON",
    )
    zoo.write(
        zipped(content, method=zipfile.ZIP_DEFLATED),
        format,
        "other writer",
        name,
        judge,
        note="compressed",
    )


def _zipped_parts(parts: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return memory.getvalue()


def fill(zoo: Zoo) -> None:
    """Add all of them."""
    fill_safetensors(zoo)
    fill_keras(zoo)
    fill_hdf5(zoo)
    fill_onnx(zoo)
    fill_gguf(zoo)
    fill_archives(zoo)
