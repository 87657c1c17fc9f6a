"""Stable-Baselines models: a zip archive under any name, with the policy as a torch archive in it.

Format: `stable_baselines3/common/save_util.py`. `data` is JSON: what is plain stands in it as it
is, any other object as a cloudpickle in base64 (`:serialized:`, never decoded) beside its
`:type:` and its attributes as text. Stable-Baselines 2 has `parameters` in place of the policy.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import torch_zip
from catalog.sources.checkpoint.density import is_modest
from catalog.sources.documents import parse_json
from catalog.sources.facts import Checkpoint, Facts, Problem
from catalog.sources.formats.format import Format
from catalog.sources.formats.zip_check import refusal, too_large
from catalog.sources.plain import DocumentError, clean, sentence
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory, ZipEntry
    from catalog.sources.facts import CheckpointStatus, Plain

_VERSION: Final = "_stable_baselines3_version"
_VARIABLES: Final = "pytorch_variables.pth"
_TAIL: Final = 4_096
_MAX_ENTRIES: Final = 64
_END: Final = struct.Struct("<4s4H2LH")
_SPACES: Final = ("observation_space", "action_space")
_SPACE_FIELDS: Final = ("dtype", "_shape", "shape", "n", "nvec", "start", "low_repr", "high_repr")
"""What of a space is kept: bounds are long, and of unknown form."""
_CLASSES: Final = ("<class 'abc.ABCMeta'>", "<class 'type'>")
_METHOD: Final = re.compile(r"<(?:staticmethod\()?<?function ([\w.]{1,200})\.\w+ at ")
"""How a class names itself in its methods, which are all that is plain of it."""
_MAX_TEXT: Final = 2_000
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of `data`: the last observations are in it too, pictures in text."""
_NOISE: Final = frozenset({
    "_last_obs", "_last_episode_starts", "_last_original_obs", "ep_info_buffer",
    "ep_success_buffer", "__doc__", "__module__", "__dict__",
})  # fmt: skip
"""Buffers and functions: nothing of them is a setting, or all of it is serialized."""


def _contains(names: Collection[str], _top: str) -> bool:
    return _VERSION in names or (
        "data" in names and ("policy.pth" in names or "parameters" in names)
    )


def _read_named(source: ByteSource, _own_path: str) -> Facts | None:
    """Look at a zip archive as far as it takes to tell a model from data.

    Few entries, and their names in the last kilobytes: a model's archive has no comment. What is
    cut is told by its first entry.
    """
    tail = source.read_at(max(source.size - _TAIL, 0), _TAIL)
    at = tail.rfind(b"PK\5\6")
    first = torch_zip.first_entry(source)
    if first is not None and first[0].endswith("/data.pkl"):
        return None  # what torch.save writes, under another name
    if at < 0 or at + _END.size > len(tail):
        return _cut(source)
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, at)
    if count > _MAX_ENTRIES or size > _TAIL:
        return Facts()
    names = tail[max(at - size, 0) : at]
    known = (_VERSION.encode(), b"policy.pth", b"parameters")
    if not any(name in names for name in known):
        return Facts()
    try:
        return None if _contains(torch_zip.read_directory(source).entries, "") else Facts()
    except torch_zip.ZipError:
        return None


def _cut(source: ByteSource) -> Facts:
    """Describe an archive without its end: a model's begins with `data`."""
    head = source.read_at(0, 34)
    if head[:4] != b"PK\3\4" or head[26:28] != b"\4\0" or head[30:] != b"data":
        return Facts()
    reason = "the end of the archive is missing"
    checkpoint = Checkpoint(
        "sb3-zip", "truncated", reason, "stable-baselines3", bytes_read=source.bytes_read
    )
    return Facts(checkpoint)


