"""The id of its run inside a checkpoint, under any key that people put it under."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from catalog.link.config_texts import config_texts
from catalog.link.keys import says_another, says_reading
from catalog.link.subjects import Said, is_run
from catalog.schema.store import fetched, table_of
from catalog.schema.tables import Checkpoint
from catalog.sources.run_ids import is_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from catalog.link.subjects import RunFolder, Subject

_KEY = re.compile(
    r"(?:.*[./])?(?:wandb[._-]?(?:run)?[._-]?(?:id|path|url)?|run[._-]?id)", re.IGNORECASE
)
"""`wandb_run_id`, `wandb_id`, `run_id`, `wandb.run.id`, `config.wandb_run_id`, `wandb_run_path`;
`parent_run_id` is of another run, and `mlflow_run_id` of another tracker."""
_URL = re.compile(r"https?://[^/]+/(?P<project>[^/]+/[^/]+)/runs/(?P<id>[^/?#]+)")
_WORDS = ("%wandb%", "%run_id", "%run-id", "%run.id", "%runid")


def add_ids_inside(
    connection: Connection, subjects: Mapping[int, Subject], folders: Iterable[RunFolder]
) -> None:
    """Add the ids of runs in hyper-parameters and in what else checkpoints say of themselves.

    Under `run_id` alone other trackers keep theirs as well: it has to be the id of a run that is
    known.

    Args:
        connection: to the catalog.
        subjects: the checkpoints, by number.
        folders: every run directory.
    """
    known = {folder.tracker_run_id for folder in folders if is_run(folder)}
    stated: dict[int, list[str]] = defaultdict(list)
    configs = table_of(Checkpoint)
    by_config: dict[int, list[int]] = defaultdict(list)
    for number, *numbers in fetched(
        connection,
        select(configs.c.id, configs.c.config_id, configs.c.statements_id).where(
            or_(configs.c.config_id.is_not(None), configs.c.statements_id.is_not(None))
        ),
    ):
        for config_id in numbers:
            if config_id is not None:
                by_config[int(config_id)].append(int(number))
    for config_id, key, text in config_texts(connection, by_config, _WORDS):
        found = _id_in(key, text, known)
        if found is not None:
            stated[config_id].append(found)
    for config_id, ids in stated.items():
        for number in by_config[config_id]:
            subject = subjects.get(number)
            if subject is not None:
                subject.stated_run_ids += [Said(one, number) for one in ids]


def _id_in(key: str, text: str, known: set[str | None]) -> str | None:
    """Return the id, or ENTITY/PROJECT/ID, that stands under a key; None if it is no such key."""
    if not _KEY.fullmatch(key) or says_reading(key) or says_another(key):
        return None
    url = _URL.fullmatch(text)
    stated = text if url is None else f"{url['project']}/{url['id']}"
    parts = stated.split("/")
    if len(parts) == 4 and parts[2] == "runs":
        parts = [*parts[:2], parts[3]]
    run_id = parts[-1]
    if len(parts) not in {1, 3} or not (
        run_id in known or ("wandb" in key.lower() and is_drawn(run_id))
    ):
        return None
    return "/".join(parts)
