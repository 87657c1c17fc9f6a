"""Random projects of Hugging Face's Trainer, for judging links; see `random_trees`.

Sibling output folders, or one folder that every training overwrites; several `checkpoint-N` and a
saved model; resumed trainings, repeated commands, evaluations and fine-tunings that name a
checkpoint; deleted run folders, killed runs, trainings that nobody tracked.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.support.trainer_files import rewritten, write_trainer_checkpoint
from tests.support.wandb_files import write_run_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.random_trees import Tree

SCHEMES = ("siblings", "siblings", "shared", "dated", "trials", "plain")
"""Where trainings of a project write to; see `TrainerProject.place`."""
CODEPOINTS = "abcdefghijklmnopqrstuvwxyz0123456789"
SAVE_EVERY = 50
"""Steps between two checkpoints."""


@dataclass
class _Fit:
    """One call of `Trainer.train`."""

    seed: int
    lr: float
    length: int
    """Checkpoints that the whole training makes."""
    run_id: str | None
    output: Path
    arguments: dict[str, Any]
    model_name: str
    history: list[dict[str, Any]] = field(default_factory=list)
    """All rows, those of an earlier life included."""
    files: dict[Path, float] = field(default_factory=dict)
    """Folders that it wrote, with their times."""
    run_folder: Path | None = None

    @property
    def command(self) -> tuple[int, float, int]:
        """What the numbers follow from."""
        return (self.seed, self.lr, self.length)


class TrainerProject:
    """The story of one project, told in order of time."""

    def __init__(
        self, folder: Path, rng: random.Random, start: float, seeds: list[int], tree: Tree
    ) -> None:
        self.folder, self.rng, self.seeds, self.tree = folder, rng, seeds, tree
        self.now = float(int(start)) + rng.random()
        self.scheme = rng.choice(SCHEMES)
        self.zone = timezone(timedelta(minutes=rng.choice((0, 540, -300, 60))))
        self.wandb = folder / "wandb"
        self.offline = rng.random() < 0.4
        self.home = rng.choice((str(folder), "/home/team/project"))
        self.relative = rng.random() < 0.6
        self.evaluates = rng.random() < 0.6
        self.rounds_loss = rng.random() < 0.5
        self.has_norm = rng.random() < 0.6
        self.has_logging_dir = rng.random() < 0.5
        self.names_run = rng.choice(("output", "name", "none"))
        self.equal = rng.random() < 0.35
        self.keeps_last = rng.random() < 0.3
        self.saves_model = rng.random() < 0.4
        self.gap = rng.choice((0.0, 0.0, 2.0, 60.0, 900.0))
        self.done: list[_Fit] = []

    def write(self) -> None:
        """Tell the project's story, then what people did to its folders."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(self.rng.randint(2, 6)):
            what = self.rng.choices(
                ("train", "untracked", "evaluate", "resume", "continue", "tune"),
                (6, 1.5, 1.5, 1.2, 0.8, 1),
            )[0]
            if what == "untracked":
                self.train(tracked=False)
            elif what == "train" or not self.done:
                self.train()
            elif what == "evaluate":
                self.evaluate(self.rng.choice(self.done))
            elif what == "tune":
                self.train(start=self.rng.choice(self.done))
            else:
                self.resume(self.rng.choice(self.done), same_id=what == "continue")
            self.now += self.gap * self.rng.choice((1.0, 0.3)) + self.rng.random()
        for one in self.done:
            self.meddle(one)
            if one.run_folder is not None and one.run_id not in self.tree.blank:
                self.tree.tracked.add(one.command)

    def train(self, *, tracked: bool = True, start: _Fit | None = None) -> None:
        """Train anew, from the checkpoint of another training if one is given."""
        rng = self.rng
        seed, lr, length = rng.choice(self.seeds), rng.choice((5e-5, 2e-5)), rng.randint(1, 3)
        if self.equal:
            seed, lr, length = self.seeds[0], 5e-5, 2
        source = "bert-base-uncased"
        if start is not None and start.files:
            source = self.remembered(rng.choice(list(start.files)))
        output = self.place(seed)
        run_id = "".join(rng.choices(CODEPOINTS, k=8)) if tracked else None
        fit = _Fit(
            seed, lr, length, run_id, output, self.arguments(output, seed, lr, length), source
        )
        self.fit(fit, first=0)
        if fit.run_folder is not None and rng.random() < 0.08:
            shutil.rmtree(fit.run_folder)
            fit.run_folder = None
            for path in fit.files:
                self.tell(path, None, "its run folder was deleted", fit)

    def resume(self, one: _Fit, *, same_id: bool) -> None:
        """Go on from the last checkpoint with a larger number of epochs, in the same folder."""
        steps = [path for path in one.files if path.name.startswith("checkpoint-")]
        if one.run_id is None or not steps:
            return
        first = max(int(path.name.rpartition("-")[2]) for path in steps) // SAVE_EVERY
        length = first + self.rng.randint(1, 2)
        run_id = one.run_id if same_id else "".join(self.rng.choices(CODEPOINTS, k=8))
        again = _Fit(
            one.seed, one.lr, length, run_id, one.output,
            self.arguments(one.output, one.seed, one.lr, length), one.model_name,
            [row for row in one.history if row["step"] <= first * SAVE_EVERY],
        )  # fmt: skip
        if self.rng.random() < 0.3:
            again.arguments["resume_from_checkpoint"] = self.remembered(
                one.output / f"checkpoint-{first * SAVE_EVERY}"
            )
        self.now += self.rng.choice((2.0, 30.0))
        self.fit(again, first=first)

    def fit(self, fit: _Fit, *, first: int) -> None:
        """Train from a step on: the checkpoints, the saved model and W&B's folder."""
        started = self.now + self.rng.choice((0.3, 2.0, 8.0))
        logged: list[dict[str, Any]] = []
        moment = started
        for number in range(first + 1, fit.length + 1):
            rows = self.rows(fit, number)
            fit.history += rows
            logged += [rewritten(row) for row in rows]
            moment = started + 5.0 * (number - first)
            self.save(fit, fit.output / f"checkpoint-{number * SAVE_EVERY}", moment, rows)
        if self.saves_model:
            self.save(fit, fit.output / "final", moment + 1, None)
        if fit.run_id is not None:
            self.run_folder(fit, started, logged)
        self.now = moment + 2
        self.done.append(fit)

    def rows(self, fit: _Fit, number: int) -> list[dict[str, Any]]:
        """Return what is logged at one step: seeds fix losses, but never how long things took."""
        step = number * SAVE_EVERY
        draw = random.Random(f"{fit.seed} {fit.lr} {fit.length} {fit.model_name} {number}")
        loss, norm, judged = (_float32(draw.random()) for _ in range(3))
        train = {
            "epoch": float(number),
            "learning_rate": fit.lr * (1 - number / (fit.length + 1)),
            "loss": round(loss, 4) if self.rounds_loss else loss,
            "step": step,
        }
        if self.has_norm:
            train["grad_norm"] = norm
        rows = [train]
        if self.evaluates:
            seconds = round(self.rng.uniform(1, 9), 4)
            rows.append(
                {
                    "epoch": float(number), "eval_loss": judged, "eval_runtime": seconds,
                    "eval_samples_per_second": round(1000 / seconds, 3),
                    "eval_steps_per_second": round(125 / seconds, 3), "step": step,
                }
            )  # fmt: skip
        return rows

    def save(
        self, fit: _Fit, folder: Path, moment: float, rows: list[dict[str, Any]] | None
    ) -> None:
        for other in self.done:
            other.files.pop(folder, None)
        if self.keeps_last and rows is not None:
            for path in [path for path in fit.files if path.name != "final"]:
                shutil.rmtree(path)
                del fit.files[path]
                self.forget(path)
        state: dict[str, Any] = {"max_steps": fit.length * SAVE_EVERY}
        judged = [row for row in fit.history if "eval_loss" in row] if rows is not None else []
        if judged:
            best = min(judged, key=lambda row: row["eval_loss"])
            state |= {
                "best_metric": best["eval_loss"],
                "best_model_checkpoint": self.argument(fit.output / f"checkpoint-{best['step']}"),
            }
        write_trainer_checkpoint(
            folder, fit.arguments, width=4, model_name=fit.model_name,
            history=fit.history if rows is not None else None, state=state,
        )  # fmt: skip
        for path in folder.iterdir():
            os.utime(path, (moment, moment))
        fit.files[folder] = moment
        how = "resumed" if fit.history and fit.history[0] not in (rows or []) else "trained"
        kind = "saved model" if rows is None else how
        self.tell(folder, fit.run_id, f"trainer {self.scheme}, {kind}", fit)

    def arguments(self, output: Path, seed: int, lr: float, length: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "output_dir": self.argument(output), "seed": seed, "learning_rate": lr,
            "max_steps": length * SAVE_EVERY, "per_device_train_batch_size": 8,
            "weight_decay": 0.0, "save_steps": SAVE_EVERY, "logging_steps": SAVE_EVERY,
            "warmup_steps": 0, "report_to": ["wandb"],
        }  # fmt: skip
        if self.evaluates:
            arguments["metric_for_best_model"] = "eval_loss"
            arguments["greater_is_better"] = False
        if self.has_logging_dir:
            moment = datetime.fromtimestamp(self.now, self.zone)
            arguments["logging_dir"] = f"{arguments['output_dir']}/runs/{moment:%b%d_%H-%M-%S}_gpu1"
        if self.names_run == "output":
            arguments["run_name"] = arguments["output_dir"]
        elif self.names_run == "name":
            arguments["run_name"] = f"bert-seed{seed}"
        return arguments

    def run_folder(self, fit: _Fit, started: float, rows: list[dict[str, Any]]) -> None:
        rng = self.rng
        killed = rng.random() < 0.15
        assert fit.run_id is not None
        config = {**fit.arguments, "_name_or_path": fit.model_name, "hidden_size": 4}
        stamp = self.stamp(started)
        while (self.wandb / f"run-{stamp}-{fit.run_id}").exists():
            started += 1
            stamp = self.stamp(started)
        lost = killed and rng.random() < 0.5
        fit.run_folder = write_run_directory(
            self.wandb, fit.run_id, stamp=stamp, started=started, config=config,
            project="huggingface", offline=self.offline, rows=rows, stream=not lost,
            exit_code=None if killed else rng.choice((0, 0, 1)),
            display_name=str(fit.arguments.get("run_name", "")),
        )  # fmt: skip
        ended = started + 5.0 * max(1, len(fit.files))
        for path in fit.run_folder.rglob("*"):
            os.utime(path, (ended, ended))
        if lost and rng.random() < 0.3:
            shutil.rmtree(fit.run_folder / "logs")
            self.tree.blank.add(fit.run_id)

    def evaluate(self, one: _Fit) -> None:
        """Read a checkpoint and record its very loss, in a run of its own."""
        if not one.files:
            return
        path = self.rng.choice(list(one.files))
        output = self.rng.choice((self.folder / "results" / "eval", one.output))
        config = self.arguments(output, one.seed, one.lr, one.length)
        config[self.rng.choice(("_name_or_path", "model_name_or_path"))] = self.remembered(path)
        judged = [row["eval_loss"] for row in one.history if "eval_loss" in row]
        seconds = round(self.rng.uniform(1, 9), 4)
        started = self.now + 1
        write_run_directory(
            self.wandb, "".join(self.rng.choices(CODEPOINTS, k=8)), stamp=self.stamp(started),
            started=started, config=config, project="huggingface", offline=self.offline,
            rows=[{"eval/loss": loss, "eval/runtime": seconds} for loss in judged[-1:]],
        )  # fmt: skip
        self.now = started + 2

    def place(self, seed: int) -> Path:
        """Return the output folder of a new training."""
        moment = datetime.fromtimestamp(self.now, self.zone)
        if self.scheme == "shared":
            return self.folder / "output"
        if self.scheme == "plain":
            return self.folder / self.rng.choice(("results", "out", "checkpoints"))
        if self.scheme == "dated":
            return self.fresh(self.folder / "outputs" / f"bert-{moment:%Y-%m-%d_%H-%M-%S}")
        if self.scheme == "trials":
            parent = self.folder / "trials"
            return parent / f"run-{len(list(parent.glob('run-*')))}"
        return self.fresh(self.folder / "results" / f"bert_seed{seed}")

    def fresh(self, folder: Path) -> Path:
        number, wanted = 1, folder
        while folder.exists():
            number += 1
            folder = wanted.with_name(f"{wanted.name}_{number}")
        return folder

    def meddle(self, one: _Fit) -> None:
        """Copy a checkpoint to where models are kept, or rename the output folder."""
        rng = self.rng
        present = [path for path in one.files if path.exists()]
        if present and rng.random() < 0.12:
            copy = self.folder / "release" / rng.choice(("model", one.output.name))
            if not copy.exists():
                shutil.copytree(present[-1], copy)
                self.tell(copy, self.truth_of(present[-1]), "trainer, copied", one)
        if rng.random() < 0.08 and self.scheme in {"siblings", "dated"} and one.output.exists():
            moved = one.output.with_name(rng.choice(("good", "old", "bert_best")))
            if not moved.exists():
                self.rename(one.output, moved)

    def rename(self, folder: Path, moved: Path) -> None:
        before, after = (path.relative_to(self.tree.root).as_posix() for path in (folder, moved))
        folder.rename(moved)
        for other in self.done:
            other.files = {
                moved / path.relative_to(folder) if path.is_relative_to(folder) else path: moment
                for path, moment in other.files.items()
            }
        for table in (self.tree.truth, self.tree.told, self.tree.commands):
            for path in [path for path in table if path.startswith(f"{before}/")]:
                table[after + path.removeprefix(before)] = table.pop(path)  # type: ignore[assignment]

    def truth_of(self, path: Path) -> str | None:
        return self.tree.truth[path.relative_to(self.tree.root).as_posix()]

    def tell(self, path: Path, run_id: str | None, how: str, fit: _Fit) -> None:
        relative = path.relative_to(self.tree.root).as_posix()
        self.tree.commands[relative] = fit.command
        self.tree.truth[relative] = run_id
        self.tree.told[relative] = how

    def forget(self, path: Path) -> None:
        del self.tree.truth[path.relative_to(self.tree.root).as_posix()]

    def stamp(self, moment: float) -> str:
        return datetime.fromtimestamp(moment, self.zone).strftime("%Y%m%d_%H%M%S")

    def argument(self, folder: Path) -> str:
        """Return a folder as it was given on the command line."""
        if self.relative:
            return folder.relative_to(self.folder).as_posix()
        return self.remembered(folder)

    def remembered(self, folder: Path) -> str:
        """Return the folder's path on the machine that ran."""
        return f"{self.home}/{folder.relative_to(self.folder).as_posix()}"


def _float32(value: float) -> float:
    (number,) = struct.unpack("<f", struct.pack("<f", value))
    return float(number)
