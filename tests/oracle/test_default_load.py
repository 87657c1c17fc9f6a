from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from catalog.query.inspect import inspect
from catalog.sources.checkpoint.torch_rules import rules
from catalog.sources.facts import DefaultLoad

torch: Any = pytest.importorskip("torch")
pytest.importorskip("numpy")


class Case(NamedTuple):
    path: Path
    ours: DefaultLoad
    torch: str
    """What torch says, nothing where it loads."""


_KNOWN = {
    "legacy-nested-tensor.pt": "torch takes its sizes from memory that it has not yet filled",
    "crafted-proto-9.pt": "no pickle protocol; only the weights-only unpickler does not mind",
}


def _answers(files: list[tuple[Path, str]]) -> list[str]:
    """Return what torch says of each file, after a remedy that goes with it."""
    lines = "".join(json.dumps([str(path), remedy]) + "\n" for path, remedy in files)
    command = [sys.executable, "-m", "tests.oracle.default_load_child"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    answers: list[str] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(files)
    return answers


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    from tests.oracle import default_load_zoo

    folder = tmp_path_factory.mktemp("loads")
    paths = list(default_load_zoo.make(folder))
    answers = _answers([(path, "") for path in paths])
    ours = [inspect(path).checkpoint.default_load for path in paths]
    assert None not in ours
    return [Case(*case) for case in zip(paths, ours, answers, strict=True)]  # type: ignore[arg-type]


def test_the_verdicts_speak_of_the_torch_that_is_installed() -> None:
    assert torch.__version__.startswith(rules().version + ".")


def test_the_allowed_names_are_those_of_the_installed_torch() -> None:
    own = torch._weights_only_unpickler
    names = {*own._get_allowed_globals(), *own._get_user_allowed_globals()}
    assert rules().allowed == names


def test_the_verdict_is_what_torch_load_does(cases: list[Case]) -> None:
    wrong = {
        case.path.name: f"{case.path.name}: we say {case.ours}; torch says {case.torch or 'yes'}"
        for case in cases
        if case.ours.accepted != ("no" if case.torch else "yes")
    }
    assert not wrong.keys() - _KNOWN.keys(), "\n".join(wrong.values())
    assert len(cases) >= 500
    assert {"yes", "no"} <= {case.ours.accepted for case in cases}


def test_a_remedy_that_names_classes_makes_torch_load_the_file(cases: list[Case]) -> None:
    # Names that are not there, or that only the writer's own script has, cannot be allowed here.
    with_line = [
        case
        for case in cases
        if (case.ours.remedy or "").startswith(("import ", "from ", "torch.serialization."))
        and "__main__" not in (case.ours.remedy or "")
        and not case.path.name.startswith("mutated-")
    ]
    answers = _answers([(case.path, case.ours.remedy or "") for case in with_line])
    wrong = [
        f"{case.path.name}: {case.ours.remedy}: {answer}"
        for case, answer in zip(with_line, answers, strict=True)
        if answer
    ]
    assert not wrong, "\n".join(wrong)
    assert len(with_line) >= 40
