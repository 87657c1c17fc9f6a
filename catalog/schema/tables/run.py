"""Trainings, the folders that tell of them, and their configurations."""

from __future__ import annotations

from sqlmodel import Index, SQLModel, UniqueConstraint

from catalog.schema.tables.base import column, key, one_of


class Run(SQLModel, table=True):
    """One training as its tracker knows it; its columns are made from `run_field`."""

    __table_args__ = (
        one_of("state", "finished", "failed", "interrupted", "running", "unknown"),
        one_of("started_basis", "stated", "inferred", "assumed"),
        Index("ix_run_tracker_run_id", "tracker_run_id"),
        Index("ix_run_started_at", "started_at"),
    )

    id: int | None = key("Number of the run.")
    identity: str = column(
        "What makes it one run: tracker, id and, if need be, place.", unique=True
    )
    tracker: str = column("wandb, hydra, lightning, ...")
    tracker_run_id: str | None = column("The id its tracker gave it.", None)
    entity: str | None = column("W&B entity (user or team).", None)
    project: str | None = column("W&B project.", None)
    display_name: str | None = column("The name that people gave it.", None)
    group_name: str | None = column("Group of runs it belongs to.", None)
    job_type: str | None = column("Job type.", None)
    sweep_id: str | None = column("Sweep it belongs to.", None)
    tags: str | None = column("Tags, a JSON list.", None)
    notes: str | None = column("Notes.", None)
    state: str = column("How it ended, as far as the files tell.", "unknown")
    state_basis: str | None = column("The fact that its state rests on.", None)
    started_at: str | None = column("Start, UTC.", None)
    started_raw: str | None = column("The text that the start was read from.", None)
    started_zone: str | None = column("Offset of the machine's local time, e.g. `+09:00`.", None)
    started_basis: str | None = column(
        "Whether the start's zone was stated, inferred or assumed.", None
    )
    ended_at: str | None = column("End or last sign of life, UTC.", None)
    ended_basis: str | None = column("The fact that its end rests on.", None)
    host: str | None = column("Machine it ran on.", None)
    program: str | None = column("Program that ran.", None)
    arguments: str | None = column("Command line arguments, a JSON list.", None)
    git_remote: str | None = column("Git remote.", None)
    git_commit: str | None = column("Git commit.", None)
    python_version: str | None = column("Python that ran it.", None)
    tracker_version: str | None = column("Version of the tracker's client.", None)
    packages: str | None = column(
        "Versions of the packages that shape a training, a JSON object.", None
    )


class RunDirectory(SQLModel, table=True):
    """One folder that tells of a run; a resumed run has several."""

    __tablename__ = "run_directory"
    __table_args__ = (
        UniqueConstraint("root_id", "path"),
        one_of("mode", "online", "offline"),
        Index("ix_run_directory_run_id", "run_id"),
    )

    id: int | None = key("Number of the run directory.")
    root_id: int = column("The tree it lies in.", foreign_key="root.id")
    path: str = column("Path below the root; `.` for the root itself.")
    tracker: str = column("What wrote it: wandb, hydra, lightning, ...")
    tracker_run_id: str | None = column("The id in its name or files.", None)
    mode: str | None = column("online or offline, where the name tells.", None)
    stamp: str | None = column("Start as the folder's name states it, zone-less.", None)
    stamp_in_utc: bool = column("The tracker writes UTC into the name.", False)
    copy_of_latest: bool = column("A copy that stands in place of W&B's latest-run link.", False)
    started_at: str | None = column("Start, UTC.", None)
    ended_at: str | None = column("End or last sign of life, UTC.", None)
    zone: str | None = column("Offset of the local time in its name, e.g. `+09:00`.", None)
    zone_basis: str | None = column("Whether that zone was stated, inferred or assumed.", None)
    run_id: int | None = column(
        "The run; empty for a folder of none, such as a sweep's.", None, foreign_key="run.id"
    )
    joined_by: str | None = column(
        "Evidence by which it tells of a run of another tracker; empty if it is that tracker's.",
        None,
    )
    join_detail: str | None = column("That evidence in a sentence.", None)
    kept_apart: bool = column("A person said that it tells of a training of its own.", False)
    life: int | None = column(
        "Of a run that went on in several folders: its place among them, from 1.", None
    )
    beginning: str | None = column(
        "How it began where it did not begin anew: resumed, rewound, forked.", None
    )


