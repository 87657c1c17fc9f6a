"""Configuration files beside checkpoints: sidecars, metadata, and plain config files.

For `<stem>.ckpt` these are `<stem>.config.json`, `<stem>.config.yaml`,
`<stem>.resolved.config.json` and `<stem>.metadata.json` or `.yaml`; in its folder and the one
above, inference also looks for `config.yaml`, `hparams.yaml`, `train.yaml`, `predict.yaml` and
`config.json`. None of them belongs to a run directory, except in Lightning's `version_N`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from catalog.sources.documents import MAX_VALUES, read_json, read_yaml
from catalog.sources.facts import Config, Facts, Item, Listing, Mention, Plain, RunDirectory
from catalog.sources.formats.registry import names_a_checkpoint, stem_of
from catalog.sources.interpolation import resolve, unresolved_keys
from catalog.sources.paths import is_file, item_of, split
from catalog.sources.plain import leaves
from catalog.sources.secrets import redact, redaction_problem
from catalog.sources.wandb.config_file import unwrap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "sidecar"
VERSION = 1

_OTHER = re.compile(r"(.+)\.(?:bin|pkl|tar|zip)", re.IGNORECASE)
"""Names that only some checkpoints have; a config beside one is a sidecar all the same."""
_FOLDER = re.compile(r"checkpoint-\d+")
"""A Trainer's checkpoint; what belongs to it as a whole lies beside it."""
_SUFFIXES = {
    ".resolved.config.json": "sidecar-resolved",
    ".config.json": "sidecar",
    ".config.yaml": "sidecar-yaml",
    ".metadata.json": "metadata",
    ".metadata.yaml": "metadata",
}
"""Longest first where one ends with another."""
_PLAIN = {
    "config.yaml": "config-file",
    "config.json": "config-file",
    "adapter_config.json": "config-file",
    "model_index.json": "config-file",
    "train.yaml": "config-file",
    "predict.yaml": "config-file",
    "hparams.yaml": "hparams",
}
_RANKS = {
    "sidecar": 10,
    "sidecar-resolved": 11,
    "sidecar-yaml": 12,
    "hparams": 20,
    "config-file": 30,
    "metadata": 40,
}
_VERSION_FOLDER = re.compile(r"version_\d+")
_ROLES = (
    ("run-id", re.compile(r"(?:.+\.)?(?:wandb_run_id|(?:wandb|run)[._](?:run_?)?id)")),
    ("checkpoint-path", re.compile(r"(?:.+\.)?(?:checkpoint|ckpt)[._](?:path|file)")),
    ("config-path", re.compile(r"(?:.+\.)?(?:hydra[._])?config[._](?:path|file|dir)")),
    ("output-dir", re.compile(r"(?:.+\.)?output[._]dir")),
)


def recognise(listing: Listing) -> list[Item]:
    """Return the sidecars of checkpoints in this listing, and config files by their names."""
    stems = {stem for e in listing.entries for stem in _stems(e.name)}
    stems |= {e.name for e in listing.entries if _FOLDER.fullmatch(e.name)}
    in_version = bool(_VERSION_FOLDER.fullmatch(split(listing.path)[1]))
    holder = listing.path if in_version else None
    return [
        item_of(NAME, listing, entry, run_directory=holder)
        for entry in listing.entries
        if is_file(entry) and _is_wanted(entry.name, stems)
    ]


def _stems(name: str) -> Iterator[str]:
    """Yield what sidecars of a checkpoint begin with: for `a.pth.tar` both `a` and `a.pth`."""
    if names_a_checkpoint(name):
        yield stem_of(name)
    match = _OTHER.fullmatch(name)
    if match is not None:
        yield match[1]


def _is_wanted(name: str, stems: set[str]) -> bool:
    if name in _PLAIN:
        return True
    return any(name.removesuffix(suffix) in stems for suffix in _SUFFIXES if name.endswith(suffix))


def kind_of(name: str) -> str:
    """Return the kind of config that a file of this name holds."""
    if name in _PLAIN:
        return _PLAIN[name]
    return next(kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix))


def read(root: Path, item: Item) -> Facts:
    """Read one sidecar or config file.

    Raises:
        OSError: the file cannot be read.
    """
    name = split(item.path)[1]
    kind = kind_of(name)
    place = RunDirectory(item.run_directory, "lightning") if item.run_directory else None
    path = root / item.path
    is_json = name.endswith(".json")
    document = read_json(path, most_values=MAX_VALUES) if is_json else read_yaml(path)
    if document.mapping is None:
        return Facts(run_directory=place, problems=document.problems)
    values = document.mapping
    if "_wandb" in values:
        values = unwrap(values)[0]
    config, secrets = redact(resolve(values))
    return Facts(
        run_directory=place,
        configs=(Config(kind, config, _RANKS[kind], unresolved_keys(config)),) if config else (),
        mentions=tuple(mentions_of(config)) if kind == "metadata" else (),
        problems=redaction_problem(secrets),
    )


def mentions_of(metadata: dict[str, Plain]) -> Iterator[Mention]:
    """Yield the ids and paths in a checkpoint's metadata, under flat and nested keys.

    Known spellings: `wandb_run_id`, `wandb.run_id`, `run_id`; `checkpoint_path`;
    `hydra_config_path`, `hydra.config_path`, `config_path`; `output_dir`.
    """
    for key, value in leaves(metadata):
        # A copy of the config may name other runs: the one that it went on from, for instance.
        if isinstance(value, str) and value and not key.startswith("config."):
            for role, pattern in _ROLES:
                if pattern.fullmatch(key):
                    yield Mention(role, value)
                    break
