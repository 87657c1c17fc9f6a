"""What 0.3.0 changes: rows that come in great numbers are written faster and take less.

Revision ID: 0.3.0
Revises: 0.2.0
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0.3.0"
down_revision = "0.2.0"
branch_labels = None
depends_on = None

_SPECIAL = "special IS NULL OR special IN ('nan', 'inf', '-inf')"


def upgrade() -> None:
    """Bring the schema to this version."""
    _points_are_checked_sooner()
    _fields_are_kept_by_file()


def _points_are_checked_sooner() -> None:
    """Let the check of a point end at NULL: to look it up in the list took as long as the row."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_metric_point_special"), "metric_point", type_="check")
        op.create_check_constraint(op.f("ck_metric_point_special"), "metric_point", _SPECIAL)
        return
    # SQLite changes no constraint in place, and there may be a hundred million points: they are
    # copied once.
    op.create_table(
        "metric_point_anew",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("special", sa.String(), nullable=True),
        sa.CheckConstraint(_SPECIAL, name=op.f("ck_metric_point_special")),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["metric_series.id"],
            name=op.f("fk_metric_point_series_id_metric_series"),
        ),
        sa.PrimaryKeyConstraint("series_id", "position", name=op.f("pk_metric_point")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO metric_point_anew SELECT series_id, position, value, special "
        "FROM metric_point ORDER BY series_id, position"
    )
    op.drop_table("metric_point")
    # Views speak of the old name, which they shall go on to do.
    op.execute("PRAGMA legacy_alter_table = ON")
    op.rename_table("metric_point_anew", "metric_point")
    op.execute("PRAGMA legacy_alter_table = OFF")


def _fields_are_kept_by_file() -> None:
    """Make file and place the key, which is the table: no number and one index less."""
    op.execute(
        "CREATE TABLE run_field_before AS SELECT file_id, "
        "ROW_NUMBER() OVER (PARTITION BY file_id ORDER BY id) - 1 AS position, "
        "run_directory_id, name, value, rank, utc, basis FROM run_field"
    )
    op.drop_table("run_field")
    op.create_table(
        "run_field",
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file that says it."),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=False,
            comment="Its place among what the file says, from 0.",
        ),
        sa.Column("run_directory_id", sa.Integer(), nullable=False, comment="The run directory."),
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
        sa.PrimaryKeyConstraint("file_id", "position", name=op.f("pk_run_field")),
        comment="One thing that one file says of a run; the lowest rank wins, the others stay visible.",
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO run_field SELECT * FROM run_field_before ORDER BY file_id, position")
    op.drop_table("run_field_before")
    op.create_index(
        "ix_run_field_run_directory_id", "run_field", ["run_directory_id"], unique=False
    )


def downgrade() -> None:
    """Refuse: restore the copy that the upgrade made instead."""
    raise NotImplementedError("Restore the .bak copy that `catalog db upgrade` made.")
