"""What is shipped: an installed wheel can make and fill a catalog, without the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from catalog.schema.version import REVISIONS
from catalog.schema.views import ORDER
from tests.conftest import REPOSITORY
from tests.support.trees import Training


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(REPOSITORY)).build(directory=str(folder), versions=["standard"])
    return Path(built)


def test_the_wheel_holds_revisions_views_and_queries(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        "catalog/py.typed",
        "catalog/migrations/env.py",
        *(f"catalog/migrations/versions/v{name.replace('.', '_')}.py" for name in REVISIONS),
        *(f"catalog/schema/views/{name}.sql" for name in ORDER),
        *(
            f"catalog/query/named/{path.name}"
            for path in (REPOSITORY / "catalog/query/named").glob("*.sql")
        ),
    }
    assert expected <= names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "migrations/"))]


def test_an_installed_wheel_makes_and_fills_a_catalog(wheel: Path, tmp_path: Path) -> None:
    site, tree, db = tmp_path / "site", tmp_path / "tree", tmp_path / "catalog.db"
    zipfile.ZipFile(wheel).extractall(site)
    Training().write(tree)
    code = (
        "import sys, catalog; assert catalog.__file__.startswith(sys.argv[1]), catalog.__file__; "
        "from catalog.schema.upgrade import migrations_directory as where; "
        "assert str(where()).startswith(sys.argv[1]), where(); "
        "c = catalog.Catalog(sys.argv[3]); c.ingest([sys.argv[2]]); c.upgrade(); "
        "print(c.query('checkpoint_trace').dicts()[0]['run'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site), str(tree), str(db)],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "a1b2c3d4"), done.stderr
