"""What 0.2.0 changes.

Revision ID: 0.2.0
Revises: 0.1.0
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0.2.0"
down_revision = "0.1.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    _settings_are_kept()


def _settings_are_kept() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.String(), nullable=False, comment="Name, as `catalog settings` lists it."),
        sa.Column("value", sa.String(), nullable=False, comment="The value as JSON."),
        sa.Column("kept_at", sa.String(), nullable=False, comment="Since when, UTC."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        comment="A setting that holds for this catalog, whoever works with it, until it is forgotten.",
    )


def downgrade() -> None:
    """Refuse: restore the copy that the upgrade made instead."""
    raise NotImplementedError("Restore the .bak copy that `catalog db upgrade` made.")
