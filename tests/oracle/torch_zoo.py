"""The zoo's files that torch writes: archives, the legacy form, TorchScript, exported programs."""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import TYPE_CHECKING

import torch

from tests.oracle.damage import PNG, Zoo, zipped
from tests.oracle.models import Tiny, array, numbers
from tests.oracle.variants import (
    changed,
    distributed_variants,
    lightning,
    no_models,
    saved,
    variants,
    weights,
)

if TYPE_CHECKING:
    pass

ZIP = "torch-zip"


def script(seed: int = 0) -> bytes:
    """Return the small model as TorchScript."""
    target = io.BytesIO()
    torch.jit.save(torch.jit.script(Tiny(seed).eval()), target)
    return target.getvalue()


def exported(seed: int = 0) -> bytes:
    """Return the small model as an exported program."""
    target = io.BytesIO()
    torch.export.save(torch.export.export(Tiny(seed).eval(), (torch.ones(2, 16),)), target)
    return target.getvalue()


def fill_zip(zoo: Zoo) -> None:
    """Add torch's zip archives."""
    content = saved(lightning(weights()))
    data = weights()["first.weight"].numpy().tobytes()
    zoo.damage_file(ZIP, "model.ckpt", "torch", content, data)
    for note, model in variants():
        is_model = note not in ("placeholders", "empty tensors")
        zoo.write(saved(model), ZIP, "whole", "model.pt", "torch", note=note, is_model=is_model)
    for note, model in distributed_variants():
        zoo.write(saved(model), ZIP, "whole", "model.pt", "torch", note=note)
    for note, other in no_models():
        zoo.write(saved(other), ZIP, "wrong type", "model.pt", "torch", note=note, is_model=False)
    for part in ("/data/0", "/data.pkl", "/version", "/byteorder", "/.format_version"):
        zoo.write(
            zipped(content, {part: None}),
            ZIP,
            "part missing",
            "model.ckpt",
            "torch",
            note=f"without {part}",
        )
    _parts_of_another_size(zoo, content)
    _other_writers(zoo)


