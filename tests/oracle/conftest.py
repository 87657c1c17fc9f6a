from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.comparison import Outcome, cases, compared, report
from tests.oracle.libraries import library
from tests.oracle.specimen import EmptyCell, Specimen, empty_cells, read_manifest

HERE = Path(__file__).resolve().parent
REPORT = HERE.parents[1] / "build" / "oracle.md"
LIBRARIES = (
    "torch", "numpy", "safetensors", "h5py", "keras", "onnx", "transformers", "peft", "diffusers",
    "deepspeed", "orbax-checkpoint", "gguf",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The libraries warn of their own ways; only catalog's warnings are errors, in the ordinary run.
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def zoo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo: made by `python -m tests.oracle.zoo FOLDER`, the same bytes each time."""
    library("torch")
    folder = tmp_path_factory.mktemp("zoo")
    flips = os.environ.get("ORACLE_FLIPS", "6")
    _run("tests.oracle.zoo", str(folder), flips)
    return folder


@pytest.fixture(scope="session")
def zoo(zoo_folder: Path) -> tuple[Specimen, ...]:
    """What is in the zoo; `specimen.path` is relative to `zoo_folder`."""
    return read_manifest(zoo_folder)


@pytest.fixture(scope="session")
def empty(zoo_folder: Path) -> tuple[EmptyCell, ...]:
    """The cells of the table that no specimen is in."""
    return empty_cells(zoo_folder)


@pytest.fixture(scope="session")
def verdicts(zoo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The libraries' verdicts, by path."""
    found = _answer("tests.oracle.verdicts", zoo_folder, tmp_path_factory)
    default = _answer("tests.oracle.verdicts", zoo_folder, tmp_path_factory, "--default")
    return {path: {**verdict, "default": default.get(path)} for path, verdict in found.items()}


@pytest.fixture(scope="session")
def outcome(
    zoo_folder: Path,
    zoo: tuple[Specimen, ...],
    empty: tuple[EmptyCell, ...],
    verdicts: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    """What came of the comparison; it is written to `build/oracle.md` as well."""
    ours = _answer("tests.oracle.ours", zoo_folder, tmp_path_factory)
    found = compared(cases(zoo_folder, zoo, verdicts, ours))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report(found, empty, _versions()))
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if REPORT.exists():
        terminalreporter.section("oracle")
        terminalreporter.write_line(REPORT.read_text())
        terminalreporter.write_line(f"This is in {REPORT} as well.")


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _answer(
    module: str, folder: Path, factory: pytest.TempPathFactory, *options: str
) -> dict[str, Any]:
    result = factory.mktemp("answer") / "answer.json"
    _run(module, str(folder), str(result), *options)
    answer: dict[str, Any] = json.loads(result.read_text())
    return answer


def _run(module: str, *arguments: str) -> None:
    """Run a module of this suite in a process of its own; its words are shown only if it fails."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments], capture_output=True, text=True
    )
    if done.returncode:
        pytest.fail(f"{module} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
