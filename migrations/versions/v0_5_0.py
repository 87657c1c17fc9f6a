"""What 0.5.0 changes: states that say one thing each, and what was looked at.

Revision ID: 0.5.0
Revises: 0.3.0
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0.5.0"
down_revision = "0.3.0"
branch_labels = None
depends_on = None

_STATES = (
    "'usable', 'migrated', 'unchecked', 'recoverable', 'ambiguous config', 'unrecoverable', "
    "'damaged', 'not a model', 'missing', 'left out', 'trashed'"
)


def upgrade() -> None:
    """Bring the schema to this version."""
    _trees_have_several_hosts()
    _pickles_name_globals()
    _checkpoints_say_what_was_looked_at()
    _states_say_one_thing_each()
    _states_are_named_anew()
    _checkpoints_name_their_base()
    _runs_have_lives()
    _histories_say_how_they_end()


def _trees_have_several_hosts() -> None:
    _comment("link_evidence", "kind", "Kind of observation, e.g. `best-score-recorded`.")
    _comment("root", "host", "Name of the machine that saw the tree last.")
    _comment("root", None, "A directory tree that was ingested, on the host where it is.")
    op.create_table(
        "root_host",
        sa.Column("root_id", sa.Integer(), nullable=False, comment="The tree."),
        sa.Column("host", sa.String(), nullable=False, comment="Name of the machine."),
        sa.Column(
            "seen_at", sa.String(), nullable=False, comment="When it last saw the tree, UTC."
        ),
        sa.Column(
            "inode",
            sa.BigInteger(),
            nullable=True,
            comment="Inode of the tree's folder as it saw it then.",
        ),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_root_host_root_id_root")),
        sa.PrimaryKeyConstraint("root_id", "host", name=op.f("pk_root_host")),
        comment="A name of a machine under which a tree was seen: one disk may be mounted by several.",
    )
    op.execute("INSERT INTO root_host SELECT id, host, added_at, NULL FROM root")


def _pickles_name_globals() -> None:
    op.create_table(
        "global_set",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the set."),
        sa.Column("sha256", sa.String(), nullable=False, comment="SHA-256 of its canonical JSON."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_global_set")),
        sa.UniqueConstraint("sha256", name=op.f("uq_global_set_sha256")),
        comment="The classes and functions that a pickle names, shared by checkpoints that name the same.",
    )
    op.create_table(
        "global_set_name",
        sa.Column("global_set_id", sa.Integer(), nullable=False, comment="The set."),
        sa.Column(
            "name", sa.String(), nullable=False, comment="`module.name` of a class or function."
        ),
        sa.ForeignKeyConstraint(
            ["global_set_id"],
            ["global_set.id"],
            name=op.f("fk_global_set_name_global_set_id_global_set"),
        ),
        sa.PrimaryKeyConstraint("global_set_id", "name", name=op.f("pk_global_set_name")),
        comment="One name of a set.",
    )


def _checkpoints_say_what_was_looked_at() -> None:
    for name, comment in (
        ("architecture_id", "Names and shapes of its tensors, where these are all its weights."),
        ("parameter_count", "Numbers in the model; empty where a part of it is not understood."),
        (
            "weights_fingerprint",
            "Equal for equal weights as the file states them, made without reading them.",
        ),
    ):
        _comment("checkpoint", name, comment)
    for name, comment in (
        ("weights_doubt", "Why the weights have no fingerprint, or are not counted, a sentence."),
        (
            "weights_sha256",
            "SHA-256 over the bytes of the weights, where `ingest --hash` read them.",
        ),
        ("damage", "What `ingest --hash` found damaged in its bytes, a sentence."),
        ("loads_by_default", _LOADS),
        ("loads_torch", "Version of torch whose rules that is judged by."),
        ("loads_reason", "Why it is not accepted, a sentence."),
        ("loads_remedy", "What to run to load it all the same."),
        ("global_set_id", "All names in its pickles."),
        ("statements_id", "What else it says of itself, by the key it stands under."),
    ):
        kind: type[sa.Integer | sa.String] = sa.Integer if name.endswith("_id") else sa.String
        if op.get_bind().dialect.name == "sqlite" and name in _CONSTRAINED:
            # SQLite takes a constraint with a new column, and none later.
            op.execute(f"ALTER TABLE checkpoint ADD COLUMN {name} {_CONSTRAINED[name]}")
        else:
            op.add_column("checkpoint", sa.Column(name, kind(), nullable=True, comment=comment))
    if op.get_bind().dialect.name != "sqlite":
        op.create_check_constraint(
            op.f("ck_checkpoint_loads_by_default"),
            "checkpoint",
            "loads_by_default IN ('yes', 'no', 'unknown')",
        )
        op.create_foreign_key(
            op.f("fk_checkpoint_global_set_id_global_set"),
            "checkpoint",
            "global_set",
            ["global_set_id"],
            ["id"],
        )
        op.create_foreign_key(
            op.f("fk_checkpoint_statements_id_config"),
            "checkpoint",
            "config",
            ["statements_id"],
            ["id"],
        )
    for name in ("weights_sha256", "global_set_id", "statements_id"):
        op.create_index(
            f"ix_checkpoint_{name}",
            "checkpoint",
            [name],
            unique=False,
            sqlite_where=sa.text(f"{name} IS NOT NULL"),
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )


_LOADS = (
    "Whether `torch.load(file)` accepts it as it is (weights only): yes, no or unknown; empty for "
    "what torch does not load."
)
_CONSTRAINED = {
    "loads_by_default": "VARCHAR CONSTRAINT ck_checkpoint_loads_by_default "
    "CHECK (loads_by_default IN ('yes', 'no', 'unknown'))",
    "global_set_id": "INTEGER CONSTRAINT fk_checkpoint_global_set_id_global_set "
    "REFERENCES global_set (id)",
    "statements_id": "INTEGER CONSTRAINT fk_checkpoint_statements_id_config REFERENCES config (id)",
}
"""Type and constraint of columns that have one, as SQLite writes them."""


def _states_say_one_thing_each() -> None:
    """Take the new states into the constraints."""
    state = "One of the states of the view `checkpoint_state`, which explains each."
    doubt = sa.Column(
        "doubt",
        sa.String(),
        nullable=True,
        comment="What speaks against the config that inference finds, a sentence.",
    )
    if op.get_bind().dialect.name != "sqlite":
        _comment("migration", "state", state)
        op.add_column("migration", doubt)
        for table, name in (
            ("migration", "state"),
            ("migration_event", "from_state"),
            ("migration_event", "to_state"),
        ):
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, f"{name} IN ({_STATES})")
        _doubts_have_an_index()
        return
    _anew(
        "migration",
        "checkpoint_id, state, reason_code, reason, remedy, config_file_id, config_kind, "
        "source_file_id, source_kind, NULL",
        sa.Column("checkpoint_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("remedy", sa.String(), nullable=True),
        sa.Column("config_file_id", sa.Integer(), nullable=True),
        sa.Column("config_kind", sa.String(), nullable=True),
        sa.Column("source_file_id", sa.Integer(), nullable=True),
        sa.Column("source_kind", sa.String(), nullable=True),
        doubt,
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_migration_state")),
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
    )
    op.create_index("ix_migration_state", "migration", ["state"], unique=False)
    _doubts_have_an_index()
    _anew(
        "migration_event",
        "id, checkpoint_id, at, from_state, to_state, reason, ingest_id, recovery_id",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("checkpoint_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("ingest_id", sa.Integer(), nullable=False),
        sa.Column("recovery_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            f"from_state IN ({_STATES})", name=op.f("ck_migration_event_from_state")
        ),
        sa.CheckConstraint(f"to_state IN ({_STATES})", name=op.f("ck_migration_event_to_state")),
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
    )
    for column in ("checkpoint_id", "ingest_id"):
        op.create_index(f"ix_migration_event_{column}", "migration_event", [column], unique=False)


def _doubts_have_an_index() -> None:
    op.create_index(
        "ix_migration_doubt",
        "migration",
        ["state"],
        unique=False,
        sqlite_where=sa.text("doubt IS NOT NULL"),
        postgresql_where=sa.text("doubt IS NOT NULL"),
    )


def _states_are_named_anew() -> None:
    """Give each checkpoint the state that its row tells already, with an event for the change.

    What can be told from rows alone is told now; the next ingest judges all of them anew.
    """
    op.execute(
        """
        CREATE TEMPORARY TABLE state_anew AS
        SELECT c.id AS checkpoint_id, m.state AS before,
               CASE WHEN m.state = 'missing' AND m.reason_code = 'left-out' THEN 'left out'
                    WHEN m.state = 'missing' AND m.reason_code = 'not-a-checkpoint'
                        THEN 'not a model'
                    WHEN m.state IS NULL AND f.state = 'missing'
                         AND f.missing_ingest_id IS NULL THEN 'left out'
                    WHEN m.state IS NULL AND f.state = 'missing' THEN 'missing'
                    WHEN m.state IS NULL AND c.status = 'foreign' THEN 'not a model'
                    WHEN m.state <> 'missing' AND c.status = 'recognised' THEN 'unchecked'
                    WHEN m.state = 'unrecoverable' AND m.reason_code LIKE 'checkpoint-%'
                        THEN 'damaged'
                    WHEN m.state = 'unrecoverable'
                         AND m.reason_code IN ('ambiguous-run', 'sources-disagree')
                        THEN 'ambiguous config'
                    ELSE m.state END AS after,
               CASE WHEN m.state <> 'missing' AND c.status = 'recognised'
                        THEN 'Its content is not read'
                             || COALESCE(': ' || RTRIM(c.reason, '.'), '') || '.'
                    WHEN m.state IS NULL AND f.state = 'missing'
                        THEN CASE WHEN f.missing_ingest_id IS NULL
                                  THEN 'It is there, and left out now by a pattern.'
                                  ELSE 'The file is gone.' END
                    WHEN m.state IS NULL THEN c.reason
                    ELSE m.reason END AS reason,
               CASE WHEN m.state <> 'missing' AND c.status = 'recognised' THEN 'content-not-read'
                    WHEN m.state IS NULL AND f.state = 'missing'
                        THEN CASE WHEN f.missing_ingest_id IS NULL THEN 'left-out'
                                  ELSE 'file-missing' END
                    WHEN m.state IS NULL THEN 'not-a-checkpoint'
                    ELSE m.reason_code END AS reason_code
        FROM checkpoint c
        JOIN file f ON f.id = c.id
        LEFT JOIN migration m ON m.checkpoint_id = c.id
        """
    )
    changed = (
        "SELECT * FROM state_anew WHERE after IS NOT NULL AND (before IS NULL OR before <> after)"
    )
    op.execute(
        f"""
        INSERT INTO migration_event (id, checkpoint_id, at, from_state, to_state, reason, ingest_id)
        SELECT (SELECT COALESCE(MAX(id), 0) FROM migration_event)
                   + ROW_NUMBER() OVER (ORDER BY s.checkpoint_id),
               s.checkpoint_id, COALESCE(i.finished_at, i.started_at), s.before, s.after, s.reason,
               i.id
        FROM ({changed}) s
        JOIN ingest i ON i.id = (SELECT MAX(id) FROM ingest)
        """  # noqa: S608 - texts of ours
    )
    op.execute(
        "INSERT INTO migration (checkpoint_id, state, reason_code, reason) "
        "SELECT checkpoint_id, after, reason_code, reason FROM state_anew "
        "WHERE before IS NULL AND after IS NOT NULL"
    )
    op.execute(
        # What is not read has nothing that would mend it, nor a source to recover it from.
        "UPDATE migration SET remedy = NULL, source_file_id = NULL, source_kind = NULL "
        "WHERE checkpoint_id IN (SELECT checkpoint_id FROM state_anew WHERE after = 'unchecked')"
    )
    op.execute(
        "UPDATE migration SET (state, reason_code, reason) = "
        "(SELECT s.after, s.reason_code, s.reason FROM state_anew s "
        "WHERE s.checkpoint_id = migration.checkpoint_id) "
        "WHERE checkpoint_id IN (SELECT checkpoint_id FROM state_anew WHERE before <> after)"
    )
    op.execute("DROP TABLE state_anew")


def _checkpoints_name_their_base() -> None:
    """Let a row of `lineage` be of a checkpoint: an adapter comes from its base model."""
    if op.get_bind().dialect.name == "sqlite":
        _anew(
            "lineage",
            "id, run_directory_id, path, named_as, parent_id, file_id",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("run_directory_id", sa.Integer(), nullable=True),
            sa.Column("path", sa.String(), nullable=False),
            sa.Column("named_as", sa.String(), nullable=False),
            sa.Column("parent_id", sa.Integer(), nullable=True),
            sa.Column("file_id", sa.Integer(), nullable=False),
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
        )
        op.create_index("ix_lineage_parent_id", "lineage", ["parent_id"], unique=False)
        return
    op.alter_column("lineage", "run_directory_id", existing_type=sa.Integer(), nullable=True)
    for name, comment in (
        (
            None,
            (
                "A checkpoint that a run, or another checkpoint, names as what it started from or "
                "read."
            ),
        ),
        (
            "run_directory_id",
            (
                "The folder of the run (or of the job that nobody tracked) that names it; empty where "
                "a checkpoint does."
            ),
        ),
        (
            "named_as",
            (
                "How: `restored-from` (its log), `artifact-used`, `argument`, the key of its config, "
                "or `base-model`: what an adapter or a pipeline was made from."
            ),
        ),
        ("file_id", "The file or checkpoint that names it."),
    ):
        _comment("lineage", name, comment)


def _runs_have_lives() -> None:
    """Let folders say which life of their run they tell; the next ingest fills it."""
    for name, kind, comment in (
        (
            "life",
            sa.Integer,
            "Of a run that went on in several folders: its place among them, from 1.",
        ),
        (
            "beginning",
            sa.String,
            "How it began where it did not begin anew: resumed, rewound, forked.",
        ),
    ):
        op.add_column("run_directory", sa.Column(name, kind(), nullable=True, comment=comment))
    op.create_table(
        "metric_cut",
        sa.Column("series_id", sa.Integer(), nullable=False, comment="The series."),
        sa.Column(
            "replaced_from",
            sa.BigInteger(),
            nullable=False,
            comment="Step from which on its points count no more.",
        ),
        sa.Column(
            "point_count",
            sa.Integer(),
            nullable=True,
            comment="Points that count; empty where not all are kept.",
        ),
        sa.Column(
            "first_step",
            sa.BigInteger(),
            nullable=True,
            comment="Least step of any of them.",
        ),
        sa.Column(
            "last_step",
            sa.BigInteger(),
            nullable=True,
            comment="Greatest step of any of them.",
        ),
        sa.Column(
            "lowest",
            sa.Float(),
            nullable=True,
            comment="Their least finite value.",
        ),
        sa.Column(
            "highest",
            sa.Float(),
            nullable=True,
            comment="Their greatest finite value.",
        ),
        sa.Column(
            "final",
            sa.Float(),
            nullable=True,
            comment="Their last finite value.",
        ),
        sa.Column(
            "finite_count",
            sa.Integer(),
            nullable=True,
            comment="How many of them are finite.",
        ),
        sa.Column(
            "special",
            sa.String(),
            nullable=True,
            comment="`nan`, `inf` or `-inf` where the last of them is that.",
        ),
        sa.Column(
            "special_from",
            sa.BigInteger(),
            nullable=True,
            comment="Step of the first of them behind the last finite one.",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["metric_series.id"],
            name=op.f("fk_metric_cut_series_id_metric_series"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("series_id", name=op.f("pk_metric_cut")),
        comment="What counts of a series whose end was replaced when its run went on from an "
        "earlier step.",
    )


def _histories_say_how_they_end() -> None:
    for name, kind, comment in (
        ("finite_count", sa.Integer, "Points that are finite."),
        ("special", sa.String, "`nan`, `inf` or `-inf` where its last point is that."),
        ("special_from", sa.BigInteger, "Step of the first point behind the last finite one."),
    ):
        op.add_column("metric_series", sa.Column(name, kind(), nullable=True, comment=comment))
    op.execute("UPDATE metric_series SET finite_count = point_count")
    op.execute(
        """
        CREATE TEMPORARY TABLE odd AS
        SELECT series_id, COUNT(*) AS points FROM metric_point
        WHERE special IS NOT NULL GROUP BY series_id
        """
    )
    op.execute(
        "UPDATE metric_series SET finite_count = point_count - (SELECT o.points FROM odd o "
        "WHERE o.series_id = metric_series.id), special = (SELECT p.special FROM metric_point p "
        "WHERE p.series_id = metric_series.id AND p.position = metric_series.point_count - 1) "
        "WHERE id IN (SELECT series_id FROM odd)"
    )
    op.execute("DROP TABLE odd")


def _anew(name: str, columns: str, *parts: sa.schema.SchemaItem) -> None:
    """Make a table of SQLite anew with its rows: it changes no constraint in place.

    Args:
        name: of the table; no other refers to it.
        columns: what to select of the old one, in the order of the new columns.
        parts: columns and constraints of the new one.
    """
    old = f"{name}_before"
    op.execute(f"CREATE TABLE {old} AS SELECT {columns} FROM {name}")  # noqa: S608 - names of ours
    op.drop_table(name)
    op.create_table(name, *parts)
    op.execute(f"INSERT INTO {name} SELECT * FROM {old}")  # noqa: S608 - names of ours
    op.drop_table(old)


def _comment(table: str, column: str | None, comment: str) -> None:
    """Set the comment of a column, or of the table; SQLite keeps none."""
    if op.get_bind().dialect.name != "sqlite":
        target = f"TABLE {table}" if column is None else f"COLUMN {table}.{column}"
        op.execute(f"COMMENT ON {target} IS '{comment}'")


def downgrade() -> None:
    """Refuse: restore the copy that the upgrade made instead."""
    raise NotImplementedError("Restore the .bak copy that `catalog db upgrade` made.")
