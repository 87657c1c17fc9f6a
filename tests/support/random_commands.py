"""Random projects of Hydra jobs whose runs recorded the command lines that people type.

A tree is a story: launches of one job or of a sweep, with options, groups, sweeps in all forms of
Hydra's grammar, values in several spellings, sweeps that are in a config, jobs that nobody
tracked, deleted folders, and `wandb.finish()` forgotten. What Hydra 1.3 writes for each was looked
up once (`hydra/_internal/core_plugins/basic_sweeper.py`) and is written here without it.

`decidable` are the checkpoints of which a fact that is left on disk holds for one run and would
hold for no other training of the tree, tracked or not: its command, its config, its log lines or
its score. It is computed here, from what was written, without any of catalog's code.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.torch_files import lightning_checkpoint, scalar, write_torch_zip
from tests.support.wandb_files import (
    config,
    history,
    write_hydra_directory,
    write_run_directory,
    write_stream,
)

CODEPOINTS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Spelling(NamedTuple):
    """A value as it is typed, as a sweep writes it, and what it is."""

    typed: str
    written: str
    value: Any


VALUES: dict[str, tuple[Spelling, ...]] = {
    "lr": (
        Spelling("1e-3", "0.001", 0.001), Spelling("0.001", "0.001", 0.001),
        Spelling("1e-2", "0.01", 0.01), Spelling("1E-1", "0.1", 0.1), Spelling(".5", "0.5", 0.5),
        Spelling("2.", "2.0", 2.0),
    ),
    "seed": (*(Spelling(str(n), str(n), n) for n in range(1, 7)), Spelling("1_0", "10", 10)),
    "flag": (Spelling("true", "True", True), Spelling("TRUE", "True", True)),
    "model.name": (
        Spelling("resnet", "resnet", "resnet"), Spelling("'a b'", "'a b'", "a b"),
        Spelling('"x,y"', '"x,y"', "x,y"), Spelling("a\\,b", "a\\,b", "a,b"),
    ),
    "layers": (
        Spelling("[1, 2]", "[1,2]", [1, 2]), Spelling("[[1],[2,3]]", "[[1],[2,3]]", [[1], [2, 3]]),
    ),
    "opt": (Spelling("null", "null", None),
            Spelling("{a: 1, b: c}", "{a:1,b:c}", {"a": 1, "b": "c"})),
    "db": (Spelling("mysql", "mysql", "mysql"), Spelling("sqlite", "sqlite", "sqlite")),
    "+extra": (Spelling("5", "5", 5), Spelling("word", "word", "word")),
    "++seed": tuple(Spelling(str(n), str(n), n) for n in range(11, 14)),
    "sched@train": (Spelling("cos", "cos", "cos"), Spelling("step", "step", "step")),
}  # fmt: skip
"""What is overridden; one with `db` is a config group, as is `sched@train`."""
SWEPT = ("lr", "seed", "model.name", "db", "layers")


@dataclass
class CommandTree:
    """A tree on disk with what is true of it."""

    root: Path
    truth: dict[str, str | None] = field(default_factory=dict)
    """Run id (None: not on disk) by path of the checkpoint below the root."""
    decidable: set[str] = field(default_factory=set)
    beyond: set[str] = field(default_factory=set)
    """Those whose run left nothing on disk while a run of the very same command did."""
    told: dict[str, str] = field(default_factory=dict)
    """The command line that each checkpoint's training was given."""


@dataclass
class _Job:
    command: tuple[Any, ...]
    """What the command line and the job's overrides mean together."""
    overrides: list[str]
    config: dict[str, Any]
    folder: Path
    run_id: str | None
    is_left: bool = True
    lines: tuple[str, ...] = ()
    shares_lines: bool = False
    score: float | None = None
    path: Path | None = None
    line: str = ""
    started: float = 0.0


class _Launch(NamedTuple):
    words: list[str]
    given: dict[str, Spelling]
    swept: dict[str, list[Spelling]]
    deletes: bool
    name: str
    params: dict[str, str] | None
    logs: bool


def write_command_tree(root: Path, seed: int) -> CommandTree:
    """Write the tree of a seed below `root`; the same seed gives the same tree."""
    story = _Story(root, random.Random(f"commands {seed}"))
    for _ in range(story.rng.randint(2, 5)):
        story.launch()
        story.now += story.rng.choice((0.0, 3.0, 20.0, 90.0, 600.0))
    story.settle()
    return story.tree


