"""Checkpoints on their way from unusable to usable, and what recovery wrote."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Index, SQLModel

from catalog.schema.tables.base import column, key, one_of
from catalog.states import NAMES as STATES


class Migration(SQLModel, table=True):
    """Whether a checkpoint can be used now, and why not."""

    __table_args__ = (
        one_of("state", *STATES),
        Index("ix_migration_state", "state"),
        # Only of what is doubted: most catalogs doubt nothing.
        Index(
            "ix_migration_doubt",
            "state",
            sqlite_where=text("doubt IS NOT NULL"),
            postgresql_where=text("doubt IS NOT NULL"),
        ),
    )

    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id", primary_key=True)
    state: str = column("One of the states of the view `checkpoint_state`, which explains each.")
    reason_code: str | None = column("Why it is not usable, for scripts.", None)
    reason: str | None = column("The same as a sentence.", None)
    remedy: str | None = column("What to try, the cheapest first.", None)
    config_file_id: int | None = column(
        "The config that inference finds.", None, foreign_key="file.id"
    )
    config_kind: str | None = column("What kind of config that is.", None)
    source_file_id: int | None = column(
        "The file that recovery would cut the config from.", None, foreign_key="file.id"
    )
    source_kind: str | None = column("Kind of that source, e.g. `wandb-stream`.", None)
    doubt: str | None = column(
        "What speaks against the config that inference finds, a sentence.", None
    )


class MigrationEvent(SQLModel, table=True):
    """One change of a checkpoint's state."""

    __tablename__ = "migration_event"
    __table_args__ = (
        one_of("from_state", *STATES),
        one_of("to_state", *STATES),
        Index("ix_migration_event_checkpoint_id", "checkpoint_id"),
        Index("ix_migration_event_ingest_id", "ingest_id"),
    )

    id: int | None = key("Number of the event, in order of time.")
    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id")
    at: str = column("When, UTC.")
    from_state: str | None = column("State before; empty for a new checkpoint.", None)
    to_state: str = column("State after.")
    reason: str | None = column("Why, a sentence.", None)
    ingest_id: int = column("The ingest that saw it.", foreign_key="ingest.id")
    recovery_id: int | None = column(
        "The recovery that brought it about.", None, foreign_key="recovery.id"
    )


class Recovery(SQLModel, table=True):
    """One run of `catalog recover`: a batch that can be verified and undone as one."""

    __table_args__ = (one_of("status", "running", "finished"),)

    id: int | None = key("Number of the batch.")
    status: str = column("running until all its files are dealt with and looked at, then finished.")
    started_at: str = column("Start, UTC.")
    finished_at: str | None = column("End, UTC.", None)
    catalog_version: str = column("Version of catalog that did it.")
    token: str | None = column(
        "Part of its temporary files' names, so that they can be told.", None
    )


class RecoveryFile(SQLModel, table=True):
    """The journal: one file that a recovery set out to write, and what became of it."""

    __tablename__ = "recovery_file"
    __table_args__ = (
        one_of("kind", "sidecar", "provenance"),
        one_of("state", "planned", "written", "failed", "removing", "removed"),
        Index("ix_recovery_file_checkpoint_id", "checkpoint_id"),
        Index("ix_recovery_file_recovery_id", "recovery_id"),
    )

    id: int | None = key("Number of the row.")
    recovery_id: int = column("The batch.", foreign_key="recovery.id")
    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id")
    root_id: int = column("The tree it lies in.", foreign_key="root.id")
    kind: str = column("sidecar: the config. provenance: where that came from.", "sidecar")
    path: str = column("The file, path below the root.")
    run: str | None = column("Identity of the run that the checkpoint was linked to then.", None)
    source_kind: str | None = column("Kind of the source, e.g. `wandb-stream`.", None)
    source_file_id: int = column("The file its content was read from.", foreign_key="file.id")
    config_id: int = column("The config it was cut from.", foreign_key="config.id")
    sha256: str = column("SHA-256 of the bytes to be written.")
    state: str = column(
        "planned before the file is touched, then written or failed; removing while it is being "
        "undone, then removed."
    )
    note: str | None = column("What went wrong, a sentence.", None)
    folder_mtime_ns: int | None = column(
        "Modification time of its folder before, for the undo; empty where others changed it.",
        None,
        big=True,
    )
    folder_mtime_after_ns: int | None = column(
        "The same after it was written: the undo sees by it whether others came since.",
        None,
        big=True,
    )
