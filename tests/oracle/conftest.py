from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle.libraries import library
from tests.oracle.specimen import Specimen, read_manifest

HERE = Path(__file__).resolve().parent


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
    subprocess.run([sys.executable, "-m", "tests.oracle.zoo", str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def zoo(zoo_folder: Path) -> tuple[Specimen, ...]:
    """What is in the zoo; `specimen.path` is relative to `zoo_folder`."""
    return read_manifest(zoo_folder)
