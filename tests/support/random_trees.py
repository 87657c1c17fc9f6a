"""Random projects with known truth and many decoys, for judging links: no torch, no tools.

A tree is a story told in order of time: trainings with and without W&B, repeated seeds, sweeps,
crashes, resumed runs, evaluations, deleted run folders; afterwards folders are renamed, copied and
lose their times. For every checkpoint the truth is the id of the run that wrote it, or None where
no folder of that run is on disk.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from tests.support.random_trainers import TrainerProject
from tests.support.torch_files import FakeTensor, lightning_checkpoint, scalar, write_torch_zip
from tests.support.wandb_files import (
    artifact,
    write_hydra_directory,
    write_run_directory,
    write_stream,
)

LAYOUTS = ("named", "dated", "chdir", "multirun", "by-id", "versions", "flat", "experiment")
"""Where trainings of a project put their checkpoints; see `_Project.place`."""
WORDS = ("outputs", "default", "train", "general", "baseline", "det_r18")
"""Ids that a person gave; folders bear such names as well."""
TRAINERS = 0.3
"""Share of projects that are of Hugging Face's Trainer."""
CODEPOINTS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass
class Tree:
    """A tree on disk with what is true of it."""

    root: Path
    truth: dict[str, str | None] = field(default_factory=dict)
    """Run id (None: not on disk) by path of the checkpoint below the root."""
    beyond: set[str] = field(default_factory=set)
    """Those whose run left nothing on disk while a run of the very same command did: only places
    and times could tell, and those may be gone."""
    told: dict[str, str] = field(default_factory=dict)
    """How each checkpoint came to be, for messages."""
    commands: dict[str, tuple[int, float, int]] = field(default_factory=dict)
    """What each checkpoint's training was given: seed, learning rate, width."""
    blank: set[str] = field(default_factory=set)
    """Runs that lost their history, and of which nothing else ties to a checkpoint."""
    tracked: set[tuple[int, float, int]] = field(default_factory=set)
    """The same of every training whose run folder is on disk."""


@dataclass
class _Training:
    seed: int
    lr: float
    hidden: int
    begin: float
    run_id: str | None
    folder: Path
    config: dict[str, Any]
    overrides: list[str]
    scores: list[float]
    files: list[Path] = field(default_factory=list)
    run_folder: Path | None = None


def write_tree(root: Path, seed: int) -> Tree:
    """Write the tree of a seed below `root`; the same seed gives the same tree."""
    rng = random.Random(seed)
    tree = Tree(root)
    start = 1_700_000_000.0 + rng.randrange(10**7)
    seeds = rng.sample(range(1, 50), 3)
    count = rng.choice((1, 1, 1, 2, 3))
    for number in range(count):
        folder = root / f"project{number}" if count > 1 else root
        offset = 0.0 if rng.random() < 0.3 else rng.uniform(0, 300)
        # Drawn apart, so that the trees of Lightning stay what they are for a seed.
        if random.Random(f"trainer {seed} {number}").random() < TRAINERS:
            TrainerProject(folder, rng, start + offset, seeds, tree).write()
        else:
            _Project(folder, rng, start + offset, seeds, tree).write()
    _lose_times(tree, rng)
    tree.beyond = {
        path
        for path, run_id in tree.truth.items()
        if (run_id is None or run_id in tree.blank) and tree.commands[path] in tree.tracked
    }
    return tree


