from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from catalog import Catalog
from catalog.schema.location import locate
from catalog.schema.upgrade import open_for_writing
from tests.support.postgresql import Cluster

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"

# A change is judged by the same examples each time; `make fuzz` looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("fresh", derandomize=False, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _no_database_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOG_DB", raising=False)
    monkeypatch.delenv("CATALOG_HOST", raising=False)


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
def ocr_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project with the times it had. Not to be written to: see `project`."""
    spec = importlib.util.spec_from_file_location("restore_times", EXAMPLES / "restore_times.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    target = tmp_path_factory.mktemp("example") / "ocr-project"
    module.restore(EXAMPLES / "ocr-project", EXAMPLES / "ocr-project.mtimes.csv", target)
    return target


@pytest.fixture(scope="session")
def _ocr_ingested(tmp_path_factory: pytest.TempPathFactory, ocr_project: Path) -> Path:
    path = tmp_path_factory.mktemp("ingested") / "catalog.db"
    Catalog(path).ingest([ocr_project])
    return path


@pytest.fixture
def ocr_db(tmp_path: Path, _ocr_ingested: Path) -> Path:
    """A copy of the catalog that ingesting `ocr_project` gives."""
    return Path(shutil.copy(_ocr_ingested, tmp_path / "ocr.db"))


@pytest.fixture
def project(tmp_path: Path, ocr_project: Path) -> Path:
    """A copy of the example project, times and all, for tests that write into it."""
    return Path(shutil.copytree(ocr_project, tmp_path / "project", symlinks=True))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real trees that lie outside the repository."""
    path = Path(os.environ.get("CATALOG_SHARED", REPOSITORY.parent / "shared"))
    if not (path / "corpus").is_dir():
        pytest.skip(f"no real trees at {path} (set CATALOG_SHARED to where they are)")
    return path


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(tmp_path_factory.mktemp("postgresql"))


@pytest.fixture(scope="session")
def _prepared_postgresql(_cluster: Cluster) -> str:
    url = _cluster.new_database()
    open_for_writing(locate(url)).dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each database that catalog claims: a new file, then a PostgreSQL server's without rows."""
    if request.param == "sqlite":
        return str(tmp_path / "either.db")
    cluster: Cluster = request.getfixturevalue("_cluster")
    return cluster.new_database(copy_of=request.getfixturevalue("_prepared_postgresql"))


@pytest.fixture(scope="session")
def _ocr_postgresql(_cluster: Cluster, ocr_project: Path) -> str:
    url = _cluster.new_database()
    Catalog(url).ingest([ocr_project])
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def ocr_database(request: pytest.FixtureRequest) -> str:
    """A copy of the catalog that ingesting `ocr_project` gives, in each database."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("ocr_db"))
    cluster: Cluster = request.getfixturevalue("_cluster")
    return cluster.new_database(copy_of=request.getfixturevalue("_ocr_postgresql"))
