"""How long it takes to know what is in a checkpoint: `catalog.inspect` against `torch.load`.

    python -m benchmarks.inspect [FOLDER]

writes Lightning-like checkpoints of 2 MB, 200 MB and 1 GB with 250 tensors, and one of 200 MB
with Adam's state, into FOLDER (a temporary one if it is not given; 1.5 GB are needed), and reads
each with a warm cache, then with a cold one. It needs torch; catalog itself does not.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

TENSORS = 250
CASES = (("2 MB", 2_000_000, False), ("200 MB", 200_000_000, False), ("1 GB", 1_000_000_000, False),
         ("200 MB, Adam", 200_000_000, True))  # fmt: skip


_ROW = "{:>14} {:>9} {:>11} {:>10} {:>6} {:>6} {:>9} {:>8}"


def main() -> None:
    """Print the table."""
    if importlib.util.find_spec("torch") is None:
        sys.exit("This benchmark compares with torch, which is not installed: pip install torch")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        _print_in_process(folder)
        _print_processes(folder)


def _print_in_process(folder: Path) -> None:
    import torch

    print(f"torch {torch.__version__}, Python {sys.version.split()[0]}; medians")
    print(_ROW.format("file", "ours", "meta, mmap", "full", "times", "faster", "read", "of file"))
    for name, size, adam in CASES:
        path = folder / f"{size}{'-adam' if adam else ''}.ckpt"
        torch.save(_checkpoint(torch, size, adam=adam), path)
        load = partial(torch.load, path, weights_only=False)
        meta = partial(load, map_location="meta", mmap=True)
        calls = ((partial(catalog.inspect, path), 40), (meta, 20), (load, 5))
        read = catalog.inspect(path).checkpoint.bytes_read
        share = f"{read / path.stat().st_size:.4%}"
        _print_row(name, [_median(call, times) for call, times in calls], read, share)
        cold = [_median(call, 5, partial(_forget, path)) for call, _ in calls]
        _print_row("not cached", cold, read, share)


def _print_row(name: str, seconds: list[float], read: int, share: str) -> None:
    ours, *others = seconds
    cells = [f"{one * 1e3:.2f} ms" for one in seconds] + [f"{one / ours:.1f}" for one in others]
    print(_ROW.format(name, *cells, f"{read / 1e3:.1f} kB", share))


def _forget(path: Path) -> None:
    """Take a file out of the system's cache."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _print_processes(folder: Path) -> None:
    """Print what a user waits for who asks once: a new process, imports included."""
    name, size, _ = CASES[1]
    path = str(folder / f"{size}.ckpt")
    load = "import sys, torch; torch.load(sys.argv[1], map_location='meta', mmap=True)"
    commands = {
        "catalog inspect": ["-m", "catalog", "inspect", path],
        "import torch; torch.load(meta, mmap)": ["-c", load, path],
    }
    print(f"\na new process, {name}:")
    for title, arguments in commands.items():
        command = [sys.executable, *arguments]
        seconds = _median(
            partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL), 5
        )
        print(f"  {seconds:5.2f} s  {title}")


def _median(
    call: Callable[[], object], times: int, before: Callable[[], None] = lambda: None
) -> float:
    call()
    taken = []
    for _ in range(times):
        before()
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _checkpoint(torch: Any, size: int, *, adam: bool) -> dict[str, Any]:
    """Return what Lightning would save of a model whose file has about `size` bytes."""
    rows = size // 4 // TENSORS // (3 if adam else 1) // 64
    kinds = ("attention.query.weight", "attention.key.weight", "attention.value.weight",
             "feed_forward.weight", "norm.weight")  # fmt: skip
    weights = OrderedDict(
        (f"model.encoder.layer.{number // 5}.{kinds[number % 5]}", torch.rand(rows, 64))
        for number in range(TENSORS)
    )
    state = {
        number: {
            "step": torch.tensor(400.0),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
        for number, weight in enumerate(weights.values())
    }
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "params": list(range(TENSORS))}
    score = torch.tensor(0.9520716)
    return {
        "epoch": 3,
        "global_step": 400,
        "pytorch-lightning_version": "2.5.5",
        "state_dict": weights,
        "loops": {},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'val/hmean', 'mode': 'max', 'every_n_train_steps': 0}": {
                "monitor": "val/hmean",
                "best_model_score": score,
                "best_model_path": "checkpoints/best.ckpt",
                "current_score": score,
                "dirpath": "checkpoints",
                "best_k_models": {"checkpoints/best.ckpt": score},
                "kth_best_model_path": "checkpoints/best.ckpt",
                "kth_value": score,
                "last_model_path": "",
            }
        },
        "optimizer_states": [{"state": state if adam else {}, "param_groups": [group]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-3, "model": {"hidden": 64, "layers": 50}},
    }


if __name__ == "__main__":
    main()