class _Project:
    def __init__(
        self, folder: Path, rng: random.Random, start: float, seeds: list[int], tree: Tree
    ) -> None:
        self.folder = folder
        self.rng = rng
        self.now = float(int(start)) + rng.random()
        self.seeds = seeds
        self.tree = tree
        self.layout = rng.choice(LAYOUTS)
        self.zone = timezone(timedelta(minutes=rng.choice((0, 540, -300, 330, 60))))
        self.wandb = folder / rng.choice(("wandb", "logs/wandb", "wandb"))
        self.hydra = self.layout in {"dated", "chdir", "multirun"} or rng.random() < 0.4
        self.offline = rng.random() < 0.4
        self.old = rng.random() < 0.2
        self.names_folder = rng.random() < 0.4
        self.logs_lines = rng.random() < 0.4
        self.keeps_parameters = rng.random() < 0.5
        self.weights_only = rng.random() < 0.15
        self.rounded = rng.random() < 0.15
        self.equal = rng.random() < 0.3
        self.word_ids = rng.random() < 0.15
        self.gap = rng.choice((0.0, 0.0, 1.0, 5.0, 40.0, 400.0))
        self.home = rng.choice((str(folder), "/home/team/project"))
        # Drawn apart, so that the rest stays what it was for a seed.
        self.extra = random.Random(f"extra {start}")
        self.logs_rate = self.extra.random() < 0.4
        self.schedule = self.extra.choice(("constant", "falling"))
        self.gives_files = self.extra.choice((None, None, None, "artifact", "link"))
        self.done: list[_Training] = []
        self.sweep_stamp = self.now
        self.flat_count = 0

    def write(self) -> None:
        """Tell the project's story, then what people did to its folders."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(self.rng.randint(2, 6)):
            what = self.rng.choices(
                ("train", "train", "untracked", "no-checkpoint", "evaluate", "resume", "continue"),
                (6, 2, 1.5, 1, 1.5, 1, 0.7),
            )[0]
            if what == "untracked":
                self.train(tracked=False)
            elif what == "no-checkpoint":
                self.train(saves=False)
            elif what == "train" or not self.done:
                self.train()
            elif what == "evaluate":
                self.evaluate(self.rng.choice(self.done))
            else:
                self.resume(self.rng.choice(self.done), same_id=what == "resume")
            self.now += self.gap * self.rng.choice((1.0, 1.0, 0.3)) + self.rng.random() / 3
            if self.rng.random() < 0.3:
                self.now += 300
                self.sweep_stamp = self.now
        for one in self.done:
            self.meddle(one)
            if one.run_folder is not None and one.run_id not in self.tree.blank:
                self.tree.tracked.add((one.seed, one.lr, one.hidden))

    def train(self, *, tracked: bool = True, saves: bool = True) -> None:
        rng = self.rng
        seed, lr, hidden = rng.choice(self.seeds), rng.choice((0.1, 0.001)), rng.choice((8, 16))
        if self.equal:
            seed, lr, hidden = self.seeds[0], 0.1, 8
        run_id = None
        if tracked:
            taken = {one.run_id for one in self.done}
            words = [word for word in WORDS if word not in taken]
            run_id = (
                rng.choice(words)
                if self.word_ids and words
                else "".join(rng.choices(CODEPOINTS, k=8))
            )
        folder = self.place(run_id, seed)
        overrides = [f"seed={seed}", f"lr={lr}", f"model.hidden={hidden}"]
        config = {
            "seed": seed,
            "lr": lr,
            "model": {"name": "dbnet", "hidden": hidden},
            "exp_name": folder.name if self.layout == "experiment" else "ocr",
        }
        if self.names_folder:
            config["paths"] = {"output_dir": self.remembered(folder)}
        one = _Training(
            seed, lr, hidden, self.now, run_id, folder, config, overrides,
            self.scores(seed, lr, hidden, rng.randint(1, 4)),
        )  # fmt: skip
        started = self.now + rng.choice((0.0, 0.2, 1.0, 3.0, 12.0))
        lines = self.lines(started)
        if self.hydra:
            self.job(folder, config, overrides, lines)
        if run_id is not None:
            self.run_folder(one, started, lines, first_epoch=0)
        self.now = started + len(one.scores)
        if saves:
            self.save(one, started, first_epoch=0)
        self.done.append(one)
        if one.run_folder is not None and saves and rng.random() < 0.08:
            shutil.rmtree(one.run_folder)
            one.run_folder = None
            for path in one.files:
                self.tell(path, None, "its run folder was deleted", one)

    def job(
        self, folder: Path, config: dict[str, Any], overrides: list[str], lines: list[str]
    ) -> None:
        """Write what Hydra leaves; in a folder that had a job before it overwrites and appends."""
        log = folder / "train.log"
        before = log.read_text() if log.exists() else ""
        shutil.rmtree(folder / ".hydra", ignore_errors=True)
        write_hydra_directory(
            folder, {key: config[key] for key in ("seed", "lr", "model")}, overrides=overrides,
            log_lines=lines, output_dir=self.remembered(folder),
            num=0 if self.layout == "multirun" else None,
        )  # fmt: skip
        if before:
            log.write_text(before + "".join(f"{line}\n" for line in lines))
        if folder == self.folder:
            own = folder / ".hydra" / "hydra.yaml"
            own.write_text(own.read_text().replace(f"cwd: {folder.parent}", f"cwd: {self.home}"))

    def resume(self, one: _Training, *, same_id: bool) -> None:
        """Go on from the last checkpoint, in the same folder."""
        if one.run_id is None or not one.files or self.layout == "flat":
            return
        same_id = same_id or self.layout == "by-id"  # a new id would give a new folder
        first = len(one.scores)
        more = self.scores(one.seed, one.lr, one.hidden, first + self.rng.randint(1, 3))[first:]
        again = _Training(
            one.seed, one.lr, one.hidden, self.now,
            one.run_id if same_id else "".join(self.rng.choices(CODEPOINTS, k=8)),
            one.folder, {**one.config, "resume": f"{self.remembered(one.folder)}/last.ckpt"},
            one.overrides, one.scores + more,
        )  # fmt: skip
        started = self.now + self.rng.choice((1.2, 3.0))
        last = one.folder / "checkpoints" / "last.ckpt"
        lines = [
            *self.lines(started),
            f"Restoring states from the checkpoint path at {self.remembered(last)}",
        ]
        log = one.folder / "train.log"
        if log.exists() and self.rng.random() < 0.7:  # Hydra appends where a job works again
            log.write_text(log.read_text() + "".join(f"{line}\n" for line in lines))
        self.run_folder(again, started, lines, first_epoch=first)
        self.now = started + len(more)
        for path in one.files:
            if path.name.startswith("last"):
                path.unlink()
                self.forget(path)
        kept = [path for path in one.files if not path.name.startswith("last")]
        self.save(again, started, first_epoch=first, best_before=max(one.scores))
        one.files = kept
        self.done.append(again)

    def evaluate(self, one: _Training) -> None:
        """Read a checkpoint, name it, and record the very score that it keeps."""
        if not one.files:
            return
        path = self.rng.choice(one.files)
        named = f"{self.remembered(one.folder)}/checkpoints/{path.name}"
        key = self.rng.choice(("ckpt_path", "checkpoint", "weights", "eval.checkpoint_dir"))
        config: dict[str, Any] = {
            "model": {"name": "dbnet", "hidden": one.hidden}, "seed": one.seed, "lr": one.lr
        }  # fmt: skip
        if key == "eval.checkpoint_dir":
            config["eval"] = {"checkpoint_dir": named.rpartition("/")[0]}
        else:
            config[key] = named
        run_id = "".join(self.rng.choices(CODEPOINTS, k=8))
        started = self.now + 1
        write_run_directory(
            self.wandb, run_id, stamp=self.stamp(started), started=started, config=config,
            rows=[{"epoch": 0, self.rng.choice(("val/hmean", "test/hmean")): max(one.scores)}],
            offline=self.offline, args=[f"ckpt_path={named}"],
        )  # fmt: skip
        self.now = started + 1

    def place(self, run_id: str | None, seed: int) -> Path:
        """Return a new training's output folder."""
        stamp, rng = self.stamp(self.now), self.rng
        day = datetime.fromtimestamp(self.now, self.zone)
        dated = day.strftime("%Y-%m-%d/%H-%M-%S")
        if self.layout == "named":
            name = rng.choice(("det_r18", "rec_s", "kie"))
            return self.fresh(self.folder / "outputs" / f"{name}-unknown_training_{stamp}")
        if self.layout in {"dated", "chdir"}:
            return self.fresh(self.folder / "outputs" / dated)
        if self.layout == "multirun":
            sweep = datetime.fromtimestamp(self.sweep_stamp, self.zone)
            parent = self.folder / "multirun" / sweep.strftime("%Y-%m-%d/%H-%M-%S")
            return parent / str(len(list(parent.glob("*"))))
        if self.layout == "by-id" and run_id is not None:
            return self.folder / "ocr" / run_id
        if self.layout == "experiment":
            return self.fresh(self.folder / "models" / f"exp_seed{seed}")
        if self.layout == "flat":
            return self.folder
        parent = self.folder / "lightning_logs"
        return parent / f"version_{len(list(parent.glob('*')))}"

    def fresh(self, folder: Path) -> Path:
        number, wanted = 1, folder
        while folder.exists():
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        return folder

    def run_folder(
        self, one: _Training, started: float, lines: list[str], *, first_epoch: int
    ) -> None:
        rng = self.rng
        parent = one.folder / "wandb" if self.layout == "chdir" else self.wandb
        killed = rng.random() < 0.15
        args = one.overrides
        if self.layout == "multirun":
            args = [
                "-m",
                "seed=" + ",".join(map(str, self.seeds)),
                "lr=0.1,0.001",
                "model.hidden=8,16",
            ]
        assert one.run_id is not None
        stamp = self.stamp(started)
        while (parent / f"run-{stamp}-{one.run_id}").exists():
            stamp = self.stamp(started + 1)
            started += 1
        one.run_folder = write_run_directory(
            parent, one.run_id, stamp=stamp, started=started, config=one.config,
            offline=self.offline, args=args, output_lines=lines,
            exit_code=None if killed else rng.choice((0, 0, 1)),
            stream=not (killed and rng.random() < 0.6), display_name=rng.choice(("", "clone")),
            rows=[
                {
                    "epoch": epoch, "val/hmean": one.scores[epoch],
                    "train/loss": round(1 / (epoch + 1), 2),
                    "trainer/global_step": (epoch + 1) * 100 - 1,
                    **({"lr-Adam": self.rate(one.lr, epoch)} if self.logs_rate else {}),
                }
                for epoch in range(first_epoch, len(one.scores))
            ],
        )  # fmt: skip
        ended = started + len(one.scores) - first_epoch
        for path in one.run_folder.rglob("*"):
            os.utime(path, (ended, ended))
        lost = (one.run_folder / f"run-{one.run_id}.wandb").stat().st_size == 0
        if lost and not (self.keeps_parameters or self.names_folder or self.hydra):
            self.tree.blank.add(one.run_id)
        unlogged = rng.random() < 0.15
        if unlogged:
            shutil.rmtree(one.run_folder / "logs")
        if lost and (unlogged or self.layout == "flat"):
            self.tree.blank.add(one.run_id)
        if self.old and not self.offline and not killed:
            (one.run_folder / "files" / "config.yaml").write_text(
                yaml.safe_dump({"wandb_version": 1, "_wandb": {"desc": None, "value": {}}})
            )
        if rng.random() < 0.1:
            (one.run_folder / "files" / "wandb-metadata.json").unlink()

    def save(
        self, one: _Training, started: float, *, first_epoch: int, best_before: float | None = None
    ) -> None:
        """Write what the checkpoint callback keeps: the best file and the last one."""
        folder = one.folder / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        new = one.scores[first_epoch:]
        best = max(new)
        last_epoch = len(one.scores) - 1
        files: list[tuple[str, int, float, float]] = []
        best_epoch = first_epoch + new.index(best)
        if best_before is None or best > best_before:
            files.append((self.file_name("best", best_epoch), best_epoch, best, best))
        if self.rng.random() < 0.7 or not files:
            files.append(("last.ckpt", last_epoch, max(best, best_before or 0.0), new[-1]))
        for name, epoch, best_so_far, own in files:
            path = folder / name
            if self.layout == "flat":
                path = self.versioned(path)
            content = self.content(one, path, epoch, best_so_far, own)
            write_torch_zip(path, content)
            written = started + epoch - first_epoch
            os.utime(path, (written, written))
            one.files.append(path)
            self.tell(
                path, one.run_id, f"{self.layout}, {'resumed' if first_epoch else 'trained'}", one
            )
            if self.gives_files and one.run_folder is not None:
                self.give(one.run_folder, path, own)

    def give(self, run_folder: Path, path: Path, score: float) -> None:
        """Log a file as an artifact, as Lightning does; or link it, as `wandb.save` does."""
        if self.gives_files == "link":
            link = run_folder / "files" / "checkpoints" / path.name
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(f"{self.remembered(path.parent)}/{path.name}")
            return
        stream = next(run_folder.glob("*.wandb"))
        if not stream.stat().st_size:
            return
        digest = base64.b64encode(hashlib.md5(path.read_bytes(), usedforsecurity=False).digest())
        record = artifact(
            {"model.ckpt": digest.decode()}, sizes={"model.ckpt": path.stat().st_size},
            metadata={"score": score, "original_filename": path.name},
        )  # fmt: skip
        moment = stream.stat().st_mtime
        write_stream(stream, [record], go_on=True)
        os.utime(stream, (moment, moment))

    def rate(self, lr: float, epoch: int) -> float:
        """Return the learning rate in an epoch."""
        return lr if self.schedule == "constant" else lr * (1 - epoch / 7)

    def file_name(self, stem: str, epoch: int) -> str:
        return (
            f"epoch={epoch}-step={(epoch + 1) * 100}.ckpt"
            if self.layout == "by-id"
            else f"{stem}.ckpt"
        )

    def versioned(self, path: Path) -> Path:
        number, wanted = 0, path
        while path.exists():
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-v{number}")
        return path

    def content(
        self, one: _Training, path: Path, epoch: int, best: float, own: float
    ) -> dict[str, Any]:
        bits = hashlib.sha256(f"{one.seed} {one.lr} {one.hidden} {epoch}".encode()).digest()
        weights = {"net.weight": FakeTensor(shape=(one.hidden,), data=(bits * 4)[: one.hidden * 4])}
        place = f"{self.remembered(one.folder)}/checkpoints"
        parameters = {key: one.config[key] for key in ("seed", "lr", "model")}
        content = lightning_checkpoint(
            state_dict=weights, epoch=epoch, global_step=(epoch + 1) * 100, directory=place,
            best_k={path.name: best}, current=scalar(own),
            hyper_parameters=parameters if self.keeps_parameters else None,
            optimizer_states=[
                {"state": {}, "param_groups": [{"lr": self.rate(one.lr, epoch), "params": [0]}]}
            ],
        )  # fmt: skip
        (state,) = content["callbacks"].values()
        state["current_score"] = content.pop("current")
        if path.name.startswith("last"):
            state["best_k_models"] = {f"{place}/best.ckpt": state["best_model_score"]}
            state["best_model_path"] = f"{place}/best.ckpt"
            state["last_model_path"] = f"{place}/{path.name}"
        if self.weights_only:
            for key in ("callbacks", "optimizer_states", "lr_schedulers"):
                del content[key]
        return content

    def meddle(self, one: _Training) -> None:
        """Rename, copy, move: what people do to folders in the months after."""
        rng, present = self.rng, [path for path in one.files if path.exists()]
        if not present:
            return
        if rng.random() < 0.15:
            copy = (
                self.folder
                / rng.choice(("release", "best_models"))
                / rng.choice(("model.ckpt", f"{one.folder.name}.ckpt", "best.ckpt"))
            )
            if not copy.exists():
                copy.parent.mkdir(exist_ok=True)
                shutil.copy2(present[0], copy)
                relative = present[0].relative_to(self.tree.root).as_posix()
                self.tell(copy, self.tree.truth[relative], "copied", one)
        if rng.random() < 0.12 and self.layout in {"named", "dated", "experiment"}:
            moved = one.folder.with_name(rng.choice(("good", "old", "final")))
            if not moved.exists() and one.folder.exists():
                self.rename(one.folder, moved)

    def rename(self, folder: Path, moved: Path) -> None:
        before, after = (path.relative_to(self.tree.root).as_posix() for path in (folder, moved))
        folder.rename(moved)
        for other in self.done:
            other.files = [
                moved / path.relative_to(folder) if path.is_relative_to(folder) else path
                for path in other.files
            ]
        for table in (self.tree.truth, self.tree.told, self.tree.commands):
            for path in [path for path in table if path.startswith(f"{before}/")]:
                table[after + path.removeprefix(before)] = table.pop(path)  # type: ignore[assignment]

    def tell(self, path: Path, run_id: str | None, how: str, one: _Training) -> None:
        relative = path.relative_to(self.tree.root).as_posix()
        self.tree.commands[relative] = (one.seed, one.lr, one.hidden)
        self.tree.truth[relative] = run_id
        self.tree.told[relative] = how

    def forget(self, path: Path) -> None:
        del self.tree.truth[path.relative_to(self.tree.root).as_posix()]

    def scores(self, seed: int, lr: float, hidden: int, count: int) -> list[float]:
        if self.rounded:
            return [(0.0, 0.5, 1.0)[(seed + epoch) % 3] for epoch in range(count)]
        return [
            struct.unpack(
                "<f", struct.pack("<f", random.Random(f"{seed} {lr} {hidden} {n}").random())
            )[0]
            for n in range(count)
        ]

    def lines(self, started: float) -> list[str]:
        if not self.logs_lines:
            return []
        local = datetime.fromtimestamp(started, self.zone)
        return [
            f"[{local:%Y-%m-%d %H:%M:%S},{local.microsecond // 1000 + n:03d}][train][INFO] - {n}"
            for n in range(3)
        ]

    def stamp(self, moment: float) -> str:
        return datetime.fromtimestamp(moment, self.zone).strftime("%Y%m%d_%H%M%S")

    def remembered(self, folder: Path) -> str:
        """Return the folder's path on the machine that ran."""
        inside = folder.relative_to(self.folder).as_posix()
        return self.home if inside == "." else f"{self.home}/{inside}"


def _lose_times(tree: Tree, rng: random.Random) -> None:
    """A copy makes all files new, a checkout all of one time."""
    how = rng.choice(("kept", "kept", "copied", "checked out"))
    if how == "kept":
        return
    checkout = datetime.now(UTC).timestamp() - rng.randrange(10**6)
    for path in tree.root.rglob("*"):
        if path.is_file():
            time = checkout if how == "checked out" else checkout + rng.random() * 5
            os.utime(path, (time, time), follow_symlinks=not path.is_symlink())


def describe(tree: Tree) -> str:
    """Return the truth as text, for a failed test."""
    return json.dumps(tree.truth, indent=1)
