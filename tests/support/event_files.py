"""Writes TensorBoard event files, without tensorboard."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.support.wandb_files import field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes, bit by bit as its definition has it."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


def masked(data: bytes) -> bytes:
    """Return the checksum as TFRecord keeps it."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF)


def record(payload: bytes) -> bytes:
    """Frame one event."""
    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def event(time: float, step: int, *values: bytes) -> bytes:
    """Encode one event with the values of its summary; a step of 0 is not written."""
    head = b"\x09" + struct.pack("<d", time) + (field(2, step) if step else b"")
    return head + (field(5, b"".join(field(1, value) for value in values)) if values else b"")


def session_start(time: float, step: int) -> bytes:
    """Encode what a writer that was given `purge_step` begins with."""
    return b"\x09" + struct.pack("<d", time) + field(2, step) + field(7, field(1, 1))


def scalar(tag: str, value: float) -> bytes:
    """Encode a value as torch's writer does."""
    return field(1, tag) + b"\x15" + struct.pack("<f", value)


def tensor_scalar(tag: str, value: float, *, first: bool) -> bytes:
    """Encode a value as tensorflow 2 does; only the first of a tag names the plugin."""
    tensor = field(1, 1) + field(4, struct.pack("<f", value))
    plugin = field(9, field(1, field(1, "scalars"))) if first else b""
    return field(1, tag) + field(8, tensor) + plugin


def hparams(values: Mapping[str, float | str | bool]) -> bytes:
    """Encode the start of a session as the hparams plugin does."""
    start = b""
    for key, value in values.items():
        if isinstance(value, bool):
            coded = field(4, int(value))
        elif isinstance(value, str):
            coded = field(3, value)
        else:
            coded = b"\x11" + struct.pack("<d", value)
        start += field(1, field(1, key) + field(2, coded))
    content = field(3, start)
    plugin = field(1, "hparams") + field(2, content)
    return field(1, "_hparams_/session_start_info") + field(9, field(1, plugin))


def write_events(
    folder: Path,
    events: Iterable[bytes],
    *,
    started: int = 1_760_722_339,
    host: str = "gpu1",
    process: int = 4711,
) -> Path:
    """Write an event file into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{started}.{host}.{process}.0"
    version = b"\x09" + struct.pack("<d", float(started)) + field(3, "brain.Event:2")
    path.write_bytes(b"".join(record(one) for one in (version, *events)))
    return path


def write_scalars(
    folder: Path, columns: Mapping[str, Iterable[float]], *, started: int = 1_760_722_339
) -> Path:
    """Write one event a value, a step a value of each column."""
    events = [
        event(started + step, step, scalar(tag, value))
        for tag, values in columns.items()
        for step, value in enumerate(values)
    ]
    return write_events(folder, events, started=started)
