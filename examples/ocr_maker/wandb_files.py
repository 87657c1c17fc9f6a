"""Run directories as wandb 0.22 writes them: online all five files, offline only the stream."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ocr_maker.checkpoints import precision_recall
from ocr_maker.go_text import go_json, go_yaml
from ocr_maker.hydra_files import log_lines
from ocr_maker.story import ENTITY, PROJECT, WANDB_PROJECT, Ending, Training, config, float32
from ocr_maker.stream import Stream, bytes_field, items, number_field, timestamp

VERSION = "0.22.3"
PYTHON = "3.11.13"
HOST = "ocr-gpu-01"
PROGRAM = f"{PROJECT}/runners/train.py"
REMOTE = "https://git.example.com/ocr-team2/receipt-text-recognition-ocr-project.git"
EXIT_CODES: dict[Ending, int] = {"finished": 0, "crashed": 1}
REQUIREMENTS = """\
torch==2.4.1
torchvision==0.19.1
lightning==2.5.5
pytorch-lightning==2.5.5
timm==1.0.20
hydra-core==1.3.2
omegaconf==2.3.0
wandb==0.22.3
albumentations==2.0.8
numpy==1.26.4
shapely==2.1.2
"""

Files = dict[str, tuple[bytes, datetime]]
"""Path relative to the project: content, and when it was last written."""


@dataclass(frozen=True)
class Leg:
    """The part of a training that one run directory tells of: all of it, unless it was resumed."""

    training: Training
    start: datetime
    epochs: range
    end: datetime
    ending: Ending
    first_row: int = 0
    runtime_before: float = 0.0

    @property
    def directory(self) -> str:
        """The run directory, relative to the project."""
        mode = "offline-run" if self.training.offline else "run"
        return f"wandb/{mode}-{self.start:%Y%m%d_%H%M%S}-{self.training.run_id}"

    @property
    def started_at(self) -> datetime:
        """Start of the run to the microsecond, UTC."""
        digits = random.Random(self.directory).randrange(100_000, 900_000)
        return self.start.astimezone(UTC) + timedelta(microseconds=digits)


def legs(training: Training) -> list[Leg]:
    """Return the run directories of a training, in order; none if it ran without W&B."""
    if training.run_id is None:
        return []
    count = len(training.epoch_ends)
    if training.resumed is None:
        return [Leg(training, training.start, range(count), training.finish, training.ending)]
    first, again = training.resumed
    broke_off = training.epoch_ends[first - 1] + timedelta(seconds=37)
    before = Leg(training, training.start, range(first), broke_off, "crashed")
    seconds = (broke_off - training.start).total_seconds()
    after = Leg(
        training,
        again,
        range(first, count),
        training.finish,
        "finished",
        len(rows(before)),
        seconds,
    )
    return [before, after]


def rows(leg: Leg) -> list[dict[str, Any]]:
    """Return the history of a run directory, one dict a row, times in seconds since the epoch."""
    training = leg.training
    found: list[dict[str, Any]] = []

    def add(moment: datetime, values: dict[str, Any]) -> None:
        runtime = leg.runtime_before + (moment - leg.started_at).total_seconds()
        found.append(
            {
                **values,
                "_timestamp": moment.timestamp(),
                "_runtime": round(runtime, 6),
                "_step": leg.first_row + len(found),
            }
        )

    if training.evaluates:
        precision, recall = precision_recall(float32(0.739124))
        test = {"test/precision": precision, "test/recall": recall, "test/hmean": float32(0.739124)}
        add(leg.end - timedelta(seconds=3.4), {**test, "epoch": 0, "trainer/global_step": 0})
    previous = leg.start
    for epoch in leg.epochs:
        validated = training.epoch_ends[epoch] - timedelta(seconds=0.15)
        digits = random.Random(f"{training.run_id}:{epoch}")
        trained = training.hmean[epoch]
        for step in range(training.log_every, training.steps + 1, training.log_every):
            share = 0.9 * step / training.steps
            loss = float32((1.02 - trained) * 4 + digits.uniform(0, 0.3))
            done = epoch * training.steps + step - 1
            add(
                previous + (validated - previous) * share,
                {"train/loss": loss, "epoch": epoch, "trainer/global_step": done},
            )
        precision, recall = precision_recall(trained)
        add(
            validated,
            {
                "val/loss": float32((1.05 - trained) * 3.7 + digits.uniform(0, 0.2)),
                "val/precision": precision,
                "val/recall": recall,
                "val/hmean": trained,
                "epoch": epoch,
                "trainer/global_step": (epoch + 1) * training.steps - 1,
            },
        )
        previous = training.epoch_ends[epoch]
    return found


def _environment(leg: Leg) -> dict[str, Any]:
    """Return the content of wandb-metadata.json."""
    training = leg.training
    return {
        "os": "Linux-5.15.0-157-generic-x86_64-with-glibc2.35",
        "python": f"CPython {PYTHON}",
        "startedAt": f"{leg.started_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "args": training.overrides,
        "program": PROGRAM,
        "codePath": "runners/train.py",
        "codePathLocal": "runners/train.py",
        "git": {"remote": REMOTE, "commit": training.commit},
        "root": PROJECT,
        "host": HOST,
        "executable": f"{PROJECT}/.venv/bin/python",
        "cpu_count": 16,
        "cpu_count_logical": 32,
        "gpu": "NVIDIA GeForce RTX 3090",
        "gpu_count": 1,
        "memory": {"total": "135035850752"},
        "cudaVersion": "12.4",
        "writerId": hashlib.md5(leg.directory.encode()).hexdigest(),
    }


def _repr_sections(training: Training) -> dict[str, str]:
    """Return what Lightning logs over the config: sections as Python text, unresolved."""
    unresolved = config(training, resolved=False)
    return {name: repr(unresolved[name]) for name in ("paths", "dataset")}


def _config_yaml(leg: Leg) -> str:
    """Return files/config.yaml."""
    training = leg.training
    environment = _environment(leg)
    document: dict[str, Any] = config(training)
    if training.evidence == "overwritten-config":
        document |= _repr_sections(training)
    document["_wandb"] = {
        "cli_version": VERSION,
        "e": {environment["writerId"]: environment},
        "m": [{"1": "trainer/global_step", "6": [3], "7": []}],
        "python_version": PYTHON,
        "t": {
            "1": [1, 50, 55, 106],
            "4": PYTHON,
            "5": VERSION,
            "12": VERSION,
            "13": "linux-x86_64",
        },
    }
    wrapped = {key: {"value": value} for key, value in document.items()}
    return "\n".join(go_yaml(wrapped)) + "\n"


def _run_record(leg: Leg, display_name: str) -> bytes:
    """Return a `RunRecord`."""
    resumed = leg.first_row > 0
    return b"".join(
        (
            bytes_field(1, str(leg.training.run_id)),
            bytes_field(2, ENTITY),
            bytes_field(3, WANDB_PROJECT),
            bytes_field(4, items(1, {"_wandb": {}}, nested=False)),
            bytes_field(8, display_name),
            bytes_field(13, HOST),
            number_field(14, leg.first_row),
            bytes_field(17, timestamp(leg.started_at.timestamp())),
            number_field(18, int(resumed)),
            bytes_field(21, bytes_field(1, REMOTE) + bytes_field(2, leg.training.commit)),
        )
    )


def _environment_record(leg: Leg) -> bytes:
    """Return an `EnvironmentRecord`."""
    told = _environment(leg)
    return b"".join(
        (
            bytes_field(1, told["os"]),
            bytes_field(2, told["python"]),
            bytes_field(3, timestamp(leg.started_at.timestamp())),
            *(bytes_field(5, argument) for argument in told["args"]),
            bytes_field(6, PROGRAM),
            bytes_field(7, told["codePath"]),
            bytes_field(9, bytes_field(1, REMOTE) + bytes_field(2, leg.training.commit)),
            bytes_field(11, PROJECT),
            bytes_field(12, HOST),
            bytes_field(14, told["executable"]),
            bytes_field(199, told["writerId"]),
        )
    )


def _summary(leg: Leg) -> dict[str, Any]:
    """Return the last value of every key, and the whole seconds that the run took."""
    found: dict[str, Any] = {}
    for row in rows(leg):
        found |= row
    runtime = int(leg.runtime_before + (leg.end - leg.start).total_seconds())
    return {**found, "_wandb": {"runtime": runtime}}


def _stream(leg: Leg) -> bytes:
    """Return `run-ID.wandb`."""
    if leg.ending == "killed-early":
        return b""
    training = leg.training
    stream = Stream()
    stream.add(21, bytes_field(1, bytes_field(1, VERSION) + bytes_field(2, "0.40.0")))
    stream.add(17, _run_record(leg, training.name))
    stream.add(26, _environment_record(leg))
    stream.add(5, items(1, config(training), nested=False))
    if training.evidence == "overwritten-config":
        stream.add(5, items(1, _repr_sections(training), nested=False))
    for moment, line in log_lines(training, leg.epochs, leg.start):
        raw = number_field(1, 1) + bytes_field(2, timestamp(moment.timestamp()))
        stream.add(13, raw + bytes_field(3, line + "\n"))
    for row in rows(leg):
        step = bytes_field(2, number_field(1, row["_step"]))
        stream.add(2, items(1, row, nested=True) + step)
        if "val/hmean" in row:
            stream.add(3, items(1, row, nested=True))
    if leg.ending == "killed":
        return stream.content()[:-61]
    stream.add(3, items(1, _summary(leg), nested=True))
    if leg.ending == "finished" and training.final_name != training.name:
        stream.add(17, _run_record(leg, training.final_name))
    seconds = int((leg.end - leg.start).total_seconds())
    stream.add(18, number_field(1, EXIT_CODES[leg.ending]) + number_field(2, seconds))
    return stream.content()


def _output_log(leg: Leg) -> str:
    """Return files/output.log: the job's log lines, and how it broke off."""
    lines = [line for _, line in log_lines(leg.training, leg.epochs, leg.start)]
    if leg.ending == "crashed":
        lines += [
            "Traceback (most recent call last):",
            f'  File "{PROGRAM}", line 118, in train',
            "    trainer.fit(model_module, data_module)",
            leg.training.error or "KeyboardInterrupt",
        ]
    return "".join(f"{line}\n" for line in lines)


