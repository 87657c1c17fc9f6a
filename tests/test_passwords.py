"""A password of the database is in nothing that any command prints, writes or stores."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, inspect, text
from typer.testing import CliRunner

from catalog.cli.main import COMMANDS, app, load
from catalog.passwords import hide_passwords
from catalog.schema.location import locate
from catalog.sources.secrets import redact_text
from tests.support.rows import BEST, RUN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgresql import Cluster

SECRETS = ("hunter2hunter2", "s3cr3t@w0rd", "s3cr3t/w0rd", "s3cr3t%w0rd", "s3@cr/3t%w0rd")
PARTS = ("hunter2", "s3cr3t", "w0rd", "cr/3t", "3t%25w", "s3@c", "s3%40")
"""Pieces of them that nothing may hold, escaped or not."""
HERE = "{url}"

CALLS: dict[str, list[str]] = {
    "ingest": ["{tree}"],
    "query": ["--unusable"],
    "inspect": ["{checkpoint}"],
    "diff": [RUN, RUN],
    "trace": [BEST],
    "run": [RUN],
    "link pin": [BEST, RUN, "--reason", "known"],
    "link reject": [BEST, RUN, "--reason", "known"],
    "link unpin": [BEST],
    "validate": ["{claim}"],
    "status": [],
    "report": ["-o", "{report}"],
    "recover": [],
    "host list": [],
    "host move": ["old", "new"],
    "forget": ["{tree}"],
    "sql": ["SELECT 1"],
    "db upgrade": [],
    "db status": [],
    "db backup": ["{backup}"],
    "settings": ["--keep", "history=full"],
}
NO_DATABASE = {"inspect"}


def leaves() -> set[str]:
    """Return the names of all commands that do something."""
    names = set()
    for name in COMMANDS:
        found: Any = load(name)
        below = getattr(found, "commands", None)
        names |= {f"{name} {sub}" for sub in below} if below else {name}
    return names


def clean(*texts: str) -> None:
    for said in texts:
        for part in PARTS:
            assert part not in said, said


def call(arguments: list[str], env: dict[str, str] | None = None) -> str:
    """Return all that a command says, with the traceback where it ends with one."""
    result = CliRunner().invoke(app, arguments, env=env)
    said = result.stdout + result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        said += "".join(traceback.format_exception(result.exception))
    return said


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    return _cluster


@pytest.fixture
def places(tmp_path: Path, project: Path) -> dict[str, str]:
    claim = tmp_path / "claim.yaml"
    claim.write_text(f"run: {RUN}\n")
    return {
        "tree": str(project),
        "checkpoint": str(next(project.rglob("best.ckpt"))),
        "claim": str(claim),
        "report": str(tmp_path / "report.md"),
        "backup": str(tmp_path / "backup.db"),
    }


def test_every_command_is_tried() -> None:
    assert set(CALLS) == leaves()


@pytest.mark.parametrize("where", ["userinfo", "escaped", "query", "environment"])
def test_no_output_holds_the_password_of_the_database(
    cluster: Cluster, tmp_path: Path, places: dict[str, str], where: str
) -> None:
    plain = cluster.new_database()
    secret = "hunter2hunter2" if where == "environment" else "s3@cr/3t%w0rd"
    user, at, rest = plain.partition("@")
    assert at
    url = {
        "userinfo": f"{user}:{secret}@{rest}",
        "escaped": f"{user}:{quote(secret, safe='')}@{rest}",
        "query": f"{plain}&password={quote(secret, safe='')}",
        "environment": f"{user}:{secret}@{rest}",
    }[where]
    env = {"CATALOG_DB": url} if where == "environment" else None
    for name, arguments in CALLS.items():
        given = [argument.format(**places) for argument in arguments]
        named = [] if env or name in NO_DATABASE else ["--db", url]
        said = call([*name.split(), *given, *named], env)
        clean(said)
        for form in ("json", "csv"):
            clean(call([*name.split(), *given, *named, "-f", form], env))
        if name == "ingest":
            assert "Next: " in said
            assert ("--db" in said) is not bool(env)
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.suffix in {".md", ".json", ".yaml"}:
            clean(file.read_text())
    engine = create_engine(plain)
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            clean(repr(connection.execute(text(f'SELECT * FROM "{table}"')).all()))
    engine.dispose()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form",
    [
        "postgresql+psycopg://u:{}@nosuchhost.invalid/name",
        "postgresql+psycopg://u:{}@127.0.0.1:1/name",
        "postgresql+psycopg://u@127.0.0.1:1/name?password={}",
        "postgresql://u@127.0.0.1:1/name?sslmode=disable&password={}",
        "postgresql+nosuch://u:{}@h/name",
        "mysql://u:{}@h/name",
        "sqlite://u:{}@/",
        "host=h user=u password={}",
    ],
)
def test_no_error_of_a_wrong_place_holds_the_password(form: str, secret: str) -> None:
    url = form.format(secret)
    for given in {url, form.format(quote(secret, safe=""))}:
        clean(call(["status", "--db", given]), call(["ingest", "."], {"CATALOG_DB": given}))
        clean(call(["db", "status", "--db", given]), call(["recover"], {"CATALOG_DB": given}))


def test_a_password_is_not_shown_for_the_port_of_a_url_without_a_host() -> None:
    for secret in ("hunter2hunter2", "s3cr3t%w0rd", "70000"):
        said = call(["status", "--db", f"postgresql+psycopg://u:{secret}"])
        clean(said)
        assert "70000" not in said


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("name", [*COMMANDS, "nosuch", "db nosuch"])
def test_a_url_in_a_wrong_place_is_not_repeated_whole(
    empty_db: Path, name: str, secret: str
) -> None:
    env = {"CATALOG_DB": str(empty_db)}
    url = f"postgresql+psycopg://u:{secret}@h/name"
    clean(call([*name.split(), url], env), call([*name.split(), "a", "b", url], env))
    clean(call([url], env), call([f"--db={url}", "status"], env))
    clean(call([*name.split(), "--set", f"{url}=1"], env), call([*name.split(), "-f", url], env))


def test_a_traceback_of_the_interpreter_holds_no_password() -> None:
    code = "from catalog import Catalog; Catalog('{}').status()"
    for secret in SECRETS:
        url = f"postgresql+psycopg://u:{secret}@nosuchhost.invalid/name"
        done = subprocess.run(
            [sys.executable, "-c", code.format(url)], capture_output=True, text=True, check=False
        )
        *_, last = done.stderr.strip().splitlines()
        assert "DatabaseError" in last
        # The line of the program itself is the user's own.
        clean(done.stderr.replace(url, ""))


@pytest.mark.parametrize("secret", SECRETS)
def test_the_driver_is_given_the_password_and_people_are_not(secret: str) -> None:
    from sqlalchemy import make_url

    for url in (
        f"postgresql+psycopg://u:{quote(secret, safe='')}@h:5432/name?sslmode=require",
        f"postgresql://u@h:5432/name?password={quote(secret, safe='')}&sslmode=require",
    ):
        location = locate(url)
        parsed = make_url(location.url)
        assert (parsed.username, parsed.password, parsed.host) == ("u", secret, "h")
        assert location.shown == "postgresql+psycopg://u@h:5432/name?sslmode=require"
        clean(repr(location), str(location))


def test_a_password_that_nobody_escaped_is_one() -> None:
    from sqlalchemy import make_url

    for secret in ("s3cr3t@w0rd", "s3cr3t/w0rd", "s3cr3t%w0rd", "s3@cr/3t%w0rd", "s3cr3t?w0rd"):
        parsed = make_url(locate(f"postgresql+psycopg://u:{secret}@h/name").url)
        assert (parsed.username, parsed.password, parsed.host) == ("u", secret, "h")


def test_an_address_of_ipv6_and_several_hosts_stay() -> None:
    for place in ("[::1]:5432/name", "a:1,b:2/name", "/name?host=/tmp", "h/na:me"):
        assert locate(f"postgresql+psycopg://u:pw@{place}").shown.endswith(f"u@{place}")


@pytest.mark.parametrize("secret", SECRETS)
def test_texts_of_others_lose_it_too(secret: str) -> None:
    for url in (
        f"postgresql+psycopg://u:{secret}@h/name",
        f"mysql://u@h/name?password={secret}",
        f"redis://:{secret}@h:6379/0",
    ):
        clean(hide_passwords(f"{url}: no"), redact_text(f"--storage {url} --epochs 3"))
    kept = "see https://example.org:8080/a@b and s3://bucket/x?versionId=1 --epochs 3"
    assert redact_text(kept) == kept


def test_a_command_to_try_names_the_database_without_its_password(
    cluster: Cluster, tmp_path: Path
) -> None:
    user, _, rest = cluster.new_database().partition("@")
    said = call(["ingest", str(tmp_path), "--db", f"{user}:hunter2hunter2@{rest}"])
    assert re.search(r"--db '?postgresql\+psycopg://catalog@/", said)