class RunField(SQLModel, table=True):
    """One thing that one file says of a run; the lowest rank wins, the others stay visible."""

    __tablename__ = "run_field"
    __table_args__ = (
        Index("ix_run_field_run_directory_id", "run_directory_id"),
        {"sqlite_with_rowid": False},
    )

    file_id: int = column("The file that says it.", foreign_key="file.id", primary_key=True)
    position: int = column("Its place among what the file says, from 0.", primary_key=True)
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    name: str = column("What it is, e.g. `display_name`.")
    value: str = column("The text as the file has it.")
    rank: int = column("Order among sources, the lowest is believed.")
    utc: str | None = column("For a time: the same in UTC.", None)
    basis: str | None = column("For a time: whether its zone was stated or assumed.", None)


class Config(SQLModel, table=True):
    """One configuration document, stored once per content whichever file it came from."""

    id: int | None = key("Number of the config.")
    sha256: str = column("SHA-256 of its canonical JSON.", unique=True)
    document: str = column("The document, canonical JSON.")


class ConfigValue(SQLModel, table=True):
    """One value of a config under its dotted key."""

    __tablename__ = "config_value"
    __table_args__ = (
        one_of("type", "null", "bool", "int", "float", "str", "list", "dict"),
        Index("ix_config_value_key", "key"),
        {"sqlite_with_rowid": False},
    )

    config_id: int = column("The config.", foreign_key="config.id", primary_key=True)
    key: str = column("Dotted key, e.g. `model.encoder.name`.", primary_key=True)
    type: str = column("Type of the value; lists and empty objects are kept whole, as JSON.")
    text: str | None = column("The value as text.", None)
    number: float | None = column("The value as a number, where it is one.", None)


class RunConfig(SQLModel, table=True):
    """That a file of a run states a config; the lowest rank is believed."""

    __tablename__ = "run_config"
    __table_args__ = (
        Index("ix_run_config_run_directory_id", "run_directory_id"),
        Index("ix_run_config_file_id", "file_id"),
        Index("ix_run_config_config_id", "config_id"),
    )

    id: int | None = key("Number of the row.")
    run_directory_id: int = column("The run directory.", foreign_key="run_directory.id")
    file_id: int = column("The file that states it.", foreign_key="file.id")
    config_id: int = column("The config.", foreign_key="config.id")
    kind: str = column("Kind of document, e.g. `wandb-stream`.")
    rank: int = column("Order among sources, the lowest is believed.")
    unresolved: str | None = column("Keys that still hold `${...}`, a JSON list.", None)


class Sidecar(SQLModel, table=True):
    """A config that lies beside checkpoints, where inference may look for it."""

    __table_args__ = (Index("ix_sidecar_directory", "directory"),)

    id: int = column("The number of its row in `file`.", foreign_key="file.id", primary_key=True)
    config_id: int = column("The config.", foreign_key="config.id")
    kind: str = column("sidecar, sidecar-yaml, sidecar-resolved, metadata, hparams, config-file.")
    directory: str = column("Folder it lies in, below the root.")
    unresolved: str | None = column("Keys that still hold `${...}`, a JSON list.", None)


class Mention(SQLModel, table=True):
    """A path, id or digest that a file names and that may tie it to another file."""

    __table_args__ = (
        Index("ix_mention_file_id", "file_id"),
        Index("ix_mention_role_text", "role", "text"),
    )

    id: int | None = key("Number of the row.")
    file_id: int = column("The file that names it.", foreign_key="file.id")
    run_directory_id: int | None = column(
        "The run directory of that file, if any.", None, foreign_key="run_directory.id"
    )
    role: str = column("What it is, e.g. `output-dir`.")
    text: str = column("The path, id or digest.")
