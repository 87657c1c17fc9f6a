"""Makes the zoo: `python -m tests.oracle.zoo FOLDER [FLIPS]`.

The same bytes come each time, as far as the libraries give the same; FLIPS is how many bits are
flipped in the structure of each format, each in a file of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

from tests.oracle.damage import Zoo

FLIPS = 6


def make(folder: Path, flips: int = FLIPS) -> None:
    """Make the zoo in an empty folder."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    warnings.simplefilter("ignore")
    from tests.oracle import file_zoo, folder_zoo, keras_zoo, sharded_zoo, tensor_zoo, torch_zoo

    zoo = Zoo(folder, flips)
    torch_zoo.fill_zip(zoo)
    torch_zoo.fill_legacy(zoo)
    torch_zoo.fill_programs(zoo)
    tensor_zoo.fill_safetensors(zoo)
    keras_zoo.fill_keras(zoo)
    keras_zoo.fill_hdf5(zoo)
    file_zoo.fill_onnx(zoo)
    tensor_zoo.fill_gguf(zoo)
    file_zoo.fill_archives(zoo)
    with tempfile.TemporaryDirectory() as made:
        for fill in (
            folder_zoo.fill_huggingface,
            folder_zoo.fill_trainer,
            folder_zoo.fill_peft,
            folder_zoo.fill_pipeline,
            sharded_zoo.fill_deepspeed,
            sharded_zoo.fill_distributed,
            sharded_zoo.fill_orbax,
        ):
            fill(zoo, Path(made))
    for kind in ("tensorflow-savedmodel", "tensorflow-checkpoint"):
        zoo.empty(
            kind, "all", "tensorflow takes 600 MB and does not install beside these libraries"
        )
    zoo.empty(
        "flax-msgpack", "all", "flax takes its weights from a tree that the program has to give"
    )
    zoo.finish()


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else FLIPS)