def _read(source: ByteSource, directory: ZipDirectory, own_path: str) -> Facts:
    """Read a Stable-Baselines model: its settings and step, and the policy that is in it."""
    # Imported here, for archives are read by asking the formats, of which this is one.
    from catalog.sources.checkpoint.archives import read_archive, small_entry
    from catalog.sources.formats.parts import without_equals

    version = small_entry(source, directory, _VERSION).decode("utf-8", "replace").strip()[:100]
    is_second = "policy.pth" not in directory.entries and "parameters" in directory.entries
    data, problems = _data(source, directory)
    policy = directory.entries.get("policy.pth")
    checkpoint = Checkpoint("sb3-zip", "recognised", "its policy is packed and is not read")
    facts = Facts(checkpoint)
    if is_second:
        reason = "a model of Stable-Baselines 2; its parameters are not read"
        checkpoint = replace(checkpoint, reason=reason)
    elif policy is not None and policy.method == 0:
        start = torch_zip.data_offset(source, policy)
        facts = read_archive(source.window(start, policy.size), f"{own_path}/policy.pth")
        checkpoint = facts.checkpoint or checkpoint
        if checkpoint.status not in ("readable", "recognised"):
            checkpoint = replace(checkpoint, reason=f"its policy.pth: {checkpoint.reason}")
    missing = None if is_second else _missing(directory)
    if missing is not None:
        reason = f"its {missing} is missing, Stable-Baselines3 refuses it so"
        checkpoint = replace(checkpoint, status="truncated", reason=reason)
        problems = (*problems, Problem("truncated-checkpoint", f"{reason[0].upper()}{reason[1:]}."))
    elif checkpoint.status == "readable" and not all(data.get(key) for key in _SPACES):
        is_unread = any(problem.code == "too-large" for problem in problems)
        reason = "its data is not read" if is_unread else "its data names no spaces"
        status: CheckpointStatus = "recognised" if is_unread else "unreadable"
        checkpoint = replace(checkpoint, status=status, reason=reason)
    elif not is_second and checkpoint.status in ("readable", "recognised"):
        checkpoint, told = _with_entries(source, directory, checkpoint)
        problems = (*problems, *told)
    if checkpoint.weights_fingerprint is not None and _has_variables(source, directory):
        doubt = f"Its {_VARIABLES} holds further numbers of the model, which are not read."
        checkpoint = replace(checkpoint, weights_fingerprint=None, weights_doubt=doubt)
    settings = _settings(data)
    steps = data.get("num_timesteps")
    checkpoint = replace(
        checkpoint,
        format="sb3-zip",
        framework="stable-baselines" if is_second else "stable-baselines3",
        framework_version=clean(version) or None,
        global_step=steps if type(steps) is int and steps >= 0 else None,
        hyper_parameters=settings or None,
        statements=_statements(data, small_entry(source, directory, "system_info.txt")) or None,
        safety=None,  # `data` holds cloudpickles, and those are not judged
        globals=(),
        every_global=(),
        default_load=None,
        bytes_read=source.bytes_read,
    )
    checkpoint = without_equals(checkpoint)
    return replace(facts, checkpoint=checkpoint, problems=(*facts.problems, *problems))


def _with_entries(
    source: ByteSource, directory: ZipDirectory, checkpoint: Checkpoint
) -> tuple[Checkpoint, tuple[Problem, ...]]:
    """Return a model with what Stable-Baselines3 says to the entries that it reads.

    It reads by `zipfile`, which compares the CRC-32 of each, and gives every `.pth` to
    `torch.load(..., weights_only=True)` (`load_from_zip_file` in `save_util.py`).
    """
    names = [name for name in directory.entries if name == "data" or name.endswith(".pth")]
    unread = too_large(directory, names)
    if unread is not None:
        if checkpoint.status == "recognised":
            return checkpoint, ()
        return replace(checkpoint, status="recognised", reason=unread), ()
    flaw = refusal(source, names)
    if flaw is not None:
        flaw = f"Python's zipfile refuses it: {flaw}"
    for name in names:
        flaw = flaw or _flaw(source, directory.entries[name])
    if flaw is None:
        return checkpoint, ()
    problem = Problem("damaged-part", sentence(flaw))
    return replace(checkpoint, status="unreadable", reason=flaw), (problem,)


def _flaw(source: ByteSource, entry: ZipEntry) -> str | None:
    """Return why torch refuses an entry, None where it takes it or the entry is packed."""
    from catalog.sources.checkpoint.archives import read_archive
    from catalog.sources.formats.parts import of_torch

    if entry.method != 0 or entry.name == "data":
        return None
    window = source.window(torch_zip.data_offset(source, entry), entry.size)
    part = of_torch(read_archive(window, entry.name))
    load = part.default_load
    if part.status in ("truncated", "unreadable", "empty"):
        return f"its {entry.name}: {part.reason}"
    if load is not None and load.accepted == "no":
        return f"its {entry.name} is refused: {load.reason}"
    return None


def _missing(directory: ZipDirectory) -> str | None:
    """Return an entry without which `load` of Stable-Baselines3 2.9 fails, None where all are."""
    names = directory.entries
    if "data" not in names:
        return "data"
    if "policy.pth" not in names:
        return "policy.pth"
    if not any(name.endswith("optimizer.pth") for name in names):
        return "policy.optimizer.pth"
    return None


