"""Which run wrote which checkpoint, and how that is known."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Index, SQLModel, UniqueConstraint

from catalog.schema.tables.base import column, key, one_of


class Link(SQLModel, table=True):
    """A run that may have written a checkpoint, with the verdict on it."""

    __table_args__ = (
        UniqueConstraint("checkpoint_id", "run_id"),
        one_of("verdict", "linked", "ambiguous", "candidate", "rejected"),
        one_of("decided_by", "evidence", "person"),
        Index("ix_link_run_id", "run_id"),
        # One or few of many: what is asked of links is asked of these.
        *(
            Index(
                f"ix_link_{verdict}",
                "checkpoint_id",
                sqlite_where=text(f"verdict = '{verdict}'"),
                postgresql_where=text(f"verdict = '{verdict}'"),
            )
            for verdict in ("linked", "ambiguous")
        ),
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
    decided_by: str = column(
        "evidence, or person where `catalog link` pinned or rejected the run.", "evidence"
    )
    score: float = column("Sum of the evidence's weights, in log-odds (0 is even).")
    ingest_id: int = column("The ingest that came to this verdict.", foreign_key="ingest.id")


class LinkEvidence(SQLModel, table=True):
    """One observation that speaks for or against a link."""

    __tablename__ = "link_evidence"
    # Several rows a checkpoint: the primary key is the table, no second copy of it.
    __table_args__ = ({"sqlite_with_rowid": False},)

    link_id: int = column("The link.", foreign_key="link.id", ondelete="CASCADE", primary_key=True)
    position: int = column("Its place among those of the link, from 0.", primary_key=True)
    kind: str = column("Kind of observation, e.g. `best-score-recorded`.")
    weight: float = column("Log-odds; above 0 it speaks for the link, below 0 against it.")
    detail: str = column("A sentence with the values that were compared.")
    run_file_id: int | None = column(
        "The file on the run's side that it was read from.", None, foreign_key="file.id"
    )


class LinkDecision(SQLModel, table=True):
    """A person's word on a checkpoint and a run; no ingest changes it."""

    __tablename__ = "link_decision"
    __table_args__ = (
        UniqueConstraint("checkpoint_id", "run_identity"),
        one_of("decision", "pinned", "rejected"),
    )

    id: int | None = key("Number of the decision.")
    checkpoint_id: int = column(
        "The checkpoint as it lay then; its moves are followed.", foreign_key="checkpoint.id"
    )
    run_identity: str = column("The run, as in `run.identity`: numbers may change.")
    decision: str = column("pinned: this run wrote it. rejected: it did not.")
    reason: str = column("Why, in the person's words.")
    decided_at: str = column("When, UTC.")


class LinkBasis(SQLModel, table=True):
    """What a checkpoint was last judged on; it is weighed again only where this differs."""

    __tablename__ = "link_basis"

    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id", primary_key=True)
    digest: bytes = column("The first half of the SHA-256 of all that the evidence was made from.")


class CheckpointMove(SQLModel, table=True):
    """That a checkpoint is a missing one found again: moved or renamed."""

    __tablename__ = "checkpoint_move"

    checkpoint_id: int = column(
        "The checkpoint where it lies now.", foreign_key="checkpoint.id", primary_key=True
    )
    moved_from_id: int = column(
        "The same where it lay before.", foreign_key="checkpoint.id", unique=True
    )


class CheckpointDirectory(SQLModel, table=True):
    """That a checkpoint lies inside a run's folder or a job's output folder."""

    __tablename__ = "checkpoint_directory"
    __table_args__ = ({"sqlite_with_rowid": False},)

    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id", primary_key=True)
    tracker: str = column("What made the folder: wandb, hydra, ...", primary_key=True)
    run_directory_id: int = column(
        "The nearest such folder above it.", foreign_key="run_directory.id"
    )
