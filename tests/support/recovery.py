"""What tests of recovery share: a project with one unusable checkpoint, and a tree's state."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog import Catalog
from catalog.schema.location import locate
from catalog.schema.upgrade import open_for_writing
from catalog.settings import Settings
from tests.support.trees import Training

if TYPE_CHECKING:
    from catalog.recover.recovery import RecoveredFile

MODEL = {"name": "dbnet", "hidden": 8}


def project(root: Path, *trainings: Training) -> list[Path]:
    """Write trainings (one, if none is given) below `root` and return their checkpoints."""
    return [one.write(root) for one in trainings or (Training(),)]


def catalog_of(root: Path, **settings: Any) -> Catalog:
    """Return a catalog beside `root` that has ingested it."""
    db = root.parent / "catalog.db"
    if not db.exists():
        db.write_bytes(_empty())
    catalog = Catalog(db, Settings.of(settings))
    catalog.ingest([root])
    return catalog


@cache
def _empty() -> bytes:
    """Return an empty catalog, so that not every test pays for making its schema."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        open_for_writing(locate(path)).dispose()
        return path.read_bytes()


def state_of(catalog: Catalog, name: str = "") -> dict[str, Any]:
    """Return state, code and sentences of the one checkpoint whose path holds `name`."""
    (row,) = catalog.sql(
        "SELECT m.state, m.reason_code, m.reason, m.remedy FROM migration m "
        "JOIN file f ON f.id = m.checkpoint_id WHERE REPLACE(f.path, :name, '') <> f.path "
        "OR :name = ''",
        {"name": name},
    ).dicts()
    return row


def only(files: tuple[RecoveredFile, ...]) -> RecoveredFile:
    """Return the only file of a recovery."""
    (file,) = files
    return file


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return kind, mode, modification time and content of all that lies below `root`."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content: Any = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        mode = stat.S_IMODE(status.st_mode)
        name = str(path.relative_to(root))
        found[name] = (stat.S_IFMT(status.st_mode), mode, status.st_mtime_ns, content)
    return found
