"""Writes the part of the zoo that is kept in `tests/files/zoo`, which needs no library to check.

python -m tests.oracle.zoo /tmp/zoo
python -m tests.oracle.verdicts /tmp/zoo /tmp/verdicts.json
python -m tests.oracle.kept /tmp/zoo /tmp/verdicts.json
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from tests.oracle.specimen import read_manifest

KEPT: Final = Path(__file__).resolve().parents[1] / "files" / "zoo"
_CHOSEN: Final = (
    ("torch-zip", "whole", "state dict"),
    ("torch-zip", "whole", "state dict, a number differs"),
    ("torch-zip", "whole", "state dict under a key"),
    ("torch-zip", "whole", "quantized"),
    ("torch-zip", "whole", "quantized, another scale"),
    ("torch-zip", "whole", "quantized by channel"),
    ("torch-zip", "whole", "quantized by channel, one scale differs"),
    ("torch-zip", "whole", "subclass"),
    ("torch-zip", "whole", "another subclass"),
    ("torch-zip", "whole", "subclass with a scale"),
    ("torch-zip", "whole", "subclass with another scale"),
    ("torch-zip", "whole", "two models"),
    ("torch-zip", "whole", "two models, the second differs"),
    ("torch-zip", "whole", "numpy beside tensors"),
    ("torch-zip", "whole", "numpy beside tensors, numbers differ"),
    ("torch-zip", "whole", "placeholders beside a tensor"),
    ("torch-zip", "whole", "sparse, places differ"),
    ("torch-zip", "whole", "sparse"),
    ("torch-zip", "whole", "nested tensor"),
    ("torch-zip", "whole", "nested tensor, split elsewhere"),
    ("torch-zip", "whole", "distributed"),
    ("torch-zip", "whole", "distributed, placed otherwise"),
    ("torch-zip", "cut in the middle", ""),
    ("torch-zip", "part missing", "without /data/0"),
    ("torch-zip", "wrong type", "optimizer under a key"),
    ("torch-zip", "wrong type", "a vocabulary"),
    ("torch-zip", "wrong type", "no bytes"),
    ("torch-zip", "wrong type", "a Git LFS pointer"),
    ("torch-zip", "other writer", "no sums"),
    ("torch-zip", "other writer", "no sums, a number differs"),
    ("torch-zip", "other writer", "big end first"),
    ("torch-zip", "other writer", "protocol 5"),
    ("torch-legacy", "whole", "state dict"),
    ("torch-legacy", "cut by a byte", ""),
    ("torch-export", "part missing", "without /data/weights/weight_0"),
    ("safetensors", "whole", ""),
    ("safetensors", "cut by a byte", ""),
    ("safetensors", "part missing", "a gap between tensors"),
    ("safetensors", "part missing", "tensors overlap"),
    ("safetensors", "part missing", "bytes behind the last tensor"),
    ("safetensors", "wrong type", "metadata is a number"),
    ("safetensors", "wrong type", "shape against bytes"),
    ("safetensors", "wrong type", "an unknown dtype"),
    ("safetensors", "wrong type", "one name twice"),
    ("safetensors", "other writer", "names in another order than the data"),
    ("hf-folder", "whole", ""),
    ("hf-folder", "part missing", "all tensors are empty"),
    ("hf-shards", "part missing", "the index names a shard that is not there"),
    ("peft-adapter", "whole", ""),
    ("keras-h5", "cut in the middle", ""),
    ("hdf5", "whole", ""),
    ("onnx", "whole", ""),
    ("onnx", "cut by a byte", ""),
    ("onnx-external", "part missing", "without the data file"),
    ("gguf", "whole", ""),
    ("gguf", "cut in the middle", ""),
    ("nemo", "part missing", "without model_weights.ckpt"),
    ("stable-baselines3", "whole", ""),
    ("stable-baselines3", "part missing", "without policy.pth"),
    ("deepspeed-zero3", "whole", ""),
    (
        "deepspeed-zero3",
        "part missing",
        "without checkpoint/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt",
    ),
    ("torch-distributed", "whole", ""),
    ("torch-distributed", "part missing", "without .metadata"),
    ("orbax", "part missing", "an unfinished save"),
)


def main(zoo: Path, verdicts: dict[str, Any]) -> None:
    """Copy the chosen specimens and write what the libraries say of them."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    named = {(one.format, one.damage, one.note): one for one in reversed(read_manifest(zoo))}
    table = []
    for number, cell in enumerate(_CHOSEN):
        one = named[cell]
        place = f"{number:02}-{one.format}"
        shutil.copytree((zoo / one.path).parent, KEPT / place)
        verdict = verdicts[one.path]
        weights = json.dumps(sorted((verdict.get("weights") or {}).items())).encode()
        row = {
            "path": f"{place}/{Path(one.path).name}",
            "what": ": ".join(part for part in (one.damage, one.note) if part),
            "judge": one.judge,
            "accepted": verdict["accepted"] and one.is_model,
            "weights": hashlib.sha256(weights).hexdigest()[:12] if verdict["accepted"] else None,
        }
        table.append(row)
    for path in KEPT.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    lines = ",\n".join(json.dumps(row) for row in table)
    (KEPT / "verdicts.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
