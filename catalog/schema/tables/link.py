"""Which run wrote which checkpoint, and how that is known."""

from __future__ import annotations

from sqlmodel import Index, SQLModel, UniqueConstraint

from catalog.schema.tables.base import column, key, one_of


class Link(SQLModel, table=True):
    """A run that may have written a checkpoint, with the verdict on it."""

    __table_args__ = (
        UniqueConstraint("checkpoint_id", "run_id"),
        one_of("verdict", "linked", "ambiguous", "candidate", "rejected"),
        Index("ix_link_run_id", "run_id"),
    )

    id: int | None = key("Number of the link.")
    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id")
    run_id: int = column("The run.", foreign_key="run.id")
    run_directory_id: int = column(
        "The folder of that run that fits best.", foreign_key="run_directory.id"
    )
    verdict: str = column(
        "linked: this run wrote it. ambiguous: one of several that fit equally well. "
        "candidate: something speaks for it, not enough. rejected: something rules it out."
    )
    score: float = column("Sum of the evidence's weights, in log-odds (0 is even).")
    ingest_id: int = column("The ingest that came to this verdict.", foreign_key="ingest.id")


class LinkEvidence(SQLModel, table=True):
    """One observation that speaks for or against a link."""

    __tablename__ = "link_evidence"
    __table_args__ = (Index("ix_link_evidence_link_id", "link_id"),)

    id: int | None = key("Number of the row.")
    link_id: int = column("The link.", foreign_key="link.id", ondelete="CASCADE")
    kind: str = column("Kind of observation, e.g. `best-score-in-history`.")
    weight: float = column("Log-odds; above 0 it speaks for the link, below 0 against it.")
    detail: str = column("A sentence with the values that were compared.")
    run_file_id: int | None = column(
        "The file on the run's side that it was read from.", None, foreign_key="file.id"
    )


class CheckpointDirectory(SQLModel, table=True):
    """That a checkpoint lies inside a run's folder or a job's output folder."""

    __tablename__ = "checkpoint_directory"

    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id", primary_key=True)
    tracker: str = column("What made the folder: wandb, hydra, ...", primary_key=True)
    run_directory_id: int = column(
        "The nearest such folder above it.", foreign_key="run_directory.id"
    )
