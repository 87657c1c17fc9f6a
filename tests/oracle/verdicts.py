"""The libraries' own verdicts: `python -m tests.oracle.verdicts ZOO RESULT [--default]`.

Each file is loaded in a child of its own, with limits on time and memory and a folder of its own:
loading without `weights_only` runs what a pickle says. All files are the zoo's own. A judge returns
what it loaded, tensor by tensor, and raises where the library refuses or leaves parts out.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import resource
import signal
import sys
import tarfile
import tempfile
import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.oracle.specimen import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS: Final = 60
_BYTES: Final = 12 << 30
"""Address space: torch alone maps some gigabytes."""


class RefusedError(Exception):
    """A library loads it, and leaves out or makes up parts of the model."""


def torch(path: Path) -> dict[str, str]:
    """Judge by `torch.load` without `weights_only`."""
    import torch

    from tests.oracle.contents import digests

    return digests(torch.load(path, map_location="cpu", weights_only=False))


def default_load(path: Path) -> None:
    """Load as `torch.load(path)` does since 2.6."""
    import torch

    torch.load(path)


def pickled(path: Path) -> dict[str, str]:
    """Judge by Python's `pickle`."""
    from tests.oracle.contents import digests

    with path.open("rb") as stream:
        return digests(pickle.load(stream))


def torchscript(path: Path) -> dict[str, str]:
    """Judge by `torch.jit.load`."""
    import torch

    from tests.oracle.contents import digests

    return digests(dict(torch.jit.load(path, map_location="cpu").state_dict()))


def exported(path: Path) -> dict[str, str]:
    """Judge by `torch.export.load`."""
    import torch

    from tests.oracle.contents import digests

    return digests(dict(torch.export.load(path).state_dict))


