"""Which checkpoints trainings started from."""

from __future__ import annotations

from sqlmodel import Index, SQLModel, UniqueConstraint

from catalog.schema.tables.base import column, key


class Lineage(SQLModel, table=True):
    """A checkpoint that a run, or another checkpoint, names as what it started from or read."""

    __table_args__ = (
        UniqueConstraint("run_directory_id", "path"),
        Index("ix_lineage_parent_id", "parent_id"),
    )

    id: int | None = key("Number of the row.")
    run_directory_id: int | None = column(
        "The folder of the run (or of the job that nobody tracked) that names it; empty where a "
        "checkpoint does.",
        None,
        foreign_key="run_directory.id",
    )
    path: str = column("The path or artifact as it is named.")
    named_as: str = column(
        "How: `restored-from` (its log), `artifact-used`, `argument`, the key of its config, or "
        "`base-model`: what an adapter or a pipeline was made from."
    )
    parent_id: int | None = column(
        "The checkpoint; empty where none in the catalog is that file, or several may be.",
        None,
        foreign_key="checkpoint.id",
    )
    file_id: int = column("The file or checkpoint that names it.", foreign_key="file.id")
