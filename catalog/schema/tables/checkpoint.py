"""Saved models, and the shape of what is in them."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Index, SQLModel, UniqueConstraint

from catalog.schema.tables.base import column, key, one_of


class Architecture(SQLModel, table=True):
    """A list of tensor names, types and shapes, shared by all checkpoints that have the same."""

    id: int | None = key("Number of the architecture.")
    sha256: str = column("SHA-256 of its canonical JSON.", unique=True)
    tensor_count: int = column("How many tensors.")


class ArchitectureTensor(SQLModel, table=True):
    """One tensor of an architecture."""

    __tablename__ = "architecture_tensor"

    architecture_id: int = column(
        "The architecture.", foreign_key="architecture.id", primary_key=True
    )
    position: int = column("Its place in the state dict, from 0.", primary_key=True)
    name: str = column("Name in the state dict.")
    dtype: str = column("Element type, torch's short name.")
    shape: str = column("Shape, a JSON list.")
    bytes: int | None = column("Bytes of its numbers.", None, big=True)
    shares: int | None = column(
        "Position of the first tensor that is the same numbers (tied weights).", None
    )


class GlobalSet(SQLModel, table=True):
    """The classes and functions that a pickle names, shared by checkpoints that name the same."""

    __tablename__ = "global_set"

    id: int | None = key("Number of the set.")
    sha256: str = column("SHA-256 of its canonical JSON.", unique=True)


class GlobalSetName(SQLModel, table=True):
    """One name of a set."""

    __tablename__ = "global_set_name"

    global_set_id: int = column("The set.", foreign_key="global_set.id", primary_key=True)
    name: str = column("`module.name` of a class or function.", primary_key=True)


class Checkpoint(SQLModel, table=True):
    """One saved model: a file, or a directory whose parts belong together."""

    __table_args__ = (
        one_of(
            "status",
            "readable",
            "recognised",
            "truncated",
            "empty",
            "pointer",
            "foreign",
            "unreadable",
        ),
        one_of("monitor_mode", "min", "max"),
        one_of("safety", "plain", "unknown", "dangerous"),
        one_of("loads_by_default", "yes", "no", "unknown"),
        Index("ix_checkpoint_weights_fingerprint", "weights_fingerprint"),
        Index(
            "ix_checkpoint_weights_sha256",
            "weights_sha256",
            sqlite_where=text("weights_sha256 IS NOT NULL"),
            postgresql_where=text("weights_sha256 IS NOT NULL"),
        ),
        Index(
            "ix_checkpoint_config_id",
            "config_id",
            sqlite_where=text("config_id IS NOT NULL"),
            postgresql_where=text("config_id IS NOT NULL"),
        ),
        Index(
            "ix_checkpoint_statements_id",
            "statements_id",
            sqlite_where=text("statements_id IS NOT NULL"),
            postgresql_where=text("statements_id IS NOT NULL"),
        ),
        Index(
            "ix_checkpoint_global_set_id",
            "global_set_id",
            sqlite_where=text("global_set_id IS NOT NULL"),
            postgresql_where=text("global_set_id IS NOT NULL"),
        ),
    )

    id: int = column("The number of its row in `file`.", foreign_key="file.id", primary_key=True)
    format: str = column("How it is stored, e.g. `torch-zip`.")
    status: str = column("Whether it could be read, and if not what stands in its place.")
    reason: str | None = column("A sentence, wherever the status is not `readable`.", None)
    framework: str | None = column("What wrote it, e.g. `lightning`.", None)
    framework_version: str | None = column("Version of that framework.", None)
    epoch: int | None = column("Epoch, as it states.", None)
    global_step: int | None = column("Global step, as it states.", None, big=True)
    config_id: int | None = column("The hyper-parameters inside it.", None, foreign_key="config.id")
    monitor: str | None = column("Metric that decided which files to keep.", None)
    monitor_mode: str | None = column("Whether less (min) or more (max) of it is better.", None)
    best_score: float | None = column("Best of its run so far when it was written.", None)
    own_score: float | None = column("Its own score, where it states one.", None)
    best_path: str | None = column(
        "The best file of its run as it remembers it; `./` is `directory`.", None
    )
    last_path: str | None = column(
        "The last file of its run as it remembers it; `./` is `directory`.", None
    )
    directory: str | None = column("The folder it remembers being written to.", None)
    best_k: str | None = column(
        "The k best files and their scores, a JSON list; `./` is `directory`.",
        None,
    )
    architecture_id: int | None = column(
        "Names and shapes of its tensors, where these are all its weights.",
        None,
        foreign_key="architecture.id",
        index=True,
    )
    parameter_count: int | None = column(
        "Numbers in the model; empty where a part of it is not understood.", None, big=True
    )
    tensor_bytes: int | None = column("Bytes of these.", None, big=True)
    weights_fingerprint: str | None = column(
        "Equal for equal weights as the file states them, made without reading them.", None
    )
    true_size: int | None = column("Bytes of the content a pointer stands for.", None, big=True)
    true_sha256: str | None = column("SHA-256 of the content a pointer stands for.", None)
    optimizers: str | None = column("Names of its optimizers, a JSON list.", None)
    schedulers: str | None = column("Names of its schedulers, a JSON list.", None)
    learning_rates: str | None = column(
        "Learning rate of each parameter group when it was written, a JSON list.", None
    )
    safety: str | None = column("Whether unpickling it would run foreign code.", None)
    globals: str | None = column("Names in its pickle that are not known to be safe.", None)
    weights_doubt: str | None = column(
        "Why the weights have no fingerprint, or are not counted, a sentence.", None
    )
    weights_sha256: str | None = column(
        "SHA-256 over the bytes of the weights, where `ingest --hash` read them.", None
    )
    damage: str | None = column(
        "What `ingest --hash` found damaged in its bytes, a sentence.", None
    )
    loads_by_default: str | None = column(
        "Whether `torch.load(file)` accepts it as it is (weights only): yes, no or unknown; empty "
        "for what torch does not load.",
        None,
    )
    loads_torch: str | None = column("Version of torch whose rules that is judged by.", None)
    loads_reason: str | None = column("Why it is not accepted, a sentence.", None)
    loads_remedy: str | None = column("What to run to load it all the same.", None)
    global_set_id: int | None = column(
        "All names in its pickles.", None, foreign_key="global_set.id"
    )
    statements_id: int | None = column(
        "What else it says of itself, by the key it stands under.", None, foreign_key="config.id"
    )


class CheckpointScore(SQLModel, table=True):
    """A named number that a checkpoint carries inside."""

    __tablename__ = "checkpoint_score"
    __table_args__ = (
        UniqueConstraint("checkpoint_id", "origin", "name"),
        Index("ix_checkpoint_score_checkpoint_id", "checkpoint_id"),
    )

    id: int | None = key("Number of the row.")
    checkpoint_id: int = column("The checkpoint.", foreign_key="checkpoint.id")
    origin: str = column("Where inside it stands, e.g. `cleval_metrics`.")
    name: str = column("Name of the number.")
    value: float | None = column("The number; empty where it is not finite.", None)
    special: str | None = column("`nan`, `inf` or `-inf` where it is not finite.", None)