def _has_variables(source: ByteSource, directory: ZipDirectory) -> bool:
    """Say whether there may be tensors beside the policy: SAC's entropy coefficient is one."""
    from catalog.sources.checkpoint.archives import read_root

    entry = directory.entries.get(_VARIABLES)
    if entry is None:
        return False
    if entry.method != 0:
        return True
    window = source.window(torch_zip.data_offset(source, entry), entry.size)
    root = read_root(window)
    return root is None or bool(root[0].found.storages)


def _data(
    source: ByteSource, directory: ZipDirectory
) -> tuple[dict[str, Plain], tuple[Problem, ...]]:
    """Return what `data` says, without what is serialized in it and without secrets."""
    entry = directory.entries.get("data")
    if entry is None:
        return {}, ()
    text = torch_zip.read_entry(source, entry, MAX_BYTES + 1)
    if entry.size > MAX_BYTES or len(text) > MAX_BYTES or not is_modest(text):
        message = f"Its data is larger than {MAX_BYTES:,} bytes, or too dense, and is not read."
        return {}, (Problem("too-large", message),)
    try:
        value = parse_json(text)
    except DocumentError as error:
        return {}, (Problem(error.code, f"Its data cannot be read: {error}"),)
    if not isinstance(value, dict):
        return {}, (Problem("not-a-mapping", "Its data holds no mapping of names to values."),)
    document, redacted = redact({key: part for key, part in value.items() if key not in _NOISE})
    return document, redaction_problem(redacted)


def _settings(data: dict[str, Plain]) -> dict[str, Plain]:
    """Return what the model was made with: plain values, and of objects what is plain in them."""
    settings: dict[str, Plain] = {}
    for key, value in data.items():
        if key in _SPACES:
            settings[key] = _space(value)
        elif isinstance(value, dict) and ":type:" in value:
            settings[key] = _object(value)
        elif _is_short(value):
            settings[key] = value
    return settings


def _object(value: dict[str, Plain]) -> Plain:
    """Return a class by its name, and of another object its class and what is plain in it."""
    if value[":type:"] in _CLASSES:
        module = value.get("__module__")
        functions = [part for part in value.values() if isinstance(part, str)]
        names = [match[1] for part in functions if (match := _METHOD.match(part))]
        return f"{module}.{names[0]}" if isinstance(module, str) and names else value[":type:"]
    return {
        name: part
        for name, part in value.items()
        if name != ":serialized:"
        and not name.startswith("__")
        and _is_short(part)
        # Where in memory something was tells nothing.
        and not (isinstance(part, str) and " at 0x" in part)
    }


def _space(value: Plain) -> Plain:
    """Return a space as a text: `<class 'gym.spaces.box.Box'> float64 [18]`."""
    if not isinstance(value, dict):
        return value if _is_short(value) else None
    kind = str(value.get(":type:") or "").removeprefix("<class '").removesuffix("'>")
    parts = [
        f"{name.lstrip('_')}={value[name]}"
        for name in _SPACE_FIELDS
        if value.get(name) is not None and _is_short(value[name])
    ]
    return f"{kind}({', '.join(parts)})"


def _is_short(value: Plain) -> bool:
    return not isinstance(value, str | list | dict) or len(str(value)) <= _MAX_TEXT


def _statements(data: dict[str, Plain], system: bytes) -> dict[str, Plain]:
    """Return what the file says of its making: when, and with which versions."""
    statements: dict[str, Plain] = {}
    start = data.get("start_time")
    if type(start) in (int, float) and isinstance(start, int | float):
        # In nanoseconds since 1.2 (`time.time_ns`), in seconds before.
        seconds = start / 1e9 if start > 1e14 else start
        try:
            moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
        except (ValueError, OverflowError, OSError):
            moment = None
        statements["start_time"] = start
        if moment is not None:
            statements["start_time_unit"] = "nanoseconds" if start > 1e14 else "seconds"
            statements["start_time_utc"] = moment.replace("+00:00", "Z")
    info: dict[str, Plain] = {}
    for line in system.decode("utf-8", "replace").splitlines()[:100]:
        key, colon, text = line.lstrip("- ").partition(":")
        if colon and text.strip():
            info[clean(key.strip())[:100]] = clean(text.strip())[:500]
    if info:
        statements["system_info"] = redact(info)[0]
    return statements


FORMAT: Final = Format(
    "sb3-zip",
    is_named=lambda name: name.endswith(".zip"),
    signs=(".zip",),
    contains=_contains,
    read_archive=_read,
    read_named=_read_named,
    is_tentative=True,
    carries_config=True,
)