def _debug_log(leg: Leg) -> str:
    """Return logs/debug.log: the client's own log, with the config as a Python literal."""
    training = leg.training
    told = [
        ("wandb_setup.py:_flush():81", f"Current SDK version is {VERSION}"),
        (
            "wandb_init.py:setup_run_log_directory():706",
            f"Logging user logs to {PROJECT}/{leg.directory}/logs/debug.log",
        ),
        (
            "wandb_init.py:init():838",
            "wandb.init called with sweep_config: {}\nconfig: {'_wandb': {}}",
        ),
        ("wandb_init.py:init():1075", "run started, returning control to user process"),
        ("wandb_run.py:_config_callback():1390", f"config_cb None None {config(training)}"),
    ]
    if training.evidence == "overwritten-config":
        told.append(
            (
                "wandb_run.py:_config_callback():1390",
                f"config_cb None None {_repr_sections(training)}",
            )
        )
    moment = leg.started_at.astimezone(leg.start.tzinfo)
    lines = []
    for number, (where, text) in enumerate(told):
        stamp = moment + timedelta(milliseconds=31 * number)
        lines.append((stamp, where, text))
    if leg.ending in EXIT_CODES:
        name = f"{ENTITY}/{WANDB_PROJECT}/{training.run_id}"
        lines.append((leg.end, "wandb_run.py:_finish():2254", f"finishing run {name}"))
        code = EXIT_CODES[leg.ending]
        lines.append((leg.end, "wandb_run.py:_atexit_cleanup():2459", f"got exitcode: {code}"))
    return "".join(
        f"{stamp:%Y-%m-%d %H:%M:%S},{stamp.microsecond // 1000:03d} INFO    MainThread:20611 "
        f"[{where}] {text}\n"
        for stamp, where, text in lines
    )


def run_files(leg: Leg) -> Files:
    """Return the files of one run directory.

    Offline there are only `requirements.txt` and the stream; a killed run has no config and no
    summary; one killed early has a stream of 0 bytes.
    """
    training, begun, end = leg.training, leg.start + timedelta(seconds=1.3), leg.end
    stream = f"run-{training.run_id}.wandb"
    found: dict[str, tuple[str | bytes, datetime]] = {
        "files/requirements.txt": (REQUIREMENTS, begun),
        stream: (_stream(leg), begun if leg.ending == "killed-early" else end),
    }
    if not training.offline:
        metadata = json.dumps(_environment(leg), indent=2)
        early = leg.ending == "killed-early"
        found["files/wandb-metadata.json"] = (metadata, begun)
        found["files/output.log"] = ("" if early else _output_log(leg), begun if early else end)
        found["logs/debug.log"] = (_debug_log(leg), begun if early else end)
    if not training.offline and leg.ending in EXIT_CODES:
        found["files/config.yaml"] = (_config_yaml(leg), end)
        found["files/wandb-summary.json"] = (go_json(_summary(leg)), end)
    return {
        f"{leg.directory}/{name}": (text.encode() if isinstance(text, str) else text, moment)
        for name, (text, moment) in found.items()
    }