def _parts_of_another_size(zoo: Zoo, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        storage = archive.read(next(n for n in archive.namelist() if n.endswith("/data/0")))
        pickled = archive.read(next(n for n in archive.namelist() if n.endswith("/data.pkl")))
    for note, changes in (
        ("a storage is empty", {"/data/0": b""}),
        ("a storage is cut", {"/data/0": storage[:-4]}),
        ("a storage is too long", {"/data/0": storage + bytes(64)}),
        ("the pickle is cut", {"/data.pkl": pickled[:-1]}),
        ("the pickle is empty", {"/data.pkl": b""}),
        ("the version is a word", {"/version": b"three\n"}),
        ("the version is of the future", {"/version": b"99\n"}),
        ("the byte order is unknown", {"/byteorder": b"middle"}),
    ):
        zoo.write(zipped(content, changes), ZIP, "part missing", "model.ckpt", "torch", note=note)
    for note, other in (
        ("a picture in a zip", {"/data.pkl": None, "/version": PNG}),
        ("a picture for the pickle", {"/data.pkl": PNG}),
    ):
        zoo.write(
            zipped(content, other),
            ZIP,
            "wrong type",
            "model.ckpt",
            "torch",
            note=note,
            is_model=False,
        )


def _other_writers(zoo: Zoo) -> None:
    a, near = weights(0), changed(weights(0))
    content = saved(a)

    def write(content: bytes, note: str) -> None:
        zoo.write(content, ZIP, "other writer", "model.pt", "torch", note=note)

    for protocol in (1, 3, 4, 5):
        write(saved(a, pickle_protocol=protocol), f"protocol {protocol}")
    write(zipped(content), "stored by Python")
    write(zipped(content, is_stream=True), "stored by Python, sizes behind the data")
    write(zipped(content, zip64=True), "fields of large files")
    write(zipped(content, method=zipfile.ZIP_DEFLATED), "compressed")
    write(zipped(content, method=zipfile.ZIP_BZIP2), "compressed by a method that torch has not")
    write(
        zipped(content, rename=lambda name: name.replace("archive/", "epoch=3/", 1)),
        "another folder",
    )
    write(zipped(content, rename=lambda name: name.replace("archive/", "", 1)), "no folder")
    write(
        zipped(content, rename=lambda name: name.replace("archive/", "a/b/", 1)),
        "a folder in a folder",
    )
    write(
        zipped(content, rename=lambda name: name.replace("/data/1", "/data/one")),
        "a storage under another name",
    )
    write(zipped(content, {"/byteorder": b"big"}), "big end first")
    write(content + b"\0" * 100, "100 bytes behind the end")
    write(content + b"\0" * 70_000, "70,000 bytes behind the end")
    write(b"#!header\n" * 4 + content, "bytes before the start")
    write(content + content, "twice in one file")
    crc32 = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    write(saved(a), "no sums")
    write(saved(near), "no sums, a number differs")
    torch.serialization.set_crc32_options(crc32)
    # A name other than `archive` and other alignment, as `torch.save` to a path gives.
    path = zoo.place(ZIP, "other writer", "epoch=3-step=10.ckpt", "torch", "saved to a path")
    torch.save(a, path)
    write(_cast_bytes(content), "the pickle's end is padded")


def _cast_bytes(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickled = archive.read("archive/data.pkl")
    return zipped(content, {"/data.pkl": pickled + bytes(32)})


def fill_legacy(zoo: Zoo) -> None:
    """Add files of torch before 1.6, and bare pickles."""
    legacy = "torch-legacy"
    content = saved(lightning(weights()), _use_new_zipfile_serialization=False)
    zoo.damage_file(
        legacy, "model.pth", "torch", content, weights()["first.weight"].numpy().tobytes()
    )
    keep = (
        "state dict",
        "lightning, a",
        "quantized",
        "sparse",
        "subclass",
        "numpy",
        "a whole module",
        "view",
        "place",
        "two",
    )
    for note, model in variants():
        if note.startswith(keep):
            made = saved(model, _use_new_zipfile_serialization=False)
            is_model = note != "placeholders"
            zoo.write(made, legacy, "whole", "model.pth", "torch", note=note, is_model=is_model)
    for note, other in no_models():
        made = saved(other, _use_new_zipfile_serialization=False)
        zoo.write(made, legacy, "wrong type", "model.pth", "torch", note=note, is_model=False)
    tail = weights()["first.weight"].numpy().tobytes()
    where = content.index(tail)
    missing = content[: where - 8] + content[where + len(tail) :]
    zoo.write(missing, legacy, "part missing", "model.pth", "torch", note="without a storage")
    for protocol in (1, 3, 4, 5):
        made = saved(weights(), _use_new_zipfile_serialization=False, pickle_protocol=protocol)
        zoo.write(made, legacy, "other writer", "model.pth", "torch", note=f"protocol {protocol}")
    zoo.write(
        content + bytes(40),
        legacy,
        "other writer",
        "model.pth",
        "torch",
        note="40 bytes behind the end",
    )
    _fill_pickle(zoo)


def _fill_pickle(zoo: Zoo) -> None:
    kind = "pickle"
    model = {"params": {"w": array(1, 16, 8), "b": array(2, 8)}, "step": 3}
    content = pickle.dumps(model, 4)
    zoo.damage_file(kind, "params.pkl", "pickled", content, array(1, 16, 8).tobytes())
    zoo.write(
        content,
        kind,
        "wrong type",
        "params.pt",
        "torch",
        note="a bare pickle that torch.load is asked for",
    )
    zoo.write(
        pickle.dumps(["cat", "dog"]),
        kind,
        "wrong type",
        "names.pkl",
        "pickled",
        note="labels",
        is_model=False,
    )
    for protocol in (2, 3, 5):
        zoo.write(
            pickle.dumps(model, protocol),
            kind,
            "other writer",
            "params.pkl",
            "pickled",
            note=f"protocol {protocol}",
        )
    zoo.write(
        saved(weights()),
        kind,
        "other writer",
        "weights.pkl",
        "torch",
        note="a torch archive under this name",
    )
    zoo.empty(kind, "part missing", "a bare pickle is one part")


def fill_programs(zoo: Zoo) -> None:
    """Add TorchScript and exported programs."""
    data = numbers(0, 8, 16).numpy().tobytes()
    for kind, name, judge, make, parts in (
        (
            "torchscript",
            "model.pt",
            "torchscript",
            script,
            ("/constants.pkl", "/data.pkl", "/data/0", "/version", "/models.py"),
        ),
        ("torch-export", "model.pt2", "exported", exported, ()),
    ):
        content = make(0)
        zoo.damage_file(kind, name, judge, content, data)
        zoo.write(make(1), kind, "whole", name, judge, note="another seed")
        zoo.write(zipped(content), kind, "other writer", name, judge, note="stored by Python")
        zoo.write(
            content + bytes(100),
            kind,
            "other writer",
            name,
            judge,
            note="100 bytes behind the end",
        )
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
        for part in parts or ["/" + one.split("/", 1)[1] for one in names if not one.endswith("/")]:
            if not any(one.endswith(part) for one in names):
                continue
            zoo.write(
                zipped(content, {part: None}),
                kind,
                "part missing",
                name,
                judge,
                note=f"without {part}",
            )
        zoo.write(
            zipped(content, method=zipfile.ZIP_DEFLATED),
            kind,
            "other writer",
            name,
            judge,
            note="compressed",
        )
    zoo.write(
        script(),
        "torchscript",
        "other writer",
        "model.ckpt",
        "torchscript",
        note="named as a checkpoint",
    )
    zoo.write(
        exported(),
        "torch-export",
        "other writer",
        "model.pt",
        "exported",
        note="named as a checkpoint",
    )
    zoo.write(
        saved(weights()),
        "torch-export",
        "wrong type",
        "model.pt2",
        "exported",
        note="a state dict under this name",
    )
