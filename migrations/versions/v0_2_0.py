"""What 0.2.0 changes.

Revision ID: 0.2.0
Revises: 0.1.0
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0.2.0"
down_revision = "0.1.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    _settings_are_kept()
    _growing_files_have_bookmarks()
    _repeated_histories_stand_once()
    _rows_take_less()
    _questions_walk_indexes()
    _hashed_files_are_known_to_artifacts()


def _settings_are_kept() -> None:
    op.create_table(
        "setting",
        sa.Column(
            "name", sa.String(), nullable=False, comment="Name, as `catalog settings` lists it."
        ),
        sa.Column("value", sa.String(), nullable=False, comment="The value as JSON."),
        sa.Column("kept_at", sa.String(), nullable=False, comment="Since when, UTC."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        comment="A setting that holds for this catalog, whoever works with it, until it is forgotten.",
    )


def _growing_files_have_bookmarks() -> None:
    op.create_table(
        "file_bookmark",
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file."),
        sa.Column(
            "state",
            sa.String(),
            nullable=False,
            comment="JSON of its reader: place, fingerprint of what stands before it, and what "
            "later records build on. No text of configs and logs.",
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_file_bookmark_file_id_file")
        ),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_file_bookmark")),
        comment="Where the last reading of a file that still grows came to: the next one goes on "
        "there.",
    )


def _hashed_files_are_known_to_artifacts() -> None:
    op.add_column(
        "file",
        sa.Column(
            "md5",
            sa.String(),
            nullable=True,
            comment="MD5 of its content, base64, as W&B's artifacts state it; taken with the "
            "SHA-256.",
        ),
    )


def _repeated_histories_stand_once() -> None:
    op.add_column(
        "metric_series",
        sa.Column(
            "points_of",
            sa.Integer(),
            nullable=True,
            comment="The longer series of the same run that its points are the first of: they "
            "stand there.",
        ),
    )
    op.create_index(
        "ix_metric_series_points_of",
        "metric_series",
        ["points_of"],
        unique=False,
        sqlite_where=sa.text("points_of IS NOT NULL"),
        postgresql_where=sa.text("points_of IS NOT NULL"),
    )


def _rows_take_less() -> None:
    """Keys that are the table, sums of half the length, paths below a folder that is kept once."""
    _anew(
        "link_evidence",
        "link_id, ROW_NUMBER() OVER (PARTITION BY link_id ORDER BY id) - 1 AS position, kind, "
        "weight, detail, run_file_id",
        sa.Column("link_id", sa.Integer(), nullable=False, comment="The link."),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=False,
            comment="Its place among those of the link, from 0.",
        ),
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
        sa.PrimaryKeyConstraint("link_id", "position", name=op.f("pk_link_evidence")),
        comment="One observation that speaks for or against a link.",
    )
    _anew(
        "config_value",
        "config_id, key, type, text, number",
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
    op.create_index("ix_config_value_key", "config_value", ["key"], unique=False)
    _anew(
        "checkpoint_directory",
        "checkpoint_id, tracker, run_directory_id",
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
    # Another version judges every checkpoint anew at its next ingest: its old digests say nothing.
    op.drop_table("link_basis")
    op.create_table(
        "link_basis",
        sa.Column("checkpoint_id", sa.Integer(), nullable=False, comment="The checkpoint."),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="The first half of the SHA-256 of all that the evidence was made from.",
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"],
            ["checkpoint.id"],
            name=op.f("fk_link_basis_checkpoint_id_checkpoint"),
        ),
        sa.PrimaryKeyConstraint("checkpoint_id", name=op.f("pk_link_basis")),
        comment="What a checkpoint was last judged on; it is weighed again only where this differs.",
    )
    op.drop_index("ix_checkpoint_best_score", "checkpoint")  # nothing asked for it
    op.drop_index("ix_file_sha256", "file")
    op.create_index(
        "ix_file_sha256",
        "file",
        ["sha256"],
        unique=False,
        sqlite_where=sa.text("sha256 IS NOT NULL"),
        postgresql_where=sa.text("sha256 IS NOT NULL"),
    )
    _checkpoints_take_less(op.get_bind())


def _anew(name: str, columns: str, *parts: sa.schema.SchemaItem, comment: str) -> None:
    """Make a table anew with its rows: SQLite cannot change a primary key in place.

    Args:
        name: of the table; no other refers to it.
        columns: what to select of the old one, in the order of the new columns.
        parts: columns and constraints of the new one.
        comment: of the new one.
    """
    old = f"{name}_before"
    op.execute(f"CREATE TABLE {old} AS SELECT {columns} FROM {name}")  # noqa: S608 - names of ours
    op.drop_table(name)
    op.create_table(name, *parts, comment=comment, sqlite_with_rowid=False)
    op.execute(f"INSERT INTO {name} SELECT * FROM {old}")  # noqa: S608 - names of ours
    op.drop_table(old)


def _checkpoints_take_less(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite keeps no comments
        for name, comment in (
            ("best_path", "The best file of its run as it remembers it; `./` is `directory`."),
            ("last_path", "The last file of its run as it remembers it; `./` is `directory`."),
            ("best_k", "The k best files and their scores, a JSON list; `./` is `directory`."),
        ):
            op.alter_column("checkpoint", name, existing_type=sa.String(), comment=comment)
    table = sa.table(
        "checkpoint",
        *map(sa.column, ("id", "directory", "best_path", "last_path", "best_k")),
        sa.column("weights_fingerprint"),
    )
    connection.execute(
        sa.update(table).values(
            weights_fingerprint=sa.func.substr(table.c.weights_fingerprint, 1, 32)
        )
    )
    # A path that the checkpoint's own row holds needs no row beside it.
    connection.execute(
        sa.text(
            "DELETE FROM mention WHERE role IN ('checkpoint-path', 'output-dir') AND EXISTS ("
            "SELECT 1 FROM checkpoint c WHERE c.id = mention.file_id"
            " AND mention.text IN (c.directory, c.best_path, c.last_path))"
        )
    )
    for row in connection.execute(sa.select(table)).all():
        paths = {
            name: _shortened(getattr(row, name), row.directory)
            for name in ("best_path", "last_path")
            if getattr(row, name)
        }
        if row.best_k:
            kept = [
                [_shortened(path, row.directory), score] for path, score in json.loads(row.best_k)
            ]
            paths["best_k"] = json.dumps(kept, separators=(",", ":"))
        if paths:
            connection.execute(sa.update(table).where(table.c.id == row.id).values(paths))


def _shortened(path: str, directory: str | None) -> str:
    """Return a path as 0.2.0 stores it (`catalog.schema.remembered`)."""
    below = path[len(directory) + 1 :] if directory and path.startswith(f"{directory}/") else None
    if below is not None and not below.startswith("./"):
        return f"./{below}"
    return f"./{path}" if path.startswith("./") else path


def _questions_walk_indexes() -> None:
    for verdict in ("linked", "ambiguous"):
        op.create_index(
            f"ix_link_{verdict}",
            "link",
            ["checkpoint_id"],
            unique=False,
            sqlite_where=sa.text(f"verdict = '{verdict}'"),
            postgresql_where=sa.text(f"verdict = '{verdict}'"),
        )
    for table in ("metric_series", "metric_summary"):
        op.drop_index(f"ix_{table}_run_directory_id", table)
        op.create_index(
            f"ix_{table}_run_directory_id_metric_name_id",
            table,
            ["run_directory_id", "metric_name_id"],
            unique=False,
        )
    op.create_index("ix_run_started_at", "run", ["started_at"], unique=False)
    op.create_index(
        "ix_checkpoint_config_id",
        "checkpoint",
        ["config_id"],
        unique=False,
        sqlite_where=sa.text("config_id IS NOT NULL"),
        postgresql_where=sa.text("config_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Refuse: restore the copy that the upgrade made instead."""
    raise NotImplementedError("Restore the .bak copy that `catalog db upgrade` made.")
