"""Hydra's output folders that are of no single job, so that their `.hydra` is of the last one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from catalog.schema.store import fetched, table_of
from catalog.schema.tables import RunDirectory, RunField

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TRACKER = "hydra"


def shared_job_folders(connection: Connection) -> frozenset[int]:
    """Return the numbers of the job folders in which each job of a project worked.

    With `hydra.run.dir: .` the output folder is the project's own: Hydra states the folder that
    the program was started in as its output. Where older versions state neither, it is one
    without a stamp that other jobs' folders are in, or the root that was ingested.

    Args:
        connection: to a catalog with the rows of all folders.

    """
    table, fields = table_of(RunDirectory), table_of(RunField)
    stated: dict[int, dict[str, str]] = defaultdict(dict)
    for number, name, value in fetched(
        connection,
        select(fields.c.run_directory_id, fields.c.name, fields.c.value)
        .join(table, table.c.id == fields.c.run_directory_id)
        .where(table.c.tracker == _TRACKER, fields.c.name.in_(("output_dir", "cwd")))
        .order_by(fields.c.rank, fields.c.file_id, fields.c.position),
    ):
        stated[int(number)].setdefault(name, str(value).rstrip("/"))
    jobs = [
        (int(number), int(root), str(path), stamp)
        for number, root, path, stamp in fetched(
            connection,
            select(table.c.id, table.c.root_id, table.c.path, table.c.stamp).where(
                table.c.tracker == _TRACKER
            ),
        )
    ]
    holding: set[tuple[int, str]] = set()
    for _number, root, path, _stamp in jobs:
        above = path
        while "/" in above:
            above = above.rpartition("/")[0]
            if (root, above) in holding:
                break
            holding.add((root, above))
    return frozenset(
        number
        for number, root, path, stamp in jobs
        if _is_start(stated.get(number, {}))
        or (stamp is None and (path == "." or (root, path) in holding))
    )


def _is_start(places: dict[str, str]) -> bool:
    """Say whether a job's output folder is the one that its program was started in."""
    return "output_dir" in places and places["output_dir"] == places.get("cwd")
