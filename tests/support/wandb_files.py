"""Writes W&B run directories as the client leaves them, without the client.

The stream encoder is the mirror of `catalog.sources.wandb.framing` and follows the same
description of the format; streams of the real client are read in the `shared` tests.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

BLOCK = 32_768
HEADER = b":W&B\xe1\xbe\x00"


def write_stream(path: Path, records: Iterable[bytes], *, go_on: bool = False) -> Path:
    """Write a `.wandb` file that holds these records; or go on with one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    out = bytearray(path.read_bytes() if go_on else HEADER)
    for record in records:
        rest, first = record, True
        while True:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = (1 if first else 4) if not rest else (2 if first else 3)
            crc = zlib.crc32(part, zlib.crc32(bytes([kind])))
            out += struct.pack("<IHB", crc, len(part), kind) + part
            first = False
            if not rest:
                break
    path.write_bytes(out)
    return path


def varint(value: int) -> bytes:
    """Encode an unsigned integer; negative ones as 64-bit two's complement."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: int | str | bytes) -> bytes:
    """Encode one protobuf field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def item(key: str | Sequence[str], value: Any, *, nested: bool = True) -> bytes:
    """Encode a history, summary or config item; a sequence of keys is a nested one."""
    keys = [key] if isinstance(key, str) else list(key)
    number = 2 if nested or len(keys) > 1 else 1
    return b"".join(field(number, part) for part in keys) + field(16, json.dumps(value))


def history(row: Mapping[str, Any], *, step: int | None = None, nested: bool = True) -> bytes:
    """Encode a history record; `nested` as wandb 0.18 and later does."""
    items = b"".join(field(1, item(key, value, nested=nested)) for key, value in row.items())
    return field(2, items + (field(2, field(1, step)) if step is not None else b""))


def summary(values: Mapping[str, Any], *, remove: Iterable[str] = ()) -> bytes:
    """Encode a summary update."""
    updates = b"".join(field(1, item(key, value)) for key, value in values.items())
    return field(3, updates + b"".join(field(2, field(2, key)) for key in remove))


def config(values: Mapping[str, Any], *, remove: Iterable[str] = ()) -> bytes:
    """Encode a config update."""
    return field(5, _config(values) + b"".join(field(2, field(1, key)) for key in remove))


def _config(values: Mapping[str, Any]) -> bytes:
    return b"".join(field(1, item(key, value, nested=False)) for key, value in values.items())


def run(run_id: str, *, started: float = 0.0, **parts: Any) -> bytes:
    """Encode a run record.

    Args:
        run_id: the id.
        started: seconds since the epoch, 0 for none.
        parts: `entity, project, config, group, job_type, display_name, notes, tags, sweep_id,
            host`, `git` = (remote, commit), `branch` = (run, step), `starting_step`, `resumed`.
    """
    numbers = {
        "entity": 2, "project": 3, "group": 6, "job_type": 7, "display_name": 8, "notes": 9,
        "sweep_id": 12, "host": 13,
    }  # fmt: skip
    out = field(1, run_id)
    for name, number in numbers.items():
        if name in parts:
            out += field(number, parts[name])
    if "config" in parts:
        out += field(4, _config(parts["config"]))
    for tag in parts.get("tags", ()):
        out += field(10, tag)
    if started:
        seconds = int(started)
        out += field(17, field(1, seconds) + field(2, round((started - seconds) * 1e9)))
    if "git" in parts:
        remote, commit = parts["git"]
        out += field(21, field(1, remote) + field(2, commit))
    if "starting_step" in parts:
        out += field(14, parts["starting_step"])
    if parts.get("resumed"):
        out += field(18, 1)
    if "branch" in parts:
        source, step = parts["branch"]
        value = varint(2 << 3 | 1) + struct.pack("<d", step)
        out += field(23, field(1, source) + value + field(3, "_step"))
    return field(17, out)


def environment(
    args: Iterable[str] = (), *, program: str = "train.py", host: str = "gpu1"
) -> bytes:
    """Encode an environment record (0.22 and later)."""
    arguments = b"".join(field(5, argument) for argument in args)
    return field(26, arguments + field(6, program) + field(12, host))


def output(line: str) -> bytes:
    """Encode a piece of what the program printed."""
    return field(13, field(1, 1) + field(3, line))


