"""Makes the zoo: `python -m tests.oracle.zoo FOLDER [FLIPS]`.

The same bytes come each time, as far as the libraries give the same; FLIPS is how many bits are
flipped in the structure of each format, each in a file of its own.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from tests.oracle.damage import Zoo

FLIPS = 6


def make(folder: Path, flips: int = FLIPS) -> None:
    """Make the zoo in an empty folder."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    warnings.simplefilter("ignore")
    from tests.oracle import file_zoo, folder_zoo, torch_zoo

    zoo = Zoo(folder, flips)
    torch_zoo.fill_zip(zoo)
    torch_zoo.fill_legacy(zoo)
    torch_zoo.fill_programs(zoo)
    file_zoo.fill(zoo)
    folder_zoo.fill(zoo)
    for format in ("tensorflow-savedmodel", "tensorflow-checkpoint"):
        zoo.empty(
            format, "all", "tensorflow takes 600 MB and does not install beside these libraries"
        )
    zoo.empty(
        "flax-msgpack", "all", "flax takes its weights from a tree that the program has to give"
    )
    zoo.finish()


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else FLIPS)
