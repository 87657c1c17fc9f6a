"""Every command of README.md does what is said of it there, on the example project."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from catalog import Catalog
from catalog.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
FOLDER = "ocr_training-2d_256_ocr_pan_decoder_resnet18_33-unknown_training_20251018_023219"
NAMES = {
    # What stands for files of one's own.
    "best.ckpt": f"outputs/{FOLDER}/checkpoints/best.ckpt",
    "last.ckpt": f"outputs/{FOLDER}/checkpoints/last.ckpt",
    "examples/claim.yaml": str(REPOSITORY / "examples" / "claim.yaml"),
}


def commands() -> Iterator[str]:
    for line in re.findall(r"(?m)^\$ (catalog .*)$", README):
        yield line.split("  #")[0].split(" # ")[0].strip()


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Return each command that has an output below it, with the lines of that."""
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        command = ""
        output: list[str] = []
        for line in [*block.splitlines(), "$ "]:
            if line.startswith("$ "):
                if command and output:
                    yield command, output
                command, output = line[2:], []
            elif line:
                output.append(line)


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example project as the working directory, and as `~/experiments`."""
    home = project.parent / "home"
    (home / "experiments" / "old").mkdir(parents=True)
    shown = next((project / "outputs").glob("ocr_training-*_33-unknown_training_20251018_023219"))
    if shown.name != FOLDER:
        for name in ("best.ckpt", "last.ckpt"):
            monkeypatch.setitem(NAMES, name, f"outputs/{shown.name}/checkpoints/{name}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CATALOG_DB", str(project.parent / "catalog.db"))
    monkeypatch.chdir(project)
    return project


def run(command: str) -> tuple[int, str, str]:
    arguments = [NAMES.get(word, word) for word in shlex.split(command)[1:]]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_every_command_of_the_readme_can_be_run(here: Path) -> None:
    Catalog(here.parent / "catalog.db").ingest([here])
    tried = list(commands())
    assert len(tried) >= 15
    for command in tried:
        if command.startswith(("catalog ingest", "catalog forget")):
            command = command.replace("~/experiments/old", str(here)).replace(
                "~/experiments", str(here)
            )
            if "forget" in command:
                command += " --dry-run"
        code, _, errors = run(command)
        assert code == 0, f"{command}: {errors}"


def test_what_an_ingest_says_is_what_the_readme_shows(here: Path) -> None:
    ((command, output),) = [one for one in blocks() if one[0].startswith("catalog ingest")]
    code, shown, _ = run(command.replace("~/experiments", str(here)))
    assert code == 0
    without_times = [re.sub(r"in [\d.]+ s", "in X s", line) for line in shown.splitlines()]
    assert without_times == [re.sub(r"in [\d.]+ s", "in X s", line) for line in output]


def test_the_trace_of_the_readme_is_one(here: Path) -> None:
    Catalog(here.parent / "catalog.db").ingest([here])
    (block,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    _, shown, _ = run("catalog trace best.ckpt")
    lines = [re.sub(r"\s+", " ", line) for line in shown.splitlines()]
    for line in block.splitlines():
        parts = [re.sub(r"\s+", " ", part) for part in line.split("…")]
        if "".join(parts).strip("└─ "):
            pattern = ".*".join(map(re.escape, parts))
            assert any(re.fullmatch(pattern, found) for found in lines), line


def test_the_python_of_the_readme_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(here.parent)
    exec(code.replace('"experiments"', repr(str(here))), {})


def test_what_the_readme_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target
    makefile = (REPOSITORY / "Makefile").read_text()
    for goal in re.findall(r"(?m)^\$ make ([a-z]+)", README):
        assert re.search(rf"(?m)^{goal}:", makefile), goal
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"\.\[([a-z]+)\]", README):
        assert extra in declared["optional-dependencies"]