def artifact(
    files: Mapping[str, str],
    *,
    sizes: Mapping[str, int] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> bytes:
    """Encode a logged artifact: path, base64 MD5 and size of each of its files."""
    entries = b"".join(
        field(
            4,
            field(1, path)
            + field(2, md5)
            + (field(4, sizes[path]) if sizes and path in sizes else b""),
        )
        for path, md5 in files.items()
    )
    said = field(8, json.dumps(metadata)) if metadata else b""
    return field(8, field(4, "model") + field(5, "model-x") + said + field(12, entries))


def finish(exit_code: int = 0, runtime: int = 12) -> bytes:
    """Encode the exit record; a code of 0 is not written, as protobuf leaves out zeros."""
    code = field(1, exit_code) if exit_code else b""
    return field(18, code + field(2, runtime))


def write_run_directory(
    parent: Path,
    run_id: str,
    *,
    stamp: str = "20251018_023219",
    offline: bool = False,
    started: float = 1_760_722_339.0,
    project: str = "ocr",
    entity: str = "team",
    display_name: str = "",
    config: Mapping[str, Any] | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
    args: Sequence[str] = (),
    host: str = "gpu1",
    output_lines: Sequence[str] = (),
    files_digests: Mapping[str, str] | None = None,
    exit_code: int | None = 0,
    git_remote: str | None = None,
    stream: bool = True,
) -> Path:
    """Write one run directory in the layout of wandb 0.19 and return it.

    Args:
        parent: the `wandb/` folder.
        run_id: the id, in the names of directory and stream.
        stamp: local time in the directory's name.
        offline: leave out what the client only writes online (config and summary files).
        started: start in seconds since the epoch; also `_timestamp` of row 0.
        project: of the run.
        entity: of the run.
        display_name: empty where the server chose it.
        config: what the user logged.
        rows: history; `_step`, `_runtime` and `_timestamp` are added.
        args: the command line.
        host: name of the machine.
        output_lines: what the program printed.
        files_digests: path and base64 MD5 of files logged as an artifact.
        exit_code: None for a run that was killed.
        git_remote: address of its repository, where its metadata name one.
        stream: False leaves a stream of 0 bytes, as a killed 0.19 does.
    """
    prefix = "offline-run" if offline else "run"
    folder = parent / f"{prefix}-{stamp}-{run_id}"
    files, logs = folder / "files", folder / "logs"
    files.mkdir(parents=True)
    logs.mkdir()
    values = dict(config or {})
    full = [
        {**row, "_step": step, "_runtime": float(step), "_timestamp": started + step}
        for step, row in enumerate(rows)
    ]
    last: dict[str, Any] = {}
    for row in full:
        last |= row
    records = [
        field(21, field(1, field(1, "0.19.11"))),
        run(
            run_id, started=started, project=project, entity=entity, display_name=display_name,
            host=host, config=values,
        ),
        *(history(row, step=row["_step"]) for row in full),
        *([summary(last)] if last else []),
        *(output(line + "\n") for line in output_lines),
        *([artifact(files_digests)] if files_digests else []),
        *([finish(exit_code, len(rows))] if exit_code is not None else []),
    ]  # fmt: skip
    write_stream(folder / f"run-{run_id}.wandb", records)
    if not stream:
        (folder / f"run-{run_id}.wandb").write_bytes(b"")
    metadata = {
        "os": "Linux-6.1", "python": "CPython 3.11.7", "startedAt": _utc(started), "args": [*args],
        "program": "train.py", "host": host, "executable": "/usr/bin/python", "cpu_count": 8,
    }  # fmt: skip
    if git_remote is not None:
        metadata["git"] = {"remote": git_remote, "commit": "0" * 40}
    (files / "wandb-metadata.json").write_text(json.dumps(metadata, indent=2))
    (files / "output.log").write_text("".join(line + "\n" for line in output_lines))
    (files / "requirements.txt").write_text("torch==2.13.0\n")
    (logs / "debug.log").write_text(
        "2025-10-18 02:32:19,498 INFO    MainThread:1 [wandb_init.py:init():852] "
        "wandb.init called with sweep_config: {}\n"
        f"config: {values!r}\n"
    )
    if not offline and exit_code is not None:
        wrapped = {key: {"value": value} for key, value in values.items()}
        wrapped["_wandb"] = {"value": {"cli_version": "0.19.11", "python_version": "3.11.7"}}
        (files / "config.yaml").write_text(yaml.safe_dump(wrapped))
        (files / "wandb-summary.json").write_text(
            json.dumps({**last, "_wandb": {"runtime": len(rows)}})
        )
    return folder


def _utc(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_hydra_directory(
    folder: Path,
    config: Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    job_name: str = "train",
    output_dir: str | None = None,
    num: int | None = None,
    log_lines: Sequence[str] = (),
) -> Path:
    """Write a job's output directory as Hydra 1.3 leaves it and return it.

    Args:
        folder: the output directory.
        config: the composed config, with interpolations as written.
        overrides: of the task.
        job_name: also the name of the log.
        output_dir: as it was on the machine that ran; the folder itself by default.
        num: of the job in a sweep; None for a single run.
        log_lines: of the job log; no log without any.
    """
    place = folder / ".hydra"
    place.mkdir(parents=True)
    own = {
        "hydra": {
            "mode": "RUN" if num is None else "MULTIRUN",
            "job": {"name": job_name, "num": "???" if num is None else num, "chdir": False},
            "overrides": {"task": list(overrides)},
            "runtime": {
                "version": "1.3.2",
                "cwd": str(folder.parent),
                "output_dir": output_dir or str(folder),
            },
        }
    }
    (place / "config.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
    (place / "hydra.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    (place / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    if log_lines:
        (folder / f"{job_name}.log").write_text("".join(line + "\n" for line in log_lines))
    return folder