class _Story:
    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root, self.rng = root, rng
        self.tree = CommandTree(root)
        self.now = 1_700_000_000.0 + rng.randrange(10**7)
        self.has_scores = rng.random() < 0.4
        self.has_lines = rng.random() < 0.3
        self.offline = rng.random() < 0.5
        self.forgets = rng.random() < 0.2
        self.jobs: list[_Job] = []
        self.last: _Launch | None = None

    def launch(self) -> None:
        """Run a command: one job, or all jobs of a sweep."""
        rng = self.rng
        if self.last is not None and rng.random() < 0.15:
            self.run(self.last)  # the very same command again
            return
        is_sweep = rng.random() < 0.5
        keys = rng.sample(sorted(VALUES), rng.randint(0 if is_sweep else 1, 3))
        keys = [key for key in keys if not (key == "++seed" and "seed" in keys)]
        given = {key: rng.choice(VALUES[key]) for key in keys}
        swept: dict[str, list[Spelling]] = {}
        in_config = is_sweep and rng.random() < 0.25
        if is_sweep:
            free = [key for key in SWEPT if key not in given and f"++{key}" not in given]
            for key in rng.sample(free, 1 if in_config else min(len(free), rng.choice((1, 1, 2)))):
                swept[key] = self.distinct(key)
        words = [f"{key}={one.typed}" for key, one in given.items()]
        if rng.random() < 0.1 and "lr" in given:
            words.insert(0, "lr=0.77")  # of two the last counts
        if not in_config:
            words += [f"{key}={self.sweep(key, some)}" for key, some in swept.items()]
        deletes = rng.random() < 0.1
        if deletes:
            words.append("~momentum")
        rng.shuffle(words)
        if "lr=0.77" in words:
            words.remove("lr=0.77")
            words.insert(0, "lr=0.77")
        name = "swept" if in_config else rng.choice((None, None, "other"))
        logs = self.has_lines and rng.random() < 0.7
        words = [*self.options(name, is_sweep=is_sweep and not in_config, logs=logs), *words]
        params = {key: self.sweep(key, some) for key, some in swept.items()} if in_config else None
        self.last = _Launch(words, given, swept, deletes, name or "config", params, logs)
        self.run(self.last)

    def distinct(self, key: str) -> list[Spelling]:
        """Return some values of a key, none twice."""
        found: dict[str, Spelling] = {}
        for one in self.rng.sample(VALUES[key], min(len(VALUES[key]), self.rng.choice((2, 3)))):
            found.setdefault(one.written, one)
        return list(found.values())

    def sweep(self, key: str, some: list[Spelling]) -> str:
        """Return a sweep over values in one of the forms that Hydra's grammar has for it."""
        rng, listed = self.rng, ",".join(one.typed for one in some)
        forms = [listed, f"choice({listed})", f"shuffle({listed})", f"tag(t, choice({listed}))"]
        if len(some) < 2:
            forms = [f"choice({listed})"]
        if key == "db" and len(some) == len(VALUES["db"]):
            forms.append("glob(*)")
        numbers = sorted(one.value for one in some if isinstance(one.value, int))
        if key == "seed" and numbers == list(range(numbers[0], numbers[-1] + 1)):
            forms += [f"range({numbers[0]},{numbers[-1] + 1})"] * 3
        return rng.choice(forms)

    def options(self, name: str | None, *, is_sweep: bool, logs: bool) -> list[str]:
        """Return options of Hydra's, and overrides of Hydra itself."""
        rng = self.rng
        found: list[list[str]] = []
        if name is not None:
            found.append(
                rng.choice(
                    [
                        ["-cn", name],
                        ["--config-name", name],
                        [f"--config-name={name}"],
                        [f"-cn={name}"],
                    ]
                )
            )
        if is_sweep:
            found.append(rng.choice([["-m"], ["--multirun"], ["hydra.mode=MULTIRUN"]]))
        if not logs and rng.random() < 0.4:
            found.append([rng.choice(("hydra/job_logging=disabled", "hydra/job_logging=none"))])
        for option, share in (
            (["--config-path", "conf"], 0.1), (["-cd", "more/conf"], 0.1),
            (["hydra.job.name=train"], 0.1), (["+hydra.x='a b'"], 0.05),
        ):  # fmt: skip
            if rng.random() < share:
                found.append(option)
        rng.shuffle(found)
        return [word for words in found for word in words]

    def run(self, launch: _Launch) -> None:
        """Let Hydra run the jobs of a command, one after another, in one process."""
        words, given, swept, deletes, name, params, logs = launch
        rng, day = self.rng, datetime.fromtimestamp(self.now, UTC)
        stamp = day.strftime("%Y-%m-%d/%H-%M-%S")
        top = self.root / ("multirun" if swept else "outputs") / stamp
        if top.exists():
            self.now += 1
            self.run(launch)
            return
        began: list[_Job] = []
        forgets = self.forgets and len(swept) == 1
        tracked = rng.random() < 0.85
        combinations = list(product(*swept.values())) if swept else [()]
        for number, chosen in enumerate(combinations):
            values = given | dict(zip(swept, chosen, strict=True))
            if swept:
                overrides = [f"{key}={one.written}" for key, one in values.items()]
                overrides += ["~momentum=null"] if deletes else []
            else:
                overrides = [word for word in words if _is_of_task(word, words)]
            folder = top / str(number) if swept else top
            meaning = sorted((key, repr(one.value)) for key, one in values.items())
            named = any(word.startswith(("-cn", "--config-name")) for word in words)
            job = _Job(
                (bool(swept), tuple(meaning), deletes, name if named else None, params is None),
                overrides, _config(values, deletes), folder, None, line=" ".join(words),
            )  # fmt: skip
            started = self.now + rng.choice((0.2, 1.0, 2.5))
            job.started = started
            job.lines = tuple(
                f"[{datetime.fromtimestamp(started, UTC):%Y-%m-%d %H:%M:%S},{n:03d}]"
                f"[train][INFO] - {number} {n}"
                for n in range(3)
            )
            self.hydra(job, name, params, number if swept else None, logs=logs)
            if self.has_scores:
                job.score = float(rng.random())
            if tracked and forgets and began:
                job.run_id = began[0].run_id
                self.ghost(job, started)
            elif tracked and rng.random() < 0.95:
                job.run_id = "".join(rng.choices(CODEPOINTS, k=7)) + str(rng.randrange(10))
                self.track(job, started, words)
            job.shares_lines = logs and job.run_id is not None
            began.append(job)
            self.save(job, started)
            self.now = started + 2
        if tracked and forgets and len(began) > 1:
            self.forgot(began)
        self.jobs += began

    def hydra(
        self, job: _Job, name: str, params: dict[str, str] | None, number: int | None, *, logs: bool
    ) -> None:
        write_hydra_directory(
            job.folder, job.config, overrides=job.overrides, num=number,
            log_lines=job.lines if logs else (),
        )  # fmt: skip
        own = job.folder / ".hydra" / "hydra.yaml"
        document = yaml.safe_load(own.read_text())
        document["hydra"]["job"]["config_name"] = name
        document["hydra"]["sweeper"] = {
            "_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
            "params": params,
        }
        own.write_text(yaml.safe_dump(document))

    def track(self, job: _Job, started: float, words: list[str]) -> None:
        assert job.run_id is not None
        stamp = datetime.fromtimestamp(started, UTC).strftime("%Y%m%d_%H%M%S")
        rows: list[dict[str, Any]] = [{"epoch": 0, "loss": 1.0}]
        if job.score is not None:
            rows[0]["val/score"] = job.score
        write_run_directory(
            self.root / "wandb", job.run_id, stamp=stamp, started=started, config=job.config,
            args=words, rows=rows, output_lines=job.lines, offline=self.offline,
        )  # fmt: skip

    def ghost(self, job: _Job, started: float) -> None:
        """Write what `wandb.init` leaves where it returns the run that was not finished."""
        stamp = datetime.fromtimestamp(started, UTC).strftime("%Y%m%d_%H%M%S")
        drawn = "".join(self.rng.choices(CODEPOINTS, k=7)) + "0"
        logs = self.root / "wandb" / f"run-{stamp}-{drawn}" / "logs"
        logs.mkdir(parents=True)
        (logs / "debug.log").write_text(
            "2025-10-18 02:32:19,498 INFO    MainThread:1 [wandb_init.py:init():789] "
            f"wandb.init called with sweep_config: {{}}\nconfig: {job.config!r}\n"
        )

    def forgot(self, jobs: list[_Job]) -> None:
        """Let the later jobs write into the first one's run, its config included."""
        run_folder = next(self.root.glob(f"wandb/*-{jobs[0].run_id}"), None)
        if run_folder is None:
            return
        stream = next(run_folder.glob("*.wandb"))
        for step, job in enumerate(jobs[1:], 1):
            row: dict[str, Any] = {
                "epoch": 0, "loss": 1.0, "_step": step, "_runtime": job.started - jobs[0].started,
                "_timestamp": job.started,
            }  # fmt: skip
            if job.score is not None:
                row["val/score"] = job.score
            write_stream(stream, [config(job.config), history(row, step=step)], go_on=True)
        (run_folder / "files" / "output.log").write_text(
            "".join(f"{line}\n" for job in jobs for line in job.lines)
        )
        later = {key: {"value": value} for key, value in jobs[-1].config.items()}
        if (run_folder / "files" / "config.yaml").exists():
            (run_folder / "files" / "config.yaml").write_text(yaml.safe_dump(later))

    def save(self, job: _Job, started: float) -> None:
        job.path = job.folder / "checkpoints" / "best.ckpt"
        job.path.parent.mkdir(parents=True)
        weights = {"net.weight": scalar(self.rng.random())}
        best = {} if job.score is None else {job.path.name: job.score}
        content = lightning_checkpoint(
            state_dict=weights, epoch=0, directory=str(job.path.parent), best_k=best,
            monitor="val/score",
        )  # fmt: skip
        write_torch_zip(job.path, content)
        os.utime(job.path, (started + 1, started + 1))

    def settle(self) -> None:
        """Delete some folders, lose the times, and tell what is true."""
        rng = self.rng
        for job in self.jobs:
            folder = next(self.root.glob(f"wandb/*-{job.run_id}"), None) if job.run_id else None
            if folder is not None and rng.random() < 0.1:
                shutil.rmtree(folder)
            if job.path is not None and rng.random() < 0.1:
                shutil.rmtree(job.folder)
                job.path = None
        if rng.random() < 0.5:
            for path in self.root.rglob("*"):
                if path.is_file():
                    os.utime(path, (self.now + 10**6, self.now + 10**6))
        left = {
            job.run_id
            for job in self.jobs
            if job.run_id and any(self.root.glob(f"wandb/*-{job.run_id}"))
        }
        tracked = {job.command for job in self.jobs if job.run_id in left}
        commands = Counter(job.command for job in self.jobs)
        configs = Counter(repr(job.config) for job in self.jobs)
        for job in self.jobs:
            if job.path is None:
                continue
            relative = job.path.relative_to(self.root).as_posix()
            is_left = job.run_id in left
            if not is_left and job.command in tracked:
                self.tree.beyond.add(relative)
            self.tree.truth[relative] = job.run_id if is_left else None
            self.tree.told[relative] = job.line
            is_single = commands[job.command] == 1 and configs[repr(job.config)] == 1
            if is_left and (is_single or job.shares_lines or job.score is not None):
                self.tree.decidable.add(relative)


def _is_of_task(word: str, words: list[str]) -> bool:
    """Tell which words of a command line Hydra lists in `overrides.yaml`."""
    if word.startswith("-") or word.lstrip("+~").startswith(("hydra.", "hydra/")):
        return False
    before = words[words.index(word) - 1] if words.index(word) else ""
    return before not in {"-cn", "--config-name", "--config-path", "-cd"}


def _config(values: dict[str, Spelling], deletes: bool) -> dict[str, Any]:
    """Return the config that Hydra composes."""
    found: dict[str, Any] = {
        "lr": 0.3, "seed": 0, "flag": False, "momentum": 0.9, "model": {"name": "base", "width": 4},
        "layers": [1], "opt": "adam", "db": {"kind": "none"}, "train": {"sched": "none"},
    }  # fmt: skip
    for key, one in values.items():
        if key == "db":
            found["db"] = {"kind": one.value}
        elif key == "sched@train":
            found["train"] = {"sched": one.value}
        elif key == "model.name":
            found["model"] = {**found["model"], "name": one.value}
        else:
            found[key.lstrip("+")] = one.value
    if deletes:
        del found["momentum"]
    return found
