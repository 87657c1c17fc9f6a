"""The first schema.

Revision ID: 0.1.0
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0.1.0"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "architecture",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the architecture."),
        sa.Column("sha256", sa.String(), nullable=False, comment="SHA-256 of its canonical JSON."),
        sa.Column("tensor_count", sa.Integer(), nullable=False, comment="How many tensors."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_architecture")),
        sa.UniqueConstraint("sha256", name=op.f("uq_architecture_sha256")),
        comment="A list of tensor names, types and shapes, shared by all checkpoints that have the same.",
    )
    op.create_table(
        "config",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the config."),
        sa.Column("sha256", sa.String(), nullable=False, comment="SHA-256 of its canonical JSON."),
        sa.Column("document", sa.String(), nullable=False, comment="The document, canonical JSON."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config")),
        sa.UniqueConstraint("sha256", name=op.f("uq_config_sha256")),
        comment="One configuration document, stored once per content whichever file it came from.",
    )
    op.create_table(
        "ingest",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the ingest."),
        sa.Column(
            "status",
            sa.String(),
            nullable=False,
            comment="running, finished, interrupted or failed.",
        ),
        sa.Column(
            "cause",
            sa.String(),
            nullable=False,
            comment="`ingest`, or `recovery N` where a recovery looked at its own work.",
        ),
        sa.Column("started_at", sa.String(), nullable=False, comment="Start, UTC."),
        sa.Column("finished_at", sa.String(), nullable=True, comment="End, UTC."),
        sa.Column(
            "catalog_version",
            sa.String(),
            nullable=False,
            comment="Version of catalog that did it.",
        ),
        sa.Column(
            "paths", sa.String(), nullable=False, comment="The paths asked for, a JSON list."
        ),
        sa.Column(
            "settings",
            sa.String(),
            nullable=False,
            comment="The settings that decided links and usability, a JSON object.",
        ),
        sa.Column(
            "files_seen", sa.Integer(), nullable=False, comment="Items that some reader recognised."
        ),
        sa.Column(
            "files_read",
            sa.Integer(),
            nullable=False,
            comment="Of these, opened: new, changed, or read by an older reader.",
        ),
        sa.Column(
            "files_unchanged", sa.Integer(), nullable=False, comment="Of these, not opened again."
        ),
        sa.Column(
            "files_missing",
            sa.Integer(),
            nullable=False,
            comment="Known items that were newly found gone.",
        ),
        sa.Column("problems", sa.Integer(), nullable=False, comment="Problems open at its end."),
        sa.CheckConstraint(
            "status IN ('running', 'finished', 'interrupted', 'failed')",
            name=op.f("ck_ingest_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest")),
        comment="One ingest: what it looked at and what stood in the catalog at its end.",
    )
    op.create_table(
        "metric_name",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the name."),
        sa.Column("name", sa.String(), nullable=False, comment="Name, as the tracker has it."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_name")),
        sa.UniqueConstraint("name", name=op.f("uq_metric_name_name")),
        comment="The name of a metric, stored once.",
    )
    op.create_table(
        "recovery",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the batch."),
        sa.Column(
            "status",
            sa.String(),
            nullable=False,
            comment="running until all its files are dealt with and looked at, then finished.",
        ),
        sa.Column("started_at", sa.String(), nullable=False, comment="Start, UTC."),
        sa.Column("finished_at", sa.String(), nullable=True, comment="End, UTC."),
        sa.Column(
            "catalog_version",
            sa.String(),
            nullable=False,
            comment="Version of catalog that did it.",
        ),
        sa.Column(
            "token",
            sa.String(),
            nullable=True,
            comment="Part of its temporary files' names, so that they can be told.",
        ),
        sa.CheckConstraint("status IN ('running', 'finished')", name=op.f("ck_recovery_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery")),
        comment="One run of `catalog recover`: a batch that can be verified and undone as one.",
    )
    op.create_table(
        "root",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the root."),
        sa.Column(
            "host", sa.String(), nullable=False, comment="Name of the machine that saw the tree."
        ),
        sa.Column(
            "path",
            sa.String(),
            nullable=False,
            comment="Absolute path of the tree on that machine.",
        ),
        sa.Column(
            "added_at", sa.String(), nullable=False, comment="When it was first ingested, UTC."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_root")),
        sa.UniqueConstraint("host", "path", name=op.f("uq_root_host_path")),
        comment="A directory tree that was ingested, on the host where it lies.",
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the run."),
        sa.Column(
            "identity",
            sa.String(),
            nullable=False,
            comment="What makes it one run: tracker, id and, if need be, place.",
        ),
        sa.Column("tracker", sa.String(), nullable=False, comment="wandb, hydra, lightning, ..."),
        sa.Column(
            "tracker_run_id", sa.String(), nullable=True, comment="The id its tracker gave it."
        ),
        sa.Column("entity", sa.String(), nullable=True, comment="W&B entity (user or team)."),
        sa.Column("project", sa.String(), nullable=True, comment="W&B project."),
        sa.Column(
            "display_name", sa.String(), nullable=True, comment="The name that people gave it."
        ),
        sa.Column("group_name", sa.String(), nullable=True, comment="Group of runs it belongs to."),
        sa.Column("job_type", sa.String(), nullable=True, comment="Job type."),
        sa.Column("sweep_id", sa.String(), nullable=True, comment="Sweep it belongs to."),
        sa.Column("tags", sa.String(), nullable=True, comment="Tags, a JSON list."),
        sa.Column("notes", sa.String(), nullable=True, comment="Notes."),
        sa.Column(
            "state", sa.String(), nullable=False, comment="How it ended, as far as the files tell."
        ),
        sa.Column(
            "state_basis", sa.String(), nullable=True, comment="The fact that its state rests on."
        ),
        sa.Column("started_at", sa.String(), nullable=True, comment="Start, UTC."),
        sa.Column(
            "started_raw",
            sa.String(),
            nullable=True,
            comment="The text that the start was read from.",
        ),
        sa.Column(
            "started_zone",
            sa.String(),
            nullable=True,
            comment="Offset of the machine's local time, e.g. `+09:00`.",
        ),
        sa.Column(
            "started_basis",
            sa.String(),
            nullable=True,
            comment="Whether the start's zone was stated, inferred or assumed.",
        ),
        sa.Column("ended_at", sa.String(), nullable=True, comment="End or last sign of life, UTC."),
        sa.Column(
            "ended_basis", sa.String(), nullable=True, comment="The fact that its end rests on."
        ),
        sa.Column("host", sa.String(), nullable=True, comment="Machine it ran on."),
        sa.Column("program", sa.String(), nullable=True, comment="Program that ran."),
        sa.Column(
            "arguments", sa.String(), nullable=True, comment="Command line arguments, a JSON list."
        ),
        sa.Column("git_remote", sa.String(), nullable=True, comment="Git remote."),
        sa.Column("git_commit", sa.String(), nullable=True, comment="Git commit."),
        sa.Column("python_version", sa.String(), nullable=True, comment="Python that ran it."),
        sa.Column(
            "tracker_version",
            sa.String(),
            nullable=True,
            comment="Version of the tracker's client.",
        ),
        sa.Column(
            "packages",
            sa.String(),
            nullable=True,
            comment="Versions of the packages that shape a training, a JSON object.",
        ),
        sa.CheckConstraint(
            "started_basis IN ('stated', 'inferred', 'assumed')", name=op.f("ck_run_started_basis")
        ),
        sa.CheckConstraint(
            "state IN ('finished', 'failed', 'interrupted', 'running', 'unknown')",
            name=op.f("ck_run_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("identity", name=op.f("uq_run_identity")),
        comment="One training as its tracker knows it; its columns are made from `run_field`.",
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_tracker_run_id", ["tracker_run_id"], unique=False)

    op.create_table(
        "architecture_tensor",
        sa.Column("architecture_id", sa.Integer(), nullable=False, comment="The architecture."),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="Its place in the state dict, from 0."
        ),
        sa.Column("name", sa.String(), nullable=False, comment="Name in the state dict."),
        sa.Column(
            "dtype", sa.String(), nullable=False, comment="Element type, torch's short name."
        ),
        sa.Column("shape", sa.String(), nullable=False, comment="Shape, a JSON list."),
        sa.Column("bytes", sa.BigInteger(), nullable=True, comment="Bytes of its numbers."),
        sa.Column(
            "shares",
            sa.Integer(),
            nullable=True,
            comment="Position of the first tensor that is the same numbers (tied weights).",
        ),
        sa.ForeignKeyConstraint(
            ["architecture_id"],
            ["architecture.id"],
            name=op.f("fk_architecture_tensor_architecture_id_architecture"),
        ),
        sa.PrimaryKeyConstraint("architecture_id", "position", name=op.f("pk_architecture_tensor")),
        comment="One tensor of an architecture.",
    )
    op.create_table(
        "config_value",
        sa.Column("config_id", sa.Integer(), nullable=False, comment="The config."),
        sa.Column(
            "key", sa.String(), nullable=False, comment="Dotted key, e.g. `model.encoder.name`."
        ),
        sa.Column(
            "type",
            sa.String(),
            nullable=False,
            comment="Type of the value; lists and empty objects are kept whole, as JSON.",
        ),
        sa.Column("text", sa.String(), nullable=True, comment="The value as text."),
        sa.Column(
            "number", sa.Float(), nullable=True, comment="The value as a number, where it is one."
        ),
        sa.CheckConstraint(
            "type IN ('null', 'bool', 'int', 'float', 'str', 'list', 'dict')",
            name=op.f("ck_config_value_type"),
        ),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_config_value_config_id_config")
        ),
        sa.PrimaryKeyConstraint("config_id", "key", name=op.f("pk_config_value")),
        comment="One value of a config under its dotted key.",
    )
    with op.batch_alter_table("config_value", schema=None) as batch_op:
        batch_op.create_index("ix_config_value_key", ["key"], unique=False)

    op.create_table(
        "file",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the file."),
        sa.Column("root_id", sa.Integer(), nullable=False, comment="The tree it lies in."),
        sa.Column(
            "path", sa.String(), nullable=False, comment="Path below the root, `/` between parts."
        ),
        sa.Column("reader", sa.String(), nullable=False, comment="The reader that understands it."),
        sa.Column(
            "reader_version",
            sa.Integer(),
            nullable=False,
            comment="Version of that reader when it was read.",
        ),
        sa.Column(
            "state",
            sa.String(),
            nullable=False,
            comment="present, or missing since an ingest did not find it any more.",
        ),
        sa.Column(
            "size",
            sa.BigInteger(),
            nullable=False,
            comment="Bytes; of a directory the sum over its parts.",
        ),
        sa.Column(
            "mtime_ns",
            sa.BigInteger(),
            nullable=False,
            comment="Modification time, nanoseconds since 1970, UTC.",
        ),
        sa.Column("modified_at", sa.String(), nullable=True, comment="The same as text, UTC."),
        sa.Column("inode", sa.BigInteger(), nullable=False, comment="Inode when it was read."),
        sa.Column(
            "is_link",
            sa.Boolean(),
            nullable=False,
            comment="A symbolic link to a file inside the root.",
        ),
        sa.Column(
            "sha256",
            sa.String(),
            nullable=True,
            comment="SHA-256 of its content, where `ingest --hash` took it.",
        ),
        sa.Column(
            "first_ingest_id", sa.Integer(), nullable=False, comment="The ingest that first saw it."
        ),
        sa.Column(
            "read_ingest_id",
            sa.Integer(),
            nullable=False,
            comment="The ingest that last opened it.",
        ),
        sa.Column(
            "missing_ingest_id",
            sa.Integer(),
            nullable=True,
            comment="The ingest that found it gone.",
        ),
        sa.CheckConstraint("state IN ('present', 'missing')", name=op.f("ck_file_state")),
        sa.ForeignKeyConstraint(
            ["first_ingest_id"], ["ingest.id"], name=op.f("fk_file_first_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(
            ["missing_ingest_id"], ["ingest.id"], name=op.f("fk_file_missing_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(
            ["read_ingest_id"], ["ingest.id"], name=op.f("fk_file_read_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_file_root_id_root")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file")),
        sa.UniqueConstraint("root_id", "path", name=op.f("uq_file_root_id_path")),
        comment="One item on disk that a reader recognised: a file, or a directory that is one checkpoint.",
    )
    with op.batch_alter_table("file", schema=None) as batch_op:
        batch_op.create_index(
            "ix_file_reader_state_size", ["reader", "state", "size"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_file_sha256"), ["sha256"], unique=False)

    op.create_table(
        "run_directory",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the run directory."),
        sa.Column("root_id", sa.Integer(), nullable=False, comment="The tree it lies in."),
        sa.Column(
            "path",
            sa.String(),
            nullable=False,
            comment="Path below the root; `.` for the root itself.",
        ),
        sa.Column(
            "tracker",
            sa.String(),
            nullable=False,
            comment="What wrote it: wandb, hydra, lightning, ...",
        ),
        sa.Column(
            "tracker_run_id", sa.String(), nullable=True, comment="The id in its name or files."
        ),
        sa.Column(
            "mode", sa.String(), nullable=True, comment="online or offline, where the name tells."
        ),
        sa.Column(
            "stamp",
            sa.String(),
            nullable=True,
            comment="Start as the folder's name states it, zone-less.",
        ),
        sa.Column(
            "stamp_in_utc",
            sa.Boolean(),
            nullable=False,
            comment="The tracker writes UTC into the name.",
        ),
        sa.Column(
            "copy_of_latest",
            sa.Boolean(),
            nullable=False,
            comment="A copy that stands in place of W&B's latest-run link.",
        ),
        sa.Column("started_at", sa.String(), nullable=True, comment="Start, UTC."),
        sa.Column("ended_at", sa.String(), nullable=True, comment="End or last sign of life, UTC."),
        sa.Column(
            "zone",
            sa.String(),
            nullable=True,
            comment="Offset of the local time in its name, e.g. `+09:00`.",
        ),
        sa.Column(
            "zone_basis",
            sa.String(),
            nullable=True,
            comment="Whether that zone was stated, inferred or assumed.",
        ),
        sa.Column(
            "run_id",
            sa.Integer(),
            nullable=True,
            comment="The run; empty for a folder of none, such as a sweep's.",
        ),
        sa.Column(
            "joined_by",
            sa.String(),
            nullable=True,
            comment="Evidence by which it tells of a run of another tracker; empty if it is that tracker's.",
        ),
        sa.Column(
            "join_detail", sa.String(), nullable=True, comment="That evidence in a sentence."
        ),
        sa.Column(
            "kept_apart",
            sa.Boolean(),
            nullable=False,
            comment="A person said that it tells of a training of its own.",
        ),
        sa.CheckConstraint("mode IN ('online', 'offline')", name=op.f("ck_run_directory_mode")),
        sa.ForeignKeyConstraint(
            ["root_id"], ["root.id"], name=op.f("fk_run_directory_root_id_root")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_directory_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_directory")),
        sa.UniqueConstraint("root_id", "path", name=op.f("uq_run_directory_root_id_path")),
        comment="One folder that tells of a run; a resumed run has several.",
    )
    with op.batch_alter_table("run_directory", schema=None) as batch_op:
        batch_op.create_index("ix_run_directory_run_id", ["run_id"], unique=False)

    op.create_table(
        "checkpoint",
        sa.Column("id", sa.Integer(), nullable=False, comment="The number of its row in `file`."),
        sa.Column(
            "format", sa.String(), nullable=False, comment="How it is stored, e.g. `torch-zip`."
        ),
        sa.Column(
            "status",
            sa.String(),
            nullable=False,
            comment="Whether it could be read, and if not what stands in its place.",
        ),
        sa.Column(
            "reason",
            sa.String(),
            nullable=True,
            comment="A sentence, wherever the status is not `readable`.",
        ),
        sa.Column(
            "framework", sa.String(), nullable=True, comment="What wrote it, e.g. `lightning`."
        ),
        sa.Column(
            "framework_version", sa.String(), nullable=True, comment="Version of that framework."
        ),
        sa.Column("epoch", sa.Integer(), nullable=True, comment="Epoch, as it states."),
        sa.Column(
            "global_step", sa.BigInteger(), nullable=True, comment="Global step, as it states."
        ),
        sa.Column(
            "config_id", sa.Integer(), nullable=True, comment="The hyper-parameters inside it."
        ),
        sa.Column(
            "monitor",
            sa.String(),
            nullable=True,
            comment="Metric that decided which files to keep.",
        ),
        sa.Column(
            "monitor_mode",
            sa.String(),
            nullable=True,
            comment="Whether less (min) or more (max) of it is better.",
        ),
        sa.Column(
            "best_score",
            sa.Float(),
            nullable=True,
            comment="Best of its run so far when it was written.",
        ),
        sa.Column(
            "own_score", sa.Float(), nullable=True, comment="Its own score, where it states one."
        ),
        sa.Column(
            "best_path",
            sa.String(),
            nullable=True,
            comment="The best file of its run as it remembers it.",
        ),
        sa.Column(
            "last_path",
            sa.String(),
            nullable=True,
            comment="The last file of its run as it remembers it.",
        ),
        sa.Column(
            "directory",
            sa.String(),
            nullable=True,
            comment="The folder it remembers being written to.",
        ),
        sa.Column(
            "best_k",
            sa.String(),
            nullable=True,
            comment="The k best files and their scores, a JSON list.",
        ),
        sa.Column(
            "architecture_id",
            sa.Integer(),
            nullable=True,
            comment="Names and shapes of its tensors.",
        ),
        sa.Column(
            "parameter_count", sa.BigInteger(), nullable=True, comment="Numbers in the model."
        ),
        sa.Column("tensor_bytes", sa.BigInteger(), nullable=True, comment="Bytes of these."),
        sa.Column(
            "weights_fingerprint",
            sa.String(),
            nullable=True,
            comment="Equal for equal weights, made without reading them.",
        ),
        sa.Column(
            "true_size",
            sa.BigInteger(),
            nullable=True,
            comment="Bytes of the content a pointer stands for.",
        ),
        sa.Column(
            "true_sha256",
            sa.String(),
            nullable=True,
            comment="SHA-256 of the content a pointer stands for.",
        ),
        sa.Column(
            "optimizers",
            sa.String(),
            nullable=True,
            comment="Names of its optimizers, a JSON list.",
        ),
        sa.Column(
            "schedulers",
            sa.String(),
            nullable=True,
            comment="Names of its schedulers, a JSON list.",
        ),
        sa.Column(
            "learning_rates",
            sa.String(),
            nullable=True,
            comment="Learning rate of each parameter group when it was written, a JSON list.",
        ),
        sa.Column(
            "safety",
            sa.String(),
            nullable=True,
            comment="Whether unpickling it would run foreign code.",
        ),
        sa.Column(
            "globals",
            sa.String(),
            nullable=True,
            comment="Names in its pickle that are not known to be safe.",
        ),
        sa.CheckConstraint(
            "monitor_mode IN ('min', 'max')", name=op.f("ck_checkpoint_monitor_mode")
        ),
        sa.CheckConstraint(
            "safety IN ('plain', 'unknown', 'dangerous')", name=op.f("ck_checkpoint_safety")
        ),
        sa.CheckConstraint(
            "status IN ('readable', 'recognised', 'truncated', 'empty', 'pointer', 'foreign', 'unreadable')",
            name=op.f("ck_checkpoint_status"),
        ),
        sa.ForeignKeyConstraint(
            ["architecture_id"],
            ["architecture.id"],
            name=op.f("fk_checkpoint_architecture_id_architecture"),
        ),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_checkpoint_config_id_config")
        ),
        sa.ForeignKeyConstraint(["id"], ["file.id"], name=op.f("fk_checkpoint_id_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint")),
        comment="One saved model: a file, or a directory whose parts belong together.",
    )
    with op.batch_alter_table("checkpoint", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_checkpoint_architecture_id"), ["architecture_id"], unique=False
        )
        batch_op.create_index("ix_checkpoint_best_score", ["best_score"], unique=False)
        batch_op.create_index(
            "ix_checkpoint_weights_fingerprint", ["weights_fingerprint"], unique=False
        )

    op.create_table(
        "mention",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that names it."),
        sa.Column(
            "run_directory_id",
            sa.Integer(),
            nullable=True,
            comment="The run directory of that file, if any.",
        ),
        sa.Column("role", sa.String(), nullable=False, comment="What it is, e.g. `output-dir`."),
        sa.Column("text", sa.String(), nullable=False, comment="The path, id or digest."),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_mention_file_id_file")),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_mention_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mention")),
        comment="A path, id or digest that a file names and that may tie it to another file.",
    )
    with op.batch_alter_table("mention", schema=None) as batch_op:
        batch_op.create_index("ix_mention_file_id", ["file_id"], unique=False)
        batch_op.create_index("ix_mention_role_text", ["role", "text"], unique=False)

    op.create_table(
        "metric_axis",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the axis."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that tells it."),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_metric_axis_file_id_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_axis")),
        comment="The axis of histories: what was logged together shares its steps and times.",
    )
    with op.batch_alter_table("metric_axis", schema=None) as batch_op:
        batch_op.create_index("ix_metric_axis_file_id", ["file_id"], unique=False)

    op.create_table(
        "metric_definition",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("run_directory_id", sa.Integer(), nullable=False, comment="The run directory."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that tells it."),
        sa.Column("metric_name_id", sa.Integer(), nullable=False, comment="The metric."),
        sa.Column(
            "step_metric",
            sa.String(),
            nullable=True,
            comment="The metric on its x-axis, where it is not the step.",
        ),
        sa.Column(
            "goal", sa.String(), nullable=True, comment="Which values are better: min or max."
        ),
        sa.Column(
            "summary",
            sa.String(),
            nullable=True,
            comment="What its summary holds, e.g. `max`, or `best,last`.",
        ),
        sa.CheckConstraint("goal IN ('min', 'max')", name=op.f("ck_metric_definition_goal")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_metric_definition_file_id_file")
        ),
        sa.ForeignKeyConstraint(
            ["metric_name_id"],
            ["metric_name.id"],
            name=op.f("fk_metric_definition_metric_name_id_metric_name"),
        ),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_metric_definition_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_definition")),
        comment="What a tracker was told of a metric (W&B's `define_metric`).",
    )
    with op.batch_alter_table("metric_definition", schema=None) as batch_op:
        batch_op.create_index("ix_metric_definition_file_id", ["file_id"], unique=False)
        batch_op.create_index(
            "ix_metric_definition_run_directory_id", ["run_directory_id"], unique=False
        )

    op.create_table(
        "metric_summary",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("run_directory_id", sa.Integer(), nullable=False, comment="The run directory."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that tells it."),
        sa.Column("metric_name_id", sa.Integer(), nullable=False, comment="The metric."),
        sa.Column(
            "value", sa.Float(), nullable=True, comment="The value; empty where it is not finite."
        ),
        sa.Column(
            "special",
            sa.String(),
            nullable=True,
            comment="`nan`, `inf` or `-inf` where it is not finite.",
        ),
        sa.CheckConstraint(
            "special IN ('nan', 'inf', '-inf')", name=op.f("ck_metric_summary_special")
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_metric_summary_file_id_file")
        ),
        sa.ForeignKeyConstraint(
            ["metric_name_id"],
            ["metric_name.id"],
            name=op.f("fk_metric_summary_metric_name_id_metric_name"),
        ),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_metric_summary_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_summary")),
        comment="One summary value of a run as one file tells it.",
    )
    with op.batch_alter_table("metric_summary", schema=None) as batch_op:
        batch_op.create_index("ix_metric_summary_file_id", ["file_id"], unique=False)
        batch_op.create_index(
            "ix_metric_summary_run_directory_id", ["run_directory_id"], unique=False
        )
        batch_op.create_index("ix_metric_summary_value", ["value"], unique=False)

    op.create_table(
        "problem",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the problem."),
        sa.Column("root_id", sa.Integer(), nullable=False, comment="The tree it lies in."),
        sa.Column(
            "file_id", sa.Integer(), nullable=True, comment="The file, where it is a known one."
        ),
        sa.Column("path", sa.String(), nullable=False, comment="Path below the root."),
        sa.Column(
            "code",
            sa.String(),
            nullable=False,
            comment="Short name that scripts can count, e.g. `truncated-stream`.",
        ),
        sa.Column(
            "message",
            sa.String(),
            nullable=False,
            comment="A sentence: what is wrong and what to try.",
        ),
        sa.Column(
            "first_ingest_id", sa.Integer(), nullable=False, comment="The ingest that first met it."
        ),
        sa.Column(
            "resolved_ingest_id",
            sa.Integer(),
            nullable=True,
            comment="The ingest that met it no more; empty while it is open.",
        ),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_problem_file_id_file")),
        sa.ForeignKeyConstraint(
            ["first_ingest_id"], ["ingest.id"], name=op.f("fk_problem_first_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(
            ["resolved_ingest_id"], ["ingest.id"], name=op.f("fk_problem_resolved_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_problem_root_id_root")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem")),
        comment="Something that could not be read or understood; it never stops an ingest.",
    )
    with op.batch_alter_table("problem", schema=None) as batch_op:
        batch_op.create_index("ix_problem_file_id", ["file_id"], unique=False)

    op.create_table(
        "run_config",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("run_directory_id", sa.Integer(), nullable=False, comment="The run directory."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that states it."),
        sa.Column("config_id", sa.Integer(), nullable=False, comment="The config."),
        sa.Column(
            "kind", sa.String(), nullable=False, comment="Kind of document, e.g. `wandb-stream`."
        ),
        sa.Column(
            "rank",
            sa.Integer(),
            nullable=False,
            comment="Order among sources, the lowest is believed.",
        ),
        sa.Column(
            "unresolved",
            sa.String(),
            nullable=True,
            comment="Keys that still hold `${...}`, a JSON list.",
        ),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_run_config_config_id_config")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_run_config_file_id_file")),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_run_config_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_config")),
        comment="That a file of a run states a config; the lowest rank is believed.",
    )
    with op.batch_alter_table("run_config", schema=None) as batch_op:
        batch_op.create_index("ix_run_config_config_id", ["config_id"], unique=False)
        batch_op.create_index("ix_run_config_file_id", ["file_id"], unique=False)
        batch_op.create_index("ix_run_config_run_directory_id", ["run_directory_id"], unique=False)

    op.create_table(
        "run_field",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("run_directory_id", sa.Integer(), nullable=False, comment="The run directory."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that says it."),
        sa.Column("name", sa.String(), nullable=False, comment="What it is, e.g. `display_name`."),
        sa.Column("value", sa.String(), nullable=False, comment="The text as the file has it."),
        sa.Column(
            "rank",
            sa.Integer(),
            nullable=False,
            comment="Order among sources, the lowest is believed.",
        ),
        sa.Column("utc", sa.String(), nullable=True, comment="For a time: the same in UTC."),
        sa.Column(
            "basis",
            sa.String(),
            nullable=True,
            comment="For a time: whether its zone was stated or assumed.",
        ),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_run_field_file_id_file")),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_run_field_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_field")),
        comment="One thing that one file says of a run; the lowest rank wins, the others stay visible.",
    )
    with op.batch_alter_table("run_field", schema=None) as batch_op:
        batch_op.create_index("ix_run_field_file_id", ["file_id"], unique=False)
        batch_op.create_index("ix_run_field_run_directory_id", ["run_directory_id"], unique=False)

    op.create_table(
        "sidecar",
        sa.Column("id", sa.Integer(), nullable=False, comment="The number of its row in `file`."),
        sa.Column("config_id", sa.Integer(), nullable=False, comment="The config."),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="sidecar, sidecar-yaml, sidecar-resolved, metadata, hparams, config-file.",
        ),
        sa.Column(
            "directory", sa.String(), nullable=False, comment="Folder it lies in, below the root."
        ),
        sa.Column(
            "unresolved",
            sa.String(),
            nullable=True,
            comment="Keys that still hold `${...}`, a JSON list.",
        ),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_sidecar_config_id_config")
        ),
        sa.ForeignKeyConstraint(["id"], ["file.id"], name=op.f("fk_sidecar_id_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sidecar")),
        comment="A config that lies beside checkpoints, where inference may look for it.",
    )
    with op.batch_alter_table("sidecar", schema=None) as batch_op:
        batch_op.create_index("ix_sidecar_directory", ["directory"], unique=False)

    op.create_table(
        "checkpoint_directory",
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column(
            "tracker",
            sa.String(),
            nullable=False,
            comment="What made the folder: wandb, hydra, ...",
        ),
        sa.Column(
            "run_directory_id",
            sa.Integer(),
            nullable=False,
            comment="The nearest such folder above it.",
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_checkpoint_directory_checkpoint_id_checkpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_checkpoint_directory_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("checkpoint_id", "tracker", name=op.f("pk_checkpoint_directory")),
        comment="That a checkpoint lies inside a run's folder or a job's output folder.",
    )
    op.create_table(
        "checkpoint_move",
        sa.Column(
            "checkpoint_id",
            sa.Integer(),
            nullable=False,
            comment="The checkpoint where it lies now.",
        ),
        sa.Column(
            "moved_from_id", sa.Integer(), nullable=False, comment="The same where it lay before."
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_checkpoint_move_checkpoint_id_checkpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["moved_from_id"],
            ["checkpoint.id"],
            name=op.f("fk_checkpoint_move_moved_from_id_checkpoint"),
        ),
        sa.PrimaryKeyConstraint("checkpoint_id", name=op.f("pk_checkpoint_move")),
        sa.UniqueConstraint("moved_from_id", name=op.f("uq_checkpoint_move_moved_from_id")),
        comment="That a checkpoint is a missing one found again: moved or renamed.",
    )
    op.create_table(
        "checkpoint_score",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column(
            "origin",
            sa.String(),
            nullable=False,
            comment="Where inside it stands, e.g. `cleval_metrics`.",
        ),
        sa.Column("name", sa.String(), nullable=False, comment="Name of the number."),
        sa.Column(
            "value", sa.Float(), nullable=True, comment="The number; empty where it is not finite."
        ),
        sa.Column(
            "special",
            sa.String(),
            nullable=True,
            comment="`nan`, `inf` or `-inf` where it is not finite.",
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_checkpoint_score_checkpoint_id_checkpoint"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint_score")),
        sa.UniqueConstraint(
            "checkpoint_id",
            "origin",
            "name",
            name=op.f("uq_checkpoint_score_checkpoint_id_origin_name"),
        ),
        comment="A named number that a checkpoint carries inside.",
    )
    with op.batch_alter_table("checkpoint_score", schema=None) as batch_op:
        batch_op.create_index("ix_checkpoint_score_checkpoint_id", ["checkpoint_id"], unique=False)

    op.create_table(
        "lineage",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column(
            "run_directory_id",
            sa.Integer(),
            nullable=False,
            comment="The folder of the run (or of the job that nobody tracked) that names it.",
        ),
        sa.Column(
            "path", sa.String(), nullable=False, comment="The path or artifact as it is named."
        ),
        sa.Column(
            "named_as",
            sa.String(),
            nullable=False,
            comment="How: `restored-from` (its log), `artifact-used`, `argument`, or the key of its config.",
        ),
        sa.Column(
            "parent_id",
            sa.Integer(),
            nullable=True,
            comment="The checkpoint; empty where none in the catalog is that file, or several may be.",
        ),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that names it."),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_lineage_file_id_file")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["checkpoint.id"], name=op.f("fk_lineage_parent_id_checkpoint")
        ),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_lineage_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lineage")),
        sa.UniqueConstraint(
            "run_directory_id", "path", name=op.f("uq_lineage_run_directory_id_path")
        ),
        comment="A checkpoint that a run names as what it started from or read.",
    )
    with op.batch_alter_table("lineage", schema=None) as batch_op:
        batch_op.create_index("ix_lineage_parent_id", ["parent_id"], unique=False)

    op.create_table(
        "link",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the link."),
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run."),
        sa.Column(
            "run_directory_id",
            sa.Integer(),
            nullable=False,
            comment="The folder of that run that fits best.",
        ),
        sa.Column(
            "verdict",
            sa.String(),
            nullable=False,
            comment="linked: this run wrote it. ambiguous: one of several that fit equally well. candidate: something speaks for it, not enough. rejected: something rules it out.",
        ),
        sa.Column(
            "decided_by",
            sa.String(),
            nullable=False,
            comment="evidence, or person where `catalog link` pinned or rejected the run.",
        ),
        sa.Column(
            "score",
            sa.Float(),
            nullable=False,
            comment="Sum of the evidence's weights, in log-odds (0 is even).",
        ),
        sa.Column(
            "ingest_id",
            sa.Integer(),
            nullable=False,
            comment="The ingest that came to this verdict.",
        ),
        sa.CheckConstraint("decided_by IN ('evidence', 'person')", name=op.f("ck_link_decided_by")),
        sa.CheckConstraint(
            "verdict IN ('linked', 'ambiguous', 'candidate', 'rejected')",
            name=op.f("ck_link_verdict"),
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoint.id"], name=op.f("fk_link_checkpoint_id_checkpoint")
        ),
        sa.ForeignKeyConstraint(
            ["ingest_id"], ["ingest.id"], name=op.f("fk_link_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_link_run_directory_id_run_directory"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_link_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("checkpoint_id", "run_id", name=op.f("uq_link_checkpoint_id_run_id")),
        comment="A run that may have written a checkpoint, with the verdict on it.",
    )
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.create_index("ix_link_run_id", ["run_id"], unique=False)

    op.create_table(
        "link_basis",
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column(
            "sha256",
            sa.String(),
            nullable=False,
            comment="SHA-256 of all that the evidence was made from.",
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_link_basis_checkpoint_id_checkpoint"),
        ),
        sa.PrimaryKeyConstraint("checkpoint_id", name=op.f("pk_link_basis")),
        comment="What a checkpoint was last judged on; it is weighed again only where this differs.",
    )
    op.create_table(
        "link_decision",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the decision."),
        sa.Column(
            "checkpoint_id",
            sa.Integer(),
            nullable=False,
            comment="The checkpoint as it lay then; its moves are followed.",
        ),
        sa.Column(
            "run_identity",
            sa.String(),
            nullable=False,
            comment="The run, as in `run.identity`: numbers may change.",
        ),
        sa.Column(
            "decision",
            sa.String(),
            nullable=False,
            comment="pinned: this run wrote it. rejected: it did not.",
        ),
        sa.Column("reason", sa.String(), nullable=False, comment="Why, in the person's words."),
        sa.Column("decided_at", sa.String(), nullable=False, comment="When, UTC."),
        sa.CheckConstraint(
            "decision IN ('pinned', 'rejected')", name=op.f("ck_link_decision_decision")
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_link_decision_checkpoint_id_checkpoint"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_decision")),
        sa.UniqueConstraint(
            "checkpoint_id",
            "run_identity",
            name=op.f("uq_link_decision_checkpoint_id_run_identity"),
        ),
        comment="A person's word on a checkpoint and a run; no ingest changes it.",
    )
    op.create_table(
        "metric_axis_point",
        sa.Column("axis_id", sa.Integer(), nullable=False, comment="The axis."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Place on the axis, from 0."),
        sa.Column("step", sa.BigInteger(), nullable=True, comment="Step, where one is stated."),
        sa.Column(
            "time", sa.Float(), nullable=True, comment="Seconds since 1970, UTC, where stated."
        ),
        sa.ForeignKeyConstraint(
            ["axis_id"], ["metric_axis.id"], name=op.f("fk_metric_axis_point_axis_id_metric_axis")
        ),
        sa.PrimaryKeyConstraint("axis_id", "position", name=op.f("pk_metric_axis_point")),
        comment="Step and time of one place on an axis.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric_series",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the series."),
        sa.Column("run_directory_id", sa.Integer(), nullable=False, comment="The run directory."),
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that tells it."),
        sa.Column("metric_name_id", sa.Integer(), nullable=False, comment="The metric."),
        sa.Column(
            "axis_id",
            sa.Integer(),
            nullable=True,
            comment="Its steps and times; empty where none are stated.",
        ),
        sa.Column(
            "point_count",
            sa.Integer(),
            nullable=False,
            comment="Points in the file; the setting `history` may keep fewer.",
        ),
        sa.Column("first_step", sa.BigInteger(), nullable=True, comment="Least step of any point."),
        sa.Column(
            "last_step", sa.BigInteger(), nullable=True, comment="Greatest step of any point."
        ),
        sa.Column("lowest", sa.Float(), nullable=True, comment="Least finite value."),
        sa.Column("highest", sa.Float(), nullable=True, comment="Greatest finite value."),
        sa.Column("final", sa.Float(), nullable=True, comment="Last finite value."),
        sa.ForeignKeyConstraint(
            ["axis_id"], ["metric_axis.id"], name=op.f("fk_metric_series_axis_id_metric_axis")
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_metric_series_file_id_file")
        ),
        sa.ForeignKeyConstraint(
            ["metric_name_id"],
            ["metric_name.id"],
            name=op.f("fk_metric_series_metric_name_id_metric_name"),
        ),
        sa.ForeignKeyConstraint(
            ["run_directory_id"],
            ["run_directory.id"],
            name=op.f("fk_metric_series_run_directory_id_run_directory"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_series")),
        comment="The history of one metric as one file tells it.",
    )
    with op.batch_alter_table("metric_series", schema=None) as batch_op:
        batch_op.create_index("ix_metric_series_file_id", ["file_id"], unique=False)
        batch_op.create_index("ix_metric_series_highest", ["highest"], unique=False)
        batch_op.create_index("ix_metric_series_lowest", ["lowest"], unique=False)
        batch_op.create_index("ix_metric_series_metric_name_id", ["metric_name_id"], unique=False)
        batch_op.create_index(
            "ix_metric_series_run_directory_id", ["run_directory_id"], unique=False
        )

    op.create_table(
        "migration",
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column(
            "state",
            sa.String(),
            nullable=False,
            comment="usable: a config lies where inference looks. migrated: the same, written by `catalog recover`. recoverable: unusable, but its run states the config. unrecoverable: unusable, and nothing on disk states it. missing: the file is gone.",
        ),
        sa.Column(
            "reason_code", sa.String(), nullable=True, comment="Why it is not usable, for scripts."
        ),
        sa.Column("reason", sa.String(), nullable=True, comment="The same as a sentence."),
        sa.Column("remedy", sa.String(), nullable=True, comment="What to try, the cheapest first."),
        sa.Column(
            "config_file_id",
            sa.Integer(),
            nullable=True,
            comment="The config that inference finds.",
        ),
        sa.Column(
            "config_kind", sa.String(), nullable=True, comment="What kind of config that is."
        ),
        sa.Column(
            "source_file_id",
            sa.Integer(),
            nullable=True,
            comment="The file that recovery would cut the config from.",
        ),
        sa.Column(
            "source_kind",
            sa.String(),
            nullable=True,
            comment="Kind of that source, e.g. `wandb-stream`.",
        ),
        sa.CheckConstraint(
            "state IN ('usable', 'migrated', 'recoverable', 'unrecoverable', 'missing')",
            name=op.f("ck_migration_state"),
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoint.id"], name=op.f("fk_migration_checkpoint_id_checkpoint")
        ),
        sa.ForeignKeyConstraint(
            ["config_file_id"], ["file.id"], name=op.f("fk_migration_config_file_id_file")
        ),
        sa.ForeignKeyConstraint(
            ["source_file_id"], ["file.id"], name=op.f("fk_migration_source_file_id_file")
        ),
        sa.PrimaryKeyConstraint("checkpoint_id", name=op.f("pk_migration")),
        comment="Whether a checkpoint can be used now, and why not.",
    )
    with op.batch_alter_table("migration", schema=None) as batch_op:
        batch_op.create_index("ix_migration_state", ["state"], unique=False)

    op.create_table(
        "migration_event",
        sa.Column(
            "id", sa.Integer(), nullable=False, comment="Number of the event, in order of time."
        ),
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column("at", sa.String(), nullable=False, comment="When, UTC."),
        sa.Column(
            "from_state",
            sa.String(),
            nullable=True,
            comment="State before; empty for a new checkpoint.",
        ),
        sa.Column("to_state", sa.String(), nullable=False, comment="State after."),
        sa.Column("reason", sa.String(), nullable=True, comment="Why, a sentence."),
        sa.Column("ingest_id", sa.Integer(), nullable=False, comment="The ingest that saw it."),
        sa.Column(
            "recovery_id",
            sa.Integer(),
            nullable=True,
            comment="The recovery that brought it about.",
        ),
        sa.CheckConstraint(
            "from_state IN ('usable', 'migrated', 'recoverable', 'unrecoverable', 'missing')",
            name=op.f("ck_migration_event_from_state"),
        ),
        sa.CheckConstraint(
            "to_state IN ('usable', 'migrated', 'recoverable', 'unrecoverable', 'missing')",
            name=op.f("ck_migration_event_to_state"),
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_migration_event_checkpoint_id_checkpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["ingest_id"], ["ingest.id"], name=op.f("fk_migration_event_ingest_id_ingest")
        ),
        sa.ForeignKeyConstraint(
            ["recovery_id"], ["recovery.id"], name=op.f("fk_migration_event_recovery_id_recovery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_event")),
        comment="One change of a checkpoint's state.",
    )
    with op.batch_alter_table("migration_event", schema=None) as batch_op:
        batch_op.create_index("ix_migration_event_checkpoint_id", ["checkpoint_id"], unique=False)
        batch_op.create_index("ix_migration_event_ingest_id", ["ingest_id"], unique=False)

    op.create_table(
        "recovery_file",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("recovery_id", sa.Integer(), nullable=False, comment="The batch."),
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column("root_id", sa.Integer(), nullable=False, comment="The tree it lies in."),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="sidecar: the config. provenance: where that came from.",
        ),
        sa.Column("path", sa.String(), nullable=False, comment="The file, path below the root."),
        sa.Column(
            "run",
            sa.String(),
            nullable=True,
            comment="Identity of the run that the checkpoint was linked to then.",
        ),
        sa.Column(
            "source_kind",
            sa.String(),
            nullable=True,
            comment="Kind of the source, e.g. `wandb-stream`.",
        ),
        sa.Column(
            "source_file_id",
            sa.Integer(),
            nullable=False,
            comment="The file its content was read from.",
        ),
        sa.Column("config_id", sa.Integer(), nullable=False, comment="The config it was cut from."),
        sa.Column(
            "sha256", sa.String(), nullable=False, comment="SHA-256 of the bytes to be written."
        ),
        sa.Column(
            "state",
            sa.String(),
            nullable=False,
            comment="planned before the file is touched, then written or failed; removing while it is being undone, then removed.",
        ),
        sa.Column("note", sa.String(), nullable=True, comment="What went wrong, a sentence."),
        sa.Column(
            "folder_mtime_ns",
            sa.BigInteger(),
            nullable=True,
            comment="Modification time of its folder before, for the undo; empty where others changed it.",
        ),
        sa.Column(
            "folder_mtime_after_ns",
            sa.BigInteger(),
            nullable=True,
            comment="The same after it was written: the undo sees by it whether others came since.",
        ),
        sa.CheckConstraint("kind IN ('sidecar', 'provenance')", name=op.f("ck_recovery_file_kind")),
        sa.CheckConstraint(
            "state IN ('planned', 'written', 'failed', 'removing', 'removed')",
            name=op.f("ck_recovery_file_state"),
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_recovery_file_checkpoint_id_checkpoint"),
        ),
        sa.ForeignKeyConstraint(
            ["config_id"], ["config.id"], name=op.f("fk_recovery_file_config_id_config")
        ),
        sa.ForeignKeyConstraint(
            ["recovery_id"], ["recovery.id"], name=op.f("fk_recovery_file_recovery_id_recovery")
        ),
        sa.ForeignKeyConstraint(
            ["root_id"], ["root.id"], name=op.f("fk_recovery_file_root_id_root")
        ),
        sa.ForeignKeyConstraint(
            ["source_file_id"], ["file.id"], name=op.f("fk_recovery_file_source_file_id_file")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_file")),
        comment="The journal: one file that a recovery set out to write, and what became of it.",
    )
    with op.batch_alter_table("recovery_file", schema=None) as batch_op:
        batch_op.create_index("ix_recovery_file_checkpoint_id", ["checkpoint_id"], unique=False)
        batch_op.create_index("ix_recovery_file_recovery_id", ["recovery_id"], unique=False)

    op.create_table(
        "link_evidence",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("link_id", sa.Integer(), nullable=False, comment="The link."),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="Kind of observation, e.g. `best-score-in-history`.",
        ),
        sa.Column(
            "weight",
            sa.Float(),
            nullable=False,
            comment="Log-odds; above 0 it speaks for the link, below 0 against it.",
        ),
        sa.Column(
            "detail",
            sa.String(),
            nullable=False,
            comment="A sentence with the values that were compared.",
        ),
        sa.Column(
            "run_file_id",
            sa.Integer(),
            nullable=True,
            comment="The file on the run's side that it was read from.",
        ),
        sa.ForeignKeyConstraint(
            ["link_id"], ["link.id"], name=op.f("fk_link_evidence_link_id_link"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_file_id"], ["file.id"], name=op.f("fk_link_evidence_run_file_id_file")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_evidence")),
        comment="One observation that speaks for or against a link.",
    )
    with op.batch_alter_table("link_evidence", schema=None) as batch_op:
        batch_op.create_index("ix_link_evidence_link_id", ["link_id"], unique=False)

    op.create_table(
        "metric_point",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="The series."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Place in the series, from 0."),
        sa.Column(
            "value", sa.Float(), nullable=True, comment="The value; empty where it is not finite."
        ),
        sa.Column(
            "special",
            sa.String(),
            nullable=True,
            comment="`nan`, `inf` or `-inf` where it is not finite.",
        ),
        sa.CheckConstraint(
            "special IN ('nan', 'inf', '-inf')", name=op.f("ck_metric_point_special")
        ),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["metric_series.id"],
            name=op.f("fk_metric_point_series_id_metric_series"),
        ),
        sa.PrimaryKeyConstraint("series_id", "position", name=op.f("pk_metric_point")),
        comment="One value of a series; its step and time stand at the same place of the series' axis.",
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Refuse: restore the copy that the upgrade made instead."""
    raise NotImplementedError("Restore the .bak copy that `catalog db upgrade` made.")
