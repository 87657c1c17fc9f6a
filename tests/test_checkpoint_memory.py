"""The memory of a process that reads a hostile file stays below 200 MB, whatever the file says.

Each file is as long as the reader allows, and repeats what costs most a byte.
"""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import zlib
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from catalog.sources.checkpoint.archives import MAX_PICKLE
from tests.support import onnx_files as onnx
from tests.support.torch_files import write_zip
from tests.test_checkpoint_records import BASE, HEAD, row

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak"
)
LIMIT = 200 * 1024 * 1024
LOOK = """
import json, sys
from catalog import inspect
one = inspect(sys.argv[1]).checkpoint
# Not getrusage: what it gives includes the process that this one was forked from.
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
peak = int(line.split()[1]) * 1024
print(json.dumps([one.status, one.safety, len(one.tensors), peak]))
"""


def look(path: Path) -> list[Any]:
    """Return status, verdict, number of tensors and the peak of memory of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=True
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def rows() -> Iterator[bytes]:
    yield HEAD + b"(X\x0a\0\0\0state_dict}("
    for number in count():
        # Names, keys and shapes that are all different.
        one = row(BASE + 8 * number, name=b"%x" % number)
        one = one.replace(b"X\x01\0\0\x000", b"X\x07\0\0\0%07d" % number)
        yield one.replace(b"K\x02K\x03\x86", b"K\x02J" + struct.pack("<i", number + 1) + b"\x86")


def repeated(code: bytes) -> Iterator[bytes]:
    yield b"\x80\x02ccollections\nOrderedDict\nq\0"
    while True:
        yield code * 100


KINDS = {
    "lists": repeated(b"]"),
    "calls": repeated(b"h\0]\x85R"),
    "texts": repeated(b"X\x01\0\0\0\xff"),
}


def filled(parts: Iterator[bytes]) -> bytes:
    taken = []
    size = 0
    while size < MAX_PICKLE - 10_000:
        part = next(parts)
        taken.append(part)
        size += len(part)
    return b"".join(taken) + b"uu."


@pytest.mark.parametrize("kind", KINDS)
def test_memory_stays_small(tmp_path: Path, kind: str) -> None:
    path = write_zip(tmp_path / "x.ckpt", [("archive/data.pkl", filled(KINDS[kind]))])
    status, safety, _, peak = look(path)
    assert (status, safety) == ("recognised", "unknown")
    assert peak < LIMIT, peak


def test_a_packed_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(b"]" * MAX_PICKLE) for _ in range(8)) + packer.flush()
    path = write_zip(tmp_path / "x.ckpt", [("archive/data.pkl", packed)])
    data = path.read_bytes()
    # The method stands at 8 in the local header, at 10 in the directory's line.
    place = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\1\2"))
    data = data[:8] + b"\x08" + data[9:]
    data = data[: place + 10] + b"\x08" + data[place + 11 :]
    path.write_bytes(data)
    status, safety, _, peak = look(path)
    assert path.stat().st_size < MAX_PICKLE / 100
    assert (status, safety) == ("recognised", "unknown")
    assert peak < LIMIT, peak


def directory() -> bytes:
    """Return the lines of a zip directory that names as much as is read of one."""
    name = b"x" * 60
    line = struct.pack("<4s6xH4xLLLHHH8xL", b"PK\1\2", 0, 1, 2, 3, len(name) + 5, 0, 0, 4)
    return b"".join(line + name + b"%05x" % number for number in range(140_000))


def test_a_full_directory_and_a_full_pickle_together(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.ckpt", [("archive/data.pkl", filled(rows()))])
    data = path.read_bytes()
    _, _, _, _, count, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
    lines = data[start : start + size] + directory()
    wide = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 0, count + 140_000, len(lines), start
    )
    end = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(lines), 1) + data[-22:]
    path.write_bytes(data[:start] + lines + wide + end)
    status, _, tensors, peak = look(path)
    assert status == "unreadable"  # its storages are not there
    assert tensors > 80_000
    assert peak < LIMIT, peak


JSON = {
    "lists": b"[],",
    "texts": b'"a",',
    "objects": b'{"a":1},',
    "wide texts": b'"\xf0\x9f\x8d\x92",',
}


@pytest.mark.parametrize("kind", JSON)
def test_headers_of_safetensors_ask_for_no_more(tmp_path: Path, kind: str) -> None:
    size = 8 * 1024 * 1024 - 100
    text = b'{"__metadata__":[' + JSON[kind] * (size // len(JSON[kind])) + b"0]}"
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    status, _, _, peak = look(path)
    assert status == "unreadable"
    assert peak < LIMIT, peak


def many_tensors(name: str, extra: str, shape: str) -> bytes:
    """Return a whole file of as many tensors as are listed."""
    parts = [
        f'"{n:x}{name}":{{"dtype":"I8","shape":[{shape}],"data_offsets":[{n},{n + 1}]{extra}}}'
        for n in range(150_000)
    ]
    header = ("{" + ",".join(parts) + "}").encode()
    return struct.pack("<Q", len(header)) + header + bytes(len(parts))


@pytest.mark.parametrize(
    ("name", "extra", "shape"),
    [
        ("x" * 150, "", "1"),
        ("\U0001f352" * 4, "", "1"),
        ("\U0001f352" * 60, "", "1"),
        ("x" * 60, ',"x":[[],[],{}]', "1"),
        ("", "", "1" + ",1" * 60),
    ],
)
def test_long_headers_of_safetensors_stay_within_the_limit(
    tmp_path: Path, name: str, extra: str, shape: str
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(many_tensors(name, extra, shape))
    status, _, _, peak = look(path)
    assert status in ("readable", "recognised")
    assert peak < LIMIT, peak


@pytest.mark.parametrize("kind", ["entries", "names", "dims", "nodes"])
def test_onnx_models_ask_for_no_more(tmp_path: Path, kind: str) -> None:
    entry = onnx.text(13, onnx.text(1, "location") + onnx.text(2, "x" * 300))
    initializer = {
        "entries": b"".join(onnx.text(13, b"") for _ in range(16)),
        "names": onnx.text(8, "n" * 4000) + entry * 10,
        "dims": onnx.number(1, 1) * 60,
        "nodes": b"",
    }[kind]
    body = onnx.text(5, initializer) * (150_000 if kind != "names" else 40_000)
    if kind == "nodes":
        body = onnx.text(1, onnx.text(5, onnx.text(5, onnx.number(1, 1)))) * 600_000
    path = tmp_path / "x.onnx"
    path.write_bytes(
        onnx.number(1, 8)
        + onnx.text(2, "p")
        + onnx.text(7, body)
        + onnx.text(8, onnx.number(2, 17))
    )
    assert look(path)[3] < LIMIT


def test_root_groups_of_hdf5_ask_for_no_more(tmp_path: Path) -> None:
    data = bytearray((Path(__file__).parent / "files/hdf5/model.h5").read_bytes())
    root = struct.unpack_from("<Q", data, 64)[0]
    # The header goes on in one long block again and again, of large messages and of tiny ones.
    start = len(data)
    blocks = struct.pack("<HHB3x", 0x10, 16, 0) + struct.pack("<QQ", start, 1 << 20)
    blocks += (struct.pack("<HHB3x", 0x0C, 60_000, 0) + bytes(60_000)) * 8
    blocks += struct.pack("<HHB3x", 0x0C, 0, 0) * 60_000
    blocks = blocks.ljust(1 << 20, b"\0")
    struct.pack_into("<BxHII", data, root, 1, 1, 1, 24)
    data[root + 16 : root + 40] = blocks[:24]
    struct.pack_into("<Q", data, 40, start + len(blocks))
    path = tmp_path / "x.h5"
    path.write_bytes(bytes(data) + blocks)
    status, _, _, peak = look(path)
    assert status == "recognised"
    assert peak < LIMIT, peak


@pytest.mark.parametrize("kind", ["lists", "wide texts"])
def test_folders_of_hugging_face_ask_for_no_more(tmp_path: Path, kind: str) -> None:
    # As many as are taken at once, or as many as fit.
    count = min(100_000, 9_000_000 // len(JSON[kind]))
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    text = b'{"global_step":5,"log_history":[' + JSON[kind] * count + b"0]}"
    (folder / "trainer_state.json").write_bytes(text)
    write_zip(folder / "pytorch_model.bin", [("archive/data.pkl", filled(repeated(b"]")))])
    assert look(folder)[3] < LIMIT


def test_legacy_files_ask_for_no_more(tmp_path: Path) -> None:
    nest = b"\x80\x02" + b"}K\x01" * 300_000 + b"N" + b"s" * 300_000 + b"."
    head = b"".join(pickle.dumps(one, protocol=2) for one in (0x1950A86A20F9469CFC6C, 1001))
    path = tmp_path / "x.pt"
    path.write_bytes(head + 3 * nest)
    assert look(path)[3] < LIMIT
