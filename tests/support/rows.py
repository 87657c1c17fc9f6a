"""A small catalog with known rows: the story of one OCR project, told by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from sqlmodel import Session, SQLModel

from catalog.schema.engine import open_engine
from catalog.schema.location import locate
from catalog.schema.tables import (
    Checkpoint,
    CheckpointScore,
    Config,
    ConfigValue,
    File,
    Ingest,
    Link,
    LinkEvidence,
    MetricAxis,
    MetricAxisPoint,
    MetricName,
    MetricPoint,
    MetricSeries,
    MetricSummary,
    Migration,
    MigrationEvent,
    Problem,
    Recovery,
    RecoveryFile,
    Root,
    Run,
    RunConfig,
    RunDirectory,
    Sidecar,
)

Place = TypeVar("Place", Path, str)

ROOT = "/data/ocr"
JOB = "outputs/ocr-pan_decoder-unknown_training_20251018_023219/checkpoints"
BEST = f"{JOB}/best.ckpt"
LAST = f"{JOB}/last.ckpt"
GOOD = "outputs/good/best.ckpt"
TWINS = "outputs/a|b `twins`/last.ckpt"
LONE = "outputs/한글/lone.ckpt"
GONE = "outputs/gone/last.ckpt"
RUN = "tit2247i"
RUN_DIRECTORY = f"wandb/run-20251018_023219-{RUN}"
CONFIG_FILE = f"{RUN_DIRECTORY}/files/config.yaml"
FINGERPRINT = "c0ffee0123456789"
AT = "2025-10-17T19:29:34.000000Z"


def _file(number: int, path: str, reader: str, size: int, **more: Any) -> File:
    values = {
        "id": number,
        "root_id": 1,
        "path": path,
        "reader": reader,
        "reader_version": 1,
        "state": "present",
        "size": size,
        "mtime_ns": 1_760_729_374_000_000_000,
        "modified_at": AT,
        "inode": number,
        "first_ingest_id": 1,
        "read_ingest_id": 1,
    }
    return File(**{**values, **more})


def _run(number: int, tracker_run_id: str, **more: Any) -> Run:
    return Run(
        id=number,
        identity=f"wandb:{tracker_run_id}",
        tracker="wandb",
        tracker_run_id=tracker_run_id,
        entity="ocr-team2",
        project="receipt",
        state="finished",
        started_at="2025-10-17T17:32:19.000000Z",
        **more,
    )


def _directory(number: int, path: str, run: int) -> RunDirectory:
    return RunDirectory(id=number, root_id=1, path=path, tracker="wandb", run_id=run)


def _link(number: int, checkpoint: int, run: int, verdict: str, score: float) -> Link:
    return Link(
        id=number,
        checkpoint_id=checkpoint,
        run_id=run,
        run_directory_id=run,
        verdict=verdict,
        score=score,
        ingest_id=1,
    )


def _state(checkpoint: int, state: str, **more: Any) -> list[SQLModel]:
    return [
        Migration(checkpoint_id=checkpoint, state=state, **more),
        MigrationEvent(
            checkpoint_id=checkpoint, at=AT, from_state=None, to_state=state, ingest_id=1
        ),
    ]


def story() -> list[list[SQLModel]]:
    """Return rows in batches, each after those that it refers to."""
    unusable = {"reason_code": "no-config", "reason": "No config lies where inference looks."}
    return [
        [
            Root(id=1, host="lab", path=ROOT, added_at=AT),
            *(
                Ingest(
                    id=number,
                    status="finished",
                    cause=cause,
                    started_at=AT,
                    finished_at=AT,
                    catalog_version="0.1.0",
                    paths="[]",
                    settings="{}",
                )
                for number, cause in ((1, "ingest"), (2, "recovery 1"))
            ),
            Recovery(id=1, status="finished", started_at=AT, catalog_version="0.1.0"),
            Config(id=1, sha256="a" * 64, document='{"model":{"encoder":"unet"}}'),
        ],
        [
            _file(1, BEST, "checkpoint", 202_300_000),
            _file(2, LAST, "checkpoint", 202_300_000),
            _file(3, GOOD, "checkpoint", 1_000_000),
            _file(4, TWINS, "checkpoint", 5_000),
            _file(5, LONE, "checkpoint", 17),
            _file(6, GONE, "checkpoint", 900, state="missing", missing_ingest_id=1),
            _file(10, "outputs/good/best.config.json", "sidecar", 30),
            _file(11, CONFIG_FILE, "wandb-config", 4_000),
            _file(12, f"{RUN_DIRECTORY}/files/wandb-summary.json", "wandb-summary", 400),
            _file(13, f"{RUN_DIRECTORY}/run-{RUN}.wandb", "wandb-stream", 90_000),
        ],
        [
            Checkpoint(
                id=1,
                format="torch-zip",
                status="readable",
                framework="lightning",
                framework_version="2.4.0",
                epoch=11,
                global_step=24_000,
                monitor="val/hmean",
                monitor_mode="max",
                best_score=0.952,
                own_score=0.952,
                weights_fingerprint=FINGERPRINT,
            ),
            Checkpoint(
                id=2, format="torch-zip", status="readable", weights_fingerprint=FINGERPRINT
            ),
            Checkpoint(id=3, format="torch-zip", status="readable", config_id=1),
            Checkpoint(id=4, format="torch-zip", status="readable"),
            Checkpoint(id=5, format="torch-zip", status="truncated", reason="The end is missing."),
            Checkpoint(id=6, format="torch-zip", status="readable"),
            _run(1, RUN, display_name="unet_hmean0.952", git_commit="2c6f1f1"),
            _run(2, "aaaaaaaa"),
            _run(3, "bbbbbbbb", display_name="it's \x1b[31mred"),
            Problem(
                root_id=1,
                file_id=5,
                path=LONE,
                code="truncated-zip",
                message="The end is missing; copy the file again.",
                first_ingest_id=1,
            ),
            Sidecar(id=10, config_id=1, kind="sidecar", directory="outputs/good"),
            ConfigValue(config_id=1, key="model.encoder", type="str", text="unet"),
            *(
                MetricName(id=number, name=name)
                for number, name in enumerate(("train/loss", "val/hmean"), start=1)
            ),
        ],
        [
            _directory(1, RUN_DIRECTORY, 1),
            _directory(2, "wandb/run-20251015_231508-aaaaaaaa", 2),
            _directory(3, "wandb/run-20251015_231508-bbbbbbbb", 3),
            CheckpointScore(
                checkpoint_id=1, origin="cleval_metrics", name="recall", value=None, special="nan"
            ),
        ],
        [
            RunConfig(run_directory_id=1, file_id=11, config_id=1, kind="wandb-config", rank=20),
            RunConfig(run_directory_id=1, file_id=13, config_id=1, kind="wandb-stream", rank=10),
            MetricSummary(run_directory_id=1, file_id=12, metric_name_id=1, special="nan"),
            MetricSummary(run_directory_id=1, file_id=12, metric_name_id=2, value=0.952),
            MetricAxis(id=1, file_id=13),
            MetricSeries(
                id=1,
                run_directory_id=1,
                file_id=13,
                metric_name_id=2,
                axis_id=1,
                point_count=2,
                first_step=10,
                last_step=20,
                lowest=0.5,
                highest=0.952,
                final=0.952,
            ),
            _link(1, 1, 1, "linked", 12.5),
            _link(2, 2, 1, "linked", 9.0),
            _link(3, 3, 2, "linked", 6.0),
            _link(4, 4, 2, "ambiguous", 3.0),
            _link(5, 4, 3, "ambiguous", 3.0),
            _link(6, 1, 2, "rejected", -8.0),
        ],
        [
            MetricAxisPoint(axis_id=1, position=0, step=10),
            MetricAxisPoint(axis_id=1, position=1, step=20),
            MetricPoint(series_id=1, position=0, value=0.5),
            MetricPoint(series_id=1, position=1, value=0.952),
            LinkEvidence(
                link_id=1,
                position=0,
                kind="best-score-recorded",
                weight=9.5,
                detail="0.952 stands in the history of val/hmean.",
                run_file_id=13,
            ),
            LinkEvidence(
                link_id=1,
                position=1,
                kind="start-after-folder-stamp",
                weight=3.0,
                detail="0 s later.",
            ),
            LinkEvidence(
                link_id=6,
                position=0,
                kind="score-not-in-history",
                weight=-8.0,
                detail="Not there.",
            ),
            LinkEvidence(
                link_id=2,
                position=0,
                kind="start-after-folder-stamp",
                weight=9.0,
                detail="0 s.",
            ),
            *(
                row
                for number in (1, 2)
                for row in _state(
                    number,
                    "recoverable",
                    remedy="Run `catalog recover`.",
                    source_file_id=11,
                    source_kind="wandb-config",
                    **unusable,
                )
            ),
            *_state(3, "usable", config_file_id=10, config_kind="sidecar"),
            *_state(4, "ambiguous config", remedy="Decide which run wrote it.", **unusable),
            *_state(5, "damaged", reason_code="truncated", reason="The end is missing."),
            *_state(6, "missing"),
            RecoveryFile(
                recovery_id=1,
                checkpoint_id=3,
                root_id=1,
                path="outputs/good/best.config.json",
                source_file_id=11,
                config_id=1,
                sha256="b" * 64,
                state="written",
            ),
        ],
    ]


def fill(db: Place) -> Place:
    """Write the story into an empty catalog, a file or a URL."""
    engine = open_engine(locate(db))
    with Session(engine) as session:
        for batch in story():
            session.add_all(batch)
            session.flush()
        session.commit()
    engine.dispose()
    return db
