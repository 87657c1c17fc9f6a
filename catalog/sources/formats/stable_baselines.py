"""Stable-Baselines3: a zip archive with the policy as a torch archive in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint import torch_zip
from catalog.sources.facts import Checkpoint, Facts
from catalog.sources.formats.format import Format
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.sources.checkpoint.byte_source import ByteSource
    from catalog.sources.checkpoint.torch_zip import ZipDirectory


def _contains(names: Collection[str], _top: str) -> bool:
    return "_stable_baselines3_version" in names


def _read(source: ByteSource, directory: ZipDirectory, own_path: str) -> Facts:
    """Read a Stable-Baselines3 model: its version, its step, and the policy that lies within."""
    # Imported here, for archives are read by asking the formats, of which this is one.
    from catalog.sources.checkpoint.archives import read_archive, small_entry

    version = small_entry(source, directory, "_stable_baselines3_version")
    checkpoint = Checkpoint("sb3-zip", "recognised", reason="its policy is packed and is not read")
    policy = directory.entries.get("policy.pth")
    facts = Facts(checkpoint)
    if policy is not None and policy.method == 0:
        start = torch_zip.data_offset(source, policy)
        inner = read_archive(source.window(start, policy.size), own_path)
        if inner.checkpoint is not None and inner.checkpoint.status == "readable":
            facts = replace(inner, checkpoint=replace(inner.checkpoint, format="sb3-zip"))
    checkpoint = replace(
        facts.checkpoint or checkpoint,
        framework="stable-baselines3",
        framework_version=clean(version.decode("utf-8", "replace").strip()[:100]) or None,
        safety=None,  # `data` holds cloudpickles, and those are not judged
        globals=(),
        bytes_read=source.bytes_read,
    )
    return replace(facts, checkpoint=checkpoint)


FORMAT: Final = Format(
    "sb3-zip",
    is_named=lambda name: name.endswith(".zip") and "model" in name,
    signs=(".zip",),
    contains=_contains,
    read_archive=_read,
)
