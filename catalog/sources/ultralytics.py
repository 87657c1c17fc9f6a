"""`args.yaml` (YOLOv8 and later) and `opt.yaml` (YOLOv5, v7): the arguments of a training.

Their history is `results.csv` beside them, see `catalog.sources.metrics_csv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.sources.documents import read_yaml
from catalog.sources.facts import Config, Facts, Item, Listing, Mention, RunDirectory
from catalog.sources.paths import is_file, item_of, split
from catalog.sources.run_fields import field_of
from catalog.sources.secrets import redact, redaction_problem

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ultralytics"
VERSION = 1
RANK = 10

_FILES = ("args.yaml", "opt.yaml")
_COMPANIONS = frozenset({"results.csv", "results.txt", "weights"})


def recognise(listing: Listing) -> list[Item]:
    """Return the arguments beside `results.csv` or `weights/`; elsewhere the names mean nothing."""
    if not _COMPANIONS.intersection(entry.name for entry in listing.entries):
        return []
    return [
        item_of(NAME, listing, entry, run_directory=listing.path)
        for entry in listing.entries
        if entry.name in _FILES and is_file(entry)
    ]


def read(root: Path, item: Item) -> Facts:
    """Read the arguments.

    Raises:
        OSError: the file cannot be read.

    """
    place = RunDirectory(split(item.path)[0], NAME)
    document = read_yaml(root / item.path)
    if document.mapping is None:
        return Facts(run_directory=place, problems=document.problems)
    config, secrets = redact(document.mapping)
    name, folder = config.get("name"), config.get("save_dir")
    return Facts(
        run_directory=place,
        fields=field_of("display_name", name, RANK) if isinstance(name, str) else (),
        configs=(Config("ultralytics-args", config, RANK),),
        mentions=(Mention("output-dir", folder),) if isinstance(folder, str) and folder else (),
        problems=redaction_problem(secrets),
    )
