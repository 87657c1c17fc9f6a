"""All tables. A table's comment is its class docstring; both stand in the docs."""

from __future__ import annotations

from inspect import cleandoc

from catalog.schema.tables.base import metadata
from catalog.schema.tables.checkpoint import (
    Architecture,
    ArchitectureTensor,
    Checkpoint,
    CheckpointScore,
    GlobalSet,
    GlobalSetName,
)
from catalog.schema.tables.disk import (
    File,
    FileBookmark,
    Ingest,
    KeptSetting,
    Problem,
    Root,
    RootHost,
)
from catalog.schema.tables.lineage import Lineage
from catalog.schema.tables.link import (
    CheckpointDirectory,
    CheckpointMove,
    Link,
    LinkBasis,
    LinkDecision,
    LinkEvidence,
)
from catalog.schema.tables.metric import (
    MetricAxis,
    MetricAxisPoint,
    MetricCut,
    MetricDefinition,
    MetricName,
    MetricPoint,
    MetricSeries,
    MetricSummary,
)
from catalog.schema.tables.migration import Migration, MigrationEvent, Recovery, RecoveryFile
from catalog.schema.tables.run import (
    Config,
    ConfigValue,
    Mention,
    Run,
    RunConfig,
    RunDirectory,
    RunField,
    Sidecar,
)

TABLES = (
    Root,
    RootHost,
    KeptSetting,
    Ingest,
    File,
    FileBookmark,
    Problem,
    Config,
    ConfigValue,
    Architecture,
    ArchitectureTensor,
    GlobalSet,
    GlobalSetName,
    Checkpoint,
    CheckpointScore,
    Run,
    RunDirectory,
    RunField,
    RunConfig,
    Sidecar,
    Mention,
    MetricName,
    MetricAxis,
    MetricAxisPoint,
    MetricSeries,
    MetricCut,
    MetricPoint,
    MetricSummary,
    MetricDefinition,
    Link,
    LinkEvidence,
    LinkDecision,
    LinkBasis,
    CheckpointMove,
    CheckpointDirectory,
    Lineage,
    Migration,
    MigrationEvent,
    Recovery,
    RecoveryFile,
)
"""In an order in which each table comes after those that it refers to."""

for _table in TABLES:
    metadata.tables[str(_table.__tablename__)].comment = cleandoc(_table.__doc__ or "")

__all__ = [
    "TABLES",
    "Architecture",
    "ArchitectureTensor",
    "Checkpoint",
    "CheckpointDirectory",
    "CheckpointMove",
    "CheckpointScore",
    "Config",
    "ConfigValue",
    "File",
    "FileBookmark",
    "GlobalSet",
    "GlobalSetName",
    "Ingest",
    "KeptSetting",
    "Lineage",
    "Link",
    "LinkBasis",
    "LinkDecision",
    "LinkEvidence",
    "Mention",
    "MetricAxis",
    "MetricAxisPoint",
    "MetricCut",
    "MetricDefinition",
    "MetricName",
    "MetricPoint",
    "MetricSeries",
    "MetricSummary",
    "Migration",
    "MigrationEvent",
    "Problem",
    "Recovery",
    "RecoveryFile",
    "Root",
    "RootHost",
    "Run",
    "RunConfig",
    "RunDirectory",
    "RunField",
    "Sidecar",
    "metadata",
]
