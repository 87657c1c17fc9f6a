from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from catalog.schema.location import locate
from catalog.schema.upgrade import open_for_writing

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _no_database_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOG_DB", raising=False)


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "catalog.db"
    open_for_writing(locate(path)).dispose()
    return path


@pytest.fixture
def empty_db(tmp_path: Path, _prepared: Path) -> Path:
    """A catalog at the newest schema with no rows: a copy, so that no test pays for an upgrade."""
    return Path(shutil.copy(_prepared, tmp_path / "catalog.db"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real trees that lie outside the repository."""
    path = Path(os.environ.get("CATALOG_SHARED", REPOSITORY.parent / "shared"))
    if not (path / "corpus").is_dir():
        pytest.skip(f"no real trees at {path} (set CATALOG_SHARED to where they are)")
    return path
