"""Make `catalog/sources/checkpoint/torch_rules.json`: what `torch.load` allows by default.

    python tools/torch_rules.py WHEEL...

Run it under the torch whose verdict the catalog gives: that one is asked itself. Of every other
version a wheel is given (`pip download --no-deps --only-binary=:all: --platform
macosx_11_0_arm64 --python-version 3.11 torch==2.6.0`); its names are derived from its sources,
none of which is run. A derivation from the sources of the running torch must give what that torch
says, else nothing is written.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import sys
import zipfile
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "catalog/sources/checkpoint/torch_rules.json"
DEFAULT_SINCE = "2.6"
SOURCE = "torch/_weights_only_unpickler.py"
SOURCES = (
    SOURCE,
    "torch/_utils.py",
    "torch/storage.py",
    "torch/__init__.py",
    "torch/cuda/__init__.py",
    "torch/nested/__init__.py",
    "torch/distributed/device_mesh.py",
)
ALIASES = {
    "double": "float64", "float": "float32", "half": "float16", "long": "int64", "int": "int32",
    "cdouble": "complex128", "cfloat": "complex64",
}  # fmt: skip
ADDED = {
    "_NestedTensor": "torch.nested._internal.nested_tensor.NestedTensor",
    "_rebuild_njt": "torch.nested._internal.nested_tensor._rebuild_njt",
    "_FlatLayout": "torch.distributed._mesh_layout._FlatLayout",
    "_MeshLayout": "torch.distributed._mesh_layout._MeshLayout",
}
"""What `import torch` itself gives to `add_safe_globals`, by the names in its sources."""


def part(text: str, begin: str, end: str) -> str:
    """Return what is between two texts, nothing where the first is missing."""
    _, _, rest = text.partition(begin)
    return rest.partition(end)[0]


def derived(files: dict[str, str], tensor_classes: set[str]) -> set[str]:
    """Return the allowed names of a version by its sources.

    Args:
        files: text by path.
        tensor_classes: names that its compiled part makes; no source tells them.
    """
    rules = files[SOURCE]
    allowed = part(rules, "def _get_allowed_globals():", "\ndef ")
    names = set(re.findall(r'^        "([\w.]+)": ', allowed, re.MULTILINE))
    names |= set(re.findall(r'rc\["([\w.]+)"\]', allowed))
    names |= {f"torch.{name}" for name in re.findall(r"\btorch\.(per_\w+)", allowed)}
    storage = files["torch/storage.py"]
    dtypes = re.findall(r"torch\.(\w+)", part(storage, "def _new_dtypes():", "\n    }"))
    mapped = part(storage, "def _dtype_to_storage_type_map():", "\n    }")
    dtypes += re.findall(r"torch\.(\w+): ", mapped)
    for stem in re.findall(r'getattr\(torch, f"(\w+)\{x\}"\) for x in range\(1, 8\)', allowed):
        dtypes += [f"{stem}{bits}" for bits in range(1, 8)]
    names |= {f"torch.{ALIASES.get(name, name)}" for name in dtypes}
    classes = re.findall(r"\w+", part(files["torch/__init__.py"], "\n_storage_classes", "\n}"))
    for name in {name for name in classes if name.endswith("Storage")}:
        own = "torch.storage" if name in ("TypedStorage", "UntypedStorage") else "torch"
        names.add(f"{own}.{name}")
    added = re.findall(r"_storage_classes\.add\((\w+)\)", files["torch/cuda/__init__.py"])
    names |= {f"torch.cuda.{name}" for name in added}
    rebuild = part(rules, "def _tensor_rebuild_functions():", "\n    }")
    names |= {f"torch._utils.{name}" for name in re.findall(r"torch\._utils\.(\w+),", rebuild)}
    for path in ("torch/nested/__init__.py", "torch/distributed/device_mesh.py"):
        for given in re.findall(r"add_safe_globals\(\[([\w, ]+)\]", files[path]):
            names |= {ADDED[name.strip()] for name in given.split(",")}
    return names | tensor_classes


def mapping(text: str, name: str) -> dict[object, object]:
    """Return a dictionary that a source states."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            found: dict[object, object] = ast.literal_eval(node.value)
            return found
    raise SystemExit(f"The sources have no {name}.")


def by_import(rules: str) -> dict[str, list[str]]:
    """Return the names that torch allows once a module is imported, as its messages tell them."""
    names = re.findall(r'^ {24}"(torch\.[\w.]+)",$', rules, re.MULTILINE)
    return {
        "torch._dynamo": [name for name in names if name.startswith("torch._dynamo.")],
        "torch.distributed.tensor": [name for name in names if ".distributed." in name],
    }


def short(version: str) -> str:
    """Return `2.13` for `2.13.0+cpu`."""
    return ".".join(version.split(".")[:2])


def main(wheels: list[str]) -> None:
    """Ask the running torch, derive the others, and write the file."""
    import torch
    from torch import _weights_only_unpickler as rules

    own = set(rules._get_allowed_globals()) | set(rules._get_user_allowed_globals())
    tensor_classes = {f"{one.__module__}.{one.__name__}" for one in torch._tensor_classes}
    folder = Path(torch.__file__).parents[1]
    texts = {path: (folder / path).read_text() for path in SOURCES}
    if derived(texts, tensor_classes) != own:
        raise SystemExit(f"Other names by the sources: {derived(texts, tensor_classes) ^ own}")
    running = str(torch.__version__)
    versions = {short(running): (running, own, texts)}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            files = {path: archive.read(path).decode() for path in SOURCES}
        version = Path(wheel).name.split("-")[1]
        versions[short(version)] = (version, derived(files, tensor_classes), files)
    order = sorted(versions, key=lambda name: [int(number) for number in name.split(".")])
    since: dict[str, str] = {}
    for earlier, later in itertools.pairwise(order):
        if gone := versions[earlier][1] - versions[later][1]:
            raise SystemExit(f"torch {later} does not allow {gone} any more.")
    for name in reversed(order):
        since |= dict.fromkeys(versions[name][1], name)
    renamed = {
        " ".join(key) if isinstance(key, tuple) else key: list(value)
        if isinstance(value, tuple)
        else value
        for table in ("NAME_MAPPING", "IMPORT_MAPPING")
        for key, value in mapping(texts["torch/_utils.py"], table).items()
    }
    document = {
        "made by": "tools/torch_rules.py",
        "default_since": DEFAULT_SINCE,
        "judged": short(running),
        "versions": [
            {
                "version": name,
                "source": f"torch {versions[name][0]}, {SOURCE}",
                "verified": name == short(running),
            }
            for name in order
        ],
        "blocked": re.findall(r'"(\w+)"', part(texts[SOURCE], "_blocklisted_modules = [", "]")),
        "by_import": by_import(texts[SOURCE]),
        "renamed": dict(sorted(renamed.items())),
        "since": dict(sorted(since.items())),
    }
    OUTPUT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
