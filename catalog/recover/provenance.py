"""Where a sidecar came from, as it is written down beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from catalog import __version__
from catalog.errors import RecoveryError
from catalog.recover.content import Shape, sha256_of
from catalog.schema.store import table_of
from catalog.schema.tables import File, Link, LinkEvidence, Root, Run, RunDirectory

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catalog.recover.sources import Source

_MOST_EVIDENCE = 20


class Provenance:
    """Makes the provenance of sidecars; each source file is hashed once."""

    def __init__(self, connection: Connection, shape: Shape, now: str) -> None:
        self._connection = connection
        self._shape = shape
        self._now = now
        self._hashed: dict[int, dict[str, Any]] = {}

    def of(self, checkpoint_id: int, name: str, source: Source) -> dict[str, Any]:
        """Return the provenance of one sidecar as plain data.

        Args:
            checkpoint_id: the checkpoint.
            name: of its file.
            source: what the sidecar is cut from.

        Raises:
            RecoveryError: the source file is not any more what was ingested.
        """
        run, evidence = self._run(checkpoint_id)
        return {
            "written_by": f"catalog {__version__}",
            "written_at": self._now,
            "checkpoint": name,
            "holds": "whole config" if self._shape.shape == "whole" else [*self._shape.sections],
            "run": run,
            "evidence": evidence,
            "source": {"kind": source.stated.kind, **self._file(source.stated.file_id)},
        }

    def _run(self, checkpoint_id: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        link, run, folder = table_of(Link), table_of(Run), table_of(RunDirectory)
        row = self._connection.execute(
            select(
                link.c.id,
                link.c.score,
                run.c.tracker,
                run.c.tracker_run_id,
                run.c.entity,
                run.c.project,
                run.c.display_name,
                folder.c.path,
            )
            .join(run, run.c.id == link.c.run_id)
            .join(folder, folder.c.id == link.c.run_directory_id)
            .where(link.c.checkpoint_id == checkpoint_id, link.c.verdict == "linked")
        ).one()
        table, files = table_of(LinkEvidence), table_of(File)
        evidence = [
            {"kind": kind, "weight": weight, "detail": detail, "file": path}
            for kind, weight, detail, path in self._connection.execute(
                select(table.c.kind, table.c.weight, table.c.detail, files.c.path)
                .outerjoin(files, files.c.id == table.c.run_file_id)
                .where(table.c.link_id == row.id)
                .order_by(table.c.weight.desc(), table.c.position)
                .limit(_MOST_EVIDENCE)
            )
        ]
        described = {
            "tracker": row.tracker,
            "id": row.tracker_run_id,
            "entity": row.entity,
            "project": row.project,
            "name": row.display_name,
            "directory": row.path,
            "score": row.score,
        }
        return described, evidence

    def _file(self, file_id: int) -> dict[str, Any]:
        """Return path and digest of a source file; the digest of a missing one is null."""
        if file_id not in self._hashed:
            files, roots = table_of(File), table_of(Root)
            row = self._connection.execute(
                select(files.c.path, files.c.size, files.c.mtime_ns, roots.c.path.label("root"))
                .join(roots, roots.c.id == files.c.root_id)
                .where(files.c.id == file_id)
            ).one()
            path = Path(row.root) / row.path
            if _changed(path, (int(row.size), int(row.mtime_ns))):
                raise RecoveryError(f"{path} changed since it was ingested; ingest again.")
            self._hashed[file_id] = {
                "root": row.root,
                "path": row.path,
                "sha256": sha256_of(path) if path.is_file() else None,
            }
        return dict(self._hashed[file_id])


def _changed(path: Path, seen: tuple[int, int]) -> bool:
    """Say whether a file is there and is not what was read; of a missing one we have the words."""
    try:
        status = path.stat()
    except OSError:
        return False
    return path.is_file() and (status.st_size, status.st_mtime_ns) != seen
