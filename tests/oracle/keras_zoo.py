"""The zoo's Keras files, and HDF5 that is no model."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from tests.oracle.damage import Zoo, zipped
from tests.oracle.models import array

if TYPE_CHECKING:
    pass


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
    made = _saved()
    first = array(0, 16, 8).tobytes()
    _fill_zip(zoo, made, first)
    kind, name, judge = "keras-h5", "model.h5", "keras_model"
    zoo.damage_file(kind, name, judge, made[0, name], first)
    zoo.write(made[1, name], kind, "whole", name, judge, note="another seed")
    zipped_model = made[0, "model.keras"]
    zoo.write(zipped_model, kind, "wrong type", name, judge, note="Keras's zip under this name")
    _changed_h5(zoo, made[0, name])
    kind, name, judge = "keras-weights", "model.weights.h5", "keras_weights"
    zoo.damage_file(kind, name, judge, made[0, name], first)
    zoo.write(made[1, name], kind, "whole", name, judge, note="another seed")
    for seed in (0, 1):
        note = f"layer_names of Keras 2, seed {seed}"
        zoo.write(made[seed, "old.h5"], kind, "other writer", "weights.h5", judge, note=note)
    fewer = _without(made[0, name], "layers/dense_1")
    zoo.write(fewer, kind, "part missing", name, judge, note="without a layer")


def _saved() -> dict[tuple[int, str], bytes]:
    """Return files of two models by seed and name."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 1):
            model = keras_model(seed)
            for name in ("model.keras", "model.h5", "model.weights.h5", "old.h5"):
                path = Path(folder, f"{seed}{name}")
                if name == "old.h5":
                    _old_weights(path, model)
                elif "weights" in name:
                    model.save_weights(path)
                else:
                    model.save(path)
                made[seed, name] = path.read_bytes()
    return made


def _fill_zip(zoo: Zoo, made: dict[tuple[int, str], bytes], first: bytes) -> None:
    kind, name, judge, weights = "keras", "model.keras", "keras_model", "model.weights.h5"
    stored = zipped(made[0, name])
    zoo.damage_file(kind, name, judge, stored, first)
    for damage, note, content in (
        ("whole", "another seed", made[1, name]),
        ("part missing", "without metadata.json", zipped(stored, {"metadata.json": None})),
        ("part missing", "without config.json", zipped(stored, {"config.json": None})),
        ("part missing", "without its weights", zipped(stored, {weights: None})),
        ("part missing", "its weights are cut", zipped(stored, {weights: made[0, weights][:2000]})),
        ("wrong type", "its config is a list", zipped(stored, {"config.json": b"[1, 2]"})),
        ("wrong type", "its weights are a text", zipped(stored, {weights: b"text"})),
        ("wrong type", "HDF5 under this name", made[0, "model.h5"]),
        ("other writer", "as Keras writes it", made[0, name]),
        ("other writer", "compressed", zipped(stored, method=zipfile.ZIP_DEFLATED)),
    ):
        zoo.write(content, kind, damage, name, judge, note=note)


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