def safetensors(path: Path) -> dict[str, str]:
    """Judge by `safetensors.safe_open`, every tensor of it."""
    from safetensors import safe_open

    from tests.oracle.contents import digests

    with safe_open(path, "pt") as opened:
        return digests({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118


def hdf5(path: Path) -> dict[str, str]:
    """Judge by h5py: every group, attribute and number."""
    import h5py

    from tests.oracle.contents import digests

    found: dict[str, Any] = {}

    def visit(name: str, node: Any) -> None:
        dict(node.attrs)
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    with h5py.File(path, "r") as opened:
        dict(opened.attrs)
        opened.visititems(visit)
    return digests(found)


def keras_model(path: Path) -> dict[str, str]:
    """Judge by `keras.saving.load_model`."""
    import keras

    return _of_keras(keras.saving.load_model(path, compile=False))


def keras_weights(path: Path) -> dict[str, str]:
    """Judge by `load_weights` into the model that they are of."""
    from tests.oracle.keras_zoo import keras_model as model

    made = model(9)
    made.load_weights(path)
    return _of_keras(made)


def _of_keras(model: Any) -> dict[str, str]:
    from tests.oracle.contents import digests

    return digests(
        {
            f"{n} {w.path}": value
            for n, (w, value) in enumerate(zip(model.weights, model.get_weights(), strict=True))
        }
    )


def onnx(path: Path) -> dict[str, str]:
    """Judge by `onnx.load` with external data, and its checker."""
    import onnx

    from tests.oracle.contents import digests

    model = onnx.load(str(path))
    onnx.checker.check_model(str(path))
    return digests({one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer})


def gguf(path: Path) -> dict[str, str]:
    """Judge by GGUFReader."""
    import gguf

    from tests.oracle.contents import digests

    reader = gguf.GGUFReader(path)
    return digests({one.name: one.data for one in reader.tensors})


def npz(path: Path) -> dict[str, str]:
    """Judge by `numpy.load`, every array."""
    import numpy as np

    from tests.oracle.contents import digests

    with np.load(path) as opened:
        return digests({name: opened[name] for name in opened.files})


def transformers(path: Path) -> dict[str, str]:
    """Judge by `AutoModel.from_pretrained`; weights that it makes up are missing."""
    from transformers import AutoModelForMaskedLM

    from tests.oracle.contents import digests

    model, told = AutoModelForMaskedLM.from_pretrained(path, output_loading_info=True)
    for key in ("missing_keys", "mismatched_keys", "error_msgs"):
        if told.get(key):
            raise RefusedError(f"{key}: {sorted(map(str, told[key]))[:3]}")
    return digests(dict(model.state_dict()))


def peft(path: Path) -> dict[str, str]:
    """Judge by `PeftModel.from_pretrained` on the base that the adapter is of."""
    from peft import PeftModel, get_peft_model_state_dict

    from tests.oracle.contents import digests
    from tests.oracle.folder_zoo import bert

    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    model = PeftModel.from_pretrained(bert(), path)
    return digests(get_peft_model_state_dict(model))


def diffusers(path: Path) -> dict[str, str]:
    """Judge by `DiffusionPipeline.from_pretrained`."""
    from diffusers import DiffusionPipeline

    from tests.oracle.contents import digests

    pipeline = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    return digests(
        {
            name: dict(one.state_dict())
            for name, one in pipeline.components.items()
            if hasattr(one, "state_dict")
        }
    )


def deepspeed(path: Path) -> dict[str, str]:
    """Judge by DeepSpeed's `zero_to_fp32.py`, and by the files that its engine asks for.

    Lightning's folders are merged by the same function with the tag `checkpoint`. At stage 3 the
    engine loads the model states of each rank (`engine.py`, `_get_zero_ckpt_name`), where the
    script reads those that it finds.
    """
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    from tests.oracle.contents import digests

    is_tag = any(path.glob("*_states.pt"))
    root = path.parent if is_tag else path
    latest = path / "latest"
    (only,) = [path] if is_tag else {file.parent for file in path.glob("*/*_states.pt")}
    # Without `latest` a person has to name the tag (`--tag`), and there is only one.
    tag = latest.read_text().strip() if not is_tag and latest.exists() else only.name
    merged = dict(get_fp32_state_dict_from_zero_checkpoint(str(root), tag))
    shards = list((root / tag).glob("zero_pp_rank_*_model_states.pt"))
    if shards and len(shards) != len(list((root / tag).glob("*_optim_states.pt"))):
        raise RefusedError(f"{len(shards)} model states: the engine loads those of each rank")
    return digests(merged)


def distributed(path: Path) -> dict[str, str]:
    """Judge by `torch.distributed.checkpoint`, all of it into one process."""
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "merged.pt")
        dcp_to_torch_save(path, target)
        return torch(target)


def fsdp_trainer(path: Path) -> dict[str, str]:
    """Judge a Trainer's folder by the weights that `accelerate merge-weights` merges."""
    return distributed(path / "pytorch_model_fsdp_0")


def orbax(path: Path) -> dict[str, str]:
    """Judge by Orbax's StandardCheckpointer, or its item `default` where a manager wrote it."""
    import jax
    import numpy as np
    import orbax.checkpoint as ocp

    from tests.oracle.contents import digests

    item = path / "default" if (path / "default").is_dir() else path
    loaded = ocp.StandardCheckpointer().restore(item.resolve())
    leaves = jax.tree_util.tree_flatten_with_path(loaded)[0]
    return digests({jax.tree_util.keystr(place): np.asarray(leaf) for place, leaf in leaves})


def nemo(path: Path) -> dict[str, str]:
    """Judge as NeMo's `SaveRestoreConnector` does: unpack, read the config, load the weights."""
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        if not yaml.safe_load(Path(folder, "model_config.yaml").read_text()):
            raise RefusedError("no config")
        return torch(Path(folder, "model_weights.ckpt"))


def stable_baselines(path: Path) -> dict[str, str]:
    """Judge as Stable-Baselines3's `load_from_zip_file` does: the JSON, then each `.pth`."""
    import io

    import torch

    from tests.oracle.contents import digests

    loaded = {}
    with zipfile.ZipFile(path) as archive:
        json.loads(archive.read("data").decode())
        for name in archive.namelist():
            if name.endswith(".pth") and name != "pytorch_variables.pth":
                loaded[name] = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    # `set_parameters(..., exact_match=True)`: the policy, and the optimizers of the algorithm.
    if "policy.pth" not in loaded or not any(name.endswith("optimizer.pth") for name in loaded):
        raise RefusedError("no policy, or no optimizer of it")
    return digests({"policy": loaded["policy.pth"]})


_MODULES: Final = (
    "torch", "numpy", "h5py", "onnx", "safetensors", "transformers", "keras", "torch.export",
    "torch.distributed.checkpoint", "diffusers", "peft", "gguf", "deepspeed.utils.zero_to_fp32",
    "tests.oracle.contents", "tests.oracle.models",
)  # fmt: skip
"""Imported once: each child is a fork. Orbax is not, since its threads do not outlive one."""
LOADED_BY_TORCH: Final = ("torch", "torchscript", "exported", "pickled")


def main(zoo: Path, result: Path, *, only_default: bool) -> None:
    """Judge every specimen and write the verdicts, by path.

    Args:
        zoo: the folder of specimens.
        result: the file to write.
        only_default: ask only whether `torch.load(file)` accepts it, after importing torch and
            nothing else: other libraries allow classes of theirs as they are imported.
    """
    warnings.simplefilter("ignore")
    os.environ.update(
        {
            "KERAS_BACKEND": "torch",
            "JAX_PLATFORMS": "cpu",
            "HF_HUB_OFFLINE": "1",
            "TQDM_DISABLE": "1",
        }
    )
    for name in ("torch",) if only_default else _MODULES:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    found = {}
    for specimen in read_manifest(zoo):
        path = zoo / specimen.path
        if not only_default:
            found[specimen.path] = _in_child(partial(globals()[specimen.judge], path))
        elif path.is_file() and specimen.judge in LOADED_BY_TORCH:
            found[specimen.path] = _in_child(partial(default_load, path))
    result.write_text(json.dumps(found, indent=1))


def _in_child(judge: Callable[[], dict[str, str] | None]) -> dict[str, Any]:
    """Return {accepted, reason, weights} of a judge that runs in a child with limits."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _judge_here(judge, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        return {"accepted": False, "reason": f"the library crashed or ran out of time ({status})"}
    outcome: dict[str, Any] = json.loads(answer)
    return outcome


def _judge_here(judge: Callable[[], dict[str, str] | None], writing: int) -> None:
    signal.alarm(_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            outcome: dict[str, Any] = {"accepted": True, "weights": judge()}
        except BaseException as error:  # noqa: BLE001  whatever a library raises is its verdict
            reason = f"{type(error).__name__}: {str(error).strip()[:1000]}"
            outcome = {"accepted": False, "reason": " ".join(reason.split())}
        os.chdir("/")
    with os.fdopen(writing, "wb") as stream:
        stream.write(json.dumps(outcome).encode())
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), only_default="--default" in sys.argv)
