"""A throw-away PostgreSQL server for the behaviour suite, where one is installed."""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import subprocess
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import pytest

_PLACES = ("/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt")


class Cluster:
    """Starts a server on first use; skips the test, with the reason, where that cannot be."""

    def __init__(self, _folder: Path) -> None:
        self._given = os.environ.get("CATALOG_TEST_POSTGRESQL")
        self._names = count(1)
        self._url: str | None = None

    def new_database(self, copy_of: str | None = None) -> str:
        """Create a database, empty or a copy of one that nobody uses, and return its URL."""
        if importlib.util.find_spec("psycopg") is None:
            pytest.skip("psycopg is not installed: pip install 'catalog[postgresql]'")
        import psycopg

        base = self._given or self._start()
        name = f"catalog_test_{os.getpid()}_{next(self._names)}"
        template = f' TEMPLATE "{urlsplit(copy_of).path[1:]}"' if copy_of else ""
        with psycopg.connect(base.format("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{template}')
        return base.format(name).replace("postgresql://", "postgresql+psycopg://")

    def _start(self) -> str:
        if self._url is not None:
            return self._url
        tools = _tools()
        if tools is None:
            pytest.skip(
                "no PostgreSQL server here (CATALOG_TEST_POSTGRESQL may name one: postgresql://user@host/{})"
            )
        # A socket's path may have 107 characters, and a server does not run as root.
        folder = Path(mkdtemp(prefix="catalog-pg-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        user = None
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody").pw_name
            shutil.chown(folder, user)

        def run(*command: str) -> None:
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        data = str(folder / "data")
        run(str(tools / "initdb"), "-D", data, "-U", "catalog", "-A", "trust", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run(str(tools / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", f"{data}.log", "start")
        atexit.register(run, str(tools / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        self._url = f"postgresql://catalog@/{{}}?host={folder}"
        return self._url


def _tools() -> Path | None:
    for place in _PLACES:
        for found in sorted(Path(place).glob("*/bin/initdb"), reverse=True):
            return found.parent
    path = shutil.which("initdb")
    return Path(path).parent if path else None
