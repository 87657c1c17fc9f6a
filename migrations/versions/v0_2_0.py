"""What 0.2.0 changes.

Revision ID: 0.2.0
Revises: 0.1.0
"""

from __future__ import annotations

revision = "0.2.0"
down_revision = "0.1.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""


def downgrade() -> None:
    """Refuse: restore the copy that the upgrade made instead."""
    raise NotImplementedError("Restore the .bak copy that `catalog db upgrade` made.")
